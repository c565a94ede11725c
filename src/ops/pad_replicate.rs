use std::ops::Range;

use crate::autograd::{Tape, Value, Var};
use crate::tensor::FeatureMap;

/// Repeats the edge pixels once on each side: `y[i,j] = x[clamp(i−1), clamp(j−1)]`.
///
/// Shapes: (H × W × C) → (H+2 × W+2 × C). Followed by a [`conv2d`](super::conv2d) of padding 0, it
/// keeps the first convolution from seeing a black frame around the picture.
/// Backward: `dx += ` the sum of d_y over the copies of each pixel.
pub fn pad_replicate(tape: &mut Tape<'_>, x: Var) -> Var {
    let dim = tape.map(x).dim();
    let (height, width, channels) = dim;
    let mut y = tape.allocate(height + 2, width + 2, channels);
    forward(tape.map(x), 0..height + 2, y.as_mut_slice());
    tape.record(Value::Map(y), &[x], &[], move |d_out, back| {
        let Value::Map(d_y) = d_out else { panic!("the gradient of a map is a map") };
        let (mut d_x, beta) = back.gradient_of(x, dim);
        if beta == 0.0 {
            d_x.as_mut_slice().fill(0.0);
        }
        backward(d_y.as_slice(), 0..height + 2, &mut d_x);
        back.give(x, Value::Map(d_x));
        back.recycle(Value::Map(d_y));
    })
}

/// Some rows of [`pad_replicate`]'s y.
pub(crate) fn forward(x: &FeatureMap, rows: Range<usize>, y: &mut [f32]) {
    let (height, width, channels) = x.dim();
    for (copy, original) in copies(height, width, rows) {
        y[copy * channels..][..channels].copy_from_slice(&x.as_slice()[original * channels..][..channels]);
    }
}

/// `d_x +=` what comes back from some rows of d_y.
pub(crate) fn backward(d_y: &[f32], rows: Range<usize>, d_x: &mut FeatureMap) {
    let (height, width, channels) = d_x.dim();
    for (copy, original) in copies(height, width, rows) {
        let d_y = &d_y[copy * channels..][..channels];
        d_x.as_mut_slice()[original * channels..][..channels].iter_mut().zip(d_y).for_each(|(d, d_y)| *d += d_y);
    }
}

/// (pixel of y, counted from the first of the rows; pixel of x it repeats), for every pixel of some rows of y.
fn copies(height: usize, width: usize, rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let clamp = |i: usize, size: usize| i.saturating_sub(1).min(size - 1);
    rows.enumerate().flat_map(move |(row, i)| {
        (0..width + 2).map(move |j| (row * (width + 2) + j, clamp(i, height) * width + clamp(j, width)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, random_map};
    use crate::tensor::BufferPool;

    #[test]
    fn repeats_the_edge() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0]])));
        let y = pad_replicate(&mut tape, x);
        assert_eq!(tape.map(y).as_slice(), [1.0, 1.0, 2.0, 2.0].repeat(3));
    }

    #[test]
    fn gradient_is_right() {
        for (height, width) in [(3, 4), (1, 1), (1, 5)] {
            gradcheck::check(&[map(random_map(height, width, 3, 1))], |tape, x| pad_replicate(tape, x[0]));
        }
    }
}
