//! How fast this machine does the work, in numbers that can be trusted.
//!
//! ```text
//!  machine    what it is
//!  gauge      times on some threads; peaks of the units; memory bandwidth
//!    ├─ layers    each convolution and Gram matrix, verified, then timed
//!    └─ step      a whole iteration, with its losses and peak memory
//!  whole      whole runs, seconds a picture
//!  row        everything measured is a Row; a Report is rows and a machine
//!    ├─ compare   against an earlier report
//!    └─ report    table, Markdown, JSON, CSV
//! ```
//!
//! A kernel that does not compute what its definition does is not timed: the
//! run ends with [`Error::Kernel`]. A convolution's rate
//! counts the operations of the *direct* algorithm, whatever is saved, so
//! algorithms compare with each other and with other programs.

pub mod compare;
pub mod csv_rows;
pub mod gauge;
mod layers;
pub mod machine;
pub mod report;
pub mod row;
pub mod sample;
mod step;
mod table;
mod whole;

use std::time::SystemTime;

use half::bf16;
use serde::Serialize;

use crate::config::{Config, Precision, Preset};
use crate::error::{Error, Result};
use crate::kernels::conv::{Algorithm, Cpu, Direction, amx};
use crate::kernels::simd::Isa;
use crate::tensor::Dtype;
use crate::transfer::plan::{self, LARGEST_SIDE, Plan};
use crate::vgg::{Architecture, Layer, SMALLEST_SIDE};
use gauge::Gauge;
pub use layers::direction_name;
pub use machine::{Machine, commit};
use row::Kind;
pub use row::{Report, Row};
pub use step::{TestPicture, test_picture};
pub use table::{WIDTH, wrapped};

/// Bursts of which the best is an instruction set's peak: they are short, and one undisturbed is enough.
const BURSTS: usize = 20;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Peaks and bandwidth.
    Machine,
    /// Convolutions and Gram matrices.
    Layers,
    /// Whole iterations.
    Step,
    /// Whole runs.
    Picture,
}

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Parts of the benchmark.
    pub parts: Vec<Part>,
    /// Sides of the square pictures of whole iterations.
    pub sizes: Vec<usize>,
    /// Side of the square picture whose layers are timed alone.
    pub layer_size: usize,
    /// Side of the square pictures that whole runs make.
    pub picture_size: usize,
    /// The deepest layer timed alone.
    pub deepest: Layer,
    /// Arithmetic; if none is named, every one for layers and whole iterations, and for whole runs what they choose.
    pub precisions: Vec<Precision>,
    /// Numbers of threads; 0 is every core the process may use.
    pub threads: Vec<usize>,
    /// Repeats of each measurement.
    pub repeats: usize,
    /// Algorithms to force, one after the other; none leaves the choice to [`crate::kernels::conv::choose`].
    pub algorithms: Vec<Algorithm>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            parts: vec![Part::Machine, Part::Layers, Part::Step],
            sizes: vec![256, 512, 1024],
            layer_size: 512,
            picture_size: 256,
            deepest: Layer::relu(4, 3),
            precisions: Vec::new(),
            threads: vec![0],
            repeats: 5,
            algorithms: Vec::new(),
        }
    }
}

impl Options {
    fn validate(&self) -> Result<()> {
        let sides = [("--layer-size", self.layer_size), ("--picture-size", self.picture_size)];
        let sizes = self.sizes.iter().map(|&size| ("--size", size)).chain(sides);
        for (flag, size) in sizes {
            if size < SMALLEST_SIDE {
                return Err(Error::Usage(format!("{flag} {size}: give at least {SMALLEST_SIDE} pixels")));
            }
            if size > LARGEST_SIDE {
                return Err(Error::Usage(format!("{flag} {size}: give at most {LARGEST_SIDE} pixels")));
            }
        }
        Architecture::Vgg16.stages_to(self.deepest)?;
        if self.repeats == 0 {
            return Err(Error::Usage("--repeats 0: give at least 1".into()));
        }
        Ok(())
    }

    /// Refuses sizes that there is no room for.
    fn admit(&self) -> Result<()> {
        let threads = self.thread_counts().into_iter().max().unwrap_or(1);
        let largest = self.sizes.iter().copied().max().filter(|_| self.has(Part::Step));
        let step = largest.map(|size| (vec![Preset::Paper], size, "a step", "--size"));
        let picture = (whole::PRESETS.to_vec(), self.picture_size, "a picture", "--picture-size");
        for (presets, size, what, flag) in step.into_iter().chain(self.has(Part::Picture).then_some(picture)) {
            let mut needed = 0;
            for (preset, precision) in each(&presets, &self.arithmetic()) {
                needed = needed.max(bytes(&whole::config(preset, size, precision, threads, None))?);
            }
            let what = format_args!("{what} at {size}×{size}");
            crate::limits::admit(needed, threads, what, format_args!("give a smaller {flag}"))?;
        }
        if self.has(Part::Layers) {
            let size = self.layer_size;
            let needed = layers::bytes(self.deepest, size)?;
            let what = format_args!("a layer at {size}×{size}");
            crate::limits::admit(needed, threads, what, "give a smaller --layer-size")?;
        }
        Ok(())
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Thread counts without repetition, 0 resolved.
    fn thread_counts(&self) -> Vec<usize> {
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        let mut counts = Vec::new();
        for &count in &self.threads {
            let count = if count == 0 { usable } else { count };
            if !counts.contains(&count) {
                counts.push(count);
            }
        }
        counts
    }

    /// Arithmetic of layers and whole iterations.
    fn arithmetic(&self) -> Vec<Precision> {
        if self.precisions.is_empty() { vec![Precision::F32, Precision::Bf16] } else { self.precisions.clone() }
    }

    /// Arithmetic of whole runs.
    fn arithmetic_of_runs(&self) -> Vec<Precision> {
        if self.precisions.is_empty() { vec![Precision::Auto] } else { self.precisions.clone() }
    }

    /// What maps are stored in, without repetition.
    fn dtypes(&self) -> Vec<Dtype> {
        let mut dtypes = Vec::new();
        for dtype in self.arithmetic().iter().map(|precision| precision.dtype()) {
            if !dtypes.contains(&dtype) {
                dtypes.push(dtype);
            }
        }
        dtypes
    }

    /// Thread counts that the machine's limits are measured with.
    fn limit_counts(&self) -> Vec<usize> {
        let mut counts = self.thread_counts();
        if !counts.contains(&1) {
            counts.insert(0, 1);
        }
        counts
    }

    /// Layers whose Gram matrices are measured.
    fn gram_layers(&self) -> Vec<Layer> {
        let style = step::config(Precision::F32).style_layers;
        style.iter().map(|l| l.layer).filter(|&layer| layer <= self.deepest).collect()
    }

    /// How many things are measured, one after the other.
    fn measurements(&self) -> Result<usize> {
        let (threads, requests) = (self.thread_counts().len(), self.requests().len());
        let convolutions = layers::convolutions(self.deepest, self.layer_size)?.len();
        let of = |part| match part {
            Part::Step => self.distinct_sizes().len() * threads * self.arithmetic().len() * requests,
            Part::Picture => whole::PRESETS.len() * threads * self.arithmetic_of_runs().len() * requests,
            Part::Layers => threads * self.dtypes().len() * (requests * 2 * convolutions + self.gram_layers().len()),
            Part::Machine => self.limit_counts().len() * (Isa::available().len() + usize::from(amx::available()) + 1),
        };
        let parts = [Part::Step, Part::Picture, Part::Layers, Part::Machine];
        Ok(parts.into_iter().filter(|&part| self.has(part)).map(of).sum())
    }

    /// Sizes of steps, small ones first: what the allocator keeps of them is least.
    fn distinct_sizes(&self) -> Vec<usize> {
        let mut sizes = self.sizes.clone();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// Each algorithm to force, or `None` for the choice.
    fn requests(&self) -> Vec<Option<Algorithm>> {
        if self.algorithms.is_empty() { vec![None] } else { self.algorithms.iter().copied().map(Some).collect() }
    }
}

/// Measures what `options` name; `on_start` is told what comes next, with its number and that of all.
///
/// # Errors
/// [`Error::Usage`] for a value that makes no sense, [`Error::Kernel`] if a kernel computes something wrong,
/// [`Error::Memory`] if a size does not fit, [`Error::Weights`] if the embedded weights are missing.
pub fn run(options: &Options, mut on_start: impl FnMut(&str)) -> Result<Report> {
    options.validate()?;
    options.admit()?;
    let (mut number, all) = (0, options.measurements()?);
    let mut on_start = |what: &str| {
        number += 1;
        on_start(&format!("{number}/{all}  {what}"));
    };
    let config = step::config(Precision::F32);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION").into(),
        commit: commit().map(Into::into),
        time,
        machine: Machine::detect(),
        repeats: options.repeats,
        weights: [config.content_weight, config.style_weight, config.tv_weight],
        rows: Vec::new(),
    };
    // Steps go before layers, whose buffers would count as theirs where a peak of memory cannot be forgotten;
    // the machine's two buffers come last for the same reason.
    if options.has(Part::Step) {
        steps(options, &mut report.rows, &mut on_start)?;
    }
    if options.has(Part::Picture) {
        pictures(options, &mut report.rows, &mut on_start)?;
    }
    if options.has(Part::Layers) {
        layers(options, &mut report.rows, &mut on_start)?;
    }
    if options.has(Part::Machine) {
        limits(options, &mut report.rows, &mut on_start)?;
    }
    report.rows.sort_by_key(|row| row.kind);
    Ok(report)
}

/// Peaks of every instruction set, of the tile unit, and memory bandwidth, on one thread and on each count asked for.
fn limits(options: &Options, rows: &mut Vec<Row>, on_start: &mut impl FnMut(&str)) -> Result<()> {
    for threads in options.limit_counts() {
        for isa in Isa::available() {
            on_start(&format!("peak of {}, {threads} threads", isa.name()));
            let (work, seconds) = Gauge::new(threads, isa)?.peak(options.repeats.max(BURSTS));
            rows.push(limit(Kind::Peak, isa.name(), threads, work, seconds));
        }
        let gauge = Gauge::new(threads, Isa::detect())?;
        if amx::available() {
            on_start(&format!("peak of amx, {threads} threads"));
            let peak = gauge.tile_peak(options.repeats.max(BURSTS));
            rows.extend(peak.map(|(work, seconds)| Row {
                precision: Dtype::Bf16.name().into(),
                ..limit(Kind::Peak, "amx", threads, work, seconds)
            }));
        }
        on_start(&format!("memory bandwidth, {threads} threads"));
        for (name, work, seconds) in gauge.bandwidth(options.repeats) {
            rows.push(limit(Kind::Memory, name, threads, work, seconds));
        }
    }
    Ok(())
}

fn limit(kind: Kind, name: &str, threads: usize, work: u64, seconds: sample::Sample) -> Row {
    Row {
        kind,
        name: name.into(),
        direction: String::new(),
        map: [0, 0],
        channels: [0, 0],
        algorithm: String::new(),
        forced: false,
        precision: if kind == Kind::Peak { Dtype::F32.name().into() } else { String::new() },
        threads,
        work,
        seconds,
        peak: None,
        error: None,
        memory: None,
        losses: Vec::new(),
    }
}

fn layers(options: &Options, rows: &mut Vec<Row>, on_start: &mut impl FnMut(&str)) -> Result<()> {
    let convolutions = layers::convolutions(options.deepest, options.layer_size)?;
    for threads in options.thread_counts() {
        let gauge = Gauge::new(threads, Isa::detect())?;
        for dtype in options.dtypes() {
            for request in options.requests() {
                for direction in [Direction::Forward, Direction::BackwardInput] {
                    for (name, shape) in &convolutions {
                        let what = (direction_name(direction), dtype.name());
                        on_start(&format!("{name} {}, {}, {threads} threads", what.0, what.1));
                        let layer = layers::Timed { name: *name, shape, direction, dtype, requested: request };
                        rows.push(layers::convolution(options, &gauge, &layer)?);
                    }
                }
            }
            for layer in options.gram_layers() {
                on_start(&format!("Gram matrix of {layer}, {}, {threads} threads", dtype.name()));
                rows.extend(match dtype {
                    Dtype::F32 => layers::grams::<f32>(options, &gauge, layer)?,
                    Dtype::Bf16 => layers::grams::<bf16>(options, &gauge, layer)?,
                });
            }
        }
    }
    Ok(())
}

fn steps(options: &Options, rows: &mut Vec<Row>, on_start: &mut impl FnMut(&str)) -> Result<()> {
    for size in options.distinct_sizes() {
        for threads in options.thread_counts() {
            for precision in options.arithmetic() {
                for request in options.requests() {
                    let gauge = Gauge::new(threads, Isa::detect())?;
                    on_start(&format!("step at {size}×{size}, {}, {threads} threads", name_of(&precision)));
                    rows.push(step::step(options, &gauge, precision, size, request)?);
                }
            }
        }
    }
    Ok(())
}

fn pictures(options: &Options, rows: &mut Vec<Row>, on_start: &mut impl FnMut(&str)) -> Result<()> {
    let size = options.picture_size;
    for threads in options.thread_counts() {
        for (precision, request) in each(&options.arithmetic_of_runs(), &options.requests()) {
            for preset in whole::PRESETS {
                let (name, arithmetic) = (preset.name(), name_of(&precision));
                on_start(&format!("{name} at {size}×{size}, {arithmetic}, {threads} threads"));
                let config = whole::config(preset, size, precision, threads, request);
                rows.push(whole::whole(&config, options.repeats)?);
            }
        }
    }
    Ok(())
}

/// Every one of `outer` with every one of `inner`.
fn each<'a, A: Copy, B: Copy>(outer: &'a [A], inner: &'a [B]) -> impl Iterator<Item = (A, B)> + 'a {
    outer.iter().flat_map(move |&a| inner.iter().map(move |&b| (a, b)))
}

/// Bytes that a run of square pictures needs, or a step of one.
fn bytes(config: &Config) -> Result<u64> {
    let size = (config.size as usize, config.size as usize);
    // Of memory without end, nothing is cut.
    let machine = plan::Machine { cpu: Cpu::detect(), threads: config.threads, memory: u64::MAX };
    Ok(Plan::new(config, size, size, Architecture::Vgg16, machine)?.memory.total())
}

/// How a unit variant is spelled in files and on the command line.
fn name_of(variant: &impl Serialize) -> String {
    let value = serde_json::to_value(variant).expect("a unit variant is a string");
    value.as_str().expect("a unit variant is a string").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_counts_are_resolved_and_not_repeated() {
        let usable = std::thread::available_parallelism().unwrap().get();
        let counts = |threads: &[usize]| Options { threads: threads.to_vec(), ..Options::default() }.thread_counts();
        assert_eq!(counts(&[0]), [usable]);
        assert_eq!(counts(&[1, 3, 1]), [1, 3]);
        assert_eq!(counts(&[0, usable]), [usable]);
    }

    #[test]
    fn every_measurement_is_announced_with_its_number() {
        let options = Options {
            sizes: vec![32, 16, 32],
            layer_size: 16,
            picture_size: 16,
            parts: vec![Part::Machine, Part::Layers, Part::Step, Part::Picture],
            deepest: Layer::relu(2, 1),
            repeats: 1,
            threads: vec![2],
            precisions: vec![Precision::F32],
            ..Options::default()
        };
        let mut told = Vec::new();
        run(&options, |what| told.push(what.split_once("  ").unwrap().0.to_owned())).unwrap();
        let expected: Vec<_> = (1..=told.len()).map(|number| format!("{number}/{}", told.len())).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn values_that_make_no_sense_are_refused_by_name() {
        let refused = |options: Options| run(&options, |_| ()).unwrap_err().to_string();
        assert!(refused(Options { sizes: vec![8], ..Options::default() }).contains("--size 8"));
        assert!(refused(Options { layer_size: 1, ..Options::default() }).contains("--layer-size 1"));
        assert!(refused(Options { picture_size: 1, ..Options::default() }).contains("--picture-size 1"));
        assert!(refused(Options { deepest: Layer::relu(3, 4), ..Options::default() }).contains("relu3_4"));
        assert!(refused(Options { repeats: 0, ..Options::default() }).contains("--repeats"));
        let large = |part, size| Options {
            parts: vec![part],
            sizes: vec![size],
            layer_size: size,
            picture_size: size,
            ..Options::default()
        };
        let flags = [(Part::Step, "--size"), (Part::Layers, "--layer-size"), (Part::Picture, "--picture-size")];
        for (part, flag) in flags {
            let cause = refused(large(part, 1_000_000));
            assert!(cause.contains("TB of memory") && cause.contains(flag), "{cause}");
        }
    }
}
