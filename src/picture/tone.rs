//! Brightness and contrast of a finished picture.
//!
//! Optimisation tends to leave a picture greyer than either of its models. The
//! remedy is one affine map y ↦ g·y + b of the brightness y, the luma of
//! ITU-R BT.709 on sRGB-encoded values (0.2126 R + 0.7152 G + 0.0722 B):
//!
//! - `auto` sends the 0.5th and the 99.5th percentile of y to 0 and 1, with g at
//!   most [`MOST_GAIN`], so that a foggy morning stays one;
//! - `content` and `style` give y the mean and deviation of that picture, with g
//!   between 1/[`MOST_GAIN_MATCHED`] and [`MOST_GAIN_MATCHED`].
//!
//! All three channels go through the same map: v ↦ g·v + b. Cut off at 0 and 1
//! channel by channel, that would turn bright orange yellow: a cast. So the new
//! brightness is cut off, y′ = clamp(g·y + b), and a colour that does not fit
//! around it moves towards grey until it does: v′ = y′ + t·g·(v − y), with the
//! largest t ≤ 1 that keeps all three in [0, 1]. Hue stays.

use ndarray::{ArrayView1, Axis, Zip};

use super::{Picture, Pixels, bands};
use crate::config::Tone;

/// The most contrast `auto` adds.
pub const MOST_GAIN: f64 = 2.0;

/// The most contrast `content` and `style` add or take.
pub const MOST_GAIN_MATCHED: f64 = 4.0;

/// The part of a picture that may be darker than black, and brighter than white, after `auto`.
const BEYOND: f64 = 0.005;

/// A deviation below this is a flat picture, which has no contrast to match.
const FLAT: f64 = 1e-4;

/// What a tone does to a picture, with what it has to know of the models.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjustment {
    /// Stretches the picture's own brightness.
    Stretch,
    /// Gives it a model's; that of one which cannot be seen is not there.
    Match(Option<Brightness>),
    /// Nothing.
    Off,
}

impl Adjustment {
    /// That of a tone, if the content picture is all that there is to know for it.
    #[must_use]
    pub fn of_content(tone: Tone, content: &dyn Pixels) -> Option<Self> {
        match tone {
            Tone::Auto => Some(Adjustment::Stretch),
            Tone::Content => Some(Adjustment::Match(Brightness::of(content))),
            Tone::Style => None,
            Tone::Off => Some(Adjustment::Off),
        }
    }

    /// That of a tone, for pictures of this content and style.
    #[cfg(test)]
    fn new(tone: Tone, content: &Picture, style: &Picture) -> Self {
        Self::of_content(tone, content).unwrap_or_else(|| Adjustment::Match(Brightness::of(style)))
    }

    /// Adjusts brightness and contrast of `picture`; where there is nothing to do, every bit stays.
    ///
    /// Transparent pixels count as much as they are seen.
    pub fn apply(&self, picture: &mut Picture) {
        let map = match self {
            Adjustment::Stretch => Affine::stretch(picture),
            Adjustment::Match(model) => Affine::matching(picture, *model),
            Adjustment::Off => return,
        };
        if map != Affine::IDENTITY {
            map.apply(picture);
        }
    }
}

/// Mean and standard deviation of a picture's brightness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brightness {
    mean: f64,
    deviation: f64,
}

impl Brightness {
    /// Of what is seen; `None` where nothing is.
    #[must_use]
    pub fn of(picture: &dyn Pixels) -> Option<Self> {
        let (mut weight, mut sum) = (0.0, 0.0);
        for_each_luma(picture, |y, w| {
            weight += w;
            sum += w * y;
        });
        let mean = sum / weight;
        // A second pass: Σy² − (Σy)² would cancel on a nearly flat picture.
        let mut squares = 0.0;
        for_each_luma(picture, |y, w| squares += w * (y - mean).powi(2));
        (weight > 0.0).then(|| Brightness { mean, deviation: (squares / weight).sqrt() })
    }

    /// Of several pictures at once, each with its share: first and second moments averaged. `None` of none.
    #[must_use]
    pub fn blend(parts: &[(f64, Brightness)]) -> Option<Self> {
        let weight: f64 = parts.iter().map(|(share, _)| share).sum();
        let average =
            |of: &dyn Fn(&Brightness) -> f64| parts.iter().map(|(share, part)| share * of(part)).sum::<f64>() / weight;
        let mean = average(&|part| part.mean);
        let variance = average(&|part| part.deviation.powi(2) + (part.mean - mean).powi(2));
        match parts {
            [] => None,
            // To the bit what it is.
            [(_, alone)] => Some(*alone),
            _ => Some(Brightness { mean, deviation: variance.sqrt() }),
        }
    }
}

/// Luma (ITU-R BT.709) of an sRGB-encoded colour.
fn luma(colour: ArrayView1<'_, f32>) -> f64 {
    0.2126 * f64::from(colour[0]) + 0.7152 * f64::from(colour[1]) + 0.0722 * f64::from(colour[2])
}

/// Calls `each` with every pixel's brightness and how much it is seen, row by row.
fn for_each_luma(picture: &dyn Pixels, mut each: impl FnMut(f64, f64)) {
    for rows in bands(picture) {
        let colours = rows.rgb.lanes(Axis(2));
        match &rows.alpha {
            None => Zip::from(colours).for_each(|colour| each(luma(colour), 1.0)),
            Some(alpha) => Zip::from(colours).and(alpha).for_each(|colour, &a| each(luma(colour), f64::from(a))),
        }
    }
}

/// y ↦ gain·y + offset.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Affine {
    gain: f64,
    offset: f64,
}

impl Affine {
    const IDENTITY: Affine = Affine { gain: 1.0, offset: 0.0 };

    fn stretch(picture: &Picture) -> Self {
        let Some((low, high)) = percentiles(picture).filter(|(low, high)| high - low < 1.0) else {
            return Affine::IDENTITY;
        };
        let span = high - low;
        let gain = (1.0 / span).min(MOST_GAIN);
        // What the limited gain leaves of [0, 1] is shared below and above in the
        // proportion it had: a flat picture keeps its grey.
        let new_low = low * (1.0 - gain * span) / (1.0 - span);
        Affine { gain, offset: new_low - gain * low }
    }

    fn matching(picture: &Picture, model: Option<Brightness>) -> Self {
        let (Some(own), Some(model)) = (Brightness::of(picture), model) else {
            return Affine::IDENTITY;
        };
        let ratio = if own.deviation > FLAT { model.deviation / own.deviation } else { 1.0 };
        let gain = ratio.clamp(1.0 / MOST_GAIN_MATCHED, MOST_GAIN_MATCHED);
        Affine { gain, offset: model.mean - gain * own.mean }
    }

    fn apply(self, picture: &mut Picture) {
        for mut colour in picture.rgb.lanes_mut(Axis(2)) {
            let y = luma(colour.view());
            let grey = (self.gain * y + self.offset).clamp(0.0, 1.0);
            let away = |v: f32| self.gain * (f64::from(v) - y);
            let room = colour.iter().fold(1.0_f64, |t, &v| {
                let away = away(v);
                let space = if away > 0.0 { 1.0 - grey } else { grey };
                if away == 0.0 { t } else { t.min(space / away.abs()) }
            });
            colour.mapv_inplace(|v| ((grey + room * away(v)) as f32).clamp(0.0, 1.0));
        }
    }
}

/// The brightness that [`BEYOND`] of the picture lies below, and that as much lies above;
/// `None` where nothing is seen.
fn percentiles(picture: &Picture) -> Option<(f64, f64)> {
    const BINS: usize = 4096;
    let mut histogram = vec![0.0; BINS];
    let mut weight = 0.0;
    for_each_luma(picture, |y, w| {
        histogram[((y * BINS as f64) as usize).min(BINS - 1)] += w;
        weight += w;
    });
    let beyond = BEYOND * weight;
    // Bins are passed whole while they lie beyond; the bin that is not marks the percentile with its outer edge.
    let passed = |bins: &mut dyn Iterator<Item = &f64>| {
        let mut sum = 0.0;
        bins.take_while(|&&bin| {
            sum += bin;
            sum <= beyond
        })
        .count() as f64
    };
    let low = passed(&mut histogram.iter()) / BINS as f64;
    let high = 1.0 - passed(&mut histogram.iter().rev()) / BINS as f64;
    (weight > 0.0).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use proptest::prelude::*;

    /// Greys from `low` to `high`, evenly.
    fn greys(low: f32, high: f32) -> Picture {
        let steps = 32 * 32 - 1;
        Picture::from_rgb(Array3::from_shape_fn((32, 32, 3), |(y, x, _)| {
            low + (high - low) * (y * 32 + x) as f32 / steps as f32
        }))
    }

    fn adjusted(mut picture: Picture, tone: Tone, model: &Picture) -> Picture {
        Adjustment::new(tone, model, model).apply(&mut picture);
        picture
    }

    #[test]
    fn auto_stretches_a_dull_picture_from_black_to_white() {
        let stretched = adjusted(greys(0.2, 0.8), Tone::Auto, &greys(0.0, 1.0));
        // By hand: percentiles at 0.203 and 0.797 (to a histogram's bin), so grey 0.5 stays and the ends are cut.
        assert_eq!((stretched.rgb[[0, 0, 0]], stretched.rgb[[31, 31, 2]]), (0.0, 1.0));
        assert!((stretched.rgb[[15, 31, 1]] - 0.5).abs() < 2e-3);
    }

    #[test]
    fn auto_leaves_a_full_range_and_a_flat_picture_alone() {
        let full = Picture::from_rgb(Array3::from_shape_fn((8, 8, 3), |(y, _, _)| (y % 2) as f32));
        assert_eq!(adjusted(full.clone(), Tone::Auto, &full), full);
        let flat = Picture::from_rgb(Array3::from_elem((8, 8, 3), 0.3));
        let same = adjusted(flat.clone(), Tone::Auto, &flat);
        // To the width of a histogram's bin.
        assert!(same.rgb.iter().all(|v| (v - 0.3).abs() < 1.0 / 2048.0), "{}", same.rgb[[0, 0, 0]]);
    }

    #[test]
    fn autos_gain_is_limited() {
        let fog = adjusted(greys(0.5, 0.6), Tone::Auto, &greys(0.0, 1.0));
        let (low, high) = (fog.rgb[[0, 0, 0]], fog.rgb[[31, 31, 0]]);
        assert!((f64::from(high - low) - 0.1 * MOST_GAIN).abs() < 1e-3, "{low} to {high}");
    }

    #[test]
    fn matching_gives_the_models_mean_and_deviation() {
        let model = greys(0.3, 0.5);
        for tone in [Tone::Content, Tone::Style] {
            let Brightness { mean, deviation } = Brightness::of(&adjusted(greys(0.1, 0.9), tone, &model)).unwrap();
            let model = Brightness::of(&model).unwrap();
            // Nothing is cut off here, so only f32 rounding remains.
            assert!((mean - model.mean).abs() < 1e-6 && (deviation - model.deviation).abs() < 1e-6);
        }
    }

    #[test]
    fn content_and_style_take_their_own_model() {
        let (dark, bright) = (greys(0.1, 0.2), greys(0.7, 0.9));
        let mut picture = greys(0.4, 0.6);
        Adjustment::new(Tone::Content, &dark, &bright).apply(&mut picture);
        assert!((Brightness::of(&picture).unwrap().mean - 0.15).abs() < 1e-6);
        Adjustment::new(Tone::Style, &dark, &bright).apply(&mut picture);
        assert!((Brightness::of(&picture).unwrap().mean - 0.8).abs() < 1e-6);
    }

    #[test]
    fn off_changes_no_bit() {
        assert_eq!(adjusted(greys(0.2, 0.3), Tone::Off, &greys(0.0, 1.0)), greys(0.2, 0.3));
    }

    #[test]
    fn what_is_not_seen_does_not_count() {
        // Half the picture is white but transparent: the visible half decides.
        let mut picture = greys(0.2, 0.6);
        picture.rgb.slice_mut(ndarray::s![16.., .., ..]).fill(1.0);
        picture.alpha = Some(ndarray::Array2::from_shape_fn((32, 32), |(y, _)| if y < 16 { 1.0 } else { 0.0 }));
        let (low, high) = percentiles(&picture).unwrap();
        assert!((low - 0.2).abs() < 5e-3 && (high - 0.4).abs() < 5e-3, "{low} to {high}");
        picture.alpha = Some(ndarray::Array2::zeros((32, 32)));
        assert_eq!(adjusted(picture.clone(), Tone::Auto, &greys(0.0, 1.0)), picture, "nothing is seen");
        assert_eq!(adjusted(picture.clone(), Tone::Style, &greys(0.0, 1.0)), picture, "nothing is seen");
    }

    proptest! {
        #[test]
        fn a_colour_that_does_not_fit_keeps_its_hue(
            rgb in prop::array::uniform3(0.0f32..=1.0), gain in 0.25f64..4.0, offset in -1.0f64..1.0,
        ) {
            let mut picture = Picture::from_rgb(Array3::from_shape_fn((1, 1, 3), |(_, _, c)| rgb[c]));
            let before = luma(picture.rgb.lanes(Axis(2)).into_iter().next().unwrap());
            Affine { gain, offset }.apply(&mut picture);
            let after: Vec<f64> = picture.rgb.iter().map(|&v| f64::from(v)).collect();
            prop_assert!(after.iter().all(|v| (0.0..=1.0).contains(v)));
            let y = luma(picture.rgb.lanes(Axis(2)).into_iter().next().unwrap());
            prop_assert!((y - (gain * before + offset).clamp(0.0, 1.0)).abs() < 1e-5);
            // Distances from grey keep their ratios: their cross products vanish.
            let away: Vec<f64> = rgb.iter().map(|&v| f64::from(v) - before).collect();
            for (a, b) in [(0, 1), (1, 2), (2, 0)] {
                let cross = away[a] * (after[b] - y) - away[b] * (after[a] - y);
                prop_assert!(cross.abs() < 1e-5, "{:?} became {:?}", rgb, after);
            }
        }
    }
}
