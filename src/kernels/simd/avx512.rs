//! AVX-512: 32 registers of 16 lanes, and masks.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use half::bf16;

use super::{Kernel, Simd, gemm, load_strided, store_strided};

/// Proof that the CPU has AVX-512 (F, DQ, BW, VL) and FMA.
#[derive(Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    /// Asks the CPU.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma"))
        .then_some(Avx512(()))
    }

    /// Runs a kernel compiled for these instructions.
    pub fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        fn compiled<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the CPU has these instructions.
        unsafe { compiled(self, kernel) }
    }
}

// Every method below executes instructions whose presence the token proves; loads and stores go
// through references to arrays of LANES elements.
impl Simd for Avx512 {
    const LANES: usize = 16;
    const TILE_ROWS: usize = 14;
    const TILE_VECTORS: usize = 2;
    type Vector = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> __m512 {
        let from: &[f32; 16] = from.first_chunk().expect("LANES elements");
        // SAFETY: the token; `from` is LANES elements long.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_from(self, from: *const f32) -> __m512 {
        // SAFETY: the token, and the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store_to(self, vector: __m512, to: *mut f32) {
        // SAFETY: the token, and the caller's promise.
        unsafe { _mm512_storeu_ps(to, vector) }
    }
    #[inline(always)]
    fn store(self, vector: __m512, to: &mut [f32]) {
        let to: &mut [f32; 16] = to.first_chunk_mut().expect("LANES elements");
        // SAFETY: the token; `to` is LANES elements long.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) }
    }
    #[inline(always)]
    fn load_bf16(self, from: &[bf16]) -> __m512 {
        let from: &[bf16; 16] = from.first_chunk().expect("LANES elements");
        // SAFETY: the token; `from` is LANES elements long.
        unsafe {
            let half = _mm256_loadu_si256(from.as_ptr().cast());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
        }
    }
    #[inline(always)]
    fn store_bf16(self, vector: __m512, to: &mut [bf16]) {
        let to: &mut [bf16; 16] = to.first_chunk_mut().expect("LANES elements");
        // Not `vcvtneps2bf16`: it takes denormals for 0.
        // SAFETY: the token; `to` is LANES elements long.
        unsafe {
            let bits = _mm512_castps_si512(vector);
            let upper = _mm512_srli_epi32::<16>(bits);
            let odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
            let carried = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let rounded = _mm512_srli_epi32::<16>(carried);
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(vector, vector);
            let rounded = _mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x40));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(rounded));
        }
    }
    #[inline(always)]
    fn select(self, bits: u32, vector: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_maskz_mov_ps(bits as __mmask16, vector) }
    }
    #[inline(always)]
    fn positive(self, vector: __m512) -> u32 {
        // SAFETY: the token.
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(vector, _mm512_setzero_ps())) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        // SAFETY: the token. A prefetch shows the program nothing, and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        let rows: [__m512; 16] = load_strided(self, from, from_stride);
        let mut pairs = rows;
        let mut quads = rows;
        // SAFETY: the token.
        unsafe {
            // Elements 0, 1, 2, 3 of each group of four columns, from rows 4i to 4i + 3.
            for i in (0..16).step_by(2) {
                pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
                pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
            }
            for i in (0..16).step_by(4) {
                for j in 0..2 {
                    let (a, b) = (_mm512_castps_pd(pairs[i + j]), _mm512_castps_pd(pairs[i + j + 2]));
                    quads[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                    quads[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
                }
            }
            // Then the groups of four change places: quarters of vectors.
            for j in 0..4 {
                let (a, b, c, d) = (quads[j], quads[4 + j], quads[8 + j], quads[12 + j]);
                let (ab, ab_odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (cd, cd_odd) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
                pairs[j] = _mm512_shuffle_f32x4::<0x88>(ab, cd);
                pairs[4 + j] = _mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd);
                pairs[8 + j] = _mm512_shuffle_f32x4::<0xdd>(ab, cd);
                pairs[12 + j] = _mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd);
            }
        }
        store_strided(self, pairs, to, to_stride);
    }
    #[inline(always)]
    unsafe fn tile<const TRANSPOSED: bool>(self, rows: usize, operands: gemm::Operands) {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        unsafe fn of<const ROWS: usize, const TRANSPOSED: bool>(token: Avx512, operands: gemm::Operands) {
            // SAFETY: the caller's promise.
            unsafe { gemm::tile::<Avx512, ROWS, 2, TRANSPOSED>(token, operands) }
        }
        // SAFETY: the token, and the caller's promise.
        unsafe { gemm::of_rows!(of, TRANSPOSED, self, rows, operands, 1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
    }
}
