//! Content: the same things in the same places.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::autograd::{Tape, Value, Var};
use crate::ops::{scale, squared_error};

/// The distance between features F (H × W × N) and the content picture's P.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentLoss {
    /// `½ Σ (F − P)²` (Gatys, Ecker & Bethge 2015, arXiv:1508.06576, eq. 1). Its weight depends on the picture's size.
    Sum,
    /// The mean of `(F − P)²`.
    Mean,
}

impl ContentLoss {
    /// Records the loss.
    pub(super) fn record(self, tape: &mut Tape<'_>, features: Var, target: Arc<Value>) -> Var {
        let (height, width, channels) = tape.dim(features);
        let target = tape.constant(target);
        let sum = squared_error(tape, features, target);
        let factor = match self {
            ContentLoss::Sum => 0.5,
            ContentLoss::Mean => 1.0 / (height * width * channels) as f64,
        };
        scale(tape, sum, factor)
    }
}
