use half::bf16;

use crate::autograd::{MapElement, Tape, Var};
use crate::kernels::conv;
use crate::tensor::Dtype;

/// Rectification: `y = max(x, 0)`.
///
/// Shapes: any map → the same, in `f32` or bf16. Saves one bit an element.
/// Backward: `dx += d_y` where `y > 0`; at 0 the derivative is taken as 0, as everywhere.
/// Source: Nair & Hinton 2010.
pub fn relu(tape: &mut Tape<'_>, x: Var) -> Var {
    match tape.dtype(x) {
        Dtype::F32 => of::<f32>(tape, x),
        Dtype::Bf16 => of::<bf16>(tape, x),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, x: Var) -> Var {
    let (height, width, channels) = tape.dim(x);
    let mut y = tape.allocate::<E>(height, width, channels);
    y.as_mut_slice().copy_from_slice(tape.map_of(x).as_slice());
    conv::relu(y.as_mut_slice());
    let mask = tape.needs_gradient(&[x]).then(|| {
        let mut mask = tape.allocate_mask(y.as_slice().len());
        mask.set(y.as_slice());
        mask
    });
    tape.record(E::wrap(y), &[x], &[], move |d_out, back| {
        let mut d = E::gradient(d_out);
        let mask = mask.expect("made where a gradient is needed");
        mask.apply(d.as_mut_slice());
        back.recycle_mask(mask);
        back.give(x, E::wrap(d));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, spaced_map};
    use crate::tensor::BufferPool;

    #[test]
    fn clips_at_zero_and_passes_no_gradient_there() {
        let mut pool = BufferPool::new();
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
}
