//! 3×3 convolution, stride 1, as cross-correlation:
//!
//! ```text
//! y[i, j, o] = b[o] + Σ_{u,v∈0..3} Σ_c  x[i + u − p, j + v − p, c] · w[o, c, u, v]
//! ```
//!
//! with zeros outside x. Maps are (H, W, C); weights (out, in, 3, 3), as PyTorch
//! stores them. The padding p is 1 for VGG (the map keeps its size).
//!
//! The gradient with respect to x is the same operation on d_y, with padding
//! 2 − p, the filters rotated by 180° and their channels exchanged: one kernel
//! serves both directions, see [`Direction`].
//!
//! Maps are of `f32` or of bf16, see [`Element`]; what is computed with is `f32`.
//!
//! ```text
//!   choose ──▶ Choice, an algorithm per direction ──▶ Filter packs for it ──▶ forward, backward_input run it
//! ```
//!
//! Each algorithm is a [`Method`]. What one does not do on the way, masking what
//! is read or rectifying what is written, is done around it, in one place.
//!
//! A map may be convolved some rows at a time, see [`Span`]: to the byte what they
//! are in the whole, if the rows are cut at multiples of [`GRID`].

mod algorithm;
pub mod amx;
pub mod direct;
mod epilogue;
mod filter;
pub mod im2col;
mod method;
pub mod reference;
mod span;
pub mod winograd;

use ndarray::{ArrayViewMut1, ArrayViewMut4};
use rayon::prelude::*;
use serde::Serialize;

pub use algorithm::{Algorithm, Choice, Cpu, choose, why};
pub use epilogue::Epilogue;
pub use filter::{Filter, scratch};
pub use method::{Fits, Input, Method, Scratch};
pub use span::{GRID, Span};

use crate::kernels::bit_mask::BitMask;
use crate::kernels::reduce::BLOCK;
use crate::kernels::simd::Element;
use crate::tensor::FeatureMap;

/// Which way data flows through a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Input to output.
    Forward,
    /// Gradient of the output to gradient of the input.
    BackwardInput,
}

/// The sizes of a convolution, seen in the direction it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Shape {
    /// Height of the map that is read.
    pub height: usize,
    /// Width of the map that is read.
    pub width: usize,
    /// Channels read.
    pub in_channels: usize,
    /// Channels written.
    pub out_channels: usize,
    /// Columns of zeros on each side of the map that is read: 0, 1 or 2.
    pub padding: usize,
    /// Rows of zeros above the map and below it: as many as columns, or fewer where other rows of a larger map have been
    /// put in their place, or are not needed.
    #[serde(skip)]
    pub beyond: [usize; 2],
}

impl Shape {
    /// Of a whole map (height × width), with so many rows and columns of zeros around it.
    #[must_use]
    pub fn new((height, width): (usize, usize), in_channels: usize, out_channels: usize, padding: usize) -> Self {
        Shape { height, width, in_channels, out_channels, padding, beyond: [padding; 2] }
    }

    /// Height of the map that is written.
    #[must_use]
    pub fn out_height(&self) -> usize {
        (self.height + self.beyond[0] + self.beyond[1]).saturating_sub(2)
    }

    /// Width of the map that is written.
    #[must_use]
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding).saturating_sub(2)
    }

    /// The same convolution, seen in the other direction.
    #[must_use]
    pub fn reversed(&self) -> Shape {
        Shape {
            height: self.out_height(),
            width: self.out_width(),
            in_channels: self.out_channels,
            out_channels: self.in_channels,
            padding: 2 - self.padding,
            beyond: self.beyond.map(|rows| 2 - rows),
        }
    }

    /// The row of the map that is row `i` with the border counted, unless that is one of zeros.
    #[must_use]
    #[inline(always)]
    pub fn row(&self, i: usize) -> Option<usize> {
        i.checked_sub(self.beyond[0]).filter(|&row| row < self.height)
    }

    /// The column of the map that is column `j` with the border counted, unless that is one of zeros.
    #[must_use]
    #[inline(always)]
    pub fn column(&self, j: usize) -> Option<usize> {
        j.checked_sub(self.padding).filter(|&column| column < self.width)
    }

    /// Floating-point operations of a direct convolution: a multiplication and an addition per tap.
    #[must_use]
    pub fn flops(&self) -> u64 {
        18 * (self.out_height() * self.out_width() * self.in_channels * self.out_channels) as u64
    }
}

/// `y ← epilogue(conv(x, filter))`. Shapes: x (H × W × in), y (H+2p−2 × W+2p−2 × out), the epilogue's bias (out).
///
/// Sums are in `f32` whatever x and y are made of; a y of bf16 is what a y of `f32` would be, rounded, and the mask is
/// that of the latter.
///
/// # Panics
/// If the shapes do not fit.
pub fn forward<X: Element, Y: Element>(
    x: &FeatureMap<X>,
    filter: &Filter,
    padding: usize,
    epilogue: Epilogue<'_>,
    y: &mut FeatureMap<Y>,
) {
    run(Direction::Forward, &filter.shape(x.height(), x.width(), padding), (x, None), filter, epilogue, y);
}

/// `d_x ← β·d_x + ∂y/∂xᵀ d_y`, where the mask, if there is one, lets d_y through.
/// Shapes: d_y (H+2p−2 × W+2p−2 × out), d_x (H × W × in); `padding` is the forward's p. As in [`forward`], sums are in
/// `f32`.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward_input<Y: Element, X: Element>(
    d_y: &FeatureMap<Y>,
    mask: Option<&BitMask>,
    filter: &Filter,
    padding: usize,
    beta: f32,
    d_x: &mut FeatureMap<X>,
) {
    let shape = filter.shape(d_x.height(), d_x.width(), padding).reversed();
    run(Direction::BackwardInput, &shape, (d_y, mask), filter, Epilogue::Scaled(beta), d_x);
}

/// [`forward`] and [`backward_input`] of the rows that a shape, seen in the direction, says: `y ← epilogue(conv(x where
/// the mask lets it through))`.
///
/// # Panics
/// If the shapes do not fit.
pub fn run<X: Element, Y: Element>(
    direction: Direction,
    shape: &Shape,
    (x, mask): (&FeatureMap<X>, Option<&BitMask>),
    filter: &Filter,
    epilogue: Epilogue<'_>,
    y: &mut FeatureMap<Y>,
) {
    assert_shapes(shape, x, y);
    epilogue.assert_shapes(shape.out_channels, y.as_slice().len());
    filter.run(direction, shape, (x, mask), epilogue, y);
}

/// `y ← max(0, y)`; what is no number stays so.
pub fn relu<E: Element>(y: &mut [E]) {
    let positive = |y: f32| if 0.0 > y { 0.0 } else { y };
    y.par_chunks_mut(BLOCK).for_each(|y| y.iter_mut().for_each(|y| *y = E::from_f32(positive(y.to_f32()))));
}

/// `d_w ← Σ over pixels`, the gradient of the weights (out × in × 3 × 3), overwritten: by definition if `algorithm` is
/// that, else as a matrix product.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward_weight(
    x: &FeatureMap,
    d_y: &FeatureMap,
    padding: usize,
    algorithm: Algorithm,
    d_w: ArrayViewMut4<'_, f32>,
) {
    let (height, width, in_channels) = x.dim();
    let shape = Shape::new((height, width), in_channels, d_y.channels(), padding);
    assert_shapes(&shape, x, d_y);
    assert_eq!(d_w.dim(), (d_y.channels(), x.channels(), 3, 3), "d_w is (out × in × 3 × 3)");
    match algorithm {
        Algorithm::Reference => reference::backward_weight(&shape, x, d_y, d_w),
        _ => im2col::backward_weight(&shape, x, d_y, d_w),
    }
}

/// `d_b ← Σ over pixels of d_y`, the gradient of the bias (out), overwritten. Sums in `f64`.
pub fn backward_bias<Y: Element>(d_y: &FeatureMap<Y>, mut d_b: ArrayViewMut1<'_, f32>) {
    assert_eq!(d_b.len(), d_y.channels(), "one bias per output channel");
    for (o, d_b) in d_b.iter_mut().enumerate() {
        let channel = d_y.as_slice().iter().skip(o).step_by(d_y.channels());
        *d_b = channel.map(|d| f64::from(d.to_f32())).sum::<f64>() as f32;
    }
}

fn assert_shapes<X: Element, Y: Element>(shape: &Shape, x: &FeatureMap<X>, y: &FeatureMap<Y>) {
    assert!(shape.padding.max(shape.beyond[0]).max(shape.beyond[1]) <= 2, "padding is 0, 1 or 2, not {shape:?}");
    assert_eq!(x.dim(), (shape.height, shape.width, shape.in_channels), "map read by a convolution");
    assert_eq!(y.dim(), (shape.out_height(), shape.out_width(), shape.out_channels), "map written by a convolution");
}
