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

mod filters;
mod transform;

use ndarray::Array4;
use rayon::prelude::*;

use super::{Direction, Epilogue, Fits, Input, Method, Scratch, Shape};
use crate::kernels::scratch;
use crate::kernels::simd::{Element, Isa, Kernel, Simd};
use crate::tensor::FeatureMap;
use filters::Filters;
pub use filters::Packed;
use transform::{Between, Output, Patch};

/// Outputs of a tile, along each axis.
pub(super) const TILE: usize = 4;
/// Inputs of a tile, along each axis.
const PATCH: usize = 6;
/// Numbers a tile becomes.
const FREQUENCIES: usize = PATCH * PATCH;

/// Output channels that are multiplied and transformed together. Fewer keep M nearer, more read V less often.
const GROUP: usize = 128;

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
        let (_, block) = blocks(shape, transposed, threads);
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
            (false, false) => in_blocks::<X, Y, false>(self.0, input, filters, epilogue, y),
            (false, true) => in_blocks::<X, Y, true>(self.0, input, filters, epilogue, y),
            (true, false) => in_stages::<X, Y, false>(self.0, input, filters, epilogue, y),
            (true, true) => in_stages::<X, Y, true>(self.0, input, filters, epilogue, y),
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

/// Tiles whose 36 products are computed together. More amortise the filters' journey from memory, and turning them round
/// where they are `transposed`; fewer keep V and M in the cache.
fn block_tiles(shape: &Shape, transposed: bool) -> usize {
    match shape.in_channels.max(shape.out_channels) {
        0..=64 => 28,
        65..=128 => 32,
        129..=256 if !transposed => 64,
        _ => 128,
    }
}

/// Rows of tiles of a task, and tiles of a block: rows enough for a whole block, few enough that every thread has as many.
fn blocks(shape: &Shape, transposed: bool, threads: usize) -> (usize, usize) {
    let ((tile_rows, tile_columns), most) = (tiles(shape), block_tiles(shape, transposed));
    let tasks = tile_rows.div_ceil(most.div_ceil(tile_columns)).next_multiple_of(threads);
    let rows = tile_rows.div_ceil(tasks);
    let tiles = rows * tile_columns;
    (rows, tiles.div_ceil(tiles.div_ceil(most)))
}

/// Each task goes all the way with its own tiles, block by block.
fn in_blocks<X: Element, Y: Element, const TRANSPOSED: bool>(
    isa: Isa,
    input: Input<'_, X>,
    filters: Filters<'_>,
    epilogue: Epilogue<'_>,
    y: &mut FeatureMap<Y>,
) {
    let shape = input.shape;
    let (tile_rows, tile_columns) = tiles(shape);
    let (rows, block) = blocks(shape, TRANSPOSED, rayon::current_num_threads());
    let strides = Strides::new(isa, shape, block, TRANSPOSED);
    let part = rows * TILE * shape.out_width() * shape.out_channels;
    epilogue.for_each_part(y.as_mut_slice(), part, |index, y, epilogue| {
        let first_row = index * rows;
        let tiles = rows.min(tile_rows - first_row) * tile_columns;
        scratch::with(strides.scratch(), |scratch| {
            let output = Output { shape, epilogue, first_row, y };
            isa.dispatch(Task::<X, Y, TRANSPOSED> { input, filters, output, tiles, strides, scratch });
        });
    });
}

/// Elements of a panel of filters that is turned round before it is used; none if they are read as they are.
fn turned(isa: Isa, shape: &Shape, transposed: bool) -> usize {
    if transposed { shape.in_channels * isa.panel_width() } else { 0 }
}

/// How V and M lie in memory: 36 matrices each, a row a tile.
#[derive(Clone, Copy)]
struct Strides {
    /// Tiles of a block.
    block: usize,
    /// Output channels whose products are there at a time.
    group: usize,
    /// From row to row of V.
    v_row: usize,
    /// From frequency to frequency of V.
    v: usize,
    /// From row to row of M.
    m_row: usize,
    /// From frequency to frequency of M.
    m: usize,
    /// Elements of a panel that is turned round, see [`turned`].
    turned: usize,
}

impl Strides {
    fn new(isa: Isa, shape: &Shape, block: usize, transposed: bool) -> Self {
        let width = isa.panel_width();
        let v_row = shape.in_channels.next_multiple_of(16);
        let group = GROUP.next_multiple_of(width);
        let m_row = group.min(shape.out_channels.next_multiple_of(width)).next_multiple_of(16);
        // A line between the matrices, or 36 writes would compete for the same places in the cache.
        Strides {
            block,
            group,
            v_row,
            v: block * v_row + 16,
            m_row,
            m: block * m_row + 16,
            turned: turned(isa, shape, transposed),
        }
    }

    /// Elements of V, M and a panel together.
    fn scratch(&self) -> usize {
        FREQUENCIES * (self.v + self.m) + self.turned
    }
}

/// Some rows of tiles, and the part of y they cover. `TRANSPOSED`: the filters are the other direction's.
struct Task<'a, X, Y, const TRANSPOSED: bool> {
    input: Input<'a, X>,
    filters: Filters<'a>,
    output: Output<'a, Y>,
    tiles: usize,
    strides: Strides,
    scratch: &'a mut [f32],
}

impl<X: Element, Y: Element, const TRANSPOSED: bool> Kernel for Task<'_, X, Y, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Task { input, filters, mut output, tiles: all, strides, scratch } = self;
        let (shape, first_row) = (input.shape, output.first_row);
        let (v, rest) = scratch.split_at_mut(FREQUENCIES * strides.v);
        let (m, turned) = rest.split_at_mut(FREQUENCIES * strides.m);
        let mut between = [[simd.splat(0.0); PATCH]; PATCH];
        for first in (0..all).step_by(strides.block) {
            let tiles = strides.block.min(all - first);
            for tile in 0..tiles {
                let patch = Patch::new(shape, origin(shape, first_row, first + tile));
                for c in (0..shape.in_channels).step_by(S::LANES) {
                    let v = &mut v[tile * strides.v_row + c..];
                    input.transform::<S, TRANSPOSED>(simd, &patch, c, &mut between, (v, strides.v));
                }
            }
            for start in (0..shape.out_channels).step_by(strides.group) {
                let group = start..shape.out_channels.min(start + strides.group);
                for f in 0..FREQUENCIES {
                    let (v, m) = (&v[f * strides.v..][..strides.v], &mut m[f * strides.m..][..strides.m]);
                    let (v, m) = ((v, strides.v_row), (m, strides.m_row));
                    filters.multiply::<S, TRANSPOSED>(simd, f, tiles, group.clone(), v, m, turned);
                }
                for tile in 0..tiles {
                    let origin = origin(shape, first_row, first + tile);
                    for c in group.clone().step_by(S::LANES) {
                        let m = &m[tile * strides.m_row + c - start..];
                        output.transform::<S, TRANSPOSED>(simd, origin, c, &mut between, (m, strides.m));
                    }
                }
            }
        }
    }
}

/// How V and M of all tiles lie in memory.
struct Stages {
    tiles: usize,
    /// From tile to tile of V.
    v_row: usize,
    /// Elements of M of a panel and a frequency.
    piece: usize,
    panels: usize,
}

impl Stages {
    fn new(isa: Isa, shape: &Shape) -> Self {
        let ((rows, columns), width) = (tiles(shape), isa.panel_width());
        let tiles = rows * columns;
        // A line between tiles keeps them from competing for the same places in the cache.
        let v_row = FREQUENCIES * shape.in_channels.next_multiple_of(16) + 16;
        Stages { tiles, v_row, piece: tiles * width, panels: shape.out_channels.div_ceil(width) }
    }

    /// Elements of V and of M.
    fn lengths(&self) -> (usize, usize) {
        (self.tiles * self.v_row, self.panels * FREQUENCIES * self.piece)
    }
}

/// All threads together transform all tiles, then multiply, each by other filters, then transform back.
///
/// ```text
///   V[tile][36][in]  ──▶  M[panel of out][36][tile][width]  ──▶  y, by rows of tiles
/// ```
fn in_stages<X: Element, Y: Element, const TRANSPOSED: bool>(
    isa: Isa,
    input: Input<'_, X>,
    filters: Filters<'_>,
    epilogue: Epilogue<'_>,
    y: &mut FeatureMap<Y>,
) {
    let shape = input.shape;
    let stages = Stages::new(isa, shape);
    let Stages { tiles, v_row, piece, .. } = stages;
    let (v, m) = stages.lengths();
    scratch::with(v + m, |scratch| {
        let (v, m) = scratch.split_at_mut(v);
        v.par_chunks_mut(v_row).enumerate().for_each(|(tile, v)| {
            isa.dispatch(TransformTile::<X, TRANSPOSED> { input, tile, v });
        });
        let v = &*v;
        m.par_chunks_mut(PATCH * piece).enumerate().for_each(|(index, m)| {
            let (panel, first) = (index / PATCH, index % PATCH * PATCH);
            scratch::with(turned(isa, shape, TRANSPOSED), |turned| {
                let v = (v, v_row);
                isa.dispatch(MultiplyPanel::<TRANSPOSED> { filters, panel, first, tiles, v, m, turned });
            });
        });
        let (m, row) = (&*m, TILE * shape.out_width() * shape.out_channels);
        epilogue.for_each_part(y.as_mut_slice(), row, |first_row, y, epilogue| {
            let output = Output { shape, epilogue, first_row, y };
            isa.dispatch(TransformBack::<Y, TRANSPOSED> { output, tiles, m });
        });
    });
}

/// V of one tile.
struct TransformTile<'a, X, const TRANSPOSED: bool> {
    input: Input<'a, X>,
    tile: usize,
    v: &'a mut [f32],
}

impl<X: Element, const TRANSPOSED: bool> Kernel for TransformTile<'_, X, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let shape = self.input.shape;
        let patch = Patch::new(shape, origin(shape, 0, self.tile));
        let mut between: Between<S::Vector> = [[simd.splat(0.0); PATCH]; PATCH];
        for c in (0..shape.in_channels).step_by(S::LANES) {
            let v = (&mut self.v[c..], shape.in_channels.next_multiple_of(16));
            self.input.transform::<S, TRANSPOSED>(simd, &patch, c, &mut between, v);
        }
    }
}

/// M of one panel of output channels, for six frequencies.
struct MultiplyPanel<'a, const TRANSPOSED: bool> {
    filters: Filters<'a>,
    panel: usize,
    first: usize,
    tiles: usize,
    v: (&'a [f32], usize),
    m: &'a mut [f32],
    turned: &'a mut [f32],
}

impl<const TRANSPOSED: bool> Kernel for MultiplyPanel<'_, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let MultiplyPanel { filters, panel, first, tiles, v: (v, v_row), m, turned } = self;
        let width = m.len() / (PATCH * tiles);
        let out = panel * width..filters.shape.out_channels.min((panel + 1) * width);
        let depth = filters.shape.in_channels.next_multiple_of(16);
        for (f, m) in (first..).zip(m.chunks_exact_mut(tiles * width)) {
            let v = (&v[f * depth..], v_row);
            filters.multiply::<S, TRANSPOSED>(simd, f, tiles, out.clone(), v, (m, width), turned);
        }
    }
}

/// The outputs of one row of tiles.
struct TransformBack<'a, Y, const TRANSPOSED: bool> {
    output: Output<'a, Y>,
    tiles: usize,
    m: &'a [f32],
}

impl<Y: Element, const TRANSPOSED: bool> Kernel for TransformBack<'_, Y, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let TransformBack { mut output, tiles: all, m } = self;
        let (shape, first_row) = (output.shape, output.first_row);
        let (width, columns) = (S::TILE_VECTORS * S::LANES, tiles(shape).1);
        let mut between: Between<S::Vector> = [[simd.splat(0.0); PATCH]; PATCH];
        for tile in 0..columns {
            for c in (0..shape.out_channels).step_by(S::LANES) {
                let start = (c / width * FREQUENCIES * all + first_row * columns + tile) * width + c % width;
                let m = (&m[start..], all * width);
                output.transform::<S, TRANSPOSED>(simd, origin(shape, first_row, tile), c, &mut between, m);
            }
        }
    }
}
