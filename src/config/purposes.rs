//! What the other commands than `stylize` change of a preset: textures, reconstructions and dreams are runs with other goals.

use super::{CanvasKind, Config, Init, Moments, Preset, ScaleRule, Scales, Schedule, Tone};
use crate::objective::{LayerWeight, Statistic};
use crate::vgg::{Border, Layer, SMALLEST_SIDE};

/// Iterations of a reconstruction.
const RECONSTRUCTION: u32 = 200;

/// The weight of the variation in a reconstruction from a layer of each block. What a layer does not say is left as smooth
/// as may be, or it would be filled with whatever the layer cannot see. Features of the middle blocks are largest, and
/// those of deep ones say least about single pixels.
const SMOOTHNESS: [f64; 5] = [2.0, 10.0, 60.0, 150.0, 60.0];

/// Sizes through which a dream grows, and iterations at each.
pub const OCTAVES: (u32, u32) = (4, 20);

/// The layers of the first figure of Gatys, Ecker & Bethge 2015, from which content is reconstructed.
pub const CONTENT_ROW: [Layer; 5] =
    [Layer::relu(1, 2), Layer::relu(2, 2), Layer::relu(3, 2), Layer::relu(4, 2), Layer::relu(5, 2)];

/// Those to which style is.
pub const STYLE_ROW: [Layer; 5] =
    [Layer::relu(1, 1), Layer::relu(2, 1), Layer::relu(3, 1), Layer::relu(4, 1), Layer::relu(5, 1)];

impl Config {
    /// A texture: what has the style picture's statistics, and no content. It begins with noise.
    ///
    /// Source: Gatys, Ecker & Bethge, *Texture Synthesis Using Convolutional Neural Networks*, 2015, arXiv:1505.07376.
    #[must_use]
    pub fn texture(preset: Preset) -> Self {
        let config = preset.config();
        Config {
            content_layers: Vec::new(),
            content_weight: 0.0,
            init: Init::Noise,
            detail: 0.0,
            tone: Tone::Off,
            ..config
        }
    }

    /// A picture from its features at one layer: what that layer knows of it.
    ///
    /// Source: Mahendran & Vedaldi, *Understanding Deep Image Representations by Inverting Them*, 2015, arXiv:1412.0035.
    #[must_use]
    pub fn content_reconstruction(layer: Layer) -> Self {
        Config {
            scales: Scales::Single(RECONSTRUCTION),
            content_layers: vec![LayerWeight { layer, weight: 1.0 }],
            content_weight: 1.0,
            enlarged_weighs_more: false,
            style_layers: Vec::new(),
            style_weight: 0.0,
            tv_weight: SMOOTHNESS[usize::from(layer.block) - 1],
            learning_rate: 0.03,
            init: Init::Noise,
            detail: 0.0,
            match_result: false,
            calm: 0,
            tone: Tone::Auto,
            ..Config::default()
        }
    }

    /// A picture from its own statistics at the layers up to one: what they know of its style.
    #[must_use]
    pub fn style_reconstruction(preset: Preset, layer: Layer) -> Self {
        let texture = Config::texture(preset);
        let mut style_layers: Vec<_> = texture.style_layers.iter().copied().filter(|l| l.layer <= layer).collect();
        if style_layers.last().is_none_or(|last| last.layer != layer) {
            style_layers.push(LayerWeight { layer, weight: style_layers.last().map_or(1.0, |last| last.weight) });
        }
        Config { style_layers, ..texture }
    }

    /// A dream: what a layer answers to, or one of its channels, wherever there is a trace of it, through `octaves` sizes up
    /// to that of `longest` pixels.
    ///
    /// What grows takes colours along to where they are no longer seen: the style picture is the content picture, whose
    /// colours are given back at the end.
    ///
    /// Source: Mordvintsev, Olah & Tyka, *Inceptionism: Going Deeper into Neural Networks*, 2015; ascent by Adam on the
    /// pyramid is what their gradients normalised by frequency are.
    #[must_use]
    pub fn dream(layer: Layer, channel: Option<u16>, longest: u32, (octaves, iterations): (u32, u32)) -> Self {
        let octave = |i: u32| (f64::from(longest) * 0.5f64.powf(f64::from(i) / 2.0)).round() as u32;
        let sizes =
            (0..octaves.max(1)).map(octave).filter(|&size| size == longest || size as usize >= 2 * SMALLEST_SIDE);
        let mut scales: Vec<_> = sizes.map(|size| ScaleRule { size, iterations }).collect();
        scales.reverse();
        scales.dedup_by_key(|scale| scale.size);
        Config {
            size: longest,
            scales: Scales::Given(scales),
            content_layers: Vec::new(),
            content_weight: 0.0,
            enlarged_weighs_more: false,
            statistic: Statistic::Activation(channel),
            style_layers: vec![LayerWeight { layer, weight: 1.0 }],
            tv_weight: 0.0,
            canvas: CanvasKind::Pyramid,
            learning_rate: 0.005,
            schedule: Schedule::CONSTANT,
            moments: Moments::Cold,
            average: None,
            border: Border::Replicate,
            init: Init::Content,
            jitter: 16,
            detail: 1.0,
            match_result: true,
            calm: 0,
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_is_valid() {
        for preset in Preset::OWN {
            Config::texture(preset).validate().unwrap();
            for layer in CONTENT_ROW.into_iter().chain(STYLE_ROW) {
                Config::style_reconstruction(preset, layer).validate().unwrap();
                Config::content_reconstruction(layer).validate().unwrap();
            }
        }
        for longest in [16, 20, 64, 512, 4000] {
            for octaves in [0, 1, 4, 30] {
                let dream = Config::dream(Layer::relu(4, 3), Some(3), longest, (octaves, 5));
                dream.validate().unwrap();
                let Scales::Given(scales) = dream.scales else { panic!("octaves are given") };
                assert_eq!(scales.last().unwrap().size, longest);
            }
        }
    }

    #[test]
    fn a_style_is_reconstructed_from_the_layers_up_to_one() {
        let layers = |layer| -> Vec<_> {
            let config = Config::style_reconstruction(Preset::Default, layer);
            config.style_layers.iter().map(|l| l.layer.to_string()).collect()
        };
        assert_eq!(layers(Layer::relu(3, 1)), ["relu1_1", "relu2_1", "relu3_1"]);
        assert_eq!(layers(Layer::relu(2, 2)), ["relu1_1", "relu2_1", "relu2_2"]);
        assert_eq!(layers(Layer::relu(1, 1)), ["relu1_1"]);
    }
}
