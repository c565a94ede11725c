//! JPEG, decoded without `image` in between, for two reasons.
//!
//! `image` turns ink (CMYK and YCCK) into RGB with a plain formula, after which
//! the file's ICC profile is of no use; here the inks come through. And it asks
//! the decoder to be lenient, so that half a file becomes half a picture over
//! grey; here a picture of which any pixel is missing is an error.

mod segments;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::color::Model;
use super::orientation;
use super::raster::{Bounds, Raster, Refusal, Samples, Sides, buffer};

/// Decodes a whole JPEG file; its sides are judged before any pixel is decoded.
pub(super) fn decode(file: &[u8], bounds: &Bounds<'_>) -> Result<Raster, Refusal> {
    let (decoder, sides, stored) = headers(file)?;
    bounds.sides(sides)?;
    let (wanted, model) = match stored {
        ColorSpace::Luma => (ColorSpace::Luma, Model::Grey),
        ColorSpace::CMYK => (ColorSpace::CMYK, Model::Cmyk),
        ColorSpace::YCCK => (ColorSpace::YCCK, Model::Cmyk),
        _ => (ColorSpace::RGB, Model::Rgb),
    };
    let orientation = orientation::of(decoder.exif().map(Vec::as_slice), decoder.xmp().map(Vec::as_slice));
    bounds.memory(sides, model.channels() as u64, false, orientation)?;
    let options = lenient().jpeg_set_out_colorspace(wanted);
    let mut pixels =
        if segments::reaches_its_end(file) { pixels(file, options)? } else { pixels_without_end(file, options)? };
    match stored {
        ColorSpace::CMYK => pixels.iter_mut().for_each(|v| *v = 255 - *v),
        ColorSpace::YCCK => pixels.chunks_exact_mut(4).for_each(inks_of_ycck),
        _ => {}
    }
    Ok(Raster {
        height: sides.height as usize,
        width: sides.width as usize,
        model,
        has_alpha: false,
        samples: Samples::Eight(pixels),
        icc: decoder.icc_profile(),
        orientation,
    })
}

/// The components of a JPEG stream within another format, which says what they mean; `admit` judges sides and number.
pub(super) fn components(
    stream: &[u8],
    admit: impl FnOnce(Sides, usize) -> Result<(), String>,
) -> Result<Vec<u8>, String> {
    let (_, sides, stored) = headers(stream)?;
    admit(sides, stored.num_components())?;
    pixels(stream, lenient().jpeg_set_out_colorspace(stored))
}

/// The block of EXIF in a file, if there is one.
pub(super) fn exif(file: &[u8]) -> Option<Vec<u8>> {
    headers(file).ok()?.0.exif().cloned()
}

/// Dots per inch that JFIF states, if it does and they are square.
pub(super) fn dpi(file: &[u8]) -> Option<f64> {
    let jfif = segments::application_data(file).find_map(|data| data.strip_prefix(b"JFIF\0"))?;
    // Behind the version: the unit, and dots across and down.
    let [_, _, unit, x1, x0, y1, y0, ..] = *jfif else { return None };
    let factor = match unit {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    ([x1, x0] == [y1, y0]).then(|| factor * f64::from(u16::from_be_bytes([x1, x0])))
}

/// Headers are read leniently: stray bytes between segments hurt nobody.
fn lenient() -> DecoderOptions {
    DecoderOptions::default().set_strict_mode(false).set_max_width(65_535).set_max_height(65_535)
}

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// What stands before the pixels.
fn headers(file: &[u8]) -> Result<(Decoder<'_>, Sides, ColorSpace), String> {
    if let Some(kind) = segments::rare_kind(file) {
        return Err(format!("{kind} JPEG, a kind that cannot be read: convert it to PNG"));
    }
    let mut decoder = Decoder::new_with_options(ZCursor::new(file), lenient());
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| without("size"))?;
    let stored = decoder.input_colorspace().ok_or_else(|| without("colour space"))?;
    Ok((decoder, Sides { height: height as u64, width: width as u64 }, stored))
}

/// Decodes the pixels, and accepts no damage in them.
fn pixels(file: &[u8], options: DecoderOptions) -> Result<Vec<u8>, String> {
    let mut decoder = Decoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(damaged)?;
    decoder.set_options(options.set_strict_mode(true));
    let mut pixels = buffer(decoder.output_buffer_size().ok_or_else(|| without("size"))? as u64)?;
    decoder.decode_into(&mut pixels).map_err(damaged)?;
    Ok(pixels)
}

/// Decodes a file that stops before its end marker, if that is all it lacks.
///
/// The decoder cannot tell: it makes up what is missing in the last row of
/// blocks. So the file is completed in several ways that share no bit. Where all
/// pixels are there none of that is looked at, and they come out the same.
fn pixels_without_end(file: &[u8], options: DecoderOptions) -> Result<Vec<u8>, String> {
    let truncated =
        || "the JPEG file is truncated (pixels are missing at its end): copy it again from its source".into();
    if !segments::has_every_scan(file) {
        return Err(truncated());
    }
    // What may be left of the marker is its first byte.
    let data = file.strip_suffix(&[0xff]).unwrap_or(file);
    let completed = |bits: [u8; 2]| {
        let file = [data, &bits.repeat(64), &[0xff, 0xd9]].concat();
        pixels(&file, options).map_err(|_| truncated())
    };
    // 255 is followed by 0 where it is no marker.
    let first = completed([0x00, 0x00])?;
    for bits in [[0xff, 0x00], [0x55, 0x55], [0xaa, 0xaa]] {
        if completed(bits)? != first {
            return Err(truncated());
        }
    }
    Ok(first)
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

fn without(what: &str) -> String {
    format!("the JPEG file is damaged (it has no {what}): copy it again from its source")
}

fn damaged(error: DecodeErrors) -> String {
    // Some of the decoder's reasons have several lines.
    let error = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    format!("the JPEG file is damaged or truncated ({error}): copy it again from its source")
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

    fn pixels_of(file: &[u8]) -> (Raster, Vec<u8>) {
        let raster = decode(file, &Bounds::none()).unwrap();
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
                    let (raster, pixels) = pixels_of(&ink_jpeg(ink, kind, sampling, progressive));
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

    /// 64 × 64 pixels of noise and of one colour, in each way of coding.
    fn rgb_jpegs() -> Vec<Vec<u8>> {
        let noise = (0..64 * 64 * 3).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut files = Vec::new();
        for photo in [noise, vec![77; 64 * 64 * 3]] {
            for (progressive, restart) in [(false, 0), (true, 0), (false, 3)] {
                let mut file = Vec::new();
                let mut encoder = Encoder::new(&mut file, 90);
                encoder.set_progressive(progressive);
                encoder.set_restart_interval(restart);
                encoder.encode(&photo, 64, 64, ColorType::Rgb).unwrap();
                files.push(file);
            }
        }
        files
    }

    #[test]
    fn a_jpeg_cut_anywhere_is_an_error() {
        for file in rgb_jpegs() {
            assert!(decode(&file, &Bounds::none()).is_ok());
            // The last two bytes are the end marker, without which nothing is missing.
            for length in [3, 20, 200, file.len() / 2].into_iter().chain(file.len() - 40..file.len() - 2) {
                assert!(decode(&file[..length], &Bounds::none()).is_err(), "{length} of {} bytes", file.len());
            }
        }
    }

    #[test]
    fn a_jpeg_that_lacks_only_its_end_marker_is_whole() {
        for file in rgb_jpegs() {
            let whole = pixels_of(&file).1;
            for length in [file.len() - 2, file.len() - 1] {
                assert!(pixels_of(&file[..length]).1 == whole, "{length} of {} bytes", file.len());
            }
        }
    }

    #[test]
    fn a_progressive_jpeg_cut_between_scans_is_an_error() {
        let file = &rgb_jpegs()[1];
        let scans: Vec<usize> = (0..file.len() - 1).filter(|&i| file[i..i + 2] == [0xff, 0xda]).collect();
        assert!(scans.len() > 2);
        for at in &scans[1..] {
            assert!(decode(&file[..*at], &Bounds::none()).is_err(), "{at} of {} bytes", file.len());
        }
    }

    #[test]
    fn a_kind_that_cannot_be_read_is_not_called_damaged() {
        let file = &rgb_jpegs()[0];
        let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let refusal = |offset: usize, byte: u8| {
            let mut changed = file.clone();
            changed[frame + offset] = byte;
            decode(&changed, &Bounds::none()).err().unwrap()
        };
        for (cause, kind) in [
            (refusal(1, 0xc3), "lossless"),
            (refusal(1, 0xc5), "hierarchical"),
            (refusal(1, 0xc9), "arithmetic-coded"),
            (refusal(1, 0xca), "arithmetic-coded"),
            (refusal(4, 12), "12-bit"),
        ] {
            let Refusal::Picture(cause) = cause else { panic!("{cause:?}") };
            assert!(cause.starts_with(kind) && cause.ends_with("convert it to PNG"), "{cause}");
        }
    }
}
