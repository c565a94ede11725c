//! L-BFGS: Newton's method with a Hessian that is guessed from the last few steps.
//!
//! ```text
//!   d = −H g                             H from the last pairs s = x₊ − x, y = g₊ − g (history.rs)
//!   x₊ = P(x + α d)                      α by a line search for the strong Wolfe conditions (line_search.rs)
//! ```
//!
//! Adam knows how large each element's gradient has been, but not what a step does to it. Curvature does, and tells how
//! far to go. It is paid for with 2 · history vectors of memory, and with a need for losses that are the same function
//! at every evaluation.
//!
//! Source: Nocedal & Wright 2006, *Numerical Optimization*, algorithms 7.4 and 7.5. The first step is that of
//! PyTorch's `torch.optim.LBFGS`, min(1, 1/‖g‖₁) times the learning rate along −g, so that published settings mean the
//! same; later searches begin at α = 1.
//!
//! # The box
//!
//! P is the caller's: it takes the point that was asked for, and evaluates another. Three things are made of that.
//!
//! - Everything is computed from the point evaluated: s, y, and the slopes of the line search.
//! - A coordinate that P has held back, and that −g would still drive outward, is *held*. Its gradient is not shown to
//!   H, and its share of d is a step along −g alone. This is two-metric projection (Bertsekas 1982, *Projected Newton
//!   methods for optimization problems with simple constraints*): with a whole H, what held coordinates want would
//!   bend the step of the free ones, and d need not lead down once P has cut it.
//! - Where such a coordinate has not moved, y is 0 as s is: H then approximates the inverse of the Hessian's free block
//!   rather than a block of the inverse.
//!
//! On quadratics in the box [0, 1] (64 variables, condition 1000, half of them at the edge of the box at the solution;
//! the mean of 20, down to a millionth of the way from the start's loss to the lowest) that takes 52 evaluations. With
//! y as it is 69, with the gradient as it is 4300. With every coordinate free the three are the same.
//!
//! A projection may also move one coordinate because of another, as it does where what leaves the box is taken out of
//! the finest level of a Laplacian pyramid. Then −g itself need not lead down: coarse levels are driven by pixels that
//! are at the edge and cannot follow. Such a caller leaves out of the gradient what would drive a pixel outward, before
//! it is taken apart into levels.
//!
//! # When there is no way down
//!
//! A search that fails drops the history and tries along −g. If that fails as well, or ten iterates in a row are no
//! lower by more than the losses' noise, x is as low as one can see: [`Lbfgs::finished`], and every further telling
//! is accepted where it stands.

mod history;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Told;
use super::line_search::{LineSearch, Trial, Verdict};
use super::vector;
use crate::kernels::reduce::BLOCK;
use crate::state::{Found, Saved};
use history::{History, Pair};

/// What L-BFGS can be told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LbfgsOptions {
    /// Pairs of step and gradient difference that are kept; at least 1.
    pub history: usize,
    /// Factor of the first step.
    pub learning_rate: f64,
    /// Relative noise of the losses: what is left to chance by their rounding. See [`NOISE`].
    pub noise: f64,
}

/// Relative noise of a loss that was evaluated in `f32`: about 1e-6 is seen, and a little is added for safety.
pub const NOISE: f64 = 4e-6;

/// Iterates in a row that are no lower, after which there is no more to be seen.
const PATIENCE: u32 = 10;

impl LbfgsOptions {
    /// Bytes that the memory for `length` elements grows to: 2 vectors for each pair, the iterate, its gradient and
    /// the direction, and which elements are held.
    #[must_use]
    pub fn bytes(&self, length: usize) -> u64 {
        let vectors = 2 * self.history as u64 + 3;
        (vectors * size_of::<f32>() as u64 + size_of::<bool>() as u64) * length as u64
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// Nothing has been told.
    Fresh,
    /// The next point told is x(α) of this search.
    Searching(LineSearch),
    /// There is no way down.
    Finished,
}

/// Limited-memory BFGS with its memory: plain numbers, of which a copy continues in exactly the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Lbfgs {
    options: LbfgsOptions,
    phase: Phase,
    /// x_k, the last iterate, and what is known there.
    x: Vec<f32>,
    g: Vec<f32>,
    loss: f64,
    /// The loss than which the last `since` iterates have not been lower by more than noise.
    mark: f64,
    since: u32,
    /// The direction searched.
    d: Vec<f32>,
    /// Coordinates which P has held back on the way to x_k, and which −g would drive outward.
    held: Vec<bool>,
    history: History,
}

impl Lbfgs {
    /// A fresh optimiser of `length` elements.
    ///
    /// # Panics
    /// If the history has no room for a pair.
    #[must_use]
    pub fn new(options: LbfgsOptions, length: usize) -> Self {
        let zeros = || vec![0.0; length];
        Lbfgs {
            options,
            phase: Phase::Fresh,
            x: zeros(),
            g: zeros(),
            loss: 0.0,
            mark: 0.0,
            since: 0,
            d: zeros(),
            held: vec![false; length],
            history: History::new(options.history),
        }
    }

    /// Keeps the iterate, the pairs, and the search under way.
    pub fn save<'a>(&'a self, saved: &mut Saved<'a>) {
        for (name, vector) in [("lbfgs.x", &self.x), ("lbfgs.g", &self.g), ("lbfgs.d", &self.d)] {
            saved.array(name, &[vector.len()], vector);
        }
        saved.array("lbfgs.held", &[self.held.len()], bytemuck::cast_slice::<bool, u8>(&self.held));
        saved.small("lbfgs.search", &(&self.phase, self.loss, self.mark, self.since));
        self.history.save(saved);
    }

    /// What was kept, of `length` elements.
    ///
    /// # Errors
    /// If it is not there.
    pub fn load(options: LbfgsOptions, length: usize, found: &Found) -> Result<Self, String> {
        let [x, g, d] = ["lbfgs.x", "lbfgs.g", "lbfgs.d"].map(|name| found.array(name, &[length]));
        let held = found.array::<u8>("lbfgs.held", &[length])?.into_iter().map(|held| held != 0).collect();
        let (phase, loss, mark, since) = found.small("lbfgs.search")?;
        let history = History::load(options.history, length, found)?;
        Ok(Lbfgs { options, phase, x: x?, g: g?, loss, mark, since, d: d?, held, history })
    }

    /// The same optimiser with no memory, for `length` elements.
    #[must_use]
    pub fn cold(self, length: usize) -> Self {
        Lbfgs::new(self.options, length)
    }

    /// The last iterate that was accepted; `None` before the first.
    #[must_use]
    pub fn iterate(&self) -> Option<&[f32]> {
        (self.phase != Phase::Fresh).then_some(&self.x)
    }

    /// Whether every further telling would be answered with the same point.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Tells the loss and its gradient g at `x`, and moves `x` to the next point at which both are wanted.
    ///
    /// A trial that is not finite is one that went too far. The first point must be finite; until one is, `x` stays.
    ///
    /// # Panics
    /// If `x` or `g` has another length than the optimiser.
    pub fn tell(&mut self, x: &mut [f32], loss: f64, g: &[f32]) -> Told {
        assert_eq!((x.len(), g.len()), (self.x.len(), self.x.len()), "one element each");
        let Phase::Searching(search) = &mut self.phase else {
            if self.phase == Phase::Finished {
                x.copy_from_slice(&self.x);
            } else {
                self.start(x, loss, g);
            }
            return Told::Accepted;
        };
        let [promise, slope] = vector::sums([&*x, &self.x, &self.g, g], |[x, x_k, g_k, g]| {
            let s = f64::from(x - x_k);
            [f64::from(g_k) * s, f64::from(g) * s]
        });
        match search.tell(Trial { loss, promise, slope }) {
            Verdict::Accept => {
                let alpha = search.alpha();
                self.accept(x, loss, g, alpha);
                Told::Accepted
            }
            Verdict::Evaluate => {
                self.ask(x);
                Told::Trial
            }
            Verdict::Fail => {
                self.retreat(x);
                Told::Trial
            }
        }
    }

    /// The first point, if it is finite.
    fn start(&mut self, x: &mut [f32], loss: f64, g: &[f32]) {
        let [norm] = vector::sums([g], |[g]| [f64::from(g.abs())]);
        if !(loss.is_finite() && norm.is_finite()) {
            return;
        }
        (self.loss, self.mark, self.phase) = (loss, loss, Phase::Finished);
        self.x.copy_from_slice(x);
        self.g.copy_from_slice(g);
        self.history.gamma = (1.0 / norm).min(1.0) * self.options.learning_rate;
        if norm > 0.0 {
            self.search(x);
        }
    }

    /// The trial becomes the iterate, and the next search begins.
    fn accept(&mut self, x: &mut [f32], loss: f64, g: &[f32], alpha: f64) {
        let mut pair = self.history.spare(x.len());
        vector::map2(&mut pair.s, [x, &self.x], |x, x_k| x - x_k);
        vector::map2(&mut pair.y, [g, &self.g], |g, g_k| g - g_k);
        self.hold(x, g, alpha, &mut pair);
        if !self.history.push(pair) && self.history.is_empty() {
            // No curvature, then: the step that has just been of use is the best guess.
            self.history.gamma *= alpha;
        }
        self.loss = loss;
        self.x.copy_from_slice(x);
        self.g.copy_from_slice(g);
        self.since += 1;
        if loss < self.mark - self.options.noise * self.mark.abs() {
            (self.mark, self.since) = (loss, 0);
        }
        if self.since < PATIENCE {
            self.search(x);
        } else {
            self.phase = Phase::Finished;
        }
    }

    /// Finds the held coordinates on the way from x_k to `x`, and clears y where they have not moved.
    fn hold(&mut self, x: &[f32], g: &[f32], alpha: f64, pair: &mut Pair) {
        let alpha = alpha as f32;
        let told = x.par_chunks(BLOCK).zip(g.par_chunks(BLOCK));
        let asked = self.x.par_chunks(BLOCK).zip(self.d.par_chunks(BLOCK));
        let blocks = self.held.par_chunks_mut(BLOCK).zip(pair.y.par_chunks_mut(BLOCK)).zip(told).zip(asked);
        blocks.for_each(|(((held, y), (x, g)), (x_k, d))| {
            for i in 0..held.len() {
                let asked = vector::advanced(x_k[i], alpha, d[i]);
                held[i] = (asked - x[i]) * g[i] < 0.0;
                if asked != x[i] && x[i] == x_k[i] {
                    y[i] = 0.0;
                }
            }
        });
    }

    /// Drops the history and searches along −g; or, if that is what has just failed, ends where the last iterate was.
    fn retreat(&mut self, x: &mut [f32]) {
        self.phase = Phase::Finished;
        if self.history.is_empty() {
            x.copy_from_slice(&self.x);
        } else {
            self.history.clear();
            self.search(x);
        }
    }

    /// Begins a search from x_k.
    fn search(&mut self, x: &mut [f32]) {
        // Not so: a difference of rounding errors has become a pair, or numbers are too large for `f32`.
        let descends = |slope: f64| slope < 0.0 && slope.is_finite();
        if !descends(self.history.direction(&self.g, &self.held, &mut self.d)) {
            self.history.clear();
            self.history.direction(&self.g, &self.held, &mut self.d);
        }
        self.phase = Phase::Searching(LineSearch::new(self.loss, self.options.noise));
        self.ask(x);
    }

    /// Moves `x` to x_k + α d.
    fn ask(&mut self, x: &mut [f32]) {
        let Phase::Searching(search) = &mut self.phase else { return };
        while !vector::advance(x, &self.x, search.alpha() as f32, &self.d) && search.lengthen() {}
    }
}

#[cfg(test)]
mod tests;
