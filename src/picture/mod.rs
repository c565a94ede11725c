//! Pictures: files in, files out.
//!
//! Everything outside this module sees one kind of picture, sRGB in [0, 1] with
//! optional opacity. What a file really was (inks, palettes, sixteen bits, a
//! camera's colour space, a sensor held sideways) is settled here, once:
//!
//! ```text
//! file ─ decode ─ orientation ─→ Original ─ rows ─ color (to sRGB) ─ resize ─→ Picture ─→ network
//!                                                                   Picture ─ tone ─ encode ─→ file
//! ```
//!
//! Two rules hold throughout: nothing in a file makes the program panic or
//! allocate without bound, and nothing is left behind when writing fails.

pub mod chroma;
mod code_points;
mod color;
mod contain;
mod decode;
mod directory;
mod encode;
mod exif;
mod folder;
mod jpeg;
pub mod mask;
mod metadata;
pub mod oklab;
mod orientation;
mod output;
pub mod palette;
mod pixels;
mod raster;
mod resize;
mod row;
mod source;
mod tiff;
pub mod tone;

use std::path::Path;

use ndarray::{Array2, Array3};

pub use decode::{load, open, size};
pub use encode::{OutputFormat, SaveOptions};
pub use folder::{is_named_as_picture, pictures_in};
pub use mask::Mask;
pub use metadata::{Metadata, metadata};
pub use output::{check_options, check_output, check_side, encoded, save};
pub(crate) use pixels::bands;
pub use pixels::{Original, Pixels};
pub use resize::{fit, resized, resized_alpha};
pub use row::row;

/// Whether a path stands for standard input or output. A file of that name is `./-`.
#[must_use]
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A picture in memory.
///
/// `rgb` is (H × W × 3), sRGB-encoded, each value in [0, 1]; `alpha`, where the
/// file had transparency, is (H × W) in [0, 1] and not premultiplied.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Colour, (H × W × 3), sRGB-encoded, in [0, 1].
    pub rgb: Array3<f32>,
    /// Opacity, (H × W) in [0, 1]; `None` for an opaque picture.
    pub alpha: Option<Array2<f32>>,
}

impl Picture {
    /// An opaque picture from (H × W × 3) sRGB-encoded values in [0, 1].
    ///
    /// # Panics
    /// If the last axis is not 3 long.
    #[must_use]
    pub fn from_rgb(rgb: Array3<f32>) -> Self {
        assert_eq!(rgb.dim().2, 3, "a picture is (H × W × 3), not {:?}", rgb.dim());
        Picture { rgb, alpha: None }
    }

    /// A picture of which nothing is to be seen, for a run that does not look at one.
    #[must_use]
    pub fn flat(height: usize, width: usize) -> Self {
        Picture::from_rgb(Array3::from_elem((height, width, 3), 0.5))
    }

    /// Rows of pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.rgb.dim().0
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.rgb.dim().1
    }
}
