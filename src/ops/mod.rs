//! The differentiable operations, one a file: formula, forward, backward and
//! gradient check side by side.
//!
//! An op computes its value, and records it on the tape with a rule that turns
//! `d_out`, the gradient of some scalar with respect to its output, into
//! gradients with respect to its inputs. The rule writes them (β = 0) or adds
//! them (β = 1) into buffers the tape hands out, see
//! [`Backward`](crate::autograd::Backward).
//!
//! The network: [`normalize`], [`pad_replicate`], [`conv2d`], [`relu`], [`conv2d_relu`], [`max_pool2d`], [`avg_pool2d`].
//! The losses: [`gram`], [`squared_error`], [`relative_error`], [`total_variation`],
//! [`total_variation9`], [`scale`], [`add`].

mod add;
mod avg_pool2d;
mod conv2d;
mod conv2d_relu;
mod gram;
mod max_pool2d;
mod normalize;
mod pad_replicate;
mod relative_error;
mod relu;
mod scale;
mod squared_error;
mod total_variation;

pub use add::add;
pub use avg_pool2d::avg_pool2d;
pub use conv2d::conv2d;
pub use conv2d_relu::conv2d_relu;
pub use gram::gram;
pub use max_pool2d::max_pool2d;
pub use normalize::normalize;
pub use pad_replicate::pad_replicate;
pub use relative_error::relative_error;
pub use relu::relu;
pub use scale::scale;
pub use squared_error::squared_error;
pub use total_variation::{total_variation, total_variation9};

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
