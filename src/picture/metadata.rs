//! What a picture's file says beside its pixels: the description that it was saved with, and dots per inch.
//!
//! Metadata that cannot be read says nothing, as with orientation.

use std::io::Cursor;
use std::path::Path;

use image::codecs::webp::WebPDecoder;
use image::{ImageDecoder as _, ImageFormat};
use sha2::{Digest, Sha256};
use tiff::tags::Tag;

use super::contain::contain;
use super::decode;
use super::directory::Directory;
use super::encode::METRES_PER_INCH;
use super::jpeg;
use crate::error::Result;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The text that [`SaveOptions::description`](super::SaveOptions::description) was.
    pub description: Option<String>,
    /// Dots per inch, the same in both directions.
    pub dpi: Option<f64>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// Reads what the file at `path` says, which is a picture of no more than `max_pixels`.
///
/// # Errors
/// [`Error::Picture`](crate::Error::Picture) where it cannot be read, or is no picture.
pub fn metadata(path: &Path, max_pixels: u64) -> Result<Metadata> {
    let file = decode::bytes(path, max_pixels)?;
    let said = contain(|| said(&file)).unwrap_or_default();
    let sha256 = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Metadata { sha256, ..said })
}

fn said(file: &[u8]) -> Metadata {
    match image::guess_format(file) {
        Ok(ImageFormat::Png) => of_png(file),
        Ok(ImageFormat::Jpeg) => {
            let of_exif = jpeg::exif(file).map(|block| of_directory(&block)).unwrap_or_default();
            Metadata { dpi: jpeg::dpi(file).and_then(sensible).or(of_exif.dpi), ..of_exif }
        }
        Ok(ImageFormat::WebP) => {
            let block =
                WebPDecoder::new(Cursor::new(file)).ok().and_then(|mut decoder| decoder.exif_metadata().ok()?);
            block.map(|block| of_directory(&block)).unwrap_or_default()
        }
        _ => of_directory(file),
    }
}

fn of_png(file: &[u8]) -> Metadata {
    let Ok(reader) = png::Decoder::new(Cursor::new(file)).read_info() else { return Metadata::default() };
    let info = reader.info();
    let text = info.utf8_text.iter().find(|chunk| chunk.keyword == "Description");
    let dims = info.pixel_dims.filter(|dims| dims.unit == png::Unit::Meter && dims.xppu == dims.yppu);
    Metadata {
        description: text.and_then(|chunk| chunk.get_text().ok()),
        // To a thousandth: the metre's whole number of dots is no whole number an inch.
        dpi: dims.and_then(|dims| sensible((f64::from(dims.xppu) * METRES_PER_INCH * 1e2).round() / 1e2)),
        ..Metadata::default()
    }
}

/// What the tags of TIFF, or of EXIF, say.
fn of_directory(block: &[u8]) -> Metadata {
    let Some(directory) = Directory::read(block.strip_prefix(b"Exif\0\0").unwrap_or(block)) else {
        return Metadata::default();
    };
    let text = directory.bytes(Tag::ImageDescription).and_then(|bytes| {
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8(text.to_vec()).ok()
    });
    let [x, y] = [Tag::XResolution, Tag::YResolution].map(|tag| directory.fractions(tag)?.first().copied());
    // Inches unless it says otherwise; 1 is no unit at all.
    let factor = match directory.integer(Tag::ResolutionUnit) {
        None | Some(2) => 1.0,
        Some(3) => 2.54,
        Some(_) => 0.0,
    };
    let same = x.zip(y).filter(|(x, y)| (x - y).abs() <= 0.005 * x).map(|(x, _)| x * factor);
    Metadata { description: text, dpi: same.and_then(sensible), ..Metadata::default() }
}

/// A number of dots per inch that every format can say.
fn sensible(dpi: f64) -> Option<f64> {
    (1.0..=60_000.0).contains(&dpi).then_some(dpi)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::{Picture, SaveOptions, save};
    use super::*;

    #[test]
    fn every_format_keeps_the_description_and_the_dots() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Picture::from_rgb(Array3::from_elem((16, 16, 3), 0.5));
        let text = format!("“oil” {}", "x".repeat(5000));
        for name in ["a.png", "b.jpg", "c.webp", "d.tif"] {
            let path = folder.path().join(name);
            let options = SaveOptions { description: Some(text.clone()), dpi: Some(300.0), ..SaveOptions::default() };
            save(&picture, &path, &options).unwrap();
            let found = metadata(&path, 1000).unwrap();
            assert_eq!((found.description, found.dpi), (Some(text.clone()), Some(300.0)), "{name}");
            save(&picture, &path, &SaveOptions::default()).unwrap();
            let found = metadata(&path, 1000).unwrap();
            assert_eq!((found.description, found.dpi, found.sha256.len()), (None, None, 64), "{name}");
        }
    }

    #[test]
    fn dots_are_counted_by_inch_or_centimetre_if_they_are_square() {
        let dpi = |unit: u16, x: u32, y: u32| {
            let mut block = super::super::exif::block(None, Some(300.0)).unwrap();
            // Three entries, then the unit's value and the two fractions.
            block[8 + 2 + 24 + 8..][..2].copy_from_slice(&unit.to_le_bytes());
            block[8 + 2 + 36 + 4..][..4].copy_from_slice(&x.to_le_bytes());
            block[8 + 2 + 36 + 12..][..4].copy_from_slice(&y.to_le_bytes());
            of_directory(&block).dpi
        };
        assert_eq!((dpi(2, 72, 72), dpi(3, 100, 100)), (Some(72.0), Some(254.0)));
        assert_eq!((dpi(1, 72, 72), dpi(2, 72, 144), dpi(2, 0, 0)), (None, None, None));
    }
}
