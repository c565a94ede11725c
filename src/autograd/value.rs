//! What a node of the tape can hold.

use ndarray::ArrayD;

use crate::kernels::conv::Filter;
use crate::tensor::{FeatureMap, Pool};

/// The value or the gradient of a node.
#[derive(Clone, Debug)]
pub enum Value {
    /// A picture or a feature map (H × W × C).
    Map(FeatureMap),
    /// A Gram matrix, a bias, the gradient of a filter: anything small.
    Tensor(ArrayD<f32>),
    /// A convolution's weights (out × in × 3 × 3), with what kernels made of them. Its gradient is a [`Value::Tensor`].
    Filter(Filter),
    /// A loss. In `f64`, because it is a sum over millions of terms.
    Scalar(f64),
}

impl Value {
    /// The shape; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Value::Map(map) => vec![map.height(), map.width(), map.channels()],
            Value::Tensor(tensor) => tensor.shape().to_vec(),
            Value::Filter(filter) => filter.weight().shape().to_vec(),
            Value::Scalar(_) => vec![],
        }
    }

    /// The elements in memory order.
    ///
    /// # Panics
    /// For a scalar, which is no slice of `f32`.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        match self {
            Value::Map(map) => map.as_slice(),
            Value::Tensor(tensor) => tensor.as_slice().expect("tensors are contiguous"),
            Value::Filter(filter) => filter.weight().as_slice().expect("filters are contiguous"),
            Value::Scalar(_) => panic!("a scalar has no elements to borrow"),
        }
    }

    /// Adds `other`, of the same kind and shape, element by element.
    pub(super) fn add_assign(&mut self, other: &Value) {
        assert_eq!(self.shape(), other.shape(), "gradients of one node differ in shape");
        match (self, other) {
            (Value::Map(a), Value::Map(b)) => a.as_mut_slice().iter_mut().zip(b.as_slice()).for_each(|(a, b)| *a += b),
            (Value::Tensor(a), Value::Tensor(b)) => *a += b,
            (Value::Scalar(a), Value::Scalar(b)) => *a += b,
            (a, b) => panic!("cannot add {b:?} to {a:?}"),
        }
    }

    /// Gives a map's buffer back to the pool.
    pub(super) fn recycle(self, pool: &mut Pool) {
        if let Value::Map(map) = self {
            pool.put(map.into_buffer());
        }
    }
}
