//! A user's presets: a file in TOML, whose keys are the names of options.
//!
//! ```toml
//! preset = "fast"          # where to begin; whatever is not named here is that preset's
//! content-weight = 0.01
//! style-layer = ["relu1_1:0.5", "relu3_1"]
//! match-result = false
//! ```
//!
//! What is said on the command line wins over the file, and the file over the preset, whichever of them names it.

use std::fs::File as SystemFile;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::settings::{self, Kind, Setting};
use super::{Config, Preset};
use crate::error::{Error, Result};

/// More than any file of presets has.
const LARGEST: u64 = 1 << 20;

/// What a file of presets says.
pub struct File {
    path: PathBuf,
    preset: Option<Preset>,
    given: Vec<Given>,
}

/// A value, and where it stands.
struct Given {
    line: usize,
    setting: &'static Setting,
    text: String,
}

impl File {
    /// Reads a file of presets.
    ///
    /// # Errors
    /// [`Error::Usage`] with the line, what is wrong there, and what would do.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |cause: String| Error::Usage(format!("{}: {cause}", path.display()));
        let unreadable = |error: std::io::Error| {
            fault(format!("cannot be read ({error}); `impasto presets default --toml` prints one"))
        };
        let mut bytes = Vec::new();
        SystemFile::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(fault("is no file of presets, which is shorter; give one in TOML".into()));
        }
        let text = String::from_utf8(bytes).map_err(|_| fault("is not text; give a file in TOML".into()))?;
        Self::parse(path, &text)
    }

    /// Understands the text of such a file, of which `path` is the name in errors.
    ///
    /// # Errors
    /// As [`File::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        let table = DeTable::parse(text).map_err(|error| {
            let line = line(error.span().map_or(0, |span| span.start));
            // Some of the library's reasons have several lines.
            let cause = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            Error::Usage(format!("{}:{line}: not TOML ({cause}); give option = value", path.display()))
        })?;
        let mut file = File { path: path.to_owned(), preset: None, given: Vec::new() };
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            file.take(line(key.span().start), key.get_ref(), value.get_ref())?;
        }
        // Each value is tried at once, and all of them together.
        file.apply(&mut file.preset.unwrap_or(Preset::Default).config())?;
        Ok(file)
    }

    /// Takes in a line.
    fn take(&mut self, line: usize, name: &str, value: &DeValue<'_>) -> Result<()> {
        let Some(text) = text_of(value) else {
            return Err(self.error(line, format!("{name}: give a number, a text, true, false, or a list of texts")));
        };
        if name == "preset" {
            let preset = Preset::ALL.into_iter().find(|preset| preset.name() == text);
            let names = Preset::ALL.map(Preset::name).join(", ");
            let unknown = || self.error(line, format!("preset {text}: give one of {names}"));
            self.preset = Some(preset.ok_or_else(unknown)?);
            return Ok(());
        }
        let Some(setting) = settings::named(name) else {
            let cause = match settings::nearest(name) {
                Some(nearest) => format!("there is no {name}; did you mean {nearest}?"),
                None => format!("there is no {name}; `impasto presets default --toml` has every name"),
            };
            return Err(self.error(line, cause));
        };
        let excludes: &[&str] = match name {
            "scales" => &["size", "scale-rule"],
            "size" | "scale-rule" => &["scales"],
            _ => &[],
        };
        if let Some(other) = self.given.iter().find(|given| excludes.contains(&given.setting.name)) {
            let (this, other) = (setting.name, other.setting.name);
            return Err(self.error(line, format!("{this} and {other} say the same; leave one of them out")));
        }
        self.given.push(Given { line, setting, text });
        Ok(())
    }

    /// The preset that it begins with, if it names one.
    #[must_use]
    pub fn preset(&self) -> Option<Preset> {
        self.preset
    }

    /// Replaces what it names in a configuration.
    ///
    /// # Errors
    /// [`Error::Usage`] if a value makes no sense, alone or with the others.
    pub fn apply(&self, config: &mut Config) -> Result<()> {
        for Given { line, setting, text } in &self.given {
            setting
                .set(config, text)
                .map_err(|cause| self.error(*line, format!("{} {text}: {cause}", setting.name)))?;
        }
        config.validate().map_err(|error| {
            let cause = error.to_string();
            let concerns = |given: &&Given| {
                let rest = cause.strip_prefix("--").and_then(|cause| cause.strip_prefix(given.setting.name));
                rest.is_some_and(|rest| !rest.starts_with('-'))
            };
            match self.given.iter().find(concerns) {
                Some(given) => self.error(given.line, cause.trim_start_matches('-')),
                None => Error::Usage(format!("{}: {cause}", self.path.display())),
            }
        })
    }

    fn error(&self, line: usize, cause: impl AsRef<str>) -> Error {
        // A key may have anything in it, and an error is one line.
        let cause: String = cause.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Error::Usage(format!("{}:{line}: {cause}", self.path.display()))
    }
}

/// A value as its option takes it.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().into()),
        DeValue::Float(number) => Some(number.as_str().into()),
        DeValue::Boolean(on) => Some(if *on { "on" } else { "off" }.into()),
        DeValue::Array(values) => {
            let simple = |value: &DeValue<'_>| !matches!(value, DeValue::Array(_) | DeValue::Boolean(_));
            let texts = values.iter().map(|value| text_of(value.get_ref()).filter(|_| simple(value.get_ref())));
            Some(texts.collect::<Option<Vec<_>>>()?.join(","))
        }
        _ => None,
    }
}

/// A configuration as such a file, every value of it: what stands before a value is what `words` has to say of it.
#[must_use]
pub fn toml(config: &Config, words: impl Fn(&str) -> Option<String>) -> String {
    let mut text = format!("preset = {}\n", quoted(config.preset.name()));
    for setting in settings::ALL {
        let lines = words(setting.name).map(|words| format!("\n# {words}\n")).unwrap_or_default();
        text += &match setting.text(config) {
            Some(value) => format!("{lines}{} = {}\n", setting.name, value_of(setting.kind, &value)),
            None => format!("{lines}# {} =\n", setting.name),
        };
    }
    text
}

fn value_of(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Number => text.into(),
        Kind::Switch => (text == "on").to_string(),
        Kind::Word => quoted(text),
        Kind::List if text.contains(',') => {
            let values = text.split(',').map(|value| format!("    {},\n", quoted(value)));
            format!("[\n{}]", values.collect::<String>())
        }
        Kind::List => quoted(text),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Init, Scales};

    fn parsed(text: &str) -> Result<Config> {
        let file = File::parse(Path::new("p.toml"), text)?;
        let mut config = file.preset().unwrap_or(Preset::Default).config();
        file.apply(&mut config)?;
        Ok(config)
    }

    #[test]
    fn every_preset_can_be_written_and_read_again() {
        for preset in Preset::ALL {
            let text = toml(&preset.config(), |name| Some(format!("what {name} is")));
            assert_eq!(parsed(&text).unwrap(), preset.config(), "{text}");
        }
    }

    #[test]
    fn names_of_files_survive_whatever_is_in_them() {
        let odd = "a \"b\" \\c\u{7}\nd.png";
        let config = Config { init: Init::File(odd.into()), weights: Some(odd.into()), ..Config::default() };
        assert_eq!(parsed(&toml(&config, |_| None)).unwrap(), config);
    }

    #[test]
    fn values_may_be_numbers_texts_switches_and_lists() {
        let text = "preset = 'paper'\ncontent-weight = 1e-3 # α\nstyle-layer = ['relu1_1:0.5', \"relu2_1\"]\nsize = 1_000\n\
                    match-result = true\nmax-memory = \"2G\"\nscale-rule = 7\naverage = 0\nuntil = '0.1%'\n";
        let config = parsed(text).unwrap();
        assert_eq!((config.preset, config.content_weight, config.size), (Preset::Paper, 1e-3, 1000));
        assert_eq!((config.match_result, config.max_memory, config.average), (true, Some(2_000_000_000), None));
        assert_eq!((config.style_layers.len(), config.scales, config.until), (2, Scales::Single(7), Some(1e-3)));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("size = 64\ncontent-wieght = 1", "p.toml:2: there is no content-wieght; did you mean content-weight?"),
            ("xyzzy = 1", "p.toml:1: there is no xyzzy; `impasto presets default --toml` has every name"),
            ("\n\npooling = 'min'", "p.toml:3: pooling min: give one of max, avg, avg2, l2"),
            ("calm = 1\ncalm = 2", "p.toml:2: not TOML (duplicate key)"),
            ("size = ", "p.toml:1: not TOML ("),
            ("seed = 3\ncalm = 9", "p.toml:2: calm 9: a pyramid has 7 levels"),
            ("preset = 'papyrus'", "p.toml:1: preset papyrus: give one of fast, default"),
            ("size = 64\nscales = '32:1,64:2'", "p.toml:2: scales and size say the same"),
            ("[look]\ntone = 'off'", "p.toml:1: look: give a number"),
            ("size = 0x40", "p.toml:1: size: give a number"),
            ("size = 5", "p.toml:1: size 5: give at least 16"),
            ("content-weight=0\nstyle-weight=0\ntv-weight=0", "p.toml: all three loss weights are 0"),
        ] {
            let message = parsed(text).err().unwrap_or_else(|| panic!("{text} is accepted")).to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
