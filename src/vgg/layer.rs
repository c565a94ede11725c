//! The names of layers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A ReLU layer of VGG by its name in the literature: block and position, `relu3_3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    /// Block, 1 to 5: how often the map has been halved, plus one.
    pub block: u8,
    /// Position in the block, from 1.
    pub index: u8,
}

impl Layer {
    /// `relu{block}_{index}`.
    #[must_use]
    pub const fn relu(block: u8, index: u8) -> Self {
        Layer { block, index }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relu{}_{}", self.block, self.index)
    }
}

impl FromStr for Layer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let parse = || {
            let (block, index) = name.strip_prefix("relu")?.split_once('_')?;
            let (block, index) = (block.parse().ok()?, index.parse().ok()?);
            let deepest = if block <= 2 { 2 } else { 4 };
            ((1..=5).contains(&block) && (1..=deepest).contains(&index)).then_some(Layer { block, index })
        };
        parse().ok_or_else(|| {
            Error::Usage(format!(
                "'{name}' is not a layer: VGG16 has relu1_1, relu1_2, relu2_1, relu2_2, relu3_1 to relu3_3, \
                 relu4_1 to relu4_3 and relu5_1 to relu5_3; VGG19 also relu3_4, relu4_4 and relu5_4"
            ))
        })
    }
}

impl Serialize for Layer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
