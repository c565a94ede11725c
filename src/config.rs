//! The run's configuration: the one place where a default is written down.
//!
//! A [`Preset`] expands to a whole [`Config`]; the command line then replaces
//! single fields. Help text, documentation and the trace's header are derived
//! from here.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::kernels::conv::{Algorithm, amx};
use crate::objective::LayerWeight;
use crate::tensor::Dtype;
use crate::vgg::{Border, Layer, Pooling, SMALLEST_SIDE};

/// The most pixels an input picture may have unless told otherwise (100 MP).
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

/// Everything that decides which picture comes out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// The preset this configuration started from.
    pub preset: Preset,
    /// Longest side of the result in pixels; 0 keeps the content picture's own size.
    pub size: u32,
    /// Longest side of the style picture; `None` is the same as `size`, 0 its own size.
    pub style_size: Option<u32>,
    /// Iterations in all, shared out among the scales.
    pub iterations: u32,
    /// From which size the picture is grown.
    pub pyramid: Pyramid,
    /// Which formulas measure content, style and denoise.
    pub losses: Losses,
    /// The layers compared with the content picture.
    pub content_layers: Vec<LayerWeight>,
    /// The layers compared with the style picture.
    pub style_layers: Vec<LayerWeight>,
    /// α, the weight of the content loss.
    pub content_weight: f64,
    /// β, the weight of the style loss.
    pub style_weight: f64,
    /// γ, the weight of the total variation ("denoise").
    pub tv_weight: f64,
    /// Adam's step size, in units of the picture's [0, 1] range.
    pub learning_rate: f64,
    /// Adam's decay of the gradient's average.
    pub beta1: f64,
    /// Adam's decay of the squared gradient's average.
    pub beta2: f64,
    /// Adam's ε.
    pub epsilon: f64,
    /// Decay of the running average of the iterates that becomes the result; `None` returns the last iterate.
    pub average: Option<f64>,
    /// What the first convolution sees beyond the picture's edge.
    pub border: Border,
    /// How the network halves its maps.
    pub pooling: Pooling,
    /// Where the optimisation starts.
    pub init: Init,
    /// Seed of every random number in the run.
    pub seed: u64,
    /// The most pixels an input picture may have; more is refused before decoding.
    pub max_pixels: u64,
    /// Worker threads; 0 uses every core the process may use.
    pub threads: usize,
    /// Arithmetic of the network.
    pub precision: Precision,
    /// How convolutions are computed; `None` lets each layer's shape decide.
    pub conv_algorithm: Option<Algorithm>,
    /// A safetensors file with VGG weights; `None` uses the embedded ones.
    pub weights: Option<PathBuf>,
    /// Brightness and contrast of the finished picture.
    pub tone: Tone,
}

/// A named set of values for every field of [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The best picture Impasto can make: coarse to fine, averaged iterates.
    Default,
    /// "Migrating of Images Using Neural Style Transfer", to the letter.
    Paper,
}

/// Which formulas measure the three losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Losses {
    /// The paper's sums: content ½Σ(F−P)², style 1/(4N²) Σ(G/M − A/M)² per layer,
    /// denoise Σ|∇x|². Their weights depend on the picture's size.
    Sums,
    /// Means, so that one set of weights serves every size: content the mean of
    /// (F−P)², style Σd²/Σ|d| per layer on d = G/M − A/M, denoise the mean
    /// squared difference over nine points.
    Means,
}

/// Scales of a coarse-to-fine run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pyramid {
    /// The whole run at the result's own size.
    Single,
    /// Longest sides end/√2ⁱ, none below `smallest` pixels.
    From {
        /// Longest side of the first scale in pixels.
        smallest: u32,
    },
}

/// Where the optimisation starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// The content picture.
    Content,
    /// Uniform noise from the seed.
    Noise,
    /// A picture file, resized to the result's size.
    File(PathBuf),
}

/// Arithmetic of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 where the CPU's tile unit multiplies it, single precision elsewhere: the picture is equal to the eye.
    Auto,
    /// Single precision throughout.
    F32,
    /// Maps stored in bf16, half the memory; sums in single precision.
    Bf16,
}

impl Precision {
    /// What maps are stored in, on this CPU.
    #[must_use]
    pub fn dtype(self) -> Dtype {
        match self {
            Precision::Auto if amx::available() => Dtype::Bf16,
            Precision::Auto | Precision::F32 => Dtype::F32,
            Precision::Bf16 => Dtype::Bf16,
        }
    }
}

/// Brightness and contrast of the finished picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Stretch the luminance between its percentiles.
    Auto,
    /// Match the content picture's luminance mean and deviation.
    Content,
    /// Match the style picture's luminance mean and deviation.
    Style,
    /// Leave the picture as optimised.
    Off,
}

fn layers(weights: &[(Layer, f64)]) -> Vec<LayerWeight> {
    weights.iter().map(|&(layer, weight)| LayerWeight { layer, weight }).collect()
}

impl Preset {
    /// Every preset, in the order help shows them.
    pub const ALL: [Preset; 2] = [Preset::Default, Preset::Paper];

    /// The preset's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Default => "default",
            Preset::Paper => "paper",
        }
    }

    /// One line that says what the preset is for.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Preset::Default => "coarse to fine with averaged iterates: the best picture",
            Preset::Paper => "\"Migrating of Images Using Neural Style Transfer\" to the letter, one scale",
        }
    }

    /// The whole configuration the preset stands for.
    #[must_use]
    pub fn config(self) -> Config {
        let paper = Config {
            preset: self,
            size: 512,
            style_size: None,
            iterations: 60,
            pyramid: Pyramid::Single,
            losses: Losses::Sums,
            content_layers: layers(&[(Layer::relu(3, 3), 1.0)]),
            style_layers: layers(&[
                (Layer::relu(1, 2), 0.25),
                (Layer::relu(2, 2), 0.25),
                (Layer::relu(3, 3), 0.25),
                (Layer::relu(4, 3), 0.25),
            ]),
            content_weight: 5e-9,
            style_weight: 1.0,
            tv_weight: 2e-5,
            learning_rate: 0.02,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            average: None,
            border: Border::Zero,
            pooling: Pooling::Max,
            init: Init::Content,
            seed: 0,
            max_pixels: DEFAULT_MAX_PIXELS,
            threads: 0,
            precision: Precision::Auto,
            conv_algorithm: None,
            weights: None,
            tone: Tone::Auto,
        };
        match self {
            Preset::Paper => paper,
            Preset::Default => Config {
                iterations: 300,
                pyramid: Pyramid::From { smallest: 128 },
                losses: Losses::Means,
                content_layers: layers(&[(Layer::relu(4, 2), 1.0)]),
                style_layers: layers(&[
                    (Layer::relu(1, 1), 256.0 / 341.0),
                    (Layer::relu(2, 1), 64.0 / 341.0),
                    (Layer::relu(3, 1), 16.0 / 341.0),
                    (Layer::relu(4, 1), 4.0 / 341.0),
                    (Layer::relu(5, 1), 1.0 / 341.0),
                ]),
                content_weight: 0.025,
                style_weight: 1.0,
                tv_weight: 2.0,
                beta2: 0.99,
                average: Some(0.99),
                border: Border::Replicate,
                tone: Tone::Off,
                ..paper
            },
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Preset::Default.config()
    }
}

impl Config {
    /// Checks every field against the others.
    ///
    /// # Errors
    /// [`Error::Usage`] names the option, what is wrong with its value, and what would do.
    pub fn validate(&self) -> Result<()> {
        let side = |flag: &str, size: u32| match size {
            1..16 => Err(Error::Usage(format!(
                "{flag} {size}: give at least {SMALLEST_SIDE} pixels, or 0 to keep the picture's own size"
            ))),
            _ => Ok(()),
        };
        side("--size", self.size)?;
        side("--style-size", self.style_size.unwrap_or(0))?;
        for (flag, weight) in [
            ("--content-weight", self.content_weight),
            ("--style-weight", self.style_weight),
            ("--tv-weight", self.tv_weight),
        ] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::Usage(format!("{flag} {weight}: give a number of at least 0")));
            }
        }
        if self.content_weight == 0.0 && self.style_weight == 0.0 && self.tv_weight == 0.0 {
            return Err(Error::Usage("all three loss weights are 0: there is nothing to optimise".into()));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(Error::Usage(format!(
                "--learning-rate {}: give a number above 0 and at most 1, the way from black to white",
                self.learning_rate
            )));
        }
        if self.iterations == 0 {
            return Err(Error::Usage("--iterations 0: give at least 1".into()));
        }
        if let Some(algorithm) = self.conv_algorithm.filter(|algorithm| !algorithm.available()) {
            return Err(Error::Usage(format!(
                "--conv-algorithm {}: {}; leave it out",
                algorithm.name(),
                amx::status()
            )));
        }
        layers_valid("--content-layer", &self.content_layers, self.content_weight)?;
        layers_valid("--style-layer", &self.style_layers, self.style_weight)
    }
}

fn layers_valid(flag: &str, layers: &[LayerWeight], loss_weight: f64) -> Result<()> {
    if loss_weight > 0.0 && layers.iter().all(|l| l.weight == 0.0) {
        return Err(Error::Usage(format!("{flag}: name at least one layer with a weight above 0")));
    }
    for (i, l) in layers.iter().enumerate() {
        if layers[..i].iter().any(|earlier| earlier.layer == l.layer) {
            return Err(Error::Usage(format!("{flag}: {} is named twice", l.layer)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid() {
        for preset in Preset::ALL {
            preset.config().validate().unwrap();
            assert_eq!(preset.config().preset, preset);
        }
    }

    #[test]
    fn an_invalid_value_names_its_option() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(wrong(|c| c.size = 15).contains("--size"));
        assert!(wrong(|c| c.style_size = Some(3)).contains("--style-size"));
        assert!(wrong(|c| c.learning_rate = 0.0).contains("--learning-rate"));
        assert!(wrong(|c| c.learning_rate = 10.0).contains("--learning-rate 10"));
        assert!(wrong(|c| c.learning_rate = f64::NAN).contains("--learning-rate NaN"));
        assert!(wrong(|c| c.tv_weight = f64::NAN).contains("--tv-weight"));
        assert!(wrong(|c| c.iterations = 0).contains("--iterations"));
        assert!(wrong(|c| c.style_layers.clear()).contains("--style-layer"));
    }
}
