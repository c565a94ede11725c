//! What a node of the tape can hold.

use half::bf16;
use ndarray::ArrayD;

use crate::kernels::conv::Filter;
use crate::kernels::simd::Element;
use crate::tensor::{BufferPool, Dtype, FeatureMap};

/// The value or the gradient of a node.
#[derive(Clone, Debug)]
pub enum Value {
    /// A picture or a feature map (H × W × C).
    Map(FeatureMap),
    /// A feature map in bf16, half as large. A map's gradient is of the map's own type.
    MapBf16(FeatureMap<bf16>),
    /// A Gram matrix, a bias, the gradient of a filter: anything small.
    Tensor(ArrayD<f32>),
    /// A convolution's weights (out × in × 3 × 3), with what kernels made of them. Its gradient is a [`Value::Tensor`].
    Filter(Filter),
    /// A loss. In `f64`, because it is a sum over millions of terms.
    Scalar(f64),
}

/// The element of a map that a [`Value`] can hold. An op on maps is written once, for any of them.
pub trait MapElement: Element {
    /// The map as a value.
    fn wrap(map: FeatureMap<Self>) -> Value;
    /// The map that a value is, if it is one of this type.
    fn map(value: &Value) -> Option<&FeatureMap<Self>>;
    /// [`MapElement::map`], owned.
    fn into_map(value: Value) -> Option<FeatureMap<Self>>;

    /// The gradient of a map that an op wrote.
    ///
    /// # Panics
    /// If it is no map of this type: a gradient has its node's type.
    #[must_use]
    fn gradient(value: Value) -> FeatureMap<Self> {
        let shape = value.shape();
        Self::into_map(value).unwrap_or_else(|| panic!("the gradient of a map is {shape:?} in another type"))
    }
}

impl MapElement for f32 {
    fn wrap(map: FeatureMap) -> Value {
        Value::Map(map)
    }
    fn map(value: &Value) -> Option<&FeatureMap> {
        if let Value::Map(map) = value { Some(map) } else { None }
    }
    fn into_map(value: Value) -> Option<FeatureMap> {
        if let Value::Map(map) = value { Some(map) } else { None }
    }
}

impl MapElement for bf16 {
    fn wrap(map: FeatureMap<bf16>) -> Value {
        Value::MapBf16(map)
    }
    fn map(value: &Value) -> Option<&FeatureMap<bf16>> {
        if let Value::MapBf16(map) = value { Some(map) } else { None }
    }
    fn into_map(value: Value) -> Option<FeatureMap<bf16>> {
        if let Value::MapBf16(map) = value { Some(map) } else { None }
    }
}

impl Value {
    /// (H, W, C) of a map of any type.
    #[must_use]
    pub fn dim(&self) -> Option<(usize, usize, usize)> {
        match self {
            Value::Map(map) => Some(map.dim()),
            Value::MapBf16(map) => Some(map.dim()),
            _ => None,
        }
    }

    /// The type of a map's elements.
    #[must_use]
    pub fn dtype(&self) -> Option<Dtype> {
        match self {
            Value::Map(_) => Some(Dtype::F32),
            Value::MapBf16(_) => Some(Dtype::Bf16),
            _ => None,
        }
    }

    /// The shape; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Value::Map(map) => vec![map.height(), map.width(), map.channels()],
            Value::MapBf16(map) => vec![map.height(), map.width(), map.channels()],
            Value::Tensor(tensor) => tensor.shape().to_vec(),
            Value::Filter(filter) => <[usize; 4]>::from(filter.dim()).to_vec(),
            Value::Scalar(_) => vec![],
        }
    }

    /// The elements in memory order.
    ///
    /// # Panics
    /// For a scalar or a map in bf16, which are no slices of `f32`.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        match self {
            Value::Map(map) => map.as_slice(),
            Value::Tensor(tensor) => tensor.as_slice().expect("tensors are contiguous"),
            Value::Filter(filter) => filter.weight().as_slice().expect("filters are contiguous"),
            Value::MapBf16(_) => panic!("a map in bf16 has no elements in f32 to borrow"),
            Value::Scalar(_) => panic!("a scalar has no elements to borrow"),
        }
    }

    /// Adds `other`, of the same kind and shape, element by element.
    pub(super) fn add_assign(&mut self, other: &Value) {
        assert_eq!(self.shape(), other.shape(), "gradients of one node differ in shape");
        match (self, other) {
            (Value::Map(a), Value::Map(b)) => add(a, b),
            (Value::MapBf16(a), Value::MapBf16(b)) => add(a, b),
            (Value::Tensor(a), Value::Tensor(b)) => *a += b,
            (Value::Scalar(a), Value::Scalar(b)) => *a += b,
            (a, b) => panic!("cannot add {b:?} to {a:?}"),
        }
    }

    /// Gives a map's buffer back to the pool.
    pub(super) fn recycle(self, pool: &mut BufferPool) {
        match self {
            Value::Map(map) => pool.put(map.into_buffer()),
            Value::MapBf16(map) => pool.put(map.into_buffer()),
            _ => (),
        }
    }
}

/// `a ← a + b`.
fn add<E: Element>(a: &mut FeatureMap<E>, b: &FeatureMap<E>) {
    let pairs = a.as_mut_slice().iter_mut().zip(b.as_slice());
    pairs.for_each(|(a, b)| *a = E::from_f32(a.to_f32() + b.to_f32()));
}
