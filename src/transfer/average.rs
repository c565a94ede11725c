//! The running average of the iterates.

use rayon::prelude::*;

use crate::kernels::reduce::BLOCK;
use crate::state::{Found, Saved};
use crate::tensor::FeatureMap;

/// Bias-corrected exponential average of pictures: `Σ dⁿ⁻ⁱ xᵢ / Σ dⁿ⁻ⁱ`.
///
/// Adam's iterates jitter by about the learning rate around where they are going;
/// their average does not.
#[derive(Clone, Debug)]
pub struct Average {
    decay: f64,
    sum: Vec<f32>,
    /// Total weight of the terms in `sum`.
    weight: f64,
}

impl Average {
    /// Of no pictures yet, of `length` elements.
    pub fn new(decay: f64, length: usize) -> Self {
        Average { decay, sum: vec![0.0; length], weight: 0.0 }
    }

    /// Keeps the sum and its weight.
    pub fn save<'a>(&'a self, saved: &mut Saved<'a>) {
        saved.array("average.sum", &[self.sum.len()], &self.sum);
        saved.small("average.weight", &self.weight);
    }

    /// What was kept.
    pub fn load(decay: f64, length: usize, found: &Found) -> Result<Self, String> {
        Ok(Average { decay, sum: found.array("average.sum", &[length])?, weight: found.small("average.weight")? })
    }

    /// Takes a picture in.
    pub fn add(&mut self, picture: &FeatureMap) {
        let (decay, share) = (self.decay as f32, (1.0 - self.decay) as f32);
        let pairs = self.sum.par_chunks_mut(BLOCK).zip_eq(picture.as_slice().par_chunks(BLOCK));
        pairs.for_each(|(sum, x)| sum.iter_mut().zip(x).for_each(|(sum, x)| *sum = decay * *sum + share * x));
        self.weight = self.decay * self.weight + (1.0 - self.decay);
    }

    /// The average, in [0, 1] as its pictures are; `None` of no pictures.
    pub fn get(&self, (height, width, channels): (usize, usize, usize)) -> Option<FeatureMap> {
        let scale = (1.0 / self.weight) as f32;
        (self.weight > 0.0).then(|| {
            let mean = self.sum.par_iter().map(|sum| (sum * scale).clamp(0.0, 1.0)).collect();
            FeatureMap::from_vec(height, width, channels, mean)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_equal_pictures_is_that_picture_from_the_start() {
        let picture = FeatureMap::from_vec(1, 1, 3, vec![0.25, 0.5, 1.0]);
        let mut average = Average::new(0.99, 3);
        assert!(average.get((1, 1, 3)).is_none());
        for _ in 0..50 {
            average.add(&picture);
            for (mean, x) in average.get((1, 1, 3)).unwrap().as_slice().iter().zip(picture.as_slice()) {
                // Fifty roundings of a sum that grows to half of x.
                assert!((mean - x).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_average_weighs_the_latest_most() {
        let at = |x: f32| FeatureMap::from_vec(1, 1, 1, vec![x]);
        let mut average = Average::new(0.5, 1);
        average.add(&at(0.0));
        average.add(&at(1.0));
        // (½·0·½ + ½·1) / (¼ + ½)
        assert!((average.get((1, 1, 1)).unwrap().as_slice()[0] - 2.0 / 3.0).abs() < 1e-6);
    }
}
