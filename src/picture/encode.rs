//! Pictures into the bytes of a file format.
//!
//! Everything written is sRGB and says so: PNG with its sRGB chunk, the others
//! with an ICC profile. Opacity goes where the format has a place for it; JPEG
//! has none and shows the picture on white paper.

use std::borrow::Cow;
use std::io::{Seek, Write};
use std::path::Path;

use image::codecs::jpeg::{JpegEncoder, PixelDensity};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::{Deserialize, Serialize};
use tiff::encoder::colortype::{ColorType as TiffColor, RGB8, RGB16, RGBA8, RGBA16};
use tiff::encoder::{Compression, DeflateLevel, Predictor, Rational, TiffEncoder, TiffValue};
use tiff::tags::{ExtraSamples, ResolutionUnit, Tag, Type};

use super::Picture;
use super::color::srgb_profile;
use super::{exif, is_standard};
use crate::error::{Error, Result};

/// JPEG quality: at 95 with full colour resolution the eye finds no trace of it.
const JPEG_QUALITY: u8 = 95;

/// PNG counts dots by the metre.
pub(super) const METRES_PER_INCH: f64 = 0.0254;

/// A format a picture can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// PNG: lossless, 8 or 16 bits, opacity.
    Png,
    /// JPEG: quality 95 unless told otherwise, no colour subsampling (4:4:4), opacity flattened onto white.
    Jpeg,
    /// WebP: lossless, 8 bits, opacity.
    WebP,
    /// TIFF: lossless (deflate), 8 or 16 bits, opacity.
    Tiff,
}

impl OutputFormat {
    /// The format that the extension of `path` names.
    ///
    /// # Errors
    /// [`Error::Usage`] listing the known extensions.
    pub fn from_path(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        match extension.as_str() {
            "png" => Ok(OutputFormat::Png),
            "jpg" | "jpeg" => Ok(OutputFormat::Jpeg),
            "webp" => Ok(OutputFormat::WebP),
            "tif" | "tiff" => Ok(OutputFormat::Tiff),
            _ => Err(Error::Usage(format!(
                "{}: the name of the result must end in .png, .jpg, .jpeg, .webp, .tif or .tiff",
                path.display()
            ))),
        }
    }

    /// The format of a picture that is written to `path`: as the options say, or as its extension does; PNG for `-`,
    /// standard output.
    ///
    /// # Errors
    /// [`Error::Usage`] listing the known extensions.
    pub fn of(path: &Path, options: &SaveOptions) -> Result<Self> {
        match options.format {
            Some(format) => Ok(format),
            None if is_standard(path) => Ok(OutputFormat::Png),
            None => Self::from_path(path),
        }
    }

    /// Whether the format can hold sixteen bits per channel.
    #[must_use]
    pub fn holds_sixteen_bits(self) -> bool {
        matches!(self, OutputFormat::Png | OutputFormat::Tiff)
    }

    /// The longest side, in pixels, the format can express.
    #[must_use]
    pub fn longest_side(self) -> usize {
        match self {
            OutputFormat::Png => i32::MAX as usize,
            OutputFormat::Jpeg => 65_535,
            OutputFormat::WebP => 16_384,
            OutputFormat::Tiff => u32::MAX as usize,
        }
    }
}

/// How a picture is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SaveOptions {
    /// The format; `None` is what the name's extension says.
    pub format: Option<OutputFormat>,
    /// Sixteen bits per channel instead of eight (PNG and TIFF).
    pub sixteen_bit: bool,
    /// JPEG's quality, 1 to 100; `None` is 95, at which the eye finds no trace of it.
    pub quality: Option<u8>,
    /// Dots per inch at which the file asks to be printed.
    pub dpi: Option<f64>,
    /// A text stored in the file, such as the recipe of the picture: PNG's Description, ImageDescription in TIFF and in the
    /// EXIF of the others. [`super::metadata`] finds it there.
    pub description: Option<String>,
}

/// Writes `picture` to `out` in `format`; the error is the library's reason.
pub(super) fn write(
    picture: &Picture,
    format: OutputFormat,
    options: &SaveOptions,
    out: &mut (impl Write + Seek),
) -> Result<(), String> {
    let side = |length: usize| u32::try_from(length).map_err(|_| format!("a side of {length} pixels is too long"));
    let (height, width) = (side(picture.height())?, side(picture.width())?);
    match format {
        OutputFormat::Png => write_png(picture, width, height, options, out).map_err(|e| e.to_string()),
        OutputFormat::Tiff => write_tiff(picture, width, height, options, out).map_err(|e| e.to_string()),
        OutputFormat::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(out, options.quality.unwrap_or(JPEG_QUALITY));
            if let Some(dpi) = options.dpi {
                encoder.set_pixel_density(PixelDensity::dpi(dpi.round() as u16));
            }
            write_image(encoder, &on_white(picture), width, height, options)
        }
        OutputFormat::WebP => write_image(WebPEncoder::new_lossless(out), picture, width, height, options),
    }
}

fn write_image(
    mut encoder: impl ImageEncoder,
    picture: &Picture,
    width: u32,
    height: u32,
    options: &SaveOptions,
) -> Result<(), String> {
    if let Some(exif) = exif::block(options.description.as_deref(), options.dpi) {
        encoder.set_exif_metadata(exif).map_err(|e| e.to_string())?;
    }
    if let Some(profile) = srgb_profile() {
        encoder.set_icc_profile(profile).map_err(|e| e.to_string())?;
    }
    let color = if picture.alpha.is_some() { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    encoder.write_image(&interleaved(picture, eight), width, height, color).map_err(|e| e.to_string())
}

fn write_png(
    picture: &Picture,
    width: u32,
    height: u32,
    options: &SaveOptions,
    out: &mut impl Write,
) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(out, width, height);
    encoder.set_color(if picture.alpha.is_some() { png::ColorType::Rgba } else { png::ColorType::Rgb });
    encoder.set_depth(if options.sixteen_bit { png::BitDepth::Sixteen } else { png::BitDepth::Eight });
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    if let Some(text) = &options.description {
        encoder.add_itxt_chunk("Description".into(), text.clone())?;
    }
    if let Some(dpi) = options.dpi {
        let per_metre = (dpi / METRES_PER_INCH).round() as u32;
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit: png::Unit::Meter }));
    }
    let mut writer = encoder.write_header()?;
    if options.sixteen_bit {
        let bytes: Vec<u8> = interleaved(picture, sixteen).into_iter().flat_map(u16::to_be_bytes).collect();
        writer.write_image_data(&bytes)?;
    } else {
        writer.write_image_data(&interleaved(picture, eight))?;
    }
    writer.finish()
}

fn write_tiff(
    picture: &Picture,
    width: u32,
    height: u32,
    options: &SaveOptions,
    out: &mut (impl Write + Seek),
) -> tiff::TiffResult<()> {
    let page = TiffPage { width, height, alpha: picture.alpha.is_some(), options };
    match (options.sixteen_bit, page.alpha) {
        (false, false) => page.write::<RGB8>(&interleaved(picture, eight), out),
        (false, true) => page.write::<RGBA8>(&interleaved(picture, eight), out),
        (true, false) => page.write::<RGB16>(&interleaved(picture, sixteen), out),
        (true, true) => page.write::<RGBA16>(&interleaved(picture, sixteen), out),
    }
}

struct TiffPage<'a> {
    width: u32,
    height: u32,
    alpha: bool,
    options: &'a SaveOptions,
}

impl TiffPage<'_> {
    fn write<C: TiffColor>(&self, samples: &[C::Inner], out: &mut (impl Write + Seek)) -> tiff::TiffResult<()>
    where
        [C::Inner]: TiffValue,
    {
        let mut file = TiffEncoder::new(out)?
            .with_compression(Compression::Deflate(DeflateLevel::Balanced))
            .with_predictor(Predictor::Horizontal);
        let mut page = file.new_image::<C>(self.width, self.height)?;
        if self.alpha {
            // Without this tag readers may take the fourth channel for anything, or for multiplied in.
            page.encoder().write_tag(Tag::ExtraSamples, &[ExtraSamples::UnassociatedAlpha][..])?;
        }
        if let Some(profile) = srgb_profile() {
            page.encoder().write_tag(Tag::IccProfile, profile.as_slice())?;
        }
        if let Some(dpi) = self.options.dpi {
            let [n, d] = exif::rational(dpi);
            page.resolution(ResolutionUnit::Inch, Rational { n, d });
        }
        if let Some(text) = &self.options.description {
            page.encoder().write_tag(Tag::ImageDescription, Utf8(text))?;
        }
        page.write_data(samples)
    }
}

/// A text in a tag that is ASCII by definition and UTF-8 by custom.
struct Utf8<'a>(&'a str);

impl TiffValue for Utf8<'_> {
    const BYTE_LEN: u8 = 1;
    const FIELD_TYPE: Type = Type::ASCII;

    fn count(&self) -> usize {
        self.data().len()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // A zero byte ends the text, so it cannot be within.
        self.0.bytes().filter(|&b| b != 0).chain([0]).collect()
    }
}

/// Rows of RGB or RGBA samples.
fn interleaved<T>(picture: &Picture, quantise: impl Fn(f32) -> T) -> Vec<T> {
    match &picture.alpha {
        None => picture.rgb.iter().map(|&v| quantise(v)).collect(),
        Some(alpha) => {
            let colours = picture.rgb.lanes(ndarray::Axis(2)).into_iter();
            let pixels = colours.zip(alpha).flat_map(|(c, &a)| [c[0], c[1], c[2], a]);
            pixels.map(quantise).collect()
        }
    }
}

/// The nearest of 256 levels; `as` saturates, and takes what is not a number to 0.
fn eight(v: f32) -> u8 {
    (v * 255.0).round() as u8
}

/// The nearest of 65 536 levels.
fn sixteen(v: f32) -> u16 {
    (v * 65_535.0).round() as u16
}

/// The picture as seen on white paper.
fn on_white(picture: &Picture) -> Picture {
    let mut flat = Picture::from_rgb(picture.rgb.clone());
    if let Some(alpha) = &picture.alpha {
        for (mut colour, &a) in flat.rgb.lanes_mut(ndarray::Axis(2)).into_iter().zip(alpha) {
            colour.mapv_inplace(|v| v * a + (1.0 - a));
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};
    use std::io::Cursor;

    fn bytes(picture: &Picture, format: OutputFormat, options: &SaveOptions) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        write(picture, format, options, &mut out).unwrap();
        out.into_inner()
    }

    fn holds(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn the_extension_names_the_format_in_any_case() {
        let format = |name: &str| OutputFormat::from_path(Path::new(name));
        assert_eq!(format("a.PNG").unwrap(), OutputFormat::Png);
        assert_eq!(format("b.c.Jpeg").unwrap(), OutputFormat::Jpeg);
        assert_eq!(format("d.webp").unwrap(), OutputFormat::WebP);
        assert_eq!(format("e.tif").unwrap(), OutputFormat::Tiff);
        for name in ["f", "g.gif", ".png", "h.", "i.png/j"] {
            let message = format(name).unwrap_err().to_string();
            assert!(message.contains(".png, .jpg"), "{message}");
        }
    }

    #[test]
    fn every_format_says_that_it_is_srgb() {
        let picture = Picture::from_rgb(Array3::from_elem((16, 16, 3), 0.5));
        let file = |format| bytes(&picture, format, &SaveOptions::default());
        assert!(holds(&file(OutputFormat::Png), b"sRGB\0"));
        assert!(holds(&file(OutputFormat::Jpeg), b"ICC_PROFILE\0\x01\x01"));
        assert!(holds(&file(OutputFormat::WebP), b"ICCP"));
        assert!(holds(&file(OutputFormat::Tiff), b"acsp"), "the signature of an ICC profile");
    }

    #[test]
    fn jpeg_keeps_the_full_resolution_of_colour() {
        let picture = Picture::from_rgb(Array3::from_elem((16, 16, 3), 0.5));
        let file = bytes(&picture, OutputFormat::Jpeg, &SaveOptions::default());
        // Start of frame: FF C0, length 17, 8 bits, 16 × 16, 3 components of (id, sampling factors, table).
        let frame = file.windows(4).position(|w| w == [0xff, 0xc0, 0, 17]).unwrap();
        let sampling: Vec<u8> = (0..3).map(|c| file[frame + 11 + 3 * c]).collect();
        assert_eq!(sampling, [0x11; 3]);
    }

    #[test]
    fn jpeg_shows_what_is_transparent_as_white_paper() {
        let mut picture = Picture::from_rgb(Array3::from_elem((2, 2, 3), 0.2));
        picture.alpha = Some(Array2::from_shape_fn((2, 2), |(y, _)| [0.0, 0.5][y]));
        let flat = on_white(&picture);
        assert_eq!((flat.rgb[[0, 0, 0]], flat.rgb[[1, 0, 0]]), (1.0, 0.6));
    }

    #[test]
    fn a_description_travels_in_the_file() {
        let picture = Picture::from_rgb(Array3::from_elem((16, 16, 3), 0.5));
        let options = SaveOptions { description: Some("seed 7, “oil”".into()), ..SaveOptions::default() };
        for format in [OutputFormat::Png, OutputFormat::Jpeg, OutputFormat::WebP, OutputFormat::Tiff] {
            assert!(holds(&bytes(&picture, format, &options), "7, “oil”".as_bytes()), "{format:?}");
            assert!(!holds(&bytes(&picture, format, &SaveOptions::default()), b"Exif"), "{format:?}");
        }
    }
}
