//! What a decoder is asked for and delivers: how much of a file it may take on, and pixels in the file's own terms.

use std::path::Path;

use image::metadata::Orientation;
use ndarray::{Array, Array3, Axis, Dimension, RemoveAxis};

use super::color::{Model, unit};
use crate::error::Error;
use crate::limits;
use crate::vgg::SMALLEST_SIDE;

/// Room for what a decoder needs besides the pixels: colour profiles, code tables, metadata.
pub(super) const WORKING_MEMORY: u64 = 256 << 20;

/// The most bytes one pixel takes in a decoder: four 32-bit channels.
const BYTES_PER_PIXEL: u64 = 16;

/// The most bytes a decoder may take for a picture of so many pixels.
pub(super) fn memory_for(pixels: u64) -> u64 {
    pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(WORKING_MEMORY)
}

/// Why a file does not become a picture.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Something is wrong with it.
    Picture(String),
    /// It is too large for the memory there is.
    Memory(Error),
    /// Height and width are all that was asked for.
    Size(usize, usize),
}

impl Refusal {
    pub(super) fn into_error(self, path: &Path) -> Error {
        let cause = match self {
            Refusal::Picture(cause) => cause,
            Refusal::Memory(error) => return error,
            Refusal::Size(height, width) => format!("has {width} × {height} pixels"),
        };
        Error::Picture { path: path.to_owned(), cause }
    }
}

impl From<String> for Refusal {
    fn from(cause: String) -> Self {
        Refusal::Picture(cause)
    }
}

/// Height and width as a file's header states them.
#[derive(Clone, Copy)]
pub(super) struct Sides {
    pub(super) height: u64,
    pub(super) width: u64,
}

/// What is wanted of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Height and width.
    Size,
    /// What it holds, as it holds it.
    Rows,
    /// A picture of colours in four bytes.
    Picture,
}

/// What a picture may take, and from which file.
pub(super) struct Bounds<'a> {
    pub(super) path: &'a Path,
    pub(super) max_pixels: u64,
    pub(super) wanted: Wanted,
}

impl Bounds<'_> {
    /// Anything goes.
    #[cfg(test)]
    pub(super) fn none() -> Bounds<'static> {
        Bounds { path: Path::new(""), max_pixels: u64::MAX, wanted: Wanted::Picture }
    }

    /// Judges a size, as soon as it is known.
    pub(super) fn sides(&self, Sides { height, width }: Sides) -> Result<(), String> {
        if height.min(width) < SMALLEST_SIDE as u64 {
            return Err(format!(
                "{width} × {height} pixels is too small: the network halves a picture four times, so each side \
                 needs at least {SMALLEST_SIDE} pixels; use a larger picture or a larger --size"
            ));
        }
        // Formats state sides in 32 bits at most.
        if height * width > self.max_pixels {
            return Err(format!(
                "{width} × {height} pixels is more than the limit of {}: \
                 use a smaller picture, or raise the limit with --max-pixels {}",
                self.max_pixels,
                height * width
            ));
        }
        Ok(())
    }

    /// Judges what decoding takes, before it does, if so many bytes of a pixel are delivered, with opacity or without. Where
    /// only the size is wanted, it goes no further.
    pub(super) fn memory(
        &self,
        sides: Sides,
        bytes: u64,
        has_alpha: bool,
        orientation: Orientation,
    ) -> Result<(), Refusal> {
        let Sides { height, width } = sides;
        let what = format_args!("{}: reading {width} × {height} pixels", self.path.display());
        let bytes = match self.wanted {
            Wanted::Size | Wanted::Rows => sides.decoding(bytes),
            Wanted::Picture => sides.decoding(bytes).max(sides.colours(bytes, has_alpha)),
        };
        limits::admit(bytes, 1, what, "use a smaller picture").map_err(Refusal::Memory)?;
        if self.wanted == Wanted::Size {
            let (height, width) = if turned(orientation) { (width, height) } else { (height, width) };
            return Err(Refusal::Size(height as usize, width as usize));
        }
        Ok(())
    }
}

impl Sides {
    /// Bytes while a decoder delivers so many of each pixel: it keeps up to twice as many for itself, a progressive JPEG's
    /// coefficients or the frame that an animation is drawn on, and what is turned upright is there twice.
    fn decoding(self, delivered: u64) -> u64 {
        (self.height * self.width).saturating_mul(3 * delivered)
    }

    /// Bytes of what was delivered and of the picture made of it.
    fn colours(self, delivered: u64, has_alpha: bool) -> u64 {
        let channels = 3 + u64::from(has_alpha);
        (self.height * self.width).saturating_mul(delivered + 4 * channels)
    }
}

/// Samples as a file stores them, interleaved.
pub(super) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
    Float(Vec<f32>),
}

impl Samples {
    /// A picture's samples the way it should be looked at: turned before they become numbers of four bytes.
    fn upright(self, shape: (usize, usize, usize), orientation: Orientation) -> Samples {
        fn turn<T: Clone>(samples: Vec<T>, shape: (usize, usize, usize), orientation: Orientation) -> Vec<T> {
            let samples = Array3::from_shape_vec(shape, samples).expect("a sample for each channel of each pixel");
            upright(samples, orientation).into_raw_vec_and_offset().0
        }
        if orientation == Orientation::NoTransforms {
            return self;
        }
        match self {
            Samples::Eight(v) => Samples::Eight(turn(v, shape, orientation)),
            Samples::Sixteen(v) => Samples::Sixteen(turn(v, shape, orientation)),
            Samples::Float(v) => Samples::Float(turn(v, shape, orientation)),
        }
    }

    /// Row `y` of `samples` values each, scaled to [0, 1].
    pub(super) fn row(&self, y: usize, samples: usize) -> Vec<f32> {
        let range = y * samples..(y + 1) * samples;
        match self {
            Samples::Eight(v) => v[range].iter().map(|&v| f32::from(v) / 255.0).collect(),
            Samples::Sixteen(v) => v[range].iter().map(|&v| f32::from(v) / 65_535.0).collect(),
            Samples::Float(v) => v[range].iter().map(|&v| unit(v)).collect(),
        }
    }
}

/// What a decoder delivers: pixels in the file's own terms.
pub(super) struct Raster {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) model: Model,
    /// Whether each pixel's colour is followed by its opacity.
    pub(super) has_alpha: bool,
    pub(super) samples: Samples,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) orientation: Orientation,
}

impl Raster {
    /// Height, width and samples the way the picture should be looked at.
    pub(super) fn upright(self) -> ((usize, usize), Samples) {
        let Raster { height, width, orientation, .. } = self;
        let channels = self.model.channels() + usize::from(self.has_alpha);
        let samples = self.samples.upright((height, width, channels), orientation);
        (if turned(orientation) { (width, height) } else { (height, width) }, samples)
    }
}

/// Whether rows become columns.
fn turned(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

/// Turns rows (axis 0) and columns (axis 1) the way the metadata says they should be looked at.
fn upright<T: Clone, D: Dimension + RemoveAxis>(mut picture: Array<T, D>, orientation: Orientation) -> Array<T, D> {
    use Orientation::{FlipHorizontal, FlipVertical, Rotate90, Rotate180, Rotate270, Rotate270FlipH};
    // Every orientation is a transposition, or not, and then mirrors.
    if turned(orientation) {
        picture.swap_axes(0, 1);
    }
    if matches!(orientation, FlipVertical | Rotate180 | Rotate270 | Rotate270FlipH) {
        picture.invert_axis(Axis(0));
    }
    if matches!(orientation, FlipHorizontal | Rotate180 | Rotate90 | Rotate270FlipH) {
        picture.invert_axis(Axis(1));
    }
    picture.as_standard_layout().into_owned()
}

/// A zeroed buffer, or the reason why there is none.
pub(super) fn buffer<T: Clone + Default>(length: u64) -> Result<Vec<T>, String> {
    let mut buffer = Vec::new();
    usize::try_from(length)
        .ok()
        .and_then(|length| {
            buffer.try_reserve_exact(length).ok()?;
            buffer.resize(length, T::default());
            Some(buffer)
        })
        .ok_or_else(|| format!("decoding needs {length} values in memory, more than there is: use a smaller picture"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn every_orientation_is_undone() {
        // 1 2 3
        // 4 5 6
        let stored = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let expected = [
            array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            array![[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]],
            array![[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]],
            array![[4.0, 5.0, 6.0], [1.0, 2.0, 3.0]],
            array![[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]],
            array![[4.0, 1.0], [5.0, 2.0], [6.0, 3.0]],
            array![[6.0, 3.0], [5.0, 2.0], [4.0, 1.0]],
            array![[3.0, 6.0], [2.0, 5.0], [1.0, 4.0]],
        ];
        for (exif, expected) in (1..).zip(expected) {
            let turned = upright(stored.clone(), Orientation::from_exif(exif).unwrap());
            assert_eq!(turned, expected, "EXIF orientation {exif}");
            assert!(turned.is_standard_layout());
        }
    }

    fn admitted(height: u64, width: u64, max_pixels: u64) -> Result<(), String> {
        let (bounds, sides) =
            (Bounds { path: Path::new("a.png"), max_pixels, wanted: Wanted::Rows }, Sides { height, width });
        bounds.sides(sides)?;
        let memory = bounds.memory(sides, 3, false, Orientation::NoTransforms);
        memory.map_err(|refusal| refusal.into_error(Path::new("a.png")).to_string())
    }

    #[test]
    fn the_smallest_side_is_admitted_and_one_less_is_not() {
        let side = SMALLEST_SIDE as u64;
        assert!(admitted(side, side, side * side).is_ok());
        assert!(admitted(side - 1, 100, 1 << 20).unwrap_err().contains("too small"));
        assert!(admitted(100, 1, 1 << 20).unwrap_err().contains("1 × 100"));
    }

    #[test]
    fn too_many_pixels_names_the_option_and_the_value_that_would_do() {
        let cause = admitted(1000, 300, 299_999).unwrap_err();
        assert!(cause.contains("--max-pixels 300000"), "{cause}");
    }

    #[test]
    fn more_pixels_than_there_is_memory_for_are_refused_whatever_the_limit() {
        let cause = admitted(u32::MAX.into(), u32::MAX.into(), u64::MAX).unwrap_err();
        assert!(cause.starts_with("a.png: reading") && cause.contains("TB of memory"), "{cause}");
        let sides = Sides { height: 10, width: 20 };
        assert_eq!((sides.decoding(3), sides.decoding(16)), (200 * 9, 200 * 48));
        assert_eq!((sides.colours(3, false), sides.colours(4, true)), (200 * 15, 200 * 20));
    }

    #[test]
    fn samples_are_turned_as_the_pictures_of_them_would_be() {
        let samples = Samples::Sixteen((0..24).collect());
        let turned = samples.upright((2, 4, 3), Orientation::Rotate90);
        let Samples::Sixteen(turned) = turned else { panic!("the samples' type is kept") };
        assert_eq!(turned[..9], [12, 13, 14, 0, 1, 2, 15, 16, 17]);
    }
}
