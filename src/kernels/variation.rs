//! Weighted sums of squared differences between neighbouring pixels, and their
//! gradient: what total variation is made of.

use rayon::prelude::*;

use super::reduce::{AddDifference, SquaredDistance};
use super::simd::Isa;
use crate::tensor::FeatureMap;

/// One kind of neighbour: (rows down, columns right) and the weight of its squared differences.
/// Rows are 0 or 1, columns −1, 0 or 1.
pub type Neighbour = (usize, isize, f64);

/// What lies beyond a map's edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// Nothing: pairs that leave the map are left out.
    Open,
    /// The opposite side.
    Joined,
}

impl Edges {
    /// The row `down` rows below row i.
    fn below(self, i: usize, down: usize, height: usize) -> Option<usize> {
        match self {
            Edges::Open => Some(i + down).filter(|&row| row < height),
            Edges::Joined => Some((i + down) % height),
        }
    }

    /// The row `up` rows above row i.
    fn above(self, i: usize, up: usize, height: usize) -> Option<usize> {
        match self {
            Edges::Open => i.checked_sub(up),
            Edges::Joined => Some((i + height - up % height) % height),
        }
    }

    /// The pixel of row i from which a step to the right (or left, if `right` is −1) leads to the opposite side, and the
    /// pixel of row `other` that is there.
    fn joined(self, x: &FeatureMap, i: usize, other: usize, right: isize) -> Option<(&[f32], &[f32])> {
        let (width, channels) = (x.width(), x.channels());
        let pixel = |i: usize, j: usize| &x.as_slice()[(i * width + j) * channels..][..channels];
        match (self, right) {
            (Edges::Joined, 1) => Some((pixel(i, width - 1), pixel(other, 0))),
            (Edges::Joined, -1) => Some((pixel(i, 0), pixel(other, width - 1))),
            _ => None,
        }
    }
}

/// `Σ_k w_k Σ_p (x[p + δ_k] − x[p])²`, over all channels.
#[must_use]
pub fn sum(x: &FeatureMap, neighbours: &[Neighbour], edges: Edges) -> f64 {
    let isa = Isa::detect();
    let row = |i: usize| -> f64 {
        let pairs = neighbours.iter().filter_map(|&(down, right, weight)| {
            let other = edges.below(i, down, x.height())?;
            let (a, b) = (columns(x, i, -right)?, columns(x, other, right)?);
            let inside = isa.dispatch(SquaredDistance { a, b });
            let joined = edges.joined(x, i, other, right).map(|(a, b)| isa.dispatch(SquaredDistance { a, b }));
            Some(weight * (inside + joined.unwrap_or(0.0)))
        });
        pairs.sum()
    };
    let rows: Vec<f64> = (0..x.height()).into_par_iter().map(row).collect();
    rows.iter().sum()
}

/// `d_x ← β·d_x + scale · ∂sum/∂x`, for (scale, β).
pub fn backward(
    x: &FeatureMap,
    neighbours: &[Neighbour],
    edges: Edges,
    (scale, beta): (f64, f32),
    d_x: &mut FeatureMap,
) {
    let channels = x.channels();
    let (isa, height, row) = (Isa::detect(), x.height(), x.width() * channels);
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
                let inside = &mut d[first..first + own.len()];
                isa.dispatch(AddDifference { a: own, b: theirs, factor, beta: 1.0, d: inside });
                if let Some((own, theirs)) = other.and_then(|o| edges.joined(x, i, o, right)) {
                    let d = if right > 0 { &mut d[row - channels..] } else { &mut d[..channels] };
                    isa.dispatch(AddDifference { a: own, b: theirs, factor, beta: 1.0, d });
                }
            };
            ends(edges.below(i, down, height), right);
            ends(edges.above(i, down, height), -right);
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
