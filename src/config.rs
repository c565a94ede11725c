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
mod validate;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::kernels::conv::Algorithm;
use crate::objective::{ContentLoss, Goal, LayerWeight, Statistic, Variation};
use crate::tensor::Dtype;
use crate::vgg::{Border, Pooling};

pub use file::File;

/// The most pixels an input picture may have unless told otherwise (100 MP).
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

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
    /// α, the weight of the content loss, but for what [`Config::strength`] makes of it.
    pub content_weight: f64,
    /// How much of the style there is in the result, from 0, the photograph, to 1, hardly anything but style: 0.5 leaves α as
    /// it is, see [`Config::alpha`].
    pub strength: f64,
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
    /// Whether the gradient of each layer's content and style loss is divided by its L1 norm before its weight, so that
    /// layers pull as their weights say. Adam alone can follow that, and the picture is evaluated whole.
    pub normalize_gradients: bool,
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
    /// Mid grey, with a grain of a 255th of that noise: on a flat picture all pixels would move as one.
    Gray,
    /// That noise in the style picture's colours: with the mean and the covariance of its pixels.
    #[serde(rename = "style-stats")]
    StyleStats,
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
    /// α as it is optimised with: the content weight times ((0.51 − t) / (0.51 + t))², t being the strength less 0.5. That is
    /// the square of the odds of the photograph against the style, drawn in a little at the ends: 10⁴ times α at 0, 9 times at
    /// 0.25, just α at 0.5, a ninth at 0.75, 10⁻⁴ at 1, by and large.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        let t = self.strength - 0.5;
        self.content_weight * ((0.51 - t) / (0.51 + t)).powi(2)
    }

    /// What the picture should be like. L-BFGS's line search compares losses, and wants them exact at every evaluation.
    #[must_use]
    pub fn goal(&self) -> Goal {
        Goal {
            content_loss: self.content_loss,
            content_layers: self.content_layers.clone(),
            content_weight: self.alpha(),
            statistic: self.statistic,
            refresh: if self.optimizer == OptimizerKind::Lbfgs { 1 } else { self.refresh },
            style_layers: self.style_layers.clone(),
            style_weight: self.style_weight,
            variation: self.variation,
            tv_weight: self.tv_weight,
            normalize_gradients: self.normalize_gradients,
        }
    }

    /// Whether features are compared with a style picture's.
    #[must_use]
    pub fn compares_style(&self) -> bool {
        !self.style_layers.is_empty() && !matches!(self.statistic, Statistic::Activation(_))
    }
}
