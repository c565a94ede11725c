//! From a file's colours to sRGB.
//!
//! The network was trained on sRGB pictures whose profiles nobody looked at, so
//! sRGB is what it gets. A picture tagged with another space (a phone's Display
//! P3, a camera's Adobe RGB, a press's CMYK) is converted through its ICC
//! profile with the perceptual intent; an untagged picture is taken for sRGB.
//!
//! A profile that is damaged, of another kind than the pixels, or beyond the
//! library is ignored, as web browsers do: a wrong profile is far more common
//! than a picture that is worthless without one.

use std::sync::Arc;

use moxcms::{ColorDateTime, ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

use super::contain::contain;

/// What the channels of a file mean, opacity aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    /// One channel, 0 black to 1 white.
    Grey,
    /// Three channels, 0 dark to 1 bright.
    Rgb,
    /// Four channels of ink, 0 bare paper to 1 solid ink.
    Cmyk,
}

impl Model {
    /// Channels per pixel.
    pub(super) fn channels(self) -> usize {
        match self {
            Model::Grey => 1,
            Model::Rgb => 3,
            Model::Cmyk => 4,
        }
    }

    fn profile_space(self) -> DataColorSpace {
        match self {
            Model::Grey => DataColorSpace::Gray,
            Model::Rgb => DataColorSpace::Rgb,
            Model::Cmyk => DataColorSpace::Cmyk,
        }
    }

    fn layout(self) -> Layout {
        match self {
            Model::Grey => Layout::Gray,
            Model::Rgb => Layout::Rgb,
            // moxcms names layouts by their number of channels.
            Model::Cmyk => Layout::Rgba,
        }
    }

    /// Untagged colours: grey and RGB are sRGB already; ink i on black k leaves (1−i)(1−k) of the light.
    fn plain(self, source: &[f32], rgb: &mut [f32]) {
        match self {
            Model::Grey => rgb.chunks_exact_mut(3).zip(source).for_each(|(out, &v)| out.fill(v)),
            Model::Rgb => rgb.copy_from_slice(source),
            Model::Cmyk => {
                for (out, ink) in rgb.chunks_exact_mut(3).zip(source.chunks_exact(4)) {
                    for (o, i) in out.iter_mut().zip(ink) {
                        *o = (1.0 - i) * (1.0 - ink[3]);
                    }
                }
            }
        }
    }
}

type Transform = dyn TransformExecutor<f32> + Send + Sync;

/// The conversion of one picture's colours to sRGB.
pub(super) struct ToSrgb {
    model: Model,
    profile: Option<Arc<Transform>>,
}

/// A profile that moves no colour further than this is sRGB under another name,
/// and the pixels are better left exactly as they are: half a step of 8 bits.
const SAME_COLOUR: f32 = 0.5 / 255.0;

impl ToSrgb {
    /// The conversion for pixels of `model` tagged with the ICC profile `icc`, if any.
    pub(super) fn new(model: Model, icc: Option<&[u8]>) -> Self {
        let profile = icc.and_then(|icc| contain(|| useful_transform(model, icc)).ok().flatten());
        ToSrgb { model, profile }
    }

    /// Converts a row of pixels: `source` (W × channels) to `rgb` (W × 3), both in [0, 1].
    pub(super) fn row(&self, source: &[f32], rgb: &mut [f32]) {
        let convert = |profile: &Arc<Transform>| matches!(contain(|| profile.transform(source, rgb)), Ok(Ok(())));
        let converted = self.profile.as_ref().is_some_and(convert);
        if !converted {
            self.model.plain(source, rgb);
        }
        rgb.iter_mut().for_each(|v| *v = unit(*v));
    }
}

/// `v` confined to [0, 1]; 0 if it is not a number.
pub(super) fn unit(v: f32) -> f32 {
    if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) }
}

/// The transform to sRGB, or `None` where the profile cannot or need not be used.
fn useful_transform(model: Model, icc: &[u8]) -> Option<Arc<Transform>> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    if profile.color_space != model.profile_space() {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions { prefer_fixed_point: false, ..TransformOptions::default() };
    let transform = profile.create_transform_f32(model.layout(), &srgb, Layout::Rgb, options).ok()?;

    let probe = probe(model.channels());
    let pixels = probe.len() / model.channels();
    let (mut converted, mut plain) = (vec![0.0; pixels * 3], vec![0.0; pixels * 3]);
    transform.transform(&probe, &mut converted).ok()?;
    model.plain(&probe, &mut plain);
    let finite = converted.iter().all(|v| v.is_finite());
    let moved = converted.iter().zip(&plain).any(|(a, b)| (unit(*a) - b).abs() > SAME_COLOUR);
    (finite && moved).then_some(transform)
}

/// A grid over the whole colour cube, finest for the fewest channels.
fn probe(channels: usize) -> Vec<f32> {
    let steps: usize = match channels {
        1 => 256,
        3 => 9,
        _ => 5,
    };
    let pixels = 0..steps.pow(channels as u32);
    let level = |pixel: usize, channel: usize| (pixel / steps.pow(channel as u32)) % steps;
    pixels.flat_map(|p| (0..channels).map(move |c| level(p, c) as f32 / (steps - 1) as f32)).collect()
}

/// The ICC profile that tags a written file as sRGB; `None` only if the library cannot spell its own.
pub(super) fn srgb_profile() -> Option<Vec<u8>> {
    let mut profile = ColorProfile::new_srgb();
    // Otherwise it is the clock's, and a picture that is made again would be another file: the day of IEC 61966-2-1.
    let (hours, minutes, seconds) = (0, 0, 0);
    profile.creation_date_time = ColorDateTime { year: 1999, month: 10, day_of_the_month: 18, hours, minutes, seconds };
    profile.encode().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(model: Model, icc: &[u8], source: &[f32]) -> Vec<f32> {
        let mut rgb = vec![0.0; source.len() / model.channels() * 3];
        ToSrgb::new(model, Some(icc)).row(source, &mut rgb);
        rgb
    }

    #[test]
    fn a_profile_that_is_srgb_leaves_every_bit_alone() {
        let icc = srgb_profile().unwrap();
        let source: Vec<f32> = (0..300).map(|i| i as f32 / 299.0).collect();
        assert_eq!(converted(Model::Rgb, &icc, &source), source);
    }

    #[test]
    fn a_profile_does_not_tell_the_time() {
        // ICC.1, 7.2.1: at 24, six numbers of two bytes.
        assert_eq!(srgb_profile().unwrap()[24..36], [7, 207, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn display_p3_red_is_brighter_than_srgb_can_show() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        let rgb = converted(Model::Rgb, &icc, &[1.0, 0.0, 0.0, 0.5, 0.5, 0.5]);
        assert_eq!(rgb[..3], [1.0, 0.0, 0.0], "clamped to the nearest red");
        // Both spaces share white point and curve, so greys stay.
        assert!(rgb[3..].iter().all(|v| (v - 0.5).abs() < 1e-3), "{rgb:?}");
    }

    #[test]
    fn a_damaged_or_foreign_profile_is_ignored() {
        let mut icc = ColorProfile::new_display_p3().encode().unwrap();
        let source = [0.2, 0.4, 0.6];
        assert_ne!(converted(Model::Rgb, &icc, &source), source, "the undamaged profile does something");
        icc.truncate(200);
        for broken in [&icc[..], b"", b"not a profile"] {
            assert_eq!(converted(Model::Rgb, broken, &source), source);
        }
        let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        assert_eq!(converted(Model::Rgb, &grey, &source), source);
    }

    #[test]
    fn untagged_inks_let_through_what_they_do_not_absorb() {
        let mut rgb = [0.0; 6];
        ToSrgb::new(Model::Cmyk, None).row(&[1.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.5], &mut rgb);
        assert_eq!(rgb, [0.0, 1.0, 0.75, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn values_that_are_no_colour_become_one() {
        let mut rgb = [0.0; 3];
        ToSrgb::new(Model::Rgb, None).row(&[f32::NAN, -1.0, f32::INFINITY], &mut rgb);
        assert_eq!(rgb, [0.0, 0.0, 1.0]);
    }
}
