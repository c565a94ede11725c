use half::bf16;
use rayon::prelude::*;

use crate::autograd::{MapElement, Tape, Var};
use crate::tensor::{Dtype, FeatureMap};

/// A map with one pixel more on each side, taken from the opposite side: `y[i,j] = x[(i−1) mod H, (j−1) mod W]`.
///
/// Shapes: (H × W × C) → (H+2 × W+2 × C), in `f32` or bf16. Followed by a [`conv2d`](super::conv2d) of padding 0, it makes
/// the map a torus: a picture of which copies join without a seam has no edge that a convolution could see.
/// Saves nothing. Backward: `dx += ` the sum of d_y over the copies of each pixel.
pub fn pad_wrap(tape: &mut Tape<'_>, x: Var) -> Var {
    match tape.dtype(x) {
        Dtype::F32 => of::<f32>(tape, x),
        Dtype::Bf16 => of::<bf16>(tape, x),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, x: Var) -> Var {
    let dim = tape.dim(x);
    let (height, width, channels) = dim;
    let mut y = tape.allocate::<E>(height + 2, width + 2, channels);
    forward(tape.map_of::<E>(x), &mut y);
    tape.record(E::wrap(y), &[x], &[], move |d_out, back| {
        let d_y = E::gradient(d_out);
        let (mut d_x, beta) = back.gradient_of::<E>(x, dim);
        backward(&d_y, beta, &mut d_x);
        back.give(x, E::wrap(d_x));
        back.recycle(E::wrap(d_y));
    })
}

fn forward<E: MapElement>(x: &FeatureMap<E>, y: &mut FeatureMap<E>) {
    let (height, width, channels) = x.dim();
    let row = width * channels;
    y.as_mut_slice().par_chunks_exact_mut(row + 2 * channels).enumerate().for_each(|(i, y)| {
        let x = &x.as_slice()[(i + height - 1) % height * row..][..row];
        y[..channels].copy_from_slice(&x[row - channels..]);
        y[channels..channels + row].copy_from_slice(x);
        y[channels + row..].copy_from_slice(&x[..channels]);
    });
}

fn backward<E: MapElement>(d_y: &FeatureMap<E>, beta: f32, d_x: &mut FeatureMap<E>) {
    let (height, width, channels) = d_x.dim();
    let copy = |i: usize, j: usize| &d_y.as_slice()[(i * (width + 2) + j) * channels..][..channels];
    d_x.as_mut_slice().par_chunks_exact_mut(width * channels).enumerate().for_each(|(i, d_x)| {
        for (j, d_x) in d_x.chunks_exact_mut(channels).enumerate() {
            for (c, d_x) in d_x.iter_mut().enumerate() {
                let rows = copies(i, height);
                let sums = rows.map(|i| copies(j, width).map(|j| copy(i, j)[c].to_f32()).sum::<f32>());
                // What a fresh buffer holds is not read: it may be NaN.
                let before = if beta == 0.0 { 0.0 } else { beta * d_x.to_f32() };
                *d_x = E::from_f32(before + sums.sum::<f32>());
            }
        }
    });
}

/// Where along an axis of `length` element i is once that is padded.
fn copies(i: usize, length: usize) -> impl Iterator<Item = usize> {
    let before = (i + 1).checked_sub(length);
    let behind = (i == 0).then_some(length + 1);
    [Some(i + 1), before, behind].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, random_map};
    use crate::tensor::BufferPool;

    #[test]
    fn takes_the_opposite_side() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])));
        let y = pad_wrap(&mut tape, x);
        let rows = [[6.0, 4.0, 5.0, 6.0, 4.0], [3.0, 1.0, 2.0, 3.0, 1.0]];
        assert_eq!(tape.map(y).as_slice(), [rows, rows].as_flattened().as_flattened());
    }

    #[test]
    fn gradient_is_right() {
        for (height, width) in [(3, 4), (1, 1), (1, 5), (2, 2)] {
            gradcheck::check(&[map(random_map(height, width, 3, 1))], |tape, x| pad_wrap(tape, x[0]));
        }
    }

    #[test]
    fn gradient_is_added_to_what_is_there() {
        gradcheck::check(&[map(random_map(3, 4, 2, 1))], |tape, x| {
            let (a, b) = (pad_wrap(tape, x[0]), pad_wrap(tape, x[0]));
            let zeros = tape.constant(map(FeatureMap::zeros(5, 6, 2)).into());
            let (a, b) = (crate::ops::squared_error(tape, a, zeros), crate::ops::squared_error(tape, b, zeros));
            crate::ops::add(tape, &[a, b])
        });
    }
}
