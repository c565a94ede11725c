//! Convolution as a matrix product: the rows of a matrix are the patches each
//! output pixel sees, and the columns of another are the filters.
//!
//! ```text
//!                 3·C columns (one kernel row u)            N columns
//!              ┌───────────────────────────────┐        ┌─────────────┐
//!   512 output │ x[i+u−p, j−p .. j−p+3, 0..C]  │        │ w[:, :, u, :]│
//!   pixels     │ …                             │   ·    │             │  3·C rows
//!              └───────────────────────────────┘        └─────────────┘
//! ```
//!
//! The whole patch matrix would be nine times the map. Instead, blocks of
//! 512 pixels are expanded one kernel row at a time, and the three
//! products of a block are summed in place. With channels innermost, the three
//! neighbouring pixels of a patch row are one contiguous copy.
//!
//! Source: Chellapilla, Puri & Simard 2006, "High performance convolutional
//! neural networks for document processing".

use ndarray::{Array2, Array3, Array4, ArrayView2, ArrayViewMut2, ArrayViewMut4, Axis, s};
use rayon::prelude::*;

use super::{Direction, Into, Shape};
use crate::kernels::gemm::gemm;
use crate::tensor::FeatureMap;

/// Output pixels expanded at a time: enough for the product to reuse its packed
/// filters, few enough that the expansion stays near the core. Fixed, so that
/// the sums' order does not depend on the threads.
const BLOCK: usize = 512;

/// Filters as three matrices ((v, c) × o), one for each kernel row u.
#[derive(Debug)]
pub struct Packed {
    rows: Array3<f32>,
}

/// Arranges weights (out × in × 3 × 3) for a direction: backward, they are
/// rotated by 180° and their channels exchanged.
#[must_use]
pub fn pack(weight: &Array4<f32>, direction: Direction) -> Packed {
    let (out, input, ..) = weight.dim();
    let rows = match direction {
        Direction::Forward => {
            Array3::from_shape_fn((3, 3 * input, out), |(u, vc, o)| weight[[o, vc % input, u, vc / input]])
        }
        Direction::BackwardInput => {
            Array3::from_shape_fn((3, 3 * out, input), |(u, vo, c)| weight[[vo % out, c, 2 - u, 2 - vo / out]])
        }
    };
    Packed { rows }
}

/// Runs a convolution of `shape` in the direction its filters were packed for.
pub fn run(shape: &Shape, x: &FeatureMap, packed: &Packed, into: Into<'_>, y: &mut FeatureMap) {
    let channels = shape.out_channels;
    y.as_mut_slice().par_chunks_mut(BLOCK * channels).enumerate().for_each_init(Vec::new, |patches, (block, y)| {
        let pixels = y.len() / channels;
        let mut y = ArrayViewMut2::from_shape((pixels, channels), y).expect("whole pixels");
        let beta = match into {
            Into::Bias(bias, _) => {
                y.rows_mut().into_iter().for_each(|mut pixel| pixel.assign(&ndarray::ArrayView1::from(bias)));
                1.0
            }
            Into::Scaled(beta) => beta,
        };
        for u in 0..3 {
            let patches = expand(shape, x.as_slice(), block * BLOCK, pixels, u, patches);
            let beta = if u == 0 { beta } else { 1.0 };
            gemm(patches, packed.rows.index_axis(Axis(0), u), beta, y.view_mut());
        }
    });
}

/// See [`super::backward_weight`]. Each task owns one kernel row and a panel of
/// output channels, and adds up the blocks in order.
pub fn backward_weight(shape: &Shape, x: &FeatureMap, d_y: &FeatureMap, mut d_w: ArrayViewMut4<'_, f32>) {
    const PANEL: usize = 64;
    let tasks: Vec<(usize, usize)> =
        (0..3).flat_map(|u| (0..shape.out_channels).step_by(PANEL).map(move |first| (u, first))).collect();
    let sums: Vec<Array2<f32>> = tasks
        .par_iter()
        .map_init(Vec::new, |patches, &(u, first)| {
            let panel = first..(first + PANEL).min(shape.out_channels);
            let mut sum = Array2::zeros((3 * shape.in_channels, panel.len()));
            for start in (0..d_y.pixels()).step_by(BLOCK) {
                let pixels = BLOCK.min(d_y.pixels() - start);
                let patches = expand(shape, x.as_slice(), start, pixels, u, patches);
                let d_y = d_y.as_matrix();
                gemm(patches.reversed_axes(), d_y.slice(s![start..start + pixels, panel.clone()]), 1.0, sum.view_mut());
            }
            sum
        })
        .collect();
    for ((u, first), sum) in tasks.into_iter().zip(sums) {
        for ((vc, o), &sum) in sum.indexed_iter() {
            d_w[[first + o, vc % shape.in_channels, u, vc / shape.in_channels]] = sum;
        }
    }
}

/// Writes the patches' row `u` for the output pixels `start..start + pixels`:
/// a (pixels × 3·C) matrix in `patches`, which is grown as needed.
fn expand<'a>(
    shape: &Shape,
    x: &[f32],
    start: usize,
    pixels: usize,
    u: usize,
    patches: &'a mut Vec<f32>,
) -> ArrayView2<'a, f32> {
    let (channels, width, padding) = (shape.in_channels, shape.width, shape.padding);
    let row_length = 3 * channels;
    patches.resize(BLOCK * row_length, 0.0);
    let patches = &mut patches[..pixels * row_length];
    for (pixel, patch) in (start..).zip(patches.chunks_exact_mut(row_length)) {
        let (i, j) = (pixel / shape.out_width(), pixel % shape.out_width());
        let Some(row) = (i + u).checked_sub(padding).filter(|&row| row < shape.height) else {
            patch.fill(0.0);
            continue;
        };
        // Columns j − p .. j − p + 3 of the input, of which those inside the map are copied.
        let before = padding.saturating_sub(j).min(3);
        let first = (j + before).saturating_sub(padding).min(width);
        let inside = (3 - before).min(width - first);
        let (left, rest) = patch.split_at_mut(before * channels);
        let (middle, right) = rest.split_at_mut(inside * channels);
        left.fill(0.0);
        middle.copy_from_slice(&x[(row * width + first) * channels..][..inside * channels]);
        right.fill(0.0);
    }
    ArrayView2::from_shape((pixels, row_length), patches).expect("whole patches")
}
