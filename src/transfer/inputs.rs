//! The pictures of a run at every size that it will see them at.
//!
//! A photograph has often more pixels than the picture that is made of it. So each is resized to all scales at once, and
//! what was read may go, each before the next is read: all scales together have twice the pixels of the last one, each of
//! them half as many as the next, and none is there any more when the next one is worked on.

use std::collections::VecDeque;

use super::colours::OfContent;
use super::finish::{Finish, FromContent, FromStyles};
use super::painted::{Group, check, parts, seen_through};
use super::plan::{Plan, Scale};
use super::sizes::{Regions, Style};
use crate::config::{Colors, Config};
use crate::error::Result;
use crate::picture::palette::Colours;
use crate::picture::{Mask, Picture, Pixels, resized};
use crate::tensor::FeatureMap;

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
    /// How much of each style picture is learned from (H × W × 1).
    pub style_masks: Vec<Option<FeatureMap>>,
    /// The part of each of the plan's groups in every pixel (H × W × 1), if there are masks.
    pub parts: Option<Vec<FeatureMap>>,
}

/// What a run is made of, while not every style picture and mask is there.
#[derive(Clone, Debug)]
pub struct WithoutStyles<'a> {
    config: &'a Config,
    plan: &'a Plan,
    sizes: Vec<Pictures>,
    masks: Vec<Masks>,
    of_content: FromContent,
    of_styles: FromStyles,
}

/// The masks over the content picture at the size of a scale.
#[derive(Clone, Debug, Default)]
struct Masks {
    regions: Vec<FeatureMap>,
    keep: Option<FeatureMap>,
}

impl Inputs {
    /// Of a content and one style picture, for all scales of a plan.
    ///
    /// # Panics
    /// If the plan is of several styles, or of masks.
    #[must_use]
    pub fn new(config: &Config, plan: &Plan, content: &dyn Pixels, style: &dyn Pixels) -> Self {
        Self::of(config, plan, content).with(style, None).done().expect("no masks")
    }

    /// Of a content picture and as many styles and masks as the plan is of, in its order.
    ///
    /// # Errors
    /// As [`WithoutStyles::done`].
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn all(config: &Config, plan: &Plan, content: &Picture, styles: &[Style], regions: &Regions) -> Result<Self> {
        let first = Self::of(config, plan, content);
        let masked = regions.masks.iter().fold(first, WithoutStyles::region);
        let masked = regions.keep.iter().fold(masked, WithoutStyles::keep);
        styles.iter().fold(masked, |inputs, style| inputs.with(&style.picture, style.mask.as_ref())).done()
    }

    /// Of a content picture, which may go before the others come.
    #[must_use]
    pub fn of<'a>(config: &'a Config, plan: &'a Plan, content: &dyn Pixels) -> WithoutStyles<'a> {
        let colours = OfContent::new(config, plan.last(), content);
        let size = |scale: &Scale| Pictures {
            content: colours.seen(resized(content, scale.height, scale.width)),
            styles: Vec::new(),
            style_masks: Vec::new(),
            parts: None,
        };
        let sizes: Vec<_> = differing(plan).map(size).collect();
        WithoutStyles {
            config,
            plan,
            masks: vec![Masks::default(); sizes.len()],
            sizes,
            of_content: FromContent::new(config, plan, content, colours),
            of_styles: FromStyles::default(),
        }
    }

    /// The pictures of the next scale that differs from the one before.
    pub(super) fn next(&mut self) -> Pictures {
        self.sizes.pop_front().expect("pictures for every scale")
    }

    /// The pictures of the last scale.
    pub(super) fn last(&self) -> &Pictures {
        self.sizes.back().expect("pictures for every scale")
    }

    /// The content picture as the last scale sees it.
    #[must_use]
    pub fn content(&self) -> &Picture {
        &self.last().content
    }

    /// The style pictures as the last scale sees them.
    #[must_use]
    pub fn styles(&self) -> &[Picture] {
        &self.last().styles
    }

    pub(super) fn into_finish(self) -> Finish {
        self.finish
    }
}

impl WithoutStyles<'_> {
    /// With the next style picture after all masks, and what of it is learned from if not all, which may go before another comes.
    ///
    /// # Panics
    /// If there are more than the plan is of, or masks are still to come.
    #[must_use]
    pub fn with(mut self, style: &dyn Pixels, mask: Option<&Mask>) -> Self {
        let index = self.sizes[0].styles.len();
        assert!(index < self.plan.shares.len(), "no more styles than were planned");
        let size = self.plan.last().styles[index];
        let colours = self.of_content.colours.with(size, style, mask, self.place(index).as_ref());
        for (pictures, scale) in self.sizes.iter_mut().zip(differing(self.plan)) {
            let (height, width) = scale.styles[index];
            pictures.styles.push(colours.seen(resized(style, height, width)));
            pictures.style_masks.push(mask.map(|mask| mask.resize(height, width)));
        }
        self.of_styles.add(self.config, size, (index, style, &colours), mask);
        self
    }

    /// The colours of the content picture where a style is painted, if they count and there are masks.
    fn place(&self, style: usize) -> Option<Colours> {
        let (pictures, masks) = (self.sizes.last()?, self.masks.last()?);
        if self.config.colors != Colors::Match {
            return None;
        }
        assert_eq!((masks.regions.len(), masks.keep.is_some()), (self.plan.masks, self.plan.keeps), "masks come first");
        let parts = parts(&self.plan.groups, &masks.regions, masks.keep.as_ref())?;
        let own = |group: &Group| group.styles.iter().any(|(index, _)| *index == style);
        let part = &parts[self.plan.groups.iter().position(own)?];
        Colours::of(&seen_through(&pictures.content, Some(part)))
    }

    /// With the mask of the next region.
    #[must_use]
    pub fn region(mut self, mask: &Mask) -> Self {
        for (masks, scale) in self.masks.iter_mut().zip(differing(self.plan)) {
            masks.regions.push(mask.resize(scale.height, scale.width));
        }
        self
    }

    /// With the mask of what is kept.
    #[must_use]
    pub fn keep(mut self, mask: &Mask) -> Self {
        for (masks, scale) in self.masks.iter_mut().zip(differing(self.plan)) {
            masks.keep = Some(mask.resize(scale.height, scale.width));
        }
        self
    }

    /// All of it, after the last style picture and the last mask.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) if something of the picture is in no region and not kept, or a region has
    /// nothing of it.
    ///
    /// # Panics
    /// If one is missing.
    pub fn done(self) -> Result<Inputs> {
        let WithoutStyles { config, plan, mut sizes, mut masks, of_content, of_styles } = self;
        assert_eq!(sizes[0].styles.len(), plan.shares.len(), "every style that was planned");
        let planned = (plan.masks, plan.keeps);
        assert_eq!((masks[0].regions.len(), masks[0].keep.is_some()), planned, "every mask that was planned");
        for (pictures, masks) in sizes.iter_mut().zip(&masks) {
            pictures.parts = parts(&plan.groups, &masks.regions, masks.keep.as_ref());
        }
        let last = sizes.last().and_then(|pictures| pictures.parts.clone());
        if let (Some(parts), Some(masks)) = (&last, masks.last()) {
            check(&plan.groups, &masks.regions, masks.keep.as_ref(), parts)?;
        }
        let keep = masks.pop().and_then(|masks| masks.keep);
        let finish = Finish::new(config, plan, of_content, of_styles, (last, keep));
        Ok(Inputs { sizes: sizes.into(), finish })
    }
}

/// The scales that differ from the one before.
fn differing(plan: &Plan) -> impl Iterator<Item = &Scale> {
    let first = plan.scales.iter().take(1);
    first.chain(plan.scales.windows(2).filter(|pair| !pair[1].continues(&pair[0])).map(|pair| &pair[1]))
}
