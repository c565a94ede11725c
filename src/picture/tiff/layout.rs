//! Where the samples of a picture lie in its file, judged before any is read.
//!
//! The picture is cut into chunks, which are coded one by one: strips of whole
//! rows, or tiles, of which the last in a row or column reach beyond the
//! picture. A chunk holds all samples of its pixels, or, in a planar file, one.

use half::f16;
use tiff::tags::{CompressionMethod, PhotometricInterpretation, Tag};

use super::super::directory::Directory;
use super::super::raster::{Bounds, Sides, memory_for};
use super::{damaged, unsupported};

pub(super) struct Layout {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Samples per pixel, of which some may be neither colour nor opacity.
    pub(super) samples: usize,
    /// Bits per sample.
    pub(super) bits: usize,
    /// Whether samples are floating-point numbers, and not integers.
    pub(super) float: bool,
    /// Whether each sample has chunks of its own.
    pub(super) planar: bool,
    /// Columns and rows of pixels that share their two samples of colour (YCbCr).
    pub(super) subsampling: (usize, usize),
    chunk: Chunk,
    offsets: Vec<u64>,
    lengths: Vec<u64>,
}

/// The size of a chunk.
struct Chunk {
    height: usize,
    width: usize,
    /// Whether chunks at the picture's edge are as large as any other.
    tiled: bool,
}

/// A chunk's place in the picture, and what of it lies within.
#[derive(Clone, Copy)]
pub(super) struct Place {
    index: usize,
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// What a chunk holds once it is decoded.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) samples: usize,
    pub(super) bits: usize,
}

impl Shape {
    /// Rows begin with a byte of their own.
    pub(super) fn row_bytes(self) -> usize {
        (self.width * self.samples * self.bits).div_ceil(8)
    }

    pub(super) fn bytes(self) -> usize {
        self.row_bytes() * self.rows
    }
}

impl Layout {
    pub(super) fn of(directory: &Directory, bounds: &Bounds<'_>) -> Result<Self, String> {
        let side = |tag| directory.integer(tag).filter(|&side| u32::try_from(side).is_ok());
        let (Some(height), Some(width)) = (side(Tag::ImageLength), side(Tag::ImageWidth)) else {
            return Err(damaged("it has no size"));
        };
        bounds.sides(Sides { height, width })?;
        let (bits, float) = depth(directory)?;
        let (height, width) = (height as usize, width as usize);
        let chunk = Chunk::of(directory, height, width)?;
        let list = |tags: [Tag; 2]| tags.into_iter().find_map(|tag| directory.integers(tag));
        let layout = Layout {
            height,
            width,
            samples: directory.integer(Tag::SamplesPerPixel).unwrap_or(1).min(u64::from(u16::MAX)) as usize,
            bits,
            float,
            planar: directory.integer(Tag::PlanarConfiguration) == Some(2),
            subsampling: subsampling(directory)?,
            chunk,
            offsets: list([Tag::TileOffsets, Tag::StripOffsets])
                .ok_or_else(|| damaged("it says not where its pixels are"))?,
            // Without lengths, which old writers left out, a chunk may reach to the end of the file.
            lengths: list([Tag::TileByteCounts, Tag::StripByteCounts]).unwrap_or_default(),
        };
        layout.check()?;
        Ok(layout)
    }

    fn check(&self) -> Result<(), String> {
        let planes = if self.planar { self.samples } else { 1 };
        if self.chunks() as u64 * planes as u64 > self.offsets.len() as u64 {
            return Err(damaged("some of its strips or tiles are missing"));
        }
        // A tile may be larger than the picture, and a pixel may have any number of samples.
        let bits = (self.chunk.width as u64).saturating_mul((self.chunk_samples() * self.bits) as u64);
        let bytes = bits.div_ceil(8).saturating_mul(self.chunk.height as u64);
        if bytes > memory_for((self.height * self.width) as u64) {
            return Err(damaged("its strips or tiles are larger than the picture"));
        }
        let shared = self.subsampling != (1, 1);
        if shared && (self.planar || self.bits != 8 || self.samples != 3) {
            return Err(unsupported("colour shared by several pixels, but not in three samples of 8 bits"));
        }
        Ok(())
    }

    fn chunk_samples(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    fn across(&self) -> usize {
        self.width.div_ceil(self.chunk.width)
    }

    /// Chunks in the picture, or in each plane of it.
    fn chunks(&self) -> usize {
        self.across() * self.height.div_ceil(self.chunk.height)
    }

    /// Every chunk's place, in the file's order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        (0..self.chunks()).map(|index| {
            let (top, left) = (index / self.across() * self.chunk.height, index % self.across() * self.chunk.width);
            let (rows, columns) = (self.chunk.height.min(self.height - top), self.chunk.width.min(self.width - left));
            Place { index, top, left, rows, columns }
        })
    }

    /// What the chunk at `place` holds.
    pub(super) fn shape(&self, place: Place) -> Shape {
        let rows = if self.chunk.tiled { self.chunk.height } else { place.rows };
        Shape { rows, width: self.chunk.width, samples: self.chunk_samples(), bits: self.bits }
    }

    /// The bytes that code the chunk at `place`, in a planar file that of `sample`.
    pub(super) fn coded<'a>(&self, file: &'a [u8], place: Place, sample: usize) -> &'a [u8] {
        let index = place.index + if self.planar { sample * self.chunks() } else { 0 };
        let start = usize::try_from(self.offsets[index]).unwrap_or(usize::MAX);
        let length =
            self.lengths.get(index).map_or(usize::MAX, |&length| usize::try_from(length).unwrap_or(usize::MAX));
        let rest = file.get(start..).unwrap_or_default();
        &rest[..length.min(rest.len())]
    }

    /// Row `y` of a decoded chunk: of its first `columns` pixels the samples `wanted`, scaled to [0, 1].
    pub(super) fn row(&self, planes: &[Vec<u8>], y: usize, columns: usize, wanted: &[usize], out: &mut Vec<f32>) {
        out.clear();
        let shape = Shape { rows: 1, width: self.chunk.width, samples: self.chunk_samples(), bits: self.bits };
        let row = y * shape.row_bytes()..(y + 1) * shape.row_bytes();
        for x in 0..columns {
            for (i, &sample) in wanted.iter().enumerate() {
                let (plane, at) = if self.planar { (i, x) } else { (0, x * self.samples + sample) };
                out.push(self.value(&planes[plane][row.clone()], at));
            }
        }
    }

    /// Sample number `at` of a row, in which numbers of whole bytes have the last byte first.
    fn value(&self, row: &[u8], at: usize) -> f32 {
        let bytes = |length: usize| &row[at * length..(at + 1) * length];
        match (self.float, self.bits) {
            (false, 8) => f32::from(row[at]) / 255.0,
            (false, 16) => f32::from(u16::from_le_bytes(array(bytes(2)))) / 65_535.0,
            (false, 32) => (f64::from(u32::from_le_bytes(array(bytes(4)))) / f64::from(u32::MAX)) as f32,
            (false, bits) => few_bits(row, at * bits, bits) as f32 / ((1 << bits) - 1) as f32,
            (true, 16) => f16::from_le_bytes(array(bytes(2))).to_f32(),
            (true, 32) => f32::from_le_bytes(array(bytes(4))),
            (true, _) => f64::from_le_bytes(array(bytes(8))) as f32,
        }
    }
}

/// The first `N` bytes, of which there are no less.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// The `bits` bits, at most 16, from bit `at` on; the first is the highest.
fn few_bits(row: &[u8], at: usize, bits: usize) -> u32 {
    let byte = |i: usize| u32::from(row.get(at / 8 + i).copied().unwrap_or(0));
    let window = byte(0) << 16 | byte(1) << 8 | byte(2);
    window >> (24 - at % 8 - bits) & ((1 << bits) - 1)
}

impl Chunk {
    fn of(directory: &Directory, height: usize, width: usize) -> Result<Self, String> {
        let side = |tag| directory.integer(tag).map(|side| side.min(u64::from(u32::MAX)) as usize);
        let chunk = match (side(Tag::TileLength), side(Tag::TileWidth)) {
            (Some(height), Some(width)) => Chunk { height, width, tiled: true },
            _ => {
                let rows = side(Tag::RowsPerStrip).unwrap_or(height);
                Chunk { height: rows.min(height), width, tiled: false }
            }
        };
        if chunk.height == 0 || chunk.width == 0 { Err(damaged("its strips or tiles are empty")) } else { Ok(chunk) }
    }
}

/// Bits per sample, and whether they are a floating-point number.
fn depth(directory: &Directory) -> Result<(usize, bool), String> {
    // The first value, if all are the same.
    let common = |tag, default| match directory.integers(tag) {
        None => Some(default),
        Some(values) => values.first().copied().filter(|first| values.iter().all(|v| v == first)),
    };
    match (common(Tag::BitsPerSample, 1), common(Tag::SampleFormat, 1)) {
        // Samples of an undefined format, 4, are taken for integers.
        (Some(bits @ (1..=16 | 32)), Some(1 | 4)) => Ok((bits as usize, false)),
        (Some(bits @ (16 | 32 | 64)), Some(3)) => Ok((bits as usize, true)),
        (_, Some(2)) => Err(unsupported("samples that may be negative")),
        (Some(bits), Some(_)) => Err(unsupported(&format!("samples of {bits} bits"))),
        _ => Err(unsupported("samples of different kinds")),
    }
}

/// What of YCbCr's subsampling is left to us: JPEG sees to its own.
fn subsampling(directory: &Directory) -> Result<(usize, usize), String> {
    let is = |tag, value: u16| directory.integer(tag) == Some(value.into());
    if !is(Tag::PhotometricInterpretation, PhotometricInterpretation::YCbCr.to_u16())
        || is(Tag::Compression, CompressionMethod::ModernJPEG.to_u16())
    {
        return Ok((1, 1));
    }
    match directory.integers(Tag::ChromaSubsampling).as_deref() {
        None => Ok((2, 2)),
        Some(&[across @ (1 | 2 | 4), down @ (1 | 2 | 4)]) => Ok((across as usize, down as usize)),
        Some(_) => Err(damaged("its colours are shared by a number of pixels that cannot be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bits_are_taken_from_the_highest_on() {
        let row = [0b1010_0111, 0b0001_1110, 0b1100_0011];
        assert_eq!((0..8).map(|i| few_bits(&row, i, 1)).collect::<Vec<_>>(), [1, 0, 1, 0, 0, 1, 1, 1]);
        assert_eq!((0..6).map(|i| few_bits(&row, 4 * i, 4)).collect::<Vec<_>>(), [10, 7, 1, 14, 12, 3]);
        assert_eq!([few_bits(&row, 0, 12), few_bits(&row, 12, 12)], [0xa71, 0xec3]);
        assert_eq!(few_bits(&row, 7, 16), 0b1000_1111_0110_0001);
    }
}
