//! First and second moments of pixels that count by a mask, and their gradient.
//!
//! ```text
//!   g = (√m·f, √m)        Σ g gᵀ =  │ Σ m f fᵀ   Σ m f │        m in [0, 1], a number for each pixel
//!                                   │ Σ m fᵀ     Σ m   │
//! ```
//!
//! One Gram matrix of features that are weighted beforehand, with one channel more, holds all that is wanted. So these
//! sums are as exact as others, and additive: of rows that come some at a time they are, to the bit, those of the whole.
//! Weighted features are made and given up some pixels at a time, in `f32` whatever the map's type.

use ndarray::{Array2, s};
use rayon::prelude::*;

use super::gram::{self, Affine};
use super::scratch;
use super::simd::Element;
use crate::tensor::FeatureMap;

/// Elements that are weighted at a time, at most.
const WEIGHTED: usize = 1 << 21;

/// Elements of features that one task differentiates.
const TASK: usize = 1 << 17;

/// Σ m f fᵀ and below it Σ m f (N+1 × N), F (M × N), m (M).
///
/// # Panics
/// If the mask has not a number for each pixel.
#[must_use]
pub fn moments<E: Element>(features: &FeatureMap<E>, mask: &[f32]) -> Array2<f32> {
    let mut sums = Sums::new(features.width(), features.channels());
    sums.add(features.as_slice(), mask);
    sums.finish()
}

/// [`moments`] of a map that is not there whole: its rows come in order, some at a time. To the bit what they are of the
/// whole.
#[derive(Debug)]
pub struct Sums {
    weighted: gram::Sums<f32>,
    channels: usize,
}

impl Sums {
    /// Of maps of so many columns and channels.
    #[must_use]
    pub fn new(width: usize, channels: usize) -> Self {
        Sums { weighted: gram::Sums::new(width, channels + 1, false), channels }
    }

    /// Takes the next rows of F in, with the mask there.
    ///
    /// # Panics
    /// If the mask has not a number for each pixel.
    pub fn add<E: Element>(&mut self, rows: &[E], mask: &[f32]) {
        let n = self.channels;
        assert_eq!(rows.len(), mask.len() * n, "a number for each pixel");
        let most = (WEIGHTED / (n + 1)).max(1);
        for (rows, mask) in rows.chunks(most * n).zip(mask.chunks(most)) {
            scratch::with(mask.len() * (n + 1), |weighted| {
                let pixels = rows.par_chunks_exact(n).zip(mask);
                weighted.par_chunks_exact_mut(n + 1).zip(pixels).with_min_len(256).for_each(|(g, (f, m))| {
                    let root = m.sqrt();
                    g[n] = root;
                    g.iter_mut().zip(f).for_each(|(g, f)| *g = root * f.to_f32());
                });
                self.weighted.add(weighted);
            });
        }
    }

    /// The sums (N+1 × N), after the last row.
    #[must_use]
    pub fn finish(self) -> Array2<f32> {
        self.weighted.finish().slice(s![.., ..self.channels]).to_owned()
    }
}

/// `d_F ← β·d_F + m·(F·S + 1·r)`. With β = 0 d_F is not read.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward<E: Element>(
    features: &FeatureMap<E>,
    mask: &[f32],
    map: Affine<'_>,
    beta: f32,
    d_features: &mut FeatureMap<E>,
) {
    assert_eq!(features.dim(), d_features.dim(), "d_F has F's shape");
    assert_eq!(features.pixels(), mask.len(), "a number for each pixel");
    let n = features.channels();
    let pixels = (TASK / n.max(1)).max(1);
    let parts = features.as_slice().par_chunks(pixels * n).zip(mask.par_chunks(pixels));
    d_features.as_mut_slice().par_chunks_mut(pixels * n).zip(parts).for_each(|(d, (features, mask))| {
        let wide = features.iter().map(|f| f.to_f32()).collect();
        let mut part = FeatureMap::from_vec(1, mask.len(), n, wide);
        gram::backward_over(&mut part, map);
        for ((d, part), &m) in d.chunks_exact_mut(n).zip(part.as_slice().chunks_exact(n)).zip(mask) {
            d.iter_mut().zip(part).for_each(|(d, part)| {
                *d = E::from_f32(if beta == 0.0 { m * part } else { beta * d.to_f32() + m * part });
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{random_map, random_tensor};

    fn mask(pixels: usize) -> Vec<f32> {
        // Black, white and greys.
        random_map(1, pixels, 1, 7).as_slice().iter().map(|v| (0.8 * v + 0.5).clamp(0.0, 1.0)).collect()
    }

    /// By their definition, in `f64`.
    fn reference(features: &FeatureMap, mask: &[f32]) -> Array2<f64> {
        let n = features.channels();
        let mut sums = Array2::zeros((n + 1, n));
        for (f, &m) in features.as_slice().chunks(n).zip(mask) {
            for j in 0..n {
                let weighted = f64::from(m) * f64::from(f[j]);
                (0..n).for_each(|i| sums[[i, j]] += weighted * f64::from(f[i]));
                sums[[n, j]] += weighted;
            }
        }
        sums
    }

    #[test]
    fn sums_of_any_shape_are_those_of_the_definition() {
        for (height, width, channels) in [(1, 1, 1), (5, 7, 3), (9, 31, 16), (13, 17, 33), (40, 50, 64), (3, 5, 129)] {
            let features = random_map(height, width, channels, 1);
            let mask = mask(height * width);
            let expected = reference(&features, &mask);
            let found = moments(&features, &mask);
            // Sums of up to 2000 products of at most 1, whose roots of weights are rounded, too.
            for (found, expected) in found.iter().zip(&expected) {
                let most = 1e-5 + 1e-5 * expected.abs();
                assert!((f64::from(*found) - expected).abs() < most, "{height}×{width}×{channels}");
            }
        }
    }

    #[test]
    fn rows_that_come_some_at_a_time_have_the_sums_of_the_whole_to_the_bit() {
        for (height, width, channels) in [(40, 50, 64), (23, 61, 24)] {
            let features = random_map(height, width, channels, 2);
            let mask = mask(height * width);
            let whole = moments(&features, &mask);
            for rows in [1, 4, 7] {
                let mut sums = Sums::new(width, channels);
                let parts = features.as_slice().chunks(rows * width * channels).zip(mask.chunks(rows * width));
                parts.for_each(|(features, mask)| sums.add(features, mask));
                assert_eq!(sums.finish(), whole);
            }
        }
    }

    #[test]
    fn a_white_mask_is_none_but_for_rounding() {
        let features = random_map(11, 13, 20, 3);
        let (found, expected) = (moments(&features, &[1.0; 143]), gram::moments(&features));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn gradients_are_those_of_the_definition_and_add_up() {
        for (height, width, channels) in [(1, 1, 1), (5, 7, 3), (13, 17, 33), (40, 50, 64)] {
            let features = random_map(height, width, channels, 1);
            let mask = mask(height * width);
            let s = random_tensor(&[channels, channels], 4).into_dimensionality().unwrap();
            let row = random_tensor(&[channels], 5).into_raw_vec_and_offset().0;
            let map = Affine { s: s.view(), row: Some(&row) };
            let mut expected = FeatureMap::zeros(height, width, channels);
            gram::reference_backward(&features, map, 0.0, &mut expected);
            let pixels = expected.as_mut_slice().chunks_mut(channels).zip(&mask);
            pixels.for_each(|(d, m)| d.iter_mut().for_each(|d| *d *= m));
            let mut found = FeatureMap::from_vec(height, width, channels, vec![f32::NAN; height * width * channels]);
            for times in [1.0, 2.0] {
                backward(&features, &mask, map, times - 1.0, &mut found);
                // Sums of up to 65 products of at most 1.
                let pairs = found.as_slice().iter().zip(expected.as_slice());
                assert!(pairs.clone().all(|(a, b)| (a - times * b).abs() < 1e-4), "{height}×{width}×{channels}");
            }
        }
    }
}
