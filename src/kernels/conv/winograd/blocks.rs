//! Each thread goes all the way with tiles of its own, block by block.
//!
//! A block's V and M stay near the core, and the filters stream by once for each: for many tiles.
//!
//! ```text
//!   V[36][tile][in]  ──▶  M[36][tile][group of out]  ──▶  y
//! ```

use super::super::{Epilogue, Input, Shape};
use super::filters::{Filters, turned};
use super::transform::{Output, Patch};
use super::{FREQUENCIES, PATCH, TILE, origin, tiles};
use crate::kernels::scratch;
use crate::kernels::simd::{Element, Isa, Kernel, Simd};
use crate::tensor::FeatureMap;

/// Output channels that are multiplied and transformed together. Fewer keep M nearer, more read V less often.
const GROUP: usize = 128;

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
pub fn cut(shape: &Shape, transposed: bool, threads: usize) -> (usize, usize) {
    let ((tile_rows, tile_columns), most) = (tiles(shape), block_tiles(shape, transposed));
    let tasks = tile_rows.div_ceil(most.div_ceil(tile_columns)).next_multiple_of(threads);
    let rows = tile_rows.div_ceil(tasks);
    let tiles = rows * tile_columns;
    (rows, tiles.div_ceil(tiles.div_ceil(most)))
}

/// The convolution.
pub fn run<X: Element, Y: Element, const TRANSPOSED: bool>(
    isa: Isa,
    input: Input<'_, X>,
    filters: Filters<'_>,
    epilogue: Epilogue<'_>,
    y: &mut FeatureMap<Y>,
) {
    let shape = input.shape;
    let (tile_rows, tile_columns) = tiles(shape);
    let (rows, block) = cut(shape, TRANSPOSED, rayon::current_num_threads());
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

/// How V and M lie in memory: 36 matrices each, a row a tile.
#[derive(Clone, Copy)]
pub struct Strides {
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
    pub fn new(isa: Isa, shape: &Shape, block: usize, transposed: bool) -> Self {
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
    pub fn scratch(&self) -> usize {
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
