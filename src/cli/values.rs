//! How a word on the command line becomes a value.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use impasto::bench::Part;
use impasto::bench::report::Format;
use impasto::config::{CanvasKind, Colors, Init, Moments, OptimizerKind, Precision, Preset, ScaleRule, Schedule, Tone};
use impasto::kernels::conv::Algorithm;
use impasto::objective::Statistic;
use impasto::transfer::plan;
use impasto::vgg::{Pooling, SMALLEST_SIDE};

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

const COLORS: &[(&str, &str, Colors)] = &[
    ("style", "the painting's", Colors::Style),
    ("content", "the photograph's, put on the result's brightness at the end", Colors::Content),
    ("match", "the painting's, brought to the photograph's mean and spread before the start", Colors::Match),
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

/// The presets of our own.
pub fn own_preset() -> impl TypedValueParser<Value = Preset> {
    let words = Preset::OWN.map(|preset| PossibleValue::new(preset.name()).help(preset.summary()));
    PossibleValuesParser::new(words).map(|word| {
        Preset::OWN.into_iter().find(|preset| preset.name() == word).expect("clap lets only these words pass")
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

/// A size and its iterations: `128:250`.
pub fn scale(text: &str) -> Result<ScaleRule, String> {
    let rule = text.split_once(':').and_then(|(size, iterations)| {
        Some(ScaleRule { size: size.trim().parse().ok()?, iterations: iterations.trim().parse().ok()? })
    });
    rule.ok_or_else(|| "give SIZE:ITERATIONS, small to large, as in 128:250,256:150,512:50".into())
}

/// The share of the learning rate at the end of a scale, and perhaps another for the last: `0.3` or `0.3:0.05`.
pub fn schedule(text: &str) -> Result<Schedule, String> {
    let (end, last) = text.split_once(':').unwrap_or((text, text));
    let course = end.parse().ok().zip(last.parse().ok()).map(|(end, last)| Schedule { end, last });
    course.ok_or_else(|| "give END or END:LAST, as in 0.3:0.05".into())
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

/// A number of pixels: `250000`, `100M`, `1.5MP`.
pub fn pixels(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let digits = upper.strip_suffix("MP").or_else(|| upper.strip_suffix('M'));
    let count = match digits {
        Some(millions) => f64::from_str(millions).ok().map(|m| m * 1e6).filter(|p| (1.0..1e15).contains(p)),
        None => u64::from_str(&upper).ok().filter(|&count| count > 0).map(|count| count as f64),
    };
    count.map(|count| count.round() as u64).ok_or_else(|| "give a number of pixels, such as 250000 or 100M".into())
}

/// Bytes of memory: `2G`, `1.5GB`, `500M`, 2000000000; powers of ten, as memory is sold.
pub fn memory(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let number = upper.strip_suffix('B').unwrap_or(&upper);
    let units = [('T', 1e12), ('G', 1e9), ('M', 1e6), ('K', 1e3)];
    let scaled = units.iter().find_map(|(unit, factor)| Some((number.strip_suffix(*unit)?, *factor)));
    let count = match scaled {
        Some((digits, factor)) => f64::from_str(digits).ok().map(|count| count * factor),
        None => u64::from_str(number).ok().map(|count| count as f64),
    };
    let count = count.filter(|count| (1.0..1e18).contains(count)).map(|count| count.round() as u64);
    count.ok_or_else(|| "give a number of bytes, such as 2G or 500M".into())
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
    fn pixels_are_counted_singly_or_in_millions() {
        assert_eq!(pixels("100000000"), Ok(100_000_000));
        assert_eq!(pixels("100M"), Ok(100_000_000));
        assert_eq!(pixels("100MP"), Ok(100_000_000));
        assert_eq!(pixels("1.5mp"), Ok(1_500_000));
        for wrong in ["", "M", "0", "-1", "0M", "infM", "nan", "NaNM", "1e400M", "12K", "1.5"] {
            assert!(pixels(wrong).is_err(), "{wrong}");
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
    fn bytes_are_counted_singly_or_in_powers_of_ten() {
        for (text, bytes) in [
            ("2G", 2_000_000_000),
            ("2gb", 2_000_000_000),
            ("1.5G", 1_500_000_000),
            ("500M", 500_000_000),
            ("64k", 64_000),
            ("123456789", 123_456_789),
            ("1T", 1_000_000_000_000),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "G", "B", "0", "-1", "-2G", "infG", "nan", "1e400M", "2GiB", "1.5", "2 G"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scales_and_courses_are_read_as_the_tables_show_them() {
        assert_eq!(scale("128:250"), Ok(ScaleRule { size: 128, iterations: 250 }));
        assert_eq!(schedule("0.3:0.05"), Ok(Schedule { end: 0.3, last: 0.05 }));
        assert_eq!(schedule("1"), Ok(Schedule::CONSTANT));
        for wrong in ["", "128", "128:", "x:3", "128:2.5", "-1:3"] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
        assert!(schedule("0.3:").is_err() && schedule("fast").is_err());
    }

    #[test]
    fn a_word_on_the_command_line_is_the_word_in_the_trace() {
        assert!(POOLINGS.iter().all(|(word, _, value)| *word == name(value)));
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
