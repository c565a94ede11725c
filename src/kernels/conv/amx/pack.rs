//! A filter's weights as tiles of bf16, in the order in which they are multiplied.

use ndarray::Array4;
use rayon::prelude::*;

use super::Precision;
use crate::kernels::bf16;
use crate::kernels::conv::Direction;
use crate::kernels::scratch::Aligned;
use crate::kernels::simd::tiles::{BLOCK, DEPTH, SIDE, TILE};

/// Filters as tiles: `[block of 32 outs][block of 32 channels][tap][half][two tiles]`, a tile as
/// [`Product::b`](crate::kernels::simd::tiles::Product::b) has it.
#[derive(Debug)]
pub struct Packed {
    pub(super) precision: Precision,
    filters: Aligned,
}

impl Packed {
    /// All tiles, as bits of bf16.
    pub(super) fn tiles(&self) -> &[u16] {
        bytemuck::cast_slice(&self.filters)
    }
}

/// Packs weights (out × in × 3 × 3) for a direction: backward, they are rotated by 180° and their channels exchanged.
#[must_use]
pub fn pack(weight: &Array4<f32>, direction: Direction, precision: Precision) -> Packed {
    let (packing, mut filters) = Packing::new(weight, direction, precision);
    let panels = bytemuck::cast_slice_mut(&mut filters).par_chunks_exact_mut(packing.panel());
    panels.enumerate().for_each(|(block, panel)| packing.fill(block, panel));
    Packed { precision, filters }
}

/// [`pack`] on this thread alone.
pub(super) fn pack_alone(weight: &Array4<f32>, direction: Direction, precision: Precision) -> Packed {
    let (packing, mut filters) = Packing::new(weight, direction, precision);
    let panels = bytemuck::cast_slice_mut(&mut filters).chunks_exact_mut(packing.panel());
    panels.enumerate().for_each(|(block, panel)| packing.fill(block, panel));
    Packed { precision, filters }
}

/// What is to be packed how.
struct Packing<'a> {
    weight: &'a Array4<f32>,
    direction: Direction,
    precision: Precision,
    depth: usize,
    columns: usize,
}

impl<'a> Packing<'a> {
    /// With room for all panels.
    fn new(weight: &'a Array4<f32>, direction: Direction, precision: Precision) -> (Self, Aligned) {
        let (out, input, ..) = weight.dim();
        let (depth, columns) = match direction {
            Direction::Forward => (input, out),
            Direction::BackwardInput => (out, input),
        };
        let packing = Packing { weight, direction, precision, depth, columns };
        let elements = columns.div_ceil(BLOCK) * packing.panel();
        (packing, Aligned::zeros(elements * size_of::<u16>() / size_of::<f32>()))
    }

    /// Elements of the tiles of 32 output channels.
    fn panel(&self) -> usize {
        self.depth.div_ceil(DEPTH) * 9 * self.precision.halves() * 2 * TILE
    }

    fn fill(&self, block: usize, panel: &mut [u16]) {
        for (at, step) in panel.chunks_exact_mut(self.precision.halves() * 2 * TILE).enumerate() {
            let (channels, tap) = (at / 9 * DEPTH, [at / 3 % 3, at % 3]);
            for i in 0..2 * TILE {
                let (tile, row, column, odd) = (i / TILE, i % TILE / DEPTH, i % DEPTH / 2, i % 2);
                let x = self.filter(channels + 2 * row + odd, block * BLOCK + tile * SIDE + column, tap);
                match self.precision {
                    Precision::Bf16 => step[i] = bf16::round(x),
                    Precision::Split => (step[i], step[2 * TILE + i]) = bf16::split(x),
                }
            }
        }
    }

    /// The weight from channel k to channel n, 0 beyond the last.
    fn filter(&self, k: usize, n: usize, [u, v]: [usize; 2]) -> f32 {
        match self.direction {
            _ if k >= self.depth || n >= self.columns => 0.0,
            Direction::Forward => self.weight[[n, k, u, v]],
            Direction::BackwardInput => self.weight[[k, n, 2 - u, 2 - v]],
        }
    }
}
