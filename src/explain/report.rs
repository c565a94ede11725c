//! Everything that a page shows, as plain data: `--data` writes it as JSON, and the page is drawn from that.
//!
//! Pictures are data URIs. A number that is not finite is told as null. What was not asked for is not there.

use serde::Serialize;

/// A run, explained.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `impasto 0.1.0`.
    pub program: String,
    /// The command that makes the same picture.
    pub command: String,
    /// The preset's name.
    pub preset: String,
    /// What the processor and its threads are.
    pub machine: Machine,
    /// What is minimised.
    pub goal: Goal,
    /// The content picture at the size of the last scale.
    pub content: Image,
    /// The style picture at the size of the last scale.
    pub style: Image,
    /// The finished picture, to the bit what `stylize` writes.
    pub result: Image,
    /// 1: what happened.
    pub run: Option<Run>,
    /// 2: what the network sees.
    pub features: Option<Features>,
    /// 3: content and style apart.
    pub reconstructions: Option<Reconstructions>,
    /// 4: what style is.
    pub statistic: Option<Statistic>,
    /// 5: where the gradient comes from.
    pub gradient: Option<Gradient>,
    /// 6: how it is computed.
    pub tape: Option<Tape>,
    /// 7: how the optimiser moves.
    pub optimizer: Option<Optimizer>,
    /// 8: do it yourself.
    pub source: Option<Source>,
}

/// Where it was made.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// The instruction set in use.
    pub isa: String,
    /// Threads in use.
    pub threads: usize,
}

/// α·content + β·style + γ·tv.
#[derive(Debug, Serialize)]
pub struct Goal {
    /// `sum` or `mean`, as the option has it.
    pub content_loss: String,
    /// Content layers, with weights.
    pub content_layers: Vec<Weighted>,
    /// The statistic's name, as the option has it.
    pub statistic: String,
    /// Style layers, with weights w_l, in the order of all that is told layer by layer.
    pub style_layers: Vec<Weighted>,
    /// The variation's name, as the option has it.
    pub variation: String,
    /// α, before a scale changes it.
    pub content_weight: f64,
    /// β.
    pub style_weight: f64,
    /// γ.
    pub tv_weight: f64,
}

/// A layer and its weight.
#[derive(Debug, Serialize)]
pub struct Weighted {
    /// Such as `relu3_1`.
    pub layer: String,
    /// Its weight.
    pub weight: f64,
}

/// A picture.
#[derive(Debug, Serialize)]
pub struct Image {
    /// `data:image/png;base64,…` or `data:image/jpeg;base64,…`.
    pub src: String,
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
}

/// 1: the run, iteration by iteration.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The sizes that it went through.
    pub scales: Vec<Scale>,
    /// One an iteration, and the measurement after the last one.
    pub steps: Vec<Step>,
    /// Pictures on the way, the first being what was begun with (iteration 0).
    pub frames: Vec<Frame>,
    /// The iterations of the paper's table: 1, 10, 30, 60 and the last.
    pub table: Vec<u32>,
}

/// A scale.
#[derive(Debug, Serialize)]
pub struct Scale {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Updates made at it.
    pub iterations: u32,
    /// α at it.
    pub content_weight: f64,
}

/// An iteration: the losses before its update.
#[derive(Debug, Serialize)]
pub struct Step {
    /// From 1. The measurement has the number after the last.
    pub iteration: u32,
    /// From 1.
    pub scale: u32,
    /// Unweighted.
    pub content: f64,
    /// Unweighted.
    pub style: f64,
    /// Unweighted.
    pub tv: f64,
    /// α·content + β·style + γ·tv.
    pub total: f64,
    /// Each style layer's loss, without its weight.
    pub layers: Vec<f64>,
    /// It took so long.
    pub seconds: f64,
}

/// A picture on the way.
#[derive(Debug, Serialize)]
pub struct Frame {
    /// The updates that had been made.
    pub iteration: u32,
    /// At its scale's size.
    pub image: Image,
}

/// 2: what the network sees, layer by layer, at the size of the last scale.
#[derive(Debug, Serialize)]
pub struct Features {
    /// From the first convolution to the last that is evaluated.
    pub layers: Vec<Layer>,
}

/// A layer's feature maps, of three pictures on one scale.
#[derive(Debug, Serialize)]
pub struct Layer {
    /// Such as `relu3_1`.
    pub name: String,
    /// Of the picture's features.
    pub height: usize,
    /// Likewise.
    pub width: usize,
    /// N.
    pub channels: usize,
    /// Pixels between two neighbours of the map, seen in the picture.
    pub stride: usize,
    /// The side of the square of the picture that one of its values depends on, in pixels.
    pub receptive_field: usize,
    /// The share of values that are 0.
    pub zeros: OfThree<f64>,
    /// One channel beside another, eight bits, as sprites: 255 is the channel's `most`.
    pub maps: OfThree<Sprites>,
    /// Each channel's largest value over the three pictures.
    pub most: Vec<f32>,
    /// Channels by their mean over the three pictures divided by… strongest first.
    pub strongest: Vec<usize>,
    /// Each channel's squares of the style picture that excite it most, strongest first.
    pub patches: Vec<Vec<Patch>>,
}

/// The same of the content picture, the style picture and the result.
#[derive(Debug, Serialize)]
pub struct OfThree<T> {
    /// The photograph's.
    pub content: T,
    /// The painting's.
    pub style: T,
    /// The result's.
    pub result: T,
}

/// Feature maps in one grey picture: map `c` is at column `c % columns`, row `c / columns`, each `width` × `height`.
#[derive(Debug, Serialize)]
pub struct Sprites {
    /// All of them.
    pub image: Image,
    /// Maps in a row.
    pub columns: usize,
    /// Of one map, which may be smaller than the layer's.
    pub width: usize,
    /// Of one map.
    pub height: usize,
}

/// A square of the style picture as it is in the report, cut at its edges.
#[derive(Debug, Serialize)]
pub struct Patch {
    /// Left edge in pixels.
    pub x: usize,
    /// Upper edge in pixels.
    pub y: usize,
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// The channel's value there.
    pub value: f32,
}

/// 3: pictures made from what layers know.
#[derive(Debug, Serialize)]
pub struct Reconstructions {
    /// Of the photograph's features at one layer.
    pub content: Vec<Reconstruction>,
    /// Of the painting's statistic up to a layer.
    pub style: Vec<Reconstruction>,
}

/// A picture made from a layer.
#[derive(Debug, Serialize)]
pub struct Reconstruction {
    /// The layer, or the deepest.
    pub layer: String,
    /// What came of it.
    pub image: Image,
    /// The command that makes it.
    pub command: String,
}

/// 4: the style's statistics at each style layer.
#[derive(Debug, Serialize)]
pub struct Statistic {
    /// `gram`: FᵀF/M; `covariance`: without the means.
    pub of: String,
    /// One for each style layer.
    pub layers: Vec<Matrices>,
}

/// A layer's matrices, of its strongest channels, so ordered that neighbours agree.
///
/// Entries are G_ij / √(A_ii A_jj), A being the painting's: its own diagonal is 1.
#[derive(Debug, Serialize)]
pub struct Matrices {
    /// Such as `relu3_1`.
    pub layer: String,
    /// N, of which some are shown.
    pub channels: usize,
    /// Which are shown, in this order.
    pub shown: Vec<usize>,
    /// The painting's, row by row.
    pub style: Vec<f32>,
    /// The picture's before the first iteration.
    pub start: Vec<f32>,
    /// The result's.
    pub end: Vec<f32>,
    /// The two channels that agree most in the painting.
    pub pair: Pair,
}

/// Two channels that are active at the same places.
#[derive(Debug, Serialize)]
pub struct Pair {
    /// Channels.
    pub channels: [usize; 2],
    /// Their entry in the painting's matrix.
    pub agreement: f32,
    /// Where both are active, √(F_a F_b), each picture's on one scale, grey.
    pub places: OfThree<Image>,
}

/// 5: the picture's gradient, term by term.
#[derive(Debug, Serialize)]
pub struct Gradient {
    /// At the beginning and the end of the last scale.
    pub moments: Vec<Moment>,
}

/// The gradient at one picture.
#[derive(Debug, Serialize)]
pub struct Moment {
    /// Updates that had been made.
    pub iteration: u32,
    /// The picture.
    pub image: Image,
    /// `total`, `content`, `style`, each style layer's, `tv`: weighted, so that the parts sum up to the total.
    pub terms: Vec<Term>,
    /// Of each two terms' gradients, row by row.
    pub cosines: Vec<f64>,
}

/// One term's gradient.
#[derive(Debug, Serialize)]
pub struct Term {
    /// `total`, `content`, `style`, `relu1_1`, …, `tv`.
    pub name: String,
    /// Its loss, weighted.
    pub loss: f64,
    /// ‖gradient‖.
    pub norm: f64,
    /// Where colours go if it is followed: 128 stays, `most` away is white or black.
    pub image: Image,
    /// What is 127 away from 128.
    pub most: f64,
    /// Its size at each pixel, grey, 255 being the largest of all terms.
    pub size: Image,
}

/// 6: the tape of one iteration at the last scale.
#[derive(Debug, Serialize)]
pub struct Tape {
    /// In the order of recording.
    pub nodes: Vec<Node>,
    /// Bytes of values and gradients that are alive, over the iteration.
    pub memory: Vec<Alive>,
    /// What the convolutions do.
    pub convolutions: Vec<Convolution>,
    /// Multiplications and additions a second, measured with the kernels' own inner loop; all threads.
    pub peak: f64,
    /// Of the iteration.
    pub seconds: f64,
    /// Pixels of the picture.
    pub height: usize,
    /// Likewise.
    pub width: usize,
}

/// A node of the tape.
#[derive(Debug, Serialize)]
pub struct Node {
    /// Its position.
    pub id: usize,
    /// The op's name, or `variable` or `constant`.
    pub op: String,
    /// The file and line of the op's source that recorded it.
    pub file: String,
    /// Likewise.
    pub line: u32,
    /// What it is in the network or the loss, such as `relu3_1`; may be empty.
    pub label: String,
    /// Its value's shape; a scalar's is empty.
    pub shape: Vec<usize>,
    /// Of its value; an alias has none.
    pub bytes: usize,
    /// Whether its value is needed on the way back.
    pub kept: bool,
    /// Whether it has a gradient.
    pub differentiated: bool,
    /// It was computed in.
    pub forward: f64,
    /// Its rule took, if it has one.
    pub backward: Option<f64>,
    /// What it was computed from.
    pub parents: Vec<usize>,
    /// Whose values its rule reads.
    pub saves: Vec<usize>,
}

/// Memory at a moment.
#[derive(Debug, Serialize)]
pub struct Alive {
    /// Since the iteration began.
    pub seconds: f64,
    /// Of values.
    pub values: u64,
    /// Of gradients.
    pub gradients: u64,
    /// The node that was worked on.
    pub node: usize,
    /// `forward` or `backward`.
    pub pass: &'static str,
}

/// A convolution there and back.
#[derive(Debug, Serialize)]
pub struct Convolution {
    /// Such as `relu3_1`.
    pub layer: String,
    /// The node.
    pub node: usize,
    /// The algorithm.
    pub forward: Speed,
    /// The algorithm of the gradient.
    pub backward: Speed,
}

/// How fast something was.
#[derive(Debug, Serialize)]
pub struct Speed {
    /// `direct`, `im2col`, `winograd`, …
    pub algorithm: String,
    /// It took.
    pub seconds: f64,
    /// Multiplications and additions that the definition of a convolution asks for, a second: Winograd does fewer.
    pub flops: f64,
}

/// 7: how the picture was moved.
#[derive(Debug, Serialize)]
pub struct Optimizer {
    /// `adam` or `lbfgs`.
    pub method: String,
    /// `pixels` or `pyramid`.
    pub canvas: String,
    /// The pixel that is followed, of the result.
    pub x: usize,
    /// Likewise.
    pub y: usize,
    /// One an update at the last scale.
    pub course: Vec<Moved>,
    /// The learning rate of every update, in all scales; of L-BFGS there is none.
    pub rates: Vec<f64>,
    /// How far each update moved the picture, root mean square, in all scales.
    pub lengths: Vec<f64>,
    /// How the sizes of single values' updates are distributed at the start and the end of the last scale.
    pub histograms: Vec<Histogram>,
    /// Adam's constants.
    pub adam: Option<Adam>,
}

/// β₁, β₂ and ε.
#[derive(Debug, Serialize)]
pub struct Adam {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
}

/// What one update did to one pixel. On a pyramid gradient, moments and step are those of its coefficient at the finest level.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// The update, from 1.
    pub iteration: u32,
    /// Its colour after it, sRGB in [0, 1].
    pub color: [f32; 3],
    /// The gradient.
    pub gradient: [f32; 3],
    /// Adam's first moment after it.
    pub mean: Option<[f32; 3]>,
    /// Adam's second moment after it.
    pub square: Option<[f32; 3]>,
    /// What was added to it.
    pub step: [f32; 3],
}

/// A distribution.
#[derive(Debug, Serialize)]
pub struct Histogram {
    /// The update, from 1.
    pub iteration: u32,
    /// Edges, one more than counts, the same for all.
    pub edges: Vec<f64>,
    /// Values between two edges.
    pub counts: Vec<u64>,
}

/// 8: formulas, and what proves them.
#[derive(Debug, Serialize)]
pub struct Source {
    /// Pieces of this build's source.
    pub excerpts: Vec<Excerpt>,
    /// Gradients checked while the page was made, on a crop of the photograph.
    pub checks: Vec<Check>,
    /// Why the total loss is not among them, where it is not.
    pub unchecked: Option<String>,
}

/// A piece of source.
#[derive(Debug, Serialize)]
pub struct Excerpt {
    /// What it implements: a formula of the page has the same name.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// From the root of the sources.
    pub file: String,
    /// Its first line, from 1.
    pub line: usize,
    /// Its lines.
    pub text: String,
}

/// A gradient against a central difference.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The op or the loss.
    pub name: String,
    /// ⟨gradient, direction⟩ by the tape.
    pub reverse: f64,
    /// (f(x + hv) − f(x − hv)) / 2h.
    pub difference: f64,
    /// The step h.
    pub step: f64,
    /// |reverse − difference| in parts of the larger of them.
    pub error: f64,
    /// What it may be.
    pub allowed: f64,
}
