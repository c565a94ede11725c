//! Seconds of repeated measurements, and how far they can be trusted.

use serde::{Deserialize, Serialize};

/// A measurement whose quartiles lie further apart than this part of the median is noisy.
pub const NOISY: f64 = 0.1;

/// Repeated measurements of one thing, in seconds.
///
/// The median is what is reported: on a machine shared with others the mean
/// belongs to the slowest repeat. The range is printed beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The fastest.
    pub min: f64,
    /// The slowest.
    pub max: f64,
    /// Distance between the quartiles.
    pub iqr: f64,
    /// All of them in the order they were taken.
    pub all: Vec<f64>,
}

impl Sample {
    /// Sums up measurements.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(all: Vec<f64>) -> Self {
        assert!(!all.is_empty(), "a sample has at least one measurement");
        let mut sorted = all.clone();
        sorted.sort_by(f64::total_cmp);
        Sample {
            median: quantile(&sorted, 0.5),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            iqr: quantile(&sorted, 0.75) - quantile(&sorted, 0.25),
            all,
        }
    }

    // ANCHOR: noisy
    /// Whether the middle half of the repeats spreads over more than [`NOISY`] of the median.
    #[must_use]
    pub fn noisy(&self) -> bool {
        self.iqr > NOISY * self.median
    }
    // ANCHOR_END: noisy

    /// Whether the two ranges have a time in common: then a difference of the medians may be chance.
    #[must_use]
    pub fn overlaps(&self, other: &Sample) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// Interpolated linearly between the two nearest of `sorted`.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_quartiles_are_interpolated() {
        let sample = Sample::new(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!((sample.median, sample.min, sample.max, sample.iqr), (2.5, 1.0, 4.0, 1.5));
        assert_eq!(sample.all, [4.0, 1.0, 3.0, 2.0]);
        let one = Sample::new(vec![7.0]);
        assert_eq!((one.median, one.iqr), (7.0, 0.0));
    }

    #[test]
    fn one_slow_repeat_in_five_is_no_noise_but_two_are() {
        assert!(!Sample::new(vec![1.0, 1.01, 1.02, 1.03, 9.0]).noisy());
        assert!(Sample::new(vec![1.0, 1.01, 1.02, 1.9, 2.0]).noisy());
    }

    #[test]
    fn ranges_overlap_when_they_share_a_time() {
        let sample = |min, max| Sample::new(vec![min, max]);
        assert!(sample(1.0, 2.0).overlaps(&sample(2.0, 3.0)));
        assert!(sample(1.0, 4.0).overlaps(&sample(2.0, 3.0)));
        assert!(!sample(1.0, 2.0).overlaps(&sample(2.1, 3.0)));
    }
}
