//! What the loop tells its caller: a [`Step`] per iteration, an [`Outcome`] at
//! the end. Progress displays, traces and previews are built from these alone,
//! so the loop knows no terminal and no file.

use super::Run;
use crate::error::Error;
use crate::picture::Picture;
use crate::vgg::Layer;

/// One iteration: the losses measured before its update, the picture after it.
pub struct Step<'a> {
    /// The iteration, from 1, counted through all scales. The measurement after the
    /// last update has the number `iterations + 1` and [`Step::last`] set.
    pub iteration: u32,
    /// Iterations of the whole run.
    pub iterations: u32,
    /// The scale, from 1 (the smallest).
    pub scale: u32,
    /// Scales of the whole run.
    pub scales: u32,
    /// Iterations made at this scale, with this one. A scale may end before its last, where the loss has settled.
    pub done: u32,
    /// Height of the picture at this scale, in pixels.
    pub height: usize,
    /// Width of the picture at this scale, in pixels.
    pub width: usize,
    /// Content loss, unweighted.
    pub content: f64,
    /// Style loss, unweighted: the layers' losses times their weights w_l, summed.
    pub style: f64,
    /// Total variation, unweighted.
    pub tv: f64,
    /// Each loss that was added, unweighted.
    pub added: Vec<f64>,
    /// α·content + β·style + γ·tv and what was added: what is minimised.
    pub total: f64,
    /// Each style layer's loss, without its weight w_l.
    pub layers: Vec<(Layer, f64)>,
    /// Seconds this iteration took.
    pub seconds: f64,
    /// True for the one measurement after the last update, which updates nothing.
    pub last: bool,
    pub(super) state: &'a Run<'a>,
}

impl Step<'_> {
    /// The picture after this iteration's update, at this scale's size, without tone or alpha.
    #[must_use]
    pub fn picture(&self) -> Picture {
        self.state.picture()
    }
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct Outcome {
    /// The picture at the result's size, toned, with the content picture's alpha.
    pub picture: Picture,
    /// Updates made.
    pub iterations: u32,
    /// Why the run ended.
    pub end: End,
}

/// Why a run ended.
#[derive(Debug)]
pub enum End {
    /// Every iteration was made.
    Finished,
    /// The callback asked to stop; the picture is the one so far.
    Stopped,
    /// A loss or gradient was not finite ([`Error::Diverged`]); the picture is the last finite one.
    Diverged(Error),
}
