//! Winograd's convolution F(4×4, 3×3): sixteen outputs for 36 multiplications
//! instead of 144.
//!
//! ```text
//!   input tile 6×6 ──Bᵀ d B──▶ 36 numbers ┐
//!                                         ├ multiplied one by one, summed over channels ──Aᵀ m A──▶ 4×4 outputs
//!   filter 3×3 ─────G g Gᵀ───▶ 36 numbers ┘
//! ```
//!
//! Multiplying polynomials is cheap where they are known by their values, and a
//! convolution is a product of polynomials: Bᵀ and G evaluate at the points
//! 0, ±1, ½, −2 and ∞, Aᵀ interpolates. For many tiles and channels the sums
//! over channels are 36 independent matrix products (tiles × in)·(in × out).
//!
//! ```text
//!   a block of tiles:   V[36][tile][in]  ──36 GEMMs with U[36][in][out]──▶  M[36][tile][out]
//!                       stays near the core, as does M; U streams by
//! ```
//!
//! The points ½ and −2 instead of ±2 keep the numbers' sizes together: the
//! result is within 2e-6 of a direct convolution's.
//!
//! Sources: Winograd 1980, "Arithmetic complexity of computations"; Lavin &
//! Gray 2016, arXiv:1509.09308.

mod blocks;
mod filters;
pub mod matrices;
mod stages;
mod transform;

use ndarray::Array4;

use super::{Direction, Epilogue, Fits, Input, Method, Scratch, Shape};
use crate::kernels::simd::{Element, Isa};
use crate::tensor::FeatureMap;
use blocks::Strides;
pub use filters::Packed;
use filters::{Filters, turned};
use stages::Stages;

/// Outputs of a tile, along each axis.
pub(super) const TILE: usize = 4;
/// Inputs of a tile, along each axis.
const PATCH: usize = 6;
/// Numbers a tile becomes.
const FREQUENCIES: usize = PATCH * PATCH;

/// The algorithm, on vectors of some instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Winograd(pub Isa);

impl Method for Winograd {
    type Packed = Packed;

    fn fits(&self, shape: &Shape) -> Fits {
        Fits::in_vectors(shape)
    }

    fn pack(&self, weight: &Array4<f32>, direction: Direction) -> Packed {
        filters::pack(weight, direction, self.0)
    }

    fn scratch(&self, shape: &Shape, threads: usize) -> Scratch {
        // Transposed filters take more, and a shape does not say whose direction it is.
        let transposed = filters::shares(shape.out_channels, shape.in_channels, self.0.panel_width());
        let turned = turned(self.0, shape, transposed);
        if together(shape, threads) {
            let (v, m) = Stages::new(self.0, shape).lengths();
            return Scratch { own: turned, shared: v + m };
        }
        let (_, block) = blocks::cut(shape, transposed, threads);
        Scratch { own: Strides::new(self.0, shape, block, transposed).scratch(), shared: 0 }
    }

    fn run<X: Element, Y: Element>(
        &self,
        input: Input<'_, X>,
        packed: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        let filters = Filters { shape: input.shape, data: packed.data() };
        // No number depends on the way: each output is computed from its own tile alone, in a fixed order.
        match (together(input.shape, rayon::current_num_threads()), packed.transposed) {
            (false, false) => blocks::run::<X, Y, false>(self.0, input, filters, epilogue, y),
            (false, true) => blocks::run::<X, Y, true>(self.0, input, filters, epilogue, y),
            (true, false) => stages::run::<X, Y, false>(self.0, input, filters, epilogue, y),
            (true, true) => stages::run::<X, Y, true>(self.0, input, filters, epilogue, y),
        }
    }
}

/// Rows and columns of tiles.
fn tiles(shape: &Shape) -> (usize, usize) {
    (shape.out_height().div_ceil(TILE), shape.out_width().div_ceil(TILE))
}

/// The row and column of the first output of a tile, counted from row of tiles `first_row` on.
#[inline(always)]
fn origin(shape: &Shape, first_row: usize, tile: usize) -> (usize, usize) {
    let columns = shape.out_width().div_ceil(TILE);
    ((first_row + tile / columns) * TILE, tile % columns * TILE)
}

/// Whether all threads work on all tiles together: where there are few tiles for each of them and filters are large, every
/// thread's own journey through the filters would take longer than the products; and where there are not as many rows of
/// tiles as threads, as in the strips of a large picture, some would have nothing to do.
fn together(shape: &Shape, threads: usize) -> bool {
    let (rows, columns) = tiles(shape);
    let few = rows * columns <= 512.min(48 * threads);
    let shared = few && shape.in_channels.min(shape.out_channels) >= 256;
    shared || (rows < threads && rows * columns * (shape.in_channels + shape.out_channels) <= TOGETHER)
}

/// Tiles times channels, in and out, that are worked on together where there are too few rows of tiles: 36 MiB of V and M.
const TOGETHER: usize = 1 << 18;
