use crate::autograd::{Tape, Value, Var};
use crate::kernels::pool;

/// 2×2 max-pooling, stride 2, floor: `y[i,j] = max x[2i..2i+2, 2j..2j+2]`, as VGG was trained.
///
/// Shapes: (H × W × C) → (⌊H/2⌋ × ⌊W/2⌋ × C). Saves x: backward finds the largest again.
/// Backward: `dx += d_y` at the first largest of each block, in reading order.
pub fn max_pool2d(tape: &mut Tape<'_>, x: Var) -> Var {
    let (height, width, channels) = pool::pooled_dim(tape.map(x).dim());
    let mut y = tape.allocate(height, width, channels);
    pool::max_forward(tape.map(x), &mut y);
    tape.record(Value::Map(y), &[x], &[x], move |d_out, back| {
        let Value::Map(d_y) = d_out else { panic!("the gradient of a map is a map") };
        let (mut d_x, beta) = back.gradient_of(x, back.map(x).dim());
        pool::max_backward(back.map(x), &d_y, beta, &mut d_x);
        back.give(x, Value::Map(d_x));
        back.recycle(Value::Map(d_y));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, spaced_map};
    use crate::tensor::Pool;

    #[test]
    fn keeps_the_largest_and_sends_the_gradient_to_the_first_of_equals() {
        let mut pool = Pool::new();
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
