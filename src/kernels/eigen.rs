//! Eigenvalues of symmetric matrices and what goes with them in `f64`, by `faer`: one thread a matrix, like the products
//! of [`super::gemm`].

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use ndarray::{Array1, Array2, ArrayView2};

/// `A = V diag(λ) Vᵀ`: the eigenvalues λ (N), smallest first, and the eigenvectors, the columns of V (N × N).
///
/// A (N × N) is symmetric; what is above its diagonal is not read. `None` if an element is not finite, or the iteration
/// does not converge.
#[must_use]
pub fn symmetric_eigen(a: ArrayView2<'_, f64>) -> Option<(Array1<f64>, Array2<f64>)> {
    let n = a.nrows();
    assert_eq!(a.ncols(), n, "a symmetric matrix is square");
    if !a.iter().all(|x| x.is_finite()) {
        return None;
    }
    faer::set_global_parallelism(Par::Seq);
    let decomposition = Mat::from_fn(n, n, |i, j| a[[i, j]]).self_adjoint_eigen(Side::Lower).ok()?;
    let (values, vectors) = (decomposition.S(), decomposition.U());
    Some((Array1::from_shape_fn(n, |i| values[i]), Array2::from_shape_fn((n, n), |(i, j)| vectors[(i, j)])))
}

/// `V diag(f(λ)) Vᵀ`.
#[must_use]
pub fn function(values: &Array1<f64>, vectors: &Array2<f64>, f: impl Fn(f64) -> f64) -> Array2<f64> {
    product((vectors * &values.mapv(f)).view(), vectors.t())
}

/// `A·B`, (m × k)·(k × n).
///
/// # Panics
/// If A has not as many columns as B has rows.
#[must_use]
pub fn product(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
    let ((m, k), n) = (a.dim(), b.ncols());
    assert_eq!(k, b.nrows(), "A (m × k) and B (k × n)");
    let [a, b] = [a, b].map(|x| x.as_standard_layout().into_owned());
    let [a, b] = [(&a, m, k), (&b, k, n)].map(|(x, rows, columns)| {
        MatRef::from_row_major_slice(x.as_slice().expect("in standard layout"), rows, columns)
    });
    let mut c = Array2::zeros((m, n));
    let into = MatMut::from_row_major_slice_mut(c.as_slice_mut().expect("in standard layout"), m, n);
    matmul(into, Accum::Replace, a, b, 1.0, Par::Seq);
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_put_together_again_from_its_eigenvectors() {
        for n in [1, 2, 3, 17, 64] {
            let x = Array2::from_shape_fn((n, n), |(i, j)| ((i * 31 + j * 17) % 13) as f64 - 6.0);
            let a = x.dot(&x.t());
            assert!((&product(x.view(), x.t()) - &a).iter().all(|d| *d == 0.0), "whole numbers");
            let (values, vectors) = symmetric_eigen(a.view()).unwrap();
            assert!(values.windows(2).into_iter().all(|pair| pair[0] <= pair[1]));
            let again = function(&values, &vectors, |v| v);
            let size = values[n - 1].max(1.0);
            assert!((&again - &a).iter().all(|d| d.abs() <= 1e-12 * size), "{n}");
        }
    }

    #[test]
    fn what_is_not_finite_has_no_eigenvalues() {
        assert!(symmetric_eigen(Array2::from_elem((2, 2), f64::NAN).view()).is_none());
        assert!(symmetric_eigen(Array2::zeros((3, 3)).view()).is_some());
    }
}
