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
//! as much as some dozens of products of matrices, is kept as a basis B in which S is diagonal and A is 1, and what S has
//! become since is followed by Newton's method:
//!
//! ```text
//!   at S₀:  Bᵀ S₀ B = diag(c)   A₀ = B Bᵀ   so that A S A = T is X D X = diag(c), where A = B X Bᵀ and D = Bᵀ S B
//!
//!   X = 1 + E:     F = (diag(c) − X D X)ᵢⱼ/(cᵢ + cⱼ)     E ← E + F     f ≈ tr X D + ½ Σ(1−E)∘R − ½ Σ Fᵢⱼ² cᵢ
//! ```
//!
//! where R is what F divides. The first step, from X = 1, needs no product beyond D; each further one two. B's columns
//! are scaled first, so that D has its diagonal right: a direction in which little varies can vary by several times its
//! size. What is left out is of the order of E·F; where it does not become small in a few steps, a new basis is made.
//!
//! Sources: Olkin & Pukelsheim 1982, "The distance between two random vectors with given dispersion matrices"; Gelbrich
//! 1990, "On a formula for the L² Wasserstein metric between measures on Euclidean and Hilbert spaces". The derivative
//! of a matrix function in its eigenbasis is Daleckii & Krein's, 1965.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use rayon::prelude::*;

use crate::kernels::eigen::{function, product, symmetric_eigen};
use crate::kernels::matmul::{matmul, matmul_symmetric};
use crate::state::{Found, Saved};

/// Eigenvalues of T^½ S T^½ below this share of the largest count as this: there the roots would be those of rounding
/// errors.
const FLOOR: f64 = 1e-7;

/// Eigenvalues of K below this share of the largest count as 0: a centred X has rank M − 1 at most.
const RANK: f64 = 1e-6;

/// The most that what is left out of E may be: E·F, root mean squares weighted by the roots c.
const LEFT_OUT: f64 = 1e-3;

/// Corrections after the first step: more of them, and a new basis costs less.
const CORRECTIONS: i32 = 3;

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
    /// What roots that count as 0 add to f.
    left_out: f64,
}

impl Transport {
    /// A, from T^½ and S (N × N).
    pub fn full(root: &Array2<f64>, covariance: &Array2<f64>) -> Self {
        let turned = product(product(root.view(), covariance.view()).view(), root.view());
        let Some((values, vectors)) = symmetric_eigen(turned.view()) else { return Self::none(root.nrows()) };
        let floor = FLOOR * values.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let roots = values.mapv(|v| v.max(floor).sqrt());
        let basis = product(root.view(), vectors.view()) / roots.mapv(f64::sqrt);
        Self::new(&basis, roots.sum(), &values / &roots, roots)
    }

    /// K^−½, from K (M × M).
    pub fn small(k: &Array2<f64>) -> Self {
        let Some((values, vectors)) = symmetric_eigen(k.view()) else { return Self::none(k.nrows()) };
        let floor = RANK * values.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let roots = values.mapv(|v| if v > floor { v.sqrt() } else { 0.0 });
        let scale = values.mapv(|v| if v > floor { v.sqrt().sqrt().recip() } else { 0.0 });
        let trace = values.iter().map(|v| v.max(0.0).sqrt()).sum();
        Self::new(&(vectors * scale), trace, roots.clone(), roots)
    }

    fn new(basis: &Array2<f64>, trace: f64, diagonal: Array1<f64>, roots: Array1<f64>) -> Self {
        let basis = basis.mapv(|b| b as f32);
        let left_out = trace - roots.sum();
        Transport { matrix: matmul_symmetric(basis.view(), basis.t()), trace, basis, diagonal, roots, left_out }
    }

    fn none(n: usize) -> Self {
        let [matrix, basis] = [f32::NAN; 2].map(|nan| Array2::from_elem((n, n), nan));
        let [diagonal, roots] = [f64::NAN; 2].map(|nan| Array1::from_elem(n, nan));
        Transport { matrix, trace: f64::NAN, basis, diagonal, roots, left_out: f64::NAN }
    }

    /// Keeps everything, under names that begin as given.
    pub fn save<'a>(&'a self, begins: &str, saved: &mut Saved<'a>) {
        for (name, matrix) in [("transport", &self.matrix), ("basis", &self.basis)] {
            saved.matrix(format!("{begins}.{name}"), matrix);
        }
        saved.small(
            format!("{begins}.roots"),
            &(&self.diagonal.to_vec(), &self.roots.to_vec(), self.trace, self.left_out),
        );
    }

    /// What was kept.
    pub fn load(begins: &str, found: &Found) -> Result<Self, String> {
        let (diagonal, roots, trace, left_out): (Vec<f64>, Vec<f64>, f64, f64) =
            found.small(&format!("{begins}.roots"))?;
        let shape = [roots.len(); 2];
        if diagonal.len() != roots.len() {
            return Err(format!("{begins}.roots are of two lengths"));
        }
        let [matrix, basis] = ["transport", "basis"].map(|name| found.matrix(&format!("{begins}.{name}"), shape));
        Ok(Transport {
            matrix: matrix?,
            trace,
            basis: basis?,
            diagonal: diagonal.into(),
            roots: roots.into(),
            left_out,
        })
    }

    /// Takes the matrix and f along to another S (or K) of the same size; false, and nothing changes, where it is too
    /// far away.
    pub fn follow(&mut self, s: ArrayView2<'_, f32>) -> bool {
        if s.dim() != self.basis.dim() {
            return false;
        }
        let mut d = matmul_symmetric(self.basis.t(), matmul(s, self.basis.view()).view());
        // Where eigenvalues count as more than they are, they do so at S, too.
        d.diag_mut().zip_mut_with(&(&self.roots - &self.diagonal), |d, more| *d += *more as f32);
        let scale = Array1::from_iter(self.roots.iter().zip(d.diag()).map(|(c, d)| {
            // Where an eigenvalue counts as 0, so does its column of B, and all that comes of it.
            if *c > 0.0 && *d > 0.0 { (c / f64::from(*d)).powf(0.25) as f32 } else { 0.0 }
        }));
        let roots = Array1::from_iter(d.diag().iter().zip(&scale).map(|(&d, &s)| f64::from(d * s * s)));
        let basis = &self.basis * &scale;
        d = d * &scale * scale.view().insert_axis(Axis(1));
        let Some((x, trace)) = solve(&roots, &d) else { return false };
        self.matrix = matmul_symmetric(matmul(basis.view(), x.view()).view(), basis.t());
        self.trace = trace + self.left_out;
        true
    }

    /// f near the S the matrix is of: to first order, from ⟨A, S⟩, which is f at that S.
    pub fn trace_at(&self, product: f64) -> f64 {
        0.5 * (self.trace + product)
    }
}

/// X for which X D X = diag(c), and f = tr X D; `None` if that takes too many steps from X = 1.
fn solve(roots: &Array1<f64>, d: &Array2<f32>) -> Option<(Array2<f32>, f64)> {
    let mut x = Array2::eye(roots.len());
    let mut product = d.clone();
    let mut before = f64::INFINITY;
    for left in (0..=CORRECTIONS).rev() {
        let step = newton(roots, &mut x, d, &product);
        if step.length * step.distance <= LEFT_OUT {
            return Some((x, step.trace));
        }
        // Each step is as much shorter than the last as that was than the one before; the first one's rate is its own
        // length, and then some. What is not a number is not followed.
        let rate = (step.length / before).max(step.length);
        let in_time = step.length * rate.powi(left) * step.distance <= LEFT_OUT;
        if !in_time {
            return None;
        }
        before = step.length;
        product = matmul_symmetric(x.view(), matmul(d.view(), x.view()).view());
    }
    None
}

/// One of Newton's steps.
struct Step {
    /// f after it, to second order.
    trace: f64,
    /// The root mean square of F, weighted by the roots c.
    length: f64,
    /// That of E + F.
    distance: f64,
}

/// `X ← X + F`, given D and X D X.
fn newton(roots: &Array1<f64>, x: &mut Array2<f32>, d: &Array2<f32>, product: &Array2<f32>) -> Step {
    let rows = x.axis_iter_mut(Axis(0)).into_par_iter();
    let rows =
        rows.zip(d.axis_iter(Axis(0))).zip(product.axis_iter(Axis(0))).enumerate().map(|(i, ((x, d), product))| {
            let own = roots[i];
            let mut sums = [0.0; 3];
            Zip::indexed(x).and(d).and(product).and(roots).for_each(|j, x, &d, &product, other| {
                let (unit, c) = if i == j { (1.0, own) } else { (0.0, 0.0) };
                let (e, rest) = (f64::from(*x) - unit, c - f64::from(product));
                let step = rest / (own + other).max(f64::MIN_POSITIVE);
                sums[0] += f64::from(*x * d) + 0.5 * (unit - e) * rest - 0.5 * step * step * own;
                sums[1] += step * step * own;
                sums[2] += (e + step) * (e + step) * own;
                *x = (unit + e + step) as f32;
            });
            sums
        });
    let [trace, length, distance] =
        rows.collect::<Vec<_>>().into_iter().fold([0.0; 3], |[a, b, c], [x, y, z]| [a + x, b + y, c + z]);
    let total = roots.sum();
    Step { trace, length: (length / total).sqrt(), distance: (distance / total).sqrt() }
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
            let outer = v.view().insert_axis(Axis(1)).dot(&v.view().insert_axis(Axis(0)));
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
        for (step, near) in [(0.0, true), (1e-3, true), (5e-3, true), (5e-2, true), (3.0, false)] {
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
        let x = &x - &x.mean_axis(Axis(0)).unwrap();
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
