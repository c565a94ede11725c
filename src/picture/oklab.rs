//! Colours as lightness and colour apart: OkLab.
//!
//! ```text
//!   sRGB ─decode─▶ linear ─M₁─▶ cones ─∛─▶ ─M₂─▶ L, a, b        L from 0 (black) to 1 (white); a = b = 0 is grey
//! ```
//!
//! Lightness that is taken from one picture and colour from another fit together where a change of one does not show in
//! the other. In YUV or YCbCr a saturated blue turns pale when its brightness rises, in Lab it turns purple.
//!
//! Source: B. Ottosson, *A perceptual color space for image processing*, 2020.

/// A colour: L, a and b.
pub type Lab = [f32; 3];

/// Steps in which the way to grey is halved: 2⁻¹⁰ is less than a step of 8 bits.
const HALVINGS: usize = 10;

/// A channel this far outside of [0, 1] is rounded to it.
const ROUNDING: f32 = 1e-5;

/// OkLab of an sRGB-encoded colour in [0, 1].
#[must_use]
pub fn from_srgb(rgb: [f32; 3]) -> Lab {
    let [r, g, b] = rgb.map(decode);
    let l = 0.412_221_47 * r + 0.536_332_55 * g + 0.051_445_995 * b;
    let m = 0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b;
    let s = 0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b;
    let [l, m, s] = [l, m, s].map(f32::cbrt);
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

/// The sRGB-encoded colour in [0, 1] of the same lightness and hue: what sRGB does not have is moved towards grey until it
/// does.
#[must_use]
pub fn to_srgb([lightness, a, b]: Lab) -> [f32; 3] {
    let lightness = lightness.clamp(0.0, 1.0);
    let fits = |linear: &[f32; 3]| linear.iter().all(|v| (-ROUNDING..=1.0 + ROUNDING).contains(v));
    let mut found = linear([lightness, a, b]);
    if !fits(&found) {
        let (mut inside, mut outside) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (inside + outside);
            if fits(&linear([lightness, middle * a, middle * b])) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        found = linear([lightness, inside * a, inside * b]);
    }
    found.map(encode)
}

/// The sRGB-encoded grey of some lightness, in [0, 1].
#[must_use]
pub fn grey(lightness: f32) -> f32 {
    encode(lightness.max(0.0).powi(3))
}

/// Linear red, green and blue, which may be outside of [0, 1].
fn linear([lightness, a, b]: Lab) -> [f32; 3] {
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
}

/// IEC 61966-2-1, the way back from [`encode`].
fn decode(v: f32) -> f32 {
    if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// IEC 61966-2-1, cut to [0, 1].
fn encode(v: f32) -> f32 {
    let v = v.clamp(0.0, 1.0);
    let encoded = if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
    encoded.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(a: [f32; 3], b: [f32; 3], tolerance: f32) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
    }

    #[test]
    fn primaries_are_where_the_author_has_them() {
        // CSS Color 4's values of the same space, four digits.
        for (rgb, lab) in [
            ([1.0, 1.0, 1.0], [1.0, 0.0, 0.0]),
            ([1.0, 0.0, 0.0], [0.6280, 0.2249, 0.1258]),
            ([0.0, 1.0, 0.0], [0.8664, -0.2339, 0.1795]),
            ([0.0, 0.0, 1.0], [0.4520, -0.0325, -0.3115]),
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ] {
            assert!(near(from_srgb(rgb), lab, 1e-4), "{rgb:?} {:?}", from_srgb(rgb));
        }
    }

    #[test]
    fn greys_have_no_colour_and_come_back() {
        for step in 0..=16 {
            let v = step as f32 / 16.0;
            let [lightness, a, b] = from_srgb([v; 3]);
            assert!(a.abs() < 1e-5 && b.abs() < 1e-5);
            assert!((grey(lightness) - v).abs() < 1e-5, "{v} {}", grey(lightness));
        }
    }

    proptest! {
        #[test]
        fn every_colour_comes_back(rgb in prop::array::uniform3(0.0f32..=1.0)) {
            // Near black the encoding is twelve times as steep.
            let back = to_srgb(from_srgb(rgb));
            prop_assert!(near(back, rgb, 2e-3), "{rgb:?} {back:?}");
        }

        #[test]
        fn what_does_not_fit_keeps_its_lightness_and_hue(
            lightness in 0.1f32..0.98, hue in 0.0f32..std::f32::consts::TAU, chroma in 0.0f32..0.6,
        ) {
            let (sine, cosine) = hue.sin_cos();
            let rgb = to_srgb([lightness, chroma * cosine, chroma * sine]);
            prop_assert!(rgb.iter().all(|v| (0.0..=1.0).contains(v)));
            let [found, a, b] = from_srgb(rgb);
            // A step of 2⁻¹⁰ of the way to grey, and what 1e-5 of light is near black.
            prop_assert!((found - lightness).abs() < 0.01, "{found} {lightness}");
            let across = (a * sine - b * cosine).abs();
            prop_assert!(across < 0.02 && a * cosine + b * sine >= -0.02, "{a} {b} {hue}");
        }
    }
}
