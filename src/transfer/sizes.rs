//! What a plan has to know of the pictures of a run: how large they are, and how much each style counts.

use crate::error::{Error, Result};
use crate::picture::Picture;

/// A picture whose manner is taken, beside others or alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// The picture.
    pub picture: Picture,
    /// How much it counts beside others: any number above 0, only the weights' ratios matter.
    pub weight: f64,
}

impl Style {
    /// One that counts as much as any other.
    #[must_use]
    pub fn new(picture: Picture) -> Self {
        Style { picture, weight: 1.0 }
    }
}

/// Sizes of the pictures of a run, before any resizing.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Height and width of the content picture, in pixels.
    pub content: (usize, usize),
    /// The style pictures, at least one.
    pub styles: Vec<StyleSize>,
}

/// A style picture's size and weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StyleSize {
    /// Height and width, in pixels.
    pub size: (usize, usize),
    /// As [`Style::weight`].
    pub weight: f64,
}

impl Sizes {
    /// Of a content and one style picture of (height, width) pixels each.
    #[must_use]
    pub fn new(content: (usize, usize), style: (usize, usize)) -> Self {
        Sizes { content, styles: vec![StyleSize { size: style, weight: 1.0 }] }
    }

    /// Of a content picture and several styles.
    #[must_use]
    pub fn of(content: &Picture, styles: &[Style]) -> Self {
        let size = |picture: &Picture| (picture.height(), picture.width());
        let style = |style: &Style| StyleSize { size: size(&style.picture), weight: style.weight };
        Sizes { content: size(content), styles: styles.iter().map(style).collect() }
    }

    /// The weights as shares of all of them: together 1.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no style, or a weight is not a number above 0.
    pub fn shares(&self) -> Result<Vec<f64>> {
        if self.styles.is_empty() {
            return Err(Error::Usage("there is no style picture; give at least one".into()));
        }
        let weights = self.styles.iter().map(|style| style.weight);
        if let Some(weight) = weights.clone().find(|&weight| !usable(weight)) {
            return Err(Error::Usage(format!("a style of weight {weight}: give a number above 0, or leave it out")));
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
        let style = |&weight| StyleSize { size: (20, 30), weight };
        Sizes { content: (20, 30), styles: weights.iter().map(style).collect() }
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
    }
}
