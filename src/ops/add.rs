use crate::autograd::{Tape, Value, Var};

/// Sum of scalars: `y = Σ xᵢ`, how the losses become one number.
///
/// Shapes: any count of scalars → scalar. Backward: `dxᵢ += d_y`.
///
/// # Panics
/// If an input is not a scalar.
pub fn add(tape: &mut Tape<'_>, terms: &[Var]) -> Var {
    let sum = terms.iter().map(|&term| tape.scalar(term)).sum();
    let parents = terms.to_vec();
    tape.record(Value::Scalar(sum), terms, &[], move |d_out, back| {
        for parent in parents {
            if back.needs(parent) {
                back.give(parent, d_out.clone());
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::tensor::BufferPool;

    #[test]
    fn adds() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let terms = [1.5, -0.25, 4.0].map(|x| tape.variable(Value::Scalar(x)));
        let sum = add(&mut tape, &terms);
        assert_eq!(tape.scalar(sum), 5.25);
    }

    #[test]
    fn gradient_is_right_even_for_a_term_added_twice() {
        gradcheck::check(&[Value::Scalar(2.0), Value::Scalar(-1.0)], |tape, x| add(tape, &[x[0], x[1], x[0]]));
    }
}
