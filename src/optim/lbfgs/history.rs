//! The last steps and gradient differences, and the direction they give.

use std::collections::VecDeque;

use rayon::prelude::*;

use crate::kernels::reduce::BLOCK;
use crate::optim::vector;
use crate::state::{Found, Saved};

/// A pair is kept if sᵀy is more than this share of yᵀy: else the curvature along s, sᵀy/sᵀs, is negative or so small
/// that H would be made of rounding errors.
const CURVATURE: f64 = 1e-10;

/// A step and what it did to the gradient.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    /// x₊ − x.
    pub s: Vec<f32>,
    /// g₊ − g.
    pub y: Vec<f32>,
    /// 1/sᵀy.
    rho: f64,
}

/// The last pairs, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct History {
    room: usize,
    pairs: VecDeque<Pair>,
    /// The scale of H before any pair: sᵀy/yᵀy of the newest, the inverse of a curvature along its step (Nocedal &
    /// Wright, equation 7.20).
    pub gamma: f64,
}

impl History {
    pub fn new(room: usize) -> Self {
        assert!(room > 0, "room for one pair at least");
        History { room, pairs: VecDeque::new(), gamma: 1.0 }
    }

    pub fn save<'a>(&'a self, saved: &mut Saved<'a>) {
        let rho: Vec<f64> = self.pairs.iter().map(|pair| pair.rho).collect();
        saved.small("lbfgs.history", &(self.gamma, rho));
        for (i, pair) in self.pairs.iter().enumerate() {
            for (name, vector) in [("s", &pair.s), ("y", &pair.y)] {
                saved.array(format!("lbfgs.{name}.{i}"), &[vector.len()], vector);
            }
        }
    }

    pub fn load(room: usize, length: usize, found: &Found) -> Result<Self, String> {
        let (gamma, rho): (f64, Vec<f64>) = found.small("lbfgs.history")?;
        let vector = |name, i| found.array(&format!("lbfgs.{name}.{i}"), &[length]);
        let pair = |(i, rho)| Ok(Pair { s: vector("s", i)?, y: vector("y", i)?, rho });
        let pairs = rho.into_iter().enumerate().map(pair).collect::<Result<_, String>>()?;
        Ok(History { room, pairs, gamma })
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Forgets the pairs, but not their scale.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Buffers for a new pair: those of the oldest, which is forgotten, if there is no room for more.
    pub fn spare(&mut self, length: usize) -> Pair {
        let oldest = if self.pairs.len() == self.room { self.pairs.pop_front() } else { None };
        oldest.unwrap_or_else(|| Pair { s: vec![0.0; length], y: vec![0.0; length], rho: 0.0 })
    }

    /// Keeps a pair if it has curvature, and says whether.
    pub fn push(&mut self, mut pair: Pair) -> bool {
        let [sy, yy] = vector::sums([&pair.s, &pair.y], |[s, y]| {
            let (s, y) = (f64::from(s), f64::from(y));
            [s * y, y * y]
        });
        let curved = sy > CURVATURE * yy && sy.is_normal();
        if curved {
            pair.rho = 1.0 / sy;
            self.gamma = sy / yy;
            self.pairs.push_back(pair);
        }
        curved
    }

    /// `d ← −H g`, and −γ g where held; returns gᵀd. The two-loop recursion, algorithm 7.4:
    ///
    /// ```text
    ///   q ← −g                          newest to oldest:  αᵢ = ρᵢ sᵢᵀq,   q ← q − αᵢ yᵢ
    ///   r ← γ q                         oldest to newest:  β = ρᵢ yᵢᵀr,    r ← r + (αᵢ − β) sᵢ
    /// ```
    ///
    /// Each line's sum is the next one's product, so each is one way through memory.
    pub fn direction(&self, g: &[f32], held: &[bool], d: &mut [f32]) -> f64 {
        let blocks = d.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK)).zip(held.par_chunks(BLOCK));
        blocks.for_each(|((d, g), held)| {
            for ((d, &g), &held) in d.iter_mut().zip(g).zip(held) {
                *d = if held { 0.0 } else { -g };
            }
        });
        if let Some(newest) = self.pairs.back() {
            let mut product = vector::dot(d, &newest.s);
            let mut alphas = vec![0.0; self.pairs.len()];
            for (i, pair) in self.pairs.iter().enumerate().rev() {
                alphas[i] = pair.rho * product;
                let next = if i > 0 { &self.pairs[i - 1].s } else { &pair.y };
                product = vector::combine(d, 1.0, -alphas[i], &pair.y, next);
            }
            product *= self.gamma;
            let mut scale = self.gamma;
            for (i, pair) in self.pairs.iter().enumerate() {
                let beta = pair.rho * product;
                let next = self.pairs.get(i + 1).map_or(g, |next| &next.y);
                product = vector::combine(d, scale, alphas[i] - beta, &pair.s, next);
                scale = 1.0;
            }
        }
        let gamma = self.gamma as f32;
        let empty = self.is_empty();
        let blocks = d.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK)).zip(held.par_chunks(BLOCK));
        blocks.for_each(|((d, g), held)| {
            for ((d, &g), &held) in d.iter_mut().zip(g).zip(held) {
                if held || empty {
                    *d = -gamma * g;
                }
            }
        });
        vector::dot(g, d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl History {
        pub fn vectors(&self) -> impl Iterator<Item = &Vec<f32>> {
            self.pairs.iter().flat_map(|pair| [&pair.s, &pair.y])
        }
    }

    /// Three pairs of four variables, with positive curvature.
    const PAIRS: [[[f32; 4]; 2]; 3] = [
        [[1.0, 0.5, -0.25, 0.0], [2.0, 0.75, 0.5, -0.125]],
        [[0.0, -1.0, 0.5, 0.25], [0.25, -1.5, 1.0, 0.75]],
        [[0.125, 0.25, 0.5, -1.0], [-0.5, 0.5, 0.25, -3.0]],
    ];
    const G: [f32; 4] = [0.75, -1.0, 0.5, 2.0];

    fn history(room: usize) -> History {
        let mut history = History::new(room);
        for [s, y] in PAIRS {
            let mut pair = history.spare(4);
            (pair.s, pair.y) = (s.to_vec(), y.to_vec());
            assert!(history.push(pair));
        }
        history
    }

    /// BFGS with a whole matrix, equation 6.17: H ← (I − ρsyᵀ) H (I − ρysᵀ) + ρssᵀ, from γI.
    fn dense(pairs: &[[[f32; 4]; 2]]) -> Vec<f64> {
        let wide = |v: [f32; 4]| v.map(f64::from);
        let dot = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let [s, y] = pairs.last().unwrap().map(wide);
        let mut h = [[0.0; 4]; 4];
        (0..4).for_each(|i| h[i][i] = dot(s, y) / dot(y, y));
        for &pair in pairs {
            let [s, y] = pair.map(wide);
            let rho = 1.0 / dot(s, y);
            let hy: [f64; 4] = std::array::from_fn(|i| dot(h[i], y));
            let yhy = dot(y, hy);
            for i in 0..4 {
                for j in 0..4 {
                    h[i][j] += rho * ((1.0 + rho * yhy) * s[i] * s[j] - hy[i] * s[j] - s[i] * hy[j]);
                }
            }
        }
        h.iter().map(|&row| -dot(row, wide(G))).collect()
    }

    #[test]
    fn two_loops_are_bfgs_with_the_pairs_there_is_room_for() {
        for room in 1..=4 {
            let mut d = [0.0; 4];
            let slope = history(room).direction(&G, &[false; 4], &mut d);
            let expected = dense(&PAIRS[3 - room.min(3)..]);
            // A dozen roundings of f32, of numbers of about 1.
            assert!(d.iter().zip(&expected).all(|(d, e)| (f64::from(*d) - e).abs() < 2e-6), "{d:?} {expected:?}");
            assert!((slope - vector::dot(&d, &G)).abs() < 1e-12 && slope < 0.0);
        }
    }

    #[test]
    fn what_is_held_goes_along_its_gradient_and_bends_nothing_else() {
        let (mut d, mut without) = ([0.0; 4], [0.0; 4]);
        let history = history(3);
        history.direction(&G, &[false, true, false, false], &mut d);
        history.direction(&[G[0], 0.0, G[2], G[3]], &[false; 4], &mut without);
        assert_eq!([d[0], d[2], d[3]], [without[0], without[2], without[3]]);
        assert_eq!(d[1], -(history.gamma as f32) * G[1]);
    }

    #[test]
    fn without_pairs_it_is_steepest_descent_at_the_last_scale() {
        let mut history = history(2);
        let gamma = history.gamma as f32;
        history.clear();
        let mut d = [0.0; 4];
        history.direction(&G, &[false; 4], &mut d);
        assert_eq!(d, G.map(|g| -gamma * g));
    }

    #[test]
    fn pairs_without_curvature_are_not_kept() {
        let mut history = History::new(2);
        for y in [[-1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [f32::NAN, 0.0]] {
            let mut pair = history.spare(2);
            (pair.s, pair.y) = (vec![1.0, 0.0], y.to_vec());
            assert!(!history.push(pair) && history.is_empty() && history.gamma == 1.0);
        }
    }
}
