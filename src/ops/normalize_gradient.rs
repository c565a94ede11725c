use half::bf16;
use rayon::prelude::*;

use crate::autograd::{MapElement, Tape, Var};
use crate::kernels::reduce::{BLOCK, absolute_sum};
use crate::tensor::Dtype;

/// Added to the norm, so that a gradient of nothing stays nothing.
const EPSILON: f64 = 1e-8;

/// The features themselves, for a loss of weight w whose gradient is to be as long as w whatever the loss: `y = F`.
///
/// Shapes: F (H × W × N) in `f32` or bf16 → the same; no copy is made. Saves nothing but F.
/// Backward: with g the loss's own gradient, of which w times comes in, `dF += w g / (‖g‖₁ + 10⁻⁸)`, ‖g‖₁ = Σ |g|.
/// That is no loss's gradient: how far the loss is from its end is not to be seen in it.
/// Source: `normalize_gradients` of J. Johnson's neural-style, which has it from A. Larsen's neural_artistic_style.
///
/// # Panics
/// If w is not above 0.
pub fn normalize_gradient(tape: &mut Tape<'_>, features: Var, weight: f64) -> Var {
    assert!(weight > 0.0, "a loss of weight {weight} has no gradient");
    match tape.dtype(features) {
        Dtype::F32 => of::<f32>(tape, features, weight),
        Dtype::Bf16 => of::<bf16>(tape, features, weight),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, features: Var, weight: f64) -> Var {
    tape.alias(features, move |d_out, back| {
        let mut d = E::gradient(d_out);
        let divisor = absolute_sum(d.as_slice()) + weight * EPSILON;
        // The smallest of weights may have an ε of 0.
        let factor = if divisor == 0.0 { 0.0 } else { weight / divisor };
        d.as_mut_slice().par_chunks_mut(BLOCK).for_each(|d| {
            d.iter_mut().for_each(|d| *d = E::from_f32((factor * f64::from(d.to_f32())) as f32));
        });
        back.give(features, E::wrap(d));
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::autograd::Value;
    use crate::ops::testing::{map, map_of, random_map, random_tensor};
    use crate::ops::{add, gram, max_pool2d, relu, scale, squared_error};
    use crate::tensor::BufferPool;

    #[test]
    fn by_hand() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(map_of(&[[1.0, 2.0, 5.0, 0.0]])));
        let seen = normalize_gradient(&mut tape, x, 3.0);
        assert_eq!(tape.map(seen).as_slice(), [1.0, 2.0, 5.0, 0.0]);
        let target = tape.constant(map(map_of(&[[0.0, 4.0, 5.0, 1.0]])).into());
        let error = squared_error(&mut tape, seen, target);
        let loss = scale(&mut tape, error, 3.0);
        // 2 (x − t) is 2, −4, 0, −2: a norm of 8.
        assert_eq!(tape.backward(loss).take_map(x).as_slice(), [0.75, -1.5, 0.0, -0.75]);
    }

    #[test]
    fn what_is_at_its_end_has_no_gradient_and_no_nan() {
        for weight in [1.0, 1e-320] {
            let mut pool = BufferPool::new();
            let mut tape = Tape::new(&mut pool);
            let x = tape.variable(map(random_map(3, 4, 2, 1)));
            let seen = normalize_gradient(&mut tape, x, weight);
            let target = tape.constant(map(random_map(3, 4, 2, 1)).into());
            let error = squared_error(&mut tape, seen, target);
            let loss = scale(&mut tape, error, weight);
            assert!(tape.backward(loss).take_map(x).as_slice().iter().all(|&d| d == 0.0));
        }
    }

    /// Two losses that look at a map, one of them at two sums of it, and a network that goes on behind it: each gradient is
    /// what a tape of its own gives, divided by its norm.
    #[test]
    fn each_loss_is_normalised_by_itself_and_what_comes_from_behind_is_not() {
        let mut features = random_map(8, 6, 5, 1);
        features.as_mut_slice().iter_mut().for_each(|f| *f = f.abs() + 0.125);
        let constant = |tape: &mut Tape<'_>, shape: &[usize], seed| {
            tape.constant(Arc::new(Value::Tensor(random_tensor(shape, seed))))
        };
        let style = |tape: &mut Tape<'_>, x: Var| {
            let terms = [2, 3].map(|seed| {
                let (g, target) = (gram(tape, x), constant(tape, &[5, 5], seed));
                squared_error(tape, g, target)
            });
            add(tape, &terms)
        };
        let content = |tape: &mut Tape<'_>, x: Var| {
            let target = tape.constant(map(random_map(8, 6, 5, 4)).into());
            squared_error(tape, x, target)
        };
        let behind = |tape: &mut Tape<'_>, x: Var| {
            let (pooled, target) = (max_pool2d(tape, x), tape.constant(map(random_map(4, 3, 5, 5)).into()));
            squared_error(tape, pooled, target)
        };
        let alone = |loss: &dyn Fn(&mut Tape<'_>, Var) -> Var| {
            let mut pool = BufferPool::new();
            let mut tape = Tape::new(&mut pool);
            let x = tape.variable(map(features.clone()));
            let loss = loss(&mut tape, x);
            tape.backward(loss).take_map(x).as_slice().iter().map(|&d| f64::from(d)).collect::<Vec<_>>()
        };
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let picture = tape.variable(map(features.clone()));
        // Of values above 0 it is what it is of, and could be written over.
        let x = relu(&mut tape, picture);
        let last = behind(&mut tape, x);
        let for_style = normalize_gradient(&mut tape, x, 0.5);
        let for_content = normalize_gradient(&mut tape, x, 20.0);
        tape.release(x);
        let (style_loss, content_loss) = (style(&mut tape, for_style), content(&mut tape, for_content));
        let terms = [(style_loss, 0.5), (content_loss, 20.0)].map(|(loss, weight)| scale(&mut tape, loss, weight));
        let total = add(&mut tape, &[terms[0], terms[1], last]);
        let found = tape.backward(total).take_map(picture);
        let [style, content, behind] = [alone(&style), alone(&content), alone(&behind)];
        let norm = |d: &[f64]| d.iter().map(|d| d.abs()).sum::<f64>() + 1e-8;
        let (style_norm, content_norm) = (norm(&style), norm(&content));
        for (i, &found) in found.as_slice().iter().enumerate() {
            let expected = 0.5 * style[i] / style_norm + 20.0 * content[i] / content_norm + behind[i];
            // A few roundings of terms of at most 4.
            assert!((f64::from(found) - expected).abs() < 2e-6, "{i}: {found} {expected}");
        }
    }
}
