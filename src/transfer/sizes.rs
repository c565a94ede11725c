//! What a plan has to know of the pictures of a run: how large they are, and how much each style counts.

use crate::error::{Error, Result};
use crate::picture::{Mask, Picture};

/// A picture whose manner is taken, beside others or alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// The picture.
    pub picture: Picture,
    /// How much it counts beside others: any number above 0, only the weights' ratios matter.
    pub weight: f64,
    /// Which mask of [`Regions`] says where it is painted, from 0; `None` is wherever the others leave room.
    pub region: Option<usize>,
    /// How much each part of it is learned from; `None` is all of it.
    pub mask: Option<Mask>,
}

/// What is painted where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// Where styles are painted, over the content picture.
    pub masks: Vec<Mask>,
    /// What of the content picture stays as it is.
    pub keep: Option<Mask>,
}

impl Style {
    /// One that counts as much as any other.
    #[must_use]
    pub fn new(picture: Picture) -> Self {
        Style { picture, weight: 1.0, region: None, mask: None }
    }
}

/// Sizes of the pictures of a run, before any resizing.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Height and width of the content picture, in pixels.
    pub content: (usize, usize),
    /// The style pictures, at least one.
    pub styles: Vec<StyleSize>,
    /// The masks of regions.
    pub masks: Vec<(usize, usize)>,
    /// The mask of what is kept.
    pub keep: Option<(usize, usize)>,
}

/// A style picture's size and weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StyleSize {
    /// Height and width, in pixels.
    pub size: (usize, usize),
    /// As [`Style::weight`].
    pub weight: f64,
    /// As [`Style::region`].
    pub region: Option<usize>,
    /// Height and width of its mask.
    pub mask: Option<(usize, usize)>,
}

impl StyleSize {
    /// Of weight 1, without masks.
    #[must_use]
    pub fn new(size: (usize, usize)) -> Self {
        StyleSize { size, weight: 1.0, region: None, mask: None }
    }
}

impl Sizes {
    /// Of a content and one style picture of (height, width) pixels each.
    #[must_use]
    pub fn new(content: (usize, usize), style: (usize, usize)) -> Self {
        Sizes { content, styles: vec![StyleSize::new(style)], masks: Vec::new(), keep: None }
    }

    /// Of a content picture, several styles and regions.
    #[must_use]
    pub fn of(content: &Picture, styles: &[Style], regions: &Regions) -> Self {
        let size = |picture: &Picture| (picture.height(), picture.width());
        let of_mask = |mask: &Mask| mask.values().dim();
        let style = |style: &Style| StyleSize {
            size: size(&style.picture),
            weight: style.weight,
            region: style.region,
            mask: style.mask.as_ref().map(of_mask),
        };
        Sizes {
            content: size(content),
            styles: styles.iter().map(style).collect(),
            masks: regions.masks.iter().map(of_mask).collect(),
            keep: regions.keep.as_ref().map(of_mask),
        }
    }

    /// The weights as shares of all of them: together 1.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no style, a weight is not a number above 0, or a region has no mask.
    pub fn shares(&self) -> Result<Vec<f64>> {
        if self.styles.is_empty() {
            return Err(Error::Usage("there is no style picture; give at least one".into()));
        }
        let weights = self.styles.iter().map(|style| style.weight);
        if let Some(weight) = weights.clone().find(|&weight| !usable(weight)) {
            return Err(Error::Usage(format!("a style of weight {weight}: give a number above 0, or leave it out")));
        }
        if self.styles.iter().any(|style| style.region.is_some_and(|region| region >= self.masks.len())) {
            return Err(Error::Usage("a style is for a region that has no mask; give it one".into()));
        }
        let sum: f64 = weights.clone().sum();
        Ok(weights.map(|weight| weight / sum).collect())
    }
}

/// Whether a style may have such a weight: the sum of many of the largest is finite, too.
#[must_use]
pub fn usable(weight: f64) -> bool {
    (1e-100..=1e100).contains(&weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighing(weights: &[f64]) -> Sizes {
        let style = |&weight| StyleSize { weight, ..StyleSize::new((20, 30)) };
        Sizes { styles: weights.iter().map(style).collect(), ..Sizes::new((20, 30), (20, 30)) }
    }

    #[test]
    fn weights_become_shares() {
        assert_eq!(weighing(&[3.0, 1.0]).shares().unwrap(), [0.75, 0.25]);
        assert_eq!(Sizes::new((20, 30), (20, 30)).shares().unwrap(), [1.0]);
    }

    #[test]
    fn what_counts_for_nothing_is_refused() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = weighing(&[1.0, wrong]).shares().unwrap_err().to_string();
            assert!(message.contains(&format!("weight {wrong}")) && message.contains("above 0"), "{message}");
        }
        assert!(weighing(&[]).shares().is_err());
        let mut sizes = weighing(&[1.0]);
        sizes.styles[0].region = Some(0);
        assert!(sizes.shares().unwrap_err().to_string().contains("has no mask"));
    }
}
