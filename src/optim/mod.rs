//! Optimisers: they see slices of `f32` and nothing else.
//!
//! ```text
//!   the loop                                  an optimiser
//!   loss, gradient = objective(x)  ──tell──▶  moves x to the next point it wants to know about
//!   project x on what is allowed   ◀──ask───  and says what became of the last one
//! ```
//!
//! Evaluating a picture takes a thousand times as long as moving it, so the loop must stay the only one who does it:
//! it counts, shows progress, saves and stops. An optimiser is told a loss and a gradient, never asks for them by
//! itself, and keeps between two tellings nothing but numbers. A run may be put away and taken up in the middle of a
//! line search.
//!
//! Between `tell` and the next evaluation the caller may move x, to bring it back into the box of colours or into
//! whatever else is allowed. The optimisers work with the point that was evaluated, not with the one they asked for.

pub mod adam;
pub mod lbfgs;
pub mod line_search;
pub mod schedule;
mod vector;

use serde::{Deserialize, Serialize};

use crate::state::{Found, Saved};
pub use adam::{Adam, AdamOptions};
pub use lbfgs::{Lbfgs, LbfgsOptions};

/// What became of the point that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is an iterate: the run may count it.
    Accepted,
    /// It was a trial of a line search, and is behind us.
    Trial,
}

/// Which optimiser, with its constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Method {
    /// [`Adam`].
    Adam(AdamOptions),
    /// [`Lbfgs`].
    Lbfgs(LbfgsOptions),
}

impl Method {
    /// A fresh optimiser of `length` elements.
    #[must_use]
    pub fn build(self, length: usize) -> Optimizer {
        match self {
            Method::Adam(options) => Optimizer::Adam(Adam::new(options, length)),
            Method::Lbfgs(options) => Optimizer::Lbfgs(Lbfgs::new(options, length)),
        }
    }

    /// An optimiser of `length` elements with the memory that [`Optimizer::save`] kept.
    ///
    /// # Errors
    /// If it is not there.
    pub fn load(self, length: usize, found: &Found) -> Result<Optimizer, String> {
        Ok(match self {
            Method::Adam(options) => Optimizer::Adam(Adam::load(options, length, found)?),
            Method::Lbfgs(options) => Optimizer::Lbfgs(Lbfgs::load(options, length, found)?),
        })
    }

    /// Bytes that its memory of `length` elements grows to.
    #[must_use]
    pub fn bytes(self, length: usize) -> u64 {
        match self {
            Method::Adam(_) => Adam::bytes(length),
            Method::Lbfgs(options) => options.bytes(length),
        }
    }
}

/// One of the optimisers, with its memory.
///
/// ```
/// use impasto::optim::{LbfgsOptions, Method, Told};
///
/// // The point of the unit square that is nearest to (2, ½).
/// let mut x = vec![0.1f32, 0.9];
/// let mut optimizer = Method::Lbfgs(LbfgsOptions { history: 5, learning_rate: 1.0, noise: 0.0 }).build(2);
/// for _ in 0..20 {
///     let gradient = [x[0] - 2.0, x[1] - 0.5];
///     let loss = gradient.iter().map(|g| 0.5 * f64::from(g * g)).sum();
///     let _: Told = optimizer.tell(&mut x, loss, &gradient, 1.0);
///     x.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
/// }
/// let best = optimizer.accepted().unwrap_or(&x);
/// assert!((best[0] - 1.0).abs() < 1e-6 && (best[1] - 0.5).abs() < 1e-4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    /// A step size for each element.
    Adam(Adam),
    /// Curvature from the last steps, and a line search.
    Lbfgs(Lbfgs),
}

impl Optimizer {
    /// Tells the loss and its gradient at `x`, and moves `x` to the next point at which both are wanted.
    ///
    /// `rate` is the share of the learning rate in this iteration, see [`schedule`]. A line search finds its
    /// own step, and L-BFGS does not look at it.
    ///
    /// # Panics
    /// If `x` or `gradient` has another length than the optimiser.
    pub fn tell(&mut self, x: &mut [f32], loss: f64, gradient: &[f32], rate: f64) -> Told {
        match self {
            Optimizer::Adam(adam) => {
                adam.step_by(x, gradient, rate);
                Told::Accepted
            }
            Optimizer::Lbfgs(lbfgs) => lbfgs.tell(x, loss, gradient),
        }
    }

    /// Keeps its memory.
    pub fn save<'a>(&'a self, saved: &mut Saved<'a>) {
        match self {
            Optimizer::Adam(adam) => adam.save(saved),
            Optimizer::Lbfgs(lbfgs) => lbfgs.save(saved),
        }
    }

    /// What a run that stops now returns, if that is not the point asked for: that is Adam's next iterate, but a trial of
    /// L-BFGS, whose last iterate is another.
    #[must_use]
    pub fn accepted(&self) -> Option<&[f32]> {
        match self {
            Optimizer::Adam(_) => None,
            Optimizer::Lbfgs(lbfgs) => lbfgs.iterate(),
        }
    }

    /// Whether every further telling would be answered with the same point.
    #[must_use]
    pub fn finished(&self) -> bool {
        match self {
            Optimizer::Adam(_) => false,
            Optimizer::Lbfgs(lbfgs) => lbfgs.finished(),
        }
    }

    /// The same optimiser without its memory, for `length` elements.
    #[must_use]
    pub fn cold(self, length: usize) -> Self {
        match self {
            Optimizer::Adam(adam) => Optimizer::Adam(adam.cold(length)),
            Optimizer::Lbfgs(lbfgs) => Optimizer::Lbfgs(lbfgs.cold(length)),
        }
    }

    /// The same optimiser on another grid, of `length` elements. Adam keeps its moments, brought there by `moment`
    /// as [`Adam::resampled`] says. L-BFGS starts anew: steps and gradient differences that are resized one by one
    /// are no longer pairs of one Hessian.
    #[must_use]
    pub fn resampled(self, length: usize, moment: impl FnMut(Vec<f32>, bool) -> Vec<f32>) -> Self {
        match self {
            Optimizer::Adam(adam) => {
                let adam = adam.resampled(moment);
                assert_eq!(adam.len(), length, "moments of the new length");
                Optimizer::Adam(adam)
            }
            Optimizer::Lbfgs(lbfgs) => Optimizer::Lbfgs(lbfgs.cold(length)),
        }
    }
}
