//! Grain taken out of a finished picture's flats.
//!
//! Optimised pictures keep a fine grain where the painting is still: it costs the losses little. So the amplitude of
//! the finest details is brought to the painting's, rank by rank: where the picture is stillest it becomes as still as
//! the painting at its stillest, and so on up to the edges. Nothing is made livelier.
//!
//! ```text
//!   amplitude
//!      │              ╱ u       u: the picture's, sorted
//!      │          ╱   ╱ v       v: the painting's, sorted
//!      │      ╱   ╱
//!      │  ╱   ╱                 gain of a pixel = min(1, v / u) at the rank of its u
//!      │  ╱
//!      └────────────────▶ rank
//! ```
//!
//! This is done in each of the finest levels of a Laplacian pyramid; the others stay as they are.

use rayon::prelude::*;

use super::canvas::{Canvas, Level};
use crate::kernels::resample::Resample;
use crate::kernels::variation::Edges;
use crate::picture::Picture;
use crate::tensor::FeatureMap;

/// The neighbourhood whose amplitude is taken: standard deviation and radius of a Gaussian, in pixels of the level.
const NEIGHBOURHOOD: (f64, usize) = (2.0, 7);

/// Ranks between which amplitudes are interpolated.
const QUANTILES: usize = 512;

/// Of this many amplitudes and more, every second, third … is enough to know the quantiles.
const SAMPLE: usize = 200_000;

/// Added to the distance of two quantiles, which may be the same.
const LEAST_DISTANCE: f32 = 1e-9;

/// An amplitude below this is divided by as if it were this large.
const LEAST_AMPLITUDE: f32 = 1e-6;

/// Pixels in one task.
const PIXELS: usize = 1 << 13;

/// How lively a painting is in each of its finest levels: what pictures are calmed to.
#[derive(Clone, Debug)]
pub struct Stillness {
    /// So many levels were asked for.
    levels: usize,
    /// The amplitudes' quantiles in each, the finest first.
    quantiles: Vec<Vec<f32>>,
}

impl Stillness {
    /// Of the finest `levels` of a painting.
    #[must_use]
    pub fn of(painting: &Picture, levels: usize) -> Self {
        Self::of_part(painting, levels, None)
    }

    /// Of what a mask (H × W × 1) shows of a painting by half or more.
    #[must_use]
    pub fn of_part(painting: &Picture, levels: usize, mask: Option<&FeatureMap>) -> Self {
        let canvas = canvas(painting, levels);
        let theta = canvas.encode(&FeatureMap::from_array(painting.rgb.clone()));
        let divided = canvas.levels().split_last().expect("at least one level").1;
        let quantiles = divided
            .iter()
            .map(|level| quantiles(&shown(amplitudes(level, Edges::Open, &theta[level.range()]), level, mask)));
        Stillness { levels, quantiles: quantiles.collect() }
    }

    /// Of several paintings, each with its share: at each rank the average of their amplitudes. One that is too small for
    /// a level has no say in it. `None` of none.
    #[must_use]
    pub fn blend(parts: &[(f64, Stillness)]) -> Option<Self> {
        let deepest = parts.iter().map(|(_, part)| part.quantiles.len()).max()?;
        let level = |level: usize| {
            let having: Vec<_> =
                parts.iter().filter_map(|(share, part)| Some((share, part.quantiles.get(level)?))).collect();
            let weight: f64 = having.iter().map(|(share, _)| **share).sum();
            let at = |rank: usize| {
                let sum: f64 = having.iter().map(|(share, quantiles)| *share * f64::from(quantiles[rank])).sum();
                (sum / weight) as f32
            };
            (0..QUANTILES).map(at).collect()
        };
        Some(Stillness { levels: parts[0].1.levels, quantiles: (0..deepest).map(level).collect() })
    }

    /// Makes the finest levels of a picture no livelier, and clamps it to [0, 1]; its opacity stays.
    ///
    /// Both are taken apart into pyramids of up to `levels` + 1 levels, see [`Canvas`]. The amplitude at a pixel is the
    /// root of its coefficients' squares, added over the colours and averaged over the neighbourhood (a Gaussian of σ =
    /// 2, 15 pixels wide, the border pixel repeated, or around the edges where those are joined). A picture that has not
    /// as many levels as the painting, or only one, stays as it is.
    pub fn calm(&self, picture: &mut Picture, edges: Edges) {
        self.calm_part(picture, edges, None);
    }

    /// The same with the ranks that amplitudes have where a mask (H × W × 1) shows the picture by half or more.
    pub fn calm_part(&self, picture: &mut Picture, edges: Edges, mask: Option<&FeatureMap>) {
        let own = Canvas::build(self.levels + 1, edges, picture.height(), picture.width());
        let divided = own.levels().len() - 1;
        if divided == 0 || divided != self.quantiles.len() {
            return;
        }
        let rgb = std::mem::take(&mut picture.rgb);
        let mut x = FeatureMap::from_array(rgb);
        let mut theta = own.encode(&x);
        for (level, model) in own.levels().iter().zip(&self.quantiles) {
            quieten(level, edges, &mut theta[level.range()], model, mask);
        }
        own.clamp(&mut theta, &mut x);
        picture.rgb = x.into_array();
    }
}

fn canvas(picture: &Picture, levels: usize) -> Canvas {
    Canvas::with_levels(levels + 1, picture.height(), picture.width())
}

/// The local amplitude (H × W) of a level's coefficients (H × W × 3).
fn amplitudes(level: &Level, edges: Edges, coefficients: &[f32]) -> Vec<f32> {
    let squares = coefficients.par_chunks_exact(3).map(|pixel| pixel.iter().map(|c| c * c).sum());
    let squares: Vec<f32> = squares.collect();
    let mut means = vec![0.0; squares.len()];
    let (deviation, radius) = NEIGHBOURHOOD;
    let blur = match edges {
        Edges::Open => Resample::blur(level.size(), 1, deviation, radius),
        Edges::Joined => Resample::blur_around(level.size(), 1, deviation, radius),
    };
    blur.apply(&squares, &mut means);
    means.iter_mut().for_each(|mean| *mean = mean.sqrt());
    means
}

/// The amplitudes of a level's pixels that a mask of the picture shows by half or more; all of them if it shows none so.
fn shown(amplitudes: Vec<f32>, level: &Level, mask: Option<&FeatureMap>) -> Vec<f32> {
    let Some(mask) = mask else { return amplitudes };
    let mut here = vec![0.0; amplitudes.len()];
    Resample::area((mask.height(), mask.width()), level.size(), 1).apply(mask.as_slice(), &mut here);
    let shown: Vec<f32> = amplitudes.iter().zip(&here).filter(|(_, shown)| **shown >= 0.5).map(|(a, _)| *a).collect();
    if shown.is_empty() { amplitudes } else { shown }
}

/// The values at [`QUANTILES`] evenly spaced ranks, from the smallest to the largest, interpolated linearly.
fn quantiles(values: &[f32]) -> Vec<f32> {
    let mut sorted: Vec<f32> = values.iter().step_by((values.len() / SAMPLE).max(1)).copied().collect();
    sorted.par_sort_unstable_by(f32::total_cmp);
    let last = sorted.len() - 1;
    let quantile = |i: usize| {
        let rank = (i * last) as f64 / (QUANTILES - 1) as f64;
        let below = rank as usize;
        let (low, high) = (f64::from(sorted[below]), f64::from(sorted[(below + 1).min(last)]));
        (low + (rank - below as f64) * (high - low)) as f32
    };
    (0..QUANTILES).map(quantile).collect()
}

/// Multiplies every pixel's coefficients by what makes its amplitude the model's at the same rank, if that is below 1.
fn quieten(level: &Level, edges: Edges, coefficients: &mut [f32], model: &[f32], mask: Option<&FeatureMap>) {
    let amplitudes = amplitudes(level, edges, coefficients);
    let own = match mask {
        None => quantiles(&amplitudes),
        mask => quantiles(&shown(amplitudes.clone(), level, mask)),
    };
    let gain = |amplitude: f32| {
        let above = own.partition_point(|&quantile| quantile < amplitude).clamp(1, QUANTILES - 1);
        let (low, high) = (own[above - 1], own[above]);
        let part = ((amplitude - low) / (high - low + LEAST_DISTANCE)).clamp(0.0, 1.0);
        let wanted = model[above - 1] + part * (model[above] - model[above - 1]);
        (wanted / amplitude.max(LEAST_AMPLITUDE)).min(1.0)
    };
    coefficients.par_chunks_mut(3 * PIXELS).zip(amplitudes.par_chunks(PIXELS)).for_each(
        |(coefficients, amplitudes)| {
            for (pixel, &amplitude) in coefficients.chunks_exact_mut(3).zip(amplitudes) {
                let gain = gain(amplitude);
                pixel.iter_mut().for_each(|coefficient| *coefficient *= gain);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;

    fn calmed(picture: &Picture, painting: &Picture, levels: usize) -> Picture {
        let mut calmed = picture.clone();
        Stillness::of(painting, levels).calm(&mut calmed, Edges::Open);
        calmed
    }

    /// Grain of some amplitude left of the middle, ten times as much right of it.
    fn grainy(height: usize, width: usize, amplitude: f32) -> Picture {
        Picture::from_rgb(Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
            let hash = ((y * 977 + x * 31 + c) as u32).wrapping_mul(2_654_435_761) >> 16;
            let grain = hash as f32 / 32768.0 - 1.0;
            0.5 + amplitude * grain * if 2 * x < width { 1.0 } else { 10.0 }
        }))
    }

    /// Root mean square of the differences between columns `from` to `to`.
    fn grain(picture: &Picture, from: usize, to: usize) -> f32 {
        let rgb = &picture.rgb;
        let pairs = (0..picture.height()).flat_map(|y| (from..to).map(move |x| (y, x)));
        let squares: f32 = pairs.map(|(y, x)| (rgb[[y, x + 1, 0]] - rgb[[y, x, 0]]).powi(2)).sum();
        (squares / ((to - from) * picture.height()) as f32).sqrt()
    }

    #[test]
    fn flats_become_as_still_as_the_styles_and_edges_stay() {
        let mut style = grainy(48, 64, 0.002);
        // As lively as the picture where it is lively.
        let lively = grainy(48, 64, 0.03);
        style.rgb.slice_mut(ndarray::s![.., 32.., ..]).assign(&lively.rgb.slice(ndarray::s![.., 32.., ..]));
        let picture = grainy(48, 64, 0.03);
        let calmed = calmed(&picture, &style, 2);
        let flat = grain(&calmed, 0, 22);
        // What is left includes the levels that stay, which hold a sixteenth of the grain's energy.
        assert!(flat < 0.35 * grain(&picture, 0, 22), "{flat} of {}", grain(&picture, 0, 22));
        let edges = grain(&calmed, 42, 62) / grain(&picture, 42, 62);
        assert!((edges - 1.0).abs() < 0.05, "{edges}");
    }

    #[test]
    fn a_still_picture_is_not_made_livelier() {
        let picture = grainy(40, 30, 0.005);
        let calmed = calmed(&picture, &grainy(40, 30, 0.04), 2);
        assert!(calmed.rgb.iter().zip(&picture.rgb).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn constant_pictures_divide_nothing_by_nothing() {
        let flat = |level| Picture::from_rgb(Array3::from_elem((20, 24, 3), level));
        for level in [0.0, 0.4, 1.0] {
            let found = calmed(&flat(level), &grainy(20, 24, 0.03), 2);
            assert!(found.rgb.iter().all(|v| (v - level).abs() < 1e-6));
            let found = calmed(&grainy(20, 24, 0.03), &flat(level), 2);
            assert!(found.rgb.iter().all(|v| v.is_finite()) && grain(&found, 0, 23) < 0.2 * 0.3);
        }
    }

    #[test]
    fn pictures_without_levels_to_compare_stay() {
        let picture = grainy(5, 40, 0.03);
        assert_eq!(calmed(&picture, &grainy(3, 40, 0.001), 2), picture);
        assert_eq!(calmed(&grainy(3, 3, 0.03), &grainy(3, 3, 0.001), 2), grainy(3, 3, 0.03));
        assert_eq!(calmed(&picture, &grainy(40, 40, 0.001), 0), picture);
    }

    #[test]
    fn opacity_stays() {
        let mut picture = grainy(20, 24, 0.03);
        picture.alpha = Some(Array2::from_elem((20, 24), 0.5));
        assert_eq!(calmed(&picture, &grainy(20, 24, 0.01), 2).alpha, picture.alpha);
    }

    #[test]
    fn the_blend_of_two_paintings_is_as_still_as_they_are_on_average() {
        let (still, lively) = (Stillness::of(&grainy(40, 30, 0.002), 2), Stillness::of(&grainy(40, 30, 0.02), 2));
        let blend = Stillness::blend(&[(0.75, still.clone()), (0.25, lively.clone())]).unwrap();
        for level in 0..2 {
            let of = |stillness: &Stillness| stillness.quantiles[level][200];
            assert!((of(&blend) - 0.75 * of(&still) - 0.25 * of(&lively)).abs() < 1e-7);
        }
        let same = Stillness::blend(&[(0.3, still.clone()), (0.7, still.clone())]).unwrap();
        assert_eq!(same.quantiles, still.quantiles);
        // Too small for a second level.
        let small = Stillness::of(&grainy(6, 30, 0.02), 2);
        assert_eq!((small.quantiles.len(), still.quantiles.len()), (1, 2));
        let blend = Stillness::blend(&[(0.5, small), (0.5, still.clone())]).unwrap();
        assert_eq!(blend.quantiles[1], still.quantiles[1]);
        assert!(Stillness::blend(&[]).is_none());
    }

    #[test]
    fn quantiles_are_interpolated() {
        let values: Vec<f32> = (0..1023).rev().map(|i| i as f32).collect();
        let quantiles = quantiles(&values);
        assert_eq!((quantiles.len(), quantiles[0], quantiles[256], quantiles[511]), (512, 0.0, 512.0, 1022.0));
        assert_eq!(super::quantiles(&[3.0]), [3.0; 512]);
    }
}
