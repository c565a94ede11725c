//! Denoise: neighbours that differ little.

use serde::{Deserialize, Serialize};

use crate::autograd::{Tape, Var};
use crate::kernels::variation::{Edges, Stencil};
use crate::ops::total_variation::{absolute, four, nine, variation};

/// Total variation of a picture (H × W × 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variation {
    /// `Σ |∇x|²` over the four neighbours. Its weight depends on the picture's size.
    Sum,
    /// The mean over nine points, diagonals included.
    Mean,
    /// The mean of `|∂x|` over the four neighbours: edges stay sharp. Its pull does not fade with what is left of a
    /// difference, so it wants a smaller weight than the squares of [`Variation::Mean`].
    Absolute,
}

impl Variation {
    /// Records the loss of a picture with edges.
    pub(crate) fn of(self, tape: &mut Tape<'_>, picture: Var) -> Var {
        self.record(tape, picture, Edges::Open)
    }

    /// Records the loss; where the picture wraps around, so do its neighbours.
    pub(super) fn record(self, tape: &mut Tape<'_>, picture: Var, edges: Edges) -> Var {
        let stencil = self.stencil(tape.dim(picture));
        variation(tape, picture, stencil, edges)
    }

    /// The differences that it sums in a picture (H × W × 3), with their weights.
    pub(super) fn stencil(self, dim: (usize, usize, usize)) -> Stencil {
        match self {
            Variation::Sum => four(),
            Variation::Mean => nine(dim),
            Variation::Absolute => absolute(dim),
        }
    }
}
