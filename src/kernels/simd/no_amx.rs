//! In place of `amx` where there is none: neither x86-64 nor Linux.

use super::tiles::{Missing, Product, TileUnit};

/// A proof that cannot be had.
#[derive(Clone, Copy, Debug)]
pub enum AmxTiles {}

impl AmxTiles {
    /// Absent.
    pub fn detect() -> Result<Self, Missing> {
        Err(Missing::Absent)
    }
}

impl TileUnit for AmxTiles {
    fn multiply(self, _: &Product<'_>, _: &mut [f32]) {
        match self {}
    }
}
