//! The bytes that a picture is made of: a file's, or those of standard input, for which `-` stands.
//!
//! A run looks at each of its pictures several times: for its size, its digest, its pixels. What comes through standard
//! input comes once, so it is kept, as it came: a file's bytes are few beside the picture's.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Read, stdin};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use image::ImageFormat;

use super::is_standard;
use super::raster::memory_for;

const FORMATS: &str = "JPEG, PNG, WebP, TIFF, BMP, GIF, QOI or PNM";

/// Bytes by which every format can be told.
const START: usize = 16;

/// The whole file, if its first bytes are those of a picture.
///
/// Looking at them first keeps devices and mistaken gigabytes out of memory.
pub(super) fn read(path: &Path, max_pixels: u64) -> Result<Vec<u8>, String> {
    if is_standard(path) {
        return standard_input(max_pixels);
    }
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err("is a directory: give a picture file".into());
    }
    read_from(file, path, max_pixels)
}

/// What standard input brought.
fn standard_input(max_pixels: u64) -> Result<Vec<u8>, String> {
    static KEPT: Mutex<Option<Result<Vec<u8>, String>>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let read = || {
        if stdin().is_terminal() {
            return Err("standard input is a terminal: send a picture to it, as in < photo.jpg".into());
        }
        read_from(stdin().lock(), Path::new("-"), max_pixels)
    };
    kept.get_or_insert_with(read).clone()
}

fn read_from(mut file: impl Read, path: &Path, max_pixels: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.by_ref().take(START as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    if let Some(advice) = to_convert(&bytes, path) {
        return Err(advice);
    }
    format_of(&bytes)?;
    let most = memory_for(max_pixels);
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 >= most {
        return Err(format!("the file is larger than {most} bytes: use a smaller picture, or raise --max-pixels"));
    }
    Ok(bytes)
}

fn unreadable(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file: check the path".into(),
        ErrorKind::PermissionDenied => "may not be read: check the file's permissions".into(),
        _ => format!("cannot be read ({error}): check the file and its disk"),
    }
}

/// For pictures in a box of ISO/IEC 14496-12, which take a video codec to read: the command that converts them.
fn to_convert(start: &[u8], path: &Path) -> Option<String> {
    let brand = start.get(8..12).filter(|_| start.get(4..8) == Some(b"ftyp"))?;
    let (name, tool) = match brand {
        b"avif" | b"avis" => ("AVIF", "avifdec"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => ("HEIC", "heif-convert"),
        _ => return None,
    };
    let path = if is_standard(path) { Path::new("photo") } else { path };
    let (from, to) = (path.display(), path.with_extension("png"));
    let to = to.display();
    let mac =
        if name == "HEIC" { format!(", or on a Mac by sips -s format png {from} --out {to}") } else { String::new() };
    Some(format!("is {name}, which is not read here: convert it by {tool} {from} {to}{mac}"))
}

pub(super) fn format_of(start: &[u8]) -> Result<ImageFormat, String> {
    match image::guess_format(start) {
        // BigTIFF, which `image` does not know by its first bytes.
        _ if start.starts_with(b"II\x2b\0") || start.starts_with(b"MM\0\x2b") => Ok(ImageFormat::Tiff),
        _ if start.is_empty() => Err("the file is empty: copy it again from its source".into()),
        Ok(format) if format.reading_enabled() => Ok(format),
        Ok(format) => {
            Err(format!("is a picture of a format that cannot be read ({format:?}): convert it to {FORMATS}"))
        }
        Err(_) => Err(format!("is not a picture that can be read: give a {FORMATS} file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_video_codec_is_told_by_its_brand_with_the_command_that_converts_it() {
        let advice = |brand: &[u8]| {
            let start = [b"\0\0\0\x18ftyp", brand, b"\0\0\0\0"].concat();
            read_from(&start[..], Path::new("a/photo.heic"), 100).unwrap_err()
        };
        assert!(advice(b"heic").contains("by heif-convert a/photo.heic a/photo.png, or on a Mac by sips"));
        assert!(advice(b"mif1").starts_with("is HEIC"));
        assert!(advice(b"avif").ends_with("convert it by avifdec a/photo.heic a/photo.png"));
        assert!(advice(b"isom").contains("not a picture") || advice(b"isom").contains("cannot be read"));
    }
}
