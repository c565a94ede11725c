//! EXIF, as far as a result has something to say in it: a description and dots per inch.
//!
//! EXIF is a TIFF file of tags without a picture. JPEG and WebP carry one; every viewer and `exiftool` show what is in it.

use tiff::tags::Tag;

/// What a segment of JPEG holds less its length, and EXIF's name that comes before the tags.
const LARGEST: usize = 65_533 - 6;

/// The block for a description and dots per inch; `None` if there is nothing to say, or more than a segment holds.
pub(super) fn block(description: Option<&str>, dpi: Option<f64>) -> Option<Vec<u8>> {
    // Tags in their order, each with its type, the number of values, and the values.
    let mut fields: Vec<(Tag, u16, u32, Vec<u8>)> = Vec::new();
    if let Some(text) = description {
        // ASCII by definition and UTF-8 by custom; a zero byte ends it, so it cannot be within.
        let text: Vec<u8> = text.bytes().filter(|&byte| byte != 0).chain([0]).collect();
        fields.push((Tag::ImageDescription, 2, text.len() as u32, text));
    }
    if let Some(dpi) = dpi {
        let fraction = rational(dpi).map(u32::to_le_bytes).concat();
        fields.push((Tag::XResolution, 5, 1, fraction.clone()));
        fields.push((Tag::YResolution, 5, 1, fraction));
        // Inches.
        fields.push((Tag::ResolutionUnit, 3, 1, 2u16.to_le_bytes().to_vec()));
    }
    if fields.is_empty() {
        return None;
    }
    let mut block = b"II*\0\x08\0\0\0".to_vec();
    let after = block.len() + 2 + 12 * fields.len() + 4;
    let mut values = Vec::new();
    block.extend((fields.len() as u16).to_le_bytes());
    for (tag, kind, count, mut value) in fields {
        block.extend(tag.to_u16().to_le_bytes());
        block.extend(kind.to_le_bytes());
        block.extend(count.to_le_bytes());
        if value.len() <= 4 {
            value.resize(4, 0);
            block.extend(value);
        } else {
            block.extend(((after + values.len()) as u32).to_le_bytes());
            values.extend(value);
            // Values begin at even places.
            if values.len() % 2 == 1 {
                values.push(0);
            }
        }
    }
    // No further directory.
    block.extend([0; 4]);
    block.extend(values);
    (block.len() <= LARGEST).then_some(block)
}

/// A number of up to 60 000 as a fraction.
pub(super) fn rational(value: f64) -> [u32; 2] {
    let denominator = if value.fract() == 0.0 { 1 } else { 10_000 };
    [(value * f64::from(denominator)).round() as u32, denominator]
}

#[cfg(test)]
mod tests {
    use super::super::directory::Directory;
    use super::*;

    #[test]
    fn what_is_written_is_found_again() {
        let block = block(Some("“oil”"), Some(72.5)).unwrap();
        let directory = Directory::read(&block).unwrap();
        assert_eq!(directory.bytes(Tag::ImageDescription), Some("“oil”\0".as_bytes()));
        assert_eq!(directory.fractions(Tag::XResolution), Some(vec![72.5]));
        assert_eq!(directory.fractions(Tag::YResolution), Some(vec![72.5]));
        assert_eq!(directory.integer(Tag::ResolutionUnit), Some(2));
    }

    #[test]
    fn what_is_short_lies_within_its_entry() {
        let block = block(Some("oil"), None).unwrap();
        assert_eq!(block.len(), 8 + 2 + 12 + 4);
        assert_eq!(Directory::read(&block).unwrap().bytes(Tag::ImageDescription), Some(&b"oil\0"[..]));
    }

    #[test]
    fn there_is_no_block_of_nothing_and_none_that_no_segment_holds() {
        assert_eq!(block(None, None), None);
        assert_eq!(block(Some(&"x".repeat(70_000)), None), None);
        assert!(block(Some(&"x".repeat(65_000)), Some(300.0)).is_some());
    }
}
