use half::bf16;

use crate::autograd::{MapElement, Tape, Var};
use crate::kernels::pooling;
use crate::tensor::Dtype;

/// 2×2 max-pooling, stride 2, floor: `y[i,j] = max x[2i..2i+2, 2j..2j+2]`, as VGG was trained.
///
/// Shapes: (H × W × C) → (⌊H/2⌋ × ⌊W/2⌋ × C), in `f32` or bf16. Saves 2 bits an output: which of the four it is. Not
/// x, which is the largest map of its block.
/// Backward: `dx += d_y` at the first largest of each block, in reading order.
pub fn max_pool2d(tape: &mut Tape<'_>, x: Var) -> Var {
    match tape.dtype(x) {
        Dtype::F32 => of::<f32>(tape, x),
        Dtype::Bf16 => of::<bf16>(tape, x),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, x: Var) -> Var {
    let dim = tape.dim(x);
    let (height, width, channels) = pooling::pooled_dim(dim);
    let mut y = tape.allocate::<E>(height, width, channels);
    let mut choices = tape.needs_gradient(&[x]).then(|| tape.allocate_choices(y.dim()));
    pooling::max_forward(tape.map_of(x), &mut y, choices.as_mut());
    tape.record(E::wrap(y), &[x], &[], move |d_out, back| {
        let d_y = E::gradient(d_out);
        let choices = choices.expect("made where a gradient is needed");
        let (mut d_x, beta) = back.gradient_of(x, dim);
        pooling::max_backward(&d_y, &choices, beta, &mut d_x);
        back.recycle_choices(choices);
        back.give(x, E::wrap(d_x));
        back.recycle(E::wrap(d_y));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, spaced_map};
    use crate::tensor::BufferPool;

    #[test]
    fn keeps_the_largest_and_sends_the_gradient_to_the_first_of_equals() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0, 7.0, 7.0, 9.0], [4.0, 3.0, 7.0, 7.0, 9.0]])));
        let y = max_pool2d(&mut tape, x);
        assert_eq!(tape.map(y).as_slice(), [4.0, 7.0]);
        let mut gradients = tape.backward_from(y, map(map_of(&[[1.0, 2.0]])));
        assert_eq!(gradients.take_map(x).as_slice(), [0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn gradient_is_right_with_odd_sizes() {
        for (height, width) in [(4, 6), (5, 7), (2, 3), (3, 2)] {
            gradcheck::check(&[map(spaced_map(height, width, 3, 1))], |tape, x| max_pool2d(tape, x[0]));
        }
    }
}
