//! What the samples of a TIFF file mean.

use tiff::tags::{PhotometricInterpretation as Photometric, Tag};

use super::super::color::Model;
use super::super::directory::Directory;
use super::layout::Layout;
use super::{damaged, unsupported};

/// Adobe's supplement to TIFF: which inks there are.
const INK_SET: Tag = Tag::Unknown(332);
/// How much red, green and blue are in a YCbCr brightness.
const YCBCR_COEFFICIENTS: Tag = Tag::Unknown(529);
/// The levels of black and of white, for each sample.
const REFERENCE_BLACK_WHITE: Tag = Tag::Unknown(532);

pub(super) struct Colours {
    kind: Kind,
    alpha: Option<Alpha>,
    /// The samples of a pixel that are colour or opacity, opacity last.
    samples: Vec<usize>,
}

enum Kind {
    Grey {
        white_is_zero: bool,
    },
    Rgb,
    Cmyk,
    /// Colours in [0, 1], and the highest number a sample may be.
    Palette(Vec<[f32; 3]>, f32),
    YCbCr(YCbCr),
}

/// Opacity, as the extra sample of a pixel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alpha {
    /// Colours are multiplied by it.
    Associated,
    Unassociated,
}

impl Colours {
    pub(super) fn of(directory: &Directory, layout: &Layout) -> Result<Self, String> {
        let number = directory.integer(Tag::PhotometricInterpretation).and_then(|n| u16::try_from(n).ok());
        let photometric = number.ok_or_else(|| damaged("it says not what its colours are"))?;
        let kind = match Photometric::from_u16(photometric) {
            Some(Photometric::WhiteIsZero) => Kind::Grey { white_is_zero: true },
            Some(Photometric::BlackIsZero) => Kind::Grey { white_is_zero: false },
            Some(Photometric::RGB) => Kind::Rgb,
            Some(Photometric::RGBPalette) => palette(directory, layout)?,
            Some(Photometric::CMYK) if directory.integer(INK_SET).is_none_or(|set| set == 1) => Kind::Cmyk,
            Some(Photometric::YCbCr) => Kind::YCbCr(YCbCr::of(directory, layout.bits)),
            _ => return Err(unsupported(&format!("colours of kind {photometric}"))),
        };
        let colours = match kind {
            Kind::Grey { .. } | Kind::Palette(..) => 1,
            Kind::Rgb | Kind::YCbCr(_) => 3,
            Kind::Cmyk => 4,
        };
        if layout.samples < colours {
            return Err(damaged("its pixels have too few samples"));
        }
        let (alpha, sample) = alpha(directory, colours, layout.samples).unzip();
        Ok(Colours { kind, alpha, samples: (0..colours).chain(sample).collect() })
    }

    pub(super) fn model(&self) -> Model {
        match self.kind {
            Kind::Grey { .. } => Model::Grey,
            Kind::Cmyk => Model::Cmyk,
            Kind::Rgb | Kind::Palette(..) | Kind::YCbCr(_) => Model::Rgb,
        }
    }

    pub(super) fn has_alpha(&self) -> bool {
        self.alpha.is_some()
    }

    /// The samples of a pixel to read, in the order [`Colours::row`] wants them.
    pub(super) fn samples(&self) -> &[usize] {
        &self.samples
    }

    /// Bits that hold every colour there may be; `None` where only a float does.
    pub(super) fn levels(&self, layout: &Layout) -> Option<u32> {
        match (&self.kind, layout.bits) {
            _ if layout.float || layout.bits > 16 || self.alpha == Some(Alpha::Associated) => None,
            // A palette's entries have sixteen.
            (Kind::Palette(..), _) => Some(16),
            // 3, 5, 6 and 7 bits have levels that eight do not.
            (_, 1 | 2 | 4 | 8) => Some(8),
            _ => Some(16),
        }
    }

    /// A row of pixels: from samples to what the picture shows, all in [0, 1], opacity last and not multiplied in.
    pub(super) fn row(&self, samples: &[f32], out: &mut Vec<f32>) {
        out.clear();
        for pixel in samples.chunks_exact(self.samples.len()) {
            let (start, colours) = (out.len(), self.samples.len() - usize::from(self.has_alpha()));
            match &self.kind {
                Kind::Grey { white_is_zero: true } => out.push(1.0 - pixel[0]),
                Kind::Grey { .. } | Kind::Rgb | Kind::Cmyk => out.extend(&pixel[..colours]),
                Kind::Palette(entries, highest) => {
                    out.extend(entries[((pixel[0] * highest).round() as usize).min(entries.len() - 1)]);
                }
                Kind::YCbCr(ycbcr) => out.extend(ycbcr.rgb([pixel[0], pixel[1], pixel[2]])),
            }
            if self.alpha == Some(Alpha::Associated) {
                let alpha = pixel[colours];
                // Where nothing is seen there is no colour either.
                out[start..].iter_mut().for_each(|v| *v = if alpha > 0.0 { (*v / alpha).min(1.0) } else { 0.0 });
            }
            out.extend(&pixel[colours..]);
        }
    }
}

/// The kind of opacity, and its sample.
///
/// An extra sample of no stated meaning may be a mask, a spot colour, a depth: it
/// is left out. One that is not spoken of at all is opacity, as Pillow has it.
fn alpha(directory: &Directory, colours: usize, samples: usize) -> Option<(Alpha, usize)> {
    let Some(extra) = directory.integers(Tag::ExtraSamples) else {
        return (samples == colours + 1).then_some((Alpha::Unassociated, colours));
    };
    (colours..samples).zip(extra).find_map(|(sample, meaning)| match meaning {
        1 => Some((Alpha::Associated, sample)),
        2 => Some((Alpha::Unassociated, sample)),
        _ => None,
    })
}

/// A table of all reds, then all greens, then all blues, in sixteen bits.
fn palette(directory: &Directory, layout: &Layout) -> Result<Kind, String> {
    if layout.bits > 16 || layout.float {
        return Err(unsupported("a palette of more than sixteen bits"));
    }
    let (length, map) = (1 << layout.bits, directory.integers(Tag::ColorMap).unwrap_or_default());
    if map.len() < 3 * length {
        return Err(damaged("its palette is missing"));
    }
    // Some writers fill in only eight of them, the lower or the upper.
    let white = match (map.iter().all(|level| level >> 8 == 0), map.iter().all(|level| level & 0xff == 0)) {
        (true, _) => 255.0,
        (_, true) => 65_280.0,
        _ => 65_535.0,
    };
    let entry = |i: usize| [i, i + length, i + 2 * length].map(|i| map[i] as f32 / white);
    Ok(Kind::Palette((0..length).map(entry).collect(), (length - 1) as f32))
}

/// Brightness and two differences from it (TIFF 6.0, section 21), from samples in [0, 1].
struct YCbCr {
    /// What red, green and blue add to the brightness.
    luma: [f32; 3],
    /// For each sample its level at nought, and what it is to be multiplied by.
    scales: [(f32, f32); 3],
}

impl YCbCr {
    fn of(directory: &Directory, bits: usize) -> Self {
        let levels = (2.0_f64).powi(bits as i32);
        let (highest, middle) = (levels - 1.0, levels / 2.0);
        let usable = |tag, length: usize| {
            let all_finite = |values: &Vec<f64>| values.len() >= length && values.iter().all(|v| v.is_finite());
            directory.fractions(tag).filter(all_finite)
        };
        let luma = usable(YCBCR_COEFFICIENTS, 3).filter(|luma| luma[1] > 0.0);
        let luma = luma.unwrap_or_else(|| vec![0.299, 0.587, 0.114]);
        let references = usable(REFERENCE_BLACK_WHITE, 6).filter(|r| (0..3).all(|i| r[2 * i] < r[2 * i + 1]));
        let references = references.unwrap_or_else(|| vec![0.0, highest, middle, highest, middle, highest]);
        // The coding ranges are 255 and, for differences, 127 of 255.
        let ranges = [highest, middle - 1.0, middle - 1.0];
        let scale = |i: usize| {
            let (black, white) = (references[2 * i], references[2 * i + 1]);
            ((black / highest) as f32, (ranges[i] / (white - black)) as f32)
        };
        YCbCr { luma: [0, 1, 2].map(|i| luma[i] as f32), scales: [0, 1, 2].map(scale) }
    }

    fn rgb(&self, samples: [f32; 3]) -> [f32; 3] {
        let [y, cb, cr] = [0, 1, 2].map(|i| (samples[i] - self.scales[i].0) * self.scales[i].1);
        let [red, green, blue] = self.luma;
        let r = y + cr * (2.0 - 2.0 * red);
        let b = y + cb * (2.0 - 2.0 * blue);
        [r, (y - blue * b - red * r) / green, b]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn associated_opacity_is_divided_out() {
        let colours =
            Colours { kind: Kind::Grey { white_is_zero: false }, alpha: Some(Alpha::Associated), samples: vec![0, 1] };
        let mut out = Vec::new();
        colours.row(&[0.25, 0.5, 0.0, 0.0, 0.5, 0.0, 0.6, 0.3], &mut out);
        assert_eq!(out, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.3]);
    }

    #[test]
    fn ycbcr_of_studio_levels_goes_from_black_to_white() {
        // ITU-R BT.601: 16 to 235, and 240 is the largest difference.
        let scale = |black: f32, white: f32, range: f32| (black / 255.0, range / (white - black));
        let scales = [scale(16.0, 235.0, 255.0), scale(128.0, 240.0, 127.0), scale(128.0, 240.0, 127.0)];
        let ycbcr = YCbCr { luma: [0.299, 0.587, 0.114], scales };
        for (code, level) in [(16.0, 0.0), (235.0, 1.0)] {
            let rgb = ycbcr.rgb([code / 255.0, 128.0 / 255.0, 128.0 / 255.0]);
            assert!(rgb.iter().all(|v| (v - level).abs() < 1e-6), "{rgb:?}");
        }
    }
}
