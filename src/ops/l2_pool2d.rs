use half::bf16;

use crate::autograd::{MapElement, Tape, Var};
use crate::kernels::pooling;
use crate::tensor::Dtype;

/// 2×2 pooling by the root of squares, stride 2, floor: `y[i,j] = 0.78 √(Σ x[2i..2i+2, 2j..2j+2]² + 1e-6)`.
///
/// Shapes: (H × W × C) → (⌊H/2⌋ × ⌊W/2⌋ × C), in `f32` or bf16. Saves x.
/// Backward: `dx += 0.78 d_y x / √(…)`, written over x where nothing else will read it.
/// Source: K. Crowson's style-transfer-pytorch, whose 0.78 keeps features about as large as maxima make them.
pub fn l2_pool2d(tape: &mut Tape<'_>, x: Var) -> Var {
    match tape.dtype(x) {
        Dtype::F32 => of::<f32>(tape, x),
        Dtype::Bf16 => of::<bf16>(tape, x),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, x: Var) -> Var {
    let dim = tape.dim(x);
    let (height, width, channels) = pooling::pooled_dim(dim);
    let mut y = tape.allocate::<E>(height, width, channels);
    pooling::l2_forward(tape.map_of(x), &mut y);
    tape.record(E::wrap(y), &[x], &[x], move |d_out, back| {
        let d_y = E::gradient(d_out);
        let d_x = match back.gradient_over::<E>(x) {
            Some(mut x) => {
                pooling::l2_backward_over(&d_y, &mut x);
                x
            }
            None => {
                let (mut d_x, beta) = back.gradient_of(x, dim);
                pooling::l2_backward(&d_y, back.map_of(x), beta, &mut d_x);
                d_x
            }
        };
        back.give(x, E::wrap(d_x));
        back.recycle(E::wrap(d_y));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, random_map};
    use crate::ops::{add, avg_pool2d, gram, squared_error};
    use crate::tensor::{BufferPool, FeatureMap};

    /// Away from 0, where the root bends.
    fn above(height: usize, width: usize, seed: u64) -> FeatureMap {
        let mut map = random_map(height, width, 3, seed);
        map.as_mut_slice().iter_mut().for_each(|x| *x += 2.0);
        map
    }

    #[test]
    fn is_the_root_of_squares_and_leaves_an_odd_edge_out() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0, 9.0], [4.0, 2.0, 9.0], [9.0, 9.0, 9.0]])));
        let y = l2_pool2d(&mut tape, x);
        assert!((tape.map(y).as_slice()[0] - 0.78 * 5.0).abs() < 1e-6);
        let d_x = tape.backward_from(y, map(map_of(&[[10.0]]))).take_map(x);
        let exact = [1.56, 3.12, 0.0, 6.24, 3.12, 0.0, 0.0, 0.0, 0.0];
        assert!(d_x.as_slice().iter().zip(exact).all(|(d, exact)| (d - exact).abs() < 1e-5), "{:?}", d_x.as_slice());
    }

    #[test]
    fn black_has_a_finite_value_and_no_gradient() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(FeatureMap::zeros(2, 2, 1)));
        let y = l2_pool2d(&mut tape, x);
        assert!((tape.map(y).as_slice()[0] - 0.78e-3).abs() < 1e-9);
        assert_eq!(tape.backward_from(y, map(map_of(&[[1.0]]))).take_map(x).as_slice(), [0.0; 4]);
    }

    #[test]
    fn gradient_is_right_with_odd_sizes() {
        for (height, width) in [(4, 6), (5, 7), (2, 3)] {
            gradcheck::check(&[map(above(height, width, 1))], |tape, x| l2_pool2d(tape, x[0]));
        }
    }

    /// Over the features where the pooling is the last to read them; beside them where another gradient came before.
    #[test]
    fn gradient_is_right_whoever_else_reads_the_features() {
        gradcheck::check(&[map(above(8, 10, 1))], |tape, x| {
            let f = avg_pool2d(tape, x[0]);
            l2_pool2d(tape, f)
        });
        for pooled_first in [false, true] {
            gradcheck::check(&[map(above(8, 10, 1)), map(above(2, 2, 2))], |tape, x| {
                let f = avg_pool2d(tape, x[0]);
                let first = pooled_first.then(|| l2_pool2d(tape, f));
                let g = gram(tape, f);
                let zero = tape
                    .constant(std::sync::Arc::new(crate::autograd::Value::Tensor(ndarray::ArrayD::zeros(vec![3, 3]))));
                let style = squared_error(tape, g, zero);
                let style = crate::ops::scale(tape, style, 1e-4);
                let y = first.unwrap_or_else(|| l2_pool2d(tape, f));
                let content = squared_error(tape, y, x[1]);
                add(tape, &[style, content])
            });
        }
    }
}
