//! Pictures: files in, files out.

use ndarray::{Array2, Array3};

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
