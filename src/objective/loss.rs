//! A loss of anybody's, beside content, style and variation.
//!
//! The library's losses are functions of sums over pixels, so that they can be computed in strips. One from outside may be
//! anything that a tape can record; a picture is then evaluated whole.

use crate::autograd::{Tape, Var};
use crate::vgg::Layer;

// ANCHOR: loss
/// What else a picture should be like: a sum of scalars, recorded on the tape on which the network looks at it.
pub trait Loss: Send + Sync {
    /// Records what it makes of the picture (H × W × 3, sRGB in [0, 1]), if anything.
    fn of_picture(&self, _tape: &mut Tape<'_>, _picture: Var) -> Option<Var> {
        None
    }

    /// The same of features (H × W × N, in `f32` or bf16), if anything: of each layer, down to the deepest that the goal
    /// looks at.
    fn of_features(&self, _tape: &mut Tape<'_>, _layer: Layer, _features: Var) -> Option<Var> {
        None
    }
}
// ANCHOR_END: loss
