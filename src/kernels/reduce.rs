//! Sums over whole maps: `f64`, in fixed blocks, merged in order.

use rayon::prelude::*;

use super::simd::{Element, Isa, Kernel, Simd};

/// Elements per block.
pub(crate) const BLOCK: usize = 1 << 14;

// ANCHOR: sum
/// Σ (aᵢ − bᵢ)².
#[must_use]
pub fn squared_distance<E: Element>(a: &[E], b: &[E]) -> f64 {
    assert_eq!(a.len(), b.len(), "one element for each");
    let isa = Isa::detect();
    let blocks = a.par_chunks(BLOCK).zip(b.par_chunks(BLOCK));
    let blocks: Vec<f64> = blocks.map(|(a, b)| isa.dispatch(SquaredDistance { a, b })).collect();
    blocks.iter().sum()
}
// ANCHOR_END: sum

/// Σ |aᵢ|.
#[must_use]
pub fn absolute_sum<E: Element>(a: &[E]) -> f64 {
    let isa = Isa::detect();
    let blocks: Vec<f64> = a.par_chunks(BLOCK).map(|a| isa.dispatch(AbsoluteSum { a })).collect();
    blocks.iter().sum()
}

/// [`squared_distance`] of what comes in order, some elements at a time: to the bit what it is of the whole.
#[derive(Debug)]
pub struct SquaredDistances<E> {
    sum: f64,
    /// Elements that do not yet make a block.
    rest: [Vec<E>; 2],
}

impl<E: Element> Default for SquaredDistances<E> {
    fn default() -> Self {
        SquaredDistances { sum: 0.0, rest: [Vec::new(), Vec::new()] }
    }
}

impl<E: Element> SquaredDistances<E> {
    /// Takes the next elements in.
    pub fn add<'a>(&mut self, mut a: &'a [E], mut b: &'a [E]) {
        assert_eq!(a.len(), b.len(), "one element for each");
        if !self.rest[0].is_empty() {
            let filling = a.len().min(BLOCK - self.rest[0].len());
            for (rest, elements) in self.rest.iter_mut().zip([&mut a, &mut b]) {
                rest.extend_from_slice(elements.split_off(..filling).expect("as many as that"));
            }
            if self.rest[0].len() == BLOCK {
                self.sum += squared_distance(&self.rest[0], &self.rest[1]);
                self.rest.iter_mut().for_each(Vec::clear);
            }
        }
        let whole = a.len() / BLOCK * BLOCK;
        let isa = Isa::detect();
        let blocks = a[..whole].par_chunks(BLOCK).zip(b[..whole].par_chunks(BLOCK));
        let blocks: Vec<f64> = blocks.map(|(a, b)| isa.dispatch(SquaredDistance { a, b })).collect();
        self.sum = blocks.iter().fold(self.sum, |sum, block| sum + block);
        self.rest[0].extend_from_slice(&a[whole..]);
        self.rest[1].extend_from_slice(&b[whole..]);
    }

    /// The sum, after the last element.
    #[must_use]
    pub fn finish(self) -> f64 {
        self.sum + squared_distance(&self.rest[0], &self.rest[1])
    }
}

/// `d ← β·d + factor·(a − b)`.
///
/// # Panics
/// If the lengths differ.
pub fn add_difference<E: Element>(a: &[E], b: &[E], factor: f32, beta: f32, d: &mut [E]) {
    assert!(a.len() == d.len() && b.len() == d.len(), "one element for each");
    let isa = Isa::detect();
    let inputs = a.par_chunks(BLOCK).zip(b.par_chunks(BLOCK));
    d.par_chunks_mut(BLOCK).zip(inputs).for_each(|(d, (a, b))| isa.dispatch(AddDifference { a, b, factor, beta, d }));
}

/// Σ (aᵢ − bᵢ)² over one block.
pub(super) struct SquaredDistance<'a, E> {
    pub a: &'a [E],
    pub b: &'a [E],
}

impl<E: Element> Kernel for SquaredDistance<'_, E> {
    type Output = f64;

    /// In eight interleaved sums, which the compiler keeps in vector registers. Every instruction set has the same ones.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let square = |a: E, b: E| (f64::from(a.to_f32()) - f64::from(b.to_f32())).powi(2);
        let mut sums = [0.0; 8];
        let (a_chunks, b_chunks) = (self.a.chunks_exact(8), self.b.chunks_exact(8));
        let tail: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| square(a, b)).sum();
        for (a, b) in a_chunks.zip(b_chunks) {
            for lane in 0..8 {
                sums[lane] += square(a[lane], b[lane]);
            }
        }
        sums.iter().sum::<f64>() + tail
    }
}

/// Σ |aᵢ − bᵢ| over one block.
pub(super) struct AbsoluteDistance<'a, E> {
    pub a: &'a [E],
    pub b: &'a [E],
}

impl<E: Element> Kernel for AbsoluteDistance<'_, E> {
    type Output = f64;

    /// As [`SquaredDistance`].
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let distance = |a: E, b: E| (f64::from(a.to_f32()) - f64::from(b.to_f32())).abs();
        let mut sums = [0.0; 8];
        let (a_chunks, b_chunks) = (self.a.chunks_exact(8), self.b.chunks_exact(8));
        let tail: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| distance(a, b)).sum();
        for (a, b) in a_chunks.zip(b_chunks) {
            for lane in 0..8 {
                sums[lane] += distance(a[lane], b[lane]);
            }
        }
        sums.iter().sum::<f64>() + tail
    }
}

/// Σ |aᵢ| over one block.
struct AbsoluteSum<'a, E> {
    a: &'a [E],
}

impl<E: Element> Kernel for AbsoluteSum<'_, E> {
    type Output = f64;

    /// As [`SquaredDistance`].
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let size = |a: E| f64::from(a.to_f32()).abs();
        let mut sums = [0.0; 8];
        let chunks = self.a.chunks_exact(8);
        let tail: f64 = chunks.remainder().iter().map(|&a| size(a)).sum();
        for a in chunks {
            for lane in 0..8 {
                sums[lane] += size(a[lane]);
            }
        }
        sums.iter().sum::<f64>() + tail
    }
}

/// [`add_difference`] of one block.
pub(super) struct AddDifference<'a, E> {
    pub a: &'a [E],
    pub b: &'a [E],
    pub factor: f32,
    pub beta: f32,
    pub d: &'a mut [E],
}

impl<E: Element> Kernel for AddDifference<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (factor, beta) = (simd.splat(self.factor), simd.splat(self.beta));
        let inputs = self.a.chunks(S::LANES).zip(self.b.chunks(S::LANES));
        for (d, (a, b)) in self.d.chunks_mut(S::LANES).zip(inputs) {
            let difference = simd.sub(E::load_partial(simd, a), E::load_partial(simd, b));
            let gradient = simd.mul(factor, difference);
            // A fresh buffer (β = 0) is not read: its contents may be anything, NaN too.
            let gradient =
                if self.beta == 0.0 { gradient } else { simd.add(simd.mul(beta, E::load_partial(simd, d)), gradient) };
            E::store_partial(simd, gradient, d);
        }
    }
}

/// `d += factor · sign(a − b)` over one block, the sign of 0 being 0.
pub(super) struct AddSign<'a> {
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub factor: f32,
    pub d: &'a mut [f32],
}

impl Kernel for AddSign<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(self.factor);
        let inputs = self.a.chunks(S::LANES).zip(self.b.chunks(S::LANES));
        for (d, (a, b)) in self.d.chunks_mut(S::LANES).zip(inputs) {
            let (a, b) = (f32::load_partial(simd, a), f32::load_partial(simd, b));
            let above = simd.select(simd.positive(simd.sub(a, b)), factor);
            let below = simd.select(simd.positive(simd.sub(b, a)), factor);
            let sum = simd.add(f32::load_partial(simd, d), simd.sub(above, below));
            f32::store_partial(simd, sum, d);
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    fn numbers(length: usize, step: usize) -> Vec<bf16> {
        (0..length).map(|i| bf16::from_f32(((i * step + 7) % 1021) as f32 / 1021.0 - 0.5)).collect()
    }

    fn wide(numbers: &[bf16]) -> Vec<f32> {
        numbers.iter().map(|x| x.to_f32()).collect()
    }

    #[test]
    fn bf16_gives_what_f32_gives_on_the_same_numbers_rounded() {
        for length in [0, 1, 7, 8, 17, 100, BLOCK + 13] {
            let (a, b, d) = (numbers(length, 613), numbers(length, 31), numbers(length, 7919));
            assert_eq!(squared_distance(&a, &b), squared_distance(&wide(&a), &wide(&b)));
            for beta in [0.0, 1.0, 0.5] {
                let (mut found, mut expected) = (d.clone(), wide(&d));
                add_difference(&a, &b, 0.3, beta, &mut found);
                add_difference(&wide(&a), &wide(&b), 0.3, beta, &mut expected);
                assert!(found.iter().zip(&expected).all(|(&found, &x)| found == bf16::from_f32(x)), "{length}, {beta}");
            }
        }
    }

    #[test]
    fn absolute_values_are_summed_whatever_their_number_and_type() {
        for length in [0, 1, 7, 8, 17, 100, BLOCK + 13] {
            let a = numbers(length, 613);
            let expected: f64 = a.iter().map(|a| f64::from(a.to_f32().abs())).sum();
            // In another order; of ten thousand numbers in f64.
            assert!((absolute_sum(&a) - expected).abs() <= 1e-12 * expected, "{length}");
            assert_eq!(absolute_sum(&a), absolute_sum(&wide(&a)));
        }
    }

    #[test]
    fn a_sum_of_some_elements_at_a_time_is_that_of_the_whole() {
        for (length, step) in [(5, 2), (3 * BLOCK + 77, 1000), (2 * BLOCK, BLOCK), (7 * BLOCK + 3, 3 * BLOCK + 1)] {
            let (a, b) = (numbers(length, 613), numbers(length, 31));
            let mut distances = SquaredDistances::default();
            a.chunks(step).zip(b.chunks(step)).for_each(|(a, b)| distances.add(a, b));
            assert_eq!(distances.finish(), squared_distance(&a, &b), "{length} by {step}");
        }
    }

    #[test]
    fn what_a_fresh_buffer_holds_is_not_read() {
        let mut d = [f32::NAN; 5];
        add_difference(&[1.0, 2.0, 3.0, 4.0, 5.0], &[1.0; 5], 2.0, 0.0, &mut d);
        assert_eq!(d, [0.0, 2.0, 4.0, 6.0, 8.0]);
    }
}
