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
const DRIFT: f64 = 3e-4;

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
        if drift.is_nan() || drift > DRIFT * total {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A covariance of `n` channels whose deviations fall to a thousandth, turned by a few reflections.
    fn covariance(n: usize, seed: usize) -> Array2<f64> {
        let mut s = Array2::from_diag(&Array1::from_shape_fn(n, |i| 1e-6f64.powf(i as f64 / n as f64)));
        for k in 0..3 {
            let v = Array1::from_shape_fn(n, |i| (((i + 1) * (seed + k) * 37) % 101) as f64 / 101.0 - 0.4);
            let v = &v / v.dot(&v).sqrt();
            let outer = v.view().insert_axis(ndarray::Axis(1)).dot(&v.view().insert_axis(ndarray::Axis(0)));
            let reflection = Array2::eye(n) - outer * 2.0;
            s = reflection.dot(&s).dot(&reflection);
        }
        s.diag_mut().iter_mut().for_each(|v| *v += 1e-4);
        s
    }

    /// S, moved by a congruence as features move: (1 + step·G) S (1 + step·G)ᵀ.
    fn moved(s: &Array2<f64>, step: f64) -> Array2<f64> {
        let n = s.nrows();
        let g =
            Array2::from_shape_fn((n, n), |(i, j)| (((i * 31 + j * 17) % 23) as f64 / 23.0 - 0.5) / (n as f64).sqrt());
        let by = Array2::eye(n) + g * step;
        by.dot(s).dot(&by.t())
    }

    /// The size of X(A − B) for features X of covariance S: what a gradient sees of a difference.
    fn seen(a: &Array2<f32>, b: &Array2<f32>, s: &Array2<f64>) -> f64 {
        let d = (a - b).mapv(f64::from);
        d.dot(s).dot(&d).diag().sum().sqrt()
    }

    #[test]
    fn transports_one_covariance_onto_the_other() {
        let (s, t) = (covariance(24, 1), covariance(24, 5));
        let transport = Transport::full(&root(&t), &s);
        let a = transport.matrix.mapv(f64::from);
        let (found, size) = (a.dot(&s).dot(&a), t.diag().sum());
        // A in f32, whose entries are up to a few hundred where S hardly varies.
        assert!((&found - &t).iter().all(|d| d.abs() < 1e-4 * size));
        // Roots under the floor count as 3e-4 of the largest, of which the trace is a few.
        assert!((inner(&transport.matrix, &s) - transport.trace).abs() < 2e-3 * transport.trace);
    }

    #[test]
    fn what_moves_little_is_followed_and_what_moves_far_is_not() {
        let (s, root) = (covariance(32, 1), root(&covariance(32, 5)));
        for (step, near) in [(0.0, true), (1e-3, true), (5e-3, true), (3.0, false)] {
            let at = moved(&s, step);
            let exact = Transport::full(&root, &at);
            let mut transport = Transport::full(&root, &s);
            let before = transport.clone();
            assert_eq!(transport.follow(at.mapv(|v| v as f32).view()), near, "{step}");
            if near {
                let size = seen(&exact.matrix, &Array2::zeros((32, 32)), &at);
                let (stale, followed) =
                    (seen(&before.matrix, &exact.matrix, &at), seen(&transport.matrix, &exact.matrix, &at));
                // Second order in the step; rounding of f32 in products of entries up to 1e3.
                assert!(followed <= 0.2 * stale + 1e-3 * size, "{step}: {followed}, {stale} if it stayed, of {size}");
                assert!((transport.trace - exact.trace).abs() <= 1e-4 * exact.trace, "{step}");
            } else {
                assert_eq!(transport.matrix, before.matrix);
            }
        }
    }

    #[test]
    fn a_singular_matrix_is_followed_in_its_own_range() {
        // Of rank 6, as of centred features of seven pixels.
        let x = Array2::from_shape_fn((7, 40), |(i, j)| (((i + 2) * (j + 3) * 29) % 31) as f64 / 31.0);
        let x = &x - &x.mean_axis(ndarray::Axis(0)).unwrap();
        let k = |scale: f64| (&x * scale).dot(&x.t());
        let mut transport = Transport::small(&k(1.0));
        assert!(transport.follow(k(1.02).mapv(|v| v as f32).view()));
        let exact = Transport::small(&k(1.02));
        assert!((transport.trace - exact.trace).abs() < 1e-4 * exact.trace, "{} {}", transport.trace, exact.trace);
        let size = exact.matrix.iter().fold(0.0f32, |size, a| size.max(a.abs()));
        assert!((&transport.matrix - &exact.matrix).iter().all(|d| d.abs() < 2e-3 * size));
    }

    #[test]
    fn what_is_not_finite_is_passed_on() {
        let nan = Array2::from_elem((3, 3), f64::NAN);
        assert!(root(&nan).iter().all(|v| v.is_nan()));
        assert!(Transport::full(&nan, &nan).trace.is_nan() && Transport::small(&nan).trace.is_nan());
        let mut transport = Transport::small(&Array2::eye(3));
        assert!(!transport.follow(nan.mapv(|v| v as f32).view()));
    }
}
