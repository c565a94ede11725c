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

use ndarray::{Array2, Array3, Array4, ArrayView1, ArrayView2, ArrayViewMut2, ArrayViewMut4, Axis, s};
use rayon::prelude::*;

use super::method::seen;
use super::{Direction, Epilogue, Fits, Input, Method, Scratch, Shape};
use crate::kernels::gemm::gemm;
use crate::kernels::scratch;
use crate::kernels::simd::Element;
use crate::tensor::FeatureMap;

/// Output pixels expanded at a time: enough for the product to reuse its packed
/// filters, few enough that the expansion stays near the core. Fixed, so that
/// the sums' order does not depend on the threads.
const PIXELS: usize = 512;

/// The algorithm.
#[derive(Clone, Copy, Debug)]
pub struct Im2col;

impl Method for Im2col {
    /// Filters as three matrices ((v, c) × o), one for each kernel row u.
    type Packed = Array3<f32>;

    fn fits(&self, _: &Shape) -> Fits {
        Fits::PLAIN
    }

    fn pack(&self, weight: &Array4<f32>, direction: Direction) -> Array3<f32> {
        let weight = seen(weight, direction);
        let (out, input, ..) = weight.dim();
        Array3::from_shape_fn((3, 3 * input, out), |(u, vc, o)| weight[[o, vc % input, u, vc / input]])
    }

    fn scratch(&self, shape: &Shape, _: usize) -> Scratch {
        Scratch { own: 3 * shape.in_channels * PIXELS.min(shape.out_height() * shape.out_width()), shared: 0 }
    }

    fn run<X: Element, Y: Element>(
        &self,
        input: Input<'_, X>,
        filters: &Array3<f32>,
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        // Products are summed where they belong, in f32.
        Y::through_f32(y, |y| {
            epilogue.for_each_part(y.as_mut_slice(), PIXELS * input.shape.out_channels, |block, y, epilogue| {
                let pixels = y.len() / input.shape.out_channels;
                let mut y = ArrayViewMut2::from_shape((pixels, input.shape.out_channels), y).expect("whole pixels");
                let beta = match epilogue {
                    Epilogue::Bias(bias) => {
                        y.rows_mut().into_iter().for_each(|mut pixel| pixel.assign(&ArrayView1::from(bias)));
                        1.0
                    }
                    Epilogue::Relu(..) => unreachable!("a ReLU is a pass of its own"),
                    Epilogue::Scaled(beta) => beta,
                };
                scratch::with(pixels * 3 * input.shape.in_channels, |patches| {
                    // ANCHOR: product
                    for u in 0..3 {
                        let patches = expand(input.shape, input.x, block * PIXELS, u, patches);
                        let beta = if u == 0 { beta } else { 1.0 };
                        gemm(patches, filters.index_axis(Axis(0), u), beta, y.view_mut());
                    }
                    // ANCHOR_END: product
                });
            });
        });
    }
}

/// See [`super::backward_weight`]. Each task owns one kernel row and a panel of
/// output channels, and adds up the blocks in order.
pub fn backward_weight(shape: &Shape, x: &FeatureMap, d_y: &FeatureMap, mut d_w: ArrayViewMut4<'_, f32>) {
    const PANEL: usize = 64;
    let tasks: Vec<(usize, usize)> =
        (0..3).flat_map(|u| (0..shape.out_channels).step_by(PANEL).map(move |first| (u, first))).collect();
    let sums: Vec<Array2<f32>> = tasks
        .par_iter()
        .map(|&(u, first)| {
            let panel = first..(first + PANEL).min(shape.out_channels);
            let mut sum = Array2::zeros((3 * shape.in_channels, panel.len()));
            for start in (0..d_y.pixels()).step_by(PIXELS) {
                let pixels = PIXELS.min(d_y.pixels() - start);
                let d_y = d_y.as_matrix().slice_move(s![start..start + pixels, panel.clone()]);
                scratch::with(pixels * 3 * shape.in_channels, |patches| {
                    let patches = expand(shape, x.as_slice(), start, u, patches);
                    gemm(patches.reversed_axes(), d_y, 1.0, sum.view_mut());
                });
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

/// Writes the patches' row `u` for the output pixels from `start` on, as many rows of 3·C elements as `patches` takes.
fn expand<'a, X: Element>(
    shape: &Shape,
    x: &[X],
    start: usize,
    u: usize,
    patches: &'a mut [f32],
) -> ArrayView2<'a, f32> {
    let (channels, width, padding) = (shape.in_channels, shape.width, shape.padding);
    let row_length = 3 * channels;
    for (pixel, patch) in (start..).zip(patches.chunks_exact_mut(row_length)) {
        let (i, j) = (pixel / shape.out_width(), pixel % shape.out_width());
        let Some(row) = shape.row(i + u) else {
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
        let inside = &x[(row * width + first) * channels..][..inside * channels];
        middle.iter_mut().zip(inside).for_each(|(to, from)| *to = from.to_f32());
        right.fill(0.0);
    }
    ArrayView2::from_shape((patches.len() / row_length, row_length), patches).expect("whole patches")
}
