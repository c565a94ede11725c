//! Whose colours a run is in. It is decided here, and nowhere else: what the losses see of the pictures, and what
//! becomes of the result.
//!
//! ```text
//!                     what is looked at                              the result
//!   --colors style    content and style as they are                  as it was optimised
//!   --colors match    each style in the mean and covariance of       as it was optimised
//!                     the content where it is painted
//!   --colors content  content and style as they are                  its lightness, the content's colour
//!   --luminance-only  both in grey (match: style's brightness        its lightness, the content's colour
//!                     brought to the content's)
//! ```
//!
//! Source: Gatys, Bethge, Hertzmann & Shechtman, *Preserving Color in Neural Artistic Style Transfer*, 2016,
//! arXiv:1606.05897: both of its ways, with a transport map of colours and with OkLab for the luminance.

use rayon::prelude::*;

use super::painted::seen_through;
use super::plan::Scale;
use crate::config::{Colors, Config};
use crate::kernels::reduce::BLOCK;
use crate::picture::chroma::{self, Chroma};
use crate::picture::palette::{Colours, Mapping};
use crate::picture::{Mask, Picture, Pixels, resized};
use crate::tensor::FeatureMap;

/// What the content picture decides.
#[derive(Clone, Debug)]
pub struct OfContent {
    grey: bool,
    /// The colours that the style picture is brought to, with the most that a difference is stretched.
    wanted: Option<(Colours, f64)>,
    /// What the result's lightness is given.
    kept: Option<Chroma>,
}

/// What the style picture decides.
#[derive(Clone, Debug)]
pub struct OfStyle {
    grey: bool,
    mapping: Option<Mapping>,
}

impl OfContent {
    /// Of a run to the scale `last`, on a content picture as it was read.
    #[must_use]
    pub fn new(config: &Config, last: &Scale, content: &dyn Pixels) -> Self {
        let mut decided = OfContent { grey: config.luminance_only, wanted: None, kept: None };
        let matches = config.colors == Colors::Match;
        if !matches && !keeps_colour(config) {
            return decided;
        }
        let small = resized(content, last.height, last.width);
        decided.kept = keeps_colour(config).then(|| Chroma::of(&small));
        if matches {
            decided.wanted = Colours::of(&decided.seen(small)).map(|colours| (colours, config.largest_gain));
        }
        decided
    }

    /// The content picture, at any size, as losses see it.
    #[must_use]
    pub fn seen(&self, mut content: Picture) -> Picture {
        if self.grey {
            chroma::drain(&mut content);
        }
        content
    }

    /// The content picture's brightness counts as it is seen.
    #[must_use]
    pub fn is_grey(&self) -> bool {
        self.grey
    }

    /// What is decided once a style picture is there, of which a mask may show what counts, at the size (H, W) that it has
    /// in the last scale. Each of several is brought to the content's colours by itself, and so their blend is: to those of
    /// the whole, or of the place where it is painted.
    #[must_use]
    pub fn with(
        &self,
        (height, width): (usize, usize),
        style: &dyn Pixels,
        mask: Option<&Mask>,
        place: Option<&Colours>,
    ) -> OfStyle {
        let mut decided = OfStyle { grey: self.grey, mapping: None };
        if let Some((whole, largest_gain)) = &self.wanted {
            let wanted = place.unwrap_or(whole);
            let small = decided.seen(resized(style, height, width));
            let mask = mask.map(|mask| mask.resize(height, width));
            let own = Colours::of(&seen_through(&small, mask.as_ref()));
            decided.mapping = own.and_then(|own| Mapping::between(&own, wanted, *largest_gain));
        }
        decided
    }

    /// The colour that the result is given, if it is.
    #[must_use]
    pub fn into_kept(self) -> Option<Chroma> {
        self.kept
    }
}

impl OfStyle {
    /// The style picture, at any size, as losses see it and as the result is matched to it.
    #[must_use]
    pub fn seen(&self, mut style: Picture) -> Picture {
        if self.grey {
            chroma::drain(&mut style);
        }
        if let Some(mapping) = &self.mapping {
            mapping.apply(&mut style);
        }
        style
    }

    /// Whether the style picture is seen in other colours than its own.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.grey || self.mapping.is_some()
    }
}

/// Whether the content picture's colour is kept until the end.
#[must_use]
pub fn keeps_colour(config: &Config) -> bool {
    config.luminance_only || config.colors == Colors::Content
}

/// A picture that the run goes on from: in grey where only brightness is optimised.
#[must_use]
pub fn start(config: &Config, mut picture: Picture) -> Picture {
    if config.luminance_only {
        chroma::drain(&mut picture);
    }
    picture
}

/// The gradient of what may be moved: where that is brightness alone, its projection onto greys.
pub fn project(config: &Config, gradient: &mut FeatureMap) {
    if config.luminance_only {
        level(gradient);
    }
}

/// Makes all three channels their mean.
fn level(map: &mut FeatureMap) {
    map.as_mut_slice().par_chunks_mut(3 * BLOCK).for_each(|pixels| {
        for pixel in pixels.as_chunks_mut::<3>().0 {
            *pixel = [(pixel[0] + pixel[1] + pixel[2]) / 3.0; 3];
        }
    });
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;

    fn scale(height: usize, width: usize) -> Scale {
        Scale { height, width, styles: vec![(height, width)], iterations: 1, rate_end: 1.0, content_weight: 1.0 }
    }

    fn waves(mean: [f32; 3], mix: [[f32; 2]; 3]) -> Picture {
        Picture::from_rgb(Array3::from_shape_fn((24, 30, 3), |(y, x, c)| {
            mean[c] + mix[c][0] * (0.9 * y as f32).sin() + mix[c][1] * (0.7 * x as f32 + 0.3 * y as f32).cos()
        }))
    }

    fn photograph() -> Picture {
        waves([0.4, 0.5, 0.55], [[0.08, 0.05], [0.05, 0.07], [-0.02, 0.1]])
    }

    fn painting() -> Picture {
        waves([0.55, 0.45, 0.4], [[0.1, -0.03], [0.06, 0.05], [0.0, 0.06]])
    }

    /// Content and style as losses see them, and whether colour is kept.
    fn decided(config: &Config, content: &Picture, style: &Picture) -> (Picture, Picture, bool) {
        let last = scale(24, 30);
        let of_content = OfContent::new(config, &last, content);
        let of_style = of_content.with((24, 30), style, None, None);
        (of_content.seen(content.clone()), of_style.seen(style.clone()), of_content.into_kept().is_some())
    }

    fn mean_of(picture: &Picture) -> [f32; 3] {
        std::array::from_fn(|c| picture.rgb.slice(ndarray::s![.., .., c]).mean().unwrap())
    }

    fn is_grey(picture: &Picture) -> bool {
        picture.rgb.lanes(ndarray::Axis(2)).into_iter().all(|c| (c[0] - c[1]).abs() + (c[1] - c[2]).abs() < 1e-5)
    }

    /// Greatest difference of means and covariances.
    fn differ(a: &Picture, b: &Picture) -> f64 {
        let moments = |picture: &Picture| {
            let mean = mean_of(picture).map(f64::from);
            let at = |i: usize, j: usize| {
                let rows = picture.rgb.lanes(ndarray::Axis(2)).into_iter();
                let products = rows.map(|c| (f64::from(c[i]) - mean[i]) * (f64::from(c[j]) - mean[j]));
                products.sum::<f64>() / (24.0 * 30.0)
            };
            mean.into_iter().chain((0..9).map(|k| at(k / 3, k % 3))).collect::<Vec<_>>()
        };
        moments(a).iter().zip(moments(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn by_itself_nothing_changes() {
        let (content, style, kept) = decided(&Config::default(), &photograph(), &painting());
        assert!(content == photograph() && style == painting() && !kept);
    }

    #[test]
    fn matched_the_style_has_the_contents_mean_and_covariance() {
        let config = Config { colors: Colors::Match, ..Config::default() };
        let (content, style, kept) = decided(&config, &photograph(), &painting());
        assert!(content == photograph() && !kept);
        // 1e-5 is added to both covariances, of which one direction has nothing here.
        assert!(differ(&style, &photograph()) < 5e-5, "{}", differ(&style, &photograph()));
    }

    #[test]
    fn a_grey_photograph_makes_a_painting_of_greys_and_one_colour_a_painting_of_its_shades() {
        let config = Config { colors: Colors::Match, ..Config::default() };
        let shades = |colour: [f32; 3]| waves([0.5; 3], colour.map(|c| [0.1 * c, 0.06 * c]));
        for colour in [[1.0; 3], [1.0, 0.5, 0.2]] {
            let (content, style, _) = decided(&config, &shades(colour), &painting());
            let means = mean_of(&style).into_iter().zip(mean_of(&content));
            assert!(means.into_iter().all(|(style, content)| (style - content).abs() < 1e-5));
            // What is left across the line of shades is a root of the 1e-5 that was added.
            let across = style.rgb.lanes(ndarray::Axis(2)).into_iter().map(|c| {
                let away: [f32; 3] = std::array::from_fn(|k| c[k] - 0.5);
                let squares = |v: [f32; 3]| v.iter().map(|x| x * x).sum::<f32>();
                let along = away.iter().zip(colour).map(|(a, c)| a * c).sum::<f32>() / squares(colour);
                squares(std::array::from_fn(|k| away[k] - along * colour[k]))
            });
            assert!(across.sum::<f32>() / 720.0 < 4e-5);
        }
    }

    #[test]
    fn luminance_alone_is_grey_with_the_photographs_colour_kept() {
        for colors in [Colors::Style, Colors::Content, Colors::Match] {
            let config = Config { colors, luminance_only: true, ..Config::default() };
            let (content, style, kept) = decided(&config, &photograph(), &painting());
            assert!(is_grey(&content) && is_grey(&style) && kept, "{colors:?}");
            let same = (mean_of(&content)[0] - mean_of(&style)[0]).abs() < 1e-4;
            assert_eq!(same, colors == Colors::Match, "{colors:?}");
        }
    }

    #[test]
    fn what_is_not_seen_of_the_photograph_has_no_say() {
        let mut hidden = photograph();
        hidden.alpha = Some(Array2::from_shape_fn((24, 30), |(y, _)| if y < 12 { 1.0 } else { 0.0 }));
        let mut other = hidden.clone();
        other.rgb.slice_mut(ndarray::s![12.., .., ..]).fill(1.0);
        let config = Config { colors: Colors::Match, ..Config::default() };
        let styles = [hidden, other].map(|content| decided(&config, &content, &painting()).1);
        assert_eq!(styles[0], styles[1]);
    }

    #[test]
    fn a_projected_gradient_moves_no_colour_and_what_is_grey_stays() {
        let config = Config { luminance_only: true, ..Config::default() };
        let mut gradient = FeatureMap::from_vec(1, 2, 3, vec![1.0, 2.0, 6.0, -1.0, -1.0, -1.0]);
        project(&config, &mut gradient);
        assert_eq!(gradient.as_slice(), [3.0, 3.0, 3.0, -1.0, -1.0, -1.0]);
        project(&Config::default(), &mut gradient);
        assert_eq!(gradient.as_slice()[0], 3.0);
    }
}
