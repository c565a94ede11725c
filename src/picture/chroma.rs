//! The colour of one picture on the brightness of another.
//!
//! ```text
//!   photograph ─▶ a, b ────▶ guided filter ─▶ a, b ─┐
//!                                 ▲                 ├─▶ OkLab ─▶ sRGB
//!   result ─────▶ L ──────────────┴─────────▶ L ────┘
//! ```
//!
//! Put on as it is, a photograph's colour has its edges where the photograph has them, and the result's strokes have
//! theirs elsewhere: beside every outline is a rim of the wrong colour. So colour is filtered with the result for a guide.
//! In each neighbourhood it becomes the linear function of the result's lightness that comes nearest to it: where both
//! have an edge, colour changes where the lightness does, and where colour is even, it stays so whatever the strokes do.
//!
//! Slopes change slowly, and are found on a grid: it costs next to nothing, whatever the picture's size.
//!
//! Sources: He, Sun & Tang, *Guided Image Filtering*, 2013; He & Sun, *Fast Guided Filter*, 2015, arXiv:1505.00996. Windows
//! are Gaussian here.

use ndarray::{Array2, CowArray, Ix3};
use rayon::prelude::*;

use super::{Picture, fit, oklab};
use crate::kernels::resample::{Interpolation, Resample};

/// The longer side of the grid on which slopes are found.
const GRID: u32 = 256;

/// A neighbourhood on the grid: standard deviation and radius of a Gaussian.
const NEIGHBOURHOOD: (f64, usize) = (2.0, 6);

/// A lightness that varies by the root of this, or less, has no edge that colour should follow.
const STILL: f32 = 4e-4;

/// A neighbourhood of which less than this is seen has no colour of its own.
const FAINTEST: f32 = 1e-3;

/// Bytes a pixel that are kept of a picture.
pub const BYTES: u64 = 2 * 4;

/// What of a picture is colour and not lightness: a and b of [`oklab`].
#[derive(Clone, Debug)]
pub struct Chroma {
    /// (H × W × 2).
    ab: Vec<[f32; 2]>,
    size: (usize, usize),
    opacity: Option<Array2<f32>>,
}

impl Chroma {
    /// Of a picture.
    #[must_use]
    pub fn of(picture: &Picture) -> Self {
        let rgb = picture.rgb.as_standard_layout();
        let ab = pixels(&rgb).par_iter().map(|&rgb| {
            let [_, a, b] = oklab::from_srgb(rgb);
            [a, b]
        });
        let size = (picture.height(), picture.width());
        Chroma { ab: ab.collect(), size, opacity: picture.alpha.clone() }
    }

    /// Gives a picture of the same size this colour; its lightness stays, and its opacity.
    ///
    /// Where sRGB does not have a colour of that lightness, the nearest of its hue that it has. Transparent pixels have no
    /// say in what their neighbours become.
    ///
    /// # Panics
    /// If the picture has another size.
    pub fn give(&self, picture: &mut Picture) {
        assert_eq!((picture.height(), picture.width()), self.size, "colour for every pixel");
        let slopes = self.slopes(picture);
        let pixels = pixels_mut(picture).par_iter_mut().zip(&slopes);
        pixels.for_each(|(rgb, &[slope_a, at_a, slope_b, at_b])| {
            let lightness = oklab::from_srgb(*rgb)[0];
            *rgb = oklab::to_srgb([lightness, slope_a * lightness + at_a, slope_b * lightness + at_b]);
        });
    }

    /// The linear functions of lightness that a and b are near each pixel: slope and value at 0 of each.
    fn slopes(&self, picture: &Picture) -> Vec<[f32; 4]> {
        let (height, width) = self.size;
        let longest = GRID.min(height.max(width) as u32);
        let grid = fit(longest, height, width);
        let seen = self.on_grid(picture, grid);
        let moments: Vec<[f32; 7]> = seen
            .iter()
            .map(|&[w, wl, wa, wb]| {
                let lightness = wl / w.max(FAINTEST);
                [w, wl, lightness * wl, wa, wb, lightness * wa, lightness * wb]
            })
            .collect();
        let fits: Vec<[f32; 5]> = blurred(&moments, grid).iter().map(fitted).collect();
        let slopes: Vec<[f32; 4]> = blurred(&fits, grid)
            .iter()
            .map(|&[w, slope_a, at_a, slope_b, at_b]| [slope_a, at_a, slope_b, at_b].map(|sum| sum / w.max(FAINTEST)))
            .collect();
        resampled(&slopes, grid, self.size)
    }

    /// Opacity, and the lightness of a picture, a and b times it, on the grid.
    fn on_grid(&self, picture: &Picture, grid: (usize, usize)) -> Vec<[f32; 4]> {
        let opacity = self.opacity.as_ref().map(|opacity| opacity.as_standard_layout());
        let opacity = opacity.as_ref().and_then(|opacity| opacity.as_slice());
        let rgb = picture.rgb.as_standard_layout();
        let colours = pixels(&rgb).par_iter().zip(&self.ab).enumerate();
        let weighed: Vec<[f32; 4]> = colours
            .map(|(i, (&rgb, &[a, b]))| {
                let w = opacity.map_or(1.0, |opacity| opacity[i]);
                [w, w * oklab::from_srgb(rgb)[0], w * a, w * b]
            })
            .collect();
        resampled(&weighed, self.size, grid)
    }
}

/// Slope and value at 0 of both lines, times how much of the neighbourhood is seen, which comes first.
fn fitted(&[w, l, ll, a, b, la, lb]: &[f32; 7]) -> [f32; 5] {
    let [l, ll, a, b, la, lb] = [l, ll, a, b, la, lb].map(|sum| sum / w.max(FAINTEST));
    let variance = (ll - l * l).max(0.0);
    let line = |c: f32, lc: f32| {
        let slope = (lc - l * c) / (variance + STILL);
        [slope, c - slope * l]
    };
    let ([slope_a, at_a], [slope_b, at_b]) = (line(a, la), line(b, lb));
    [w, w * slope_a, w * at_a, w * slope_b, w * at_b]
}

fn blurred<const N: usize>(map: &[[f32; N]], size: (usize, usize)) -> Vec<[f32; N]> {
    let (deviation, radius) = NEIGHBOURHOOD;
    let mut blurred = vec![[0.0; N]; map.len()];
    Resample::blur(size, N, deviation, radius).apply(map.as_flattened(), blurred.as_flattened_mut());
    blurred
}

fn resampled<const N: usize>(map: &[[f32; N]], from: (usize, usize), to: (usize, usize)) -> Vec<[f32; N]> {
    let mut resampled = vec![[0.0; N]; to.0 * to.1];
    let resample = Resample::new(Interpolation::Antialiased, from, to, N);
    resample.apply(map.as_flattened(), resampled.as_flattened_mut());
    resampled
}

/// A grey picture of the same lightness; opacity stays.
pub fn drain(picture: &mut Picture) {
    pixels_mut(picture).par_iter_mut().for_each(|rgb| *rgb = [oklab::grey(oklab::from_srgb(*rgb)[0]); 3]);
}

fn pixels<'a>(rgb: &'a CowArray<'_, f32, Ix3>) -> &'a [[f32; 3]] {
    rgb.as_slice().expect("in standard layout").as_chunks::<3>().0
}

fn pixels_mut(picture: &mut Picture) -> &mut [[f32; 3]] {
    if !picture.rgb.is_standard_layout() {
        picture.rgb = picture.rgb.as_standard_layout().into_owned();
    }
    picture.rgb.as_slice_mut().expect("in standard layout").as_chunks_mut::<3>().0
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};

    use super::*;

    /// Colours that change slowly over greys that change faster.
    fn photograph(height: usize, width: usize) -> Picture {
        Picture::from_rgb(Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
            let slow = (0.13 * y as f32 + c as f32).sin() + (0.11 * x as f32 - 2.0 * c as f32).cos();
            0.5 + 0.07 * slow + 0.05 * (0.8 * (x + y) as f32).sin()
        }))
    }

    /// Strokes that have nothing to do with it.
    fn strokes(height: usize, width: usize) -> Picture {
        Picture::from_rgb(Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
            0.5 + 0.1 * (0.9 * x as f32 + 1.7 * y as f32).sin() - 0.05 * c as f32
        }))
    }

    fn given(photograph: &Picture, result: &Picture) -> Picture {
        let mut given = result.clone();
        Chroma::of(photograph).give(&mut given);
        given
    }

    fn lab(picture: &Picture) -> Vec<[f32; 3]> {
        let rgb = picture.rgb.as_standard_layout();
        pixels(&rgb).iter().map(|&rgb| oklab::from_srgb(rgb)).collect()
    }

    /// Mean of a and b, and their covariance: aa, ab, bb.
    fn statistics(picture: &Picture) -> [f64; 5] {
        let lab = lab(picture);
        let mean = |f: &dyn Fn(&[f32; 3]) -> f64| lab.iter().map(f).sum::<f64>() / lab.len() as f64;
        let at = |k: usize| move |lab: &[f32; 3]| f64::from(lab[k]);
        let (a, b) = (mean(&at(1)), mean(&at(2)));
        let product = |i: usize, j: usize| mean(&|lab: &[f32; 3]| f64::from(lab[i]) * f64::from(lab[j]));
        [a, b, product(1, 1) - a * a, product(1, 2) - a * b, product(2, 2) - b * b]
    }

    #[test]
    fn mean_and_covariance_of_the_colour_are_the_photographs() {
        // One that is its own grid, and one that is not.
        for (height, width) in [(48, 61), (160, 300)] {
            let photograph = photograph(height, width);
            let found = statistics(&given(&photograph, &strokes(height, width)));
            let expected = statistics(&photograph);
            // Colours are averaged over neighbourhoods of some pixels, twice, and change over 50: a fifth of their variance
            // goes with that.
            for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
                let tolerance = if k < 2 { 2e-3 } else { 0.2 * (expected.abs() + 1e-4) };
                assert!((found - expected).abs() < tolerance, "{height}×{width} {k}: {found} {expected}");
            }
        }
    }

    #[test]
    fn lightness_stays() {
        let strokes = strokes(40, 50);
        let given = given(&photograph(40, 50), &strokes);
        assert!(lab(&given).iter().zip(lab(&strokes)).all(|(a, b)| (a[0] - b[0]).abs() < 2e-3));
    }

    #[test]
    fn a_grey_photograph_makes_a_grey_picture() {
        let mut grey = photograph(32, 40);
        drain(&mut grey);
        let given = given(&grey, &strokes(32, 40));
        assert!(lab(&given).iter().all(|lab| lab[1].abs() < 1e-3 && lab[2].abs() < 1e-3));
    }

    #[test]
    fn colour_changes_where_the_result_has_its_edge() {
        // A dark blue and a bright orange side, the result's edge two pixels left of the photograph's.
        let sides = |edge: usize, left: [f32; 3], right: [f32; 3]| {
            Picture::from_rgb(Array3::from_shape_fn((32, 64, 3), |(_, x, c)| if x < edge { left[c] } else { right[c] }))
        };
        let photograph = sides(32, [0.1, 0.2, 0.5], [0.9, 0.6, 0.3]);
        let result = sides(30, [0.25; 3], [0.7; 3]);
        let lab = lab(&given(&photograph, &result));
        let b = |x: usize| lab[16 * 64 + x][2];
        let (blue, orange) = (b(8), b(56));
        assert!(blue < -0.05 && orange > 0.05, "{blue} {orange}");
        let steps = [b(30) - b(29), b(32) - b(31)];
        assert!(steps[0] > 0.35 * (orange - blue) && steps[1].abs() < 0.4 * steps[0], "{steps:?} of {}", orange - blue);
    }

    #[test]
    fn colours_that_are_not_seen_do_not_bleed() {
        let hide = |mut picture: Picture, colour: [f32; 3]| {
            picture.alpha = Some(Array2::from_shape_fn((32, 48), |(_, x)| if x < 24 { 1.0 } else { 0.0 }));
            for (c, colour) in colour.into_iter().enumerate() {
                picture.rgb.slice_mut(s![.., 24.., c]).fill(colour);
            }
            picture
        };
        let strokes = strokes(32, 48);
        let red = given(&hide(photograph(32, 48), [1.0, 0.0, 0.0]), &strokes);
        let blue = given(&hide(photograph(32, 48), [0.0, 0.0, 1.0]), &strokes);
        let seen = s![.., ..24, ..];
        let pairs = red.rgb.slice(seen).into_iter().zip(blue.rgb.slice(seen)).map(|(a, b)| (a - b).abs());
        assert!(pairs.fold(0.0, f32::max) < 1e-3);
    }

    #[test]
    fn a_picture_that_lies_otherwise_in_memory_is_the_same_picture() {
        let picture = photograph(20, 24);
        let mut turned = picture.clone();
        turned.rgb =
            picture.rgb.clone().permuted_axes([1, 0, 2]).as_standard_layout().into_owned().permuted_axes([1, 0, 2]);
        assert_eq!(given(&turned, &turned).rgb, given(&picture, &picture).rgb);
    }
}
