//! The pictures of a run at every size that it will see them at.
//!
//! A photograph has often more pixels than the picture that is made of it. So each is resized to all scales at once, and
//! what was read may go, each before the next is read: all scales together have twice the pixels of the last one, each of
//! them half as many as the next, and none is there any more when the next one is worked on.

use std::collections::VecDeque;

use super::finish::{Finish, FromContent, FromStyles};
use super::plan::{Plan, Scale};
use super::sizes::Style;
use crate::config::Config;
use crate::picture::Picture;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The pictures of each scale that differs from the one before.
    sizes: VecDeque<Pictures>,
    finish: Finish,
}

/// The pictures of a run at the sizes of a scale.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    pub content: Picture,
    pub styles: Vec<Picture>,
}

/// What a run is made of, while not every style picture is there.
#[derive(Clone, Debug)]
pub struct WithoutStyles<'a> {
    config: &'a Config,
    plan: &'a Plan,
    sizes: Vec<Pictures>,
    of_content: FromContent,
    of_styles: FromStyles,
}

impl Inputs {
    /// Of a content and one style picture, for all scales of a plan.
    ///
    /// # Panics
    /// If the plan is of several styles.
    #[must_use]
    pub fn new(config: &Config, plan: &Plan, content: &Picture, style: &Picture) -> Self {
        Self::of(config, plan, content).with(style).done()
    }

    /// Of a content picture and as many styles as the plan is of, in its order.
    ///
    /// # Panics
    /// If there are more or fewer.
    #[must_use]
    pub fn all(config: &Config, plan: &Plan, content: &Picture, styles: &[Style]) -> Self {
        let first = Self::of(config, plan, content);
        styles.iter().fold(first, |inputs, style| inputs.with(&style.picture)).done()
    }

    /// Of a content picture, which may go before the others come.
    #[must_use]
    pub fn of<'a>(config: &'a Config, plan: &'a Plan, content: &Picture) -> WithoutStyles<'a> {
        let size = |scale: &Scale| Pictures { content: content.resize(scale.height, scale.width), styles: Vec::new() };
        WithoutStyles {
            config,
            plan,
            sizes: differing(plan).map(size).collect(),
            of_content: FromContent::new(config, plan.last(), content),
            of_styles: FromStyles::default(),
        }
    }

    /// The pictures of the next scale that differs from the one before.
    pub(super) fn next(&mut self) -> Pictures {
        self.sizes.pop_front().expect("pictures for every scale")
    }

    pub(super) fn into_finish(self) -> Finish {
        self.finish
    }
}

impl WithoutStyles<'_> {
    /// With the next style picture, which may go before another comes.
    ///
    /// # Panics
    /// If there are more than the plan is of.
    #[must_use]
    pub fn with(mut self, style: &Picture) -> Self {
        let index = self.sizes[0].styles.len();
        assert!(index < self.plan.shares.len(), "no more styles than were planned");
        for (pictures, scale) in self.sizes.iter_mut().zip(differing(self.plan)) {
            let (height, width) = scale.styles[index];
            pictures.styles.push(style.resize(height, width));
        }
        self.of_styles.add(self.config, self.plan.last().styles[index], self.plan.shares[index], style);
        self
    }

    /// All of it, after the last style picture.
    ///
    /// # Panics
    /// If one is missing.
    #[must_use]
    pub fn done(self) -> Inputs {
        let WithoutStyles { config, plan, sizes, of_content, of_styles } = self;
        assert_eq!(sizes[0].styles.len(), plan.shares.len(), "every style that was planned");
        Inputs { sizes: sizes.into(), finish: Finish::new(config, plan.last(), of_content, of_styles) }
    }
}

/// The scales that differ from the one before.
fn differing(plan: &Plan) -> impl Iterator<Item = &Scale> {
    let first = plan.scales.iter().take(1);
    first.chain(plan.scales.windows(2).filter(|pair| !pair[1].continues(&pair[0])).map(|pair| &pair[1]))
}
