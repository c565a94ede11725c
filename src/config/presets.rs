//! What each preset stands for: all of our numbers, and those that others published.

use super::{
    CanvasKind, Colors, Config, DEFAULT_MAX_PIXELS, Init, Moments, OptimizerKind, Precision, Preset, ScaleRule, Scales,
    Schedule, Tone,
};
use crate::objective::{ContentLoss, LayerWeight, Statistic, Variation};
use crate::picture::palette::LARGEST_GAIN;
use crate::vgg::{Border, Layer, Pooling};

fn layers(weights: &[(Layer, f64)]) -> Vec<LayerWeight> {
    weights.iter().map(|&(layer, weight)| LayerWeight { layer, weight }).collect()
}

impl Preset {
    /// Every preset, in the order `impasto presets` shows them.
    pub const ALL: [Preset; 7] = [
        Preset::Fast,
        Preset::Default,
        Preset::Best,
        Preset::Paper,
        Preset::Gatys,
        Preset::NeuralStyle,
        Preset::PytorchTutorial,
    ];

    /// Our own, which help shows side by side.
    pub const OWN: [Preset; 3] = [Preset::Fast, Preset::Default, Preset::Best];

    /// The preset's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Fast => "fast",
            Preset::Default => "default",
            Preset::Best => "best",
            Preset::Paper => "paper",
            Preset::Gatys => "gatys",
            Preset::NeuralStyle => "neural-style",
            Preset::PytorchTutorial => "pytorch-tutorial",
        }
    }

    /// One line that says what the preset is for.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Preset::Fast => "a preview of default, in a fifth of its time",
            Preset::Default => "coarse to fine, by optimal transport, on a pyramid",
            Preset::Best => "default with five times the work",
            Preset::Paper => "\"Migrating of Images Using Neural Style Transfer\" to the letter, one scale",
            Preset::Gatys => "\"Image Style Transfer Using Convolutional Neural Networks\", Gatys, Ecker & Bethge 2016",
            Preset::NeuralStyle => "J. Johnson's neural-style, as it comes",
            Preset::PytorchTutorial => "PyTorch's \"Neural Transfer\" tutorial",
        }
    }

    /// For a published preset, what differs here from what was published.
    #[must_use]
    pub const fn differs(self) -> Option<&'static str> {
        match self {
            Preset::Fast | Preset::Default | Preset::Best => None,
            Preset::Paper => Some("loss weights, which the paper does not give"),
            Preset::Gatys => {
                Some("VGG16 in torchvision's weights, for a rescaled VGG19; loss weights are brought to its units")
            }
            Preset::NeuralStyle => {
                Some("VGG16 in torchvision's weights; loss weights are brought from pixels of 0 to 255 to its units")
            }
            Preset::PytorchTutorial => Some("VGG16 for VGG19; features are compared after their ReLU, not before"),
        }
    }

    /// The whole configuration the preset stands for.
    #[must_use]
    pub fn config(self) -> Config {
        match self {
            Preset::Fast => Config {
                preset: self,
                scales: Scales::Grown(rule(&[(128, 110), (181, 40), (256, 28), (362, 10), (512, 6)])),
                learning_rate: 0.03,
                moments: Moments::Carried,
                schedule: Schedule { end: 0.5, last: 0.2 },
                average: Some(0.7),
                content_weight: 0.015,
                ..default()
            },
            Preset::Default => default(),
            Preset::Best => Config {
                preset: self,
                scales: Scales::Grown(rule(&[
                    (128, 500),
                    (256, 500),
                    (362, 400),
                    (512, 380),
                    (724, 250),
                    (1024, 200),
                    (2048, 100),
                ])),
                ..default()
            },
            Preset::Paper => paper(),
            Preset::Gatys => Config {
                preset: self,
                scales: Scales::Single(500),
                content_loss: ContentLoss::Mean,
                content_layers: layers(&[(Layer::relu(4, 2), 1.0)]),
                statistic: Statistic::GramMean,
                // Their network is rescaled so that every layer is 1 on average. Ours are 0.51, 1.2, 2.8, 2.4 and 0.94 on
                // a smooth picture, and a Gram matrix's squares grow with the fourth power of that.
                style_layers: layers(&[
                    (Layer::relu(1, 1), 15.0),
                    (Layer::relu(2, 1), 0.44),
                    (Layer::relu(3, 1), 0.018),
                    (Layer::relu(4, 1), 0.033),
                    (Layer::relu(5, 1), 1.3),
                ]),
                content_weight: 0.05,
                style_weight: 1e3,
                tv_weight: 0.0,
                optimizer: OptimizerKind::Lbfgs,
                learning_rate: 1.0,
                lbfgs_history: 100,
                pooling: Pooling::Avg,
                tone: Tone::Off,
                ..paper()
            },
            Preset::NeuralStyle => Config {
                preset: self,
                scales: Scales::Single(1000),
                content_loss: ContentLoss::Mean,
                content_layers: layers(&[(Layer::relu(4, 2), 1.0)]),
                statistic: Statistic::GramMean,
                style_layers: firsts(),
                content_weight: 5.0,
                // Features are 58 times as large there, for pixels of 0 to 255: products of them 58² times.
                style_weight: 100.0 * 58.0 * 58.0,
                // 1e-3 · ½ Σd² of pixels from 0 to 255, in units of 58².
                tv_weight: 0.01,
                optimizer: OptimizerKind::Lbfgs,
                learning_rate: 1.0,
                lbfgs_history: 100,
                init: Init::Noise,
                tone: Tone::Off,
                ..paper()
            },
            Preset::PytorchTutorial => Config {
                preset: self,
                size: 512,
                scales: Scales::Single(300),
                content_loss: ContentLoss::Mean,
                content_layers: layers(&[(Layer::relu(2, 2), 1.0)]),
                statistic: Statistic::GramMean,
                style_layers: layers(&[
                    (Layer::relu(1, 1), 1.0),
                    (Layer::relu(1, 2), 1.0),
                    (Layer::relu(2, 1), 1.0),
                    (Layer::relu(2, 2), 1.0),
                    (Layer::relu(3, 1), 1.0),
                ]),
                content_weight: 1.0,
                style_weight: 1e6,
                tv_weight: 0.0,
                optimizer: OptimizerKind::Lbfgs,
                learning_rate: 1.0,
                lbfgs_history: 100,
                tone: Tone::Off,
                ..paper()
            },
        }
    }
}

/// The first layer of each block, all of one weight.
fn firsts() -> Vec<LayerWeight> {
    (1..=5).map(|block| LayerWeight { layer: Layer::relu(block, 1), weight: 1.0 }).collect()
}

fn rule(iterations: &[(u32, u32)]) -> Vec<ScaleRule> {
    iterations.iter().map(|&(size, iterations)| ScaleRule { size, iterations }).collect()
}

fn paper() -> Config {
    Config {
        preset: Preset::Paper,
        size: 512,
        style_size: None,
        style_scale: 1.0,
        scales: Scales::Single(60),
        iterations: None,
        until: None,
        content_loss: ContentLoss::Sum,
        content_layers: layers(&[(Layer::relu(3, 3), 1.0)]),
        content_weight: 5e-9,
        strength: 0.5,
        enlarged_weighs_more: false,
        statistic: Statistic::Gram,
        refresh: 2,
        style_layers: layers(&[
            (Layer::relu(1, 2), 0.25),
            (Layer::relu(2, 2), 0.25),
            (Layer::relu(3, 3), 0.25),
            (Layer::relu(4, 3), 0.25),
        ]),
        style_weight: 1.0,
        variation: Variation::Sum,
        tv_weight: 2e-5,
        normalize_gradients: false,
        canvas: CanvasKind::Pixels,
        optimizer: OptimizerKind::Adam,
        learning_rate: 0.02,
        schedule: Schedule::CONSTANT,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        moments: Moments::Carried,
        lbfgs_history: 20,
        average: None,
        border: Border::Zero,
        pooling: Pooling::Max,
        init: Init::Content,
        jitter: 0,
        detail: 0.0,
        colors: Colors::Style,
        luminance_only: false,
        match_result: false,
        calm: 0,
        largest_gain: LARGEST_GAIN,
        seed: 0,
        max_pixels: DEFAULT_MAX_PIXELS,
        max_memory: None,
        threads: 0,
        precision: Precision::Auto,
        conv_algorithm: None,
        weights: None,
        tone: Tone::Auto,
    }
}

/// The recipe: see `docs/recipe.md` for what each part brings.
fn default() -> Config {
    Config {
        preset: Preset::Default,
        scales: Scales::Grown(rule(&[(128, 250), (181, 200), (256, 150), (362, 80), (512, 50), (724, 25)])),
        content_loss: ContentLoss::Mean,
        content_layers: layers(&[(Layer::relu(4, 2), 1.0)]),
        content_weight: 0.02,
        enlarged_weighs_more: true,
        statistic: Statistic::Wasserstein,
        style_layers: layers(&[
            (Layer::relu(1, 1), 256.0 / 341.0),
            (Layer::relu(2, 1), 64.0 / 341.0),
            (Layer::relu(3, 1), 16.0 / 341.0),
            (Layer::relu(4, 1), 4.0 / 341.0),
            (Layer::relu(5, 1), 1.0 / 341.0),
        ]),
        variation: Variation::Mean,
        tv_weight: 2.0,
        canvas: CanvasKind::Pyramid,
        learning_rate: 0.01,
        schedule: Schedule { end: 0.3, last: 0.05 },
        beta2: 0.99,
        moments: Moments::Cold,
        average: Some(0.95),
        border: Border::Replicate,
        init: Init::Matched,
        detail: 1.0,
        match_result: true,
        calm: 2,
        tone: Tone::Off,
        ..paper()
    }
}
