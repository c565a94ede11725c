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

    // ANCHOR: add
    /// Takes a picture in.
    pub fn add(&mut self, picture: &[f32]) {
        let (decay, share) = (self.decay as f32, (1.0 - self.decay) as f32);
        let pairs = self.sum.par_chunks_mut(BLOCK).zip_eq(picture.par_chunks(BLOCK));
        pairs.for_each(|(sum, x)| sum.iter_mut().zip(x).for_each(|(sum, x)| *sum = decay * *sum + share * x));
        self.weight = self.decay * self.weight + (1.0 - self.decay);
    }
    // ANCHOR_END: add

    /// Whether it is of no pictures.
    pub fn is_empty(&self) -> bool {
        self.weight == 0.0
    }

    /// Makes x the average, in [0, 1] as its pictures are. Of no pictures there is none.
    pub fn write(&self, x: &mut FeatureMap) {
        assert!(!self.is_empty(), "the average of no pictures");
        let scale = (1.0 / self.weight) as f32;
        let pairs = x.as_mut_slice().par_chunks_mut(BLOCK).zip_eq(self.sum.par_chunks(BLOCK));
        pairs.for_each(|(x, sum)| x.iter_mut().zip(sum).for_each(|(x, sum)| *x = (sum * scale).clamp(0.0, 1.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_equal_pictures_is_that_picture_from_the_start() {
        let picture = FeatureMap::from_vec(1, 1, 3, vec![0.25, 0.5, 1.0]);
        let mut average = Average::new(0.99, 3);
        let mut found = picture.clone();
        assert!(average.is_empty());
        for _ in 0..50 {
            average.add(picture.as_slice());
            average.write(&mut found);
            for (mean, x) in found.as_slice().iter().zip(picture.as_slice()) {
                // Fifty roundings of a sum that grows to half of x.
                assert!((mean - x).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_average_weighs_the_latest_most() {
        let at = |x: f32| FeatureMap::from_vec(1, 1, 1, vec![x]);
        let mut average = Average::new(0.5, 1);
        average.add(at(0.0).as_slice());
        average.add(at(1.0).as_slice());
        // (½·0·½ + ½·1) / (¼ + ½)
        let mut found = at(0.0);
        average.write(&mut found);
        assert!((found.as_slice()[0] - 2.0 / 3.0).abs() < 1e-6);
    }
}
