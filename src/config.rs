//! The run's configuration: the one place where a default is written down.
//!
//! A [`Preset`] expands to a whole [`Config`]; the command line then replaces
//! single fields. Help text, documentation and the trace's header are derived
//! from here.

pub mod file;
mod presets;
pub mod purposes;
pub mod settings;
pub mod text;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kernels::conv::{Algorithm, amx};
use crate::objective::{ContentLoss, Goal, LayerWeight, Statistic, Variation};
use crate::tensor::Dtype;
use crate::vgg::{Border, Pooling, SMALLEST_SIDE};

pub use file::File;

/// The most pixels an input picture may have unless told otherwise (100 MP).
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

/// By what a style picture may be enlarged or reduced.
const STYLE_SCALES: (f64, f64) = (0.01, 100.0);

/// Everything that decides which picture comes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The preset this configuration started from.
    pub preset: Preset,
    /// Longest side of the result in pixels; 0 keeps the content picture's own size. [`Scales::Given`] says it itself.
    pub size: u32,
    /// Longest side of the style picture at the last scale; `None` is the result's, but not larger than its own, 0 its
    /// own size.
    pub style_size: Option<u32>,
    /// What the size that a style picture would have is multiplied by: above 1 its strokes are larger than its own size
    /// would make them.
    pub style_scale: f64,
    /// The sizes through which the picture grows, and how long it stays at each.
    pub scales: Scales,
    /// Iterations in all, shared out among the scales; `None` is what the scales' rule gives.
    pub iterations: Option<u32>,
    /// The part by which the loss, in the mean of ten iterations, must have fallen below that of the ten before for a scale
    /// to go on; `None` makes every iteration.
    pub until: Option<f64>,
    /// How features are compared with the content picture's.
    pub content_loss: ContentLoss,
    /// The layers compared with the content picture.
    pub content_layers: Vec<LayerWeight>,
    /// α, the weight of the content loss.
    pub content_weight: f64,
    /// Whether α grows as a photograph is enlarged beyond its own size, which has no details for its new pixels: in the
    /// mean over them, its pull falls behind the style's. `tests/balance.rs` measures it.
    pub enlarged_weighs_more: bool,
    /// How features are compared with the style picture's.
    pub statistic: Statistic,
    /// Iterations between new transport matrices ([`Statistic::Wasserstein`]).
    pub refresh: u32,
    /// The layers compared with the style picture.
    pub style_layers: Vec<LayerWeight>,
    /// β, the weight of the style loss.
    pub style_weight: f64,
    /// How neighbouring pixels are compared.
    pub variation: Variation,
    /// γ, the weight of the total variation ("denoise").
    pub tv_weight: f64,
    /// What is optimised.
    pub canvas: CanvasKind,
    /// By what.
    pub optimizer: OptimizerKind,
    /// Adam's step size, in units of the picture's [0, 1] range; the factor of L-BFGS's first step.
    pub learning_rate: f64,
    /// The course of the learning rate within each scale.
    pub schedule: Schedule,
    /// Adam's decay of the gradient's average.
    pub beta1: f64,
    /// Adam's decay of the squared gradient's average.
    pub beta2: f64,
    /// Adam's ε.
    pub epsilon: f64,
    /// What becomes of Adam's two averages where the picture grows.
    pub moments: Moments,
    /// Steps that L-BFGS remembers.
    pub lbfgs_history: u32,
    /// Decay of the running average of the iterates that becomes the result; `None` returns the last iterate.
    pub average: Option<f64>,
    /// What the first convolution sees beyond the picture's edge.
    pub border: Border,
    /// How the network halves its maps.
    pub pooling: Pooling,
    /// Where the optimisation starts.
    pub init: Init,
    /// The most pixels by which the picture is shifted, in a way of its own in each iteration, before it is looked at, so that
    /// no place is where a pooling cuts; 0 leaves it where it is.
    pub jitter: u32,
    /// The share of the photograph's detail, in the style's colours, that is added where a scale first shows it.
    pub detail: f64,
    /// Whose colours the result has.
    pub colors: Colors,
    /// Whether brightness alone is optimised: content and style are looked at in grey, and the photograph's colours put
    /// on the result.
    pub luminance_only: bool,
    /// Whether the result's colours are matched to the style picture's once more at the end.
    pub match_result: bool,
    /// The finest levels of the result's pyramid whose flats are made as calm as the style picture's.
    pub calm: u32,
    /// The most by which matching colours may enlarge a difference of colours.
    pub largest_gain: f64,
    /// Seed of every random number in the run.
    pub seed: u64,
    /// The most pixels an input picture may have; more is refused before decoding.
    pub max_pixels: u64,
    /// The most bytes of memory that a run may hold; `None` is four fifths of what there is. The picture does not depend
    /// on it.
    pub max_memory: Option<u64>,
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

/// The sizes of a run, and its iterations at each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scales {
    /// The whole run at the result's own size: so many iterations.
    Single(u32),
    /// Longest sides end/√2ⁱ, none below the rule's first size.
    Grown(Vec<ScaleRule>),
    /// Longest sides, small to large, and iterations, as given. The last is the result's size.
    Given(Vec<ScaleRule>),
}

impl fmt::Display for ScaleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, self.iterations)
    }
}

/// Iterations for pictures of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleRule {
    /// Longest side in pixels.
    pub size: u32,
    /// Iterations at this size.
    pub iterations: u32,
}

/// What the optimiser moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CanvasKind {
    /// The picture's own values.
    Pixels,
    /// The coefficients of its Laplacian pyramid.
    Pyramid,
}

/// Which optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// A step size for each variable.
    Adam,
    /// Curvature from the last steps, and a line search.
    Lbfgs,
}

/// What becomes of an optimiser's memory where the picture grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moments {
    /// It is brought to the new size.
    Carried,
    /// It is forgotten.
    Cold,
}

/// The course of the learning rate: half a cosine from 1 to `end` within each scale, to `last` in the last one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The share of the learning rate at the end of a scale.
    pub end: f64,
    /// The same for the last scale.
    pub last: f64,
}

impl Schedule {
    /// The same rate throughout.
    pub const CONSTANT: Schedule = Schedule { end: 1.0, last: 1.0 };
}

/// A named set of values for every field of [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A preview of `default`.
    Fast,
    /// The best picture in about a minute.
    Default,
    /// The best picture.
    Best,
    /// "Migrating of Images Using Neural Style Transfer", to the letter.
    Paper,
    /// Gatys, Ecker & Bethge 2016.
    Gatys,
    /// J. Johnson's neural-style.
    NeuralStyle,
    /// PyTorch's tutorial.
    PytorchTutorial,
}

/// Whose colours the result has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colors {
    /// The style picture's.
    Style,
    /// The photograph's, put on the result's brightness at the end.
    Content,
    /// The style picture's, brought to the photograph's mean and covariance before the start.
    Match,
}

/// Where the optimisation starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// The content picture.
    Content,
    /// The content picture in the style picture's colours.
    Matched,
    /// Uniform noise from the seed.
    Noise,
    /// The content picture and that noise, of which this is the share: 0 is the picture, 1 the noise.
    Blend(f64),
    /// A picture file, resized to the result's size.
    File(PathBuf),
}

/// Arithmetic of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// What has been verified on this kind of CPU and timed as the fastest: single precision, on every one so far.
    Auto,
    /// Single precision throughout.
    F32,
    /// Maps stored in bf16, half the memory; sums in single precision.
    Bf16,
}

impl Precision {
    /// What maps are stored in. What `auto` means depends on nothing that is measured at run time, or the same command
    /// would give other bytes the next time; tile units have yet to be timed on hardware before they change it.
    #[must_use]
    pub fn dtype(self) -> Dtype {
        match self {
            Precision::Auto | Precision::F32 => Dtype::F32,
            Precision::Bf16 => Dtype::Bf16,
        }
    }
}

/// Brightness and contrast of the finished picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Default for Config {
    fn default() -> Self {
        Preset::Default.config()
    }
}

impl Config {
    /// What the picture should be like. L-BFGS's line search compares losses, and wants them exact at every evaluation.
    #[must_use]
    pub fn goal(&self) -> Goal {
        Goal {
            content_loss: self.content_loss,
            content_layers: self.content_layers.clone(),
            content_weight: self.content_weight,
            statistic: self.statistic,
            refresh: if self.optimizer == OptimizerKind::Lbfgs { 1 } else { self.refresh },
            style_layers: self.style_layers.clone(),
            style_weight: self.style_weight,
            variation: self.variation,
            tv_weight: self.tv_weight,
        }
    }

    /// Whether features are compared with a style picture's.
    #[must_use]
    pub fn compares_style(&self) -> bool {
        !self.style_layers.is_empty() && !matches!(self.statistic, Statistic::Activation(_))
    }

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
        // First, since a size may be the last of them.
        self.scales.validate()?;
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
        if self.iterations == Some(0) {
            return Err(Error::Usage("--iterations 0: give at least 1".into()));
        }
        if let Some(share) = self.until.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err(Error::Usage(format!("--until {}%: give a part above 0 and below 100%", 100.0 * share)));
        }
        if let Init::Blend(noise) = self.init
            && !(0.0..=1.0).contains(&noise)
        {
            return Err(Error::Usage(format!("--init blend:{noise}: give a share of noise from 0 to 1")));
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(Error::Usage(format!("--epsilon {}: give a number above 0", self.epsilon)));
        }
        for (flag, value, most) in [
            ("--detail", self.detail, 10.0),
            ("--schedule", self.schedule.end, 1.0),
            ("--schedule", self.schedule.last, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::Usage(format!("{flag} {value}: give a number from 0 to {most}")));
            }
        }
        for (flag, decay) in
            [("--beta1", self.beta1), ("--beta2", self.beta2), ("--average", self.average.unwrap_or_default())]
        {
            if !(0.0..1.0).contains(&decay) {
                return Err(Error::Usage(format!("{flag} {decay}: give a number of at least 0 and below 1")));
            }
        }
        if !(STYLE_SCALES.0..=STYLE_SCALES.1).contains(&self.style_scale) {
            return Err(Error::Usage(format!(
                "--style-scale {}: give a number from {} to {}, where 1 is the picture's usual size",
                self.style_scale, STYLE_SCALES.0, STYLE_SCALES.1
            )));
        }
        if !(self.largest_gain.is_finite() && self.largest_gain >= 1.0) {
            return Err(Error::Usage(format!("--largest-gain {}: give a number of at least 1", self.largest_gain)));
        }
        if self.calm > 7 {
            return Err(Error::Usage(format!("--calm {}: a pyramid has 7 levels to calm; give 0 to 7", self.calm)));
        }
        for (flag, count) in [("--refresh", self.refresh), ("--lbfgs-history", self.lbfgs_history)] {
            if count == 0 {
                return Err(Error::Usage(format!("{flag} 0: give at least 1")));
            }
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

impl Scales {
    fn validate(&self) -> Result<()> {
        let (flag, rule) = match self {
            Scales::Single(0) => return Err(Error::Usage("--scale-rule 0: give at least 1 iteration".into())),
            Scales::Single(_) => return Ok(()),
            Scales::Grown(rule) => ("--scale-rule", rule),
            Scales::Given(rule) => ("--scales", rule),
        };
        let wrong = |what: &str| Err(Error::Usage(format!("{flag}: {what}, as in 128:250,256:150,512:50")));
        if rule.is_empty() || rule.iter().any(|scale| scale.iterations == 0 || (scale.size as usize) < SMALLEST_SIDE) {
            return wrong("give sizes of at least 16 pixels, each with at least one iteration");
        }
        if !rule.is_sorted_by(|a, b| a.size < b.size) {
            return wrong("give sizes from small to large");
        }
        Ok(())
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
        assert!(wrong(|c| c.style_scale = 0.0).contains("--style-scale 0"));
        assert!(wrong(|c| c.style_scale = f64::NAN).contains("--style-scale NaN"));
        assert!(wrong(|c| c.learning_rate = 0.0).contains("--learning-rate"));
        assert!(wrong(|c| c.learning_rate = 10.0).contains("--learning-rate 10"));
        assert!(wrong(|c| c.learning_rate = f64::NAN).contains("--learning-rate NaN"));
        assert!(wrong(|c| c.tv_weight = f64::NAN).contains("--tv-weight"));
        assert!(wrong(|c| c.iterations = Some(0)).contains("--iterations"));
        assert!(
            wrong(|c| c.scales = Scales::Given([256, 128].map(|size| ScaleRule { size, iterations: 5 }).to_vec()))
                .contains("small to large")
        );
        assert!(wrong(|c| c.average = Some(1.0)).contains("--average"));
        assert!(wrong(|c| c.refresh = 0).contains("--refresh"));
        assert!(wrong(|c| c.detail = f64::NAN).contains("--detail"));
        assert!(wrong(|c| c.style_layers.clear()).contains("--style-layer"));
    }
}
