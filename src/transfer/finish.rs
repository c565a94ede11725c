//! What becomes of the optimiser's picture at the end: its own size, colours matched, flats calmed, tone, the content
//! picture's colour if that is kept, opacity.
//!
//! All of it needs a few numbers of the two pictures that were read, or colour alone, not the pictures: those may go
//! before the run begins.

use ndarray::{Array2, Array3};

use super::calm::Stillness;
use super::canvas::resample;
use super::colours::{OfContent, OfStyle};
use super::plan::{self, Scale};
use crate::config::{Config, Tone};
use crate::kernels::resample::Interpolation;
use crate::kernels::variation::Edges;
use crate::picture::Picture;
use crate::picture::chroma::Chroma;
use crate::picture::palette::Colours;
use crate::picture::tone::Adjustment;

/// What a result is made with.
#[derive(Clone, Debug)]
pub struct Finish {
    /// (H, W).
    size: (usize, usize),
    edges: Edges,
    /// The content picture's opacity at that size.
    alpha: Option<Array2<f32>>,
    /// The style picture's, with the most that a difference is stretched.
    colours: Option<(Colours, f64)>,
    stillness: Option<Stillness>,
    tone: Adjustment,
    /// The content picture's, where that is kept.
    kept: Option<Chroma>,
}

/// What of the content picture a result is made with.
#[derive(Clone, Debug)]
pub struct FromContent {
    alpha: Option<Array2<f32>>,
    tone: Option<Adjustment>,
    pub(super) colours: OfContent,
}

impl FromContent {
    /// Of a run to the scale `last`, on a picture as it was read.
    pub fn new(config: &Config, last: &Scale, content: &Picture, colours: OfContent) -> Self {
        let small = || content.resize(last.height, last.width);
        // One in colour is looked at as it was read.
        let seen = (colours.is_grey() && config.tone == Tone::Content).then(|| colours.seen(small()));
        FromContent {
            alpha: content.alpha.as_ref().and_then(|_| small().alpha),
            tone: Adjustment::of_content(config.tone, seen.as_ref().unwrap_or(content)),
            colours,
        }
    }
}

impl Finish {
    /// Of a run to the scale `last`, with a style picture as it was read, and the colours that it is seen in.
    pub fn new(config: &Config, last: &Scale, content: FromContent, style: &Picture, colours: &OfStyle) -> Self {
        // One that is seen as it is need not be made small for its brightness.
        let toned = content.tone.is_none() && colours.changes();
        let asked = config.match_result || config.calm > 0 || toned;
        let small = asked.then(|| colours.seen(style.resize(last.style.0, last.style.1)));
        let colours = small.as_ref().filter(|_| config.match_result).and_then(Colours::of);
        let calmed = small.as_ref().filter(|_| config.calm > 0);
        Finish {
            size: (last.height, last.width),
            edges: plan::edges(config),
            alpha: content.alpha,
            colours: colours.map(|colours| (colours, config.largest_gain)),
            stillness: calmed.map(|style| Stillness::of(style, config.calm as usize)),
            tone: content.tone.unwrap_or_else(|| {
                let seen = small.as_ref().filter(|_| toned);
                Adjustment::of_style(seen.unwrap_or(style))
            }),
            kept: content.colours.into_kept(),
        }
    }

    /// The result, of a picture of any size: an interrupted run may have ended at a smaller scale.
    pub fn apply(self, picture: Picture) -> Picture {
        let (height, width) = self.size;
        let mut result = match ((picture.height(), picture.width()) == self.size, self.edges) {
            (true, _) => picture,
            (false, Edges::Open) => picture.resize(height, width),
            (false, Edges::Joined) => enlarged_around(&picture, height, width),
        };
        result.alpha = self.alpha;
        if let Some((colours, largest_gain)) = &self.colours {
            colours.give(&mut result, *largest_gain);
        }
        if let Some(stillness) = &self.stillness {
            stillness.calm(&mut result, self.edges);
        }
        self.tone.apply(&mut result);
        if let Some(chroma) = &self.kept {
            chroma.give(&mut result);
        }
        result
    }
}

/// A picture whose opposite sides are joined at another size, where they are so still.
fn enlarged_around(picture: &Picture, height: usize, width: usize) -> Picture {
    let rgb = picture.rgb.as_standard_layout();
    let mut enlarged = Array3::zeros((height, width, 3));
    let resample =
        resample(Edges::Joined, Interpolation::Bicubic, (picture.height(), picture.width()), (height, width));
    resample.apply(rgb.as_slice().expect("in standard layout"), enlarged.as_slice_mut().expect("a new array"));
    enlarged.mapv_inplace(|v: f32| v.clamp(0.0, 1.0));
    Picture::from_rgb(enlarged)
}
