//! What happens to a convolution's sums on their way to memory: bias, ReLU and
//! its mask, or addition to what is there. Done while the sums are in registers,
//! it costs nothing; as passes of their own, these would cost as much as a
//! convolution of few channels.

use rayon::prelude::*;

use crate::kernels::mask::Mask;
use crate::kernels::simd::{Element, Simd};

/// What becomes of a convolution's sums.
#[derive(Debug)]
pub enum Into<'a> {
    /// The output is overwritten: bias (one per channel) plus sums, then the activation.
    Bias(&'a [f32], Activation<'a>),
    /// The output is multiplied by β, then added to.
    Scaled(f32),
}

/// What is done to a convolution's output before it is written.
#[derive(Debug)]
pub enum Activation<'a> {
    /// Nothing.
    None,
    /// `max(y, 0)`, and, for a backward pass, where it was above 0.
    Relu(Option<&'a mut Mask>),
}

/// [`Into`], for the part of the output that one task writes.
pub(super) enum Epilogue<'a> {
    /// y ← bias + sums.
    Bias(&'a [f32]),
    /// y ← max(bias + sums, 0), and the bits where it is above 0 if there is room for them.
    Relu(&'a [f32], &'a mut [u8]),
    /// y ← β·y + sums.
    Scaled(f32),
}

impl Epilogue<'_> {
    /// Writes a vector of sums to `y`, the channels from `c` on, which is as long as the vector or the channels
    /// that are left; `element` is where that is in the task's part.
    #[inline(always)]
    pub fn write<S: Simd, Y: Element>(&mut self, simd: S, sums: S::Vector, c: usize, element: usize, y: &mut [Y]) {
        let value = match self {
            Epilogue::Bias(bias) => simd.add(sums, simd.load_partial(&bias[c..c + y.len()])),
            Epilogue::Relu(bias, mask) => {
                let value = simd.add(sums, simd.load_partial(&bias[c..c + y.len()]));
                if !mask.is_empty() {
                    set_bits::<S>(mask, element, simd.positive(value));
                }
                simd.max(value, simd.splat(0.0))
            }
            Epilogue::Scaled(0.0) => sums,
            Epilogue::Scaled(beta) => simd.fma(simd.splat(*beta), Y::load_partial(simd, y), sums),
        };
        Y::store_partial(simd, value, y);
    }
}

/// Cuts y, and the mask with it, into parts of `length` elements and runs `task(index, part, epilogue)` on each.
pub(super) fn for_each_part<Y: Element>(
    into: Into<'_>,
    y: &mut [Y],
    length: usize,
    task: impl Fn(usize, &mut [Y], Epilogue<'_>) + Sync,
) {
    let parts = y.par_chunks_mut(length).enumerate();
    match into {
        Into::Scaled(beta) => parts.for_each(|(index, y)| task(index, y, Epilogue::Scaled(beta))),
        Into::Bias(bias, Activation::None) => parts.for_each(|(index, y)| task(index, y, Epilogue::Bias(bias))),
        Into::Bias(bias, Activation::Relu(None)) => {
            parts.for_each(|(index, y)| task(index, y, Epilogue::Relu(bias, &mut [])));
        }
        Into::Bias(bias, Activation::Relu(Some(mask))) => {
            assert!(length.is_multiple_of(8), "parts of {length} elements share a mask's bytes");
            let masks = mask.bytes_mut().par_chunks_mut(length / 8);
            parts.zip(masks).for_each(|((index, y), mask)| task(index, y, Epilogue::Relu(bias, mask)));
        }
    }
}

/// Whether maps of so many channels can be masked vector by vector: no two vectors of any instruction set share a byte.
pub(super) fn can_mask(channels: usize) -> bool {
    channels.is_multiple_of(16)
}

/// The bits of a vector of elements from `element` on, a multiple of the vector's length.
#[inline(always)]
pub(super) fn bits<S: Simd>(mask: &[u8], element: usize) -> u32 {
    let byte = element / 8;
    match S::LANES {
        16 => u32::from(u16::from_le_bytes([mask[byte], mask[byte + 1]])),
        8 => u32::from(mask[byte]),
        _ => u32::from(mask[byte]) >> (element % 8),
    }
}

/// Writes the bits of a vector. Vectors shorter than a byte are written in order.
#[inline(always)]
fn set_bits<S: Simd>(mask: &mut [u8], element: usize, bits: u32) {
    let byte = element / 8;
    match S::LANES {
        16 => mask[byte..byte + 2].copy_from_slice(&(bits as u16).to_le_bytes()),
        8 => mask[byte] = bits as u8,
        _ if element.is_multiple_of(8) => mask[byte] = bits as u8,
        _ => mask[byte] |= (bits << (element % 8)) as u8,
    }
}
