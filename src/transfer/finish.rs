//! What becomes of the optimiser's picture at the end: its own size, colours matched, flats calmed, tone, opacity.
//!
//! All of it needs a few numbers of the pictures that were read, not the pictures: those may go before the run
//! begins.

use ndarray::Array2;

use super::calm::Stillness;
use super::plan::Scale;
use crate::config::{Config, Tone};
use crate::picture::Picture;
use crate::picture::palette::Colours;
use crate::picture::tone::{Adjustment, Brightness};

/// What a result is made with.
#[derive(Clone, Debug)]
pub struct Finish {
    /// (H, W).
    size: (usize, usize),
    /// The content picture's opacity at that size.
    alpha: Option<Array2<f32>>,
    /// The style pictures', with the most that a difference is stretched.
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
    pub fn new(config: &Config, last: &Scale, content: &Picture) -> Self {
        FromContent {
            alpha: content.alpha.as_ref().and_then(|_| content.resize(last.height, last.width).alpha),
            tone: Adjustment::of_content(config.tone, content),
        }
    }
}

/// What of the style pictures a result is made with, each with its share.
#[derive(Clone, Debug, Default)]
pub struct FromStyles {
    colours: Vec<(f64, Colours)>,
    stillness: Vec<(f64, Stillness)>,
    brightness: Vec<(f64, Brightness)>,
}

impl FromStyles {
    /// Looks at a style picture as it was read, which is of size (H, W) in the run's last scale.
    pub fn add(&mut self, config: &Config, (height, width): (usize, usize), share: f64, style: &Picture) {
        let asked = config.match_result || config.calm > 0;
        let small = asked.then(|| style.resize(height, width));
        let colours = small.as_ref().filter(|_| config.match_result).and_then(Colours::of);
        self.colours.extend(colours.map(|colours| (share, colours)));
        let calmed = small.as_ref().filter(|_| config.calm > 0);
        self.stillness.extend(calmed.map(|style| (share, Stillness::of(style, config.calm as usize))));
        let brightness = (config.tone == Tone::Style).then(|| Brightness::of(style)).flatten();
        self.brightness.extend(brightness.map(|brightness| (share, brightness)));
    }
}

impl Finish {
    /// Of a run to the scale `last`.
    pub fn new(config: &Config, last: &Scale, content: FromContent, styles: FromStyles) -> Self {
        Finish {
            size: (last.height, last.width),
            alpha: content.alpha,
            colours: Colours::blend(&styles.colours).map(|colours| (colours, config.largest_gain)),
            stillness: Stillness::blend(&styles.stillness),
            tone: content.tone.unwrap_or(Adjustment::Match(Brightness::blend(&styles.brightness))),
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
