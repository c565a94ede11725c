//! The set that every CPU has: eight lanes of plain Rust.

#![allow(unsafe_code)]

use half::bf16;

use super::{Element, Simd, gemm};

/// Plain Rust.
#[derive(Clone, Copy)]
pub struct Scalar;

impl Simd for Scalar {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;
    type Vector = [f32; 8];

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 8] {
        [x; 8]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 8] {
        *from.first_chunk().expect("LANES elements")
    }
    #[inline(always)]
    fn store(self, vector: [f32; 8], to: &mut [f32]) {
        *to.first_chunk_mut().expect("LANES elements") = vector;
    }
    #[inline(always)]
    fn load_bf16(self, from: &[bf16]) -> [f32; 8] {
        from.first_chunk::<8>().expect("LANES elements").map(Element::to_f32)
    }
    #[inline(always)]
    fn store_bf16(self, vector: [f32; 8], to: &mut [bf16]) {
        *to.first_chunk_mut().expect("LANES elements") = vector.map(Element::from_f32);
    }
    #[inline(always)]
    fn select(self, bits: u32, vector: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if bits >> i & 1 == 1 { vector[i] } else { 0.0 })
    }
    #[inline(always)]
    fn positive(self, vector: [f32; 8]) -> u32 {
        (0..8).map(|i| u32::from(vector[i] > 0.0) << i).sum()
    }
    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn sqrt(self, a: [f32; 8]) -> [f32; 8] {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn fma(self, a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        // Rounded twice: without the instruction, `mul_add` would be a library call.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn max(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn load_from(self, from: *const f32) -> [f32; 8] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_to(self, vector: [f32; 8], to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(vector) }
    }
    unsafe fn tile<const TRANSPOSED: bool>(self, rows: usize, operands: gemm::Operands) {
        unsafe fn of<const ROWS: usize, const TRANSPOSED: bool>(token: Scalar, operands: gemm::Operands) {
            // SAFETY: the caller's promise.
            unsafe { gemm::tile::<Scalar, ROWS, 1, TRANSPOSED>(token, operands) }
        }
        // SAFETY: the caller's promise.
        unsafe { gemm::of_rows!(of, TRANSPOSED, self, rows, operands, 1 2 3 4) }
    }
}
