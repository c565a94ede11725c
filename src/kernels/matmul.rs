//! Matrix products on our own micro-kernels, by all threads: for matrices of channels × channels, which are too small
//! to leave to one thread and too large to be nothing.

use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis, s};
use rayon::prelude::*;

use super::scratch;
use super::simd::{Isa, Kernel, Panels, Simd, gemm_block, panel_width};

/// Rows of C a task makes: two tiles of the widest kernel, so that few rows are work for many threads. The result does
/// not depend on it.
const ROWS: usize = 28;

/// `A·B`, (m × k)·(k × n). Each element is one chain of fused multiply-adds over k.
///
/// # Panics
/// If A has not as many columns as B has rows.
#[must_use]
pub fn matmul(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    product(a, b, false, Isa::detect())
}

/// [`matmul`] where the product (n × n) is known to be symmetric: half of it is computed, and symmetric to the last bit.
///
/// # Panics
/// If A has not as many columns as B has rows, or the product is not square.
#[must_use]
pub fn matmul_symmetric(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    assert_eq!(a.nrows(), b.ncols(), "a symmetric matrix is square");
    let mut c = product(a, b, true, Isa::detect());
    for i in 1..c.nrows() {
        let (above, mut below) = c.view_mut().split_at(Axis(0), i);
        below.row_mut(0).slice_mut(s![..i]).assign(&above.column(i));
    }
    c
}

/// Of a symmetric product, what is above the diagonal.
fn product(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, symmetric: bool, isa: Isa) -> Array2<f32> {
    let ((m, k), n) = (a.dim(), b.ncols());
    assert_eq!(k, b.nrows(), "A (m × k) and B (k × n)");
    let mut c = Array2::zeros((m, n));
    if m * k * n == 0 {
        return c;
    }
    let a = a.as_standard_layout();
    let a = a.as_slice().expect("in standard layout");
    let columns = n.next_multiple_of(isa.panel_width());
    scratch::with(columns * k, |packed| {
        let b = pack(b, isa, packed);
        let parts = c.as_slice_mut().expect("a new matrix is contiguous").par_chunks_mut(ROWS * n);
        parts.zip(a.par_chunks(ROWS * k)).enumerate().for_each(|(block, (c, a))| {
            let first = if symmetric { block * ROWS / isa.panel_width() } else { 0 };
            scratch::with(if n == columns { 0 } else { ROWS * columns }, |padded| {
                isa.dispatch(Rows { a, b, first, padded, columns: n, c });
            });
        });
    });
    c
}

/// Cuts B (k × n) into panels, which `packed` has room for: k × n, n rounded up to whole panels.
pub(super) fn pack<'a>(b: ArrayView2<'_, f32>, isa: Isa, packed: &'a mut [f32]) -> Panels<'a> {
    let ((k, n), width) = (b.dim(), isa.panel_width());
    packed.par_chunks_mut(width * k).enumerate().for_each(|(panel, packed)| {
        let columns = b.slice(s![.., panel * width..n.min((panel + 1) * width)]);
        for (row, packed) in columns.rows().into_iter().zip(packed.chunks_exact_mut(width)) {
            let (packed, padding) = packed.split_at_mut(row.len());
            row.assign_to(&mut ArrayViewMut1::from(packed));
            padding.fill(0.0);
        }
    });
    Panels { data: packed, depth: k, count: n.div_ceil(width), stride: width * k }
}

/// Some rows of C.
struct Rows<'a> {
    a: &'a [f32],
    b: Panels<'a>,
    /// The panels before this one are not asked for.
    first: usize,
    /// Room for them where they are no whole number of panels long.
    padded: &'a mut [f32],
    columns: usize,
    c: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Rows { a, b, first, padded, columns, c } = self;
        let (rows, width, start) = (c.len() / columns, b.count * panel_width::<S>(), first * panel_width::<S>());
        let b = Panels { data: &b.data[first * b.stride..], count: b.count - first, ..b };
        if width == columns {
            return gemm_block(simd, rows, (a, b.depth), b, (&mut c[start..], columns), false);
        }
        gemm_block(simd, rows, (a, b.depth), b, (&mut padded[start..], width), false);
        for (c, padded) in c.chunks_exact_mut(columns).zip(padded.chunks_exact(width)) {
            c[start..].copy_from_slice(&padded[start..columns]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::random_tensor;

    fn random(m: usize, n: usize, seed: u64) -> Array2<f32> {
        random_tensor(&[m, n], seed).into_dimensionality().unwrap()
    }

    #[test]
    fn products_are_those_of_f64() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 7), (84, 32, 64), (85, 33, 65), (200, 17, 31), (0, 3, 2), (2, 0, 3)] {
            let (a, b) = (random(m, k, 1), random(k, n, 2));
            let wide = |m: &Array2<f32>| m.mapv(f64::from);
            let expected = wide(&a).dot(&wide(&b));
            let sizes = wide(&a).mapv(f64::abs).dot(&wide(&b).mapv(f64::abs));
            // Columns that lie apart, too.
            let turned = (a.t().as_standard_layout().into_owned(), b.t().as_standard_layout().into_owned());
            for isa in Isa::available() {
                for (a, b) in [(a.view(), b.view()), (turned.0.t(), turned.1.t())] {
                    let found = product(a, b, false, isa);
                    // A chain of k roundings, each of half an ulp of the sum of sizes.
                    let near = |(i, j)| {
                        let difference: f64 = f64::from(found[[i, j]]) - expected[[i, j]];
                        difference.abs() <= k as f64 * f64::from(f32::EPSILON) * sizes[[i, j]]
                    };
                    assert!(ndarray::indices((m, n)).into_iter().all(near), "{m} {k} {n} {isa:?}");
                }
            }
        }
    }

    #[test]
    fn a_symmetric_product_is_the_same_in_half_the_work() {
        for (n, k) in [(1, 3), (28, 5), (31, 40), (64, 64), (130, 33)] {
            let a = random(n, k, 1);
            let found = matmul_symmetric(a.view(), a.t());
            assert_eq!(found, matmul(a.view(), a.t()), "{n} {k}");
            assert_eq!(found, found.t());
        }
    }
}
