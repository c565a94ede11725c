//! Which way up a picture is to be looked at.
//!
//! A camera writes how it was held into EXIF, an editor perhaps into XMP alone.
//! Where both say something EXIF is right: it is what other viewers look at.
//! Metadata that cannot be read says nothing, and is no reason to refuse a picture.

use image::metadata::Orientation;
use tiff::tags::Tag;

use super::directory::Directory;

/// The orientation that a block of EXIF and a packet of XMP, whichever there are, ask for.
pub(super) fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    exif.and_then(of_exif).or_else(|| xmp.and_then(of_xmp)).unwrap_or(Orientation::NoTransforms)
}

/// The orientation that a PNG file asks for.
///
/// Both kinds of chunk may follow the pixels, where `image` does not look.
pub(super) fn of_png(file: &[u8]) -> Orientation {
    let (mut exif, mut xmp) = (None, None);
    let mut rest = file.get(8..).unwrap_or_default();
    // A chunk: length, name, data, checksum.
    while let Some((header, after)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(data) = after.get(..length) else { break };
        match &header[4..] {
            b"eXIf" => exif = exif.or(Some(data)),
            b"iTXt" if data.starts_with(b"XML:com.adobe.xmp\0") => xmp = xmp.or(Some(data)),
            _ => {}
        }
        rest = after.get(length + 4..).unwrap_or_default();
    }
    of(exif, xmp)
}

/// EXIF is a TIFF file of metadata; some writers of WebP and PNG leave JPEG's prefix before it.
fn of_exif(block: &[u8]) -> Option<Orientation> {
    let directory = Directory::read(block.strip_prefix(b"Exif\0\0").unwrap_or(block))?;
    directory.integer(Tag::Orientation).and_then(known)
}

/// XMP is XML, with the value in an attribute or an element; neither needs a parser to be found.
fn of_xmp(packet: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = packet.windows(NAME.len()).position(|window| window == NAME)?;
    let between = |byte: &u8| byte.is_ascii_whitespace() || b"=\"'>".contains(byte);
    let value: Vec<u8> = packet[at + NAME.len()..].iter().copied().skip_while(between).take(2).collect();
    match value[..] {
        [digit @ b'1'..=b'8', end] if !end.is_ascii_digit() => known(u64::from(digit - b'0')),
        _ => None,
    }
}

fn known(value: u64) -> Option<Orientation> {
    u8::try_from(value).ok().and_then(Orientation::from_exif)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EXIF of orientation `value` in a field of type SLONG, as some cameras write it.
    fn exif(value: u8) -> Vec<u8> {
        [b"II*\0\x08\0\0\0\x01\0\x12\x01\x09\0\x01\0\0\0", &[value, 0, 0, 0, 0, 0, 0, 0][..]].concat()
    }

    #[test]
    fn exif_may_have_jpegs_prefix() {
        let prefixed = [b"Exif\0\0", &exif(6)[..]].concat();
        assert_eq!(of(Some(&exif(6)), None), Orientation::Rotate90);
        assert_eq!(of(Some(&prefixed), None), Orientation::Rotate90);
    }

    #[test]
    fn xmp_has_it_in_an_attribute_or_an_element() {
        for packet in [
            "<rdf:Description tiff:Orientation=\"6\"/>",
            "<rdf:Description tiff:Orientation = '6' />",
            "<tiff:Orientation>6</tiff:Orientation>",
            "<tiff:Orientation>\n  6\n</tiff:Orientation>",
        ] {
            assert_eq!(of(None, Some(packet.as_bytes())), Orientation::Rotate90, "{packet}");
        }
        for packet in
            ["", "tiff:Orientation", "tiff:Orientation=\"9\"", "tiff:Orientation=\"61\"", "tiff:Orientation=\"\""]
        {
            assert_eq!(of(None, Some(packet.as_bytes())), Orientation::NoTransforms, "{packet}");
        }
    }

    #[test]
    fn exif_is_right_where_both_speak_and_silent_where_it_makes_no_sense() {
        let xmp = Some(&b"tiff:Orientation=\"3\""[..]);
        assert_eq!(of(Some(&exif(6)), xmp), Orientation::Rotate90);
        assert_eq!(of(Some(&exif(1)), xmp), Orientation::NoTransforms);
        assert_eq!(of(Some(&exif(9)), xmp), Orientation::Rotate180);
        assert_eq!(of(Some(b"garbage"), xmp), Orientation::Rotate180);
    }
}
