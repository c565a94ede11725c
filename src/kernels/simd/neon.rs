//! NEON: 32 registers of 4 lanes.

#![allow(unsafe_code)]

use std::arch::aarch64::*;

use half::bf16;

use super::{Kernel, Simd, gemm, load_strided, store_strided};

/// Proof that the CPU has NEON.
#[derive(Clone, Copy)]
pub struct Neon(());

impl Neon {
    /// Asks the CPU.
    pub fn detect() -> Option<Self> {
        (std::arch::is_aarch64_feature_detected!("neon")).then_some(Neon(()))
    }

    /// Runs a kernel compiled for these instructions.
    pub fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn compiled<K: Kernel>(token: Neon, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the CPU has these instructions.
        unsafe { compiled(self, kernel) }
    }
}

// Every method below executes instructions whose presence the token proves; loads and stores go
// through references to arrays of LANES elements.
impl Simd for Neon {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 3;
    type Vector = float32x4_t;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> float32x4_t {
        let from: &[f32; 4] = from.first_chunk().expect("LANES elements");
        // SAFETY: the token; `from` is LANES elements long.
        unsafe { vld1q_f32(from.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_from(self, from: *const f32) -> float32x4_t {
        // SAFETY: the token, and the caller's promise.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store_to(self, vector: float32x4_t, to: *mut f32) {
        // SAFETY: the token, and the caller's promise.
        unsafe { vst1q_f32(to, vector) }
    }
    #[inline(always)]
    fn store(self, vector: float32x4_t, to: &mut [f32]) {
        let to: &mut [f32; 4] = to.first_chunk_mut().expect("LANES elements");
        // SAFETY: the token; `to` is LANES elements long.
        unsafe { vst1q_f32(to.as_mut_ptr(), vector) }
    }
    #[inline(always)]
    fn load_bf16(self, from: &[bf16]) -> float32x4_t {
        let from: &[bf16; 4] = from.first_chunk().expect("LANES elements");
        // SAFETY: the token; `from` is LANES elements long.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn store_bf16(self, vector: float32x4_t, to: &mut [bf16]) {
        let to: &mut [bf16; 4] = to.first_chunk_mut().expect("LANES elements");
        // SAFETY: the token; `to` is LANES elements long.
        unsafe {
            let bits = vreinterpretq_u32_f32(vector);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let carried = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
            let quiet = vorrq_u32(bits, vdupq_n_u32(0x40_0000));
            // A number equals itself, NaN does not.
            let chosen = vbslq_u32(vceqq_f32(vector, vector), carried, quiet);
            vst1_u16(to.as_mut_ptr().cast(), vshrn_n_u32::<16>(chosen));
        }
    }
    #[inline(always)]
    fn select(self, bits: u32, vector: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe {
            let lane_bits = [1, 2, 4, 8];
            let chosen = vtstq_u32(vdupq_n_u32(bits), vld1q_u32(lane_bits.as_ptr()));
            vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(vector), chosen))
        }
    }
    #[inline(always)]
    fn positive(self, vector: float32x4_t) -> u32 {
        // SAFETY: the token.
        unsafe {
            let lane_bits = [1, 2, 4, 8];
            vaddvq_u32(vandq_u32(vcgtzq_f32(vector), vld1q_u32(lane_bits.as_ptr())))
        }
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token.
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        let [a, b, c, d]: [float32x4_t; 4] = load_strided(self, from, from_stride);
        // SAFETY: the token.
        let columns = unsafe {
            // Columns 0 and 2, or 1 and 3, of two rows; then each column's pairs meet.
            let (ab, ab_odd) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
            let (cd, cd_odd) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
            let [ab, ab_odd, cd, cd_odd] = [ab, ab_odd, cd, cd_odd].map(|pairs| vreinterpretq_f64_f32(pairs));
            let columns =
                [vtrn1q_f64(ab, cd), vtrn1q_f64(ab_odd, cd_odd), vtrn2q_f64(ab, cd), vtrn2q_f64(ab_odd, cd_odd)];
            columns.map(|column| vreinterpretq_f32_f64(column))
        };
        store_strided(self, columns, to, to_stride);
    }
    #[inline(always)]
    unsafe fn tile<const TRANSPOSED: bool>(self, rows: usize, operands: gemm::Operands) {
        #[target_feature(enable = "neon")]
        unsafe fn of<const ROWS: usize, const TRANSPOSED: bool>(token: Neon, operands: gemm::Operands) {
            // SAFETY: the caller's promise.
            unsafe { gemm::tile::<Neon, ROWS, 3, TRANSPOSED>(token, operands) }
        }
        // SAFETY: the token, and the caller's promise.
        unsafe { gemm::of_rows!(of, TRANSPOSED, self, rows, operands, 1 2 3 4 5 6 7 8) }
    }
}
