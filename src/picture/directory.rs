//! Directories of TIFF: numbered tags, each with a typed list of values.
//!
//! A TIFF file begins with one, and so does EXIF, wherever it is embedded. The
//! `tiff` library reads one only together with the picture it describes, and
//! `image` an orientation only of the type it should have; writers are not so
//! careful, so here a number is a number whatever its type.
//!
//! Nothing is copied before it is asked for, and a list is never longer than the
//! file it must lie in: a hostile count costs nothing.

use std::collections::BTreeMap;

use tiff::tags::Tag;

/// The first directory of a file in TIFF's structure, classic or Big.
pub(super) struct Directory<'a> {
    file: &'a [u8],
    pub(super) big_endian: bool,
    entries: BTreeMap<u16, Entry>,
}

/// Where a tag's values are.
#[derive(Clone, Copy)]
struct Entry {
    kind: u16,
    at: usize,
    bytes: usize,
}

impl Entry {
    fn width(self) -> usize {
        width(self.kind).unwrap_or(1)
    }
}

/// Bytes per value of a field type (TIFF 6.0, page 15, and BigTIFF's additions).
fn width(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16..=18 => Some(8),
        _ => None,
    }
}

impl<'a> Directory<'a> {
    /// Reads the first directory; `None` if `file` does not begin as TIFF does.
    pub(super) fn read(file: &'a [u8]) -> Option<Self> {
        let big_endian = match file.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let mut directory = Directory { file, big_endian, entries: BTreeMap::new() };
        // Positions in the header; and the bytes of a count, of an offset, and of the number of entries.
        let (first, long, number) = match directory.unsigned(2, 2)? {
            42 => (4, 4, 2),
            43 => (8, 8, 8),
            _ => return None,
        };
        let at = usize::try_from(directory.unsigned(first, long)?).ok()?;
        let entries = directory.unsigned(at, number)?;
        for i in 0..entries {
            let Some(at) = usize::try_from(i).ok().and_then(|i| at.checked_add(number + i * (4 + 2 * long))) else {
                break;
            };
            let Some(tag) = directory.unsigned(at, 2) else { break };
            if let Some(entry) = directory.entry(at, long) {
                directory.entries.entry(tag as u16).or_insert(entry);
            }
        }
        Some(directory)
    }

    /// The entry at `at`, if its type is known and its values lie in the file.
    fn entry(&self, at: usize, long: usize) -> Option<Entry> {
        let kind = self.unsigned(at + 2, 2)? as u16;
        let count = usize::try_from(self.unsigned(at + 4, long)?).ok()?;
        let bytes = count.checked_mul(width(kind)?)?;
        let field = at + 4 + long;
        let at = if bytes <= long { field } else { usize::try_from(self.unsigned(field, long)?).ok()? };
        self.file.get(at..at.checked_add(bytes)?)?;
        Some(Entry { kind, at, bytes })
    }

    /// The `length` bytes at `at` as a number, in the file's byte order.
    fn unsigned(&self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.file.get(at..at.checked_add(length)?)?;
        let join = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    /// The bytes of a tag, of whatever type.
    pub(super) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        let entry = self.entries.get(&tag.to_u16())?;
        Some(&self.file[entry.at..entry.at + entry.bytes])
    }

    /// The values of a tag; `None` if one is not a whole number of zero or more.
    pub(super) fn integers(&self, tag: Tag) -> Option<Vec<u64>> {
        let entry = *self.entries.get(&tag.to_u16())?;
        let signed = matches!(entry.kind, 6 | 8 | 9 | 17);
        if !signed && !matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18) {
            return None;
        }
        let sign = 1 << (8 * entry.width() - 1);
        let places = (entry.at..entry.at + entry.bytes).step_by(entry.width());
        places.map(|at| self.unsigned(at, entry.width()).filter(|&v| !signed || v & sign == 0)).collect()
    }

    /// The first value of a tag, if it is a whole number of zero or more.
    pub(super) fn integer(&self, tag: Tag) -> Option<u64> {
        self.integers(tag)?.first().copied()
    }

    /// The values of a tag that holds fractions.
    pub(super) fn fractions(&self, tag: Tag) -> Option<Vec<f64>> {
        let entry = *self.entries.get(&tag.to_u16())?;
        let half = |at| self.unsigned(at, 4);
        let value = |at| match entry.kind {
            5 => Some(half(at)? as f64 / half(at + 4)? as f64),
            10 => Some(f64::from(half(at)? as i32) / f64::from(half(at + 4)? as i32)),
            11 => Some(f64::from(f32::from_bits(half(at)? as u32))),
            12 => Some(f64::from_bits(self.unsigned(at, 8)?)),
            _ => self.unsigned(at, entry.width()).map(|v| v as f64),
        };
        (entry.at..entry.at + entry.bytes).step_by(entry.width()).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: Tag = Tag::Unknown(7);

    /// A little-endian directory of one tag, 7, whose value field is `field`, followed by `after`.
    fn one(kind: u16, count: u32, field: [u8; 4], after: &[u8]) -> Vec<u8> {
        let mut file = b"II*\0\x08\0\0\0\x01\0\x07\0".to_vec();
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(field);
        file.extend([0; 4]);
        file.extend(after);
        file
    }

    #[test]
    fn a_number_is_a_number_whatever_its_type() {
        for kind in [1, 3, 4, 6, 8, 9, 13] {
            assert_eq!(
                Directory::read(&one(kind, 1, [6, 0, 0, 0], &[])).unwrap().integer(SEVEN),
                Some(6),
                "type {kind}"
            );
        }
        for kind in [2, 5, 11, 99] {
            assert_eq!(Directory::read(&one(kind, 1, [6, 0, 0, 0], &[])).unwrap().integer(SEVEN), None, "type {kind}");
        }
        assert_eq!(Directory::read(&one(9, 1, [0xff; 4], &[])).unwrap().integer(SEVEN), None, "minus one");
    }

    #[test]
    fn longer_lists_lie_elsewhere_in_either_byte_order() {
        let file = one(3, 3, [26, 0, 0, 0], &[1, 0, 2, 0, 3, 1]);
        assert_eq!(Directory::read(&file).unwrap().integers(SEVEN), Some(vec![1, 2, 259]));
        let fraction = one(5, 1, [26, 0, 0, 0], &[3, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(Directory::read(&fraction).unwrap().fractions(SEVEN), Some(vec![0.75]));
        let header = b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x01";
        let big = [&header[..], b"\0\x07\0\x03\0\0\0\0\0\0\0\x03\0\x01\0\x02\x01\x03\0\0"].concat();
        assert_eq!(Directory::read(&big).unwrap().integers(SEVEN), Some(vec![1, 2, 259]));
    }

    #[test]
    fn what_is_not_in_the_file_is_not_there() {
        assert!(Directory::read(&one(4, u32::MAX, [8, 0, 0, 0], &[])).unwrap().bytes(SEVEN).is_none());
        assert!(Directory::read(&one(4, 2, [0xff; 4], &[])).unwrap().bytes(SEVEN).is_none());
        let whole = one(4, 1, [6, 0, 0, 0], &[]);
        for length in 0..whole.len() {
            if let Some(directory) = Directory::read(&whole[..length]) {
                assert!(directory.integer(SEVEN).is_none_or(|v| v == 6));
            }
        }
        let endless = b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert!(Directory::read(endless).unwrap().integer(SEVEN).is_none());
    }
}
