//! Sums over whole maps: `f64`, in fixed blocks, merged in order.

use rayon::prelude::*;

/// Elements per block.
pub(crate) const BLOCK: usize = 1 << 14;

/// Σ (aᵢ − bᵢ)².
#[must_use]
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "one element for each");
    let blocks: Vec<f64> = a
        .par_chunks(BLOCK)
        .zip(b.par_chunks(BLOCK))
        .map(|(a, b)| lanes(a, b, |a, b| (f64::from(a) - f64::from(b)).powi(2)))
        .collect();
    blocks.iter().sum()
}

/// Σ f(aᵢ, bᵢ) in eight interleaved sums, which the compiler keeps in vector registers.
fn lanes(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| f(a, b)).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += f(a[lane], b[lane]);
        }
    }
    sums.iter().sum::<f64>() + tail
}
