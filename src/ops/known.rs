use ndarray::ArrayD;

use crate::autograd::{Tape, Value, Var};

/// A scalar function whose value and gradient are known already: `y = value`.
///
/// Shapes: x a tensor → scalar, `gradient` of x's shape. For functions of small tensors that are computed beside the
/// tape, several at once. Backward: `dx += gradient · d_y`.
///
/// # Panics
/// If the gradient's shape is not x's.
pub fn known(tape: &mut Tape<'_>, x: Var, value: f64, gradient: ArrayD<f32>) -> Var {
    assert_eq!(tape.tensor(x).shape(), gradient.shape(), "a gradient has the shape of what it is of");
    tape.record(Value::Scalar(value), &[x], &[], move |d_out, back| {
        let Value::Scalar(d_y) = d_out else { panic!("the gradient of a scalar is a scalar") };
        back.give(x, Value::Tensor(gradient.mapv_into(|g| (d_y * f64::from(g)) as f32)));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::random_tensor;

    #[test]
    fn gradient_is_what_was_given() {
        // Σx², known to have the gradient 2x.
        gradcheck::check(&[Value::Tensor(random_tensor(&[3, 4], 1))], |tape, x| {
            let at = tape.tensor(x[0]).clone();
            let value = at.iter().map(|&x| f64::from(x).powi(2)).sum();
            known(tape, x[0], value, at * 2.0)
        });
    }
}
