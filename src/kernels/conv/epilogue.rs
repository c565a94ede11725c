//! What happens to a convolution's sums on their way to memory: bias, ReLU and
//! its mask, or addition to what is there. Done while the sums are in registers,
//! it costs nothing; as passes of their own, these would cost as much as a
//! convolution of few channels.

use rayon::prelude::*;

use crate::kernels::bit_mask::set_bits;
use crate::kernels::simd::{Element, Simd};

/// What becomes of a convolution's sums: for a whole map, or for the part of it that one task writes.
#[derive(Debug)]
pub enum Epilogue<'a> {
    /// y ← bias + sums. One bias per channel.
    Bias(&'a [f32]),
    /// y ← max(bias + sums, 0), and, for a backward pass, the bits of a [`BitMask`](crate::kernels::bit_mask::BitMask) where it
    /// is above 0.
    Relu(&'a [f32], Option<&'a mut [u8]>),
    /// y ← β·y + sums. With β = 0, y is overwritten without being read.
    Scaled(f32),
}

impl Epilogue<'_> {
    /// Panics unless there is a bias for each channel, and a bit for each element if there are any.
    pub(super) fn assert_shapes(&self, channels: usize, elements: usize) {
        if let Epilogue::Bias(bias) | Epilogue::Relu(bias, _) = self {
            assert_eq!(bias.len(), channels, "one bias per output channel");
        }
        if let Epilogue::Relu(_, Some(mask)) = self {
            assert_eq!(mask.len(), elements.div_ceil(8), "one bit per element");
        }
    }

    /// Writes a vector of sums to `y`, the channels from `c` on, which is as long as the vector or the channels
    /// that are left; `element` is where that is in the task's part.
    #[inline(always)]
    pub(super) fn write<S: Simd, Y: Element>(
        &mut self,
        simd: S,
        sums: S::Vector,
        c: usize,
        element: usize,
        y: &mut [Y],
    ) {
        let value = match self {
            Epilogue::Bias(bias) => simd.add(sums, simd.load_partial(&bias[c..c + y.len()])),
            Epilogue::Relu(bias, mask) => {
                let value = simd.add(sums, simd.load_partial(&bias[c..c + y.len()]));
                if let Some(mask) = mask {
                    set_bits::<S>(mask, element, simd.positive(value));
                }
                simd.max(simd.splat(0.0), value)
            }
            Epilogue::Scaled(0.0) => sums,
            Epilogue::Scaled(beta) => simd.fma(simd.splat(*beta), Y::load_partial(simd, y), sums),
        };
        Y::store_partial(simd, value, y);
    }

    /// Cuts y, and the mask with it, into parts of `length` elements and runs `task(index, part, epilogue)` on each.
    pub(super) fn for_each_part<Y: Element>(
        self,
        y: &mut [Y],
        length: usize,
        task: impl Fn(usize, &mut [Y], Epilogue<'_>) + Sync,
    ) {
        let parts = y.par_chunks_mut(length).enumerate();
        match self {
            Epilogue::Scaled(beta) => parts.for_each(|(index, y)| task(index, y, Epilogue::Scaled(beta))),
            Epilogue::Bias(bias) => parts.for_each(|(index, y)| task(index, y, Epilogue::Bias(bias))),
            Epilogue::Relu(bias, None) => parts.for_each(|(index, y)| task(index, y, Epilogue::Relu(bias, None))),
            Epilogue::Relu(bias, Some(mask)) => {
                assert!(length.is_multiple_of(8), "parts of {length} elements share a mask's bytes");
                let masks = mask.par_chunks_mut(length / 8);
                parts.zip(masks).for_each(|((index, y), mask)| task(index, y, Epilogue::Relu(bias, Some(mask))));
            }
        }
    }
}
