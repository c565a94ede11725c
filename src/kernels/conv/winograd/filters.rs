//! Filters by their values at the points, and the products with them.

use std::array::from_fn;
use std::ops::Range;
use std::sync::Arc;

use ndarray::Array4;
use rayon::prelude::*;

use super::super::method::seen;
use super::super::{Direction, Shape};
use super::{FREQUENCIES, PATCH};
use crate::kernels::scratch::Aligned;
use crate::kernels::simd::{Isa, Panels, Simd, gemm_block, panel_width};

// ANCHOR: points
/// G, (6 × 3).
const G: [[f64; 3]; PATCH] = [
    [1.0, 0.0, 0.0],
    [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0],
    [-1.0 / 3.0, 1.0 / 3.0, -1.0 / 3.0],
    [-16.0 / 15.0, -8.0 / 15.0, -4.0 / 15.0],
    [1.0 / 15.0, -2.0 / 15.0, 4.0 / 15.0],
    [0.0, 0.0, 1.0],
];
// ANCHOR_END: points

/// Transformed filters: panels of output channels, each (36 × in × panel).
#[derive(Clone, Debug)]
pub struct Packed {
    filters: Arc<Aligned>,
    /// Whether they serve both directions.
    shared: bool,
    /// Read with in and out exchanged, and rotated: the other direction's filters.
    pub(super) transposed: bool,
}

impl Packed {
    /// All panels.
    pub(super) fn data(&self) -> &[f32] {
        &self.filters
    }

    /// The filters of the other direction without a copy, if these serve both.
    ///
    /// A filter rotated by 180° does to a patch what the filter itself does to the rotated patch, its outputs
    /// rotated back; and exchanging channels exchanges the roles of the product's operands.
    pub(in super::super) fn reversed(&self) -> Option<Self> {
        self.shared.then(|| Packed { transposed: !self.transposed, ..self.clone() })
    }
}

/// Whether one set of transformed filters serves both directions of (out × in) filters. It costs a few per cent of
/// speed, and pays where the filters are the largest thing in memory.
pub(super) fn shares(out: usize, input: usize, width: usize) -> bool {
    out.min(input) >= 256 && out.is_multiple_of(width) && input.is_multiple_of(width)
}

/// Transforms weights (out × in × 3 × 3) for a direction, or where both share, for the forward direction always.
pub fn pack(weight: &Array4<f32>, direction: Direction, isa: Isa) -> Packed {
    let width = isa.panel_width();
    let shared = shares(weight.dim().0, weight.dim().1, width);
    let weight = seen(weight, if shared { Direction::Forward } else { direction });
    let (columns, depth, ..) = weight.dim();
    let mut filters = Aligned::zeros(columns.div_ceil(width) * FREQUENCIES * depth * width);
    filters.par_chunks_mut(FREQUENCIES * depth * width).enumerate().for_each(|(panel, data)| {
        for k in 0..depth {
            for column in 0..width.min(columns - panel * width) {
                let n = panel * width + column;
                let filter = from_fn(|u| from_fn(|v| f64::from(weight[[n, k, u, v]])));
                let transformed = transform_filter(&filter);
                for (f, value) in transformed.into_iter().flatten().enumerate() {
                    data[(f * depth + k) * width + column] = value as f32;
                }
            }
        }
    });
    Packed { filters: Arc::new(filters), shared, transposed: shared && direction == Direction::BackwardInput }
}

// ANCHOR: filter
/// G g Gᵀ.
fn transform_filter(g: &[[f64; 3]; 3]) -> [[f64; PATCH]; PATCH] {
    let rows: [[f64; 3]; PATCH] = from_fn(|i| from_fn(|v| (0..3).map(|u| G[i][u] * g[u][v]).sum()));
    from_fn(|i| from_fn(|j| (0..3).map(|v| rows[i][v] * G[j][v]).sum()))
}
// ANCHOR_END: filter

/// Transformed filters, for a convolution of a shape.
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    pub shape: &'a Shape,
    pub data: &'a [f32],
}

impl Filters<'_> {
    /// M = V·U for one frequency and some output channels, from a panel's first on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub fn multiply<S: Simd, const TRANSPOSED: bool>(
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
            let u = Panels { data: &self.data[first * panel..], depth, count, stride: FREQUENCIES * panel };
            gemm_block(simd, tiles, v, u, (m, m_row), false);
            return;
        }
        // What is a row of these panels here was a column there. Tiles are many, so that turning them costs little.
        let panel = width * columns;
        for first in group.clone().step_by(width) {
            for k in (0..depth).step_by(width) {
                let from = &self.data[(k / width * FREQUENCIES + f) * panel + first * width..];
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
}
