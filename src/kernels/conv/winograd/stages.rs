//! All threads together transform all tiles, then multiply, each by other filters, then transform back.
//!
//! Each filter is read once, by one thread: for few tiles under large filters, and for strips with fewer rows of tiles than
//! there are threads. V and M of the whole map leave the cores' caches in return.
//!
//! ```text
//!   V[tile][36][in]  ──▶  M[panel of out][36][tile][width]  ──▶  y, by rows of tiles
//! ```

use rayon::prelude::*;

use super::super::{Epilogue, Input, Shape};
use super::filters::{Filters, turned};
use super::transform::{Between, Output, Patch};
use super::{FREQUENCIES, PATCH, TILE, origin, tiles};
use crate::kernels::scratch;
use crate::kernels::simd::{Element, Isa, Kernel, Simd};
use crate::tensor::FeatureMap;

/// How V and M of all tiles lie in memory.
pub struct Stages {
    tiles: usize,
    /// From tile to tile of V.
    v_row: usize,
    /// Elements of M of a panel and a frequency.
    piece: usize,
    panels: usize,
}

impl Stages {
    pub fn new(isa: Isa, shape: &Shape) -> Self {
        let ((rows, columns), width) = (tiles(shape), isa.panel_width());
        let tiles = rows * columns;
        // A line between tiles keeps them from competing for the same places in the cache.
        let v_row = FREQUENCIES * shape.in_channels.next_multiple_of(16) + 16;
        Stages { tiles, v_row, piece: tiles * width, panels: shape.out_channels.div_ceil(width) }
    }

    /// Elements of V and of M.
    pub fn lengths(&self) -> (usize, usize) {
        (self.tiles * self.v_row, self.panels * FREQUENCIES * self.piece)
    }
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
