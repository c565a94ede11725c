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
//! [`choose`] decides, [`forward`] and [`backward_input`] execute: the decision
//! is a pure function that can be read, tested and overridden.

pub mod amx;
pub mod direct;
mod epilogue;
mod filter;
pub mod im2col;
pub mod reference;
pub mod winograd;

use ndarray::{ArrayViewMut1, ArrayViewMut4};
use rayon::prelude::*;
use serde::Serialize;

pub use epilogue::{Activation, Into};
pub use filter::Filter;

use crate::kernels::mask::Mask;
use crate::kernels::reduce::BLOCK;
use crate::kernels::simd::Element;
use crate::tensor::{Dtype, FeatureMap};

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Seven plain loops with sums in `f64`: the definition, and the tests' oracle.
    Reference,
    /// Patches copied into the rows of a matrix, then a matrix product.
    Im2col,
    /// Winograd's F(4×4, 3×3): a quarter of the multiplications.
    Winograd,
    /// Windows multiplied where they are, without being copied: for few channels read or written.
    Direct,
    /// Tiles of bf16, one per number.
    #[serde(rename = "amx-bf16")]
    AmxBf16,
    /// Tiles of bf16, two per number and three products: `f32`-grade.
    #[serde(rename = "amx-split")]
    AmxSplit,
}

impl Algorithm {
    /// Every algorithm, the oracle first.
    pub const ALL: [Algorithm; 6] = [
        Algorithm::Reference,
        Algorithm::Im2col,
        Algorithm::Winograd,
        Algorithm::Direct,
        Algorithm::AmxBf16,
        Algorithm::AmxSplit,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Reference => "reference",
            Algorithm::Im2col => "im2col",
            Algorithm::Winograd => "winograd",
            Algorithm::Direct => "direct",
            Algorithm::AmxBf16 => "amx-bf16",
            Algorithm::AmxSplit => "amx-split",
        }
    }

    /// One line that says what it is.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Algorithm::Reference => "the definition in plain loops, very slow",
            Algorithm::Im2col => "patches as rows of a matrix, and a matrix product",
            Algorithm::Winograd => "F(4×4, 3×3): a quarter of the multiplications",
            Algorithm::Direct => "no matrix written down: for the picture's three channels",
            Algorithm::AmxBf16 => "tiles of bf16, on a CPU with AMX",
            Algorithm::AmxSplit => "tiles of bf16, two per number, as exact as f32, on a CPU with AMX",
        }
    }

    /// Whether this machine has what the algorithm is made for. Without it, results are the same, but slow.
    #[must_use]
    pub fn available(self) -> bool {
        !matches!(self, Algorithm::AmxBf16 | Algorithm::AmxSplit) || amx::available()
    }

    /// The root mean square error, relative to the result's, that rounding explains with up to 512 channels.
    /// More is a mistake in the kernel.
    #[must_use]
    pub const fn tolerance(self) -> f64 {
        match self {
            // The oracle itself: sums in f64, rounded once.
            Algorithm::Reference => 6e-8,
            // Sums of K ≤ 9·512 products in f32. Their rounding errors are independent, so they grow like √K:
            // 6e-8·√4608 = 4e-6 for one running sum, less for the several a SIMD kernel keeps.
            Algorithm::Im2col | Algorithm::Direct => 3e-6,
            // Transforms with constants up to 8 in front of sums over channels.
            Algorithm::Winograd => 1e-5,
            // Operands rounded to 2⁻⁹: √2·2⁻⁹/√3 = 1.6e-3 of a product.
            Algorithm::AmxBf16 => 5e-3,
            // Rounded to 2⁻¹⁸, and the product of the low halves left out.
            Algorithm::AmxSplit => 1e-5,
        }
    }
}

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
    /// Rows and columns of zeros on each side of the map that is read: 0, 1 or 2.
    pub padding: usize,
}

impl Shape {
    /// Height of the map that is written.
    #[must_use]
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding).saturating_sub(2)
    }

    /// Width of the map that is written.
    #[must_use]
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding).saturating_sub(2)
    }

    /// Floating-point operations of a direct convolution: a multiplication and an addition per tap.
    #[must_use]
    pub fn flops(&self) -> u64 {
        18 * (self.out_height() * self.out_width() * self.in_channels * self.out_channels) as u64
    }
}

/// What of the CPU decides between algorithms, vectors being a matter of each kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Whether its tile unit is used.
    pub amx: bool,
}

impl Cpu {
    /// This CPU, see [`amx::available`].
    #[must_use]
    pub fn detect() -> Self {
        Cpu { amx: amx::available() }
    }
}

/// Picks the algorithm for a shape and maps of a type, unless one is asked for; where a convolution reads one type and
/// writes the other, bf16 counts.
///
/// In bf16, tiles take what maps hold as it is. In `f32` they are not picked: nobody has measured yet where they are
/// faster.
#[must_use]
pub fn choose(shape: &Shape, _direction: Direction, dtype: Dtype, cpu: Cpu, requested: Option<Algorithm>) -> Algorithm {
    requested.unwrap_or(match shape.in_channels.min(shape.out_channels) {
        0..=direct::FEW => Algorithm::Direct,
        5..16 => Algorithm::Im2col,
        _ if dtype == Dtype::Bf16 && cpu.amx => Algorithm::AmxBf16,
        _ => Algorithm::Winograd,
    })
}

/// Why [`choose`] picks what it picks, in a few words.
#[must_use]
pub fn why(shape: &Shape, direction: Direction, dtype: Dtype, cpu: Cpu, requested: Option<Algorithm>) -> &'static str {
    if requested.is_some() {
        return "asked for";
    }
    match choose(shape, direction, dtype, cpu, None) {
        Algorithm::Reference => "the definition",
        Algorithm::Im2col => "under 16 channels on one side: transforming tiles would cost more than it saves",
        Algorithm::Winograd => "16 channels or more on both sides: a quarter of the multiplications",
        Algorithm::Direct => "the picture's channels on one side: nothing to transform or copy",
        Algorithm::AmxBf16 => "maps in bf16, 16 channels or more on both sides: made for the tile unit",
        Algorithm::AmxSplit => "tiles of bf16",
    }
}

/// `y ← activation(conv(x, filter) + bias)`. Shapes: x (H × W × in), bias (out), y (H+2p−2 × W+2p−2 × out).
///
/// Sums are in `f32` whatever x and y are made of; a y of bf16 is what a y of `f32` would be, rounded, and the mask is
/// that of the latter.
///
/// # Panics
/// If the shapes do not fit.
pub fn forward<X: Element, Y: Element>(
    x: &FeatureMap<X>,
    filter: &Filter,
    bias: &[f32],
    padding: usize,
    activation: Activation<'_>,
    y: &mut FeatureMap<Y>,
) {
    let shape = filter.shape(Direction::Forward, x.height(), x.width(), padding);
    assert_shapes(&shape, x, y);
    assert_eq!(bias.len(), shape.out_channels, "one bias per output channel");
    let algorithm = choose(&shape, Direction::Forward, narrower::<X, Y>(), Cpu::detect(), filter.algorithm());
    if reads_and_writes_any(algorithm)
        && (matches!(activation, Activation::None) || fuses_activation(algorithm, &shape))
    {
        return run(algorithm, &shape, x, None, filter, Direction::Forward, Into::Bias(bias, activation), y);
    }
    let x = X::widened(x);
    Y::through_f32(y, |y| {
        match algorithm {
            Algorithm::Reference => reference::forward(&x, filter.weight(), bias, padding, y),
            Algorithm::Im2col => {
                let into = Into::Bias(bias, Activation::None);
                im2col::run(&shape, &x, filter.im2col(Direction::Forward), into, y);
            }
            _ => {
                let into = Into::Bias(bias, Activation::None);
                run(algorithm, &shape, &*x, None, filter, Direction::Forward, into, y);
            }
        }
        if let Activation::Relu(mask) = activation {
            relu(y.as_mut_slice());
            if let Some(mask) = mask {
                mask.set(y.as_slice());
            }
        }
    });
}

/// `d_x ← β·d_x + ∂y/∂xᵀ d_y`, where the mask, if there is one, lets d_y through.
/// Shapes: d_y (H+2p−2 × W+2p−2 × out), d_x (H × W × in); `padding` is the forward's p. As in [`forward`], sums are in
/// `f32`.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward_input<Y: Element, X: Element>(
    d_y: &FeatureMap<Y>,
    mask: Option<&Mask>,
    filter: &Filter,
    padding: usize,
    beta: f32,
    d_x: &mut FeatureMap<X>,
) {
    let shape = filter.shape(Direction::BackwardInput, d_y.height(), d_y.width(), padding);
    assert_shapes(&shape, d_y, d_x);
    let direction = Direction::BackwardInput;
    let algorithm = choose(&shape, direction, narrower::<X, Y>(), Cpu::detect(), filter.algorithm());
    let into = Into::Scaled(beta);
    if reads_and_writes_any(algorithm) && (mask.is_none() || fuses_mask(algorithm, &shape)) {
        return run(algorithm, &shape, d_y, mask, filter, direction, into, d_x);
    }
    let mut d_y = Y::widened(d_y);
    if let Some(mask) = mask {
        mask.apply(d_y.to_mut().as_mut_slice());
    }
    X::through_f32(d_x, |d_x| match algorithm {
        Algorithm::Reference => reference::backward_input(&d_y, filter.weight(), padding, beta, d_x),
        Algorithm::Im2col => im2col::run(&shape, &d_y, filter.im2col(direction), into, d_x),
        _ => run(algorithm, &shape, &*d_y, None, filter, direction, into, d_x),
    });
}

/// bf16, if either is.
pub(crate) fn narrower<X: Element, Y: Element>() -> Dtype {
    if X::DTYPE == Dtype::Bf16 { Dtype::Bf16 } else { Y::DTYPE }
}

/// One kernel for both directions: what differs is how the filters were packed.
#[allow(clippy::too_many_arguments)]
fn run<X: Element, Y: Element>(
    algorithm: Algorithm,
    shape: &Shape,
    x: &FeatureMap<X>,
    mask: Option<&Mask>,
    filter: &Filter,
    direction: Direction,
    into: Into<'_>,
    y: &mut FeatureMap<Y>,
) {
    match algorithm {
        Algorithm::Reference | Algorithm::Im2col => unreachable!("the plain twins know f32 alone"),
        Algorithm::Winograd => winograd::run(shape, x, mask, filter.winograd(direction), into, y),
        Algorithm::Direct => direct::run(shape, x, mask, filter.direct(direction), into, y),
        Algorithm::AmxBf16 | Algorithm::AmxSplit => {
            amx::run(shape, x, mask, filter.amx(direction, amx::Precision::of(algorithm)), into, y);
        }
    }
}

/// Whether an algorithm's kernel takes maps of any type: the plain twins are plainer without.
fn reads_and_writes_any(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Reference | Algorithm::Im2col)
}

/// Whether an algorithm applies a ReLU, and makes its mask, while it writes.
fn fuses_activation(algorithm: Algorithm, shape: &Shape) -> bool {
    match algorithm {
        Algorithm::Winograd | Algorithm::Direct => epilogue::can_mask(shape.out_channels),
        Algorithm::AmxBf16 | Algorithm::AmxSplit => amx::can_mask(shape),
        Algorithm::Reference | Algorithm::Im2col => false,
    }
}

/// Whether an algorithm applies a mask while it reads.
fn fuses_mask(algorithm: Algorithm, shape: &Shape) -> bool {
    match algorithm {
        Algorithm::Winograd => epilogue::can_mask(shape.in_channels),
        Algorithm::Direct => direct::fuses_mask(shape),
        Algorithm::AmxBf16 | Algorithm::AmxSplit => amx::can_mask(shape),
        Algorithm::Reference | Algorithm::Im2col => false,
    }
}

/// `y ← max(y, 0)`.
pub fn relu<E: Element>(y: &mut [E]) {
    y.par_chunks_mut(BLOCK).for_each(|y| y.iter_mut().for_each(|y| *y = E::from_f32(y.to_f32().max(0.0))));
}

/// `d_w ← Σ over pixels`, the gradient of the weights (out × in × 3 × 3), overwritten.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward_weight(
    x: &FeatureMap,
    d_y: &FeatureMap,
    padding: usize,
    algorithm: Option<Algorithm>,
    d_w: ArrayViewMut4<'_, f32>,
) {
    let shape = Shape {
        height: x.height(),
        width: x.width(),
        in_channels: x.channels(),
        out_channels: d_y.channels(),
        padding,
    };
    assert_shapes(&shape, x, d_y);
    assert_eq!(d_w.dim(), (d_y.channels(), x.channels(), 3, 3), "d_w is (out × in × 3 × 3)");
    match algorithm {
        Some(Algorithm::Reference) => reference::backward_weight(x, d_y, padding, d_w),
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
    assert!(shape.padding <= 2, "padding {} is not 0, 1 or 2", shape.padding);
    assert_eq!(x.dim(), (shape.height, shape.width, shape.in_channels), "map read by a convolution");
    assert_eq!(y.dim(), (shape.out_height(), shape.out_width(), shape.out_channels), "map written by a convolution");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_depends_on_channels_type_and_cpu_and_on_nothing_else() {
        let chosen = |in_channels, out_channels, dtype, amx| {
            let shape = Shape { height: 8, width: 8, in_channels, out_channels, padding: 1 };
            choose(&shape, Direction::Forward, dtype, Cpu { amx }, None)
        };
        for (dtype, amx) in [(Dtype::F32, false), (Dtype::F32, true), (Dtype::Bf16, false), (Dtype::Bf16, true)] {
            let many = if dtype == Dtype::Bf16 && amx { Algorithm::AmxBf16 } else { Algorithm::Winograd };
            assert_eq!(chosen(64, 64, dtype, amx), many, "{dtype:?}, {amx}");
            assert_eq!(chosen(16, 512, dtype, amx), many, "{dtype:?}, {amx}");
            assert_eq!(chosen(3, 64, dtype, amx), Algorithm::Direct);
            assert_eq!(chosen(64, 3, dtype, amx), Algorithm::Direct);
            assert_eq!(chosen(8, 64, dtype, amx), Algorithm::Im2col);
        }
    }

    #[test]
    fn what_is_asked_for_is_chosen_and_every_choice_has_its_reason() {
        let shape = Shape { height: 8, width: 8, in_channels: 64, out_channels: 64, padding: 1 };
        for algorithm in Algorithm::ALL {
            let (dtype, cpu) = (Dtype::Bf16, Cpu { amx: true });
            assert_eq!(choose(&shape, Direction::Forward, dtype, cpu, Some(algorithm)), algorithm);
            assert_eq!(why(&shape, Direction::Forward, dtype, cpu, Some(algorithm)), "asked for");
        }
        // What fits beside a layer's name and shape on a line of 120.
        assert!(why(&shape, Direction::Forward, Dtype::Bf16, Cpu { amx: true }, None).len() <= 76);
        assert!(why(&shape, Direction::Forward, Dtype::Bf16, Cpu { amx: true }, None).contains("tile unit"));
        assert!(why(&shape, Direction::Forward, Dtype::Bf16, Cpu { amx: false }, None).contains("a quarter"));
    }
}
