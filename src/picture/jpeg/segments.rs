//! A JPEG file taken apart at its markers: what kind it is, and how much of it is there.

/// A marker that opens a scan, and the one that ends the file (ITU-T T.81, table B.1).
const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// A marker and the parameters behind it; of the pixels that follow a scan's, none.
struct Segment<'a> {
    marker: u8,
    parameters: &'a [u8],
}

/// The segments of a file, the end marker included; it ends where they do.
///
/// A camera's preview lies within a segment, so its markers are not taken for
/// the file's own. Strays between segments are passed over, as pixels are.
fn segments(file: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = file.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let at = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd8 | 0xff))?;
            let marker = rest[at + 1];
            rest = &rest[at + 2..];
            if marker == END_OF_IMAGE {
                rest = &[];
                return Some(Segment { marker, parameters: &[] });
            }
            let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
            if let Some(parameters) = rest.get(2..length) {
                rest = &rest[length..];
                return Some(Segment { marker, parameters });
            }
        }
    })
}

/// What the segments named APP0 hold, JFIF's among them.
pub(super) fn application_data(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    segments(file).filter(|segment| segment.marker == 0xe0).map(|segment| segment.parameters)
}

/// Whether a marker opens a frame, which says what kind of JPEG this is.
fn opens_a_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// The kind of a JPEG that no common decoder reads; `None` for 8 bits in Huffman's code.
pub(super) fn rare_kind(file: &[u8]) -> Option<String> {
    let frame = segments(file).find(|segment| opens_a_frame(segment.marker))?;
    match frame.marker {
        0xc3 | 0xcb => Some("lossless".into()),
        0xc9 | 0xca => Some("arithmetic-coded".into()),
        0xc5..=0xcf => Some("hierarchical".into()),
        _ => frame.parameters.first().filter(|&&bits| bits != 8).map(|bits| format!("{bits}-bit")),
    }
}

/// Whether the file's end marker is there.
pub(super) fn reaches_its_end(file: &[u8]) -> bool {
    segments(file).any(|segment| segment.marker == END_OF_IMAGE)
}

/// Whether the scans that have begun bring every coefficient of every component to its last bit.
pub(super) fn has_every_scan(file: &[u8]) -> bool {
    let Some(frame) = segments(file).find(|segment| opens_a_frame(segment.marker)) else { return false };
    let Some((_, components)) = frame.parameters.split_at_checked(6) else { return false };
    let progressive = frame.marker == 0xc2;
    components.chunks_exact(3).all(|component| {
        let mut whole = [false; 64];
        for scan in segments(file).filter(|segment| segment.marker == START_OF_SCAN) {
            // Number of components, an identifier and tables for each, then first and last coefficient and bits.
            let Some((&count, rest)) = scan.parameters.split_first() else { continue };
            let Some((chosen, &[first, last, bits, ..])) = rest.split_at_checked(2 * usize::from(count)) else {
                continue;
            };
            let coefficients = if progressive { usize::from(first)..usize::from(last) + 1 } else { 0..64 };
            if chosen.chunks_exact(2).any(|c| c[0] == component[0]) {
                let bits_left = progressive && bits & 0x0f != 0;
                whole.iter_mut().take(coefficients.end).skip(coefficients.start).for_each(|w| *w = !bits_left);
            }
        }
        whole == [true; 64]
    })
}
