//! One bit an element: where a ReLU let its input through.
//!
//! That is all a ReLU's backward pass needs to know. Keeping bits instead of
//! outputs is what lets the map itself go as soon as the next convolution has
//! read it: a thirty-second of the memory.

use rayon::prelude::*;

use super::reduce::BLOCK;
use crate::tensor::{Buffer, Pool};

/// Bits for the elements of a map, in memory order, lowest bit first.
#[derive(Debug)]
pub struct Mask {
    bytes: Buffer<u8>,
    elements: usize,
}

impl Mask {
    /// Room for a map of `elements`, its bits unspecified.
    #[must_use]
    pub fn from_pool(pool: &mut Pool, elements: usize) -> Self {
        Mask { bytes: pool.take(elements.div_ceil(8)), elements }
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
    pub fn set(&mut self, y: &[f32]) {
        assert_eq!(y.len(), self.elements, "one bit per element");
        self.bytes_mut().par_chunks_mut(BLOCK / 8).zip(y.par_chunks(BLOCK)).for_each(|(bytes, y)| {
            for (byte, y) in bytes.iter_mut().zip(y.chunks(8)) {
                *byte = y.iter().enumerate().fold(0, |byte, (bit, &y)| byte | u8::from(y > 0.0) << bit);
            }
        });
    }

    /// Makes `d` 0 where the bit is not set.
    pub fn apply(&self, d: &mut [f32]) {
        assert_eq!(d.len(), self.elements, "one bit per element");
        d.par_chunks_mut(BLOCK).zip(self.bytes().par_chunks(BLOCK / 8)).for_each(|(d, bytes)| {
            for (d, byte) in d.chunks_mut(8).zip(bytes) {
                for (bit, d) in d.iter_mut().enumerate() {
                    *d = if byte >> bit & 1 == 1 { *d } else { 0.0 };
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_set_from_a_map_select_its_positive_elements() {
        for elements in [1, 7, 8, 33, BLOCK - 1, BLOCK + 13] {
            let y: Vec<f32> = (0..elements).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
            let mut mask = Mask::from_pool(&mut Pool::new(), elements);
            mask.set(&y);
            let mut d = vec![1.0; elements];
            mask.apply(&mut d);
            assert!(d.iter().zip(&y).all(|(&d, &y)| d == f32::from(y > 0.0)));
        }
    }
}
