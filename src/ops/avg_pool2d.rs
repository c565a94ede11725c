use half::bf16;

use crate::autograd::{MapElement, Tape, Var};
use crate::kernels::pooling;
use crate::tensor::Dtype;

/// 2×2 average-pooling, stride 2, floor: `y[i,j] = mean x[2i..2i+2, 2j..2j+2]`.
///
/// Shapes: (H × W × C) → (⌊H/2⌋ × ⌊W/2⌋ × C), in `f32` or bf16. Saves nothing.
/// Backward: `dx += d_y / 4` at each of the block's pixels.
/// Source: Gatys, Ecker & Bethge 2015, arXiv:1505.07376, who found it to give smoother textures.
pub fn avg_pool2d(tape: &mut Tape<'_>, x: Var) -> Var {
    scaled_avg_pool2d(tape, x, 1.0)
}

/// [`avg_pool2d`] times a factor: `y[i,j] = factor · mean x[2i..2i+2, 2j..2j+2]`.
///
/// Shapes: as [`avg_pool2d`]. Saves nothing.
/// Backward: `dx += factor · d_y / 4` at each of the block's pixels.
pub fn scaled_avg_pool2d(tape: &mut Tape<'_>, x: Var, factor: f32) -> Var {
    match tape.dtype(x) {
        Dtype::F32 => of::<f32>(tape, x, factor),
        Dtype::Bf16 => of::<bf16>(tape, x, factor),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, x: Var, factor: f32) -> Var {
    let dim = tape.dim(x);
    let (height, width, channels) = pooling::pooled_dim(dim);
    let mut y = tape.allocate::<E>(height, width, channels);
    pooling::avg_forward(tape.map_of(x), factor, &mut y);
    tape.record(E::wrap(y), &[x], &[], move |d_out, back| {
        let d_y = E::gradient(d_out);
        let (mut d_x, beta) = back.gradient_of(x, dim);
        pooling::avg_backward(&d_y, factor, beta, &mut d_x);
        back.give(x, E::wrap(d_x));
        back.recycle(E::wrap(d_y));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, random_map};
    use crate::tensor::BufferPool;

    #[test]
    fn averages_and_leaves_an_odd_edge_out() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0, 9.0], [3.0, 6.0, 9.0], [9.0, 9.0, 9.0]])));
        let y = avg_pool2d(&mut tape, x);
        assert_eq!(tape.map(y).as_slice(), [3.0]);
        let mut gradients = tape.backward_from(y, map(map_of(&[[2.0]])));
        assert_eq!(gradients.take_map(x).as_slice(), [0.5, 0.5, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn gradient_is_right_with_odd_sizes() {
        for (height, width) in [(4, 6), (5, 7), (2, 3)] {
            gradcheck::check(&[map(random_map(height, width, 3, 1))], |tape, x| avg_pool2d(tape, x[0]));
            gradcheck::check(&[map(random_map(height, width, 3, 1))], |tape, x| scaled_avg_pool2d(tape, x[0], 2.0));
        }
    }
}
