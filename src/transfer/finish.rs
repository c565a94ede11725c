//! What becomes of the optimiser's picture at the end: its own size, colours matched, flats calmed, tone, opacity.
//!
//! All of it needs a few numbers of the two pictures that were read, not the pictures: those may go before the run
//! begins.

use ndarray::Array2;

use super::calm::Stillness;
use super::plan::Scale;
use crate::config::Config;
use crate::picture::palette::Colours;
use crate::picture::tone::Adjustment;
use crate::picture::{Picture, Pixels, resized, resized_alpha};

/// What a result is made with.
#[derive(Clone, Debug)]
pub struct Finish {
    /// (H, W).
    size: (usize, usize),
    /// The content picture's opacity at that size.
    alpha: Option<Array2<f32>>,
    /// The style picture's, with the most that a difference is stretched.
    colours: Option<(Colours, f64)>,
    stillness: Option<Stillness>,
    tone: Adjustment,
}

/// What of the content picture a result is made with.
#[derive(Clone, Debug)]
pub struct FromContent {
    alpha: Option<Array2<f32>>,
    tone: Option<Adjustment>,
}

impl FromContent {
    /// Of a run to the scale `last`, on a picture as it was read.
    pub fn new(config: &Config, last: &Scale, content: &dyn Pixels) -> Self {
        FromContent {
            alpha: resized_alpha(content, last.height, last.width),
            tone: Adjustment::of_content(config.tone, content),
        }
    }
}

impl Finish {
    /// Of a run to the scale `last`, with a style picture as it was read.
    pub fn new(config: &Config, last: &Scale, content: FromContent, style: &dyn Pixels) -> Self {
        let asked = config.match_result || config.calm > 0;
        let small = asked.then(|| resized(style, last.style.0, last.style.1));
        let colours = small.as_ref().filter(|_| config.match_result).and_then(Colours::of);
        let calmed = small.as_ref().filter(|_| config.calm > 0);
        Finish {
            size: (last.height, last.width),
            alpha: content.alpha,
            colours: colours.map(|colours| (colours, config.largest_gain)),
            stillness: calmed.map(|style| Stillness::of(style, config.calm as usize)),
            tone: content.tone.unwrap_or_else(|| Adjustment::of_style(style)),
        }
    }

    /// The result, of a picture of any size: an interrupted run may have ended at a smaller scale.
    pub fn apply(self, picture: Picture) -> Picture {
        let (height, width) = self.size;
        let mut result =
            if (picture.height(), picture.width()) == self.size { picture } else { picture.resize(height, width) };
        result.alpha = self.alpha;
        if let Some((colours, largest_gain)) = &self.colours {
            colours.give(&mut result, *largest_gain);
        }
        if let Some(stillness) = &self.stillness {
            stillness.calm(&mut result);
        }
        self.tone.apply(&mut result);
        result
    }
}
