use crate::autograd::{Tape, Value, Var};

/// Keeps the quotient finite when the two agree exactly.
const EPSILON: f64 = 1e-8;

/// Squared difference over absolute difference: `y = Σ d² / (Σ |d| + ε)`, d = x − t.
///
/// Shapes: two tensors of one shape → scalar. A mean of |d| weighted by |d|, so layers whose
/// Gram matrices differ by orders of magnitude contribute alike.
/// Backward: `dx += 2 d / (Σ |d| + ε) · d_y`: the denominator is held constant, which makes the
/// gradient's size independent of how far away the target is, but is not the derivative.
/// Source: the gradient-normalised style loss of K. Crowson's style-transfer-pytorch.
pub fn relative_error(tape: &mut Tape<'_>, x: Var, t: Var) -> Var {
    let d = tape.tensor(x) - tape.tensor(t);
    let squares: f64 = d.iter().map(|&d| f64::from(d).powi(2)).sum();
    let norm = d.iter().map(|&d| f64::from(d).abs()).sum::<f64>() + EPSILON;
    tape.record(Value::Scalar(squares / norm), &[x], &[], move |d_out, back| {
        let Value::Scalar(d_y) = d_out else { panic!("the gradient of a scalar is a scalar") };
        back.give(x, Value::Tensor(d * (2.0 * d_y / norm) as f32));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::random_tensor;
    use crate::ops::{scale, squared_error};
    use crate::tensor::Pool;

    #[test]
    fn divides_squares_by_magnitudes() {
        let mut pool = Pool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(Value::Tensor(ndarray::arr1(&[3.0, 0.0]).into_dyn()));
        let t = tape.constant(Value::Tensor(ndarray::arr1(&[0.0, 1.0]).into_dyn()).into());
        let y = relative_error(&mut tape, x, t);
        assert!((tape.scalar(y) - 10.0 / 4.0).abs() < 1e-7);
    }

    /// With the denominator held constant, it is squared_error times a constant, which gradcheck can check.
    #[test]
    fn gradient_is_that_of_the_squares_over_a_constant() {
        let (a, b) = (random_tensor(&[4, 4], 1), random_tensor(&[4, 4], 2));
        let norm: f64 = (&a - &b).iter().map(|&d| f64::from(d).abs()).sum();
        let gradient = |op: &dyn Fn(&mut Tape<'_>, Var, Var) -> Var| {
            let mut pool = Pool::new();
            let mut tape = Tape::new(&mut pool);
            let x = tape.variable(Value::Tensor(a.clone()));
            let t = tape.constant(Value::Tensor(b.clone()).into());
            let y = op(&mut tape, x, t);
            tape.backward(y).take(x).unwrap()
        };
        let constant = |tape: &mut Tape<'_>, x, t| {
            let squares = squared_error(tape, x, t);
            scale(tape, squares, 1.0 / norm)
        };
        let (ours, expected) = (gradient(&relative_error), gradient(&constant));
        for (ours, expected) in ours.as_slice().iter().zip(expected.as_slice()) {
            // Two roundings apart.
            assert!((ours - expected).abs() <= 1e-6 * expected.abs(), "{ours} {expected}");
        }
        let t = std::sync::Arc::new(Value::Tensor(b));
        gradcheck::check(&[Value::Tensor(a)], |tape, x| {
            let t = tape.constant(t.clone());
            constant(tape, x[0], t)
        });
    }
}
