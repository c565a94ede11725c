//! The differentiable operations, one a file: formula, forward, backward and
//! gradient check side by side.
//!
//! An op computes its value, and records it on the tape with a rule that turns
//! `d_out`, the gradient of some scalar with respect to its output, into
//! gradients with respect to its inputs. The rule writes them (β = 0) or adds
//! them (β = 1) into buffers the tape hands out, see
//! [`Backward`](crate::autograd::Backward).
//!
//! The network: [`normalize`], [`pad_replicate`], [`pad_wrap`], [`conv2d`], [`relu`], [`conv2d_relu`],
//! [`max_pool2d`], [`avg_pool2d`], [`scaled_avg_pool2d`], [`l2_pool2d`].
//! The losses: [`gram`], [`moments`], [`masked_moments`], [`gather`], [`known`], [`squared_error`], [`total_variation`],
//! [`total_variation9`], [`absolute_variation`], [`normalize_gradient`], [`scale`], [`add`].

mod add;
mod avg_pool2d;
mod conv2d;
mod conv2d_relu;
mod gather;
mod gram;
mod known;
mod l2_pool2d;
mod masked_moments;
mod max_pool2d;
mod moments;
pub(crate) mod normalize;
mod normalize_gradient;
pub(crate) mod pad_replicate;
mod pad_wrap;
mod relu;
mod scale;
mod squared_error;
pub(crate) mod total_variation;

pub use add::add;
pub use avg_pool2d::{avg_pool2d, scaled_avg_pool2d};
pub use conv2d::conv2d;
pub use conv2d_relu::conv2d_relu;
pub use gather::gather;
pub use gram::gram;
pub use known::known;
pub use l2_pool2d::l2_pool2d;
pub use masked_moments::masked_moments;
pub use max_pool2d::max_pool2d;
pub use moments::moments;
pub use normalize::normalize;
pub use normalize_gradient::normalize_gradient;
pub use pad_replicate::pad_replicate;
pub use pad_wrap::pad_wrap;
pub use relu::relu;
pub use scale::scale;
pub use squared_error::squared_error;
pub use total_variation::{absolute_variation, total_variation, total_variation9};

#[cfg(test)]
pub(crate) mod testing {
    //! Inputs for the ops' tests.

    use ndarray::ArrayD;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use crate::autograd::Value;
    use crate::tensor::FeatureMap;

    /// A map with elements uniform in [−1, 1].
    pub fn random_map(height: usize, width: usize, channels: usize, seed: u64) -> FeatureMap {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let data = (0..height * width * channels).map(|_| rng.random_range(-1.0..=1.0)).collect();
        FeatureMap::from_vec(height, width, channels, data)
    }

    /// A map whose elements all differ by at least 1/8 and are at least 1/16 from 0: a step of
    /// 1/64 crosses neither a ReLU's kink nor a tie of a pooling.
    pub fn spaced_map(height: usize, width: usize, channels: usize, seed: u64) -> FeatureMap {
        use rand::seq::SliceRandom as _;
        let count = (height * width * channels) as i32;
        let mut values: Vec<f32> = (0..count).map(|i| ((i - count / 2) as f32 + 0.5) / 8.0).collect();
        values.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        FeatureMap::from_vec(height, width, channels, values)
    }

    /// A tensor with elements uniform in [−1, 1].
    pub fn random_tensor(shape: &[usize], seed: u64) -> ArrayD<f32> {
        let map = random_map(1, 1, shape.iter().product(), seed);
        ArrayD::from_shape_vec(shape, map.as_slice().to_vec()).unwrap()
    }

    /// A one-channel map from rows, for cases worked out by hand.
    pub fn map_of<const W: usize>(rows: &[[f32; W]]) -> FeatureMap {
        FeatureMap::from_vec(rows.len(), W, 1, rows.iter().flatten().copied().collect())
    }

    /// Value::Map, for brevity.
    pub fn map(map: FeatureMap) -> Value {
        Value::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use half::bf16;

    use super::testing::{random_map, random_tensor, spaced_map};
    use super::*;
    use crate::autograd::{MapElement, Tape, Value, Var};
    use crate::kernels::conv::Filter;
    use crate::kernels::simd::element::convert;
    use crate::tensor::{BufferPool, Dtype, FeatureMap};

    /// An op's value and the gradient of its input, for an upstream gradient of its own. All of it as `f32`.
    fn results<E: MapElement>(
        x: &FeatureMap<bf16>,
        op: &impl Fn(&mut Tape<'_>, Var, Dtype) -> Var,
    ) -> (Vec<f32>, Vec<f32>) {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(E::wrap(convert(x)));
        let y = op(&mut tape, x, E::DTYPE);
        let elements = |value: &Value| match value {
            Value::MapBf16(map) => convert::<bf16, f32>(map).as_slice().to_vec(),
            // In bf16 it would have been rounded.
            Value::Map(map) => convert::<bf16, f32>(&convert(map)).as_slice().to_vec(),
            Value::Scalar(scalar) => vec![*scalar as f32],
            other => other.as_slice().to_vec(),
        };
        let found = elements(tape.value(y));
        let upstream = match tape.value(y) {
            Value::Scalar(_) => Value::Scalar(0.75),
            Value::Tensor(tensor) => Value::Tensor(random_tensor(tensor.shape(), 9)),
            map => {
                let (height, width, channels) = map.dim().unwrap();
                let upstream: FeatureMap<bf16> = convert(&random_map(height, width, channels, 9));
                E::wrap(convert(&upstream))
            }
        };
        let mut gradients = tape.backward_from(y, upstream);
        (found, elements(&gradients.take(x).unwrap()))
    }

    /// To the bit: the op in bf16 is the op in `f32` on the same numbers, rounded.
    fn check(x: &FeatureMap, op: impl Fn(&mut Tape<'_>, Var, Dtype) -> Var) {
        let x = convert(x);
        assert_eq!(results::<bf16>(&x, &op), results::<f32>(&x, &op));
    }

    #[test]
    fn every_op_on_maps_gives_in_bf16_what_it_gives_in_f32_rounded() {
        for (height, width, channels) in [(5, 7, 16), (6, 4, 33), (2, 3, 5), (8, 9, 64)] {
            let x = random_map(height, width, channels, 1);
            check(&x, |tape, x, _| relu(tape, x));
            check(&x, |tape, x, _| avg_pool2d(tape, x));
            check(&x, |tape, x, _| scaled_avg_pool2d(tape, x, 2.0));
            check(&x, |tape, x, _| l2_pool2d(tape, x));
            check(&x, |tape, x, _| pad_wrap(tape, x));
            check(&spaced_map(height, width, channels, 1), |tape, x, _| max_pool2d(tape, x));
            check(&x, |tape, x, _| gram(tape, x));
            check(&x, |tape, x, _| moments(tape, x));
            check(&x, |tape, x, _| normalize_gradient(tape, x, 0.5));
            let mask: Arc<[f32]> = (0..height * width).map(|i| (i % 4) as f32 / 3.0).collect();
            check(&x, |tape, x, _| masked_moments(tape, x, mask.clone()));
            let target: FeatureMap<bf16> = convert(&random_map(height, width, channels, 2));
            check(&x, |tape, x, dtype| {
                let target = match dtype {
                    Dtype::F32 => Value::Map(convert(&target)),
                    Dtype::Bf16 => Value::MapBf16(target.clone()),
                };
                let target = tape.constant(Arc::new(target));
                squared_error(tape, x, target)
            });
            let weight = random_tensor(&[32, channels, 3, 3], 3).into_dimensionality().unwrap();
            let filter = Arc::new(Value::Filter(Filter::new(weight, None)));
            let bias = Arc::new(Value::Tensor(random_tensor(&[32], 4)));
            check(&x, |tape, x, _| {
                let (w, b) = (tape.constant(filter.clone()), tape.constant(bias.clone()));
                conv2d(tape, x, w, b, 1)
            });
            check(&x, |tape, x, dtype| {
                let (w, b) = (tape.constant(filter.clone()), tape.constant(bias.clone()));
                conv2d_relu(tape, x, w, b, 1, dtype)
            });
        }
    }

    #[test]
    fn gradients_in_bf16_are_gathered_from_several_uses() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(Value::MapBf16(convert(&random_map(4, 6, 20, 1))));
        let pooled = max_pool2d(&mut tape, x);
        let g = gram(&mut tape, x);
        let target = tape.constant(Arc::new(Value::Tensor(random_tensor(&[20, 20], 2))));
        let style = squared_error(&mut tape, g, target);
        let zeros = tape.constant(Arc::new(Value::MapBf16(FeatureMap::from_vec(2, 3, 20, vec![bf16::ZERO; 120]))));
        let content = squared_error(&mut tape, pooled, zeros);
        let sum = add(&mut tape, &[style, content]);
        let Some(Value::MapBf16(d_x)) = tape.backward(sum).take(x) else { panic!("a map's gradient has its type") };
        assert!(d_x.as_slice().iter().any(|d| d.to_f32() != 0.0));
    }
}
