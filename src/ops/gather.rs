use half::bf16;

use crate::autograd::{MapElement, Tape, Value, Var};
use crate::tensor::Dtype;

/// The features themselves, as a tensor: `y = F`.
///
/// Shapes: F (H × W × N) in `f32` or bf16 → (M × N), M = H·W, in `f32`. For small maps, of which a loss wants more than
/// sums. Saves nothing. Backward: `dF += d_y`.
pub fn gather(tape: &mut Tape<'_>, features: Var) -> Var {
    match tape.dtype(features) {
        Dtype::F32 => of::<f32>(tape, features),
        Dtype::Bf16 => of::<bf16>(tape, features),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, features: Var) -> Var {
    let dim = tape.dim(features);
    let y = E::widened(tape.map_of::<E>(features)).as_matrix().to_owned();
    tape.record(Value::Tensor(y.into_dyn()), &[features], &[], move |d_out, back| {
        let (mut d_f, beta) = back.gradient_of::<E>(features, dim);
        let pairs = d_f.as_mut_slice().iter_mut().zip(d_out.as_slice());
        match beta {
            0.0 => pairs.for_each(|(d_f, d)| *d_f = E::from_f32(*d)),
            _ => pairs.for_each(|(d_f, d)| *d_f = E::from_f32(beta * d_f.to_f32() + d)),
        }
        back.give(features, E::wrap(d_f));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, random_map};
    use crate::ops::{add, scale, squared_error};
    use crate::tensor::BufferPool;

    #[test]
    fn is_the_matrix_of_pixels_and_channels() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let features = random_map(2, 3, 4, 1);
        let x = tape.variable(map(features.clone()));
        let y = gather(&mut tape, x);
        assert_eq!(tape.value(y).shape(), [6, 4]);
        assert_eq!(tape.value(y).as_slice(), features.as_slice());
    }

    #[test]
    fn gradient_is_right_and_added_to_what_is_there() {
        gradcheck::check(&[map(random_map(3, 2, 4, 1))], |tape, x| gather(tape, x[0]));
        gradcheck::check(&[map(random_map(3, 2, 4, 1)), map(random_map(3, 2, 4, 2))], |tape, x| {
            let (a, b) = (gather(tape, x[0]), gather(tape, x[1]));
            let (first, second) = (squared_error(tape, a, b), squared_error(tape, x[0], x[1]));
            let second = scale(tape, second, 0.5);
            add(tape, &[first, second])
        });
    }
}
