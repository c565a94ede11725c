use half::bf16;

use crate::autograd::{MapElement, Tape, Var};
use crate::kernels::bit_mask::BitMask;
use crate::kernels::conv::{self, Epilogue};
use crate::tensor::Dtype;

use super::conv2d::bias;

/// [`conv2d`](super::conv2d) and [`relu`](super::relu) in one pass over memory: `y = max(w ⋆ x + b, 0)`.
///
/// Shapes: x (H × W × in), w a filter (out × in × 3 × 3), b (out) → (H+2p−2 × W+2p−2 × out).
/// x is of `f32` or bf16, y of the type asked for: from the picture to the first maps it may change. Sums are in `f32`.
/// For frozen weights: w and b must not be variables.
/// Saves one bit per output: where it is above 0. Not x, not y: a network of these keeps only the maps that
/// someone else asked for. Backward: `dx += wᵀ ⋆ (d_y where y > 0)`, the mask being applied as d_y is read.
///
/// # Panics
/// If the shapes do not fit, or w or b is a variable.
pub fn conv2d_relu(tape: &mut Tape<'_>, x: Var, w: Var, b: Var, padding: usize, dtype: Dtype) -> Var {
    match (tape.dtype(x), dtype) {
        (Dtype::F32, Dtype::F32) => from_to::<f32, f32>(tape, x, w, b, padding),
        (Dtype::F32, Dtype::Bf16) => from_to::<f32, bf16>(tape, x, w, b, padding),
        (Dtype::Bf16, Dtype::Bf16) => from_to::<bf16, bf16>(tape, x, w, b, padding),
        (Dtype::Bf16, Dtype::F32) => from_to::<bf16, f32>(tape, x, w, b, padding),
    }
}

fn from_to<X: MapElement, Y: MapElement>(tape: &mut Tape<'_>, x: Var, w: Var, b: Var, padding: usize) -> Var {
    assert!(!tape.needs_gradient(&[w, b]), "conv2d_relu is for frozen weights; use conv2d and relu to train");
    let x_dim = tape.dim(x);
    let shape = tape.filter(w).shape(x_dim.0, x_dim.1, padding);
    let mut y = tape.allocate::<Y>(shape.out_height(), shape.out_width(), shape.out_channels);
    let mut mask = tape.needs_gradient(&[x]).then(|| tape.allocate_mask(y.as_slice().len()));
    let epilogue = Epilogue::Relu(bias(tape, b), mask.as_mut().map(BitMask::bytes_mut));
    conv::forward(tape.map_of::<X>(x), tape.filter(w), padding, epilogue, &mut y);
    tape.record(Y::wrap(y), &[x, w, b], &[w], move |d_out, back| {
        let d_y = Y::gradient(d_out);
        let mask = mask.expect("made where a gradient is needed");
        let (mut d_x, beta) = back.gradient_of::<X>(x, x_dim);
        conv::backward_input(&d_y, Some(&mask), back.filter(w), padding, beta, &mut d_x);
        back.recycle_mask(mask);
        back.give(x, X::wrap(d_x));
        back.recycle(Y::wrap(d_y));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::Value;
    use crate::kernels::conv::{Algorithm, Filter};
    use crate::ops::testing::{map, random_map, random_tensor};
    use crate::ops::{conv2d, relu};
    use crate::tensor::BufferPool;

    /// To the bit: the same sums, and the same zeros.
    #[test]
    fn equals_conv2d_followed_by_relu_in_value_and_gradient() {
        for algorithm in Algorithm::ALL {
            for (channels, out) in [(3, 5), (16, 32), (32, 16), (8, 24)] {
                let weight = random_tensor(&[out, channels, 3, 3], 2).into_dimensionality().unwrap();
                let filter = std::sync::Arc::new(Value::Filter(Filter::new(weight, Some(algorithm))));
                let bias = std::sync::Arc::new(Value::Tensor(random_tensor(&[out], 3)));
                let run = |fused: bool| {
                    let mut pool = BufferPool::new();
                    let mut tape = Tape::new(&mut pool);
                    let x = tape.variable(map(random_map(9, 7, channels, 1)));
                    let (w, b) = (tape.constant(filter.clone()), tape.constant(bias.clone()));
                    let y = if fused {
                        conv2d_relu(&mut tape, x, w, b, 1, Dtype::F32)
                    } else {
                        let y = conv2d(&mut tape, x, w, b, 1);
                        relu(&mut tape, y)
                    };
                    let value = tape.map(y).clone();
                    let d_y = map(random_map(9, 7, out, 4));
                    (value, tape.backward_from(y, d_y).take_map(x))
                };
                assert_eq!(run(true), run(false), "{algorithm:?} {channels} {out}");
            }
        }
    }
}
