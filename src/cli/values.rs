//! How a word on the command line becomes a value.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use impasto::bench::Part;
use impasto::bench::report::Format;
use impasto::config::text;
pub use impasto::config::text::{memory, pixels, scale, scale_rule, schedule, side, until};
use impasto::config::{CanvasKind, Colors, Init, Moments, OptimizerKind, Precision, Preset, Tone};
use impasto::kernels::conv::Algorithm;
use impasto::objective::{ContentLoss, Statistic, Variation};
use impasto::picture::OutputFormat;
use impasto::transfer::plan;
use impasto::vgg::{Border, Pooling, SMALLEST_SIDE};

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

const BORDERS: &[(&str, &str, Border)] = &[
    ("zero", "black, as the network was trained: a rim may show", Border::Zero),
    ("replicate", "the edge's own colours, for the first convolution: no rim", Border::Replicate),
    ("wrap", "the opposite side, so that copies join: both sides multiples of 16", Border::Wrap),
];

const CONTENT_LOSSES: &[(&str, &str, ContentLoss)] = &[
    ("sum", "½ Σ (F − P)², as in the papers: its weight depends on the size", ContentLoss::Sum),
    ("mean", "the mean of (F − P)²", ContentLoss::Mean),
];

const TV_LOSSES: &[(&str, &str, Variation)] = &[
    ("sum", "Σ |∇x|² over four neighbours, as in the papers: its weight depends on the size", Variation::Sum),
    ("mean", "the mean over nine points, diagonals included", Variation::Mean),
    ("absolute", "the mean of |∇x| over four neighbours: edges stay sharp", Variation::Absolute),
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

const COLORS: &[(&str, &str, Colors)] = &[
    ("style", "the painting's", Colors::Style),
    ("content", "the photograph's, put on the result's brightness at the end", Colors::Content),
    ("match", "the painting's, brought to the photograph's mean and spread, where it is painted", Colors::Match),
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
    ("picture", "whole runs of the presets fast and default: minutes, so only if named", Part::Picture),
];

const FORMATS: &[(&str, &str, Format)] = &[
    ("table", "aligned columns for a terminal", Format::Table),
    ("markdown", "tables for a document", Format::Markdown),
    ("json", "everything, every repeat included; --compare reads it", Format::Json),
    ("csv", "a line for each measurement, which can be read alone", Format::Csv),
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

pub fn border() -> impl TypedValueParser<Value = Border> {
    one_of(BORDERS)
}

/// The values of `--border`, explained after `help`.
pub fn borders(help: &str) -> String {
    listed(help, BORDERS)
}

pub fn content_loss() -> impl TypedValueParser<Value = ContentLoss> {
    one_of(CONTENT_LOSSES)
}

/// The values of `--content-loss`, explained after `help`.
pub fn content_losses(help: &str) -> String {
    listed(help, CONTENT_LOSSES)
}

pub fn tv_loss() -> impl TypedValueParser<Value = Variation> {
    one_of(TV_LOSSES)
}

/// The values of `--tv-loss`, explained after `help`.
pub fn tv_losses(help: &str) -> String {
    listed(help, TV_LOSSES)
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

pub fn colors() -> impl TypedValueParser<Value = Colors> {
    one_of(COLORS)
}

/// The values of `--colors`, explained after `help`.
pub fn all_colors(help: &str) -> String {
    listed(help, COLORS)
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

/// More threads than any machine has cores would only waste memory.
const MOST_THREADS: u64 = 4096;

/// A number of threads; 0 is every core.
pub fn thread_count() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(0..=MOST_THREADS)
}

/// `content`, `matched`, `noise`, `gray`, `style-stats`, `blend:0.3`, or else a file, of whatever name.
pub fn init() -> impl TypedValueParser<Value = Init> {
    clap::builder::PathBufValueParser::new().try_map(|path: PathBuf| match path.to_str() {
        Some(text) => text::init(text),
        None => Ok(Init::File(path)),
    })
}

/// Width and height in pixels: `1024x768`, or one number for both.
pub fn sides(text: &str) -> Result<(u32, u32), String> {
    let (width, height) = text.split_once(['x', 'X', '×']).unwrap_or((text, text));
    let side = |text: &str| text.trim().parse().ok().filter(|&side: &u32| side >= SMALLEST_SIDE as u32);
    side(width).zip(side(height)).ok_or_else(|| {
        format!("give WIDTHxHEIGHT in pixels, such as 1024x768, or one number for both, at least {SMALLEST_SIDE}")
    })
}

/// A longest side that a picture can have.
///
/// # Errors
/// [`impasto::Error::Usage`] names the option.
pub fn check_longest(flag: &str, longest: u32) -> impasto::Result<()> {
    if (SMALLEST_SIDE..=plan::LARGEST_SIDE).contains(&(longest as usize)) {
        return Ok(());
    }
    let (least, most) = (SMALLEST_SIDE, plan::LARGEST_SIDE);
    Err(impasto::Error::Usage(format!(
        "{flag} {longest}: give {least} to {most} pixels, or 0 to keep the picture's own size"
    )))
}

/// The formats that pictures are written in.
const OUTPUT_FORMATS: &[(&str, &str, OutputFormat)] = &[
    ("png", "lossless, 8 or 16 bits", OutputFormat::Png),
    ("jpg", "small", OutputFormat::Jpeg),
    ("webp", "lossless, 8 bits", OutputFormat::WebP),
    ("tif", "lossless, 8 or 16 bits", OutputFormat::Tiff),
];

pub fn output_format() -> impl TypedValueParser<Value = OutputFormat> {
    one_of(OUTPUT_FORMATS)
}

/// The word for an output format.
pub fn output_format_name(format: OutputFormat) -> &'static str {
    OUTPUT_FORMATS.iter().find(|(.., known)| *known == format).expect("a word for each").0
}

/// Dots per inch, as many as every format can say.
pub fn dpi(text: &str) -> Result<f64, String> {
    let dpi = text.parse().ok().filter(|dpi| (1.0..=60_000.0).contains(dpi));
    dpi.ok_or_else(|| "give dots per inch from 1 to 60000, such as 300".into())
}

/// A time in seconds: `60s`, `10m`, `1h30m`, `90`.
pub fn time(text: &str) -> Result<f64, String> {
    let wrong = || "give a time, such as 60s, 10m or 1h30m".to_owned();
    let lower = text.to_ascii_lowercase();
    let mut seconds = 0.0;
    for part in lower.split_inclusive(['h', 'm', 's']) {
        let unit = [('h', 3600.0), ('m', 60.0), ('s', 1.0)].into_iter().find(|(unit, _)| part.ends_with(*unit));
        let (digits, factor) = match unit {
            Some((unit, factor)) => (part.trim_end_matches(unit), factor),
            None if part.len() == lower.len() => (part, 1.0),
            None => return Err(wrong()),
        };
        let count: f64 = digits.trim().parse().map_err(|_| wrong())?;
        seconds += count * factor;
    }
    (seconds > 0.0 && seconds < 1e9).then_some(seconds).ok_or_else(wrong)
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
    fn a_time_is_a_sum_of_hours_minutes_and_seconds() {
        for (text, seconds) in [("60s", 60.0), ("90", 90.0), ("1h30m", 5400.0), ("0.5M", 30.0), ("1m 30s", 90.0)] {
            assert_eq!(time(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "s", "0s", "-5s", "1h30", "5 days", "infs", "nan", "1e30h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_sides_are_read_as_they_are_written() {
        for text in ["1024x768", "1024X768", "1024×768", "1024 x 768"] {
            assert_eq!(sides(text), Ok((1024, 768)), "{text}");
        }
        assert_eq!(sides("64"), Ok((64, 64)));
        for wrong in ["", "x", "64x", "x64", "8x64", "64x64x64", "-64", "big"] {
            assert!(sides(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dots_per_inch_are_such_as_a_file_can_say() {
        assert_eq!((dpi("300"), dpi("72.5")), (Ok(300.0), Ok(72.5)));
        assert!(["0", "-1", "inf", "NaN", "1e9", "many"].iter().all(|wrong| dpi(wrong).is_err()));
    }

    #[test]
    fn a_word_on_the_command_line_is_the_word_in_the_trace() {
        assert!(POOLINGS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(BORDERS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(CONTENT_LOSSES.iter().all(|(word, _, value)| *word == name(value)));
        assert!(TV_LOSSES.iter().all(|(word, _, value)| *word == name(value)));
        assert!(PRECISIONS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(CANVASES.iter().all(|(word, _, value)| *word == name(value)));
        assert!(OPTIMIZERS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(MOMENTS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(Statistic::ALL.iter().all(|statistic| statistic.name() == name(statistic)));
        assert!(COLORS.iter().all(|(word, _, value)| *word == name(value)));
        assert!(TONES.iter().all(|(word, _, value)| *word == name(value)));
        assert!(Preset::ALL.iter().all(|preset| preset.name() == name(preset)));
    }
}
