//! Weighted sums of squared differences between neighbouring pixels, and their
//! gradient: what total variation is made of.

use rayon::prelude::*;

use super::reduce::{AddDifference, SquaredDistance};
use super::simd::Isa;
use crate::tensor::FeatureMap;

/// One kind of neighbour: (rows down, columns right) and the weight of its squared differences.
/// Rows are 0 or 1, columns −1, 0 or 1. Pairs that leave the map are left out.
pub type Neighbour = (usize, isize, f64);

/// `Σ_k w_k Σ_p (x[p + δ_k] − x[p])²`, over all channels.
#[must_use]
pub fn sum(x: &FeatureMap, neighbours: &[Neighbour]) -> f64 {
    let isa = Isa::detect();
    let row = |i: usize| -> f64 {
        let pairs = neighbours.iter().filter_map(|&(down, right, weight)| {
            let (a, b) = (columns(x, i, -right)?, columns(x, i + down, right)?);
            Some(weight * isa.dispatch(SquaredDistance { a, b }))
        });
        pairs.sum()
    };
    let rows: Vec<f64> = (0..x.height()).into_par_iter().map(row).collect();
    rows.iter().sum()
}

/// `d_x ← β·d_x + scale · ∂sum/∂x`.
pub fn backward(x: &FeatureMap, neighbours: &[Neighbour], scale: f64, beta: f32, d_x: &mut FeatureMap) {
    let channels = x.channels();
    let (isa, row) = (Isa::detect(), x.width() * channels);
    d_x.as_mut_slice().par_chunks_mut(row).enumerate().for_each(|(i, d)| {
        if beta == 0.0 {
            d.fill(0.0);
        }
        for &(down, right, weight) in neighbours {
            let factor = (2.0 * scale * weight) as f32;
            // Every pixel is the near end of a pair with its neighbour, and the far end of the pair before it.
            let mut ends = |other: Option<usize>, right: isize| {
                let Some((own, theirs)) = other.and_then(|o| columns(x, i, -right).zip(columns(x, o, right))) else {
                    return;
                };
                let first = channels * usize::from(right < 0);
                let d = &mut d[first..first + own.len()];
                isa.dispatch(AddDifference { a: own, b: theirs, factor, beta: 1.0, d });
            };
            ends(Some(i + down), right);
            ends(i.checked_sub(down), -right);
        }
    });
}

/// Row i without its first column (`shift` 1), its last (`shift` −1) or neither (0).
fn columns(x: &FeatureMap, i: usize, shift: isize) -> Option<&[f32]> {
    let row = x.width() * x.channels();
    let slice = x.as_slice().get(i * row..(i + 1) * row)?;
    Some(match shift {
        1 => &slice[x.channels()..],
        -1 => &slice[..row - x.channels()],
        _ => slice,
    })
}
