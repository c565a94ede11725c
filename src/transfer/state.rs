//! What is carried from iteration to iteration, and from scale to scale.

use ndarray::Array3;

use crate::config::Config;
use crate::optim::{Adam, AdamOptions};
use crate::picture::{Filter, Picture, resize_map};
use crate::tensor::FeatureMap;

/// The picture, the optimiser's memory of it, and its running average.
pub struct State {
    picture: FeatureMap,
    adam: Adam,
    average: Option<Average>,
}

impl State {
    /// The start of a run.
    pub fn new(config: &Config, picture: Picture) -> Self {
        let picture = FeatureMap::from_array(&picture.rgb);
        let options = AdamOptions {
            learning_rate: config.learning_rate,
            beta1: config.beta1,
            beta2: config.beta2,
            epsilon: config.epsilon,
        };
        let adam = Adam::new(options, picture.as_slice().len());
        let average = config.average.map(|decay| Average::new(decay, &picture));
        State { picture, adam, average }
    }

    /// The iterate (H × W × 3).
    pub fn picture(&self) -> &FeatureMap {
        &self.picture
    }

    /// What the run would return now: the average if there is one, else the iterate.
    pub fn result(&self) -> Picture {
        Picture::from_rgb(match &self.average {
            Some(average) => average.get(self.picture.dim()),
            None => self.picture.clone().into_array(),
        })
    }

    /// One step of Adam; every value stays in [0, 1].
    pub fn update(&mut self, gradient: &FeatureMap) {
        self.adam.step(self.picture.as_mut_slice(), gradient.as_slice());
        self.picture.as_mut_slice().iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
        if let Some(average) = &mut self.average {
            average.add(&self.picture);
        }
    }

    /// The same state at another size: the result enlarged, Adam's moments with it
    /// (the second bilinearly, since a bicubic's overshoot could be negative).
    pub fn at_scale(self, height: usize, width: usize) -> Self {
        let (old_height, old_width, channels) = self.picture.dim();
        if (old_height, old_width) == (height, width) {
            return self;
        }
        let picture = FeatureMap::from_array(&self.result().resize(height, width).rgb);
        let adam = self.adam.resampled(|moment, second| {
            let moment =
                Array3::from_shape_vec((old_height, old_width, channels), moment).expect("one moment per element");
            let filter = if second { Filter::Bilinear } else { Filter::Bicubic };
            resize_map(&moment, height, width, filter).into_raw_vec_and_offset().0
        });
        let average = self.average.map(|average| Average::new(average.decay, &picture));
        State { picture, adam, average }
    }
}

/// Bias-corrected exponential average of the iterates.
///
/// Adam's iterates jitter by about the learning rate around where they are going;
/// their average does not.
struct Average {
    decay: f64,
    sum: Vec<f32>,
    /// Total weight of the terms in `sum`.
    weight: f64,
}

impl Average {
    fn new(decay: f64, first: &FeatureMap) -> Self {
        let mut average = Average { decay, sum: vec![0.0; first.as_slice().len()], weight: 0.0 };
        average.add(first);
        average
    }

    fn add(&mut self, picture: &FeatureMap) {
        let (decay, share) = (self.decay as f32, (1.0 - self.decay) as f32);
        self.sum.iter_mut().zip(picture.as_slice()).for_each(|(sum, x)| *sum = decay * *sum + share * x);
        self.weight = self.decay * self.weight + (1.0 - self.decay);
    }

    fn get(&self, dim: (usize, usize, usize)) -> Array3<f32> {
        let scale = (1.0 / self.weight) as f32;
        let mean = self.sum.iter().map(|sum| (sum * scale).clamp(0.0, 1.0)).collect();
        Array3::from_shape_vec(dim, mean).expect("one mean per element")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_equal_pictures_is_that_picture_from_the_start() {
        let picture = FeatureMap::from_vec(1, 1, 3, vec![0.25, 0.5, 1.0]);
        let mut average = Average::new(0.99, &picture);
        for _ in 0..50 {
            average.add(&picture);
            for (mean, x) in average.get((1, 1, 3)).iter().zip(picture.as_slice()) {
                // Fifty roundings of a sum that grows to half of x.
                assert!((mean - x).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_average_weighs_the_latest_most() {
        let at = |x: f32| FeatureMap::from_vec(1, 1, 1, vec![x]);
        let mut average = Average::new(0.5, &at(0.0));
        average.add(&at(1.0));
        // (½·0·½ + ½·1) / (¼ + ½)
        assert!((average.get((1, 1, 1))[[0, 0, 0]] - 2.0 / 3.0).abs() < 1e-6);
    }
}
