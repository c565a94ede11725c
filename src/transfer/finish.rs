//! What becomes of the optimiser's picture at the end: its own size, colours matched, flats calmed, tone, the content
//! picture's colour if that is kept, what is kept of it whole, opacity.
//!
//! All of it needs a few numbers of the pictures that were read, or colour alone, not the pictures: those may go before
//! the run begins.

use ndarray::{Array2, Array3};

use super::calm::Stillness;
use super::canvas::resample;
use super::colours::{OfContent, OfStyle};
use super::painted::{Seen, by_region, seen_through};
use super::plan::{self, Plan};
use crate::config::{Config, Tone};
use crate::kernels::resample::Interpolation;
use crate::kernels::variation::Edges;
use crate::picture::chroma::Chroma;
use crate::picture::palette::Colours;
use crate::picture::tone::{Adjustment, Brightness};
use crate::picture::{Mask, Picture, Pixels, resized, resized_alpha};
use crate::tensor::FeatureMap;

/// What a result is made with.
#[derive(Clone, Debug)]
pub struct Finish {
    /// (H, W).
    size: (usize, usize),
    edges: Edges,
    /// The content picture's opacity at that size.
    alpha: Option<Array2<f32>>,
    /// Each region's part of every pixel at that size, if there are masks.
    parts: Option<Vec<FeatureMap>>,
    /// The style pictures' of each region.
    colours: Vec<Option<Colours>>,
    /// The most that a difference is stretched.
    largest_gain: f64,
    stillness: Vec<Option<Stillness>>,
    tone: Adjustment,
    /// The content picture's colour, where that is kept.
    chroma: Option<Chroma>,
    /// The content picture at that size, and how much of each pixel stays.
    kept: Option<(Picture, FeatureMap)>,
}

/// What of the content picture a result is made with.
#[derive(Clone, Debug)]
pub struct FromContent {
    alpha: Option<Array2<f32>>,
    tone: Option<Adjustment>,
    kept: Option<Picture>,
    pub(super) colours: OfContent,
}

impl FromContent {
    /// Of a picture as it was read.
    pub fn new(config: &Config, plan: &Plan, content: &dyn Pixels, colours: OfContent) -> Self {
        let last = plan.last();
        let small = || resized(content, last.height, last.width);
        // One in colour is looked at as it was read.
        let grey = (colours.is_grey() && config.tone == Tone::Content).then(|| colours.seen(small()));
        let seen = grey.as_ref().map_or(content, |grey| grey);
        FromContent {
            alpha: resized_alpha(content, last.height, last.width),
            tone: Adjustment::of_content(config.tone, seen),
            kept: plan.keeps.then(small),
            colours,
        }
    }
}

/// What of the style pictures a result is made with, each with its number.
#[derive(Clone, Debug, Default)]
pub struct FromStyles {
    colours: Vec<(usize, Colours)>,
    stillness: Vec<(usize, Stillness)>,
    brightness: Vec<(usize, Brightness)>,
}

impl FromStyles {
    /// Looks at a style picture as it was read, with the colours that it is seen in, or at what a mask shows of it; it is
    /// of size (H, W) in the run's last scale.
    pub fn add(
        &mut self,
        config: &Config,
        (height, width): (usize, usize),
        (index, style, seen): (usize, &dyn Pixels, &OfStyle),
        mask: Option<&Mask>,
    ) {
        // One that is seen as it is need not be made small for its brightness.
        let toned = config.tone == Tone::Style && seen.changes();
        let asked = config.match_result || config.calm > 0 || toned;
        let small = asked.then(|| seen.seen(resized(style, height, width)));
        let small_mask = mask.map(|mask| mask.resize(height, width));
        if let Some(small) = small.as_ref().filter(|_| config.match_result) {
            let colours = Colours::of(&seen_through(small, small_mask.as_ref()));
            self.colours.extend(colours.map(|colours| (index, colours)));
        }
        let calmed = small.as_ref().filter(|_| config.calm > 0);
        let stillness = calmed.map(|style| Stillness::of_part(style, config.calm as usize, small_mask.as_ref()));
        self.stillness.extend(stillness.map(|stillness| (index, stillness)));
        if config.tone == Tone::Style {
            let style = small.as_ref().filter(|_| toned).map_or(style, |small| small);
            let (height, width) = style.size();
            let mask = mask.map(|mask| mask.resize(height, width));
            let brightness = match &mask {
                Some(through) => Brightness::of(&Seen { picture: style, through }),
                None => Brightness::of(style),
            };
            self.brightness.extend(brightness.map(|brightness| (index, brightness)));
        }
    }
}

/// What each group of a plan has of its styles, with their shares in it.
fn grouped<T: Clone>(plan: &Plan, found: &[(usize, T)]) -> Vec<Vec<(f64, T)>> {
    let of = |&(index, share): &(usize, f64)| {
        found.iter().find(|(number, _)| *number == index).map(|(_, found)| (share, found.clone()))
    };
    plan.groups.iter().map(|group| group.styles.iter().filter_map(of).collect()).collect()
}

impl Finish {
    /// Of a run to a plan's last scale; at its size, the parts of the plan's groups, and what is kept.
    pub fn new(
        config: &Config,
        plan: &Plan,
        content: FromContent,
        styles: FromStyles,
        (parts, keep): (Option<Vec<FeatureMap>>, Option<FeatureMap>),
    ) -> Self {
        let last = plan.last();
        let area = |group: usize| {
            let part = parts.as_ref().map(|parts| parts[group].as_slice());
            part.map_or(1.0, |part| part.iter().map(|&v| f64::from(v)).sum())
        };
        let brightness = grouped(plan, &styles.brightness).into_iter().enumerate();
        let brightness = brightness.flat_map(|(group, found)| {
            let area = area(group);
            found.into_iter().map(move |(share, brightness)| (area * share, brightness))
        });
        let brightness: Vec<_> = brightness.collect();
        Finish {
            size: (last.height, last.width),
            edges: plan::edges(config),
            alpha: content.alpha,
            colours: grouped(plan, &styles.colours).iter().map(|found| Colours::blend(found)).collect(),
            largest_gain: config.largest_gain,
            stillness: grouped(plan, &styles.stillness).iter().map(|found| Stillness::blend(found)).collect(),
            tone: content.tone.unwrap_or(Adjustment::Match(Brightness::blend(&brightness))),
            chroma: content.colours.into_kept(),
            kept: content.kept.zip(keep),
            parts,
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
        let give = |group: usize, picture: &mut Picture| {
            if let Some(colours) = &self.colours[group] {
                colours.give(picture, self.largest_gain);
            }
        };
        let calm = |group: usize, picture: &mut Picture| {
            if let Some(stillness) = &self.stillness[group] {
                stillness.calm_part(picture, self.edges, self.parts.as_ref().map(|parts| &parts[group]));
            }
        };
        let any = |found: bool| self.parts.as_ref().filter(|_| found);
        match &self.parts {
            None => {
                give(0, &mut result);
                calm(0, &mut result);
            }
            Some(_) => {
                any(self.colours.iter().any(Option::is_some))
                    .into_iter()
                    .for_each(|parts| by_region(&mut result, parts, give));
                any(self.stillness.iter().any(Option::is_some))
                    .into_iter()
                    .for_each(|parts| by_region(&mut result, parts, calm));
            }
        }
        self.tone.apply(&mut result);
        if let Some(chroma) = &self.chroma {
            chroma.give(&mut result);
        }
        if let Some((content, keep)) = &self.kept {
            let pixels = result.rgb.lanes_mut(ndarray::Axis(2)).into_iter().zip(content.rgb.lanes(ndarray::Axis(2)));
            for ((mut colour, content), &keep) in pixels.zip(keep.as_slice()) {
                // White and black to the bit what they are of.
                colour.iter_mut().zip(content).for_each(|(v, c)| *v = keep * c + (1.0 - keep) * *v);
            }
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
