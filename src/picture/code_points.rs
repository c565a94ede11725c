//! What a PNG file says of its colours, as an ICC profile.
//!
//! PNG has four ways to say it, and the first of these that is there counts (PNG, third edition, 4.3):
//!
//! ```text
//!   cICP         code points of ITU-T H.273, as video has them: primaries and transfer function by number
//!   iCCP         a profile
//!   sRGB         what every untagged picture is taken for
//!   gAMA, cHRM   an exponent; chromaticities of the primaries
//! ```
//!
//! A gamma of 1/2.2 is how sRGB was said before there was the chunk, and that is what it is taken for.

use std::io::Cursor;

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, MatrixCoefficients, ToneReprCurve,
    TransferCharacteristics,
};
use png::{CodingIndependentCodePoints, Info};

use super::contain::contain;

/// By so much numbers are rounded by those who mean sRGB.
const ABOUT: f64 = 0.005;

/// The profile of a PNG file's colours; `None` if they are sRGB.
pub(super) fn profile_of_png(file: &[u8]) -> Option<Vec<u8>> {
    let reader = png::Decoder::new(Cursor::new(file)).read_info().ok()?;
    let info = reader.info();
    let grey = matches!(info.color_type, png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha);
    if let Some(points) = info.coding_independent_code_points {
        if (points.color_primaries, points.transfer_function, points.is_video_full_range_image) == (1, 13, true) {
            return None;
        }
        if let Some(profile) = contain(|| of_code_points(points, grey)).ok().flatten() {
            return profile.encode().ok();
        }
    }
    if let Some(profile) = &info.icc_profile {
        return Some(profile.to_vec());
    }
    if info.srgb.is_some() {
        return None;
    }
    contain(|| of_gamma(info, grey)).ok().flatten()?.encode().ok()
}

/// The colours of code points; none of those that say nothing.
fn of_code_points(points: CodingIndependentCodePoints, grey: bool) -> Option<ColorProfile> {
    let transfer = TransferCharacteristics::try_from(points.transfer_function).ok()?;
    let mut colours = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: CicpColorPrimaries::try_from(points.color_primaries).ok()?,
        // Of the library's curves some end where those of pictures go on; ours replace them below.
        transfer_characteristics: TransferCharacteristics::Srgb,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    // What is unspecified has no curves and is dark.
    if colours.red_trc.is_none() || transfer.linearize(1.0) <= 0.0 {
        return None;
    }
    let curve = table(|v| {
        let v = if points.is_video_full_range_image { v } else { ((255.0 * v - 16.0) / 219.0).clamp(0.0, 1.0) };
        transfer.linearize(v) / white_of(transfer)
    });
    colours.cicp = None;
    Some(curved(colours, curve, grey))
}

/// What a picture's white is, where the curve goes on to lights that no paper reflects: 203 cd/m² (ITU-R BT.2408). All
/// that is brighter is white.
fn white_of(transfer: TransferCharacteristics) -> f64 {
    match transfer {
        TransferCharacteristics::Smpte2084 => 203.0 / 10_000.0,
        // At three quarters of the signal.
        TransferCharacteristics::Hlg => transfer.linearize(0.75),
        _ => 1.0,
    }
}

/// The colours of an exponent and of chromaticities; none of sRGB's own.
fn of_gamma(info: &Info<'_>, grey: bool) -> Option<ColorProfile> {
    let value = |number: png::ScaledFloat| f64::from(number.into_value());
    let gamma = info.gama_chunk.map(value).filter(|gamma| *gamma > 0.01);
    let stated = info.chrm_chunk.map(|c| [c.white, c.red, c.green, c.blue].map(|(x, y)| [value(x), value(y)]));
    // Points of light on a triangle that is one.
    let sound = |c: &[[f64; 2]; 4]| c.iter().all(|[x, y]| *y > 0.01 && *x >= 0.0 && x + y <= 1.0);
    let stated = stated.filter(sound);
    let like_srgb = gamma.is_none_or(|gamma| (gamma - 1.0 / 2.2).abs() < ABOUT);
    let near_srgb =
        |c: [[f64; 2]; 4]| c.iter().flatten().zip(SRGB.iter().flatten()).all(|(a, b)| (a - b).abs() < ABOUT);
    if like_srgb && stated.is_none_or(near_srgb) {
        return None;
    }
    let curve = match gamma {
        Some(gamma) if !like_srgb => table(|v| v.powf(1.0 / gamma)),
        _ => table(|v| TransferCharacteristics::Srgb.linearize(v)),
    };
    let [white, red, green, blue] = stated.unwrap_or(SRGB).map(|[x, y]| Chromaticity::new(x as f32, y as f32));
    let mut colours = ColorProfile::new_srgb();
    colours.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    Some(curved(colours, curve, grey))
}

/// White, red, green and blue of sRGB.
const SRGB: [[f64; 2]; 4] = [[0.3127, 0.329], [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]];

/// A curve from values to light, in so many steps that none is seen.
fn table(light: impl Fn(f64) -> f64) -> ToneReprCurve {
    const STEPS: usize = 4096;
    let step = |i: usize| (65_535.0 * light(i as f64 / (STEPS - 1) as f64).clamp(0.0, 1.0)).round() as u16;
    ToneReprCurve::Lut((0..STEPS).map(step).collect())
}

/// A profile with such a curve; of greys, which have no primaries, the curve alone.
fn curved(mut colours: ColorProfile, curve: ToneReprCurve, grey: bool) -> ColorProfile {
    if grey {
        let mut greys = ColorProfile::new_gray_with_gamma(1.0);
        greys.gray_trc = Some(curve);
        return greys;
    }
    colours.red_trc = Some(curve.clone());
    colours.green_trc = Some(curve.clone());
    colours.blue_trc = Some(curve);
    colours
}

#[cfg(test)]
mod tests {
    use crate::picture::load;

    /// A PNG of one colour with chunks before its pixels, and what is read of it.
    fn read(colour: [u8; 3], chunks: &[(&[u8; 4], Vec<u8>)]) -> [f32; 3] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 16, 16);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        for (name, data) in chunks {
            writer.write_chunk(png::chunk::ChunkType(**name), data).unwrap();
        }
        writer.write_image_data(&colour.repeat(256)).unwrap();
        writer.finish().unwrap();
        std::fs::write(&path, file).unwrap();
        let picture = load(&path, 1000).unwrap();
        [0, 1, 2].map(|c| 255.0 * picture.rgb[[0, 0, c]])
    }

    fn gamma(exponent: f64) -> (&'static [u8; 4], Vec<u8>) {
        (b"gAMA", ((1e5 * exponent).round() as u32).to_be_bytes().to_vec())
    }

    /// White, red, green and blue as sRGB's are usually written.
    const SRGB_CHUNK: [u32; 8] = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000];

    fn chromaticities(numbers: [u32; 8]) -> Vec<u8> {
        numbers.map(u32::to_be_bytes).concat()
    }

    fn near(found: [f32; 3], expected: [f32; 3]) {
        let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // A step of the table where sRGB is steepest, and the profile's own rounding.
        assert!(apart < 0.6, "{found:?} is not {expected:?}");
    }

    #[test]
    fn an_exponent_is_undone() {
        // Linear light of 1/4, 1/2 and 3/4 as sRGB says it.
        near(read([64, 128, 191], &[gamma(1.0)]), [137.3, 188.0, 224.7]);
        // 1/1.8: (128/255)^1.8 = 0.2892, which sRGB says by 146.4.
        near(read([128; 3], &[gamma(1.0 / 1.8)]), [146.4; 3]);
    }

    #[test]
    fn what_is_srgb_stays_to_the_bit() {
        let colours = [200, 100, 7];
        let plain = read(colours, &[]);
        for chunks in [
            vec![gamma(0.45455)],
            vec![gamma(0.45455), (b"cHRM", chromaticities(SRGB_CHUNK))],
            vec![(b"sRGB", vec![0]), gamma(1.0)],
            vec![(b"cICP", vec![1, 13, 0, 1])],
            vec![(b"cICP", vec![2, 2, 0, 1])],
        ] {
            assert_eq!(read(colours, &chunks), plain, "{chunks:?}");
        }
    }

    #[test]
    fn chromaticities_are_brought_to_srgbs() {
        // Display P3's by the other chunk.
        let p3 = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000];
        let chunks = [gamma(0.45455), (b"cHRM", chromaticities(p3))];
        let by_points = read([200, 100, 100], &[(b"cICP", vec![12, 13, 0, 1])]);
        near(read([200, 100, 100], &chunks), by_points);
        // What is no triangle says nothing.
        assert_eq!(read([200, 100, 7], &[(b"cHRM", chromaticities([0; 8]))]), read([200, 100, 7], &[]));
    }

    #[test]
    fn code_points_are_heeded_before_all_else() {
        // Display P3's red is beyond sRGB's; greys are the same in both.
        let p3 = (b"cICP", vec![12, 13, 0, 1]);
        near(read([255, 0, 0], std::slice::from_ref(&p3)), [255.0, 0.0, 0.0]);
        near(read([128; 3], std::slice::from_ref(&p3)), [128.0; 3]);
        let [red, green, _] = read([200, 100, 100], &[p3, gamma(1.0)]);
        assert!(red > 205.0 && green < 98.0, "{red} {green}");
    }

    #[test]
    fn white_paper_is_white_where_the_curve_goes_on_beyond_it() {
        // 203 cd/m² is 0.5807 in PQ (SMPTE ST 2084), 148 of 255; brighter is white, black is black.
        let pq = || vec![(b"cICP", vec![9, 16, 0, 1])];
        near(read([148; 3], &pq()), [254.6; 3]);
        near(read([230; 3], &pq()), [255.0; 3]);
        near(read([0; 3], &pq()), [0.0; 3]);
        let hlg = || vec![(b"cICP", vec![9, 18, 0, 1])];
        near(read([192; 3], &hlg()), [255.0; 3]);
        // In narrow range 16 is black, and 235 white.
        let narrow = || vec![(b"cICP", vec![1, 13, 0, 0])];
        near(read([16; 3], &narrow()), [0.0; 3]);
        near(read([235; 3], &narrow()), [255.0; 3]);
    }
}
