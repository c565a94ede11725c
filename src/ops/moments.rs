use half::bf16;
use ndarray::{Ix2, s};

use super::gram::give_gradient;
use crate::autograd::{MapElement, Tape, Value, Var};
use crate::kernels;
use crate::tensor::Dtype;

/// First and second moments, as sums over pixels: `[F 1]ᵀF`, the Gram matrix FᵀF and below it the row ΣF.
///
/// Shapes: F (H × W × N), a matrix of M = H·W rows in `f32` or bf16 → (N+1 × N), in `f32`. Divided by M, its rows are
/// E(ffᵀ) and the mean μ, and E(ffᵀ) − μμᵀ is the covariance. Saves nothing but F.
/// Backward: `dF += F (dG + dGᵀ) + 1·dΣ`, written over F itself where nothing else will read it.
pub fn moments(tape: &mut Tape<'_>, features: Var) -> Var {
    match tape.dtype(features) {
        Dtype::F32 => of::<f32>(tape, features),
        Dtype::Bf16 => of::<bf16>(tape, features),
    }
}

fn of<E: MapElement>(tape: &mut Tape<'_>, features: Var) -> Var {
    let moments = kernels::gram::moments(tape.map_of::<E>(features));
    tape.record(Value::Tensor(moments.into_dyn()), &[features], &[features], move |d_out, back| {
        let Value::Tensor(d) = d_out else { panic!("the gradient of a matrix is a matrix") };
        let d = d.into_dimensionality::<Ix2>().expect("N+1 × N");
        let n = d.ncols();
        give_gradient::<E>(back, features, d.slice(s![..n, ..]), d.slice(s![n, ..]).to_slice());
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::gradcheck;
    use crate::ops::avg_pool2d;
    use crate::ops::testing::{map, random_map};
    use crate::tensor::{BufferPool, FeatureMap};

    #[test]
    fn stacks_the_gram_matrix_and_the_sums() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(map(FeatureMap::from_vec(1, 2, 2, vec![1.0, 2.0, 3.0, 4.0])));
        let m = moments(&mut tape, x);
        assert_eq!(tape.tensor(m).as_slice().unwrap(), [10.0, 14.0, 14.0, 20.0, 4.0, 6.0]);
    }

    #[test]
    fn gradient_is_right_beside_the_features_and_over_them() {
        gradcheck::check(&[map(random_map(3, 5, 4, 1))], |tape, x| moments(tape, x[0]));
        gradcheck::check(&[map(random_map(6, 8, 5, 1))], |tape, x| {
            let f = avg_pool2d(tape, x[0]);
            moments(tape, f)
        });
    }
}
