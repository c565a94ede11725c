//! Content: the same things in the same places.

use std::sync::Arc;

use crate::autograd::{Tape, Value, Var};
use crate::config::Losses;
use crate::ops::{scale, squared_error};

/// The distance between features F (H × W × N) and the content picture's P.
///
/// [`Losses::Sums`]: ½ Σ (F − P)² (Gatys, Ecker & Bethge 2015, arXiv:1508.06576, eq. 1).
/// [`Losses::Means`]: the mean of (F − P)².
pub fn loss(tape: &mut Tape<'_>, losses: Losses, features: Var, target: Arc<Value>) -> Var {
    let (height, width, channels) = tape.dim(features);
    let target = tape.constant(target);
    let sum = squared_error(tape, features, target);
    let factor = match losses {
        Losses::Sums => 0.5,
        Losses::Means => 1.0 / (height * width * channels) as f64,
    };
    scale(tape, sum, factor)
}
