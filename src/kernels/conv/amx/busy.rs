//! The tile unit with nothing in its way: what convolutions on it are measured against.
//!
//! The operands lie as in a convolution's pass over the filters, only closer: a
//! panel of B and one pair of tiles of A, shifted from step to step, stay in the
//! core's first cache; the sums are written past them, as theirs are.

use super::{Plan, probe};
use crate::kernels::simd::tiles::{BLOCK_SIDE, DEPTH, Product, TILE_ELEMENTS, TileUnit};

/// Steps of a product: as many as a pass has.
const STEPS: usize = Plan::PASS_BYTES / (2 * TILE_ELEMENTS * size_of::<u16>());

/// Pairs of tiles of A in a product: setting the unit up is then a few hundredths of the work.
const PAIRS: usize = 16;

/// Multiplies bf16 operands from the first cache on the CPU's tile unit, on this thread, `rounds` times; the
/// floating-point operations done. `None` unless the unit is [`available`](super::available).
#[must_use]
pub fn keep_busy(rounds: usize) -> Option<u64> {
    probe().1.map(|tiles| keep_busy_on(tiles, rounds))
}

/// [`keep_busy`] on any unit.
pub(super) fn keep_busy_on(unit: impl TileUnit, rounds: usize) -> u64 {
    // Of both signs, from ½ to 2, and all eight digits in use: zeros would let the unit rest.
    let number = |i: usize| ((i / 3 % 2) << 15 | 0x3f00 | (i * 104_729 % 251)) as u16;
    let shifts: Vec<usize> = (0..STEPS).map(|step| step * DEPTH).collect();
    let a: Vec<u16> = (0..2 * TILE_ELEMENTS + (STEPS - 1) * DEPTH).map(number).collect();
    let b: Vec<u16> = (0..STEPS * 2 * TILE_ELEMENTS).map(|i| number(i + 1)).collect();
    let mut c = vec![0.0; PAIRS * BLOCK_SIDE * BLOCK_SIDE];
    let product = Product { a: &a, pairs: &[[0, TILE_ELEMENTS]; PAIRS], steps: &shifts, low: None, b: &b, add: false };
    for _ in 0..rounds {
        unit.multiply(&product, std::hint::black_box(&mut c));
    }
    (rounds * PAIRS * STEPS * 2 * BLOCK_SIDE * BLOCK_SIDE * DEPTH) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::kernels::conv::amx::available;
    use crate::kernels::simd::tiles::{ModelTiles, SIDE};

    /// The model, with a count of the multiplications and additions of each tile by tile it is asked for.
    #[derive(Clone, Copy)]
    struct Counting<'a>(&'a AtomicU64);

    impl TileUnit for Counting<'_> {
        fn multiply(self, product: &Product<'_>, c: &mut [f32]) {
            ModelTiles.multiply(product, c);
            assert!(c.iter().all(|sum| sum.is_normal()), "no sum overflows, and none is left at zero");
            let tiles = 4 * product.pairs.len() * product.steps.len();
            self.0.fetch_add((2 * tiles * SIDE * SIDE * DEPTH) as u64, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_operation_is_counted_and_no_other() {
        for rounds in [0, 1, 3] {
            let counted = AtomicU64::new(0);
            let told = keep_busy_on(Counting(&counted), rounds);
            assert_eq!(told, counted.into_inner(), "{rounds} rounds");
        }
    }

    #[test]
    fn operands_stay_in_a_first_cache_of_32_kib() {
        let a = 2 * TILE_ELEMENTS + (STEPS - 1) * DEPTH;
        assert!((a + STEPS * 2 * TILE_ELEMENTS) * size_of::<u16>() <= 32 << 10);
    }

    #[test]
    fn nothing_is_measured_where_there_is_no_unit() {
        assert_eq!(keep_busy(1).is_some(), available());
    }
}
