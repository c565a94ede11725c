//! What flows through the network: the feature map, and the pool its buffers
//! come from and go back to.
//!
//! Channels are innermost. A pixel's features are then contiguous, so a
//! convolution's patch rows are block copies, a picture needs no transpose, and
//! a map *is* its matrix F of M = H·W pixels by N channels, whose Gram matrix
//! is FᵀF.

mod buffer;
mod dtype;
mod rows;

use bytemuck::Pod;
use ndarray::{Array3, ArrayView2, ArrayView3};

pub use buffer::{Buffer, BufferPool};
pub use dtype::Dtype;
pub use rows::Rows;

/// A feature map (H × W × C), row-major, channels innermost.
///
/// Of `f32`, or, where memory counts for more than seven of its bits' worth of accuracy, of `half::bf16`: see [`Dtype`].
#[derive(Clone, Debug)]
pub struct FeatureMap<E: Pod = f32> {
    data: Buffer<E>,
    height: usize,
    width: usize,
    channels: usize,
}

impl<E: Pod + PartialEq> PartialEq for FeatureMap<E> {
    fn eq(&self, other: &Self) -> bool {
        self.dim() == other.dim() && self.as_slice() == other.as_slice()
    }
}

impl<E: Pod> FeatureMap<E> {
    /// A map over `data`, whose length must be `height · width · channels`.
    #[must_use]
    pub fn from_vec(height: usize, width: usize, channels: usize, data: Vec<E>) -> Self {
        Self::from_buffer(height, width, channels, data.into())
    }

    /// A map over a buffer, whose length must be `height · width · channels`.
    #[must_use]
    pub fn from_buffer(height: usize, width: usize, channels: usize, data: Buffer<E>) -> Self {
        assert_eq!(data.len(), height * width * channels, "elements for ({height} × {width} × {channels})");
        FeatureMap { data, height, width, channels }
    }

    /// A map with a buffer of the pool, its contents unspecified.
    #[must_use]
    pub fn from_pool(pool: &mut BufferPool, height: usize, width: usize, channels: usize) -> Self {
        Self::from_buffer(height, width, channels, pool.take(height * width * channels))
    }

    /// H.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// W.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// C, also called N.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// (H, W, C).
    #[must_use]
    pub fn dim(&self) -> (usize, usize, usize) {
        (self.height, self.width, self.channels)
    }

    /// M = H·W.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height() * self.width()
    }

    /// The elements in memory order.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        &self.data
    }

    /// The elements in memory order, to write.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        &mut self.data
    }

    /// (H × W × C) view.
    #[must_use]
    pub fn view(&self) -> ArrayView3<'_, E> {
        ArrayView3::from_shape(self.dim(), &self.data).expect("H·W·C elements")
    }

    /// F: the map as a matrix (M × N), one row a pixel.
    #[must_use]
    pub fn as_matrix(&self) -> ArrayView2<'_, E> {
        ArrayView2::from_shape((self.pixels(), self.channels()), self.as_slice()).expect("M·N elements")
    }

    /// The buffer, for the pool.
    #[must_use]
    pub fn into_buffer(self) -> Buffer<E> {
        self.data
    }
}

impl FeatureMap {
    /// A map of zeros.
    #[must_use]
    pub fn zeros(height: usize, width: usize, channels: usize) -> Self {
        Self::from_vec(height, width, channels, vec![0.0; height * width * channels])
    }

    /// A picture or any (H × W × C) array as a map; copied only if its elements are not in order.
    #[must_use]
    pub fn from_array(array: Array3<f32>) -> Self {
        let (height, width, channels) = array.dim();
        let data = if array.is_standard_layout() {
            array.into_raw_vec_and_offset().0
        } else {
            array.iter().copied().collect()
        };
        Self::from_vec(height, width, channels, data)
    }

    /// The map as an array.
    #[must_use]
    pub fn into_array(self) -> Array3<f32> {
        Array3::from_shape_vec(self.dim(), self.data.into_vec()).expect("H·W·C elements")
    }
}
