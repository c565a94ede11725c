use crate::autograd::{Tape, Value, Var};

// ANCHOR: op
/// Multiplication by a constant: `y = a·x`.
///
/// Shapes: a scalar or a tensor → the same. Backward: `dx += a·d_y`.
///
/// # Panics
/// If the input is a feature map: scaling one would be a pass over memory for
/// what the losses' weights do for nothing.
pub fn scale(tape: &mut Tape<'_>, x: Var, a: f64) -> Var {
    let times = move |value: &Value| match value {
        Value::Scalar(x) => Value::Scalar(a * x),
        Value::Tensor(x) => Value::Tensor(x.mapv(|x| (a * f64::from(x)) as f32)),
        other => panic!("scale takes a scalar or a tensor, not {:?}", other.shape()),
    };
    let y = times(tape.value(x));
    tape.record(y, &[x], &[], move |d_out, back| back.give(x, times(&d_out)))
}
// ANCHOR_END: op

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::random_tensor;
    use crate::tensor::BufferPool;

    #[test]
    fn multiplies() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(Value::Scalar(3.0));
        let y = scale(&mut tape, x, -0.5);
        assert_eq!(tape.scalar(y), -1.5);
    }

    #[test]
    fn gradient_is_right() {
        gradcheck::check(&[Value::Scalar(0.7)], |tape, x| scale(tape, x[0], 3.0));
        gradcheck::check(&[Value::Tensor(random_tensor(&[3, 5], 1))], |tape, x| scale(tape, x[0], -0.3));
    }
}
