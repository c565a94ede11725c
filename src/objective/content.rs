//! Content: the same things in the same places.

use serde::{Deserialize, Serialize};

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
    /// What `Σ (F − P)²` is multiplied by, F being of so many elements.
    pub(super) fn factor(self, elements: usize) -> f64 {
        match self {
            ContentLoss::Sum => 0.5,
            ContentLoss::Mean => 1.0 / elements as f64,
        }
    }
}
