//! Which styles are painted where: regions of the picture, and what of a style picture is looked at.
//!
//! ```text
//!   masks of the styles ──shares a pixel──▶ p_g(x), Σ_g p_g ≤ 1      layer:  Σ p f fᵀ, Σ p f, Σ p   of each region g
//!
//!   style = Σ_l w_l Σ_g a_g · distance(region g, its styles)         a_g = Σ_x p_g / Σ_g Σ_x p_g
//! ```
//!
//! A region's distance is that of a picture of its own. Its share of the loss is its share of the pixels, so a pixel is
//! pulled as strongly as in a picture that is all one region, however small its own is. Masks are brought to a layer's
//! size by area, so that a mask that is not black has a say at every layer.
//!
//! Source: the guided Gram matrices of Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*,
//! arXiv:1611.07865.

use std::sync::Arc;

use super::statistic::{Measure, Target};
use super::{Goal, LayerWeight};
use crate::autograd::{Tape, Var};
use crate::kernels::resample::Resample;
use crate::ops::{add, masked_moments, scale};
use crate::tensor::FeatureMap;
use crate::vgg::Layer;
use crate::vgg::layers::{channels, stride};

/// A part of the picture, and what it learns from.
#[derive(Clone, Debug)]
pub struct Region {
    /// How much each pixel of the picture belongs to it, (H × W × 1) in [0, 1]; `None` if all do.
    pub mask: Option<FeatureMap>,
    /// The styles that are blended in it, at least one.
    pub styles: Vec<Sample>,
}

/// A style picture.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its share of what the region learns: together they are 1.
    pub share: f64,
    /// The picture (H × W × 3), sRGB in [0, 1].
    pub picture: FeatureMap,
    /// How much each pixel of it counts, (H × W × 1) in [0, 1]; `None` if all count alike.
    pub mask: Option<FeatureMap>,
}

impl Region {
    /// The whole picture, learning from one style.
    #[must_use]
    pub fn whole(style: FeatureMap) -> Self {
        Region { mask: None, styles: vec![Sample { share: 1.0, picture: style, mask: None }] }
    }
}

/// A mask at the size of a layer, a number for each of its pixels.
pub(super) type LayerMask = Arc<[f32]>;

/// A mask (H × W × 1) at the size of a layer, by area.
pub(super) fn at_layer(mask: &FeatureMap, layer: Layer) -> LayerMask {
    let (height, width, _) = mask.dim();
    let size = (height / stride(layer), width / stride(layer));
    if size == (height, width) {
        return mask.as_slice().into();
    }
    let mut small = vec![0.0; size.0 * size.1];
    Resample::area((height, width), size, 1).apply(mask.as_slice(), &mut small);
    small.into()
}

/// Σ m.
pub(super) fn weight(mask: &[f32]) -> f64 {
    mask.iter().map(|&m| f64::from(m)).sum()
}

/// Pixels and channels of a layer, of a picture of (H, W).
pub(super) fn extent(layer: Layer, (height, width): (usize, usize)) -> (usize, usize) {
    ((height / stride(layer)) * (width / stride(layer)), channels(layer))
}

/// A region's features at a layer, and what they are compared with.
pub(super) struct Compared {
    pub layer: LayerWeight,
    pub region: usize,
    /// The region's share of the layer's loss.
    pub share: f64,
    pub mask: Option<LayerMask>,
    /// Σ m, or M.
    pub pixels: f64,
    pub measure: Measure,
    pub target: Box<dyn Target>,
}

impl Compared {
    /// Of a picture of (H, W).
    pub fn new(
        layer: LayerWeight,
        (region, share): (usize, f64),
        mask: Option<&FeatureMap>,
        size: (usize, usize),
        target: Box<dyn Target>,
    ) -> Self {
        let (pixels, channels) = extent(layer.layer, size);
        let mask = mask.map(|mask| at_layer(mask, layer.layer));
        // What is weighted is never taken as it is.
        let measure = if mask.is_some() { Measure::Moments } else { target.measure(pixels, channels) };
        let pixels = mask.as_ref().map_or(pixels as f64, |mask| weight(mask));
        Compared { layer, region, share, mask, pixels, measure, target }
    }

    /// Records what counts of the layer's features.
    pub fn record(&self, tape: &mut Tape<'_>, features: Var) -> Var {
        match &self.mask {
            Some(mask) => masked_moments(tape, features, mask.clone()),
            None => self.measure.record(tape, features),
        }
    }

    /// How its memory is named.
    pub fn name(&self) -> String {
        match self.region {
            0 => self.layer.layer.to_string(),
            region => format!("{}.region{region}", self.layer.layer),
        }
    }
}

/// The share of each region in the loss, by its pixels.
pub(super) fn shares(regions: &[Region]) -> Vec<f64> {
    let weights = regions.iter().map(|region| region.mask.as_ref().map_or(1.0, |mask| weight(mask.as_slice())));
    let all: f64 = weights.clone().sum();
    weights.map(|weight| weight / all).collect()
}

/// Each layer's loss, of those of its regions: they come layer by layer.
pub(super) fn by_layer(tape: &mut Tape<'_>, style: &[Compared], losses: &[Var]) -> Vec<(LayerWeight, Var)> {
    let layers = style.chunk_by(|one, next| one.layer.layer == next.layer.layer);
    let mut losses = losses.iter();
    let loss = |regions: &[Compared]| {
        let mut own = losses.by_ref().take(regions.len());
        let loss = match regions {
            [_] => *own.next().expect("a loss for each"),
            several => {
                let parts: Vec<Var> =
                    several.iter().zip(own).map(|(part, &loss)| scale(tape, loss, part.share)).collect();
                add(tape, &parts)
            }
        };
        (regions[0].layer, loss)
    };
    layers.map(loss).collect()
}

/// Bytes that masks of a region take at the layers of a goal, of a picture of (H, W).
pub fn mask_bytes(goal: &Goal, size: (usize, usize)) -> usize {
    goal.style_layers.iter().map(|l| size_of::<f32>() * extent(l.layer, size).0).sum()
}
