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

use std::sync::Arc;

use ndarray::Array4;
use rayon::prelude::*;

use super::epilogue::{Epilogue, bits, for_each_part};
use super::{Direction, Into, Shape};
use crate::kernels::mask::Mask;
use crate::kernels::scratch::{self, Aligned};
use crate::kernels::simd::{Element, Isa, Kernel, Panels, Rows, Simd, gemm_block, gemm_segments, panel_width};
use crate::tensor::FeatureMap;

/// Outputs of a tile, along each axis.
const TILE: usize = 4;
/// Inputs of a tile, along each axis.
const PATCH: usize = 6;
/// Numbers a tile becomes.
const FREQUENCIES: usize = PATCH * PATCH;

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
    out.min(input) >= 256 && out.is_multiple_of(isa.panel_width())
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
    // Rows of tiles per task: enough for a whole block, few enough for every thread to have some. The
    // result does not depend on it: each output is computed from its own tile alone, in a fixed order.
    let wanted = block_tiles(shape).div_ceil(tile_columns);
    let rows = wanted.min(tile_rows.div_ceil(2 * rayon::current_num_threads())).max(1);
    let chunk = rows * TILE * width * shape.out_channels;
    // Transposed, tiles fill vectors: a block of whole panels leaves none of them empty.
    let whole = if packed.transposed { packed.isa.panel_width() } else { 1 };
    let block = block_tiles(shape).next_multiple_of(whole).min(rows * tile_columns);
    let strides = Strides::new(shape, block, packed);
    for_each_part(into, y.as_mut_slice(), chunk, |index, y, epilogue| {
        let first_row = index * rows;
        let tiles = rows.min(tile_rows - first_row) * tile_columns;
        scratch::with(strides.scratch(), |scratch| {
            let (x, mask, filters) = (x.as_slice(), mask.map(Mask::bytes), &**packed.filters);
            let task = Task { shape, x, mask, filters, epilogue, first_row, tiles, strides, scratch, y };
            match packed.transposed {
                false => packed.isa.dispatch(task),
                true => packed.isa.dispatch(Transposed(task)),
            }
        });
    });
}

/// Tiles whose 36 products are computed together. More amortise the filters' journey from memory,
/// fewer keep V and M in the cache.
fn block_tiles(shape: &Shape) -> usize {
    match shape.in_channels.max(shape.out_channels) {
        0..=64 => 28,
        65..=128 => 42,
        129..=256 => 56,
        _ => 112,
    }
}

/// How V and M lie in memory: 36 matrices each. A row is a tile, or, where filters are read transposed, a channel:
/// then V is cut into panels of tiles.
#[derive(Clone, Copy)]
struct Strides {
    /// Tiles of a block.
    block: usize,
    /// From row to row of V.
    v_row: usize,
    /// From frequency to frequency of V.
    v: usize,
    /// From row to row of M.
    m_row: usize,
    /// From frequency to frequency of M.
    m: usize,
}

impl Strides {
    fn new(shape: &Shape, block: usize, packed: &Packed) -> Self {
        let width = packed.isa.panel_width();
        // A line between the matrices, or 36 writes would compete for the same places in the cache.
        if packed.transposed {
            let m_row = block.next_multiple_of(width);
            let (v, m) = (m_row * shape.in_channels + 16, shape.out_channels * m_row + 16);
            return Strides { block, v_row: width, v, m_row, m };
        }
        let v_row = shape.in_channels.next_multiple_of(16);
        let m_row = shape.out_channels.next_multiple_of(width).next_multiple_of(16);
        Strides { block, v_row, v: block * v_row + 16, m_row, m: block * m_row + 16 }
    }

    /// Elements of V and M together.
    fn scratch(&self) -> usize {
        FREQUENCIES * (self.v + self.m)
    }
}

/// Some rows of tiles, and the part of y they cover.
struct Task<'a, X, Y> {
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

impl<X: Element, Y: Element> Kernel for Task<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (depth, columns, strides) = (self.shape.in_channels, self.shape.out_channels, self.strides);
        let panel = panel_width::<S>() * depth;
        let panels = columns.div_ceil(panel_width::<S>());
        let (v, m) = std::mem::take(&mut self.scratch).split_at_mut(FREQUENCIES * strides.v);
        for first in (0..self.tiles).step_by(strides.block) {
            let tiles = strides.block.min(self.tiles - first);
            for tile in 0..tiles {
                for c in (0..depth).step_by(S::LANES) {
                    let values = self.transform_input::<S, false>(simd, first + tile, c);
                    for (f, value) in values.into_iter().flatten().enumerate() {
                        simd.store(value, &mut v[f * strides.v + tile * strides.v_row + c..]);
                    }
                }
            }
            for f in 0..FREQUENCIES {
                let u = Panels { data: &self.filters[f * panel..], depth, count: panels, stride: FREQUENCIES * panel };
                let (v, m) = (&v[f * strides.v..][..strides.v], &mut m[f * strides.m..][..strides.m]);
                gemm_block(simd, tiles, (v, strides.v_row), u, (m, strides.m_row), false);
            }
            for tile in 0..tiles {
                for c in (0..columns).step_by(S::LANES) {
                    let mut values = [[simd.splat(0.0); PATCH]; PATCH];
                    for (f, value) in values.as_flattened_mut().iter_mut().enumerate() {
                        *value = simd.load(&m[f * strides.m + tile * strides.m_row + c..]);
                    }
                    self.transform_output::<S, false>(simd, first + tile, c, values);
                }
            }
        }
    }
}

/// A task whose filters are the other direction's: M = U·V with a row a channel, and tiles side by side in vectors.
struct Transposed<'a, X, Y>(Task<'a, X, Y>);

impl<X: Element, Y: Element> Kernel for Transposed<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut task = self.0;
        let (depth, rows, strides) = (task.shape.in_channels, task.shape.out_channels, task.strides);
        let width = panel_width::<S>();
        let panel = width * rows;
        let (v, m) = std::mem::take(&mut task.scratch).split_at_mut(FREQUENCIES * strides.v);
        for first in (0..task.tiles).step_by(strides.block) {
            let tiles = strides.block.min(task.tiles - first);
            for c in (0..depth).step_by(S::LANES) {
                for tile in 0..tiles {
                    let values = task.transform_input::<S, true>(simd, first + tile, c);
                    let place = tile / width * (depth * width) + c * width + tile % width;
                    for (f, value) in values.into_iter().flatten().enumerate() {
                        scatter(simd, value, &mut v[f * strides.v + place..], width, depth - c);
                    }
                }
            }
            let count = tiles.div_ceil(width);
            for f in 0..FREQUENCIES {
                // A row of U has a piece in each panel.
                let (segments, segment_stride) = (depth / width, FREQUENCIES * panel);
                let u = Rows { data: &task.filters[f * panel..], stride: width, segments, segment_stride };
                let v = Panels { data: &v[f * strides.v..][..strides.v], depth, count, stride: depth * width };
                gemm_segments(simd, rows, u, v, (&mut m[f * strides.m..][..strides.m], strides.m_row), false);
            }
            for c in (0..rows).step_by(S::LANES) {
                for tile in 0..tiles {
                    let mut values = [[simd.splat(0.0); PATCH]; PATCH];
                    for (f, value) in values.as_flattened_mut().iter_mut().enumerate() {
                        *value = gather(simd, &m[f * strides.m + c * strides.m_row + tile..], strides.m_row, rows - c);
                    }
                    task.transform_output::<S, true>(simd, first + tile, c, values);
                }
            }
        }
    }
}

/// Writes the first `count` lanes `stride` apart.
#[inline(always)]
fn scatter<S: Simd>(simd: S, vector: S::Vector, to: &mut [f32], stride: usize, count: usize) {
    let mut lanes = [0.0; 16];
    simd.store(vector, &mut lanes);
    for (lane, &value) in lanes.iter().enumerate().take(S::LANES.min(count)) {
        to[lane * stride] = value;
    }
}

/// Reads the first `count` lanes `stride` apart.
#[inline(always)]
fn gather<S: Simd>(simd: S, from: &[f32], stride: usize, count: usize) -> S::Vector {
    let mut lanes = [0.0; 16];
    for (lane, value) in lanes.iter_mut().enumerate().take(S::LANES.min(count)) {
        *value = from[lane * stride];
    }
    simd.load(&lanes)
}

impl<X: Element, Y: Element> Task<'_, X, Y> {
    /// The row and column of a tile's first output.
    #[inline(always)]
    fn origin(&self, tile: usize) -> (usize, usize) {
        let tile_columns = self.shape.out_width().div_ceil(TILE);
        ((self.first_row + tile / tile_columns) * TILE, tile % tile_columns * TILE)
    }

    /// V = Bᵀ d B for a vector of channels from `c` on of one tile; zeros outside the map. The patch d is
    /// read backwards if `ROTATED`.
    #[inline(always)]
    fn transform_input<S: Simd, const ROTATED: bool>(
        &self,
        simd: S,
        tile: usize,
        c: usize,
    ) -> [[S::Vector; PATCH]; PATCH] {
        let Shape { height, width, in_channels: channels, padding, .. } = *self.shape;
        let (row, column) = self.origin(tile);
        let inside = row >= padding
            && column >= padding
            && row + PATCH - padding <= height
            && column + PATCH - padding <= width
            && c + S::LANES <= channels;
        let zero = simd.splat(0.0);
        let mut t = [[zero; PATCH]; PATCH];
        for (i, t) in t.iter_mut().enumerate() {
            let i = if ROTATED { PATCH - 1 - i } else { i };
            let mut d = [zero; PATCH];
            if inside {
                let start = ((row + i - padding) * width + column - padding) * channels + c;
                for (j, d) in d.iter_mut().enumerate() {
                    *d = X::load(simd, &self.x[start + j * channels..]);
                }
                if let Some(mask) = self.mask {
                    for (j, d) in d.iter_mut().enumerate() {
                        *d = simd.select(bits::<S>(mask, start + j * channels), *d);
                    }
                }
            } else if let Some(y) = (row + i).checked_sub(padding).filter(|&y| y < height) {
                for (j, d) in d.iter_mut().enumerate() {
                    let Some(x) = (column + j).checked_sub(padding).filter(|&x| x < width) else { continue };
                    let start = (y * width + x) * channels;
                    *d = X::load_partial(simd, &self.x[start + c..start + channels]);
                    if let Some(mask) = self.mask {
                        *d = simd.select(bits::<S>(mask, start + c), *d);
                    }
                }
            }
            *t = input_points(simd, if ROTATED { [d[5], d[4], d[3], d[2], d[1], d[0]] } else { d });
        }
        // Rows are done; the columns' values are the rows of what comes out, transposed back.
        let columns: [[S::Vector; PATCH]; PATCH] = transpose(t);
        let mut values = [[zero; PATCH]; PATCH];
        for (value, column) in values.iter_mut().zip(columns) {
            *value = input_points(simd, column);
        }
        transpose(values)
    }

    /// y = Aᵀ m A for a vector of channels from `c` on of one tile, as far as it lies in the map. Outputs are
    /// written backwards if `ROTATED`.
    #[inline(always)]
    fn transform_output<S: Simd, const ROTATED: bool>(
        &mut self,
        simd: S,
        tile: usize,
        c: usize,
        m: [[S::Vector; PATCH]; PATCH],
    ) {
        let (height, width, channels) = (self.shape.out_height(), self.shape.out_width(), self.shape.out_channels);
        let (row, column) = self.origin(tile);
        let (rows, columns) = (TILE.min(height - row), TILE.min(width - column));
        let zero = simd.splat(0.0);
        let lanes = S::LANES.min(channels - c);
        let mut t = [[zero; TILE]; PATCH];
        for (t, m) in t.iter_mut().zip(m) {
            *t = output_points(simd, m);
        }
        let transposed: [[S::Vector; PATCH]; TILE] = transpose(t);
        for (j, points) in transposed.into_iter().enumerate() {
            let out = output_points(simd, points);
            for (i, value) in out.into_iter().enumerate() {
                let (i, j) = if ROTATED { (TILE - 1 - i, TILE - 1 - j) } else { (i, j) };
                if i < rows && j < columns {
                    let start = ((row - self.first_row * TILE + i) * width + column + j) * channels + c;
                    self.epilogue.write(simd, value, c, start, &mut self.y[start..start + lanes]);
                }
            }
        }
    }
}

/// Columns as rows.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Constant indices keep the arrays in registers.
fn transpose<T: Copy, const R: usize, const C: usize>(t: [[T; C]; R]) -> [[T; R]; C] {
    let mut transposed = [[t[0][0]; R]; C];
    for i in 0..R {
        for j in 0..C {
            transposed[j][i] = t[i][j];
        }
    }
    transposed
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
