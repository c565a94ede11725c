//! The two pictures at every size that a run will see them at.
//!
//! A photograph has often more pixels than the picture that is made of it. So each is resized to all scales at once, and
//! what was read may go, the first before the second is read: all scales together have twice the pixels of the last one,
//! each of them half as many as the next, and none is there any more when the next one is worked on.

use std::collections::VecDeque;

use super::colours::OfContent;
use super::finish::{Finish, FromContent};
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

/// What a run is made of, while the style picture is not there.
#[derive(Clone, Debug)]
pub struct WithoutStyle<'a> {
    config: &'a Config,
    plan: &'a Plan,
    sizes: Vec<Picture>,
    content: FromContent,
}

impl Inputs {
    /// Of a content and a style picture, for all scales of a plan.
    #[must_use]
    pub fn new(config: &Config, plan: &Plan, content: &Picture, style: &Picture) -> Self {
        Self::of(config, plan, content).with(style)
    }

    /// Of a content picture, which may go before the other comes.
    #[must_use]
    pub fn of<'a>(config: &'a Config, plan: &'a Plan, content: &Picture) -> WithoutStyle<'a> {
        let colours = OfContent::new(config, plan.last(), content);
        let sizes = differing(plan).map(|scale| colours.seen(content.resize(scale.height, scale.width))).collect();
        WithoutStyle { config, plan, sizes, content: FromContent::new(config, plan.last(), content, colours) }
    }

    /// Content and style of the next scale that differs from the one before.
    pub(super) fn next(&mut self) -> [Picture; 2] {
        self.sizes.pop_front().expect("pictures for every scale")
    }

    pub(super) fn into_finish(self) -> Finish {
        self.finish
    }
}

impl WithoutStyle<'_> {
    /// With the style picture.
    #[must_use]
    pub fn with(self, style: &Picture) -> Inputs {
        let WithoutStyle { config, plan, sizes, content } = self;
        let colours = content.colours.with(plan.last(), style);
        let styles = differing(plan).map(|scale| colours.seen(style.resize(scale.style.0, scale.style.1)));
        Inputs {
            sizes: sizes.into_iter().zip(styles).map(|(content, style)| [content, style]).collect(),
            finish: Finish::new(config, plan.last(), content, style, &colours),
        }
    }
}

/// The scales that differ from the one before.
fn differing(plan: &Plan) -> impl Iterator<Item = &Scale> {
    let first = plan.scales.iter().take(1);
    first.chain(plan.scales.windows(2).filter(|pair| !pair[1].continues(&pair[0])).map(|pair| &pair[1]))
}
