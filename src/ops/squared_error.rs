use half::bf16;

use crate::autograd::{Backward, MapElement, Tape, Value, Var};
use crate::kernels::reduce;

/// Sum of squared differences: `y = Σ (x − t)²`.
///
/// Shapes: two maps of one type or two tensors, of one shape → scalar. Saves nothing but its inputs.
/// Backward: `dx += 2 (x − t) d_y`, `dt −= 2 (x − t) d_y`.
///
/// A sum and not a mean: sums over parts of a picture can be added up.
pub fn squared_error(tape: &mut Tape<'_>, x: Var, t: Var) -> Var {
    assert_eq!(tape.value(x).shape(), tape.value(t).shape(), "squared_error compares like with like");
    let sum = match (tape.value(x), tape.value(t)) {
        (Value::MapBf16(x), Value::MapBf16(t)) => reduce::squared_distance(x.as_slice(), t.as_slice()),
        (x, t) => reduce::squared_distance(x.as_slice(), t.as_slice()),
    };
    tape.record(Value::Scalar(sum), &[x, t], &[x, t], move |d_out, back| {
        let Value::Scalar(d) = d_out else { panic!("the gradient of a scalar is a scalar") };
        for (parent, other) in [(x, t), (t, x)] {
            if back.needs(parent) {
                one_side(parent, other, 2.0 * d as f32, back);
            }
        }
    })
}

/// `d_parent += factor · (parent − other)`.
fn one_side(parent: Var, other: Var, factor: f32, back: &mut Backward<'_>) {
    match (back.value(parent), back.value(other)) {
        (Value::Map(_), Value::Map(_)) => add_difference::<f32>(parent, other, factor, back),
        (Value::MapBf16(_), Value::MapBf16(_)) => add_difference::<bf16>(parent, other, factor, back),
        (Value::Tensor(a), Value::Tensor(b)) => {
            let difference = Value::Tensor((a - b) * factor);
            back.give(parent, difference);
        }
        (a, b) => panic!("squared_error compares {:?} with {:?}", a.shape(), b.shape()),
    }
}

fn add_difference<E: MapElement>(parent: Var, other: Var, factor: f32, back: &mut Backward<'_>) {
    let dim = back.map_of::<E>(parent).dim();
    let (mut d, beta) = back.gradient_of(parent, dim);
    let (a, b) = (back.map_of::<E>(parent), back.map_of::<E>(other));
    reduce::add_difference(a.as_slice(), b.as_slice(), factor, beta, d.as_mut_slice());
    back.give(parent, E::wrap(d));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, random_map, random_tensor};
    use crate::tensor::BufferPool;

    #[test]
    fn sums_squares() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0, 5.0]])));
        let t = tape.constant(map(map_of(&[[0.0, 4.0, 5.0]])).into());
        let y = squared_error(&mut tape, x, t);
        assert_eq!(tape.scalar(y), 5.0);
        assert_eq!(tape.backward(y).take_map(x).as_slice(), [2.0, -4.0, 0.0]);
    }

    #[test]
    fn gradients_are_right_for_maps_and_tensors() {
        gradcheck::check(&[map(random_map(3, 4, 5, 1)), map(random_map(3, 4, 5, 2))], |tape, x| {
            squared_error(tape, x[0], x[1])
        });
        let tensors = [Value::Tensor(random_tensor(&[6, 6], 1)), Value::Tensor(random_tensor(&[6, 6], 2))];
        gradcheck::check(&tensors, |tape, x| squared_error(tape, x[0], x[1]));
    }
}
