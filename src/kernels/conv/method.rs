//! What an algorithm is, and the one place where it is run.

use std::fmt::Debug;

use ndarray::{Array4, ArrayView4, Axis};

use super::{Direction, Epilogue, Shape, relu};
use crate::kernels::bit_mask::{self, BitMask};
use crate::kernels::simd::{Element, Simd};
use crate::tensor::FeatureMap;

/// A way to compute convolutions, in either direction: what differs is how the filters were packed.
///
/// No result depends on the number of threads.
pub trait Method {
    /// The filters of one direction, in the form it wants them in.
    type Packed: Debug;

    /// What it does itself on maps of a shape.
    fn fits(&self, shape: &Shape) -> Fits;

    /// Arranges weights (out × in × 3 × 3) for a direction.
    fn pack(&self, weight: &Array4<f32>, direction: Direction) -> Self::Packed;

    /// Scratch memory that it takes for maps of a shape, with so many threads.
    fn scratch(&self, shape: &Shape, threads: usize) -> Scratch;

    /// Convolves x with filters packed for the direction of its shape. A mask, or a ReLU, is asked for only where it
    /// [`fits`](Method::fits).
    fn run<X: Element, Y: Element>(
        &self,
        input: Input<'_, X>,
        packed: &Self::Packed,
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    );
}

/// What a [`Method`] does while it reads and writes; the rest is done before and after, in passes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fits {
    /// It lets through what the mask does.
    pub mask: bool,
    /// It applies a ReLU, and makes its mask.
    pub relu: bool,
}

impl Fits {
    /// Convolution and nothing else.
    pub const PLAIN: Fits = Fits { mask: false, relu: false };

    /// What can be masked vector by vector: no two vectors of any instruction set share a byte of the mask.
    #[must_use]
    pub fn in_vectors(shape: &Shape) -> Self {
        Fits { mask: shape.in_channels.is_multiple_of(16), relu: shape.out_channels.is_multiple_of(16) }
    }
}

/// Elements of scratch memory, kept from call to call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// What each thread takes.
    pub own: usize,
    /// What all of them share.
    pub shared: usize,
}

impl Scratch {
    /// What serves both of two convolutions, one after the other.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Scratch { own: self.own.max(other.own), shared: self.shared.max(other.shared) }
    }

    /// Bytes for so many threads.
    #[must_use]
    pub fn bytes(self, threads: usize) -> u64 {
        (size_of::<f32>() * (self.own * threads + self.shared)) as u64
    }
}

/// The map that is read, and the bits that let it through.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a, X> {
    /// Of the convolution.
    pub shape: &'a Shape,
    /// The map's elements.
    pub x: &'a [X],
    /// One bit each, if they are not all wanted.
    pub mask: Option<&'a [u8]>,
}

impl<X: Element> Input<'_, X> {
    /// A vector whose first element is element `start` of the map, where the mask lets it through.
    #[inline(always)]
    pub(super) fn masked<S: Simd>(&self, simd: S, start: usize, vector: S::Vector) -> S::Vector {
        self.mask.map_or(vector, |bits| simd.select(bit_mask::bits::<S>(bits, start), vector))
    }

    /// The elements `start..end` where the mask lets them through, as many as a vector has, and zeros.
    #[inline(always)]
    pub(super) fn load<S: Simd>(&self, simd: S, start: usize, end: usize) -> S::Vector {
        self.masked(simd, start, X::load_partial(simd, &self.x[start..end]))
    }

    /// Fills `to` with the elements from `start` on where the mask lets them through.
    #[inline(always)]
    pub(super) fn copy<S: Simd, E: Element>(&self, simd: S, start: usize, to: &mut [E]) {
        let end = start + to.len();
        for (start, to) in (start..end).step_by(S::LANES).zip(to.chunks_mut(S::LANES)) {
            E::store_partial(simd, self.load(simd, start, end), to);
        }
    }
}

/// Weights as a direction sees them (written × read × 3 × 3): backward, rotated by 180°, in and out exchanged.
pub(super) fn seen(weight: &Array4<f32>, direction: Direction) -> ArrayView4<'_, f32> {
    let mut weight = weight.view();
    if direction == Direction::BackwardInput {
        weight.swap_axes(0, 1);
        weight.invert_axis(Axis(2));
        weight.invert_axis(Axis(3));
    }
    weight
}

/// A method, with the filters it has packed.
#[derive(Debug)]
pub(super) struct Ready<M: Method> {
    pub method: M,
    pub packed: M::Packed,
}

impl<M: Method> Ready<M> {
    pub fn new(method: M, weight: &Array4<f32>, direction: Direction) -> Self {
        Ready { packed: method.pack(weight, direction), method }
    }

    /// `y ← epilogue(conv(x where the mask lets it through))`, by the method as far as it fits.
    pub fn run<X: Element, Y: Element>(
        &self,
        shape: &Shape,
        (x, mask): (&FeatureMap<X>, Option<&BitMask>),
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        if y.as_slice().is_empty() {
            return;
        }
        let fits = self.method.fits(shape);
        if let Some(mask) = mask.filter(|_| !fits.mask) {
            let mut masked = x.clone();
            mask.apply(masked.as_mut_slice());
            return self.run(shape, (&masked, None), epilogue, y);
        }
        let input = Input { shape, x: x.as_slice(), mask: mask.map(BitMask::bytes) };
        match epilogue {
            // The mask is that of the sums before they are rounded.
            Epilogue::Relu(bias, mask) if !fits.relu => Y::through_f32(y, |y| {
                self.method.run(input, &self.packed, Epilogue::Bias(bias), y);
                relu(y.as_mut_slice());
                if let Some(mask) = mask {
                    bit_mask::set(mask, y.as_slice());
                }
            }),
            epilogue => self.method.run(input, &self.packed, epilogue, y),
        }
    }
}
