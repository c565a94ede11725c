//! Means, and covariances by their relative error: what a Gram matrix mixes, apart.

use ndarray::{ArrayD, Ix2};

use super::moments::mean_error;
use super::{Distance, Measure, Moments, Sums, Target, TargetOptions};

/// Keeps the quotient finite when the two agree exactly.
const EPSILON: f64 = 1e-8;

/// The style picture's mean and covariance.
struct Covariance(Moments);

/// `1/N Σ (μ − μ_t)² + Σ d²/Σ |d|` with d = Σ − Σ_t, the denominator held constant in the gradient as in
/// [`relative`](super::gram::relative).
pub fn target(sums: &Sums, _: TargetOptions) -> Box<dyn Target> {
    Box::new(Covariance(Moments::of(sums, 0.0)))
}

impl Target for Covariance {
    fn measure(&self, _: usize, _: usize) -> Measure {
        Measure::Moments
    }

    fn distance(&mut self, measured: &ArrayD<f32>, pixels: f64) -> Distance {
        let sums = measured.view().into_dimensionality::<Ix2>().expect("N+1 × N");
        let moments = Moments::new(sums, pixels, 0.0);
        let (mean, d_mean) = mean_error(&moments.mean, &self.0.mean);
        let d = &moments.covariance - &self.0.covariance;
        let norm = d.iter().map(|d| d.abs()).sum::<f64>() + EPSILON;
        let squares: f64 = d.iter().map(|d| d * d).sum();
        let gradient = moments.pull_back(&d_mean, &(d * (2.0 / norm)), pixels);
        Distance { value: mean + squares / norm, gradient }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sums;
    use super::*;

    /// With the denominator of one point held for all, the value is differentiable and its slope the gradient's.
    #[test]
    fn gradient_is_that_of_the_value_with_a_constant_denominator() {
        let (style, at) = (sums(50, 5, 1), sums(30, 5, 2));
        let mut target = Covariance(Moments::of(&style, 0.0));
        let norm = |at: &ndarray::Array2<f32>| -> f64 {
            let d = Moments::new(at.view(), 30.0, 0.0).covariance - &target.0.covariance;
            d.iter().map(|d| d.abs()).sum::<f64>() + EPSILON
        };
        let step = at.sums.mapv(|v| (v * 4.0).round() / 64.0);
        let (plus, minus) = (&at.sums + &(&step * 0.5), &at.sums - &(&step * 0.5));
        let [here, above, below] = [&at.sums, &plus, &minus].map(norm);
        let mut value = |at: &ndarray::Array2<f32>, own: f64| {
            let mean = mean_error(&Moments::new(at.view(), 30.0, 0.0).mean, &target.0.mean).0;
            mean + (target.distance(&at.clone().into_dyn(), 30.0).value - mean) * own / here
        };
        let difference = value(&plus, above) - value(&minus, below);
        let gradient = target.distance(&at.sums.clone().into_dyn(), 30.0).gradient;
        let slope: f64 = gradient.iter().zip(&step).map(|(&g, &s)| f64::from(g) * f64::from(s)).sum();
        // Both terms are at most of third order in a step of 1/16 of the sums; the mean's square has none.
        assert!((difference - slope).abs() <= 1e-2 * slope.abs(), "{difference} {slope}");
    }
}
