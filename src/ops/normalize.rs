use rayon::prelude::*;

use crate::autograd::{Tape, Value, Var};

/// Pixels shifted and scaled at a time.
const PIXELS: usize = 1 << 12;

/// Shifts and scales each channel: `y = (x − mean) / std`, into the range the network was trained on.
///
/// Shapes: x (H × W × C), `mean` and `std` C numbers → (H × W × C).
/// Saves nothing. Backward: `dx += d_y / std`.
///
/// # Panics
/// If the channel counts differ.
pub fn normalize<const C: usize>(tape: &mut Tape<'_>, x: Var, mean: [f32; C], std: [f32; C]) -> Var {
    let (height, width, channels) = tape.map(x).dim();
    assert_eq!(channels, C, "one mean and deviation per channel");
    let mut y = tape.allocate(height, width, channels);
    forward(tape.map(x).as_slice(), mean, std, y.as_mut_slice());
    tape.record(Value::Map(y), &[x], &[], move |d_out, back| {
        let Value::Map(mut d_x) = d_out else { panic!("the gradient of a map is a map") };
        backward(d_x.as_mut_slice(), std);
        back.give(x, Value::Map(d_x));
    })
}

/// [`normalize`] of some pixels.
pub(crate) fn forward<const C: usize>(x: &[f32], mean: [f32; C], std: [f32; C], y: &mut [f32]) {
    let pixels = x.as_chunks::<C>().0;
    let blocks = y.as_chunks_mut::<C>().0.par_chunks_mut(PIXELS).zip(pixels.par_chunks(PIXELS));
    blocks.for_each(|(y, x)| {
        for (y, x) in y.iter_mut().zip(x) {
            *y = std::array::from_fn(|c| (x[c] - mean[c]) / std[c]);
        }
    });
}

/// The gradient of what was normalised, written over that of the result.
pub(crate) fn backward<const C: usize>(d: &mut [f32], std: [f32; C]) {
    let blocks = d.as_chunks_mut::<C>().0.par_chunks_mut(PIXELS);
    blocks.for_each(|d| d.iter_mut().for_each(|d| *d = std::array::from_fn(|c| d[c] / std[c])));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, random_map};
    use crate::tensor::{BufferPool, FeatureMap};

    #[test]
    fn shifts_and_scales_each_channel() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(FeatureMap::from_vec(1, 2, 2, vec![1.0, 2.0, 3.0, 4.0])));
        let y = normalize(&mut tape, x, [1.0, 0.0], [0.5, 2.0]);
        assert_eq!(tape.map(y).as_slice(), [0.0, 1.0, 4.0, 2.0]);
    }

    #[test]
    fn gradient_is_right() {
        gradcheck::check(&[map(random_map(3, 5, 3, 1))], |tape, x| {
            normalize(tape, x[0], [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        });
    }
}
