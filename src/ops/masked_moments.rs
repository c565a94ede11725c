use std::sync::Arc;

use half::bf16;
use ndarray::{Ix2, Zip, s};

use crate::autograd::{MapElement, Tape, Value, Var};
use crate::kernels::gram::Affine;
use crate::kernels::masked;
use crate::tensor::Dtype;

/// First and second moments of pixels that count by a mask m: Σ m f fᵀ and below it the row Σ m f.
///
/// Shapes: F (H × W × N), a matrix of M = H·W rows in `f32` or bf16, m (M) in [0, 1] → (N+1 × N), in `f32`. Divided by
/// Σm, its rows are the weighted means of ffᵀ and of f. Saves nothing but F.
/// Backward: `dF += m (F (dG + dGᵀ) + 1·dΣ)`; the mask has no gradient.
/// Source: the spatial guidance of Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*,
/// arXiv:1611.07865, eq. 6.
pub fn masked_moments(tape: &mut Tape<'_>, features: Var, mask: Arc<[f32]>) -> Var {
    match tape.dtype(features) {
        Dtype::F32 => of::<f32>(tape, features, mask),
        Dtype::Bf16 => of::<bf16>(tape, features, mask),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, features: Var, mask: Arc<[f32]>) -> Var {
    let moments = masked::moments(tape.map_of::<E>(features), &mask);
    tape.record(Value::Tensor(moments.into_dyn()), &[features], &[features], move |d_out, back| {
        let Value::Tensor(d) = d_out else { panic!("the gradient of a matrix is a matrix") };
        let d = d.into_dimensionality::<Ix2>().expect("N+1 × N");
        let n = d.ncols();
        let d_g = d.slice(s![..n, ..]);
        let s = Zip::from(&d_g).and(d_g.t()).par_map_collect(|a, b| a + b);
        let map = Affine { s: s.view(), row: d.slice(s![n, ..]).to_slice() };
        let dim = back.map_of::<E>(features).dim();
        let (mut d_f, beta) = back.gradient_of(features, dim);
        masked::backward(back.map_of::<E>(features), &mask, map, beta, &mut d_f);
        back.give(features, E::wrap(d_f));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::testing::{map, random_map};
    use crate::ops::{add, avg_pool2d, squared_error};
    use crate::tensor::{BufferPool, FeatureMap};

    #[test]
    fn a_pixel_counts_as_much_as_its_mask() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(FeatureMap::from_vec(1, 3, 2, vec![1.0, 2.0, 3.0, 4.0, 9.0, 9.0])));
        let m = masked_moments(&mut tape, x, [1.0, 0.25, 0.0].into());
        // (1, 2) once, (3, 4) a quarter, (9, 9) not.
        assert_eq!(tape.tensor(m).as_slice().unwrap(), [3.25, 5.0, 5.0, 8.0, 1.75, 3.0]);
    }

    #[test]
    fn gradient_is_right_whoever_else_reads_the_features() {
        let mask: Arc<[f32]> = (0..24).map(|i| (i % 5) as f32 / 4.0).collect();
        gradcheck::check(&[map(random_map(4, 6, 4, 1))], |tape, x| masked_moments(tape, x[0], mask.clone()));
        gradcheck::check(&[map(random_map(8, 12, 4, 1)), map(random_map(4, 6, 4, 2))], |tape, x| {
            let f = avg_pool2d(tape, x[0]);
            let distance = squared_error(tape, f, x[1]);
            let target = Arc::new(Value::Tensor(ndarray::ArrayD::zeros(vec![5, 4])));
            let other: Arc<[f32]> = mask.iter().map(|m| 1.0 - m).collect();
            let parts = [mask.clone(), other].map(|mask| {
                let moments = masked_moments(tape, f, mask);
                let zero = tape.constant(target.clone());
                squared_error(tape, moments, zero)
            });
            add(tape, &[distance, parts[0], parts[1]])
        });
    }
}
