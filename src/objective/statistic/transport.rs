//! Matrix roots for the Wasserstein distance, which is where its time goes.
//!
//! Between Gaussians of covariances S and T, the cheapest transport is linear, x ↦ Ax, with the symmetric A for which
//! A S A = T:
//!
//! ```text
//!   A = T^½ (T^½ S T^½)^−½ T^½        tr (T^½ S T^½)^½ = tr AS        d tr (T^½ S T^½)^½ / dS = ½ A
//! ```
//!
//! With X the centred features (M × N), S = XᵀX/M. Where M < N the same is had from a smaller matrix, whose
//! eigenvalues other than 0 are the same:
//!
//! ```text
//!   K = X T Xᵀ/M  (M × M)             tr K^½                          X A = K^−½ X T
//! ```
//!
//! Sources: Olkin & Pukelsheim 1982, "The distance between two random vectors with given dispersion matrices"; Gelbrich
//! 1990, "On a formula for the L² Wasserstein metric between measures on Euclidean and Hilbert spaces".

use ndarray::Array2;

use crate::kernels::eigen::{function, symmetric_eigen};

/// Eigenvalues of T^½ S T^½ below this share of the largest count as this: there the roots would be those of rounding
/// errors.
const FLOOR: f64 = 1e-7;

/// Eigenvalues of K below this share of the largest count as 0: a centred X has rank M − 1 at most.
const RANK: f64 = 1e-6;

/// T^½, of a covariance; what rounding made negative counts as 0.
pub fn root(covariance: &Array2<f64>) -> Array2<f64> {
    match symmetric_eigen(covariance.view()) {
        Some((values, vectors)) => function(&values, &vectors, |v| v.max(0.0).sqrt()),
        // The run will find that its losses are no numbers, and say so.
        None => Array2::from_elem(covariance.dim(), f64::NAN),
    }
}

/// A root, and what it took it of.
#[derive(Clone, Debug)]
pub struct Transport {
    /// A (N × N), or K^−½ (M × M).
    pub matrix: Array2<f64>,
    /// tr (T^½ S T^½)^½.
    pub trace: f64,
}

impl Transport {
    /// A, from T^½ and S (N × N).
    pub fn full(root: &Array2<f64>, covariance: &Array2<f64>) -> Self {
        let product = root.dot(covariance).dot(root);
        let Some((values, vectors)) = symmetric_eigen(product.view()) else { return Self::none(root.dim()) };
        let floor = FLOOR * values.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let roots = values.mapv(|v| v.max(floor).sqrt());
        let half = root.dot(&vectors);
        Transport { matrix: (&half / &roots).dot(&half.t()), trace: roots.sum() }
    }

    /// K^−½, from K (M × M).
    pub fn small(k: &Array2<f64>) -> Self {
        let Some((values, vectors)) = symmetric_eigen(k.view()) else { return Self::none(k.dim()) };
        let floor = RANK * values.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let inverse = |v: f64| if v > floor { v.sqrt().recip() } else { 0.0 };
        Transport { matrix: function(&values, &vectors, inverse), trace: values.mapv(|v| v.max(0.0).sqrt()).sum() }
    }

    fn none(dim: (usize, usize)) -> Self {
        Transport { matrix: Array2::from_elem(dim, f64::NAN), trace: f64::NAN }
    }

    /// tr (T^½ S T^½)^½ near the S (or K) the matrix was made for: to first order, from ⟨A, S⟩ (or ⟨K^−½, K⟩), which
    /// is the trace at that S.
    pub fn trace_at(&self, product: f64) -> f64 {
        0.5 * (self.trace + product)
    }
}

/// `Σ aᵢⱼ bᵢⱼ`.
pub fn inner(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
