//! How a word on the command line becomes a value.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use impasto::bench::Part;
use impasto::bench::report::Format;
pub use impasto::config::text::{memory, pixels, scale, schedule};
use impasto::config::{CanvasKind, Init, Moments, OptimizerKind, Precision, Preset, Tone};
use impasto::kernels::conv::Algorithm;
use impasto::objective::Statistic;
use impasto::vgg::Pooling;

/// Parser of a word out of a list of (word, help, value).
fn one_of<T: Copy + Send + Sync + 'static>(
    choices: &'static [(&'static str, &'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let words = choices.iter().map(|(word, help, _)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(words).map(move |word| {
        let (_, _, value) = choices.iter().find(|(name, ..)| *name == word).expect("clap lets only these words pass");
        *value
    })
}

/// `help`, and below it each word with what it means; indented, which keeps man from joining the lines.
fn listed<T>(help: &str, choices: &[(&str, &str, T)]) -> String {
    let width = choices.iter().map(|(word, ..)| word.len() + 2).max().unwrap_or(0).max(10);
    let lines = choices.iter().map(|(word, meaning, _)| format!("  {word:<width$}{meaning}\n"));
    format!("{help}\n\n{}\n", lines.collect::<String>())
}

const POOLINGS: &[(&str, &str, Pooling)] = &[
    ("max", "the largest of four, as the network was trained", Pooling::Max),
    ("avg", "the mean of four, as in the papers: smoother, and smaller from layer to layer", Pooling::Avg),
    ("avg2", "twice the mean, about as large as the largest", Pooling::Avg2),
    ("l2", "the root of four squares, times 0.78, which is so too", Pooling::L2),
];

const CANVASES: &[(&str, &str, CanvasKind)] = &[
    ("pyramid", "the coefficients of its Laplacian pyramid: tones move as one", CanvasKind::Pyramid),
    ("pixels", "its own values", CanvasKind::Pixels),
];

const OPTIMIZERS: &[(&str, &str, OptimizerKind)] = &[
    ("adam", "a step size for each variable", OptimizerKind::Adam),
    ("lbfgs", "curvature from the last steps, and a line search; an iteration is an evaluation", OptimizerKind::Lbfgs),
];

const MOMENTS: &[(&str, &str, Moments)] =
    &[("carried", "brought to the new size", Moments::Carried), ("cold", "forgotten", Moments::Cold)];

const SWITCH: &[(&str, &str, bool)] = &[("on", "yes", true), ("off", "no", false)];

const PRECISIONS: &[(&str, &str, Precision)] = &[
    ("auto", "what is fastest on this kind of CPU, as far as it has been timed: f32", Precision::Auto),
    ("f32", "single precision throughout", Precision::F32),
    ("bf16", "maps stored in bf16, in half their memory; sums in f32", Precision::Bf16),
];

const TONES: &[(&str, &str, Tone)] = &[
    ("auto", "stretch brightness and contrast between percentiles", Tone::Auto),
    ("content", "match the content picture's brightness and contrast", Tone::Content),
    ("style", "match the style picture's brightness and contrast", Tone::Style),
    ("off", "leave the picture as optimised", Tone::Off),
];

const BITS: &[(&str, &str, u8)] = &[("8", "every format", 8), ("16", "PNG and TIFF: no banding in later edits", 16)];

const PARTS: &[(&str, &str, Part)] = &[
    ("machine", "peaks of the instruction sets and memory bandwidth", Part::Machine),
    ("layers", "convolutions and Gram matrices, each alone", Part::Layers),
    ("step", "whole iterations, with their peak memory", Part::Step),
];

const FORMATS: &[(&str, &str, Format)] = &[
    ("table", "aligned columns for a terminal", Format::Table),
    ("markdown", "tables for a document", Format::Markdown),
    ("json", "everything, every repeat included; --compare reads it", Format::Json),
    ("csv", "a line for each measurement", Format::Csv),
];

pub fn preset() -> impl TypedValueParser<Value = Preset> {
    let words = Preset::ALL.map(|preset| PossibleValue::new(preset.name()).help(preset.summary()));
    PossibleValuesParser::new(words).map(|word| {
        Preset::ALL.into_iter().find(|preset| preset.name() == word).expect("clap lets only these words pass")
    })
}

pub fn pooling() -> impl TypedValueParser<Value = Pooling> {
    one_of(POOLINGS)
}

pub fn canvas() -> impl TypedValueParser<Value = CanvasKind> {
    one_of(CANVASES)
}

/// The values of `--canvas`, explained after `help`.
pub fn canvases(help: &str) -> String {
    listed(help, CANVASES)
}

pub fn optimizer() -> impl TypedValueParser<Value = OptimizerKind> {
    one_of(OPTIMIZERS)
}

/// The values of `--optimizer`, explained after `help`.
pub fn optimizers(help: &str) -> String {
    listed(help, OPTIMIZERS)
}

pub fn moments() -> impl TypedValueParser<Value = Moments> {
    one_of(MOMENTS)
}

/// The values of `--moments`, explained after `help`.
pub fn all_moments(help: &str) -> String {
    listed(help, MOMENTS)
}

pub fn switch() -> impl TypedValueParser<Value = bool> {
    one_of(SWITCH)
}

pub fn statistic() -> impl TypedValueParser<Value = Statistic> {
    let words = Statistic::ALL.map(|statistic| PossibleValue::new(statistic.name()).help(statistic.summary()));
    PossibleValuesParser::new(words)
        .map(|word| Statistic::ALL.into_iter().find(|s| s.name() == word).expect("clap lets only these words pass"))
}

/// The values of `--statistic`, explained after `help`.
pub fn statistics(help: &str) -> String {
    listed(help, &Statistic::ALL.map(|statistic| (statistic.name(), statistic.summary(), statistic)))
}

pub fn precision() -> impl TypedValueParser<Value = Precision> {
    one_of(PRECISIONS)
}

/// The environment variable that stands for `--conv-algorithm` where that is not given.
pub const CONV_ALGORITHM: &str = "IMPASTO_CONV_ALGORITHM";

pub fn conv_algorithm() -> impl TypedValueParser<Value = Algorithm> {
    let words = Algorithm::ALL.map(|algorithm| PossibleValue::new(algorithm.name()).help(algorithm.summary()));
    PossibleValuesParser::new(words)
        .map(|word| Algorithm::ALL.into_iter().find(|a| a.name() == word).expect("clap lets only these words pass"))
}

/// The values of `--conv-algorithm`, explained after `help`.
pub fn conv_algorithms(help: &str) -> String {
    listed(help, &Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm.summary(), algorithm)))
}

pub fn tone() -> impl TypedValueParser<Value = Tone> {
    one_of(TONES)
}

/// The values of `--pooling`, explained after `help`.
pub fn poolings(help: &str) -> String {
    listed(help, POOLINGS)
}

/// The values of `--precision`, explained after `help`.
pub fn precisions(help: &str) -> String {
    listed(help, PRECISIONS)
}

/// The values of `--tone`, explained after `help`.
pub fn tones(help: &str) -> String {
    listed(help, TONES)
}

pub fn bits() -> impl TypedValueParser<Value = u8> {
    one_of(BITS)
}

/// Every arithmetic that is one, not a choice among them.
pub fn distinct_precisions() -> Vec<Precision> {
    PRECISIONS.iter().map(|(.., precision)| *precision).filter(|&p| p != Precision::Auto).collect()
}

pub fn bench_part() -> impl TypedValueParser<Value = Part> {
    one_of(PARTS)
}

/// The values of `bench --only`, explained after `help`.
pub fn bench_parts(help: &str) -> String {
    listed(help, PARTS)
}

pub fn format() -> impl TypedValueParser<Value = Format> {
    one_of(FORMATS)
}

/// The values of `bench --format`, explained after `help`.
pub fn formats(help: &str) -> String {
    listed(help, FORMATS)
}

pub fn algorithm() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::name)).map(|word| {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == word).expect("clap lets only these words pass")
    })
}

/// A number of threads; 0 is every core.
pub fn thread_count() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(0..=super::options::MOST_THREADS)
}

/// `content`, `matched`, `noise`, or else a file.
pub fn init() -> impl TypedValueParser<Value = Init> {
    clap::builder::PathBufValueParser::new().map(|path: PathBuf| match path.to_str() {
        Some("content") => Init::Content,
        Some("matched") => Init::Matched,
        Some("noise") => Init::Noise,
        _ => Init::File(path),
    })
}

/// Seconds, with fractions.
pub fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0);
    seconds.ok_or_else(|| "give a number of seconds of at least 0, such as 60 or 0.5".into())
}

#[cfg(test)]
mod tests {
    use super::super::presets::name;
    use super::*;

    #[test]
    fn a_word_on_the_command_line_is_the_word_in_the_trace() {
        assert!(POOLINGS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(PRECISIONS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(CANVASES.iter().all(|(word, _, value)| *word == name(value)));
        assert!(OPTIMIZERS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(MOMENTS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(Statistic::ALL.iter().all(|statistic| statistic.name() == name(statistic)));
        assert!(TONES.iter().all(|(word, _, value)| *word == name(value)));
        assert!(Preset::ALL.iter().all(|preset| preset.name() == name(preset)));
    }
}
