//! The two pictures at every size that a run will see them at.
//!
//! A photograph has often more pixels than the picture that is made of it. So both are resized to all scales at once,
//! and what was read may go: all scales together have twice the pixels of the last one, each of them half as many as the
//! next, and none is there any more when the next one is worked on.

use std::collections::VecDeque;

use super::finish::Finish;
use super::plan::{Plan, Scale};
use crate::config::Config;
use crate::picture::Picture;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Content and style of each scale that differs from the one before.
    sizes: VecDeque<[Picture; 2]>,
    finish: Finish,
}

impl Inputs {
    /// Of a content and a style picture, for all scales of a plan.
    #[must_use]
    pub fn new(config: &Config, plan: &Plan, content: &Picture, style: &Picture) -> Self {
        let at =
            |scale: &Scale| [content.resize(scale.height, scale.width), style.resize(scale.style.0, scale.style.1)];
        let first = plan.scales.iter().take(1).map(at);
        let others = plan.scales.windows(2).filter(|pair| !pair[1].continues(&pair[0])).map(|pair| at(&pair[1]));
        Inputs { sizes: first.chain(others).collect(), finish: Finish::new(config, plan.last(), content, style) }
    }

    /// Content and style of the next scale that differs from the one before.
    pub(super) fn next(&mut self) -> [Picture; 2] {
        self.sizes.pop_front().expect("pictures for every scale")
    }

    pub(super) fn into_finish(self) -> Finish {
        self.finish
    }
}
