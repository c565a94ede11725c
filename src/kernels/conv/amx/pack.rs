//! A filter's weights as tiles of bf16, in the order in which they are multiplied.

use ndarray::Array4;
use rayon::prelude::*;

use super::Operands;
use crate::kernels::bf16;
use crate::kernels::conv::Direction;
use crate::kernels::conv::method::seen;
use crate::kernels::scratch::Aligned;
use crate::kernels::simd::tiles::{BLOCK_SIDE, DEPTH, SIDE, TILE_ELEMENTS};

/// Filters as tiles: `[block of 32 outs][block of 32 channels][tap][half][two tiles]`, a tile as
/// [`Product::b`](crate::kernels::simd::tiles::Product::b) has it.
#[derive(Debug)]
pub struct Packed(Aligned);

impl Packed {
    /// All tiles, as bits of bf16.
    pub(super) fn tiles(&self) -> &[u16] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Packs weights (out × in × 3 × 3) for a direction; zeros beyond the last channel.
pub fn pack(weight: &Array4<f32>, direction: Direction, operands: Operands) -> Packed {
    let weight = seen(weight, direction);
    let (columns, depth, ..) = weight.dim();
    let step = operands.halves() * 2 * TILE_ELEMENTS;
    let panel = depth.div_ceil(DEPTH) * 9 * step;
    let mut filters = Aligned::zeros(columns.div_ceil(BLOCK_SIDE) * panel * size_of::<u16>() / size_of::<f32>());
    let panels = bytemuck::cast_slice_mut(&mut filters).par_chunks_exact_mut(panel);
    panels.enumerate().for_each(|(block, panel)| {
        for (at, step) in panel.chunks_exact_mut(step).enumerate() {
            let (channels, u, v) = (at / 9 * DEPTH, at / 3 % 3, at % 3);
            for i in 0..2 * TILE_ELEMENTS {
                let (tile, row, column, odd) = (i / TILE_ELEMENTS, i % TILE_ELEMENTS / DEPTH, i % DEPTH / 2, i % 2);
                let (n, k) = (block * BLOCK_SIDE + tile * SIDE + column, channels + 2 * row + odd);
                let x = weight.get([n, k, u, v]).copied().unwrap_or(0.0);
                match operands {
                    Operands::Bf16 => step[i] = bf16::round(x),
                    Operands::Split => (step[i], step[2 * TILE_ELEMENTS + i]) = bf16::split(x),
                }
            }
        }
    });
    Packed(filters)
}
