//! Each value of a configuration under the name of its option, as text.
//!
//! A file of presets, the recipe in a picture and the command line that `impasto show` prints all speak of a configuration
//! in the words of the options. This is the one table of those words. What is read from a text is, to the bit, what the
//! text was made of.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Config, Init, ScaleRule, Scales, Schedule, text};
use crate::kernels::conv::Algorithm;
use crate::objective::LayerWeight;

/// What a value looks like in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// `on` or `off`: true or false.
    Switch,
    /// A word or a path.
    Word,
    /// Several, with commas between them.
    List,
}

/// A value of a [`Config`].
#[derive(Debug)]
pub struct Setting {
    /// The name of its option, without dashes.
    pub name: &'static str,
    /// What it looks like.
    pub kind: Kind,
    text: fn(&Config) -> Option<String>,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

macro_rules! setting {
    ($name:literal, $kind:ident, $field:ident, $text:expr, $read:expr) => {
        Setting {
            name: $name,
            kind: Kind::$kind,
            text: |config| $text(&config.$field),
            set: |config, text| {
                config.$field = $read(text)?;
                Ok(())
            },
        }
    };
}

/// All of them, in the order of the presets' table.
pub const ALL: &[Setting] = &[
    Setting {
        name: "size",
        kind: Kind::Number,
        // Scales that are given say it themselves.
        text: |config| (!matches!(config.scales, Scales::Given(_))).then(|| config.size.to_string()),
        set: |config, text| {
            config.size = text::side(text)?;
            // Sizes that end elsewhere become a rule for sizes.
            if let Scales::Given(rule) = &config.scales {
                config.scales = Scales::Grown(rule.clone());
            }
            Ok(())
        },
    },
    setting!("style-size", Number, style_size, optional, |text| text::side(text).map(Some)),
    setting!("style-scale", Number, style_scale, real, number),
    setting!("max-pixels", Number, max_pixels, plain, text::pixels),
    setting!("content-weight", Number, content_weight, real, number),
    setting!("style-weight", Number, style_weight, real, number),
    setting!("tv-weight", Number, tv_weight, real, number),
    setting!("strength", Number, strength, real, number),
    setting!("content-layer", List, content_layers, listed, layers),
    setting!("style-layer", List, style_layers, listed, layers),
    setting!("content-loss", Word, content_loss, word, known),
    setting!("enlarged-weighs-more", Switch, enlarged_weighs_more, switch, switched),
    setting!("tv-loss", Word, variation, word, known),
    setting!("normalize-gradients", Switch, normalize_gradients, switch, switched),
    setting!("statistic", Word, statistic, word, known),
    setting!("refresh", Number, refresh, plain, whole),
    setting!("pooling", Word, pooling, word, known),
    setting!("border", Word, border, word, known),
    setting!("init", Word, init, start, text::init),
    setting!("jitter", Number, jitter, plain, whole),
    setting!("detail", Number, detail, real, number),
    setting!("colors", Word, colors, word, known),
    setting!("luminance-only", Switch, luminance_only, switch, switched),
    setting!("match-result", Switch, match_result, switch, switched),
    setting!("calm", Number, calm, plain, whole),
    setting!("largest-gain", Number, largest_gain, real, number),
    setting!("tone", Word, tone, word, known),
    Setting {
        name: "scales",
        kind: Kind::List,
        text: |config| match &config.scales {
            Scales::Given(scales) => listed(scales),
            _ => None,
        },
        set: |config, text| {
            let scales = rules(text)?;
            config.size = scales.last().map_or(config.size, |last| last.size);
            config.scales = Scales::Given(scales);
            Ok(())
        },
    },
    Setting {
        name: "scale-rule",
        kind: Kind::List,
        text: |config| match &config.scales {
            Scales::Single(iterations) => plain(iterations),
            Scales::Grown(rule) => listed(rule),
            Scales::Given(_) => None,
        },
        set: |config, text| {
            config.scales = text::scale_rule(text)?;
            Ok(())
        },
    },
    setting!("iterations", Number, iterations, optional, |text| whole(text).map(Some)),
    setting!("until", Word, until, share, text::until),
    setting!("canvas", Word, canvas, word, known),
    setting!("optimizer", Word, optimizer, word, known),
    setting!("learning-rate", Number, learning_rate, real, number),
    setting!("schedule", Word, schedule, course, text::schedule),
    setting!("beta1", Number, beta1, real, number),
    setting!("beta2", Number, beta2, real, number),
    setting!("epsilon", Number, epsilon, real, number),
    setting!("moments", Word, moments, word, known),
    setting!("lbfgs-history", Number, lbfgs_history, plain, whole),
    setting!("average", Number, average, decay, |text| number(text).map(|decay| (decay != 0.0).then_some(decay))),
    setting!("seed", Number, seed, plain, whole),
    setting!("max-memory", Number, max_memory, optional, |text| text::memory(text).map(Some)),
    setting!("threads", Number, threads, plain, whole),
    setting!("precision", Word, precision, word, known),
    setting!("conv-algorithm", Word, conv_algorithm, algorithm, algorithm_called),
    setting!("weights", Word, weights, path, |text: &str| Ok::<_, String>(Some(PathBuf::from(text)))),
];

/// The setting of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Setting> {
    ALL.iter().find(|setting| setting.name == name)
}

/// The name most like one that there is not, if there is any like it.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let likeness = |other: &str| strsim::jaro(name, other);
    let all = ALL.iter().map(|setting| (likeness(setting.name), setting.name));
    all.filter(|(likeness, _)| *likeness > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

impl Setting {
    /// The value in a configuration, as its option takes it; `None` where it is left to the machine or to another option.
    #[must_use]
    pub fn text(&self, config: &Config) -> Option<String> {
        (self.text)(config)
    }

    /// Makes it that of a text.
    ///
    /// # Errors
    /// What would do.
    pub fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        (self.set)(config, text)
    }
}

/// The options that make a configuration of another, each with its value.
#[must_use]
pub fn beside(other: &Config, config: &Config) -> Vec<(&'static str, String)> {
    let given = ALL.iter().filter_map(|setting| Some((setting, setting.text(config)?)));
    given.filter(|(setting, text)| setting.text(other).as_ref() != Some(text)).map(|(s, text)| (s.name, text)).collect()
}

fn plain(value: &impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn optional(value: &Option<impl ToString>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

/// A number in the shortest way from which it can be read again.
fn real(value: &f64) -> Option<String> {
    let size = value.abs();
    Some(if size == 0.0 || (1e-4..1e7).contains(&size) { value.to_string() } else { format!("{value:e}") })
}

fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| "give a number".to_owned())
}

fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| "give a whole number".to_owned())
}

fn switch(on: &bool) -> Option<String> {
    Some(if *on { "on" } else { "off" }.into())
}

fn switched(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("give on or off, true or false".into()),
    }
}

fn listed(values: &[impl ToString]) -> Option<String> {
    Some(values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn layers(text: &str) -> Result<Vec<LayerWeight>, String> {
    text.split(',').map(|layer| layer.trim().parse().map_err(|error: crate::Error| error.to_string())).collect()
}

fn rules(text: &str) -> Result<Vec<ScaleRule>, String> {
    text.split(',').map(text::scale).collect()
}

/// The name of a value, which is the same in the trace and on the command line.
fn word(value: &impl Serialize) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Some(name),
        other => unreachable!("a unit variant is serialised as its name, not as {other:?}"),
    }
}

fn known<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|error| {
        // What serde says ends with the words that there are.
        let text = error.to_string();
        text.split_once("expected ").map_or(text.clone(), |(_, words)| format!("give {}", words.replace('`', "")))
    })
}

fn start(init: &Init) -> Option<String> {
    Some(match init {
        Init::File(path) => {
            let text = path.to_string_lossy();
            // A file may have the name of a start.
            if text::init(&text).is_ok_and(|read| read == *init) { text.into_owned() } else { format!("./{text}") }
        }
        Init::Blend(noise) => format!("blend:{}", real(noise)?),
        named => word(named)?,
    })
}

fn share(until: &Option<f64>) -> Option<String> {
    let Some(share) = until else { return Some("off".into()) };
    let percent = format!("{}%", real(&(100.0 * share))?);
    if text::until(&percent) == Ok(*until) { Some(percent) } else { real(share) }
}

fn course(schedule: &Schedule) -> Option<String> {
    let (end, last) = (real(&schedule.end)?, real(&schedule.last)?);
    Some(if end == last { end } else { format!("{end}:{last}") })
}

fn decay(average: &Option<f64>) -> Option<String> {
    real(&average.unwrap_or(0.0))
}

fn algorithm(algorithm: &Option<Algorithm>) -> Option<String> {
    algorithm.map(|algorithm| algorithm.name().into())
}

fn algorithm_called(name: &str) -> Result<Option<Algorithm>, String> {
    let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
    found.map(Some).ok_or_else(|| format!("give one of {}", Algorithm::ALL.map(Algorithm::name).join(", ")))
}

fn path(weights: &Option<PathBuf>) -> Option<String> {
    weights.as_ref().map(|path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Preset;

    /// A configuration made of another's texts.
    fn through_texts(config: &Config, onto: Preset) -> Config {
        let mut read = Config { preset: config.preset, ..onto.config() };
        for setting in ALL {
            if let Some(text) = setting.text(config) {
                setting.set(&mut read, &text).unwrap_or_else(|cause| panic!("{} {text}: {cause}", setting.name));
            }
        }
        read
    }

    #[test]
    fn every_preset_is_the_sum_of_its_texts_whatever_was_there_before() {
        for (preset, onto) in Preset::ALL.iter().flat_map(|preset| Preset::ALL.map(|onto| (preset, onto))) {
            let config = preset.config();
            assert_eq!(through_texts(&config, onto), config);
            assert!(beside(&config.preset.config(), &config).is_empty());
        }
    }

    #[test]
    fn what_no_preset_has_is_read_as_it_was_written() {
        for init in [Init::Gray, Init::StyleStats, Init::Blend(0.3), Init::File("grey".into())] {
            let read = through_texts(&Config { init: init.clone(), ..Config::default() }, Preset::Paper).init;
            assert_eq!(read, if let Init::File(_) = init { Init::File("./grey".into()) } else { init });
        }
        let config = Config {
            style_size: Some(0),
            style_scale: 1.5,
            scales: Scales::Given(vec![ScaleRule { size: 64, iterations: 3 }]),
            size: 64,
            iterations: Some(9),
            init: Init::File("noise".into()),
            max_memory: Some(2_000_000_001),
            conv_algorithm: Some(Algorithm::Im2col),
            weights: Some("a b.safetensors".into()),
            until: Some(0.0007),
            seed: u64::MAX,
            ..Config::default()
        };
        let read = through_texts(&config, Preset::Paper);
        assert_eq!(read, Config { init: Init::File("./noise".into()), ..config.clone() });
        let names: Vec<_> = beside(&config.preset.config(), &config).into_iter().map(|(name, _)| name).collect();
        let expected = [
            "style-size",
            "style-scale",
            "init",
            "scales",
            "iterations",
            "until",
            "seed",
            "max-memory",
            "conv-algorithm",
            "weights",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_name_that_is_not_there_has_a_neighbour_or_none() {
        assert_eq!(nearest("content-wieght"), Some("content-weight"));
        assert_eq!(nearest("sizes"), Some("size"));
        assert_eq!(nearest("xyzzy"), None);
    }

    #[test]
    fn a_wrong_value_is_told_what_would_do() {
        let wrong = |name: &str, text: &str| named(name).unwrap().set(&mut Config::default(), text).unwrap_err();
        assert_eq!(wrong("pooling", "min"), "give one of max, avg, avg2, l2");
        assert_eq!(wrong("border", "none"), "give one of zero, replicate, wrap");
        assert_eq!(wrong("calm", "1.5"), "give a whole number");
        assert_eq!(wrong("tv-weight", "much"), "give a number");
        assert_eq!(wrong("match-result", "yes"), "give on or off, true or false");
        assert!(wrong("style-layer", "relu9_1").contains("relu9_1"));
        assert!(wrong("scales", "128").contains("SIZE:ITERATIONS"));
    }

    proptest! {
        #[test]
        fn numbers_and_shares_are_read_to_the_bit(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(number(&real(&value).unwrap()).unwrap().to_bits(), value.to_bits());
            let part = Some((value.abs() % 1.0).max(1e-300));
            prop_assert_eq!(text::until(&share(&part).unwrap()), Ok(part));
        }
    }
}
