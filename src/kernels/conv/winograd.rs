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

use std::ops::Range;
use std::sync::Arc;

use ndarray::Array4;
use rayon::prelude::*;

use super::epilogue::{Epilogue, bits, for_each_part};
use super::{Direction, Into, Shape};
use crate::kernels::mask::Mask;
use crate::kernels::scratch::{self, Aligned};
use crate::kernels::simd::{Element, Isa, Kernel, Panels, Simd, gemm_block, load_strided, panel_width, store_strided};
use crate::tensor::FeatureMap;

/// Outputs of a tile, along each axis.
const TILE: usize = 4;
/// Inputs of a tile, along each axis.
const PATCH: usize = 6;
/// Numbers a tile becomes.
const FREQUENCIES: usize = PATCH * PATCH;

/// Output channels that are multiplied and transformed together. Fewer keep M nearer, more read V less often.
const GROUP: usize = 128;

/// G, (6 × 3).
const G: [[f64; 3]; PATCH] = [
    [1.0, 0.0, 0.0],
    [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0],
    [-1.0 / 3.0, 1.0 / 3.0, -1.0 / 3.0],
    [-16.0 / 15.0, -8.0 / 15.0, -4.0 / 15.0],
    [1.0 / 15.0, -2.0 / 15.0, 4.0 / 15.0],
    [0.0, 0.0, 1.0],
];

/// Transformed filters: panels of output channels, each (36 × in × panel).
#[derive(Clone, Debug)]
pub struct Packed {
    isa: Isa,
    filters: Arc<Aligned>,
    /// Read with in and out exchanged, and rotated: the other direction's filters.
    transposed: bool,
}

impl Packed {
    /// The filters of the other direction, without a copy.
    ///
    /// A filter rotated by 180° does to a patch what the filter itself does to the rotated patch, its outputs
    /// rotated back; and exchanging channels exchanges the roles of the product's operands.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Packed { transposed: !self.transposed, ..self.clone() }
    }
}

/// Whether one set of transformed filters serves both directions of (out × in) filters. It costs a few per cent of
/// speed, and pays where the filters are the largest thing in memory.
#[must_use]
pub fn shares(out: usize, input: usize, isa: Isa) -> bool {
    out.min(input) >= 256 && out.is_multiple_of(isa.panel_width()) && input.is_multiple_of(isa.panel_width())
}

/// Transforms weights (out × in × 3 × 3) for a direction: backward, they are rotated by 180° and
/// their channels exchanged.
#[must_use]
pub fn pack(weight: &Array4<f32>, direction: Direction, isa: Isa) -> Packed {
    let width = isa.panel_width();
    let (out, input, ..) = weight.dim();
    let (depth, columns) = match direction {
        Direction::Forward => (input, out),
        Direction::BackwardInput => (out, input),
    };
    let filter = |k: usize, n: usize| -> [[f64; 3]; 3] {
        std::array::from_fn(|u| {
            std::array::from_fn(|v| {
                f64::from(match direction {
                    Direction::Forward => weight[[n, k, u, v]],
                    Direction::BackwardInput => weight[[k, n, 2 - u, 2 - v]],
                })
            })
        })
    };
    let mut filters = Aligned::zeros(columns.div_ceil(width) * FREQUENCIES * depth * width);
    filters.par_chunks_mut(FREQUENCIES * depth * width).enumerate().for_each(|(panel, data)| {
        for k in 0..depth {
            for column in 0..width.min(columns - panel * width) {
                let transformed = transform_filter(&filter(k, panel * width + column));
                for (f, value) in transformed.into_iter().flatten().enumerate() {
                    data[(f * depth + k) * width + column] = value as f32;
                }
            }
        }
    });
    Packed { isa, filters: Arc::new(filters), transposed: false }
}

/// G g Gᵀ.
fn transform_filter(g: &[[f64; 3]; 3]) -> [[f64; PATCH]; PATCH] {
    let rows: [[f64; 3]; PATCH] =
        std::array::from_fn(|i| std::array::from_fn(|v| (0..3).map(|u| G[i][u] * g[u][v]).sum()));
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|v| rows[i][v] * G[j][v]).sum()))
}

/// Runs a convolution of `shape` in the direction its filters were packed for, on x where the mask lets it through.
pub fn run<X: Element, Y: Element>(
    shape: &Shape,
    x: &FeatureMap<X>,
    mask: Option<&Mask>,
    packed: &Packed,
    into: Into<'_>,
    y: &mut FeatureMap<Y>,
) {
    let (height, width) = (shape.out_height(), shape.out_width());
    let (tile_rows, tile_columns) = (height.div_ceil(TILE), width.div_ceil(TILE));
    // Rows of tiles per task: enough for a whole block, few enough that every thread has as many. The
    // result does not depend on it: each output is computed from its own tile alone, in a fixed order.
    let wanted = block_tiles(shape).div_ceil(tile_columns);
    let tasks = tile_rows.div_ceil(wanted).next_multiple_of(rayon::current_num_threads());
    let rows = tile_rows.div_ceil(tasks);
    let chunk = rows * TILE * width * shape.out_channels;
    let tiles = rows * tile_columns;
    let block = tiles.div_ceil(tiles.div_ceil(block_tiles(shape)));
    let strides = Strides::new(shape, block, packed);
    for_each_part(into, y.as_mut_slice(), chunk, |index, y, epilogue| {
        let first_row = index * rows;
        let tiles = rows.min(tile_rows - first_row) * tile_columns;
        scratch::with(strides.scratch(), |scratch| {
            let (x, mask, filters) = (x.as_slice(), mask.map(Mask::bytes), &**packed.filters);
            if packed.transposed {
                let task = Task { shape, x, mask, filters, epilogue, first_row, tiles, strides, scratch, y };
                packed.isa.dispatch::<Task<'_, X, Y, true>>(task);
            } else {
                let task = Task { shape, x, mask, filters, epilogue, first_row, tiles, strides, scratch, y };
                packed.isa.dispatch::<Task<'_, X, Y, false>>(task);
            }
        });
    });
}

/// Tiles whose 36 products are computed together. More amortise the filters' journey from memory,
/// fewer keep V and M in the cache.
fn block_tiles(shape: &Shape) -> usize {
    match shape.in_channels.max(shape.out_channels) {
        0..=64 => 28,
        65..=128 => 32,
        129..=256 => 64,
        _ => 128,
    }
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
    /// Elements of a panel of filters that is turned round before it is used; none if they are read as they are.
    turned: usize,
}

impl Strides {
    fn new(shape: &Shape, block: usize, packed: &Packed) -> Self {
        let width = packed.isa.panel_width();
        let v_row = shape.in_channels.next_multiple_of(16);
        let group = GROUP.next_multiple_of(width);
        let m_row = group.min(shape.out_channels.next_multiple_of(width)).next_multiple_of(16);
        let turned = if packed.transposed { shape.in_channels * width } else { 0 };
        // A line between the matrices, or 36 writes would compete for the same places in the cache.
        Strides { block, group, v_row, v: block * v_row + 16, m_row, m: block * m_row + 16, turned }
    }

    /// Elements of V, M and a panel together.
    fn scratch(&self) -> usize {
        FREQUENCIES * (self.v + self.m) + self.turned
    }
}

/// Some rows of tiles, and the part of y they cover. `TRANSPOSED`: the filters are the other direction's.
struct Task<'a, X, Y, const TRANSPOSED: bool> {
    shape: &'a Shape,
    x: &'a [X],
    mask: Option<&'a [u8]>,
    filters: &'a [f32],
    epilogue: Epilogue<'a>,
    first_row: usize,
    tiles: usize,
    strides: Strides,
    scratch: &'a mut [f32],
    y: &'a mut [Y],
}

impl<X: Element, Y: Element, const TRANSPOSED: bool> Kernel for Task<'_, X, Y, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (depth, columns, strides) = (self.shape.in_channels, self.shape.out_channels, self.strides);
        let (v, rest) = std::mem::take(&mut self.scratch).split_at_mut(FREQUENCIES * strides.v);
        let (m, turned) = rest.split_at_mut(FREQUENCIES * strides.m);
        // What is between the two passes of a transform.
        let mut between = [[simd.splat(0.0); PATCH]; PATCH];
        for first in (0..self.tiles).step_by(strides.block) {
            let tiles = strides.block.min(self.tiles - first);
            for tile in 0..tiles {
                let patch = Patch::new(self.shape, self.origin(first + tile));
                for c in (0..depth).step_by(S::LANES) {
                    let v = &mut v[tile * strides.v_row + c..];
                    self.transform_input(simd, &patch, c, &mut between, (v, strides.v));
                }
            }
            for start in (0..columns).step_by(strides.group) {
                let group = start..columns.min(start + strides.group);
                for f in 0..FREQUENCIES {
                    let (v, m) = (&v[f * strides.v..][..strides.v], &mut m[f * strides.m..][..strides.m]);
                    self.multiply(simd, f, tiles, group.clone(), (v, strides.v_row), (m, strides.m_row), turned);
                }
                for tile in 0..tiles {
                    for c in group.clone().step_by(S::LANES) {
                        let m = &m[tile * strides.m_row + c - start..];
                        self.transform_output(simd, self.origin(first + tile), c, &mut between, (m, strides.m));
                    }
                }
            }
        }
    }
}

/// Where the 6×6 patch of a tile lies in x.
struct Patch {
    /// None of it is outside the map.
    inside: bool,
    /// First elements of its rows, and columns from there; `None` outside.
    rows: [Option<usize>; PATCH],
    columns: [Option<usize>; PATCH],
}

impl Patch {
    #[inline(always)]
    fn new(shape: &Shape, (row, column): (usize, usize)) -> Self {
        let Shape { height, width, in_channels: channels, padding, .. } = *shape;
        let (mut rows, mut columns) = ([None; PATCH], [None; PATCH]);
        for (i, (y, x)) in rows.iter_mut().zip(&mut columns).enumerate() {
            *y = (row + i).checked_sub(padding).filter(|&y| y < height).map(|y| y * width * channels);
            *x = (column + i).checked_sub(padding).filter(|&x| x < width).map(|x| x * channels);
        }
        let inside = rows[0].and(rows[PATCH - 1]).and(columns[0]).and(columns[PATCH - 1]).is_some();
        Patch { inside, rows, columns }
    }
}

impl<X: Element, Y: Element, const TRANSPOSED: bool> Task<'_, X, Y, TRANSPOSED> {
    /// The row and column of a tile's first output.
    #[inline(always)]
    fn origin(&self, tile: usize) -> (usize, usize) {
        let tile_columns = self.shape.out_width().div_ceil(TILE);
        ((self.first_row + tile / tile_columns) * TILE, tile % tile_columns * TILE)
    }

    /// V = Bᵀ d B for a vector of channels from `c` on of one tile; zeros outside the map. `v` is where the first
    /// of the 36 goes, and how far it is from one to the next. The patch d is read backwards if `TRANSPOSED`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // A column is no slice.
    fn transform_input<S: Simd>(
        &self,
        simd: S,
        patch: &Patch,
        c: usize,
        between: &mut [[S::Vector; PATCH]; PATCH],
        (v, stride): (&mut [f32], usize),
    ) {
        let channels = self.shape.in_channels;
        for (i, between) in between.iter_mut().enumerate() {
            let row = patch.rows[if TRANSPOSED { PATCH - 1 - i } else { i }];
            let d = match (row, patch.columns[0]) {
                (Some(row), Some(column)) if patch.inside && c + S::LANES <= channels => {
                    self.load_row(simd, row + column + c)
                }
                (Some(row), _) => self.load_edge(simd, row, &patch.columns, c),
                (None, _) => [simd.splat(0.0); PATCH],
            };
            *between = input_points(simd, if TRANSPOSED { [d[5], d[4], d[3], d[2], d[1], d[0]] } else { d });
        }
        // Rows are done; each column of what they became is six of the 36 rows of V.
        for j in 0..PATCH {
            let column = [between[0][j], between[1][j], between[2][j], between[3][j], between[4][j], between[5][j]];
            store_strided(simd, input_points(simd, column), &mut v[j * stride..], PATCH * stride);
        }
    }

    /// Six pixels' vectors, all of them inside the map.
    #[inline(always)]
    fn load_row<S: Simd>(&self, simd: S, start: usize) -> [S::Vector; PATCH] {
        let channels = self.shape.in_channels;
        let mut d = load_strided(simd, &self.x[start..], channels);
        // The next tile's new pixels.
        for j in PATCH..PATCH + TILE {
            simd.prefetch(self.x.as_ptr().wrapping_add(start + j * channels).cast());
        }
        if let Some(mask) = self.mask {
            for (j, d) in d.iter_mut().enumerate() {
                *d = simd.select(bits::<S>(mask, start + j * channels), *d);
            }
        }
        d
    }

    /// Six pixels' vectors, zeros where there is no pixel or no channel.
    #[inline(always)]
    fn load_edge<S: Simd>(
        &self,
        simd: S,
        row: usize,
        columns: &[Option<usize>; PATCH],
        c: usize,
    ) -> [S::Vector; PATCH] {
        let mut d = [simd.splat(0.0); PATCH];
        for (d, column) in d.iter_mut().zip(columns) {
            let Some(column) = column else { continue };
            let start = row + column;
            *d = X::load_partial(simd, &self.x[start + c..start + self.shape.in_channels]);
            if let Some(mask) = self.mask {
                *d = simd.select(bits::<S>(mask, start + c), *d);
            }
        }
        d
    }

    /// M = V·U for one frequency and some output channels, from a panel's first on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        f: usize,
        tiles: usize,
        group: Range<usize>,
        v: (&[f32], usize),
        (m, m_row): (&mut [f32], usize),
        turned: &mut [f32],
    ) {
        let (depth, columns, width) = (self.shape.in_channels, self.shape.out_channels, panel_width::<S>());
        if !TRANSPOSED {
            let panel = width * depth;
            let (first, count) = (group.start / width * FREQUENCIES + f, group.len().div_ceil(width));
            let u = Panels { data: &self.filters[first * panel..], depth, count, stride: FREQUENCIES * panel };
            gemm_block(simd, tiles, v, u, (m, m_row), false);
            return;
        }
        // What is a row of these panels here was a column there. Tiles are many, so that turning them costs little.
        let panel = width * columns;
        for first in group.clone().step_by(width) {
            for k in (0..depth).step_by(width) {
                let from = &self.filters[(k / width * FREQUENCIES + f) * panel + first * width..];
                let to = &mut turned[k * width..];
                for i in (0..width).step_by(S::LANES) {
                    for j in (0..width).step_by(S::LANES) {
                        simd.transpose(&from[i * width + j..], width, &mut to[j * width + i..], width);
                    }
                }
            }
            let u = Panels { data: turned, depth, count: 1, stride: 0 };
            gemm_block(simd, tiles, v, u, (&mut m[first - group.start..], m_row), false);
        }
    }

    /// y = Aᵀ m A for a vector of channels from `c` on of one tile, as far as it lies in the map. `m` is where the
    /// first of the 36 is, and how far it is from one to the next. Outputs are written backwards if `TRANSPOSED`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // A column is no slice.
    fn transform_output<S: Simd>(
        &mut self,
        simd: S,
        (row, column): (usize, usize),
        c: usize,
        between: &mut [[S::Vector; PATCH]; PATCH],
        (m, stride): (&[f32], usize),
    ) {
        let (height, width, channels) = (self.shape.out_height(), self.shape.out_width(), self.shape.out_channels);
        let (rows, columns) = (TILE.min(height - row), TILE.min(width - column));
        let lanes = S::LANES.min(channels - c);
        for (i, between) in between.iter_mut().enumerate() {
            let values = load_strided(simd, &m[i * PATCH * stride..], stride);
            between[..TILE].copy_from_slice(&output_points(simd, values));
        }
        // Where the next tile's outputs go.
        for i in 0..rows {
            for j in TILE..2 * TILE {
                let start = ((row - self.first_row * TILE + i) * width + column + j) * channels + c;
                simd.prefetch(self.y.as_ptr().wrapping_add(start).cast());
            }
        }
        for j in 0..TILE {
            let points = [between[0][j], between[1][j], between[2][j], between[3][j], between[4][j], between[5][j]];
            let out = output_points(simd, points);
            let j = if TRANSPOSED { TILE - 1 - j } else { j };
            if j >= columns {
                continue;
            }
            for (i, value) in out.into_iter().enumerate() {
                let i = if TRANSPOSED { TILE - 1 - i } else { i };
                if i < rows {
                    let start = ((row - self.first_row * TILE + i) * width + column + j) * channels + c;
                    self.epilogue.write(simd, value, c, start, &mut self.y[start..start + lanes]);
                }
            }
        }
    }
}

/// Bᵀ times a column: the values at 0, 1, −1, ½, −2 and ∞.
///
/// ```text
/// 1 −3/2  −2   3/2   1  0
/// 0  −1   1/2  5/2   1  0
/// 0   1  −5/2  1/2   1  0
/// 0  −2   −1    2    1  0
/// 0  1/2  −1  −1/2   1  0
/// 0   1  −3/2 −2   3/2  1
/// ```
#[inline(always)]
fn input_points<S: Simd>(s: S, d: [S::Vector; PATCH]) -> [S::Vector; PATCH] {
    let (half, two, three_halves) = (s.splat(-0.5), s.splat(2.0), s.splat(1.5));
    let a = s.sub(d[4], d[2]);
    let b = s.sub(d[3], d[1]);
    [
        s.fma(three_halves, b, s.add(s.sub(d[0], d[2]), a)),
        s.fma(three_halves, s.add(d[2], d[3]), s.add(a, b)),
        s.fma(three_halves, s.sub(d[3], d[2]), s.sub(a, b)),
        s.fma(two, b, a),
        s.fma(half, b, a),
        s.fma(three_halves, a, s.sub(s.sub(d[5], d[3]), b)),
    ]
}

/// Aᵀ times a column: the coefficients of the polynomial with these values.
///
/// ```text
/// 1  1  1   1   1  0
/// 0  1 −1  1/2 −2  0
/// 0  1  1  1/4  4  0
/// 0  1 −1  1/8 −8  1
/// ```
#[inline(always)]
fn output_points<S: Simd>(s: S, m: [S::Vector; PATCH]) -> [S::Vector; TILE] {
    let sum = s.add(m[1], m[2]);
    let difference = s.sub(m[1], m[2]);
    [
        s.add(s.add(m[0], sum), s.add(m[3], m[4])),
        s.fma(s.splat(0.5), m[3], s.fma(s.splat(-2.0), m[4], difference)),
        s.fma(s.splat(0.25), m[3], s.fma(s.splat(4.0), m[4], sum)),
        s.fma(s.splat(0.125), m[3], s.fma(s.splat(-8.0), m[4], s.add(difference, m[5]))),
    ]
}
