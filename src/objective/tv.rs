//! Denoise: neighbours that differ little.

use crate::autograd::{Tape, Var};
use crate::config::Losses;
use crate::ops::{total_variation, total_variation9};

/// Total variation of a picture (H × W × 3).
///
/// [`Losses::Sums`]: Σ |∇x|². [`Losses::Means`]: the mean over the nine-point stencil.
pub fn loss(tape: &mut Tape<'_>, losses: Losses, picture: Var) -> Var {
    match losses {
        Losses::Sums => total_variation(tape, picture),
        Losses::Means => total_variation9(tape, picture),
    }
}
