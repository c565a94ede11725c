use rayon::prelude::*;

use crate::autograd::{Backward, Tape, Value, Var};
use crate::kernels::reduce::BLOCK;
use crate::tensor::FeatureMap;

/// Rectification: `y = max(x, 0)`.
///
/// Shapes: any map → the same. Saves its output, whose sign is the mask.
/// Backward: `dx += d_y` where `y > 0`; at 0 the derivative is taken as 0, as everywhere.
/// Source: Nair & Hinton 2010.
pub fn relu(tape: &mut Tape<'_>, x: Var) -> Var {
    let (height, width, channels) = tape.map(x).dim();
    let mut y = tape.allocate(height, width, channels);
    y.as_mut_slice().copy_from_slice(tape.map(x).as_slice());
    rectify(&mut y);
    tape.record(Value::Map(y), &[x], move |d_out, back| backward(x, d_out, back))
}

/// [`relu`] that overwrites x, whose value is gone afterwards: what the network uses, since a
/// convolution's backward pass does not look at its own output.
///
/// # Panics
/// If x is a leaf.
pub fn relu_in_place(tape: &mut Tape<'_>, x: Var) -> Var {
    let mut y = tape.take_map(x);
    rectify(&mut y);
    tape.record(Value::Map(y), &[x], move |d_out, back| backward(x, d_out, back))
}

fn rectify(y: &mut FeatureMap) {
    y.as_mut_slice().par_chunks_mut(BLOCK).for_each(|y| y.iter_mut().for_each(|y| *y = y.max(0.0)));
}

fn backward(x: Var, d_out: Value, back: &mut Backward<'_>) {
    let (Value::Map(mut d), Value::Map(y)) = (d_out, back.output()) else { panic!("relu works on maps") };
    d.as_mut_slice().par_chunks_mut(BLOCK).zip(y.as_slice().par_chunks(BLOCK)).for_each(|(d, y)| {
        d.iter_mut().zip(y).for_each(|(d, &y)| *d = if y > 0.0 { *d } else { 0.0 });
    });
    back.give(x, Value::Map(d));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::scale;
    use crate::ops::squared_error;
    use crate::ops::testing::{map, map_of, random_map, spaced_map};
    use crate::tensor::Pool;

    #[test]
    fn clips_at_zero_and_passes_no_gradient_there() {
        let mut pool = Pool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[-1.0, 0.0, 2.0]])));
        let y = relu(&mut tape, x);
        assert_eq!(tape.map(y).as_slice(), [0.0, 0.0, 2.0]);
        let mut gradients = tape.backward_from(y, map(map_of(&[[5.0, 6.0, 7.0]])));
        assert_eq!(gradients.take_map(x).as_slice(), [0.0, 0.0, 7.0]);
    }

    #[test]
    fn gradient_is_right() {
        gradcheck::check(&[map(spaced_map(3, 5, 4, 1))], |tape, x| relu(tape, x[0]));
    }

    #[test]
    fn in_place_gives_the_same_value_and_gradient() {
        let x = random_map(4, 5, 3, 1);
        let run = |rectify: fn(&mut Tape<'_>, Var) -> Var| {
            let mut pool = Pool::new();
            let mut tape = Tape::new(&mut pool);
            let leaf = tape.variable(map(x.clone()));
            let shifted = crate::ops::normalize(&mut tape, leaf, [0.1; 3], [0.5; 3]);
            let y = rectify(&mut tape, shifted);
            let target = tape.constant(map(FeatureMap::zeros(4, 5, 3)).into());
            let error = squared_error(&mut tape, y, target);
            let loss = scale(&mut tape, error, 0.5);
            let value = tape.scalar(loss);
            (value, tape.backward(loss).take_map(leaf))
        };
        assert_eq!(run(relu), run(relu_in_place));
    }
}
