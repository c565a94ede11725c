use half::bf16;
use ndarray::{ArrayView2, Ix2, Zip};

use crate::autograd::{Backward, MapElement, Tape, Value, Var};
use crate::kernels::{self, gram::Affine};
use crate::tensor::Dtype;

/// Gram matrix `G = FᵀF`: which channels fire together, wherever in the picture.
///
/// Shapes: F (H × W × N), a matrix of M = H·W rows in `f32` or bf16 → G (N × N), symmetric, in `f32`.
/// Saves nothing but F. Backward: `dF += F (dG + dGᵀ)`, written over F itself where nothing else will read it.
/// Source: Gatys, Ecker & Bethge 2015, arXiv:1508.06576, eq. 3.
pub fn gram(tape: &mut Tape<'_>, features: Var) -> Var {
    match tape.dtype(features) {
        Dtype::F32 => of::<f32>(tape, features),
        Dtype::Bf16 => of::<bf16>(tape, features),
    }
}

// ANCHOR: rule
fn of<E: MapElement>(tape: &mut Tape<'_>, features: Var) -> Var {
    let g = kernels::gram::gram(tape.map_of::<E>(features));
    tape.record(Value::Tensor(g.into_dyn()), &[features], &[features], move |d_out, back| {
        let Value::Tensor(d_g) = d_out else { panic!("the gradient of a matrix is a matrix") };
        let d_g = d_g.into_dimensionality::<Ix2>().expect("N × N");
        give_gradient::<E>(back, features, d_g.view(), None);
    })
}
// ANCHOR_END: rule

/// `dF += F (dG + dGᵀ) + 1·dΣ`, written over F where nothing else will read it.
pub(super) fn give_gradient<E: MapElement>(
    back: &mut Backward<'_>,
    features: Var,
    d_g: ArrayView2<'_, f32>,
    d_sums: Option<&[f32]>,
) {
    let s = Zip::from(&d_g).and(d_g.t()).par_map_collect(|a, b| a + b);
    let map = Affine { s: s.view(), row: d_sums };
    let d_f = match back.gradient_over::<E>(features) {
        Some(mut f) => {
            kernels::gram::backward_over(&mut f, map);
            f
        }
        None => {
            let dim = back.map_of::<E>(features).dim();
            let (mut d_f, beta) = back.gradient_of(features, dim);
            kernels::gram::backward(back.map_of::<E>(features), map, beta, &mut d_f);
            d_f
        }
    };
    back.give(features, E::wrap(d_f));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::ArrayD;

    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, random_map};
    use crate::ops::{add, avg_pool2d, squared_error};
    use crate::tensor::{BufferPool, FeatureMap};

    #[test]
    fn multiplies_channels_pixel_by_pixel() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(FeatureMap::from_vec(1, 2, 2, vec![1.0, 2.0, 3.0, 4.0])));
        let g = gram(&mut tape, x);
        // Channel 0 is (1, 3), channel 1 is (2, 4).
        assert_eq!(tape.tensor(g).as_slice().unwrap(), [10.0, 14.0, 14.0, 20.0]);
    }

    #[test]
    fn gradient_is_right() {
        gradcheck::check(&[map(random_map(3, 5, 4, 1))], |tape, x| gram(tape, x[0]));
    }

    /// Written over the features where the Gram matrix is the last to read them, beside them otherwise.
    #[test]
    fn gradient_is_right_whoever_else_reads_the_features() {
        let features = || [map(random_map(4, 6, 4, 1)), map(random_map(2, 3, 4, 2))];
        gradcheck::check(&features()[..1], |tape, x| {
            let f = avg_pool2d(tape, x[0]);
            gram(tape, f)
        });
        for gram_first in [false, true] {
            gradcheck::check(&features(), |tape, x| {
                let f = avg_pool2d(tape, x[0]);
                let first = gram_first.then(|| gram(tape, f));
                let distance = squared_error(tape, f, x[1]);
                let g = first.unwrap_or_else(|| gram(tape, f));
                let zero = tape.constant(Arc::new(Value::Tensor(ArrayD::zeros(vec![4, 4]))));
                let size = squared_error(tape, g, zero);
                add(tape, &[distance, size])
            });
        }
    }
}
