//! Style: the same things firing together, wherever they are.

use std::sync::Arc;

use crate::autograd::{Tape, Value, Var};
use crate::config::Losses;
use crate::ops::{gram, relative_error, scale, squared_error};

/// The Gram matrix per pixel, G/M: comparable between pictures of different sizes.
pub fn mean(tape: &mut Tape<'_>, gram: Var, pixels: usize) -> Var {
    scale(tape, gram, 1.0 / pixels as f64)
}

/// The distance between the Gram matrix of features F (H × W × N) and the style picture's, A/M_A.
///
/// [`Losses::Sums`]: 1/(4N²) Σ (G/M − A/M_A)², which is 1/(4N²M²) Σ (G − A)² when the sizes agree
/// (Gatys, Ecker & Bethge 2015, arXiv:1508.06576, eq. 4).
/// [`Losses::Means`]: Σ d² / Σ |d| with d = G/M − A/M_A, see [`relative_error`].
pub fn loss(tape: &mut Tape<'_>, losses: Losses, features: Var, target: Arc<Value>) -> Var {
    let (height, width, channels) = tape.dim(features);
    let g = gram(tape, features);
    let g = mean(tape, g, height * width);
    let a = tape.constant(target);
    match losses {
        Losses::Sums => {
            let sum = squared_error(tape, g, a);
            scale(tape, sum, 1.0 / (4 * channels * channels) as f64)
        }
        Losses::Means => relative_error(tape, g, a),
    }
}
