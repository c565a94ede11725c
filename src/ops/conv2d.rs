use half::bf16;

use crate::autograd::{MapElement, Tape, Value, Var};
use crate::kernels::conv::{self, Epilogue};
use crate::tensor::Dtype;

/// 3×3 convolution, stride 1, zero padding p: `y = w ⋆ x + b`, see [`crate::kernels::conv`].
///
/// Shapes: x (H × W × in), w a filter (out × in × 3 × 3), b (out) → (H+2p−2 × W+2p−2 × out);
/// VGG has p = 1. The result is of x's type, `f32` or bf16; sums are in `f32`.
/// Saves nothing but its inputs, which are on the tape. Backward: `dx += wᵀ ⋆ d_y`, and, only
/// where w and b are variables, `dw = Σ x ⊗ d_y` and `db = Σ d_y` over the pixels.
///
/// # Panics
/// If the shapes do not fit.
pub fn conv2d(tape: &mut Tape<'_>, x: Var, w: Var, b: Var, padding: usize) -> Var {
    match tape.dtype(x) {
        Dtype::F32 => of::<f32>(tape, x, w, b, padding),
        Dtype::Bf16 => of::<bf16>(tape, x, w, b, padding),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, x: Var, w: Var, b: Var, padding: usize) -> Var {
    let x_dim = tape.dim(x);
    let shape = tape.filter(w).shape(x_dim.0, x_dim.1, padding);
    let mut y = tape.allocate::<E>(shape.out_height(), shape.out_width(), shape.out_channels);
    conv::forward(tape.map_of::<E>(x), tape.filter(w), padding, Epilogue::Bias(bias(tape, b)), &mut y);
    // The input is needed for the weights' gradient alone.
    let saves: &[Var] = if tape.needs_gradient(&[w]) { &[x, w] } else { &[w] };
    tape.record(E::wrap(y), &[x, w, b], saves, move |d_out, back| {
        let d_y = E::gradient(d_out);
        if back.needs(w) {
            let filter = back.filter(w);
            let mut d_w = ndarray::Array4::zeros(filter.dim());
            let (x, d_y) = (E::widened(back.map_of(x)), E::widened(&d_y));
            conv::backward_weight(&x, &d_y, padding, filter.choice().forward, d_w.view_mut());
            back.give(w, Value::Tensor(d_w.into_dyn()));
        }
        if back.needs(b) {
            let mut d_b = ndarray::Array1::zeros(d_y.channels());
            conv::backward_bias(&d_y, d_b.view_mut());
            back.give(b, Value::Tensor(d_b.into_dyn()));
        }
        if back.needs(x) {
            let (mut d_x, beta) = back.gradient_of::<E>(x, x_dim);
            conv::backward_input(&d_y, None, back.filter(w), padding, beta, &mut d_x);
            back.give(x, E::wrap(d_x));
        }
        back.recycle(E::wrap(d_y));
    })
}

/// The elements of a bias.
pub(super) fn bias<'t>(tape: &'t Tape<'_>, b: Var) -> &'t [f32] {
    let bias = tape.tensor(b);
    assert_eq!(bias.ndim(), 1, "a bias is a vector");
    bias.as_slice().expect("tensors are contiguous")
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::autograd::gradcheck;
    use crate::kernels::conv::{Algorithm, Filter};
    use crate::ops::testing::{map, map_of, random_map, random_tensor};
    use crate::tensor::BufferPool;

    #[test]
    fn is_a_cross_correlation_with_zeros_around() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0], [3.0, 4.0]])));
        // Taps numbered in reading order: 1 2 3 / 4 5 6 / 7 8 9.
        let w = Array4::from_shape_fn((1, 1, 3, 3), |(.., u, v)| (3 * u + v + 1) as f32);
        let w = tape.variable(Value::Filter(Filter::new(w, None)));
        let b = tape.variable(Value::Tensor(ndarray::arr1(&[0.5]).into_dyn()));
        let y = conv2d(&mut tape, x, w, b, 1);
        // Top left: 5·1 + 6·2 + 8·3 + 9·4 + ½.
        assert_eq!(tape.map(y).as_slice(), [77.5, 67.5, 47.5, 37.5]);
    }

    #[test]
    fn gradients_of_input_weights_and_bias_are_right() {
        for algorithm in [Algorithm::Reference, Algorithm::Im2col] {
            for padding in [0, 1, 2] {
                let w = random_tensor(&[4, 3, 3, 3], 2).into_dimensionality().unwrap();
                let inputs = [
                    map(random_map(5, 4, 3, 1)),
                    Value::Filter(Filter::new(w, Some(algorithm))),
                    Value::Tensor(random_tensor(&[4], 3)),
                ];
                gradcheck::check(&inputs, |tape, x| conv2d(tape, x[0], x[1], x[2], padding));
            }
        }
    }

    #[test]
    fn two_uses_of_one_map_add_their_gradients() {
        let filter = |seed| {
            let w = random_tensor(&[2, 2, 3, 3], seed).into_dimensionality().unwrap();
            Value::Filter(Filter::new(w, None))
        };
        let inputs = [map(random_map(4, 6, 2, 1)), filter(2), Value::Tensor(random_tensor(&[2], 4))];
        gradcheck::check(&inputs, |tape, x| {
            let once = conv2d(tape, x[0], x[1], x[2], 1);
            let sum = crate::ops::squared_error(tape, once, x[0]);
            let again = crate::ops::squared_error(tape, x[0], once);
            crate::ops::add(tape, &[sum, again])
        });
    }
}
