//! One bit an element: where a ReLU let its input through.
//!
//! That is all a ReLU's backward pass needs to know. Keeping bits instead of
//! outputs is what lets the map itself go as soon as the next convolution has
//! read it: a thirty-second of the memory.

use rayon::prelude::*;

use super::reduce::BLOCK;
use super::simd::{Element, Isa, Kernel, Simd};
use crate::tensor::{Buffer, BufferPool};

/// Bits for the elements of a map, in memory order, lowest bit first.
#[derive(Debug)]
pub struct BitMask {
    bytes: Buffer<u8>,
    elements: usize,
}

impl BitMask {
    /// Room for a map of `elements`, its bits unspecified.
    #[must_use]
    pub fn from_pool(pool: &mut BufferPool, elements: usize) -> Self {
        BitMask { bytes: pool.take(elements.div_ceil(8)), elements }
    }

    /// The bits of `elements`, eight a byte.
    ///
    /// # Panics
    /// If there are not as many bytes as that takes.
    #[must_use]
    pub fn from_buffer(bytes: Buffer<u8>, elements: usize) -> Self {
        assert_eq!(bytes.len(), elements.div_ceil(8), "one bit per element");
        BitMask { bytes, elements }
    }

    /// The buffer, for the pool.
    #[must_use]
    pub fn into_buffer(self) -> Buffer<u8> {
        self.bytes
    }

    /// Eight elements a byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Eight elements a byte, to write.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Sets the bits where `y` is above 0.
    pub fn set<E: Element>(&mut self, y: &[E]) {
        assert_eq!(y.len(), self.elements, "one bit per element");
        set(self.bytes_mut(), y);
    }

    /// Makes `d` 0 where the bit is not set.
    pub fn apply<E: Element>(&self, d: &mut [E]) {
        assert_eq!(d.len(), self.elements, "one bit per element");
        let (isa, blocks) = (Isa::detect(), self.bytes().par_chunks(BLOCK / 8));
        d.par_chunks_mut(BLOCK).zip(blocks).for_each(|(d, bytes)| isa.dispatch(Apply { d, bytes }));
    }
}

/// Sets the bits, eight elements a byte, where `y` is above 0.
pub(super) fn set<E: Element>(bits: &mut [u8], y: &[E]) {
    let (isa, blocks) = (Isa::detect(), y.par_chunks(BLOCK));
    bits.par_chunks_mut(BLOCK / 8).zip(blocks).for_each(|(bytes, y)| isa.dispatch(Set { y, bytes }));
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
pub(super) fn set_bits<S: Simd>(mask: &mut [u8], element: usize, bits: u32) {
    let byte = element / 8;
    match S::LANES {
        16 => mask[byte..byte + 2].copy_from_slice(&(bits as u16).to_le_bytes()),
        8 => mask[byte] = bits as u8,
        _ if element.is_multiple_of(8) => mask[byte] = bits as u8,
        _ => mask[byte] |= (bits << (element % 8)) as u8,
    }
}

/// Elements whose bits are two bytes, so that no vector of any instruction set shares a byte with the next group.
const GROUP: usize = 16;

struct Set<'a, E> {
    y: &'a [E],
    bytes: &'a mut [u8],
}

impl<E: Element> Kernel for Set<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (y, bytes) in self.y.chunks(GROUP).zip(self.bytes.chunks_mut(GROUP / 8)) {
            let mut bits = 0;
            for (i, y) in y.chunks(S::LANES).enumerate() {
                bits |= simd.positive(E::load_partial(simd, y)) << (i * S::LANES);
            }
            bytes.copy_from_slice(&bits.to_le_bytes()[..bytes.len()]);
        }
    }
}

struct Apply<'a, E> {
    d: &'a mut [E],
    bytes: &'a [u8],
}

impl<E: Element> Kernel for Apply<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (d, bytes) in self.d.chunks_mut(GROUP).zip(self.bytes.chunks(GROUP / 8)) {
            let bits = bytes.iter().rev().fold(0, |bits, &byte| bits << 8 | u32::from(byte));
            for (i, d) in d.chunks_mut(S::LANES).enumerate() {
                let value = simd.select(bits >> (i * S::LANES), E::load_partial(simd, d));
                E::store_partial(simd, value, d);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    fn bits_select_positive_elements<E: Element>() {
        for elements in [1, 7, 8, 33, BLOCK - 1, BLOCK + 13] {
            let y: Vec<E> = (0..elements).map(|i| E::from_f32(((i * 37) % 11) as f32 - 5.0)).collect();
            let mut mask = BitMask::from_pool(&mut BufferPool::new(), elements);
            mask.set(&y);
            let mut d = vec![E::from_f32(1.0); elements];
            mask.apply(&mut d);
            assert!(d.iter().zip(&y).all(|(&d, &y)| d.to_f32() == f32::from(y.to_f32() > 0.0)));
        }
    }

    #[test]
    fn bits_set_from_a_map_select_its_positive_elements() {
        bits_select_positive_elements::<f32>();
        bits_select_positive_elements::<bf16>();
    }
}
