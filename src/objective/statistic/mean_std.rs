//! Each channel's mean and deviation, and nothing of how channels go together: the least that can be called style.
//!
//! Source: Li, Wang, Liu & Hou 2017, arXiv:1701.01036, the statistics of batch normalisation.

use ndarray::{Array2, ArrayD, Ix2};

use super::moments::mean_error;
use super::{Distance, Measure, Moments, Sums, Target, TargetOptions};

/// Added to each variance: the root has a slope everywhere.
const EPSILON: f64 = 1e-4;

/// The style picture's moments, of whose covariance the diagonal counts.
struct MeanStd(Moments);

/// `1/N Σ (μ − μ_t)² + 1/N Σ (σ − σ_t)²`, σ² = the variance + 1e-4: Wasserstein's distance if channels were independent.
pub fn target(sums: &Sums, _: TargetOptions) -> Box<dyn Target> {
    Box::new(MeanStd(Moments::of(sums, EPSILON)))
}

impl Target for MeanStd {
    fn measure(&self, _: usize, _: usize) -> Measure {
        Measure::Moments
    }

    fn distance(&mut self, measured: &ArrayD<f32>, pixels: f64) -> Distance {
        let sums = measured.view().into_dimensionality::<Ix2>().expect("N+1 × N");
        let moments = Moments::new(sums, pixels, EPSILON);
        let (mean, d_mean) = mean_error(&moments.mean, &self.0.mean);
        // Rounding may leave a variance below 0 where a channel is constant.
        let deviation = moments.covariance.diag().mapv(|variance| variance.max(EPSILON * EPSILON).sqrt());
        let (spread, d_spread) = mean_error(&deviation, &self.0.covariance.diag().mapv(|v| v.max(0.0).sqrt()));
        let d_variance = d_spread / (&deviation * 2.0);
        let gradient = moments.pull_back(&d_mean, &Array2::from_diag(&d_variance), pixels);
        Distance { value: mean + spread, gradient }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{gradcheck, sums};
    use super::*;

    #[test]
    fn gradient_is_right() {
        gradcheck(target(&sums(60, 6, 1), TargetOptions { refresh: 1 }), &sums(40, 6, 2), 1e-2);
    }
}
