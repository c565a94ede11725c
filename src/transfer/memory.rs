//! How much memory a run needs, known before it starts: an operator would
//! rather read one line now than find the process killed in an hour.

use super::plan::{self, Plan};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::objective::Statistic;
use crate::vgg::layers::{channels, stride};
use crate::vgg::network::{map_bytes, weight_bytes};
use crate::vgg::{Layer, Stage};

/// Everything that does not grow with the picture: the program and its embedded weights,
/// patches, packed panels and Gram matrices of each thread.
const FIXED: u64 = 100 << 20;

/// Pictures beside the optimiser's own: the average, the gradient, and copies while pictures are resized and written,
/// of three `f32` for each pixel.
const PICTURES: u64 = 7 * 3 * 4;

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
    /// Pictures, the program and scratch memory.
    pub others: u64,
    /// On disk, not in memory: a checkpoint.
    pub checkpoint: u64,
}

impl Memory {
    /// What a plan's largest scale takes.
    pub(super) fn new(config: &Config, plan: &Plan, stages: &[Stage]) -> Self {
        let (last, goal, network) = (plan.last(), &plan.goal, &plan.network);
        let element = network.precision.bytes() as u64;
        let (pixels, style_pixels) = (last.pixels() as u64, (last.style.0 * last.style.1) as u64);
        let looked_at = |layer| goal.layers().any(|l| l == layer);
        // The style picture is evaluated before there is a gradient, and nothing is kept of it.
        let maps = map_bytes(stages, network, last.height, last.width, looked_at).max(2 * element * 64 * style_pixels);
        let content: u64 = goal.content_layers.iter().map(|l| element * pixels * features(l.layer)).sum();
        let squares = |l: Layer| (channels(l) * channels(l)) as u64;
        let matrices: u64 = goal.style_layers.iter().map(|l| squares(l.layer)).sum();
        let transports = if goal.statistic == Statistic::Wasserstein { 2 * 4 * matrices } else { 0 };
        let matrices = if goal.statistic == Statistic::Wasserstein { 8 * MATRICES * matrices } else { 8 * matrices };
        let variables = plan::canvas(config, last).variables();
        let method = plan.method.bytes(variables);
        Memory {
            // The pool's parts do not fill their regions.
            maps: maps + maps / 10,
            targets: content + matrices,
            weights: weight_bytes(stages),
            optimizer: method + 2 * 4 * variables as u64,
            others: PICTURES * pixels + FIXED,
            // The variables, the picture and the average beside the optimiser's memory.
            checkpoint: method + 4 * variables as u64 + 2 * 3 * 4 * pixels + transports,
        }
    }

    /// All of it, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.maps + self.targets + self.weights + self.optimizer + self.others
    }
}

/// Features of a layer for each pixel of the picture, rounded up.
fn features(layer: Layer) -> u64 {
    (channels(layer) as u64).div_ceil((stride(layer) * stride(layer)) as u64)
}

/// Refuses a run that the machine, or the container it is in, has no room for.
pub fn check(plan: &Plan) -> Result<()> {
    let (needed, available) = (plan.memory.total(), available());
    if needed <= available {
        return Ok(());
    }
    let last = plan.last();
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    Err(Error::Memory(format!(
        "a {}×{} picture needs about {:.1} GB of memory and {:.1} GB are free; \
         give a smaller --size (and --style-size)",
        last.width,
        last.height,
        gigabytes(needed),
        gigabytes(available)
    )))
}

/// Bytes this process may still take: the machine's, or its control group's if that is less. A system
/// that does not say has no limit.
fn available() -> u64 {
    let Ok(mut system) = sysinfo::System::new() else { return u64::MAX };
    system.refresh_memory();
    let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(group)
}
