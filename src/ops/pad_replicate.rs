use crate::autograd::{Tape, Value, Var};

/// Repeats the edge pixels once on each side: `y[i,j] = x[clamp(i−1), clamp(j−1)]`.
///
/// Shapes: (H × W × C) → (H+2 × W+2 × C). Followed by a [`conv2d`](super::conv2d) of padding 0, it
/// keeps the first convolution from seeing a black frame around the picture.
/// Backward: `dx += ` the sum of d_y over the copies of each pixel.
pub fn pad_replicate(tape: &mut Tape<'_>, x: Var) -> Var {
    let dim = tape.map(x).dim();
    let (height, width, channels) = dim;
    let mut y = tape.allocate(height + 2, width + 2, channels);
    let source = tape.map(x).as_slice();
    for (copy, original) in copies(height, width) {
        y.as_mut_slice()[copy * channels..][..channels].copy_from_slice(&source[original * channels..][..channels]);
    }
    tape.record(Value::Map(y), &[x], &[], move |d_out, back| {
        let Value::Map(d_y) = d_out else { panic!("the gradient of a map is a map") };
        let (mut d_x, beta) = back.gradient_of(x, dim);
        if beta == 0.0 {
            d_x.as_mut_slice().fill(0.0);
        }
        for (copy, original) in copies(height, width) {
            let d_y = &d_y.as_slice()[copy * channels..][..channels];
            d_x.as_mut_slice()[original * channels..][..channels].iter_mut().zip(d_y).for_each(|(d, d_y)| *d += d_y);
        }
        back.give(x, Value::Map(d_x));
        back.recycle(Value::Map(d_y));
    })
}

/// (pixel of y, pixel of x it repeats), for every pixel of y.
fn copies(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    let clamp = |i: usize, size: usize| i.saturating_sub(1).min(size - 1);
    (0..height + 2).flat_map(move |i| {
        (0..width + 2).map(move |j| (i * (width + 2) + j, clamp(i, height) * width + clamp(j, width)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, random_map};
    use crate::tensor::Pool;

    #[test]
    fn repeats_the_edge() {
        let mut pool = Pool::new();
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
