//! What a kernel reads and writes: `f32`, or bf16, which is widened as it is
//! loaded and rounded as it is stored.
//!
//! ```text
//!   memory  bf16 ──load: shift──▶ registers, all f32 ──store: round to nearest even──▶ bf16  memory
//! ```
//!
//! In between, nothing knows the difference. So a kernel's result in bf16 is
//! its result in `f32` on the same numbers, rounded once: to the bit.

use std::borrow::Cow;
use std::fmt::Debug;

use bytemuck::Pod;
use half::bf16;

use super::Simd;
use crate::kernels::bf16 as bits;
use crate::tensor::{Dtype, FeatureMap};

/// A type of number in memory. Arithmetic is in `f32`, whatever the type.
pub trait Element: Pod + PartialEq + Debug + Send + Sync {
    /// Which one it is.
    const DTYPE: Dtype;

    /// The number itself.
    fn to_f32(self) -> f32;
    /// The nearest number, of two equally near ones the even one. NaN stays NaN, and what is too large becomes ∞.
    fn from_f32(x: f32) -> Self;
    /// The bits of the nearest bf16.
    fn nearest(self) -> u16;
    /// The bits of two bf16 whose sum is the number, as far as that goes: see [`split`](bits::split).
    fn split(self) -> (u16, u16);
    /// The first [`Simd::LANES`] elements. Panics if there are fewer.
    fn load<S: Simd>(simd: S, from: &[Self]) -> S::Vector;
    /// Writes [`Simd::LANES`] elements. Panics if there is no room.
    fn store<S: Simd>(simd: S, vector: S::Vector, to: &mut [Self]);
    /// The numbers as `f32`: themselves if they are, or else converted into the buffer, which is as long.
    fn widen<'a, S: Simd>(simd: S, from: &'a [Self], buffer: &'a mut [f32]) -> &'a [f32];
    /// The numbers, if they are `f32`: then sums can be added where they belong.
    fn as_f32(numbers: &mut [Self]) -> Option<&mut [f32]>;
    /// A map in `f32`, for kernels that read nothing else.
    fn widened(map: &FeatureMap<Self>) -> Cow<'_, FeatureMap>;
    /// Lets a kernel that writes `f32` alone work on a map: on itself, or on a copy that is rounded back.
    fn through_f32<R>(map: &mut FeatureMap<Self>, work: impl FnOnce(&mut FeatureMap) -> R) -> R;

    /// The elements of `from`, at most [`Simd::LANES`], and zeros.
    #[inline(always)]
    fn load_partial<S: Simd>(simd: S, from: &[Self]) -> S::Vector {
        if from.len() >= S::LANES {
            return Self::load(simd, from);
        }
        let mut buffer = [Self::zeroed(); 16];
        buffer[..from.len()].copy_from_slice(from);
        Self::load(simd, &buffer)
    }

    /// Fills `to`, at most [`Simd::LANES`] elements.
    #[inline(always)]
    fn store_partial<S: Simd>(simd: S, vector: S::Vector, to: &mut [Self]) {
        if to.len() >= S::LANES {
            return Self::store(simd, vector, to);
        }
        let mut buffer = [Self::zeroed(); 16];
        Self::store(simd, vector, &mut buffer);
        to.copy_from_slice(&buffer[..to.len()]);
    }
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn nearest(self) -> u16 {
        bits::round(self)
    }
    #[inline(always)]
    fn split(self) -> (u16, u16) {
        bits::split(self)
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, from: &[f32]) -> S::Vector {
        simd.load(from)
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, vector: S::Vector, to: &mut [f32]) {
        simd.store(vector, to);
    }
    #[inline(always)]
    fn widen<'a, S: Simd>(_: S, from: &'a [f32], _: &'a mut [f32]) -> &'a [f32] {
        from
    }
    #[inline(always)]
    fn as_f32(numbers: &mut [f32]) -> Option<&mut [f32]> {
        Some(numbers)
    }
    fn widened(map: &FeatureMap) -> Cow<'_, FeatureMap> {
        Cow::Borrowed(map)
    }
    fn through_f32<R>(map: &mut FeatureMap, work: impl FnOnce(&mut FeatureMap) -> R) -> R {
        work(map)
    }
}

impl Element for bf16 {
    const DTYPE: Dtype = Dtype::Bf16;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        bits::widen(self.to_bits())
    }
    #[inline(always)]
    fn from_f32(x: f32) -> bf16 {
        bf16::from_bits(bits::round(x))
    }
    #[inline(always)]
    fn nearest(self) -> u16 {
        self.to_bits()
    }
    #[inline(always)]
    fn split(self) -> (u16, u16) {
        (self.to_bits(), 0)
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, from: &[bf16]) -> S::Vector {
        simd.load_bf16(from)
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, vector: S::Vector, to: &mut [bf16]) {
        simd.store_bf16(vector, to);
    }
    #[inline(always)]
    fn widen<'a, S: Simd>(simd: S, from: &'a [bf16], buffer: &'a mut [f32]) -> &'a [f32] {
        assert_eq!(from.len(), buffer.len(), "room for every number");
        for (from, to) in from.chunks(S::LANES).zip(buffer.chunks_mut(S::LANES)) {
            simd.store_partial(Self::load_partial(simd, from), to);
        }
        buffer
    }
    #[inline(always)]
    fn as_f32(_: &mut [bf16]) -> Option<&mut [f32]> {
        None
    }
    fn widened(map: &FeatureMap<bf16>) -> Cow<'_, FeatureMap> {
        Cow::Owned(convert(map))
    }
    fn through_f32<R>(map: &mut FeatureMap<bf16>, work: impl FnOnce(&mut FeatureMap) -> R) -> R {
        let mut copy = convert(map);
        let result = work(&mut copy);
        map.as_mut_slice().iter_mut().zip(copy.as_slice()).for_each(|(to, &from)| *to = bf16::from_f32(from));
        result
    }
}

/// A map in another type, each number rounded if need be.
#[must_use]
pub fn convert<A: Element, B: Element>(map: &FeatureMap<A>) -> FeatureMap<B> {
    let (height, width, channels) = map.dim();
    FeatureMap::from_vec(height, width, channels, map.as_slice().iter().map(|x| B::from_f32(x.to_f32())).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{Isa, Kernel};
    use super::*;

    /// Stores vectors of `f32` as bf16 and loads them again, in pieces of every length.
    struct RoundTrip<'a>(&'a [f32]);

    impl Kernel for RoundTrip<'_> {
        type Output = Vec<(u16, u32)>;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let mut rest = self.0;
            let mut seen = Vec::new();
            for length in (1..=S::LANES).cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, others) = rest.split_at(length.min(rest.len()));
                rest = others;
                let mut half = vec![bf16::NAN; piece.len()];
                bf16::store_partial(simd, simd.load_partial(piece), &mut half);
                let mut back = vec![0.0; piece.len()];
                simd.store_partial(bf16::load_partial(simd, &half), &mut back);
                seen.extend(half.iter().zip(&back).map(|(half, back)| (half.to_bits(), back.to_bits())));
            }
            seen
        }
    }

    #[test]
    fn every_instruction_set_rounds_and_widens_as_the_definition_does() {
        // Every upper half, with the lower halves around the tie: denormals, infinities and NaN among them.
        let lower = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
        let numbers: Vec<f32> = (0..=u32::from(u16::MAX))
            .flat_map(|upper| lower.map(|lower| f32::from_bits(upper << 16 | lower)))
            .collect();
        for isa in Isa::available() {
            let found = isa.dispatch(RoundTrip(&numbers));
            assert_eq!(found.len(), numbers.len());
            for (&x, (half, back)) in numbers.iter().zip(found) {
                assert_eq!(half, bits::round(x), "{isa:?}: {x:?} = {:#010x}", x.to_bits());
                assert_eq!(back, u32::from(half) << 16, "{isa:?}: {half:#06x} widened");
            }
        }
    }

    #[test]
    fn maps_pass_through_f32_unharmed() {
        let mut map = FeatureMap::from_vec(1, 2, 2, [1.0, -2.5, 3.0e38, 1e-40].map(bf16::from_f32).to_vec());
        let before = map.clone();
        bf16::through_f32(&mut map, |copy| assert_eq!(*copy, *bf16::widened(&before)));
        assert_eq!(map, before);
        bf16::through_f32(&mut map, |copy| copy.as_mut_slice()[0] = f32::from_bits(0x3f81_8000));
        assert_eq!(map.as_slice()[0].to_bits(), 0x3f82);
    }
}
