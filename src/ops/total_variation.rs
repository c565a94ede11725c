use crate::autograd::{Tape, Value, Var};
use crate::kernels::variation::{self, Edges, Power, Stencil};

/// Total variation, "denoise": `y = Σ (x[i+1,j] − x[i,j])² + Σ (x[i,j+1] − x[i,j])²`.
///
/// Shapes: (H × W × C) → scalar. Saves nothing but x.
/// Backward: `dx += 2 d_y · (` x minus each of its four neighbours `)`.
/// Source: Rudin, Osher & Fatemi 1992; squared as in Mahendran & Vedaldi 2015, arXiv:1412.0035, β = 2.
pub fn total_variation(tape: &mut Tape<'_>, x: Var) -> Var {
    variation(tape, x, four(), Edges::Open)
}

/// The neighbours of [`total_variation`].
pub(crate) fn four() -> Stencil {
    Stencil { neighbours: vec![(1, 0, 1.0), (0, 1, 1.0)], power: Power::Squared }
}

/// Total variation over the nine-point stencil, as a mean:
/// `y = 2 (mean ∂→² / 3 + mean ∂↓² / 3 + mean ∂↘² / 12 + mean ∂↙² / 12)`.
///
/// Shapes: (H × W × C) → scalar. The diagonals keep the penalty from preferring edges along the
/// axes. Pairs across the border count as 0.
/// Backward: as [`total_variation`], with these weights.
/// Source: the total variation of K. Crowson's style-transfer-pytorch.
pub fn total_variation9(tape: &mut Tape<'_>, x: Var) -> Var {
    let stencil = nine(tape.map(x).dim());
    variation(tape, x, stencil, Edges::Open)
}

/// The neighbours of [`total_variation9`], for a picture (H × W × C).
pub(crate) fn nine((height, width, channels): (usize, usize, usize)) -> Stencil {
    let mean = 2.0 / (height * width * channels) as f64;
    let (axis, diagonal) = (mean / 3.0, mean / 12.0);
    let neighbours = vec![(1, 0, axis), (0, 1, axis), (1, 1, diagonal), (1, -1, diagonal)];
    Stencil { neighbours, power: Power::Squared }
}

/// Total variation by absolute differences, as a mean: `y = mean |∂↓| + mean |∂→|`.
///
/// Shapes: (H × W × C) → scalar. Pairs across the border count as 0.
/// Backward: `dx += d_y / (HWC) · (` the signs of x minus each of its four neighbours `)`. The sign of 0 is taken to be 0, the
/// middle of the subgradients there, −1 to 1: neighbours that are the same do not pull at each other.
/// Source: Rudin, Osher & Fatemi 1992, along the axes: an edge costs what it is high, however steep, so that it stays
/// sharp where squares would blur it.
pub fn absolute_variation(tape: &mut Tape<'_>, x: Var) -> Var {
    let stencil = absolute(tape.map(x).dim());
    variation(tape, x, stencil, Edges::Open)
}

/// The neighbours of [`absolute_variation`], for a picture (H × W × C).
pub(crate) fn absolute((height, width, channels): (usize, usize, usize)) -> Stencil {
    let mean = 1.0 / (height * width * channels) as f64;
    Stencil { neighbours: vec![(1, 0, mean), (0, 1, mean)], power: Power::Absolute }
}

/// Any of them, by its neighbours, of a map that ends at its edges or does not.
pub(crate) fn variation(tape: &mut Tape<'_>, x: Var, stencil: Stencil, edges: Edges) -> Var {
    let y = variation::sum(tape.map(x), &stencil, edges);
    tape.record(Value::Scalar(y), &[x], &[x], move |d_out, back| {
        let Value::Scalar(d_y) = d_out else { panic!("the gradient of a scalar is a scalar") };
        let dim = back.map(x).dim();
        let (mut d_x, beta) = back.gradient_of(x, dim);
        variation::backward(back.map(x), &stencil, edges, (d_y, beta), &mut d_x);
        back.give(x, Value::Map(d_x));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, map_of, random_map, spaced_map};
    use crate::ops::{add, scale};
    use crate::tensor::BufferPool;

    #[test]
    fn sums_squared_steps_down_and_right() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 3.0], [0.0, 7.0]])));
        let y = total_variation(&mut tape, x);
        assert_eq!(tape.scalar(y), 1.0 + 16.0 + 4.0 + 49.0);
        // At 1: 2·((1 − 0) + (1 − 3)).
        assert_eq!(tape.backward(y).take_map(x).as_slice(), [-2.0, -4.0, -16.0, 22.0]);
    }

    #[test]
    fn nine_points_add_the_diagonals() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 3.0], [0.0, 7.0]])));
        let y = total_variation9(&mut tape, x);
        let expected = 2.0 / 4.0 * (70.0 / 3.0 + (36.0 + 9.0) / 12.0);
        assert!((tape.scalar(y) - expected).abs() < 1e-12 * expected);
    }

    #[test]
    fn absolute_differences_by_hand_and_neighbours_that_are_the_same_do_not_pull() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 3.0], [1.0, 7.0]])));
        let y = absolute_variation(&mut tape, x);
        assert_eq!(tape.scalar(y), (0.0 + 4.0 + 2.0 + 6.0) / 4.0);
        // At the first: below is the same, and right is above it.
        assert_eq!(tape.backward(y).take_map(x).as_slice(), [-0.25, 0.0, -0.25, 0.5]);
    }

    #[test]
    fn absolute_differences_have_a_gradient_wherever_none_is_0() {
        for (height, width) in [(4, 5), (1, 6), (6, 1), (2, 2), (1, 1)] {
            let x = [map(spaced_map(height, width, 3, 1))];
            gradcheck::check(&x, |tape, x| absolute_variation(tape, x[0]));
            gradcheck::check(&x, |tape, x| variation(tape, x[0], absolute((height, width, 3)), Edges::Joined));
        }
    }

    #[test]
    fn around_the_edges_every_pixel_has_all_its_neighbours() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 3.0, 2.0], [0.0, 7.0, 5.0]])));
        let y = variation(&mut tape, x, four(), Edges::Joined);
        // Down, twice as there are two rows; right: 2, 1, 1 and 7, 2, 5.
        let down = 2.0 * (1.0 + 16.0 + 9.0);
        assert_eq!(tape.scalar(y), down + 4.0 + 1.0 + 1.0 + 49.0 + 4.0 + 25.0);
        let diagonal = Stencil { neighbours: vec![(1, -1, 1.0)], power: Power::Squared };
        let diagonal = variation(&mut tape, x, diagonal, Edges::Joined);
        // (0,0)–(1,2), (0,1)–(1,0), (0,2)–(1,1), (1,0)–(0,2), (1,1)–(0,0), (1,2)–(0,1).
        assert_eq!(tape.scalar(diagonal), 16.0 + 9.0 + 25.0 + 4.0 + 36.0 + 4.0);
        for (height, width) in [(4, 5), (1, 6), (6, 1), (2, 2), (1, 1)] {
            let x = [map(random_map(height, width, 3, 1))];
            gradcheck::check(&x, |tape, x| variation(tape, x[0], four(), Edges::Joined));
            gradcheck::check(&x, |tape, x| variation(tape, x[0], nine((height, width, 3)), Edges::Joined));
        }
    }

    #[test]
    fn gradients_are_right_down_to_a_single_row_or_column() {
        for (height, width) in [(4, 5), (1, 6), (6, 1), (2, 2), (1, 1)] {
            let x = [map(random_map(height, width, 3, 1))];
            gradcheck::check(&x, |tape, x| total_variation(tape, x[0]));
            gradcheck::check(&x, |tape, x| total_variation9(tape, x[0]));
        }
    }

    #[test]
    fn gradient_is_added_to_what_is_there() {
        gradcheck::check(&[map(random_map(3, 4, 2, 1))], |tape, x| {
            let (a, b) = (total_variation(tape, x[0]), total_variation(tape, x[0]));
            let b = scale(tape, b, 0.5);
            add(tape, &[a, b])
        });
    }
}
