//! Matrix roots for the Wasserstein distance, which is where its time goes.
//!
//! Between Gaussians of covariances S and T, the cheapest transport is linear, x ↦ Ax, with the symmetric A for which
//! A S A = T:
//!
//! ```text
//!   A = T^½ (T^½ S T^½)^−½ T^½        f(S) = tr (T^½ S T^½)^½        d f / dS = ½ A
//! ```
//!
//! With X the centred features (M × N), S = XᵀX/M. Where M < N the same is had from a smaller matrix, whose
//! eigenvalues other than 0 are the same:
//!
//! ```text
//!   K = X T Xᵀ/M  (M × M)             f = tr K^½                     X A = K^−½ X T
//! ```
//!
//! Both are roots of one kind, and both change little from one step to the next. So an eigendecomposition, which costs
//! as much as a dozen products of matrices, is kept as a basis B in which S is diagonal and A is 1, and what S has
//! become since is followed to first order, for four products:
//!
//! ```text
//!   at S₀:  Bᵀ S₀ B = diag(c)   A₀ = B Bᵀ
//!   at S:   Bᵀ S B = diag(c) + Δ,   Eᵢⱼ = −Δᵢⱼ/(cᵢ + cⱼ)     A ≈ B (1 + E) Bᵀ     f ≈ Σc + ½ ΣΔᵢᵢ + ¼ ΣEᵢⱼΔᵢⱼ
//! ```
//!
//! which is Newton's step for A S A = T, solved exactly because B makes both sides of it diagonal. What it leaves out is
//! of the order of E²; where that is too much, a new basis is made.
//!
//! Sources: Olkin & Pukelsheim 1982, "The distance between two random vectors with given dispersion matrices"; Gelbrich
//! 1990, "On a formula for the L² Wasserstein metric between measures on Euclidean and Hilbert spaces". The derivative
//! of a matrix function in its eigenbasis is Daleckii & Krein's, 1965.

use ndarray::{Array1, Array2, ArrayView2};

use crate::kernels::eigen::{function, symmetric_eigen};

/// Eigenvalues of T^½ S T^½ below this share of the largest count as this: there the roots would be those of rounding
/// errors.
const FLOOR: f64 = 1e-7;

/// Eigenvalues of K below this share of the largest count as 0: a centred X has rank M − 1 at most.
const RANK: f64 = 1e-6;

/// The most that E² may be, weighted by the roots c, where a basis is still followed.
const DRIFT: f64 = 2e-3;

/// T^½, of a covariance; what rounding made negative counts as 0.
pub fn root(covariance: &Array2<f64>) -> Array2<f64> {
    match symmetric_eigen(covariance.view()) {
        Some((values, vectors)) => function(&values, &vectors, |v| v.max(0.0).sqrt()),
        // The run will find that its losses are no numbers, and say so.
        None => Array2::from_elem(covariance.dim(), f64::NAN),
    }
}

/// A at some S (or K^−½ at some K), and what it was made of.
#[derive(Clone, Debug)]
pub struct Transport {
    /// A (N × N), or K^−½ (M × M).
    pub matrix: Array2<f32>,
    /// f.
    pub trace: f64,
    /// B, of which columns are 0 where an eigenvalue counts as 0.
    basis: Array2<f32>,
    /// The diagonal of Bᵀ S₀ B.
    diagonal: Array1<f64>,
    /// c: the diagonal, but for the floor.
    roots: Array1<f64>,
}

impl Transport {
    /// A, from T^½ and S (N × N).
    pub fn full(root: &Array2<f64>, covariance: &Array2<f64>) -> Self {
        let product = root.dot(covariance).dot(root);
        let Some((values, vectors)) = symmetric_eigen(product.view()) else { return Self::none(root.nrows()) };
        let floor = FLOOR * values.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let roots = values.mapv(|v| v.max(floor).sqrt());
        let basis = root.dot(&vectors) / roots.mapv(f64::sqrt);
        Self::new(&basis, &values / &roots, roots)
    }

    /// K^−½, from K (M × M).
    pub fn small(k: &Array2<f64>) -> Self {
        let Some((values, vectors)) = symmetric_eigen(k.view()) else { return Self::none(k.nrows()) };
        let floor = RANK * values.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let roots = values.mapv(|v| v.max(0.0).sqrt());
        let scale = values.mapv(|v| if v > floor { v.sqrt().sqrt().recip() } else { 0.0 });
        Self::new(&(vectors * scale), roots.clone(), roots)
    }

    fn new(basis: &Array2<f64>, diagonal: Array1<f64>, roots: Array1<f64>) -> Self {
        let single = |x: f64| x as f32;
        let matrix = basis.dot(&basis.t()).mapv(single);
        Transport { matrix, trace: roots.sum(), basis: basis.mapv(single), diagonal, roots }
    }

    fn none(n: usize) -> Self {
        let [matrix, basis] = [f32::NAN; 2].map(|nan| Array2::from_elem((n, n), nan));
        let [diagonal, roots] = [f64::NAN; 2].map(|nan| Array1::from_elem(n, nan));
        Transport { matrix, trace: f64::NAN, basis, diagonal, roots }
    }

    /// Takes the matrix and f along to another S (or K) of the same size; false, and nothing changes, where it is too
    /// far away.
    pub fn follow(&mut self, s: ArrayView2<'_, f32>) -> bool {
        if s.dim() != self.basis.dim() {
            return false;
        }
        let n = self.roots.len();
        let mut e = self.basis.t().dot(&s.dot(&self.basis));
        let (mut first, mut second, mut drift) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let own = self.roots[i];
            for j in 0..n {
                // Where an eigenvalue counts as 0, so does its column of B, and all that comes of it.
                let (sum, here) = (own + self.roots[j], f64::from(e[[i, j]]));
                let delta = if i == j { here - self.diagonal[i] } else { here };
                let x = if here == 0.0 { 0.0 } else { -delta / sum };
                first += if i == j && here != 0.0 { delta } else { 0.0 };
                second += x * delta;
                drift += x * x * own;
                e[[i, j]] = x as f32;
            }
        }
        let total = self.roots.sum();
        // Written so that NaN does not pass.
        if !(drift <= DRIFT * total) {
            return false;
        }
        e.diag_mut().iter_mut().for_each(|x| *x += 1.0);
        self.matrix = self.basis.dot(&e).dot(&self.basis.t());
        self.trace = total + 0.5 * first + 0.25 * second;
        true
    }

    /// f near the S the matrix is of: to first order, from ⟨A, S⟩, which is f at that S.
    pub fn trace_at(&self, product: f64) -> f64 {
        0.5 * (self.trace + product)
    }
}

/// `Σ aᵢⱼ bᵢⱼ`.
pub fn inner(a: &Array2<f32>, b: &Array2<f64>) -> f64 {
    a.iter().zip(b).map(|(&a, b)| f64::from(a) * b).sum()
}
