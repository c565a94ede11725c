//! Matrix products, by `matrixmultiply` through `ndarray`.
//!
//! One thread a product: the callers cut their work into blocks and run those
//! in parallel, which is the only level of parallelism there is.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `C ← A·B + β·C`, (m × k)·(k × n). With β = 0, C is written without being read.
pub fn gemm(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, beta: f32, mut c: ArrayViewMut2<'_, f32>) {
    general_mat_mul(1.0, &a, &b, beta, &mut c);
}
