//! Layers and their shares of a loss.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::vgg::Layer;

/// A layer and its share w_l of its loss, written `relu3_3` (weight 1) or `relu3_3:0.25`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerWeight {
    /// The layer.
    pub layer: Layer,
    /// Its weight w_l.
    pub weight: f64,
}

impl fmt::Display for LayerWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.layer, self.weight)
    }
}

impl FromStr for LayerWeight {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, weight) = text.split_once(':').unwrap_or((text, "1"));
        let weight = weight.parse().ok().filter(|w: &f64| w.is_finite() && *w >= 0.0).ok_or_else(|| {
            Error::Usage(format!("'{weight}' in '{text}' is not a layer weight: give a number of at least 0"))
        })?;
        Ok(LayerWeight { layer: name.parse()?, weight })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_read_by_their_names_in_the_literature() {
        assert_eq!(
            "relu3_3:0.5".parse::<LayerWeight>().unwrap(),
            LayerWeight { layer: Layer::relu(3, 3), weight: 0.5 }
        );
        assert_eq!("relu1_2".parse::<LayerWeight>().unwrap().weight, 1.0);
        for wrong in ["relu1_3", "relu6_1", "conv1_1", "relu3_5", "relu0_1", "relu3", "relu3_1:x", "relu3_1:-1", ""] {
            assert!(wrong.parse::<LayerWeight>().is_err(), "{wrong}");
        }
    }
}
