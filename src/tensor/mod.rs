//! What flows through the network: the feature map, and the pool its buffers
//! come from and go back to.
//!
//! Channels are innermost. A pixel's features are then contiguous, so a
//! convolution's patch rows are block copies, a picture needs no transpose, and
//! a map *is* its matrix F of M = H·W pixels by N channels, whose Gram matrix
//! is FᵀF.

mod pool;

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2};

pub use pool::Pool;

/// A feature map (H × W × C), row-major, channels innermost.
///
/// Generic over its element so that maps in a narrower type can join `f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap<E = f32> {
    data: Array3<E>,
}

impl<E: Clone> FeatureMap<E> {
    /// A map over `data`, whose length must be `height · width · channels`.
    #[must_use]
    pub fn from_vec(height: usize, width: usize, channels: usize, data: Vec<E>) -> Self {
        let length = data.len();
        let data = Array3::from_shape_vec((height, width, channels), data);
        FeatureMap {
            data: data.unwrap_or_else(|_| panic!("{length} elements for ({height} × {width} × {channels})"))
        }
    }

    /// H.
    #[must_use]
    pub fn height(&self) -> usize {
        self.data.dim().0
    }

    /// W.
    #[must_use]
    pub fn width(&self) -> usize {
        self.data.dim().1
    }

    /// C, also called N.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.data.dim().2
    }

    /// (H, W, C).
    #[must_use]
    pub fn dim(&self) -> (usize, usize, usize) {
        self.data.dim()
    }

    /// M = H·W.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height() * self.width()
    }

    /// The elements in memory order.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        self.data.as_slice().expect("a feature map is contiguous")
    }

    /// The elements in memory order, to write.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        self.data.as_slice_mut().expect("a feature map is contiguous")
    }

    /// (H × W × C) view.
    #[must_use]
    pub fn view(&self) -> ArrayView3<'_, E> {
        self.data.view()
    }

    /// F: the map as a matrix (M × N), one row a pixel.
    #[must_use]
    pub fn as_matrix(&self) -> ArrayView2<'_, E> {
        ArrayView2::from_shape((self.pixels(), self.channels()), self.as_slice()).expect("M·N elements")
    }

    /// F (M × N), to write.
    #[must_use]
    pub fn as_matrix_mut(&mut self) -> ArrayViewMut2<'_, E> {
        let shape = (self.pixels(), self.channels());
        ArrayViewMut2::from_shape(shape, self.as_mut_slice()).expect("M·N elements")
    }

    /// The buffer, for the pool.
    #[must_use]
    pub fn into_vec(self) -> Vec<E> {
        self.data.into_raw_vec_and_offset().0
    }
}

impl FeatureMap {
    /// A map of zeros.
    #[must_use]
    pub fn zeros(height: usize, width: usize, channels: usize) -> Self {
        FeatureMap { data: Array3::zeros((height, width, channels)) }
    }

    /// A map with a buffer of the pool, its contents unspecified.
    #[must_use]
    pub fn from_pool(pool: &mut Pool, height: usize, width: usize, channels: usize) -> Self {
        Self::from_vec(height, width, channels, pool.take(height * width * channels))
    }

    /// A copy of a picture or of any (H × W × C) array.
    #[must_use]
    pub fn from_array(array: &Array3<f32>) -> Self {
        FeatureMap { data: array.as_standard_layout().into_owned() }
    }

    /// The map as an array.
    #[must_use]
    pub fn into_array(self) -> Array3<f32> {
        self.data
    }
}
