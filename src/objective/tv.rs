//! Denoise: neighbours that differ little.

use serde::{Deserialize, Serialize};

use crate::autograd::{Tape, Var};
use crate::kernels::variation::Neighbour;
use crate::ops::total_variation::{four, nine};
use crate::ops::{total_variation, total_variation9};

/// Total variation of a picture (H × W × 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variation {
    /// `Σ |∇x|²` over the four neighbours. Its weight depends on the picture's size.
    Sum,
    /// The mean over nine points, diagonals included.
    Mean,
}

impl Variation {
    /// Records the loss.
    pub(super) fn record(self, tape: &mut Tape<'_>, picture: Var) -> Var {
        match self {
            Variation::Sum => total_variation(tape, picture),
            Variation::Mean => total_variation9(tape, picture),
        }
    }

    /// The squared differences that it sums in a picture (H × W × 3), with their weights.
    pub(super) fn neighbours(self, dim: (usize, usize, usize)) -> Vec<Neighbour> {
        match self {
            Variation::Sum => four(),
            Variation::Mean => nine(dim),
        }
    }
}
