//! How much memory a run needs, known before it starts, and how its evaluations are cut so that they fit.
//!
//! An operator would rather read one line now than find the process killed in an hour. So every moment at which a run is
//! full is counted beforehand:
//!
//! ```text
//!   each picture read, and resized to all scales ─┬─▶ content and style looked at ─▶ iterations ─┬─▶ result
//!                                                 └─────────────── next scale ◀──────────────────┘
//! ```
//!
//! Outside the network a picture on the pixel canvas takes 60 bytes a pixel: itself, its gradient, Adam's two averages
//! and the photograph, three colours of four bytes each; 72 with the average of the iterates. On the pyramid, which has
//! a third more variables and a picture beside them, it is 100. An evaluation in strips ([`Cut`]) takes little beside
//! that, one of the whole some 500.

use super::colours::keeps_colour;
use super::plan::{self, Machine, Plan, Scale};
use super::sizes::Sizes;
use crate::config::{Config, Scales};
use crate::error::{Error, Result};
use crate::kernels::conv::Scratch;
use crate::limits;
use crate::objective::{Cut, Goal, Statistic, learned_bytes, mask_bytes, room, room_for_sums};
use crate::picture::chroma;
use crate::vgg::layers::{channels, stride};
use crate::vgg::network::{map_bytes, scratch, weight_bytes};
use crate::vgg::{Architecture, Border, Layer, Stage};

/// Everything that grows neither with the picture nor with the threads: what is touched of the program and of its embedded
/// weights, and what the C library keeps. Measured.
const FIXED: u64 = 40_000_000;

/// Of each thread, beside the convolutions' scratch: its stack, panels of Gram matrices, what its allocations leave.
const THREAD: u64 = 2 << 20;

/// Bytes of a pixel of a picture in memory, without opacity.
const PIXEL: u64 = 3 * 4;

/// Bytes of a pixel of a mask in memory.
const MASK: u64 = 4;

/// Of a run with masks: features that are weighted by them, some pixels at a time.
const WEIGHTED: u64 = 16 << 20;

/// Bytes of a pixel of a picture as most files have it.
const SAMPLES: u64 = 3;

/// Bytes of such a pixel while it is decoded: a progressive JPEG is kept as coefficients of two bytes until it is whole.
const DECODING: u64 = 3 * SAMPLES;

/// N × N matrices in `f64` that a layer's transport takes: the root, the transport, and what an eigendecomposition
/// works with.
const MATRICES: u64 = 8;

/// Rows of a picture that may be evaluated at once, the most first: more of them are less work, see
/// `docs/large-pictures.md`.
const STRIPS: [usize; 8] = [512, 256, 128, 64, 32, 16, 8, 4];

/// One part in so many of the budget is left, if it can be.
const SPARE: u64 = 32;

/// Of the memory that there is, a run takes this much unless it is told more: the machine is not its own.
const SHARE: (u64, u64) = (4, 5);

/// Bytes a run holds at its fullest moment, to within about a tenth, and what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Feature maps of an evaluation, or what strips hold of them.
    pub maps: u64,
    /// What content and style are compared with, what comparing takes, and what is kept of styles for other runs.
    pub targets: u64,
    /// The network's weights, as kernels want them.
    pub weights: u64,
    /// The picture, its gradient, and the optimiser's memory of them.
    pub canvas: u64,
    /// Other pictures: content and style as they were read, and at the sizes that are still to come.
    pub pictures: u64,
    /// The program, and what its threads work with.
    pub program: u64,
}

impl Memory {
    /// All of it, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Memory { maps, targets, weights, canvas, pictures, program } = self;
        maps + targets + weights + canvas + pictures + program
    }

    /// Its parts, by name.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, u64); 6] {
        let Memory { maps, targets, weights, canvas, pictures, program } = *self;
        let names = ["maps", "targets", "weights", "canvas", "pictures", "program"];
        let bytes = [maps, targets, weights, canvas, pictures, program];
        std::array::from_fn(|i| (names[i], bytes[i]))
    }
}

/// The least budget in which so many bytes fit with some to spare: they are counted to within some per cent.
pub(super) fn with_spare(bytes: u64) -> u64 {
    bytes + bytes / SPARE
}

/// Bytes that a run may hold: what it was told, or else most of what there is.
#[must_use]
pub fn budget(config: &Config, machine: Machine) -> u64 {
    config.max_memory.unwrap_or(machine.memory / SHARE.1 * SHARE.0)
}

/// A run whose memory is counted.
pub(super) struct Count<'a> {
    config: &'a Config,
    plan: &'a Plan,
    stages: &'a [Stage],
    /// Of the pictures as they were read.
    inputs: &'a Sizes,
    threads: usize,
}

impl<'a> Count<'a> {
    pub fn new(config: &'a Config, plan: &'a Plan, stages: &'a [Stage], inputs: &'a Sizes, threads: usize) -> Self {
        Count { config, plan, stages, inputs, threads }
    }

    /// How the evaluations of each scale are cut so that they fit: as little as possible. If they do not, in the least memory;
    /// that is not always in the lowest strips, on all tiles of which the threads work together.
    pub fn cuts(&self, budget: u64) -> Vec<Cut> {
        // The first strip of a picture whose sides are joined would need the last one's maps.
        if self.plan.network.border == Border::Wrap {
            return vec![Cut::default(); self.plan.scales.len()];
        }
        (0..self.plan.scales.len())
            .map(|index| {
                let scale = &self.plan.scales[index];
                // More rows than there are is the whole with the trouble of strips.
                let among = |rows: usize, bytes: &dyn Fn(Option<usize>) -> u64| {
                    let strips = STRIPS.into_iter().filter(|&strip| strip < rows).map(Some);
                    let cuts = std::iter::once(None).chain(strips);
                    let least = || cuts.clone().min_by_key(|&cut| bytes(cut)).expect("the whole is one of them");
                    cuts.clone().find(|&cut| with_spare(bytes(cut)) <= budget).unwrap_or_else(least)
                };
                // The norm of a gradient is that of all strips.
                let whole = self.plan.goal.normalize_gradients;
                let picture = if whole {
                    None
                } else {
                    among(scale.height, &|picture| {
                        let cut = Cut { picture, style: None };
                        fuller(self.iterating(index, cut), self.looking(index, self.of_content(scale, cut))).total()
                    })
                };
                let highest = scale.styles.iter().map(|style| style.0).max().unwrap_or_default();
                let style =
                    among(highest, &|style| self.looking(index, self.of_styles(scale, Cut { picture, style })).total());
                Cut { picture, style }
            })
            .collect()
    }

    /// The fullest moment of a scale.
    pub fn scale(&self, index: usize) -> Memory {
        let (scale, cut) = (&self.plan.scales[index], self.plan.cuts[index]);
        let looked = self.of_content(scale, cut).max(self.of_styles(scale, cut));
        fuller(self.looking(index, looked), self.iterating(index, cut))
    }

    /// The fullest moment of all.
    pub fn fullest(&self) -> Memory {
        let scales = (0..self.plan.scales.len()).map(|index| self.scale(index));
        scales.chain([self.resizing(), self.finishing()]).reduce(fuller).expect("there is more than one")
    }

    /// Bytes of a pixel of the result outside the network: its canvas and the photograph.
    pub fn outside(&self) -> u64 {
        let last = self.plan.scales.len() - 1;
        self.canvas(last).div_ceil(self.plan.last().pixels() as u64) + PIXEL
    }

    /// Bytes of a checkpoint, on disk: the variables, the picture and the average beside the optimiser's memory.
    pub fn checkpoint(&self) -> u64 {
        let (variables, pixels) = self.variables(self.plan.scales.len() - 1);
        let regions = self.plan.groups.len() as u64;
        let wasserstein = self.plan.goal.statistic == Statistic::Wasserstein;
        let transports = if wasserstein { regions * 2 * 4 * self.squares() } else { 0 };
        self.plan.method.bytes(variables) + 4 * variables as u64 + 2 * PIXEL * pixels + transports
    }

    /// One picture after the other is read, and all that is made of it.
    fn resizing(&self) -> Memory {
        let last = self.plan.last();
        let styles = self.inputs.styles.iter().zip(&last.styles).map(|(style, here)| (style.size, here.1));
        let of_styles =
            self.inputs.styles.iter().zip(&last.styles).filter_map(|(style, here)| Some((style.mask?, here.1)));
        let masks = self.inputs.masks.iter().copied().chain(self.inputs.keep).map(|mask| (mask, last.width));
        let pictures = styles.chain([(self.inputs.content, last.width)]).chain(of_styles).chain(masks);
        let read = |((height, width), narrower): ((usize, usize), usize)| {
            // Rows become colours, and as long as they will be, one band after the other; columns follow when all are there.
            let resizing = SAMPLES * (height * width) as u64 + PIXEL * (height * narrower) as u64;
            resizing.max(DECODING * (height * width) as u64)
        };
        let before = Memory { program: FIXED, targets: self.plan.remembered, ..Memory::default() };
        // Beside a mask is the picture that it is read from; masks of regions wait until they become parts.
        let over = self.inputs.masks.len() + usize::from(self.plan.keeps);
        let waiting = MASK * (over * self.differing(0).map(Scale::pixels).sum::<usize>()) as u64;
        Memory { pictures: pictures.map(read).max().unwrap_or_default() + waiting + self.pending(0), ..before }
    }

    /// Content and style are looked at, in `maps` bytes.
    fn looking(&self, index: usize, maps: u64) -> Memory {
        let scale = &self.plan.scales[index];
        // The picture before and its optimiser are still there, and the one to begin with.
        let before = if index == 0 { 0 } else { self.canvas(index - 1) };
        let here = PIXEL * scale.pixels() as u64 + self.of_scale(scale);
        let pictures = here + self.pending(index + 1);
        Memory { maps, canvas: before, pictures, targets: self.targets(scale), ..self.always(scale, None) }
    }

    /// Iterations.
    fn iterating(&self, index: usize, cut: Cut) -> Memory {
        let (plan, scale) = (self.plan, &self.plan.scales[index]);
        let pixels = scale.pixels() as u64;
        let (maps, content) = match cut.picture {
            Some(rows) => {
                let size = (scale.height, scale.width);
                (room(&plan.goal, self.stages, &plan.network, size, rows) as u64, PIXEL * pixels)
            }
            None => {
                let looked_at = |layer| plan.goal.layers().any(|l| l == layer);
                let maps = map_bytes(self.stages, &plan.network, scale.height, scale.width, looked_at);
                let maps = maps + self.normalized(scale);
                // The pool's parts do not fill its regions: a fifth more, measured. On the tape are the picture and its gradient.
                (maps + maps / 5 + 2 * PIXEL * pixels, self.content_maps(scale))
            }
        };
        Memory {
            maps,
            targets: self.targets(scale) + if cut.picture.is_some() { 0 } else { content },
            canvas: self.canvas(index),
            pictures: self.pending(index + 1) + if cut.picture.is_some() { content } else { 0 },
            ..self.always(scale, cut.picture)
        }
    }

    /// The result is made, and written.
    fn finishing(&self) -> Memory {
        let last = self.plan.last();
        // With masks, colours are matched and flats calmed region by region.
        let pictures = if self.plan.is_masked() { 9 } else { 5 };
        Memory {
            pictures: pictures * PIXEL * last.pixels() as u64 + self.pending(self.plan.scales.len()),
            ..self.always(last, Some(0))
        }
    }

    /// What is there at all times, while strips of so many rows are evaluated.
    fn always(&self, scale: &Scale, rows: Option<usize>) -> Memory {
        // Of deep maps a strip has few rows, and of such a map all tiles are worked on together.
        let heights = rows.map_or(vec![scale.height], |rows| vec![16, 32, 64, rows + 16]);
        let of = |height: usize| {
            let size = (height.min(scale.height), scale.width);
            scratch(self.stages, &self.plan.convolutions, size, self.threads)
        };
        let scratch = heights.into_iter().map(of).fold(Scratch::default(), Scratch::max).bytes(self.threads);
        Memory {
            weights: weight_bytes(self.stages),
            targets: self.plan.remembered,
            program: FIXED + scratch + THREAD * self.threads as u64 + if self.plan.is_masked() { WEIGHTED } else { 0 },
            ..Memory::default()
        }
    }

    /// Bytes of maps while the content picture is looked at.
    fn of_content(&self, scale: &Scale, cut: Cut) -> u64 {
        if cut.picture.is_some() { 0 } else { self.two_maps(scale.pixels()) + self.content_maps(scale) }
    }

    /// Bytes of maps while the style pictures are looked at, one after the other, and of what is learned from several.
    fn of_styles(&self, scale: &Scale, cut: Cut) -> u64 {
        let Plan { goal, network, .. } = self.plan;
        let of = |&size: &(usize, usize)| match cut.style.filter(|rows| *rows < size.0) {
            None => self.two_maps(size.0 * size.1),
            Some(rows) => room_for_sums(goal, self.stages, network, size, rows) as u64,
        };
        let blends = if scale.styles.len() > 1 { 8 * self.squares() } else { 0 };
        scale.styles.iter().map(of).max().unwrap_or_default() + blends
    }

    /// Of a picture of which nothing is kept: the largest convolution's input and output.
    fn two_maps(&self, pixels: usize) -> u64 {
        (2 * self.plan.network.dtype.bytes() * channels(Layer::relu(1, 1)) * pixels) as u64
    }

    /// Of the content picture, where its maps are kept.
    fn content_maps(&self, scale: &Scale) -> u64 {
        let element = self.plan.network.dtype.bytes() as u64;
        let layers = self.plan.goal.content_layers.iter();
        layers.map(|l| element * scale.pixels() as u64 * features(l.layer)).sum()
    }

    /// The largest gradient that waits for its norm beside the map that it is of, where that is asked for.
    fn normalized(&self, scale: &Scale) -> u64 {
        let element = self.plan.network.dtype.bytes() as u64;
        let layers = self.plan.goal.differentiated().filter(|_| self.plan.goal.normalize_gradients);
        layers.map(|layer| element * scale.pixels() as u64 * features(layer)).max().unwrap_or(0)
    }

    /// What the style is compared with.
    fn targets(&self, scale: &Scale) -> u64 {
        let matrices = if self.plan.goal.statistic == Statistic::Wasserstein { MATRICES } else { 1 };
        // Wasserstein's small form has all features of a layer, where they are few.
        let few = self.plan.goal.style_layers.iter().filter_map(|l| {
            let pixels = scale.pixels() / (stride(l.layer) * stride(l.layer));
            (pixels < channels(l.layer)).then_some(2 * 4 * (pixels * channels(l.layer)) as u64)
        });
        let masks = match self.plan.is_masked() {
            true => mask_bytes(&self.plan.goal, (scale.height, scale.width)) as u64,
            false => 0,
        };
        let compared = self.plan.groups.len() as u64 * (8 * matrices * self.squares() + masks) + few.sum::<u64>();
        compared + self.plan.remembered
    }

    /// Elements of the style layers' matrices.
    fn squares(&self) -> u64 {
        self.plan.goal.style_layers.iter().map(|l| (channels(l.layer) * channels(l.layer)) as u64).sum()
    }

    /// The picture, what is moved in its place if it is not moved itself, the gradient, the optimiser's memory, the average, and
    /// the picture as it is looked at.
    fn canvas(&self, index: usize) -> u64 {
        let (variables, pixels) = self.variables(index);
        let picture = if variables as u64 == 3 * pixels { 0 } else { PIXEL * pixels };
        let beside = u64::from(self.config.average.is_some()) + u64::from(self.config.jitter > 0);
        2 * 4 * variables as u64 + self.plan.method.bytes(variables) + picture + PIXEL * pixels * beside
    }

    /// Variables, and pixels.
    fn variables(&self, index: usize) -> (usize, u64) {
        let scale = &self.plan.scales[index];
        (plan::canvas(self.config, scale).variables(), scale.pixels() as u64)
    }

    /// The pictures at the scales from one on, with what the result is made with.
    fn pending(&self, from: usize) -> u64 {
        let last = self.plan.last().pixels() as u64;
        let parts = if self.plan.is_masked() { MASK * self.plan.groups.len() as u64 * last } else { 0 };
        let kept = if self.plan.keeps { (PIXEL + MASK) * last } else { 0 };
        self.differing(from).map(|scale| self.of_scale(scale)).sum::<u64>() + parts + kept + self.colour()
    }

    /// Scales from one on that differ from those before them.
    fn differing(&self, from: usize) -> impl Iterator<Item = &Scale> {
        differing(&self.plan.scales, from)
    }

    /// The pictures of a scale, and their masks.
    fn of_scale(&self, scale: &Scale) -> u64 {
        let styles = scale.styles.iter().zip(&self.inputs.styles).map(|(&(height, width), style)| {
            let mask = if style.mask.is_some() { MASK } else { 0 };
            (PIXEL + mask) * (height * width) as u64
        });
        let parts = if self.plan.is_masked() { MASK * self.plan.groups.len() as u64 } else { 0 };
        styles.sum::<u64>() + (PIXEL + parts) * scale.pixels() as u64
    }

    /// The content picture's colour, where that is kept until the end.
    fn colour(&self) -> u64 {
        if keeps_colour(self.config) { chroma::BYTES * self.plan.last().pixels() as u64 } else { 0 }
    }
}

/// Bytes of what a run through some scales learns of its style pictures.
pub(super) fn learned(goal: &Goal, scales: &[Scale]) -> u64 {
    differing(scales, 0).map(|scale| scale.styles.len() as u64 * learned_bytes(&goal.style_layers)).sum()
}

fn differing(scales: &[Scale], from: usize) -> impl Iterator<Item = &Scale> {
    let differs = |index: &usize| *index == 0 || !scales[*index].continues(&scales[index - 1]);
    (from..scales.len()).filter(differs).map(|index| &scales[index])
}

fn fuller(one: Memory, other: Memory) -> Memory {
    if other.total() > one.total() { other } else { one }
}

/// Features of a layer for each pixel of the picture, rounded up.
fn features(layer: Layer) -> u64 {
    (channels(layer) as u64).div_ceil((stride(layer) * stride(layer)) as u64)
}

/// Refuses a run that there is no room for, and says what there would be room for.
pub(super) fn check(
    config: &Config,
    plan: &Plan,
    inputs: &Sizes,
    architecture: Architecture,
    machine: Machine,
) -> Result<()> {
    let (needed, last) = (plan.memory.total(), plan.last());
    let limit = config.max_memory.unwrap_or(u64::MAX).min(machine.memory);
    if needed <= limit {
        return Ok(());
    }
    let told = config.max_memory.filter(|&told| told == limit);
    let there = match told {
        Some(told) => format!(", more than --max-memory {}", limits::short(told)),
        None => format!(" and {}", limits::Memory::detect(machine.threads).by.leaves(machine.memory)),
    };
    let size = largest(config, plan, inputs, architecture, machine, limit);
    let mut remedies: Vec<String> = size.map(|size| format!("--size {size} would fit")).into_iter().collect();
    if told.is_some() && needed <= machine.memory {
        remedies.push(format!("--max-memory {} would do", limits::short(needed)));
    }
    if remedies.is_empty() {
        remedies.push("use smaller pictures, or a machine with more memory".into());
    }
    Err(Error::Memory(format!(
        "a {}×{} picture{} needs at least {} of memory{there}; {}",
        last.width,
        last.height,
        if plan.goal.normalize_gradients { ", whole as --normalize-gradients needs it," } else { "" },
        limits::amount(needed),
        remedies.join(", or ")
    )))
}

/// The largest --size below a plan's of which there is room in `limit` bytes.
fn largest(
    config: &Config,
    plan: &Plan,
    inputs: &Sizes,
    architecture: Architecture,
    machine: Machine,
    limit: u64,
) -> Option<u32> {
    if matches!(config.scales, Scales::Given(_)) {
        return None;
    }
    let (remembered, than) = (plan.remembered, plan.last().height.max(plan.last().width));
    let fits = |size: u32| {
        let config = Config { size, ..config.clone() };
        let scales = plan::scales(&config, inputs);
        let plan = scales.and_then(|scales| Plan::of(&config, scales, inputs, architecture, machine, remembered));
        plan.is_ok_and(|plan| plan.memory.total() <= limit)
    };
    let sizes: Vec<u32> = (16..than as u32).step_by(16).collect();
    let fitting = sizes.partition_point(|&size| fits(size));
    fitting.checked_sub(1).map(|last| sizes[last])
}
