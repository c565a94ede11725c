//! How much memory a run needs, known before it starts: an operator would
//! rather read one line now than find the process killed in an hour.

use super::plan::{self, Plan};
use crate::config::Config;
use crate::error::Result;
use crate::limits;
use crate::objective::Statistic;
use crate::vgg::layers::{channels, stride};
use crate::vgg::network::{map_bytes, scratch_bytes, weight_bytes};
use crate::vgg::{Layer, Stage};

/// Everything that grows neither with the picture nor with the threads: the program and its embedded weights.
const FIXED: u64 = 100 << 20;

/// Of each thread, beside the convolutions' scratch: its stack, panels of Gram matrices, what its allocations leave.
const THREAD: u64 = 2 << 20;

/// Bytes of a pixel of a picture in memory, without opacity.
const PIXEL: u64 = 3 * 4;

/// Pictures beside the optimiser's own: the average, the gradient, and copies while pictures are resized and written.
const PICTURES: u64 = 7 * PIXEL;

/// N × N matrices in `f64` that a layer's transport takes: the root, the transport, and what an eigendecomposition
/// works with.
const MATRICES: u64 = 8;

/// Bytes a run needs at its largest scale, to within about a tenth, and what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Feature maps of an evaluation.
    pub maps: u64,
    /// What content and style are compared with.
    pub targets: u64,
    /// The network's weights, as kernels want them.
    pub weights: u64,
    /// The optimiser's variables, their gradient, and its memory of them.
    pub optimizer: u64,
    /// Pictures and the program.
    pub others: u64,
    /// What the threads work with.
    pub scratch: u64,
    /// The pictures as they were read, opaque: whoever plans a run has them already.
    pub inputs: u64,
    /// On disk, not in memory: a checkpoint.
    pub checkpoint: u64,
}

impl Memory {
    /// What a plan's largest scale takes.
    pub(super) fn new(
        config: &Config,
        plan: &Plan,
        inputs: [(usize, usize); 2],
        stages: &[Stage],
        threads: usize,
    ) -> Self {
        let (last, goal, network) = (plan.last(), &plan.goal, &plan.network);
        let element = network.precision.bytes() as u64;
        let (pixels, style_pixels) = (last.pixels() as u64, (last.style.0 * last.style.1) as u64);
        let looked_at = |layer| goal.layers().any(|l| l == layer);
        // The style picture is evaluated before there is a gradient, and nothing is kept of it.
        let maps = map_bytes(stages, network, last.height, last.width, looked_at).max(2 * element * 64 * style_pixels);
        // Between its two passes a picture that is made smaller has its height, and the width it will have.
        let narrowed = |(height, _), width| PIXEL * (height * width) as u64;
        let resized = narrowed(inputs[0], last.width).max(narrowed(inputs[1], last.style.1));
        let scratch = scratch_bytes(stages, &plan.convolutions, last.height, last.width, threads);
        let content: u64 = goal.content_layers.iter().map(|l| element * pixels * features(l.layer)).sum();
        let squares = |l: Layer| (channels(l) * channels(l)) as u64;
        let matrices: u64 = goal.style_layers.iter().map(|l| squares(l.layer)).sum();
        let transports = if goal.statistic == Statistic::Wasserstein { 2 * 4 * matrices } else { 0 };
        let matrices = if goal.statistic == Statistic::Wasserstein { 8 * MATRICES * matrices } else { 8 * matrices };
        let variables = plan::canvas(config, last).variables();
        let method = plan.method.bytes(variables);
        Memory {
            // The pool's parts do not fill their regions.
            maps: (maps + maps / 10).max(resized),
            targets: content + matrices,
            weights: weight_bytes(stages),
            optimizer: method + 2 * 4 * variables as u64,
            others: PICTURES * pixels + FIXED,
            scratch: scratch + THREAD * threads as u64,
            inputs: inputs.iter().map(|(height, width)| PIXEL * (height * width) as u64).sum(),
            // The variables, the picture and the average beside the optimiser's memory.
            checkpoint: method + 4 * variables as u64 + 2 * 3 * 4 * pixels + transports,
        }
    }

    /// All of it, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.maps + self.targets + self.weights + self.optimizer + self.others + self.scratch + self.inputs
    }
}

/// Features of a layer for each pixel of the picture, rounded up.
fn features(layer: Layer) -> u64 {
    (channels(layer) as u64).div_ceil((stride(layer) * stride(layer)) as u64)
}

/// Refuses a run that there is no room for beside the pictures that have been read.
pub fn check(plan: &Plan) -> Result<()> {
    let (memory, last) = (&plan.memory, plan.last());
    limits::admit(
        memory.total() - memory.inputs,
        rayon::current_num_threads(),
        format_args!("a {}×{} picture", last.width, last.height),
        "give a smaller --size (and --style-size)",
    )
}
