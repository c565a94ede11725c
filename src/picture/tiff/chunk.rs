//! A strip or tile, from its coded bytes to rows of samples.
//!
//! It is decoded into exactly the bytes that its samples take: what code might
//! hold beyond them costs neither time nor memory, and less is a truncated file.

use std::borrow::Cow;
use std::io::Read;

use fax::Color;
use fax::decoder::{decode_g4, pels};
use flate2::read::ZlibDecoder;
use tiff::tags::{CompressionMethod, Tag};
use weezl::{BitOrder, LzwStatus, decode::Configuration};

use super::super::directory::Directory;
use super::super::jpeg;
use super::super::raster::buffer;
use super::layout::{Layout, Place, Shape};
use super::{damaged, unsupported};

/// How the samples of a file are coded.
pub(super) struct Coding<'a> {
    compression: CompressionMethod,
    /// Whether samples are stored as differences.
    predictor: Predictor,
    /// Whether the first bit of a byte is its lowest.
    reversed: bool,
    big_endian: bool,
    /// Tables that all streams of JPEG share.
    jpeg_tables: Option<&'a [u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Predictor {
    None,
    /// Each sample is the difference from that of the pixel before.
    Horizontal,
    /// So is each byte, and a row has the first bytes of all numbers first.
    Float,
}

impl<'a> Coding<'a> {
    pub(super) fn of(directory: &Directory<'a>, layout: &Layout) -> Result<Self, String> {
        let number = directory.integer(Tag::Compression).unwrap_or(1);
        let compression = CompressionMethod::from_u16_exhaustive(u16::try_from(number).unwrap_or(u16::MAX));
        let eight = layout.bits == 8 && !layout.float;
        // What is not compressed by one of these two has no differences, whatever the tag says: so does libtiff.
        let differs =
            matches!(compression, CompressionMethod::LZW | CompressionMethod::Deflate | CompressionMethod::OldDeflate);
        let predictor = match directory.integer(Tag::Predictor) {
            Some(2) if differs && layout.bits.is_multiple_of(8) && layout.subsampling == (1, 1) => {
                Predictor::Horizontal
            }
            Some(3) if differs && layout.float => Predictor::Float,
            Some(kind @ 2..) if differs => {
                return Err(unsupported(&format!(
                    "differences of kind {kind} between samples of {} bits",
                    layout.bits
                )));
            }
            _ => Predictor::None,
        };
        match compression {
            _ if differs => {}
            CompressionMethod::None | CompressionMethod::PackBits => {}
            CompressionMethod::Fax4 if layout.bits == 1 && layout.samples == 1 => {}
            CompressionMethod::ModernJPEG if eight => {}
            _ => return Err(unsupported(&format!("compression {number}"))),
        }
        Ok(Coding {
            compression,
            predictor,
            reversed: directory.integer(Tag::FillOrder) == Some(2),
            big_endian: directory.big_endian,
            jpeg_tables: directory.bytes(Tag::JPEGTables),
        })
    }

    /// The chunk at `place`, decoded; of a planar file that of each sample `wanted`.
    pub(super) fn planes(
        &self,
        file: &[u8],
        layout: &Layout,
        place: Place,
        wanted: &[usize],
    ) -> Result<Vec<Vec<u8>>, String> {
        let planes = if layout.planar { wanted } else { &[0] };
        let decode = |&sample: &usize| {
            let coded = layout.coded(file, place, sample);
            match layout.subsampling {
                (1, 1) => self.decode(coded, layout.shape(place)),
                shared => self.decode_shared(coded, layout.shape(place), shared),
            }
        };
        planes.iter().map(decode).collect()
    }

    /// The chunk's rows, in which numbers have their last byte first.
    fn decode(&self, coded: &[u8], shape: Shape) -> Result<Vec<u8>, String> {
        let mut rows = self.expand(coded, shape)?;
        for row in rows.chunks_exact_mut(shape.row_bytes()) {
            if self.predictor == Predictor::Float {
                sum_bytes(row, shape);
                continue;
            }
            if self.big_endian && shape.bits.is_multiple_of(8) {
                row.chunks_exact_mut(shape.bits / 8).for_each(<[u8]>::reverse);
            }
            if self.predictor == Predictor::Horizontal {
                sum_samples(row, shape);
            }
        }
        Ok(rows)
    }

    /// A chunk in which blocks of pixels share two samples: the brightness of each pixel of a block, then its two.
    fn decode_shared(&self, coded: &[u8], shape: Shape, (across, down): (usize, usize)) -> Result<Vec<u8>, String> {
        let block = across * down + 2;
        let blocks =
            Shape { rows: shape.rows.div_ceil(down), width: shape.width.div_ceil(across), samples: block, ..shape };
        let coded = self.decode(coded, blocks)?;
        let mut rows = buffer(shape.bytes() as u64)?;
        for (i, pixel) in rows.chunks_exact_mut(3).enumerate() {
            let (y, x) = (i / shape.width, i % shape.width);
            let at = y / down * blocks.row_bytes() + x / across * block;
            let colour = at + across * down;
            pixel.copy_from_slice(&[coded[at + y % down * across + x % across], coded[colour], coded[colour + 1]]);
        }
        Ok(rows)
    }

    fn expand(&self, coded: &[u8], shape: Shape) -> Result<Vec<u8>, String> {
        if self.compression == CompressionMethod::ModernJPEG {
            return self.expand_jpeg(coded, shape);
        }
        let coded = match self.reversed {
            true => Cow::Owned(coded.iter().map(|byte| byte.reverse_bits()).collect()),
            false => Cow::Borrowed(coded),
        };
        let mut rows = buffer(shape.bytes() as u64)?;
        let whole = match self.compression {
            CompressionMethod::LZW => expand_lzw(&coded, &mut rows),
            CompressionMethod::PackBits => expand_packbits(&coded, &mut rows),
            CompressionMethod::Fax4 => expand_fax(&coded, shape, &mut rows),
            CompressionMethod::None => coded.get(..rows.len()).map(|coded| rows.copy_from_slice(coded)),
            _ => ZlibDecoder::new(&coded[..]).read_exact(&mut rows).ok(),
        };
        whole.ok_or_else(|| damaged("pixels are missing"))?;
        Ok(rows)
    }

    /// A stream of JPEG, of which the tables may stand elsewhere, in a stream of their own.
    fn expand_jpeg(&self, coded: &[u8], shape: Shape) -> Result<Vec<u8>, String> {
        let stream = match (self.jpeg_tables, coded.get(2..)) {
            (Some([tables @ .., _, _]), Some(rest)) => Cow::Owned([tables, rest].concat()),
            _ => Cow::Borrowed(coded),
        };
        let mut rows = jpeg::components(&stream, |sides, components| {
            let fits = sides.width == shape.width as u64 && components == shape.samples;
            // The last block may reach beyond the chunk.
            let filled = (shape.rows..shape.rows.next_multiple_of(32) + 1).contains(&(sides.height as usize));
            if fits && filled { Ok(()) } else { Err(damaged("a strip or tile is not of the picture's size")) }
        })?;
        rows.truncate(shape.bytes());
        Ok(rows)
    }
}

/// `None` where the code ends, or makes no sense, before `rows` are full.
fn expand_lzw(mut coded: &[u8], rows: &mut [u8]) -> Option<()> {
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8).with_yield_on_full_buffer(true).build();
    let mut filled = 0;
    while filled < rows.len() {
        let step = decoder.decode_bytes(coded, &mut rows[filled..]);
        coded = &coded[step.consumed_in..];
        filled += step.consumed_out;
        if !matches!(step.status, Ok(LzwStatus::Ok)) && filled < rows.len() {
            return None;
        }
    }
    Some(())
}

/// Runs: n < 128 and n + 1 bytes, or n > 128 and a byte that stands for 257 − n of its kind.
fn expand_packbits(mut coded: &[u8], rows: &mut [u8]) -> Option<()> {
    let mut filled = 0;
    while filled < rows.len() {
        let (&n, rest) = coded.split_first()?;
        let length = match n {
            0..128 => usize::from(n) + 1,
            128 => 0,
            _ => 257 - usize::from(n),
        };
        let end = rows.len().min(filled + length);
        let run = &mut rows[filled..end];
        coded = rest;
        if n < 128 {
            run.copy_from_slice(coded.get(..run.len())?);
            coded = coded.get(length..).unwrap_or_default();
        } else if n > 128 {
            let (&byte, rest) = coded.split_first()?;
            run.fill(byte);
            coded = rest;
        }
        filled += length;
    }
    Some(())
}

/// Fax, group 4: white is 0.
fn expand_fax(coded: &[u8], shape: Shape, rows: &mut [u8]) -> Option<()> {
    let (width, height) = (u16::try_from(shape.width).ok()?, u16::try_from(shape.rows).ok()?);
    let mut rows = rows.chunks_exact_mut(shape.row_bytes());
    decode_g4(coded.iter().copied(), width, Some(height), |line| {
        let Some(row) = rows.next() else { return };
        for (x, _) in pels(line, width).enumerate().filter(|(_, colour)| *colour == Color::Black) {
            row[x / 8] |= 0x80 >> (x % 8);
        }
    })
}

/// Undoes [`Predictor::Horizontal`].
fn sum_samples(row: &mut [u8], shape: Shape) {
    let bytes = shape.bits / 8;
    let back = shape.samples * bytes;
    for at in (back..row.len()).step_by(bytes) {
        let mut carry = 0;
        for i in at..at + bytes {
            let sum = u16::from(row[i]) + u16::from(row[i - back]) + carry;
            row[i] = sum as u8;
            carry = sum >> 8;
        }
    }
}

/// Undoes [`Predictor::Float`].
fn sum_bytes(row: &mut [u8], shape: Shape) {
    for at in shape.samples..row.len() {
        row[at] = row[at].wrapping_add(row[at - shape.samples]);
    }
    let (bytes, apart) = (shape.bits / 8, row.to_vec());
    let numbers = row.len() / bytes;
    for (i, number) in row.chunks_exact_mut(bytes).enumerate() {
        // First bytes first there, last bytes first here.
        number.iter_mut().rev().enumerate().for_each(|(k, byte)| *byte = apart[k * numbers + i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packbits_as_its_inventor_shows_it() {
        // Apple's technical note 1023.
        let coded = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let plain = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa, 0xaa, 0xaa,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        let mut rows = [0; 24];
        assert_eq!(expand_packbits(&coded, &mut rows), Some(()));
        assert_eq!(rows, plain);
        for length in 0..coded.len() {
            assert_eq!(expand_packbits(&coded[..length], &mut rows), None, "{length} bytes");
        }
    }

    #[test]
    fn differences_are_summed_with_a_carry() {
        let shape = Shape { rows: 1, width: 3, samples: 1, bits: 16 };
        let mut row: Vec<u8> = [0x01ff_u16, 0x0001, 0xff00].iter().flat_map(|v| v.to_le_bytes()).collect();
        sum_samples(&mut row, shape);
        assert_eq!(row, [0x01ff_u16, 0x0200, 0x0100].map(u16::to_le_bytes).concat());
    }

    #[test]
    fn bytes_of_floats_are_put_together_again() {
        let (values, shape) = ([0.5_f32, 0.75, 0.1], Shape { rows: 1, width: 3, samples: 1, bits: 32 });
        let apart: Vec<u8> = (0..4).flat_map(|k| values.map(|v| v.to_be_bytes()[k])).collect();
        let mut row: Vec<u8> = (0..12).map(|i| apart[i].wrapping_sub(if i == 0 { 0 } else { apart[i - 1] })).collect();
        sum_bytes(&mut row, shape);
        assert_eq!(row, values.map(f32::to_le_bytes).concat());
    }
}
