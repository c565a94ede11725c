//! JPEG, decoded without `image` in between, for two reasons.
//!
//! `image` turns ink (CMYK and YCCK) into RGB with a plain formula, after which
//! the file's ICC profile is of no use; here the inks come through. And it asks
//! the decoder to be lenient, so that half a file becomes half a picture over
//! grey; here a picture that is not whole is an error.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::color::Model;
use super::decode::{Raster, Samples, Sides};
use super::orientation;

/// Decodes a whole JPEG file; `admit` judges its sides before any pixel is decoded.
pub(super) fn decode(file: &[u8], admit: impl FnOnce(Sides) -> Result<(), String>) -> Result<Raster, String> {
    // Headers leniently (stray bytes between segments hurt nobody), pixels strictly.
    let lenient = DecoderOptions::default().set_strict_mode(false).set_max_width(65_535).set_max_height(65_535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), lenient);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or("a JPEG without a size")?;
    admit(Sides { height: height as u64, width: width as u64 })?;

    let stored = decoder.input_colorspace().ok_or("a JPEG without a colour space")?;
    let (wanted, model) = match stored {
        ColorSpace::Luma => (ColorSpace::Luma, Model::Grey),
        ColorSpace::CMYK => (ColorSpace::CMYK, Model::Cmyk),
        ColorSpace::YCCK => (ColorSpace::YCCK, Model::Cmyk),
        _ => (ColorSpace::RGB, Model::Rgb),
    };
    let strict = lenient.set_strict_mode(true).jpeg_set_out_colorspace(wanted);
    decoder.set_options(strict);
    let mut pixels = super::decode::buffer(width as u64 * height as u64 * model.channels() as u64)?;
    decoder.decode_into(&mut pixels).map_err(damaged)?;
    if !reaches_its_end(file) {
        return Err("the JPEG file is truncated (it stops before its end marker): copy it again from its source".into());
    }
    match stored {
        ColorSpace::CMYK => pixels.iter_mut().for_each(|v| *v = 255 - *v),
        ColorSpace::YCCK => pixels.chunks_exact_mut(4).for_each(inks_of_ycck),
        _ => {}
    }
    let orientation = orientation::of(decoder.exif().map(Vec::as_slice), decoder.xmp().map(Vec::as_slice));
    Ok(Raster {
        height,
        width,
        model,
        has_alpha: false,
        samples: Samples::Eight(pixels),
        icc: decoder.icc_profile(),
        orientation,
    })
}

/// YCCK in place to ink.
///
/// Adobe's ink JPEGs hold 255 − ink. In YCCK the first three of those are
/// complemented once more, back to C, M, Y, and stored as YCbCr as if they were
/// R, G, B (ITU-T T.872); black stays complemented. Every common reader
/// takes all ink JPEGs to be Adobe's, and so does this one.
fn inks_of_ycck(pixel: &mut [u8]) {
    let (y, cb, cr) = (f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0);
    let inks = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
    // `as` saturates.
    pixel.iter_mut().zip(inks).for_each(|(stored, ink)| *stored = ink.round() as u8);
    pixel[3] = 255 - pixel[3];
}

/// Whether an end-of-image marker follows the (first) scan.
///
/// The strict decoder notices data that ends early except in the last row of
/// blocks. Only what follows the scan's header counts: a camera's preview, in
/// a segment before it, has an end marker of its own.
fn reaches_its_end(file: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[marker, high, low]) = file.get(at + 1..at + 4) {
        match (file[at], marker) {
            (0xff, 0xda) => return file[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            (0xff, 0xc0..=0xfe) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
            // Fill bytes and strays between segments.
            _ => at += 1,
        }
    }
    false
}

fn damaged(error: DecodeErrors) -> String {
    match error {
        DecodeErrors::Unsupported(_) => format!(
            "a kind of JPEG that cannot be read (lossless, arithmetic-coded or 12-bit: {error}): convert it to PNG"
        ),
        _ => format!("the JPEG file is damaged or truncated ({error}): copy it again from its source"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    /// A 32 × 24 JPEG of one colour of ink, which the encoder stores the way Adobe does.
    fn ink_jpeg(ink: [u8; 4], kind: ColorType, sampling: SamplingFactor, progressive: bool) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 95);
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(progressive);
        encoder.encode(&ink.repeat(32 * 24), 32, 24, kind).unwrap();
        file
    }

    fn pixels(file: &[u8]) -> (Raster, Vec<u8>) {
        let raster = decode(file, |_| Ok(())).unwrap();
        let Samples::Eight(pixels) = &raster.samples else { panic!("JPEG is 8-bit") };
        let pixels = pixels.clone();
        (raster, pixels)
    }

    #[test]
    fn ink_comes_through_as_ink_whatever_its_coding() {
        let ink = [200, 30, 90, 40];
        // Ink at several resolutions is in the test pictures: here the encoder would thin out all inks but black.
        for (kind, samplings) in [
            (ColorType::Cmyk, &[SamplingFactor::R_4_4_4][..]),
            (ColorType::CmykAsYcck, &[SamplingFactor::R_4_4_4, SamplingFactor::R_4_2_2, SamplingFactor::R_4_2_0]),
        ] {
            for &sampling in samplings {
                for progressive in [false, true] {
                    let (raster, pixels) = pixels(&ink_jpeg(ink, kind, sampling, progressive));
                    assert_eq!(raster.model, Model::Cmyk);
                    for pixel in pixels.chunks_exact(4) {
                        // A flat colour at quality 95 is off by quantisation alone.
                        let near = pixel.iter().zip(ink).all(|(a, b)| a.abs_diff(b) <= 3);
                        assert!(near, "{kind:?} {sampling:?} progressive {progressive}: {pixel:?} is not {ink:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_jpeg_cut_anywhere_is_an_error() {
        let photo: Vec<u8> = (0..64 * 64 * 3).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for progressive in [false, true] {
            let mut file = Vec::new();
            let mut encoder = Encoder::new(&mut file, 90);
            encoder.set_progressive(progressive);
            encoder.encode(&photo, 64, 64, ColorType::Rgb).unwrap();
            assert!(decode(&file, |_| Ok(())).is_ok());
            for length in [3, 20, 200, file.len() / 2, file.len() - 40, file.len() - 3, file.len() - 1] {
                assert!(decode(&file[..length], |_| Ok(())).is_err(), "{length} of {} bytes", file.len());
            }
        }
    }
}
