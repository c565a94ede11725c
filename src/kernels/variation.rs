//! Weighted sums of differences between neighbouring pixels, squared or absolute,
//! and their gradient: what total variation is made of.

use rayon::prelude::*;

use super::reduce::{AbsoluteDistance, AddDifference, AddSign, SquaredDistance};
use super::simd::Isa;
use crate::tensor::FeatureMap;

/// One kind of neighbour: (rows down, columns right) and the weight of its differences.
/// Rows are 0 or 1, columns −1, 0 or 1.
pub type Neighbour = (usize, isize, f64);

/// Which neighbours are compared, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Stencil {
    /// The neighbours.
    pub neighbours: Vec<Neighbour>,
    /// What is summed of each difference.
    pub power: Power,
}

/// What is summed of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// |d|. Where it is 0 it has no derivative; 0 is taken, the middle one of its subgradients.
    Absolute,
    /// d².
    Squared,
}

impl Power {
    /// The sum over all of a − b.
    fn sum(self, isa: Isa, a: &[f32], b: &[f32]) -> f64 {
        match self {
            Power::Absolute => isa.dispatch(AbsoluteDistance { a, b }),
            Power::Squared => isa.dispatch(SquaredDistance { a, b }),
        }
    }

    /// `d += scale · ∂sum/∂a`.
    fn add_slope(self, isa: Isa, (a, b): (&[f32], &[f32]), scale: f64, d: &mut [f32]) {
        match self {
            Power::Absolute => isa.dispatch(AddSign { a, b, factor: scale as f32, d }),
            Power::Squared => isa.dispatch(AddDifference { a, b, factor: (2.0 * scale) as f32, beta: 1.0, d }),
        }
    }
}

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

/// `Σ_k w_k Σ_p (x[p + δ_k] − x[p])²`, or of absolute values, over all channels.
#[must_use]
pub fn sum(x: &FeatureMap, stencil: &Stencil, edges: Edges) -> f64 {
    let (isa, power) = (Isa::detect(), stencil.power);
    let row = |i: usize| -> f64 {
        let pairs = stencil.neighbours.iter().filter_map(|&(down, right, weight)| {
            let other = edges.below(i, down, x.height())?;
            let (a, b) = (columns(x, i, -right)?, columns(x, other, right)?);
            let inside = power.sum(isa, a, b);
            let joined = edges.joined(x, i, other, right).map(|(a, b)| power.sum(isa, a, b));
            Some(weight * (inside + joined.unwrap_or(0.0)))
        });
        pairs.sum()
    };
    let rows: Vec<f64> = (0..x.height()).into_par_iter().map(row).collect();
    rows.iter().sum()
}

/// `d_x ← β·d_x + scale · ∂sum/∂x`, for (scale, β).
pub fn backward(x: &FeatureMap, stencil: &Stencil, edges: Edges, (scale, beta): (f64, f32), d_x: &mut FeatureMap) {
    let channels = x.channels();
    let (isa, height, row) = (Isa::detect(), x.height(), x.width() * channels);
    d_x.as_mut_slice().par_chunks_mut(row).enumerate().for_each(|(i, d)| {
        if beta == 0.0 {
            d.fill(0.0);
        }
        for &(down, right, weight) in &stencil.neighbours {
            // Every pixel is the near end of a pair with its neighbour, and the far end of the pair before it.
            let mut ends = |other: Option<usize>, right: isize| {
                let Some((own, theirs)) = other.and_then(|o| columns(x, i, -right).zip(columns(x, o, right))) else {
                    return;
                };
                let first = channels * usize::from(right < 0);
                let inside = &mut d[first..first + own.len()];
                stencil.power.add_slope(isa, (own, theirs), scale * weight, inside);
                if let Some((own, theirs)) = other.and_then(|o| edges.joined(x, i, o, right)) {
                    let d = if right > 0 { &mut d[row - channels..] } else { &mut d[..channels] };
                    stencil.power.add_slope(isa, (own, theirs), scale * weight, d);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::random_map;

    /// By the definition, pair by pair: the sum, and its gradient.
    fn reference(x: &FeatureMap, stencil: &Stencil, edges: Edges) -> (f64, Vec<f64>) {
        let (height, width, channels) = x.dim();
        let (mut sum, mut d) = (0.0, vec![0.0; x.as_slice().len()]);
        for &(down, right, weight) in &stencil.neighbours {
            for at in 0..height * width {
                let (i, j) = ((at / width + down) as isize, (at % width) as isize + right);
                let inside = i < height as isize && (0..width as isize).contains(&j);
                if !inside && edges == Edges::Open {
                    continue;
                }
                let other = i.rem_euclid(height as isize) as usize * width + j.rem_euclid(width as isize) as usize;
                for c in 0..channels {
                    let [own, theirs] = [at, other].map(|pixel| f64::from(x.as_slice()[pixel * channels + c]));
                    let difference = own - theirs;
                    let (value, slope) = match stencil.power {
                        Power::Squared => (difference * difference, 2.0 * difference),
                        Power::Absolute => {
                            (difference.abs(), if difference == 0.0 { 0.0 } else { difference.signum() })
                        }
                    };
                    sum += weight * value;
                    d[at * channels + c] += weight * slope;
                    d[other * channels + c] -= weight * slope;
                }
            }
        }
        (sum, d)
    }

    #[test]
    fn sums_and_gradients_are_those_of_the_definition_whatever_the_size() {
        let neighbours = vec![(1, 0, 0.75), (0, 1, 1.5), (1, 1, 0.25), (1, -1, 0.5)];
        for (height, width, channels) in [(1, 1, 3), (1, 7, 3), (9, 1, 1), (5, 6, 3), (13, 17, 5)] {
            let mut x = random_map(height, width, channels, 1);
            // Some neighbours are the same.
            x.as_mut_slice().iter_mut().for_each(|x| *x = (4.0 * *x).round() / 4.0);
            for (power, edges) in [Power::Absolute, Power::Squared]
                .into_iter()
                .flat_map(|power| [Edges::Open, Edges::Joined].map(|edges| (power, edges)))
            {
                let stencil = Stencil { neighbours: neighbours.clone(), power };
                let (expected, d) = reference(&x, &stencil, edges);
                // Quarters: every product is exact.
                assert_eq!(sum(&x, &stencil, edges), expected, "{power:?} {edges:?} {height}×{width}");
                for beta in [0.0, 1.0] {
                    let mut found = random_map(height, width, channels, 2);
                    let before = found.clone();
                    backward(&x, &stencil, edges, (0.5, beta), &mut found);
                    let pairs = found.as_slice().iter().zip(before.as_slice()).zip(&d);
                    // A dozen roundings of sums below 8.
                    assert!(
                        pairs.into_iter().all(|((&found, &before), d)| {
                            (f64::from(found) - f64::from(beta * before) - 0.5 * d).abs() < 1e-5
                        }),
                        "{power:?} {edges:?} {height}×{width}, β = {beta}"
                    );
                }
            }
        }
    }
}
