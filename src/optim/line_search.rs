//! How far to go in one direction: a line search for the strong Wolfe conditions that asks and is told.
//!
//! On the path x(α) = P(x_k + α d), P being what the caller does to bring a point back to what is allowed, with
//! s(α) = x(α) − x_k, a step length α is accepted when
//!
//! ```text
//!   f(x(α)) ≤ f_k + c₁ g_kᵀs(α)         it leads down, by some of what the gradient promised
//!   |g(x(α))ᵀs(α)| ≤ c₂ |g_kᵀs(α)|      and there is little left to gain by another α
//! ```
//!
//! Without a projection s = α d, and these are the conditions of Nocedal & Wright 2006, section 3.1. With one they
//! are those of Bertsekas's rule along the projection arc (1976, *On the Goldstein-Levitin-Polyak gradient projection
//! method*), and the second is still what makes sᵀy positive, which BFGS lives on. Slopes are along the chord from x_k:
//! gᵀs/α, which does not jump where a coordinate meets the edge of the box, as the derivative along the path does.
//!
//! The search is that of Nocedal & Wright, algorithms 3.5 (lengthen until an interval must hold an answer) and 3.6
//! (shorten that interval). It sees numbers, never vectors, and is itself a handful of numbers, so that a run may be
//! put away in its middle.
//!
//! **Noise.** A loss summed in `f32` is right to `noise·|f|`, and near a minimum its differences are less than that,
//! while slopes are still good. So where two losses differ by no more, slopes decide (Hager & Zhang 2005, *A new
//! conjugate gradient method with guaranteed descent and an efficient line search*, their approximate Wolfe
//! condition): |f(α) − f_k| ≤ noise·|f_k| and gᵀs ≤ (1 − 2c₁)|g_kᵀs| together do for the first condition. A search in
//! an interval over which the loss changes by less ends after a few evaluations.

use serde::{Deserialize, Serialize};

/// c₁, the share of the promised decrease that is asked for.
pub const C1: f64 = 1e-4;

/// c₂, the share of the first slope that may be left: the usual one for quasi-Newton directions, whose first step is
/// nearly always good.
pub const C2: f64 = 0.9;

/// Evaluations after which the best point so far is taken.
pub const MAX_EVALUATIONS: u32 = 25;

/// The same where losses tell nothing: enough for two interpolations from slopes, in case those are still good.
const NOISY_EVALUATIONS: u32 = 4;

/// A step is lengthened at most by this factor at once.
const LONGEST: f64 = 10.0;

/// The share of an interval that a new point keeps away from its ends.
const MARGIN: f64 = 0.1;

/// What was measured at a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// f(x(α)).
    pub loss: f64,
    /// g_kᵀs: what the gradient at the start promised.
    pub promise: f64,
    /// g(x(α))ᵀs.
    pub slope: f64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The trial is the answer.
    Accept,
    /// Evaluate at [`LineSearch::alpha`].
    Evaluate,
    /// This direction leads nowhere.
    Fail,
}

/// f and its slope gᵀs/α at a step length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    alpha: f64,
    loss: f64,
    slope: f64,
}

/// The far end of the interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum End {
    Sample(Sample),
    /// There the loss is not a number, or ∞, or the path leads up from the start: nothing to interpolate with.
    Wall(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Stage {
    /// Algorithm 3.5. Every trial so far led down, and on; `last` was the last.
    Lengthen { last: Sample, promise: f64 },
    /// Algorithm 3.6. `low` is the best point so far, its slope leads towards `high`, and there is an answer between
    /// them. `width` was their distance one trial ago.
    Shorten { low: Sample, high: End, width: f64 },
    /// The best point so far is evaluated again, to be accepted: its gradient was not kept.
    Return,
}

/// A search under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineSearch {
    /// f_k.
    loss: f64,
    /// The difference of two losses that means nothing.
    noise: f64,
    alpha: f64,
    evaluations: u32,
    stage: Stage,
}

impl LineSearch {
    /// A search from a point with `loss` along a descent direction, first at α = 1. `noise` is relative.
    #[must_use]
    pub fn new(loss: f64, noise: f64) -> Self {
        let start = Sample { alpha: 0.0, loss, slope: 0.0 };
        let stage = Stage::Lengthen { last: start, promise: 0.0 };
        LineSearch { loss, noise: noise * loss.abs(), alpha: 1.0, evaluations: 0, stage }
    }

    /// The step length to evaluate at.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Before the first evaluation: asks for a longer step, as the point asked for is x_k itself in `f32`. Says
    /// whether there is one.
    pub fn lengthen(&mut self) -> bool {
        let untried = self.evaluations == 0 && self.alpha < 1e12;
        if untried {
            self.alpha *= LONGEST;
        }
        untried
    }

    /// Tells what was measured at [`LineSearch::alpha`].
    pub fn tell(&mut self, trial: Trial) -> Verdict {
        self.evaluations += 1;
        let Trial { loss, promise, slope } = trial;
        if promise == 0.0 {
            // The projection, or rounding, has left nothing of the step; nor would it of a shorter one.
            return self.finish();
        }
        let finite = loss.is_finite() && slope.is_finite();
        let leads_down = finite && promise < 0.0 && self.decreased(trial);
        if self.stage == Stage::Return {
            return if leads_down { Verdict::Accept } else { Verdict::Fail };
        }
        if leads_down && slope.abs() <= -C2 * promise {
            return Verdict::Accept;
        }
        let here = Sample { alpha: self.alpha, loss, slope: slope / self.alpha };
        let here_end = if finite && promise < 0.0 { End::Sample(here) } else { End::Wall(self.alpha) };
        // The slope at the start is known by what was promised, of which the projection has a say.
        let first_slope = |low: Sample| match here_end {
            End::Sample(here) if low.alpha == 0.0 => Sample { slope: promise / here.alpha, ..low },
            _ => low,
        };
        match self.stage {
            Stage::Lengthen { last, promise: earlier } => {
                let last = first_slope(last);
                let width = f64::INFINITY;
                let rises = last.alpha > 0.0 && loss > last.loss + self.noise;
                if !leads_down || rises {
                    self.shorten(last, here_end, width)
                } else if slope >= 0.0 {
                    self.shorten(here, End::Sample(last), width)
                } else if saturated(last, earlier, here, promise) || self.evaluations >= MAX_EVALUATIONS {
                    Verdict::Accept
                } else {
                    self.stage = Stage::Lengthen { last: here, promise };
                    let longest = LONGEST * here.alpha;
                    let shortest = here.alpha + MARGIN * (here.alpha - last.alpha);
                    let ahead = minimiser(last, here, self.noise).filter(|&alpha| alpha > here.alpha);
                    self.alpha = ahead.map_or(longest, |alpha| alpha.clamp(shortest, longest));
                    Verdict::Evaluate
                }
            }
            Stage::Shorten { low, high, width } => {
                let low = first_slope(low);
                if !leads_down || loss > low.loss + self.noise {
                    self.shorten(low, here_end, width)
                } else if slope * (high.alpha() - low.alpha) >= 0.0 {
                    self.shorten(here, End::Sample(low), width)
                } else {
                    self.shorten(here, high, width)
                }
            }
            Stage::Return => unreachable!("answered above"),
        }
    }

    /// The first condition, or what stands for it where losses cannot be told apart.
    fn decreased(&self, Trial { loss, promise, slope }: Trial) -> bool {
        loss <= self.loss + C1 * promise
            || ((loss - self.loss).abs() <= self.noise && slope <= -(1.0 - 2.0 * C1) * promise)
    }

    /// Asks for a point between `low` and `high`, which were `before` apart one trial ago.
    fn shorten(&mut self, low: Sample, high: End, before: f64) -> Verdict {
        let far = high.alpha();
        let width = (far - low.alpha).abs();
        let steepest = match high {
            End::Sample(high) => low.slope.abs().max(high.slope.abs()),
            End::Wall(_) => f64::INFINITY,
        };
        self.stage = Stage::Shorten { low, high, width };
        // The loss changes by less than its noise, or α by less than `f32` can say.
        let limit = if width * steepest <= self.noise { NOISY_EVALUATIONS } else { MAX_EVALUATIONS };
        if self.evaluations >= limit || width <= f64::from(f32::EPSILON) * far.max(low.alpha) {
            return self.finish();
        }
        let (first, last) = (low.alpha.min(far) + MARGIN * width, low.alpha.max(far) - MARGIN * width);
        let middle = 0.5 * (low.alpha + far);
        self.alpha = match high {
            // Interpolation that takes off less than a third is not to be trusted twice.
            End::Sample(high) if width <= 2.0 / 3.0 * before => {
                minimiser(low, high, self.noise).map_or(middle, |alpha| alpha.clamp(first, last))
            }
            _ => middle,
        };
        Verdict::Evaluate
    }

    /// Takes the best point so far, if it is another than the start.
    fn finish(&mut self) -> Verdict {
        let best = match self.stage {
            Stage::Lengthen { last, .. } => last.alpha,
            Stage::Shorten { low, .. } => low.alpha,
            Stage::Return => 0.0,
        };
        if best == 0.0 {
            return Verdict::Fail;
        }
        if best == self.alpha {
            return Verdict::Accept;
        }
        self.alpha = best;
        self.stage = Stage::Return;
        Verdict::Evaluate
    }
}

impl End {
    fn alpha(self) -> f64 {
        match self {
            End::Sample(sample) => sample.alpha,
            End::Wall(alpha) => alpha,
        }
    }
}

/// Whether a longer step has all but stopped leading further: everything that moves is at the edge of the box. Without
/// a projection, what is promised grows as α does.
fn saturated(last: Sample, earlier: f64, here: Sample, promise: f64) -> bool {
    last.alpha > 0.0 && promise / earlier - 1.0 < MARGIN * (here.alpha / last.alpha - 1.0)
}

/// Where the cubic through two values and slopes has its minimum: Nocedal & Wright, equation 3.59. Where the values
/// differ by noise alone, where the line through the slopes is 0.
fn minimiser(a: Sample, b: Sample, noise: f64) -> Option<f64> {
    let distance = b.alpha - a.alpha;
    let found = if (a.loss - b.loss).abs() <= noise {
        b.alpha - b.slope * distance / (b.slope - a.slope)
    } else {
        let d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.alpha - b.alpha);
        let d2 = (d1 * d1 - a.slope * b.slope).sqrt().copysign(distance);
        b.alpha - distance * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2)
    };
    found.is_finite().then_some(found)
}

#[cfg(test)]
mod tests;
