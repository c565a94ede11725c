//! One picture in the colours of another.
//!
//! ```text
//!   c ↦ A (c − m_c) + m_s        A = Σ_c^−½ (Σ_c^½ Σ_s Σ_c^½)^½ Σ_c^−½
//!
//!    ⬮ a photograph's colours  ──▶  ⬬ a painting's: mean m and covariance Σ (3 × 3) of its red, green and blue
//! ```
//!
//! Of all maps that give one Gaussian the mean and covariance of another, this moves colours least: it turns nothing
//! that need not be turned, so a blue sky becomes the painting's blue and not its red. For Gaussians it is the solution
//! of Monge's transport problem.
//!
//! A grey photograph has no spread in colour that could be widened to a painting's, only noise: nothing is stretched
//! more than a given number of times.
//!
//! Sources: Olkin & Pukelsheim, *The distance between two random vectors with given dispersion matrices*, 1982; for
//! pictures, Pitié & Kokaram, *The linear Monge–Kantorovitch linear colour mapping for example-based colour transfer*,
//! 2007.

use faer::{Mat, Side};
use ndarray::{Axis, Zip};

use super::Picture;

/// The most a colour difference is stretched. Photographs that are neither grey nor flat need less than 4.7.
pub const LARGEST_GAIN: f64 = 5.0;

/// Variance added along every direction, so that a flat picture's covariance has an inverse.
const LEAST_VARIANCE: f64 = 1e-5;

/// `picture` with the mean and covariance of the colours of `style`, clamped to [0, 1]; its opacity stays.
///
/// No colour difference becomes more than `largest_gain` times as large: then, and where colours are cut off, the
/// covariance stays smaller. Transparent pixels count as much as they are seen. Where nothing is seen of a picture
/// there is nothing to match, and the colours stay too.
///
/// ```
/// use impasto::picture::{Picture, palette};
///
/// let picture = |colour: fn(f32) -> [f32; 3]| {
///     Picture::from_rgb(ndarray::Array3::from_shape_fn((8, 8, 3), |(y, _, c)| colour(y as f32 / 7.0)[c]))
/// };
/// let (ramp, red) = (picture(|y| [y, y, y]), picture(|y| [y, 0.25, 0.25]));
/// let matched = palette::matched(&ramp, &red, palette::LARGEST_GAIN);
/// assert!((matched.rgb[[0, 0, 1]] - 0.25).abs() < 0.01);
/// ```
#[must_use]
pub fn matched(picture: &Picture, style: &Picture, largest_gain: f64) -> Picture {
    let mut matched = picture.clone();
    if let Some(colours) = Colours::of(style) {
        colours.give(&mut matched, largest_gain);
    }
    matched
}

/// Mean and covariance of a picture's colours.
#[derive(Clone, Debug)]
pub struct Colours {
    mean: [f64; 3],
    covariance: Mat<f64>,
}

impl Colours {
    /// Of what is seen; `None` where nothing is.
    #[must_use]
    pub fn of(picture: &Picture) -> Option<Self> {
        let (mut weight, mut sums) = (0.0, [0.0; 3]);
        for_each_colour(picture, |colour, seen| {
            weight += seen;
            (0..3).for_each(|c| sums[c] += seen * colour[c]);
        });
        let mean = sums.map(|sum| sum / weight);
        // A second pass: E[cc'] − E[c]E[c'] would cancel on a nearly flat picture.
        let mut products = [[0.0; 3]; 3];
        for_each_colour(picture, |colour, seen| {
            let away: [f64; 3] = std::array::from_fn(|c| colour[c] - mean[c]);
            (0..3).for_each(|i| (0..=i).for_each(|j| products[i][j] += seen * away[i] * away[j]));
        });
        let covariance = Mat::from_fn(3, 3, |i, j| products[i.max(j)][i.min(j)] / weight);
        (weight > 0.0).then_some(Colours { mean, covariance })
    }

    /// Of several pictures at once, each with its share: means and second moments averaged. `None` of none.
    #[must_use]
    pub fn blend(parts: &[(f64, Colours)]) -> Option<Self> {
        let weight: f64 = parts.iter().map(|(share, _)| share).sum();
        let average =
            |of: &dyn Fn(&Colours) -> f64| parts.iter().map(|(share, part)| share * of(part)).sum::<f64>() / weight;
        let mean: [f64; 3] = std::array::from_fn(|c| average(&|part| part.mean[c]));
        // Within the pictures and between them: E[cc'] − E[c]E[c'] would cancel.
        let covariance = Mat::from_fn(3, 3, |i, j| {
            average(&|part| part.covariance[(i, j)] + (part.mean[i] - mean[i]) * (part.mean[j] - mean[j]))
        });
        (!parts.is_empty()).then_some(Colours { mean, covariance })
    }

    /// Gives a picture these colours, as [`matched`] says.
    pub fn give(&self, picture: &mut Picture, largest_gain: f64) {
        let own = Colours::of(picture);
        if let Some(map) = own.and_then(|own| Mapping::between(&own, self, largest_gain)) {
            map.apply(picture);
        }
    }

    /// The covariance of these colours with a little noise.
    fn invertible(&self) -> Mat<f64> {
        &self.covariance + LEAST_VARIANCE * Mat::<f64>::identity(3, 3)
    }
}

/// Calls `each` with every pixel's colour and how much it is seen, row by row.
fn for_each_colour(picture: &Picture, mut each: impl FnMut([f64; 3], f64)) {
    let colours = picture.rgb.lanes(Axis(2));
    let wide = |colour: ndarray::ArrayView1<'_, f32>| std::array::from_fn(|c| f64::from(colour[c]));
    match &picture.alpha {
        None => Zip::from(colours).for_each(|colour| each(wide(colour), 1.0)),
        Some(alpha) => Zip::from(colours).and(alpha).for_each(|colour, &a| each(wide(colour), f64::from(a))),
    }
}

/// What gives the colours of one picture to another: c ↦ A (c − from) + to.
#[derive(Clone, Debug)]
pub struct Mapping {
    matrix: [[f64; 3]; 3],
    from: [f64; 3],
    to: [f64; 3],
}

impl Mapping {
    /// The Monge map between two Gaussians, the eigenvalues of A at most `largest`; `None` for what is no number.
    #[must_use]
    pub fn between(own: &Colours, wanted: &Colours, largest: f64) -> Option<Self> {
        let covariance = own.invertible();
        let root = spectral(&covariance, f64::sqrt)?;
        let inverse = spectral(&covariance, |eigenvalue| 1.0 / eigenvalue.sqrt())?;
        let middle = spectral(&(&root * wanted.invertible() * &root), f64::sqrt)?;
        let map = spectral(&(&inverse * middle * &inverse), |eigenvalue| eigenvalue.min(largest))?;
        let matrix = std::array::from_fn(|i| std::array::from_fn(|j| map[(i, j)]));
        Some(Mapping { matrix, from: own.mean, to: wanted.mean })
    }

    /// Moves the colours of a picture, each clamped to [0, 1].
    pub fn apply(&self, picture: &mut Picture) {
        for mut colour in picture.rgb.lanes_mut(Axis(2)) {
            let away: [f64; 3] = std::array::from_fn(|c| f64::from(colour[c]) - self.from[c]);
            for (value, (row, to)) in colour.iter_mut().zip(self.matrix.iter().zip(self.to)) {
                let moved: f64 = row.iter().zip(away).map(|(a, d)| a * d).sum();
                *value = (moved + to).clamp(0.0, 1.0) as f32;
            }
        }
    }
}

/// A symmetric matrix with `f` applied to its eigenvalues, none of which is taken to be below 10⁻¹².
fn spectral(matrix: &Mat<f64>, f: impl Fn(f64) -> f64) -> Option<Mat<f64>> {
    let eigen = matrix.self_adjoint_eigen(Side::Lower).ok()?;
    let (vectors, values) = (eigen.U(), eigen.S());
    let scaled = Mat::from_fn(3, 3, |i, k| vectors[(i, k)] * f(values[k].max(1e-12)));
    Some(scaled * vectors.transpose())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};
    use proptest::prelude::*;

    use super::*;

    /// Colours around `mean`, none cut off: each channel mixes three waves by its row of `mix`.
    fn waves(mean: [f32; 3], mix: [[f32; 3]; 3]) -> Picture {
        Picture::from_rgb(Array3::from_shape_fn((24, 31, 3), |(y, x, c)| {
            let waves = [(0.9 * y as f32).sin(), (0.7 * x as f32).cos(), (0.31 * (x + 2 * y) as f32).sin()];
            mean[c] + mix[c].iter().zip(waves).map(|(a, w)| a * w).sum::<f32>()
        }))
    }

    fn photograph() -> Picture {
        waves([0.4, 0.5, 0.55], [[0.08, 0.05, 0.0], [0.05, 0.07, 0.02], [0.02, 0.1, 0.04]])
    }

    fn painting() -> Picture {
        waves([0.55, 0.45, 0.4], [[0.1, 0.0, 0.03], [0.06, -0.02, 0.05], [0.0, -0.05, 0.06]])
    }

    fn matrices_differ(a: &Colours, b: &Colours) -> f64 {
        let pairs = (0..9).map(|k| (k / 3, k % 3));
        let most = pairs.map(|at| (a.covariance[at] - b.covariance[at]).abs()).fold(0.0, f64::max);
        (0..3).map(|c| (a.mean[c] - b.mean[c]).abs()).fold(most, f64::max)
    }

    #[test]
    fn mean_and_covariance_become_those_of_the_style_picture() {
        let result = matched(&photograph(), &painting(), LARGEST_GAIN);
        let (found, wanted) = (Colours::of(&result).unwrap(), Colours::of(&painting()).unwrap());
        // Both covariances had 1e-5 added, which the least spread direction notices most.
        assert!(matrices_differ(&found, &wanted) < 1e-5, "{}", matrices_differ(&found, &wanted));
        assert!(result.rgb.iter().all(|&v| v > 0.0 && v < 1.0), "nothing was cut off");
    }

    #[test]
    fn two_diagonal_covariances_make_a_diagonal_map() {
        let scale = |a: f32, b: f32, c: f32| [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]];
        let (own, wanted) = (waves([0.5; 3], scale(0.1, 0.2, 0.1)), waves([0.4; 3], scale(0.2, 0.1, 0.3)));
        let mut own = Colours::of(&own).unwrap();
        let mut wanted = Colours::of(&wanted).unwrap();
        for (colours, variances) in [(&mut own, [0.01, 0.04, 0.01]), (&mut wanted, [0.04, 0.01, 0.25])] {
            colours.covariance = Mat::from_fn(3, 3, |i, j| if i == j { variances[i] } else { 0.0 });
        }
        let map = Mapping::between(&own, &wanted, 4.0).unwrap().matrix;
        for (i, expected) in [2.0, 0.5, 4.0].into_iter().enumerate() {
            // 1e-5 beside variances of 0.01: half a per mille of the root.
            assert!((map[i][i] - expected).abs() < 2e-3, "{map:?}");
            assert!((0..3).all(|j| j == i || map[i][j].abs() < 1e-12), "{map:?}");
        }
        assert!(map[2][2] <= 4.0, "the fifth-fold stretch is limited");
    }

    #[test]
    fn a_picture_in_its_own_colours_stays() {
        let result = matched(&photograph(), &photograph(), LARGEST_GAIN);
        assert!(result.rgb.iter().zip(&photograph().rgb).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn a_grey_photograph_gets_no_coloured_noise() {
        let grey = waves([0.5; 3], [[0.1, 0.05, 0.0]; 3]);
        let result = matched(&grey, &painting(), LARGEST_GAIN);
        let (found, wanted) = (Colours::of(&result).unwrap(), Colours::of(&painting()).unwrap());
        assert!((0..3).all(|c| (found.mean[c] - wanted.mean[c]).abs() < 1e-6));
        // All colours still lie on one line: their covariance has rank one.
        let eigenvalues = found.covariance.self_adjoint_eigen(Side::Lower).unwrap();
        assert!(eigenvalues.S()[1] < 1e-9 && eigenvalues.S()[2] > 1e-4, "{:?}", eigenvalues.S());
    }

    #[test]
    fn noise_is_stretched_no_more_than_it_may_be() {
        let mut grey = waves([0.5; 3], [[0.1, 0.0, 0.0]; 3]);
        grey.rgb.indexed_iter_mut().for_each(|((y, x, c), v)| *v += [0.001, -0.001][(y + x + c) % 2]);
        let spread = |picture: &Picture| {
            let difference = |(y, x)| picture.rgb[[y, x, 0]] - picture.rgb[[y, x, 1]];
            let at = |x| difference((7, x));
            (0..30).map(|x| (at(x + 1) - at(x)).abs()).fold(0.0, f32::max)
        };
        let wild = waves([0.5; 3], [[0.1, 0.1, 0.0], [0.1, -0.1, 0.0], [0.0, 0.0, 0.1]]);
        let (free, limited) = (matched(&grey, &wild, f64::INFINITY), matched(&grey, &wild, LARGEST_GAIN));
        assert!(spread(&limited) < 0.6 * spread(&free), "{} {}", spread(&limited), spread(&free));
    }

    #[test]
    fn a_flat_photograph_takes_the_mean_colour_whatever_it_was() {
        let wanted = Colours::of(&painting()).unwrap();
        for level in [0.0, 0.3, 1.0] {
            let flat = Picture::from_rgb(Array3::from_elem((5, 6, 3), level));
            let result = matched(&flat, &painting(), LARGEST_GAIN);
            assert!(result.rgb.indexed_iter().all(|((_, _, c), &v)| (f64::from(v) - wanted.mean[c]).abs() < 1e-6));
            let flattened = matched(&photograph(), &flat, LARGEST_GAIN);
            assert!(flattened.rgb.iter().all(|v| (v - level).abs() < 0.05), "a flat style leaves hardly a spread");
        }
    }

    #[test]
    fn colours_that_are_not_seen_do_not_count() {
        let hide = |mut picture: Picture| {
            let alpha = Array2::from_shape_fn((24, 31), |(y, _)| if y < 12 { 1.0 } else { 0.0 });
            picture.rgb.slice_mut(ndarray::s![12.., .., ..]).fill(1.0);
            picture.alpha = Some(alpha);
            picture
        };
        let show = |picture: &Picture| Picture::from_rgb(picture.rgb.slice(ndarray::s![..12, .., ..]).to_owned());
        let (photograph, painting) = (hide(photograph()), hide(painting()));
        let (hidden, alone) = (
            matched(&photograph, &painting, LARGEST_GAIN),
            matched(&show(&photograph), &show(&painting), LARGEST_GAIN),
        );
        assert_eq!(hidden.alpha, photograph.alpha);
        assert!(show(&hidden).rgb.iter().zip(&alone.rgb).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!(hidden.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn where_nothing_is_seen_nothing_changes() {
        let mut nothing = photograph();
        nothing.alpha = Some(Array2::zeros((24, 31)));
        assert_eq!(matched(&nothing, &painting(), LARGEST_GAIN), nothing);
        assert_eq!(matched(&photograph(), &nothing, LARGEST_GAIN), photograph());
    }

    #[test]
    fn the_blend_of_two_pictures_has_the_colours_of_both_side_by_side() {
        let (one, other) = (photograph(), painting());
        let beside = Picture::from_rgb(ndarray::concatenate(Axis(0), &[one.rgb.view(), other.rgb.view()]).unwrap());
        let [one, other, beside] = [&one, &other, &beside].map(|picture| Colours::of(picture).unwrap());
        let half = Colours::blend(&[(0.5, one.clone()), (0.5, other)]).unwrap();
        assert!(matrices_differ(&half, &beside) < 1e-12);
        let same = Colours::blend(&[(0.25, one.clone()), (0.75, one.clone())]).unwrap();
        assert_eq!(matrices_differ(&same, &one), 0.0);
        assert!(Colours::blend(&[]).is_none());
    }

    proptest! {
        #[test]
        fn whatever_the_ranks_the_result_is_a_picture_of_the_styles_mean(
            own in prop::array::uniform3(prop::array::uniform3(-0.05f32..0.05)), rank in 0usize..=3,
            wanted in prop::array::uniform3(prop::array::uniform3(-0.02f32..0.02)),
        ) {
            let own = own.map(|row| std::array::from_fn(|k| if k < rank { row[k] } else { 0.0 }));
            let result = matched(&waves([0.5; 3], own), &waves([0.4, 0.5, 0.6], wanted), LARGEST_GAIN);
            let (found, style) = (Colours::of(&result).unwrap(), Colours::of(&waves([0.4, 0.5, 0.6], wanted)).unwrap());
            // Nothing is cut off: the waves of the photograph leave its mean by at most 0.15, those of the result by
            // the style's deviations.
            for c in 0..3 {
                prop_assert!((found.mean[c] - style.mean[c]).abs() < 1e-5);
                prop_assert!(found.covariance[(c, c)] <= style.covariance[(c, c)] + 2e-5);
            }
        }
    }
}
