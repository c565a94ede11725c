//! Masks: how much each part of a picture counts.

use std::path::Path;

use ndarray::Array2;

use super::{Picture, Pixels, load, resized_alpha};
use crate::error::{Error, Result};
use crate::kernels::resample::Resample;
use crate::tensor::FeatureMap;

/// Nothing in a mask that is no brighter than this counts: the noise of a JPEG's black.
pub const BLACK: f32 = 0.02;

/// A mask of any size: how much each pixel counts, from 0 (black) to 1 (white).
#[derive(Clone, Debug, PartialEq)]
pub struct Mask(Array2<f32>);

impl Mask {
    /// Of values (H × W) in [0, 1].
    ///
    /// # Panics
    /// If there are none, or one is beyond.
    #[must_use]
    pub fn new(values: Array2<f32>) -> Self {
        assert!(!values.is_empty() && values.iter().all(|v| (0.0..=1.0).contains(v)), "values of a mask in [0, 1]");
        Mask(values)
    }

    /// The brightness of a picture as its file has it, sRGB-encoded, as far as it is opaque: a grey of half the way from
    /// black to white counts by half.
    #[must_use]
    pub fn of(picture: &Picture) -> Self {
        let (height, width) = (picture.height(), picture.width());
        let value = |(y, x): (usize, usize)| {
            let colour = [0, 1, 2].map(|c| picture.rgb[[y, x, c]]);
            // In `f64`, where the weights add up to 1: white is white.
            let luma: f64 = [0.2126, 0.7152, 0.0722].iter().zip(colour).map(|(w, v)| w * f64::from(v)).sum();
            (luma as f32 * picture.alpha.as_ref().map_or(1.0, |alpha| alpha[[y, x]])).clamp(0.0, 1.0)
        };
        Mask(Array2::from_shape_fn((height, width), value))
    }

    /// A picture's opacity; `None` for one that is opaque.
    #[must_use]
    pub fn opacity(picture: &dyn Pixels) -> Option<Self> {
        let (height, width) = picture.size();
        resized_alpha(picture, height, width).map(Mask)
    }

    /// Reads the picture at `path` as a mask.
    ///
    /// # Errors
    /// Those of [`load`]; [`Error::Picture`] if it is black all over.
    pub fn load(path: &Path, max_pixels: u64) -> Result<Self> {
        let mask = Mask::of(&load(path, max_pixels)?);
        if mask.is_black() {
            let cause = "this mask is black all over, and what counts in one is white; paint something white".into();
            return Err(Error::Picture { path: path.to_owned(), cause });
        }
        Ok(mask)
    }

    /// White where it was black.
    #[must_use]
    pub fn inverted(self) -> Self {
        Mask(self.0.mapv_into(|v| 1.0 - v))
    }

    /// Whether nothing in it counts.
    #[must_use]
    pub fn is_black(&self) -> bool {
        self.0.iter().all(|&v| v <= BLACK)
    }

    /// Its values (H × W).
    #[must_use]
    pub fn values(&self) -> &Array2<f32> {
        &self.0
    }

    /// The mask at another size (`height` × `width` × 1), by area where it shrinks, between its pixels where it grows.
    #[must_use]
    pub fn resize(&self, height: usize, width: usize) -> FeatureMap {
        let values = self.0.as_standard_layout();
        let mut resized = FeatureMap::zeros(height, width, 1);
        Resample::area(self.0.dim(), (height, width), 1)
            .apply(values.as_slice().expect("in standard layout"), resized.as_mut_slice());
        resized.as_mut_slice().iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        resized
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn a_mask_is_a_pictures_brightness_as_far_as_it_is_opaque() {
        let mut picture =
            Picture::from_rgb(Array3::from_shape_fn((2, 2, 3), |(y, x, _)| [0.0, 0.5, 1.0, 1.0][2 * y + x]));
        assert_eq!(Mask::of(&picture).values().as_slice().unwrap(), [0.0, 0.5, 1.0, 1.0]);
        assert!(Mask::opacity(&picture).is_none());
        picture.alpha = Some(ndarray::arr2(&[[1.0, 1.0], [1.0, 0.25]]));
        assert_eq!(Mask::of(&picture).values().as_slice().unwrap(), [0.0, 0.5, 1.0, 0.25]);
        assert_eq!(Mask::opacity(&picture).unwrap().inverted().values(), ndarray::arr2(&[[0.0, 0.0], [0.0, 0.75]]));
    }

    #[test]
    fn a_mask_keeps_its_mean_and_range_at_any_size() {
        let mask = Mask::new(Array2::from_shape_fn((37, 50), |(y, x)| if x + y < 40 { 1.0 } else { 0.0 }));
        let mean = |map: &FeatureMap| map.as_slice().iter().sum::<f32>() / map.pixels() as f32;
        let whole = mean(&mask.resize(37, 50));
        for (height, width) in [(18, 25), (5, 3), (100, 20), (64, 80)] {
            let resized = mask.resize(height, width);
            assert!((mean(&resized) - whole).abs() < 0.01, "{height} × {width}");
            assert!(resized.as_slice().iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }

    #[test]
    fn what_is_black_all_over_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        let load = |grey: u8| {
            image::GrayImage::from_pixel(20, 16, image::Luma([grey])).save(&path).unwrap();
            Mask::load(&path, u64::MAX)
        };
        assert!(load(3).unwrap_err().to_string().contains("mask.png: this mask is black all over"));
        assert!(!load(255).unwrap().is_black());
    }
}
