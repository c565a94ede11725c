//! AVX2 with FMA: 16 registers of 8 lanes.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use half::bf16;

use super::{Kernel, Simd, gemm, load_strided, store_strided};

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// Asks the CPU.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    /// Runs a kernel compiled for these instructions.
    pub fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the CPU has these instructions.
        unsafe { compiled(self, kernel) }
    }
}

// Every method below executes instructions whose presence the token proves; loads and stores go
// through references to arrays of LANES elements.
impl Simd for Avx2 {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;
    type Vector = __m256;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        let from: &[f32; 8] = from.first_chunk().expect("LANES elements");
        // SAFETY: the token; `from` is LANES elements long.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_from(self, from: *const f32) -> __m256 {
        // SAFETY: the token, and the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store_to(self, vector: __m256, to: *mut f32) {
        // SAFETY: the token, and the caller's promise.
        unsafe { _mm256_storeu_ps(to, vector) }
    }
    #[inline(always)]
    fn store(self, vector: __m256, to: &mut [f32]) {
        let to: &mut [f32; 8] = to.first_chunk_mut().expect("LANES elements");
        // SAFETY: the token; `to` is LANES elements long.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), vector) }
    }
    #[inline(always)]
    fn load_bf16(self, from: &[bf16]) -> __m256 {
        let from: &[bf16; 8] = from.first_chunk().expect("LANES elements");
        // SAFETY: the token; `from` is LANES elements long.
        unsafe {
            let half = _mm_loadu_si128(from.as_ptr().cast());
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(half)))
        }
    }
    #[inline(always)]
    fn store_bf16(self, vector: __m256, to: &mut [bf16]) {
        let to: &mut [bf16; 8] = to.first_chunk_mut().expect("LANES elements");
        // SAFETY: the token; `to` is LANES elements long.
        unsafe {
            let bits = _mm256_castps_si256(vector);
            let upper = _mm256_srli_epi32::<16>(bits);
            let odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
            let carried = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let rounded = _mm256_srli_epi32::<16>(carried);
            let quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(vector, vector));
            let rounded = _mm256_blendv_epi8(rounded, quiet, nan);
            // Packing works on each half of the vector: its results are the first and the third quarter.
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(rounded, rounded));
            _mm_storeu_si128(to.as_mut_ptr().cast(), _mm256_castsi256_si128(packed));
        }
    }
    #[inline(always)]
    fn select(self, bits: u32, vector: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe {
            let lane_bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let chosen = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits as i32), lane_bits), lane_bits);
            _mm256_and_ps(vector, _mm256_castsi256_ps(chosen))
        }
    }
    #[inline(always)]
    fn positive(self, vector: __m256) -> u32 {
        // SAFETY: the token.
        unsafe {
            let above = _mm256_cmp_ps::<_CMP_GT_OQ>(vector, _mm256_setzero_ps());
            _mm256_movemask_ps(above) as u32
        }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        // SAFETY: the token. A prefetch shows the program nothing, and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        let rows: [__m256; 8] = load_strided(self, from, from_stride);
        let mut pairs = rows;
        let mut quads = rows;
        // SAFETY: the token.
        unsafe {
            // Elements 0, 1, 2, 3 of each group of four columns, from rows 4i to 4i + 3.
            for i in (0..8).step_by(2) {
                pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
                pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
            }
            for i in [0, 4] {
                for j in 0..2 {
                    let (a, b) = (_mm256_castps_pd(pairs[i + j]), _mm256_castps_pd(pairs[i + j + 2]));
                    quads[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
                    quads[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
                }
            }
            // Then the groups of four change places: halves of vectors.
            for j in 0..4 {
                pairs[j] = _mm256_permute2f128_ps::<0x20>(quads[j], quads[4 + j]);
                pairs[4 + j] = _mm256_permute2f128_ps::<0x31>(quads[j], quads[4 + j]);
            }
        }
        store_strided(self, pairs, to, to_stride);
    }
    #[inline(always)]
    unsafe fn tile<const TRANSPOSED: bool>(self, rows: usize, operands: gemm::Operands) {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn of<const ROWS: usize, const TRANSPOSED: bool>(token: Avx2, operands: gemm::Operands) {
            // SAFETY: the caller's promise.
            unsafe { gemm::tile::<Avx2, ROWS, 2, TRANSPOSED>(token, operands) }
        }
        // SAFETY: the token, and the caller's promise.
        unsafe { gemm::of_rows!(of, TRANSPOSED, self, rows, operands, 1 2 3 4 5 6) }
    }
}
