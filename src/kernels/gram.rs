//! FᵀF and its gradient.
//!
//! A Gram matrix sums over hundreds of thousands of pixels. It is summed in
//! `f32` within a block of pixels and in `f64` across blocks, in block order:
//! more exact than one long `f32` sum, and the same for every thread count.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use super::gemm::gemm;
use crate::tensor::FeatureMap;

/// Pixels per block: large enough that a product is worth its packing and the N × N partial sums stay few.
fn block(channels: usize) -> usize {
    ((1 << 19) / channels).clamp(256, 8192)
}

/// `G = FᵀF` (N × N), F (M × N).
#[must_use]
pub fn gram(features: &FeatureMap) -> Array2<f32> {
    let n = features.channels();
    let matrix = features.as_matrix();
    let partial: Vec<Array2<f32>> = matrix
        .axis_chunks_iter(Axis(0), block(n))
        .into_par_iter()
        .map(|rows| {
            let mut g = Array2::zeros((n, n));
            gemm(rows.t(), rows, 0.0, g.view_mut());
            g
        })
        .collect();
    let mut sum = Array2::<f64>::zeros((n, n));
    for g in &partial {
        sum.zip_mut_with(g, |sum, &g| *sum += f64::from(g));
    }
    sum.mapv(|g| g as f32)
}

/// `d_F ← β·d_F + F·S` with S = dG + dGᵀ (N × N).
pub fn backward(features: &FeatureMap, s: ArrayView2<'_, f32>, beta: f32, d_features: &mut FeatureMap) {
    let n = features.channels();
    assert_eq!(s.dim(), (n, n), "S is (N × N)");
    assert_eq!(features.dim(), d_features.dim(), "d_F has F's shape");
    let rows = block(n).min(2048);
    let d_blocks = d_features.as_mut_slice().par_chunks_mut(rows * n);
    d_blocks.zip(features.as_slice().par_chunks(rows * n)).for_each(|(d_block, block)| {
        let pixels = block.len() / n;
        let block = ArrayView2::from_shape((pixels, n), block).expect("whole pixels");
        gemm(block, s, beta, ArrayViewMut2::from_shape((pixels, n), d_block).expect("whole pixels"));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several blocks and a tail, against plain `f64` sums.
    #[test]
    fn blocks_and_their_tail_add_up_to_the_definition() {
        let (h, w, n) = (37, 61, 300);
        let data: Vec<f32> = (0..h * w * n).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.25).collect();
        let map = FeatureMap::from_vec(h, w, n, data);
        assert!(map.pixels() > block(n) && !map.pixels().is_multiple_of(block(n)));
        let g = gram(&map);
        let f = map.as_matrix();
        for (i, j) in [(0, 0), (0, 299), (299, 0), (17, 211), (211, 17), (299, 299)] {
            let exact: f64 = (0..map.pixels()).map(|p| f64::from(f[[p, i]]) * f64::from(f[[p, j]])).sum();
            // Rounding of f32 sums within a block of 1748 pixels.
            assert!((f64::from(g[[i, j]]) - exact).abs() <= 1e-5 * exact.abs() + 1e-3, "G[{i},{j}]");
        }
    }
}
