//! Products of bf16 matrices by 16×16 tiles, as the AMX unit of x86-64 computes
//! them, behind one interface with two implementations: the unit itself
//! (`amx`), and [`ModelTiles`], a model of it in plain Rust that any CPU runs
//! and tests hold everything against.
//!
//! ```text
//!               B: 32 × 32 per step       16 columns ┌────┬────┐
//!                                                    │ B0 │ B1 │
//!               A: 32 × 32 per step                  └────┴────┘
//!                        16 rows ┌────┐              ┌────┬────┐
//!                                │ A0 │              │ 0 0│ 0 1│   C: 32 × 32 sums in f32,
//!                                ├────┤              ├────┼────┤   in four tiles while all
//!                                │ A1 │              │ 1 0│ 1 1│   steps are done
//!                                └────┘              └────┴────┘
//! ```
//!
//! The unit has eight tiles: four sums, and two each of A and B. Every tile of A
//! and B that is loaded is used twice. The interface is one whole [`Product`],
//! many pairs of A tiles by one panel of B: the unit is set up, used and released
//! within one call, so its state never exists outside of it.

/// Rows of a tile of A and of C, columns of a tile of B and of C.
pub const SIDE: usize = 16;
/// Columns of a tile of A, rows of a tile of B: the products summed per step.
pub const DEPTH: usize = 32;
/// Elements of a tile of A or B.
pub const TILE_ELEMENTS: usize = SIDE * DEPTH;
/// Rows and columns of C that are summed together.
pub const BLOCK_SIDE: usize = 2 * SIDE;

/// A product C ← A·B, or C ← C + A·B, of which A's tiles lie anywhere in `a`.
///
/// A tile of A is [`SIDE`] rows of [`DEPTH`] elements, one after the other. For
/// pair p and step s, the tiles A0 and A1 start at `pairs[p][0] + steps[s]` and
/// `pairs[p][1] + steps[s]`: a convolution's step is a shift of the map.
///
/// `b` holds per step the tiles B0 and B1, each as [`DEPTH`]/2 rows of [`SIDE`] pairs: row k,
/// column n is B(2k, n), B(2k + 1, n), which is what the unit multiplies by the neighbours 2k and 2k + 1 of A.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Where the tiles of A lie, as bits of bf16.
    pub a: &'a [u16],
    /// Where A0 and A1 start, per block of C.
    pub pairs: &'a [[usize; 2]],
    /// What is added to that, per step.
    pub steps: &'a [usize],
    /// Operands given as sums hi + lo: the distance in `a` from hi to lo. A step of `b` is then B0, B1 of hi and
    /// B0, B1 of lo, and the product is hi·lo + hi·hi + lo·hi.
    pub low: Option<usize>,
    /// The tiles of B, step by step.
    pub b: &'a [u16],
    /// Whether the product is added to what C holds.
    pub add: bool,
}

impl Product<'_> {
    /// Elements of `b` per step.
    #[must_use]
    pub fn b_step(&self) -> usize {
        2 * TILE_ELEMENTS * if self.low.is_some() { 2 } else { 1 }
    }

    /// # Panics
    /// If a tile would lie outside of its slice, or there is nothing to do.
    pub(super) fn check(&self, c: &[f32]) {
        let first = self.pairs.iter().flatten().max().expect("a pair of tiles");
        let shift = self.steps.iter().max().expect("a step");
        let end = [*shift, self.low.unwrap_or(0), TILE_ELEMENTS].iter().try_fold(*first, |sum, &x| sum.checked_add(x));
        assert!(end.is_some_and(|end| end <= self.a.len()), "A's tiles end at {end:?} of {}", self.a.len());
        assert_eq!(self.b.len(), self.steps.len() * self.b_step(), "B's tiles");
        assert_eq!(c.len(), self.pairs.len() * BLOCK_SIDE * BLOCK_SIDE, "blocks of C");
    }
}

/// Whoever multiplies tiles.
pub trait TileUnit: Copy + Send + Sync {
    /// Computes a product. `c` holds a row-major block of [`BLOCK_SIDE`]×[`BLOCK_SIDE`] sums per pair.
    ///
    /// # Panics
    /// If a tile would lie outside of its slice, or there is no pair or no step.
    fn multiply(self, product: &Product<'_>, c: &mut [f32]);
}

/// Why there is no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The CPU has none, or the system does not save its state.
    Absent,
    /// Linux refuses it to this process.
    NoPermission,
}

/// The unit's arithmetic in plain Rust.
///
/// For one tile product, even and odd elements of a row of A are summed apart, each product exact and each sum rounded
/// to nearest even; the two sums are added, and their sum to C. Denormal numbers count as zero, as operands and as
/// results. (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, `TDPBF16PS`.)
///
/// One thing differs: a product too small for a normal `f32` is flushed before it is added, not after.
#[derive(Clone, Copy, Debug)]
pub struct ModelTiles;

impl TileUnit for ModelTiles {
    fn multiply(self, product: &Product<'_>, c: &mut [f32]) {
        product.check(c);
        // Which half of A meets which half of B, 0 being hi; the order is the order of summation.
        let terms: &[(usize, usize)] = if product.low.is_some() { &[(0, 1), (0, 0), (1, 0)] } else { &[(0, 0)] };
        for (pair, c) in product.pairs.iter().zip(c.chunks_exact_mut(BLOCK_SIDE * BLOCK_SIDE)) {
            if !product.add {
                c.fill(0.0);
            }
            for (step, b) in product.steps.iter().zip(product.b.chunks_exact(product.b_step())) {
                for &(a_half, b_half) in terms {
                    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let a = &product.a[pair[i] + step + a_half * product.low.unwrap_or(0)..][..TILE_ELEMENTS];
                        let b = &b[(2 * b_half + j) * TILE_ELEMENTS..][..TILE_ELEMENTS];
                        multiply_tile(a, b, &mut c[(i * BLOCK_SIDE + j) * SIDE..], BLOCK_SIDE);
                    }
                }
            }
        }
    }
}

/// C ← C + A·B of one tile each; rows of C are `stride` elements apart.
pub(super) fn multiply_tile(a: &[u16], b: &[u16], c: &mut [f32], stride: usize) {
    for (a, c) in a.chunks_exact(DEPTH).zip(c.chunks_mut(stride)) {
        let mut sums = [[0f32; 2]; SIDE];
        for (a, b) in a.chunks_exact(2).zip(b.chunks_exact(2 * SIDE)) {
            for (sums, b) in sums.iter_mut().zip(b.chunks_exact(2)) {
                for half in 0..2 {
                    sums[half] = flush(sums[half] + flush(operand(a[half]) * operand(b[half])));
                }
            }
        }
        for (c, [even, odd]) in c.iter_mut().zip(sums) {
            *c = flush(flush(*c) + flush(even + odd));
        }
    }
}

/// The number, or zero of its sign if it is denormal.
#[inline(always)]
fn flush(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0f32.copysign(x) } else { x }
}

/// An operand as the unit sees it.
#[inline(always)]
fn operand(x: u16) -> f32 {
    flush(f32::from_bits(u32::from(x) << 16))
}

#[cfg(test)]
pub(in crate::kernels) mod tests {
    use super::*;
    use crate::kernels::bf16;

    /// Numbers uniform in [−1, 1].
    pub fn random(length: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..length).map(|_| next()).collect()
    }

    fn bits(numbers: &[f32]) -> Vec<u16> {
        numbers.iter().map(|&x| bf16::round(x)).collect()
    }

    /// Pairs and steps of a product whose tiles overlap, as a convolution's do.
    pub const PAIRS: [[usize; 2]; 3] = [[0, 160], [96, 32], [416, 416]];
    pub const STEPS: [usize; 4] = [0, 64, 32, 512];
    pub const PLANE: usize = 416 + 512 + TILE_ELEMENTS;

    /// Operands of such a product, with as many halves as asked for: (a, b).
    pub fn operands(halves: usize) -> (Vec<u16>, Vec<u16>) {
        (bits(&random(halves * PLANE, 1)), bits(&random(halves * STEPS.len() * 2 * TILE_ELEMENTS, 2)))
    }

    /// A(row, k)·B(k, column) summed over everything in f64, by the definition of the layouts.
    fn expected(a: &[u16], b: &[u16], low: Option<usize>, pair: usize, row: usize, column: usize) -> f64 {
        let halves = if low.is_some() { 2 } else { 1 };
        let start = PAIRS[pair][row / SIDE] + row % SIDE * DEPTH;
        let mut sum = 0.0;
        for (step, &shift) in STEPS.iter().enumerate() {
            for k in 0..DEPTH {
                for (a_half, b_half) in (0..halves).flat_map(|i| (0..halves).map(move |j| (i, j))) {
                    if a_half + b_half == 2 {
                        continue;
                    }
                    let tile = (step * halves + b_half) * 2 + column / SIDE;
                    let b = b[tile * TILE_ELEMENTS + k / 2 * 2 * SIDE + 2 * (column % SIDE) + k % 2];
                    let a = a[a_half * low.unwrap_or(0) + start + shift + k];
                    sum += f64::from(bf16::widen(a)) * f64::from(bf16::widen(b));
                }
            }
        }
        sum
    }

    #[test]
    fn the_model_multiplies_matrices() {
        for low in [None, Some(PLANE)] {
            let (a, b) = operands(if low.is_some() { 2 } else { 1 });
            let mut c = vec![f32::NAN; PAIRS.len() * BLOCK_SIDE * BLOCK_SIDE];
            let product = Product { a: &a, pairs: &PAIRS, steps: &STEPS, low, b: &b, add: false };
            ModelTiles.multiply(&product, &mut c);
            for (at, &found) in c.iter().enumerate() {
                let (pair, row, column) =
                    (at / (BLOCK_SIDE * BLOCK_SIDE), at / BLOCK_SIDE % BLOCK_SIDE, at % BLOCK_SIDE);
                let expected = expected(&a, &b, low, pair, row, column);
                // 384 products of numbers up to 1, each sum rounded to 2⁻²⁴ of at most 20 or so.
                assert!((f64::from(found) - expected).abs() < 1e-4, "{low:?}, {at}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn steps_done_in_two_products_give_the_same_bytes() {
        let (a, b) = operands(1);
        let length = PAIRS.len() * BLOCK_SIDE * BLOCK_SIDE;
        let (mut whole, mut parts) = (vec![f32::NAN; length], vec![f32::NAN; length]);
        let product = Product { a: &a, pairs: &PAIRS, steps: &STEPS, low: None, b: &b, add: false };
        ModelTiles.multiply(&product, &mut whole);
        let (first, second) = b.split_at(3 * 2 * TILE_ELEMENTS);
        ModelTiles.multiply(&Product { steps: &STEPS[..3], b: first, ..product }, &mut parts);
        ModelTiles.multiply(&Product { steps: &STEPS[3..], b: second, add: true, ..product }, &mut parts);
        assert_eq!(whole, parts);
    }

    #[test]
    fn even_and_odd_products_are_summed_apart() {
        // 2²⁴ + 1 − 2²⁴: one running sum would lose the 1, and so would sums of pairs.
        let (mut a, mut b, mut c) = ([0; TILE_ELEMENTS], [0; TILE_ELEMENTS], [0.0; SIDE * BLOCK_SIDE]);
        for (k, x) in [(0, 16_777_216.0), (1, 1.0), (2, -16_777_216.0)] {
            a[k] = bf16::round(x);
            b[k / 2 * 2 * SIDE + k % 2] = bf16::round(1.0);
        }
        multiply_tile(&a, &b, &mut c, BLOCK_SIDE);
        assert_eq!(c[0], 1.0);
    }

    #[test]
    fn denormal_numbers_count_as_zero() {
        let (mut a, mut b, mut c) = ([0; TILE_ELEMENTS], [0; TILE_ELEMENTS], [0.0; SIDE * BLOCK_SIDE]);
        (a[0], b[0]) = (0x0001, bf16::round(1e30));
        (a[2], b[2 * SIDE]) = (bf16::round(1e-30), bf16::round(1e-30));
        multiply_tile(&a, &b, &mut c, BLOCK_SIDE);
        assert!(c.iter().all(|&x| x == 0.0));
    }

    fn refused(change: impl FnOnce(&mut Product<'_>)) -> bool {
        let (a, b) = operands(1);
        let mut product = Product { a: &a, pairs: &PAIRS, steps: &STEPS, low: None, b: &b, add: false };
        change(&mut product);
        let c = vec![0.0; PAIRS.len() * BLOCK_SIDE * BLOCK_SIDE];
        std::panic::catch_unwind(|| product.check(&c)).is_err()
    }

    #[test]
    fn tiles_outside_of_their_slices_are_refused() {
        assert!(!refused(|_| ()));
        assert!(refused(|p| p.a = &p.a[1..]));
        assert!(refused(|p| p.b = &p.b[1..]));
        assert!(refused(|p| p.low = Some(1)));
        assert!(refused(|p| p.steps = &[usize::MAX]));
        assert!(refused(|p| p.steps = &[]));
        assert!(refused(|p| p.pairs = &[]));
        assert!(refused(|p| p.pairs = &p.pairs[1..]));
    }
}
