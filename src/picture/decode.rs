//! Reading a picture file.
//!
//! The format is told by the file's first bytes, never by its name. The size is
//! read from the header and judged before a pixel is decoded, and the decoder
//! runs under allocation limits and with its panics contained: a picture from
//! strangers can be refused, but cannot take the program down.

use std::io::Cursor;
use std::path::Path;

use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::Picture;
use super::code_points;
use super::color::Model;
use super::contain::contain;
use super::pixels::Original;
use super::raster::{Bounds, Raster, Refusal, Samples, Sides, WORKING_MEMORY, Wanted, buffer, memory_for};
use super::{jpeg, orientation, source, tiff};
use crate::error::{Error, Result};

/// Reads the picture at `path`: any of JPEG (grey, colour, ink), PNG, WebP,
/// TIFF, BMP, GIF (its first frame), QOI and PNM, told by content.
///
/// Orientation from the metadata is applied, colours are converted to sRGB (an
/// unusable ICC profile is ignored), sixteen bits keep their precision. `alpha`
/// is `None` where every pixel turns out to be opaque.
///
/// # Errors
/// [`Error::Picture`] where the file cannot be opened, is no picture, is damaged
/// or truncated, has more than `max_pixels` pixels, or a side below
/// [`SMALLEST_SIDE`](crate::vgg::SMALLEST_SIDE); [`Error::Memory`] where its header promises more pixels than
/// there is memory for.
pub fn load(path: &Path, max_pixels: u64) -> Result<Picture> {
    let picture = contained(path, max_pixels, Wanted::Picture, |raster| Ok(Original::new(raster).picture()?));
    picture.map_err(|refusal| refusal.into_error(path))
}

/// Reads the picture at `path` as [`load`] does, and leaves it as its file has it: rows become colours when they are asked
/// for.
///
/// # Errors
/// Those of [`load`].
pub fn open(path: &Path, max_pixels: u64) -> Result<Original> {
    let original = contained(path, max_pixels, Wanted::Rows, |raster| Ok(Original::new(raster)));
    original.map_err(|refusal| refusal.into_error(path))
}

/// The bytes of the file at `path`, if it begins as a picture does.
///
/// # Errors
/// Those of [`load`] that reading gives rise to.
pub(super) fn bytes(path: &Path, max_pixels: u64) -> Result<Vec<u8>> {
    source::read(path, max_pixels).map_err(|cause| Error::Picture { path: path.to_owned(), cause })
}

/// Height and width that [`load`] would give the picture at `path`: what its header states, the way it should be looked at.
///
/// # Errors
/// Those of [`load`] that the header gives rise to.
pub fn size(path: &Path, max_pixels: u64) -> Result<(usize, usize)> {
    match contained(path, max_pixels, Wanted::Size, |raster| Ok((raster.height, raster.width))) {
        Err(Refusal::Size(height, width)) => Ok((height, width)),
        other => other.map_err(|refusal| refusal.into_error(path)),
    }
}

/// What `work` makes of a file's raster, or the reason why there is none.
fn contained<T>(
    path: &Path,
    max_pixels: u64,
    wanted: Wanted,
    work: impl FnOnce(Raster) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let file = source::read(path, max_pixels)?;
    let bounds = Bounds { path, max_pixels, wanted };
    contain(|| work(decode(file, &bounds)?)).unwrap_or_else(|panic| {
        let cause = format!("the decoder gave up on this file ({panic}): open it in an image editor and save it again");
        Err(cause.into())
    })
}

fn decode(file: Vec<u8>, bounds: &Bounds<'_>) -> Result<Raster, Refusal> {
    let format = source::format_of(&file[..file.len().min(16)])?;
    if format == ImageFormat::Jpeg {
        return jpeg::decode(&file, bounds);
    }
    if format == ImageFormat::Tiff {
        return tiff::decode(&file, bounds);
    }
    let wrap = |error| undecodable(format, &error);
    let mut reader = ImageReader::with_format(Cursor::new(&file[..]), format);
    reader.limits(limits(WORKING_MEMORY));
    let mut decoder = reader.into_decoder().map_err(wrap)?;
    let (width, height) = decoder.dimensions();
    let sides = Sides { height: height.into(), width: width.into() };
    bounds.sides(sides)?;
    let color_type = decoder.color_type();
    let pixels = u64::from(width) * u64::from(height);
    decoder.set_limits(limits(memory_for(pixels))).map_err(wrap)?;

    // Metadata that cannot be read is no reason to refuse a picture that can.
    let block = |read: image::ImageResult<Option<Vec<u8>>>| read.ok().flatten();
    let orientation = match format {
        ImageFormat::Png => orientation::of_png(&file),
        _ => {
            let (exif, xmp) = (block(decoder.exif_metadata()), block(decoder.xmp_metadata()));
            orientation::of(exif.as_deref(), xmp.as_deref())
        }
    };
    bounds.memory(sides, color_type.bytes_per_pixel().into(), color_type.has_alpha(), orientation)?;
    let icc = match format {
        ImageFormat::Png => code_points::profile_of_png(&file),
        _ => decoder.icc_profile().ok().flatten(),
    };
    let (model, has_alpha) = match color_type.channel_count() {
        1 => (Model::Grey, false),
        2 => (Model::Grey, true),
        3 => (Model::Rgb, false),
        _ => (Model::Rgb, true),
    };
    let samples = read_samples(decoder, color_type, pixels).map_err(|error| match error {
        Undecoded::Memory(cause) => cause,
        Undecoded::Decoder(error) => undecodable(format, &error),
    })?;
    Ok(Raster { height: height as usize, width: width as usize, model, has_alpha, samples, icc, orientation })
}

fn limits(max_alloc: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_alloc);
    limits
}

enum Undecoded {
    Memory(String),
    Decoder(ImageError),
}

/// Decodes into a buffer of the file's own sample type.
fn read_samples(decoder: impl ImageDecoder, color_type: ColorType, pixels: u64) -> Result<Samples, Undecoded> {
    fn fill<T: Clone + Default + bytemuck::Pod>(decoder: impl ImageDecoder, length: u64) -> Result<Vec<T>, Undecoded> {
        let mut samples: Vec<T> = buffer(length).map_err(Undecoded::Memory)?;
        decoder.read_image(bytemuck::cast_slice_mut(&mut samples)).map_err(Undecoded::Decoder)?;
        Ok(samples)
    }
    let length = pixels.saturating_mul(color_type.channel_count().into());
    match color_type.bytes_per_pixel() / color_type.channel_count() {
        1 => fill(decoder, length).map(Samples::Eight),
        2 => fill(decoder, length).map(Samples::Sixteen),
        _ => fill(decoder, length).map(Samples::Float),
    }
}

fn undecodable(format: ImageFormat, error: &ImageError) -> String {
    let name = format.extensions_str().first().unwrap_or(&"picture").to_uppercase();
    match error {
        ImageError::Unsupported(e) => format!("a kind of {name} that cannot be read ({e}): convert it to PNG or JPEG"),
        ImageError::Limits(e) => {
            format!(
                "decoding this {name} takes more memory than a picture should ({e}): \
                 open it in an image editor and save it again"
            )
        }
        _ => format!("the {name} file is damaged or truncated ({error}): copy it again from its source"),
    }
}
