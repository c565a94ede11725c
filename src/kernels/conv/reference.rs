//! Convolution by its definition: the algorithm to read first, and the oracle
//! of every other. Sums are in `f64`, so its result is the exact one rounded once.

use ndarray::{Array4, ArrayViewMut4};

use super::{Direction, Epilogue, Fits, Input, Method, Scratch, Shape};
use crate::kernels::simd::Element;
use crate::tensor::FeatureMap;

/// The definition.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

/// Weights as they are (out × in × 3 × 3), and which way data flows.
#[derive(Debug)]
pub struct Packed {
    weight: Array4<f32>,
    direction: Direction,
}

impl Method for Reference {
    type Packed = Packed;

    fn fits(&self, _: &Shape) -> Fits {
        Fits::PLAIN
    }

    fn pack(&self, weight: &Array4<f32>, direction: Direction) -> Packed {
        Packed { weight: weight.clone(), direction }
    }

    fn scratch(&self, _: &Shape, _: usize) -> Scratch {
        Scratch::default()
    }

    fn run<X: Element, Y: Element>(
        &self,
        Input { shape, x, .. }: Input<'_, X>,
        Packed { weight, direction }: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        let (_, width, channels) = y.dim();
        // Backward, a pixel gathers from the outputs that have read it: pixel i was read at tap u by output i + p − u,
        // p being the forward's padding, and 2 − p this one.
        let forward = *direction == Direction::Forward;
        let source = |i: usize, u: usize| if forward { i + u } else { i + 2 - u };
        let tap = |to, from, u, v| if forward { weight[[to, from, u, v]] } else { weight[[from, to, u, v]] };
        // ANCHOR: definition
        for (at, y) in y.as_mut_slice().iter_mut().enumerate() {
            let (i, j, to) = (at / (width * channels), at / channels % width, at % channels);
            let mut sum = match &epilogue {
                Epilogue::Bias(bias) => f64::from(bias[to]),
                _ => 0.0,
            };
            for (u, v) in (0..3).flat_map(|u| [0, 1, 2].map(|v| (u, v))) {
                let (row, column) = (shape.row(source(i, u)), shape.column(source(j, v)));
                let (Some(row), Some(column)) = (row, column) else { continue };
                let pixel = &x[(row * shape.width + column) * shape.in_channels..][..shape.in_channels];
                for (from, x) in pixel.iter().enumerate() {
                    sum += f64::from(x.to_f32()) * f64::from(tap(to, from, u, v));
                }
            }
            *y = Y::from_f32(match epilogue {
                Epilogue::Scaled(beta) if beta != 0.0 => sum + f64::from(beta * y.to_f32()),
                // With β = 0, what is there is unspecified and must not be read: 0·NaN is NaN.
                _ => sum,
            } as f32);
        }
        // ANCHOR_END: definition
    }
}

/// See [`super::backward_weight`].
pub fn backward_weight(shape: &Shape, x: &FeatureMap, d_y: &FeatureMap, mut d_w: ArrayViewMut4<'_, f32>) {
    let (input, d_out) = (x.view(), d_y.view());
    for ((o, c, u, v), d_w) in d_w.indexed_iter_mut() {
        let mut sum = 0.0;
        for i in 0..d_y.height() {
            for j in 0..d_y.width() {
                let (Some(row), Some(column)) = (shape.row(i + u), shape.column(j + v)) else { continue };
                sum += f64::from(input[[row, column, c]]) * f64::from(d_out[[i, j, o]]);
            }
        }
        *d_w = sum as f32;
    }
}
