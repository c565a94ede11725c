//! Arithmetic on flat vectors: products are summed in `f64`, in fixed blocks that are merged in order.
//!
//! A dot product of a million `f32` summed in `f32` has three digits left when its terms cancel, as those of a step
//! with a gradient do; and one summed in the order in which threads finish is another number every time, which a line
//! search would turn into another picture.

use rayon::prelude::*;

use crate::kernels::reduce::BLOCK;
use crate::kernels::simd::{Isa, Kernel, Simd};

/// Partial sums of a block, which the compiler keeps in vector registers. Every instruction set has the same ones.
const LANES: usize = 8;

/// Σᵢ term(aᵢ, bᵢ, …) of K vectors, M sums at once.
pub(super) fn sums<const K: usize, const M: usize>(
    from: [&[f32]; K],
    term: impl Fn([f32; K]) -> [f64; M] + Copy + Sync,
) -> [f64; M] {
    let length = from[0].len();
    assert!(from.iter().all(|v| v.len() == length), "vectors of one length");
    let isa = Isa::detect();
    let block = |start: usize| {
        let from = from.map(|v| &v[start..length.min(start + BLOCK)]);
        isa.dispatch(Sums { from, term })
    };
    let blocks: Vec<[f64; M]> = (0..length.div_ceil(BLOCK)).into_par_iter().map(|i| block(i * BLOCK)).collect();
    blocks.iter().fold([0.0; M], add)
}

/// aᵀb.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let [product] = sums([a, b], |[a, b]| [f64::from(a) * f64::from(b)]);
    product
}

/// `d ← scale·d + factor·x`, and then dᵀz: one way through memory for both.
pub(super) fn combine(d: &mut [f32], scale: f64, factor: f64, x: &[f32], z: &[f32]) -> f64 {
    assert!(d.len() == x.len() && d.len() == z.len(), "vectors of one length");
    let isa = Isa::detect();
    let (scale, factor) = (scale as f32, factor as f32);
    let blocks = d.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).zip(z.par_chunks(BLOCK));
    let products: Vec<f64> = blocks.map(|((d, x), z)| isa.dispatch(Combine { d, scale, factor, x, z })).collect();
    products.iter().sum()
}

/// `to ← x + alpha·d`. Says whether that is anywhere another number than x.
pub(super) fn advance(to: &mut [f32], x: &[f32], alpha: f32, d: &[f32]) -> bool {
    assert!(to.len() == x.len() && to.len() == d.len(), "vectors of one length");
    let blocks = to.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).zip(d.par_chunks(BLOCK));
    let moved = blocks.map(|((to, x), d)| {
        let mut moved = false;
        for ((to, &x), &d) in to.iter_mut().zip(x).zip(d) {
            *to = advanced(x, alpha, d);
            moved |= *to != x;
        }
        moved
    });
    moved.reduce(|| false, |a, b| a | b)
}

/// One element of [`advance`]: to be repeated to the bit where it is asked what was asked for.
#[inline(always)]
pub(super) fn advanced(x: f32, alpha: f32, d: f32) -> f32 {
    x + alpha * d
}

/// `to[i] ← of(from[0][i], from[1][i])`.
pub(super) fn map2(to: &mut [f32], from: [&[f32]; 2], of: impl Fn(f32, f32) -> f32 + Sync) {
    assert!(from.iter().all(|v| v.len() == to.len()), "vectors of one length");
    let blocks = to.par_chunks_mut(BLOCK).zip(from[0].par_chunks(BLOCK)).zip(from[1].par_chunks(BLOCK));
    blocks.for_each(|((to, a), b)| {
        for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
            *to = of(a, b);
        }
    });
}

fn add<const M: usize>(mut total: [f64; M], part: &[f64; M]) -> [f64; M] {
    total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    total
}

struct Sums<'a, const K: usize, F> {
    from: [&'a [f32]; K],
    term: F,
}

impl<const K: usize, const M: usize, F: Fn([f32; K]) -> [f64; M]> Kernel for Sums<'_, K, F> {
    type Output = [f64; M];

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [f64; M] {
        let chunks = self.from.map(|v| v.as_chunks::<LANES>());
        let mut lanes = [[0.0; LANES]; M];
        for i in 0..chunks[0].0.len() {
            let chunk = chunks.map(|(whole, _)| whole[i]);
            for lane in 0..LANES {
                let term = (self.term)(chunk.map(|v| v[lane]));
                for (lanes, term) in lanes.iter_mut().zip(term) {
                    lanes[lane] += term;
                }
            }
        }
        let mut total = lanes.map(|lanes| lanes.iter().sum());
        for i in 0..chunks[0].1.len() {
            total = add(total, &(self.term)(chunks.map(|(_, rest)| rest[i])));
        }
        total
    }
}

struct Combine<'a> {
    d: &'a mut [f32],
    scale: f32,
    factor: f32,
    x: &'a [f32],
    z: &'a [f32],
}

impl Kernel for Combine<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let (scale, factor) = (self.scale, self.factor);
        let one = |d: &mut f32, x: f32, z: f32| {
            *d = scale * *d + factor * x;
            f64::from(*d) * f64::from(z)
        };
        let (d, d_rest) = self.d.as_chunks_mut::<LANES>();
        let ((x, x_rest), (z, z_rest)) = (self.x.as_chunks::<LANES>(), self.z.as_chunks::<LANES>());
        let mut lanes = [0.0; LANES];
        for ((d, x), z) in d.iter_mut().zip(x).zip(z) {
            for lane in 0..LANES {
                lanes[lane] += one(&mut d[lane], x[lane], z[lane]);
            }
        }
        let rest: f64 = d_rest.iter_mut().zip(x_rest).zip(z_rest).map(|((d, &x), &z)| one(d, x, z)).sum();
        lanes.iter().sum::<f64>() + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(length: usize, step: usize) -> Vec<f32> {
        (0..length).map(|i| ((i * step + 7) % 1021) as f32 / 1021.0 - 0.5).collect()
    }

    #[test]
    fn sums_are_those_of_the_definition_at_every_length() {
        for length in [0, 1, 7, 8, 17, BLOCK, 2 * BLOCK + 13] {
            let (a, b) = (numbers(length, 613), numbers(length, 31));
            let expected: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let [product, count] = sums([&a, &b], |[a, b]| [f64::from(a) * f64::from(b), 1.0]);
            // Sums of at most 3e4 terms below 1, in another order.
            assert!((product - expected).abs() < 1e-10 && product == dot(&a, &b), "{length}");
            assert_eq!(count, length as f64);
        }
    }

    #[test]
    fn combining_is_a_scaled_sum_and_a_product() {
        for length in [1, 9, BLOCK + 5] {
            let (mut d, x, z) = (numbers(length, 613), numbers(length, 31), numbers(length, 7));
            let expected: Vec<f32> = d.iter().zip(&x).map(|(d, x)| 0.5 * d + 3.0 * x).collect();
            let product = combine(&mut d, 0.5, 3.0, &x, &z);
            assert_eq!(d, expected);
            assert!((product - dot(&expected, &z)).abs() < 1e-10);
        }
    }

    #[test]
    fn advancing_by_less_than_a_rounding_is_no_move() {
        let mut to = [0.0; 2];
        assert!(!advance(&mut to, &[1.0, 0.5], 1.0, &[1e-9, -1e-9]));
        assert!(advance(&mut to, &[1.0, 0.5], 1.0, &[1e-9, -0.25]));
        assert_eq!(to, [1.0, 0.25]);
    }
}
