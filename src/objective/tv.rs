//! Denoise: neighbours that differ little.

use serde::{Deserialize, Serialize};

use crate::autograd::{Tape, Var};
use crate::kernels::variation::{Edges, Neighbour};
use crate::ops::total_variation::{four, nine, variation};

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
    /// Records the loss; where the picture wraps around, so do its neighbours.
    pub(super) fn record(self, tape: &mut Tape<'_>, picture: Var, edges: Edges) -> Var {
        let neighbours = self.neighbours(tape.dim(picture));
        variation(tape, picture, neighbours, edges)
    }

    /// The squared differences that it sums in a picture (H × W × 3), with their weights.
    pub(super) fn neighbours(self, dim: (usize, usize, usize)) -> Vec<Neighbour> {
        match self {
            Variation::Sum => four(),
            Variation::Mean => nine(dim),
        }
    }
}
