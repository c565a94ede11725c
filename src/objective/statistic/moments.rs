//! From sums over pixels to a mean and a covariance, and back with a gradient.

use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, s};

use super::Sums;

/// μ (N) and Σ (N × N) of a layer's features.
#[derive(Clone, Debug)]
pub struct Moments {
    pub mean: Array1<f64>,
    pub covariance: Array2<f64>,
}

impl Moments {
    /// `μ = ΣF/M`, `Σ = FᵀF/M − μμᵀ + ε·1`. In `f64`: where a channel hardly varies, the two terms cancel.
    pub fn new(sums: ArrayView2<'_, f32>, pixels: f64, epsilon: f64) -> Self {
        let share = 1.0 / pixels;
        let n = sums.ncols();
        let mean = sums.row(n).mapv(|sum| share * f64::from(sum));
        let mut covariance = sums.slice(s![..n, ..]).mapv(|sum| share * f64::from(sum));
        for (mut row, &m) in covariance.rows_mut().into_iter().zip(&mean) {
            row.scaled_add(-m, &mean);
        }
        covariance.diag_mut().iter_mut().for_each(|variance| *variance += epsilon);
        Moments { mean, covariance }
    }

    pub fn of(sums: &Sums, epsilon: f64) -> Self {
        Moments::new(sums.sums.view(), sums.pixels, epsilon)
    }

    /// The gradient of the sums (N+1 × N), given those of the mean and of the covariance, which is symmetric:
    /// `dG = dΣ/M`, `d(ΣF) = (dμ − 2 dΣ μ)/M`.
    pub fn pull_back(&self, d_mean: &Array1<f64>, d_covariance: &Array2<f64>, pixels: f64) -> ArrayD<f32> {
        let share = 1.0 / pixels;
        let row = (d_mean - &(d_covariance.dot(&self.mean) * 2.0)) * share;
        let below = row.insert_axis(Axis(0));
        let stacked = ndarray::concatenate(Axis(0), &[(d_covariance * share).view(), below.view()]);
        stacked.expect("N columns each").mapv(|d| d as f32).into_dyn()
    }
}

/// `1/N Σ (μ − μ_t)²`, and its gradient.
pub fn mean_error(mean: &Array1<f64>, target: &Array1<f64>) -> (f64, Array1<f64>) {
    let n = mean.len() as f64;
    let d = mean - target;
    (d.dot(&d) / n, d * (2.0 / n))
}
