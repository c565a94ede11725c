//! Everything that is decided before the first iteration, as plain data.
//!
//! A network's filters see a few dozen pixels. Growing the picture from a small
//! size lets them first arrange large strokes, then refine them: the result is
//! more painterly, and most iterations are cheap. How many there are at a size is
//! a rule, a line from point to point over the logarithm of the size:
//!
//! ```text
//!   iterations  250 ●───
//!                        ───● 200
//!                               ╲─● 150
//!                                    ╲
//!                                     ╲● 80 ──● 50 ──● 25 ───── …
//!               128     181    256   362    512    724  pixels
//! ```
//!
//! A plan is a pure function of the configuration, the pictures' sizes, the
//! network and the machine. A run follows it, a progress display counts by it,
//! and an operator reads it: nothing is decided twice.

use serde::{Deserialize, Serialize};

use super::canvas::Canvas;
use super::memory::{self, Count, Memory};
use super::painted::{self, Group};
use super::sizes::Sizes;
use crate::config::{Config, Moments, OptimizerKind, ScaleRule, Scales};
use crate::error::{Error, Result};
use crate::kernels::conv::{Choice, Cpu};
use crate::kernels::variation::Edges;
use crate::limits;
use crate::objective::{Cut, Goal};
use crate::optim::{AdamOptions, LbfgsOptions, Method, lbfgs, schedule};
use crate::picture::fit;
use crate::tensor::Dtype;
use crate::vgg::network::choices;
use crate::vgg::{Architecture, Border, Layer, SEAMLESS, SMALLEST_SIDE, VggOptions};

/// The longest side that a run may have: what it takes can be counted in 64 bits.
pub const LARGEST_SIDE: usize = 1 << 20;

/// What is known of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What of the CPU decides between algorithms.
    pub cpu: Cpu,
    /// Worker threads.
    pub threads: usize,
    /// Bytes of memory that this process may have, with those that it holds already.
    pub memory: u64,
}

impl Machine {
    /// This machine, with the threads of the pool that is asked.
    #[must_use]
    pub fn detect() -> Self {
        let threads = rayon::current_num_threads();
        let free = limits::Memory::detect(threads).free;
        let memory = free.saturating_add(limits::resident_memory().unwrap_or(0));
        Machine { cpu: Cpu::detect(), threads, memory }
    }
}

/// One scale of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Height of the picture, in pixels.
    pub height: usize,
    /// Width of the picture, in pixels.
    pub width: usize,
    /// Height and width of each style picture, in pixels.
    pub styles: Vec<(usize, usize)>,
    /// Iterations at this size.
    pub iterations: u32,
    /// The share of the learning rate that is left at its end.
    pub rate_end: f64,
    /// α here: more than the configuration's where the photograph is enlarged, see [`Config::enlarged_weighs_more`].
    pub content_weight: f64,
}

impl Scale {
    /// The share of the learning rate in iteration `i`, from 0.
    #[must_use]
    pub fn rate(&self, i: u32) -> f64 {
        schedule::cosine(i, self.iterations, self.rate_end)
    }

    /// M, the pixels of the picture.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Whether it is the same as another but for its iterations: only the learning rate begins anew.
    #[must_use]
    pub fn continues(&self, before: &Scale) -> bool {
        Scale { iterations: before.iterations, ..self.clone() } == *before
    }

    /// Whether a run could go through it: what a rule makes does, what a file says may not.
    #[must_use]
    pub fn usable(&self) -> bool {
        let sizes = self.styles.iter().copied().chain([(self.height, self.width)]);
        let mut sides = sizes.flat_map(|(height, width)| [height, width]);
        sides.all(|side| (SMALLEST_SIDE..=LARGEST_SIDE).contains(&side))
            && !self.styles.is_empty()
            && self.iterations > 0
            && [self.rate_end, self.content_weight].iter().all(|factor| factor.is_finite() && *factor >= 0.0)
    }
}

/// A run before it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Small to large; the last has the result's size. Each has at least one iteration.
    pub scales: Vec<Scale>,
    /// The share of each style picture in what is learned from all of them; together 1.
    pub shares: Vec<f64>,
    /// The regions, and the styles of each.
    pub groups: Vec<Group>,
    /// Masks of regions.
    pub masks: usize,
    /// Whether something of the content picture is kept.
    pub keeps: bool,
    /// What is minimised at each, but for [`Scale::content_weight`].
    pub goal: Goal,
    /// By which optimiser.
    pub method: Method,
    /// What becomes of its memory where the picture grows.
    pub moments: Moments,
    /// How the network is evaluated.
    pub network: VggOptions,
    /// The deepest layer that is evaluated.
    pub deepest: Layer,
    /// How each convolution is computed, in the network's order.
    pub convolutions: Vec<(Layer, Choice)>,
    /// How evaluations are cut at each scale, so that they fit.
    pub cuts: Vec<Cut>,
    /// Bytes that it was to fit into.
    pub budget: u64,
    /// Those among them in which what is learned of style pictures is kept for other runs.
    pub remembered: u64,
    /// What it will take at its fullest.
    pub memory: Memory,
    /// The same of each scale.
    pub peaks: Vec<Memory>,
    /// Bytes a pixel of the last scale outside the network: picture, gradient, the optimiser's memory, average, photograph.
    pub bytes_a_pixel: u64,
    /// Bytes of a checkpoint, on disk.
    pub checkpoint: u64,
}

impl Plan {
    /// Plans a run on a content and a style picture of (height, width) pixels each.
    ///
    /// # Errors
    /// [`Error::Usage`] for a configuration that is not valid, for a size that leaves too few pixels on a side, and for
    /// a layer that the network lacks.
    pub fn new(
        config: &Config,
        content: (usize, usize),
        style: (usize, usize),
        architecture: Architecture,
        machine: Machine,
    ) -> Result<Self> {
        let sizes = Sizes::new(content, style);
        Self::of(config, scales(config, &sizes)?, &sizes, architecture, machine, 0)
    }

    /// Plans a run through given scales, as [`scales`] and [`more_scales`] make them, on pictures of the sizes `inputs`, beside
    /// `remembered` bytes of what is learned of style pictures and kept for other runs.
    ///
    /// # Errors
    /// As [`Plan::new`]; [`Error::Usage`] if a scale has another number of style pictures.
    ///
    /// # Panics
    /// If there is no scale.
    pub fn of(
        config: &Config,
        scales: Vec<Scale>,
        inputs: &Sizes,
        architecture: Architecture,
        machine: Machine,
        remembered: u64,
    ) -> Result<Self> {
        assert!(!scales.is_empty(), "a run has a scale");
        config.validate()?;
        if scales.iter().any(|scale| scale.styles.len() != inputs.styles.len()) {
            return Err(Error::Usage("the scales are of another number of style pictures; give as many".into()));
        }
        let shares = inputs.shares()?;
        let goal = config.goal();
        let network = VggOptions {
            pooling: config.pooling,
            border: config.border,
            dtype: config.precision.dtype(),
            algorithm: config.conv_algorithm,
        };
        for layer in goal.layers() {
            architecture.stages_to(layer)?;
        }
        let deepest = goal.deepest_layer();
        let stages = architecture.stages_to(deepest)?;
        let mut plan = Plan {
            method: method(config),
            moments: config.moments,
            convolutions: choices(stages, network.dtype, machine.cpu, config.conv_algorithm),
            cuts: Vec::new(),
            budget: memory::budget(config, machine),
            remembered,
            memory: Memory::default(),
            peaks: Vec::new(),
            bytes_a_pixel: 0,
            checkpoint: 0,
            scales,
            groups: painted::groups(inputs, &shares),
            masks: inputs.masks.len(),
            keeps: inputs.keep.is_some(),
            shares,
            deepest,
            network,
            goal,
        };
        plan.cuts = Count::new(config, &plan, stages, inputs, machine.threads).cuts(plan.budget);
        let count = Count::new(config, &plan, stages, inputs, machine.threads);
        let peaks = (0..plan.scales.len()).map(|index| count.scale(index)).collect();
        let (memory, bytes_a_pixel, checkpoint) = (count.fullest(), count.outside(), count.checkpoint());
        plan = Plan { memory, peaks, bytes_a_pixel, checkpoint, ..plan };
        Ok(plan)
    }

    /// Whether regions are told apart by masks.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.masks > 0 || self.keeps
    }

    /// What is minimised at a scale.
    #[must_use]
    pub fn goal_at(&self, scale: usize) -> Goal {
        Goal { content_weight: self.scales[scale].content_weight, ..self.goal.clone() }
    }

    /// The result's scale.
    #[must_use]
    pub fn last(&self) -> &Scale {
        self.scales.last().expect("there is always one scale")
    }

    /// Iterations in all.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.scales.iter().map(|scale| scale.iterations).sum()
    }
}

fn method(config: &Config) -> Method {
    let Config { learning_rate, beta1, beta2, epsilon, .. } = *config;
    match config.optimizer {
        OptimizerKind::Adam => Method::Adam(AdamOptions { learning_rate, beta1, beta2, epsilon }),
        OptimizerKind::Lbfgs => {
            // Maps in bf16 are rounded 2¹⁶ times as coarsely, in sums of as many independent terms.
            let noise = if config.precision.dtype() == Dtype::Bf16 { 25.0 * lbfgs::NOISE } else { lbfgs::NOISE };
            Method::Lbfgs(LbfgsOptions { history: config.lbfgs_history as usize, learning_rate, noise })
        }
    }
}

/// The scales of a run on pictures of such sizes.
///
/// # Errors
/// [`Error::Usage`] if one of them would have too few pixels on a side, or a style picture has no weight.
pub fn scales(config: &Config, sizes: &Sizes) -> Result<Vec<Scale>> {
    let (content, shares) = (sizes.content, sizes.shares()?);
    let end = match &config.scales {
        Scales::Given(given) => given.last().map_or(config.size, |scale| scale.size),
        Scales::Single(_) | Scales::Grown(_) => config.size,
    };
    let (height, width) = fit(end, content.0, content.1);
    let possible = |what: &str, (height, width): (usize, usize), flag: &str| {
        let cause = format!("{what} would be {width}×{height} pixels; give {flag} that leaves");
        if height.min(width) < SMALLEST_SIDE {
            return Err(Error::Usage(format!("{cause} at least {SMALLEST_SIDE} on each side")));
        }
        if height.max(width) > LARGEST_SIDE {
            return Err(Error::Usage(format!("{cause} at most {LARGEST_SIDE} on each side")));
        }
        Ok(())
    };
    possible("the result", (height, width), "a --size")?;
    let joined = config.border == Border::Wrap;
    if joined && (height % SEAMLESS, width % SEAMLESS) != (0, 0) {
        return Err(Error::Usage(format!(
            "the result would be {width}×{height} pixels, and wraps around only if both sides are multiples of {SEAMLESS}; \
             give a size such as {}x{}",
            seamless(width),
            seamless(height)
        )));
    }
    let longest = height.max(width);
    let rules = match &config.scales {
        Scales::Single(iterations) => vec![ScaleRule { size: longest as u32, iterations: *iterations }],
        Scales::Given(given) => {
            for scale in given {
                possible("a scale", fit(scale.size, content.0, content.1), "--scales")?;
            }
            given.clone()
        }
        Scales::Grown(rule) => grown(rule, longest, |size| fit(size, content.0, content.1)),
    };
    let rules = shared_out(rules, config.iterations);
    let style_option = if config.style_scale == 1.0 { "a --style-size" } else { "a --style-scale" };
    let styles = || sizes.styles.iter().map(|style| style.size);
    let ends: Vec<_> = styles().map(|style| scaled(config, style_at_the_end(config, style, longest))).collect();
    for &end in &ends {
        possible("the style picture", end, style_option)?;
    }
    let last = rules.len() - 1;
    let scale = |(i, rule): (usize, ScaleRule)| {
        let (height, width) = match fit(rule.size, content.0, content.1) {
            _ if i == last => (height, width),
            (height, width) if joined => (seamless(height), seamless(width)),
            size => size,
        };
        let smaller = |(style, &end)| smaller_style(config, style, end, rule.size, longest);
        let here = if i == last { ends.clone() } else { styles().zip(&ends).map(smaller).collect() };
        let of_styles = styles().zip(&here).zip(&shares).map(|((own, &here), share)| share * enlargement(own, here));
        let enlarged = enlargement(content, (height, width)) / of_styles.sum::<f64>();
        Scale {
            height,
            width,
            styles: here,
            content_weight: config.alpha() * if config.enlarged_weighs_more { enlarged.max(1.0) } else { 1.0 },
            iterations: rule.iterations,
            rate_end: if i == last { config.schedule.last } else { config.schedule.end },
        }
    };
    Ok(rules.into_iter().enumerate().map(scale).collect())
}

/// What a run does after `done`, if it goes on: to a larger size through the scales that a run of that size would have,
/// and for `iterations` more at the last of them, with a course of their own.
///
/// # Errors
/// As [`scales`]; [`Error::Usage`] if the size is not larger, or there are no iterations.
pub fn more_scales(
    config: &Config,
    done: &[Scale],
    sizes: &Sizes,
    (size, iterations): (Option<u32>, Option<u32>),
) -> Result<Vec<Scale>> {
    let mut all = done.to_vec();
    let longest = |scale: &Scale| scale.height.max(scale.width);
    let before = longest(done.last().expect("a run has a scale"));
    if let Some(size) = size {
        let rule = match &config.scales {
            Scales::Given(rule) => Scales::Grown(rule.clone()),
            other => other.clone(),
        };
        let larger = scales(&Config { size, scales: rule, iterations: None, ..config.clone() }, sizes)?;
        all.extend(larger.into_iter().filter(|scale| longest(scale) > before));
        if all.len() == done.len() {
            return Err(Error::Usage(format!("--size {size}: the picture has {before} pixels already; give more")));
        }
    }
    if let Some(iterations) = iterations {
        let last = all.last().expect("a run has a scale");
        all.push(Scale { iterations, ..last.clone() });
    }
    if all.iter().any(|scale| scale.iterations == 0) {
        return Err(Error::Usage("--iterations 0: give at least 1".into()));
    }
    Ok(all)
}

/// The nearest side that is halved without a rest, down to the deepest layer.
fn seamless(side: usize) -> usize {
    ((side + SEAMLESS / 2) / SEAMLESS).max(1) * SEAMLESS
}

/// By how much a picture is larger than it was; 1 if it is not.
fn enlargement(from: (usize, usize), to: (usize, usize)) -> f64 {
    (to.0.max(to.1) as f64 / from.0.max(from.1) as f64).max(1.0)
}

/// Sizes longest/√2ⁱ that are no smaller than the rule's first, small to large, each with the rule's iterations.
fn grown(rule: &[ScaleRule], longest: usize, fit: impl Fn(u32) -> (usize, usize)) -> Vec<ScaleRule> {
    let smallest = f64::from(rule[0].size);
    let size = |halvings: i32| longest as f64 * 0.5f64.sqrt().powi(halvings);
    let usable = |size: u32| {
        let (height, width) = fit(size);
        height.min(width) >= SMALLEST_SIDE
    };
    let smaller = (1..).map(size).take_while(|&size| size >= smallest - 0.5).map(|size| size.round() as u32);
    let mut sizes: Vec<u32> = smaller.take_while(|&size| usable(size)).collect();
    sizes.reverse();
    sizes.push(longest as u32);
    sizes.into_iter().map(|size| ScaleRule { size, iterations: interpolated(rule, f64::from(size)) }).collect()
}

/// The rule's iterations at a size: linear in its logarithm between two of the rule's, constant beyond them.
fn interpolated(rule: &[ScaleRule], size: f64) -> u32 {
    let above = rule.iter().position(|point| f64::from(point.size) >= size);
    let (below, above) = match above {
        Some(0) => return rule[0].iterations,
        None => return rule[rule.len() - 1].iterations,
        Some(above) => (rule[above - 1], rule[above]),
    };
    let part = (size / f64::from(below.size)).ln() / (f64::from(above.size) / f64::from(below.size)).ln();
    let (from, to) = (f64::from(below.iterations), f64::from(above.iterations));
    (from + part * (to - from)).round().max(1.0) as u32
}

/// The scales with `total` iterations in the proportions they have, at least one each: where there are not enough for
/// all, the smallest are left out.
fn shared_out(mut scales: Vec<ScaleRule>, total: Option<u32>) -> Vec<ScaleRule> {
    let Some(total) = total else { return scales };
    let surplus = scales.len().saturating_sub(total as usize);
    scales.drain(..surplus);
    let sum: u64 = scales.iter().map(|scale| u64::from(scale.iterations)).sum();
    let spare = u64::from(total) - scales.len() as u64;
    for scale in &mut scales {
        scale.iterations = 1 + (u64::from(scale.iterations) * spare / sum) as u32;
    }
    scales[0].iterations += total - scales.iter().map(|scale| scale.iterations).sum::<u32>();
    scales
}

/// The style picture's size at the last scale: what is asked for, or else that of the result, and no larger than its own.
fn style_at_the_end(config: &Config, style: (usize, usize), longest: usize) -> (usize, usize) {
    match config.style_size {
        Some(size) => fit(size, style.0, style.1),
        None if config.size == 0 => style,
        None => usable(style, longest.min(style.0.max(style.1)) as f64),
    }
}

/// A style picture's size, enlarged or reduced as it should be.
fn scaled(config: &Config, (height, width): (usize, usize)) -> (usize, usize) {
    let side = |side: usize| ((side as f64 * config.style_scale).round() as usize).max(1);
    (side(height), side(width))
}

/// The style picture's size at a smaller scale: as much smaller as the picture is.
fn smaller_style(
    config: &Config,
    style: (usize, usize),
    end: (usize, usize),
    size: u32,
    longest: usize,
) -> (usize, usize) {
    let wanted = match config.style_size {
        None if config.size != 0 => config.style_scale * (size as usize).min(style.0.max(style.1)) as f64,
        _ => end.0.max(end.1) as f64 * f64::from(size) / longest as f64,
    };
    usable(style, wanted)
}

/// The style picture with its longest side so long, or longer, if a side would be so small that the network cannot look
/// at it: in proportion.
fn usable(style: (usize, usize), longest: f64) -> (usize, usize) {
    let (own, shorter) = (style.0.max(style.1) as f64, style.0.min(style.1) as f64);
    let least = (SMALLEST_SIDE as f64 * own / shorter).ceil();
    fit(longest.max(least).round() as u32, style.0, style.1)
}

/// The canvas of a scale.
#[must_use]
pub fn canvas(config: &Config, scale: &Scale) -> Canvas {
    Canvas::with_edges(config.canvas, edges(config), scale.height, scale.width)
}

/// Whether opposite sides of the result are joined.
#[must_use]
pub fn edges(config: &Config) -> Edges {
    if config.border == Border::Wrap { Edges::Joined } else { Edges::Open }
}

#[cfg(test)]
mod tests;
