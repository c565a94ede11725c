//! A list of pictures to make: CSV with a line of names first, or JSON Lines, an object a line.
//!
//! ```text
//! content,style,output,preset,content-weight
//! cat.jpg,wave.jpg,,fast,
//! dog.jpg,wave.jpg,best/dog.png,,0.01
//! ```
//!
//! Names are `content`, `style`, `output`, `preset`, and those of [settings], which are those of
//! options. What is empty, or null, is not said. Files are seen from the list's folder, outputs from the folder of the
//! results.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::names;
use crate::config::settings::{self, Setting};
use crate::config::{Config, Preset};
use crate::error::{Error, Result};
use crate::files;

/// What there is one of for all pictures: the network, the threads, the memory.
const SHARED: [&str; 3] = ["weights", "threads", "max-memory"];

/// A list that was read.
#[derive(Clone, Debug)]
pub struct List {
    path: PathBuf,
    /// What it asks for, in its order; at least one.
    pub entries: Vec<Entry>,
}

/// A picture to make.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands in the list, from 1.
    pub line: u64,
    /// The content picture.
    pub content: PathBuf,
    /// The style picture, or a folder of them.
    pub style: PathBuf,
    /// What it is called in the folder of the results, if the list says so.
    pub output: Option<PathBuf>,
    /// The preset that it begins with, if the list says so.
    pub preset: Option<Preset>,
    options: Vec<(&'static Setting, String)>,
}

impl List {
    /// Reads a list; its name ends in `.csv`, or in `.jsonl` or `.ndjson`.
    ///
    /// # Errors
    /// [`Error::Usage`] with the line, what is wrong there, and what would do.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            let path = path.display();
            Error::Usage(format!("{path}: cannot be read ({error}); give a list as CSV or JSON Lines"))
        })?;
        Self::parse(path, &bytes)
    }

    /// Understands the bytes of such a list, of which `path` is the name.
    ///
    /// # Errors
    /// As [`List::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let fault = |cause: &str| Error::Usage(format!("{}: {cause}", path.display()));
        let text = std::str::from_utf8(bytes).map_err(|_| fault("is not text in UTF-8; save it as that"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        let mut list = List { path: path.to_owned(), entries: Vec::new() };
        match extension.as_deref() {
            Some("csv") => list.take_csv(text)?,
            Some("jsonl" | "ndjson") => list.take_json(text)?,
            _ => return Err(fault("is neither a .csv nor a .jsonl; give the list a name that says which it is")),
        }
        match list.entries.is_empty() {
            true => Err(fault("has no line with a picture in it; give content and style in each")),
            false => Ok(list),
        }
    }

    fn take_csv(&mut self, text: &str) -> Result<()> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let wrong = |list: &Self, error: &csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            let cause = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("{len} values for {expected_len} names; quote a value with a comma in it")
                }
                _ => format!("not CSV ({error}); give names in the first line, and a value for each in the others"),
            };
            list.error(line, cause)
        };
        let names = reader.headers().map_err(|error| wrong(self, &error))?.clone();
        for (index, name) in names.iter().enumerate() {
            self.check_name(1, name)?;
            if names.iter().take(index).any(|other| other == name) {
                return Err(self.error(1, format!("{name} is named twice; leave one of them out")));
            }
        }
        for record in reader.records() {
            let record = record.map_err(|error| wrong(self, &error))?;
            let line = record.position().map_or(1, csv::Position::line);
            let given = names.iter().zip(record.iter()).map(|(name, value)| (name.to_owned(), value.to_owned()));
            self.take(line, given.collect())?;
        }
        Ok(())
    }

    fn take_json(&mut self, text: &str) -> Result<()> {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = index as u64 + 1;
            let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
                self.error(number, format!("no object of JSON ({error}); give {{\"content\": …, \"style\": …}}"))
            })?;
            let mut given = Vec::new();
            for (name, value) in object {
                self.check_name(number, &name)?;
                let text = text_of(&value).ok_or_else(|| {
                    self.error(number, format!("{name}: give a number, a text, true, false, or a list of texts"))
                })?;
                given.push((name, text));
            }
            self.take(number, given)?;
        }
        Ok(())
    }

    /// Refuses a name that means nothing.
    fn check_name(&self, line: u64, name: &str) -> Result<()> {
        if SHARED.contains(&name) {
            return Err(self.error(line, format!("{name} is the same for all pictures; give it on the command line")));
        }
        if ["content", "style", "output", "preset"].contains(&name) || settings::named(name).is_some() {
            return Ok(());
        }
        let remedy = match settings::nearest(name) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "give content, style, output, preset, or the name of an option".into(),
        };
        Err(self.error(line, format!("there is no {name}; {remedy}")))
    }

    /// Takes in a line, whose names were checked.
    fn take(&mut self, line: u64, given: Vec<(String, String)>) -> Result<()> {
        let folder = files::folder(&self.path);
        let mut entry = Entry {
            line,
            content: PathBuf::new(),
            style: PathBuf::new(),
            output: None,
            preset: None,
            options: Vec::new(),
        };
        for (name, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "content" => entry.content = folder.join(value),
                "style" => entry.style = folder.join(value),
                "output" => entry.output = Some(names::place(&value).map_err(|cause| self.error(line, cause))?),
                "preset" => {
                    let preset = Preset::ALL.into_iter().find(|preset| preset.name() == value);
                    let known = Preset::ALL.map(Preset::name).join(", ");
                    let unknown = || self.error(line, format!("preset {value}: give one of {known}"));
                    entry.preset = Some(preset.ok_or_else(unknown)?);
                }
                _ => entry.options.extend(settings::named(&name).map(|setting| (setting, value))),
            }
        }
        for (name, path) in [("content", &entry.content), ("style", &entry.style)] {
            if path.as_os_str().is_empty() {
                return Err(self.error(line, format!("no {name}; give one in each line")));
            }
        }
        let has = |name: &str| entry.options.iter().any(|(setting, _)| setting.name == name);
        if has("scales") && (has("size") || has("scale-rule")) {
            return Err(self.error(line, "scales says the same as size and scale-rule; leave one of them out".into()));
        }
        // Each value is tried at once.
        self.apply(&entry, &mut Config::default())?;
        self.entries.push(entry);
        Ok(())
    }

    /// Replaces what a line names in a configuration, which is to be validated.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no value.
    pub fn apply(&self, entry: &Entry, config: &mut Config) -> Result<()> {
        entry.options.iter().try_for_each(|(setting, text)| {
            setting
                .set(config, text)
                .map_err(|cause| self.error(entry.line, format!("{} {text}: {cause}", setting.name)))
        })
    }

    /// What is wrong in a line.
    #[must_use]
    pub fn error(&self, line: u64, cause: String) -> Error {
        // A library's cause may have lines of its own.
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        Error::Usage(format!("{}:{line}: {cause}", self.path.display()))
    }
}

/// A value as an option takes it; that of null is empty.
fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(on) => if *on { "on" } else { "off" }.into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(String::from)).collect::<Option<Vec<_>>>()?.join(",")
        }
        Value::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, text: &str) -> Result<List, String> {
        List::parse(Path::new(name), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn both_kinds_say_the_same() {
        let csv = "content, style, output, preset, tv-weight, style-layer, match-result\n\
                   a.jpg, art/w.jpg,,,,,\n\n\
                   \"b, c.jpg\",/w.jpg,x/o.png,fast,2.5,\"relu1_1:0.5,relu2_1\",off\n";
        let json = "{\"content\": \"a.jpg\", \"style\": \"art/w.jpg\", \"output\": null}\n\n\
                    {\"content\": \"b, c.jpg\", \"style\": \"/w.jpg\", \"output\": \"x/o.png\", \"preset\": \"fast\", \
                    \"tv-weight\": 2.5, \"style-layer\": [\"relu1_1:0.5\", \"relu2_1\"], \"match-result\": false}";
        for (name, text) in
            [("in/l.csv", csv.to_owned()), ("in/l.jsonl", json.to_owned()), ("in/l.CSV", format!("\u{feff}{csv}"))]
        {
            let list = parsed(name, &text).unwrap();
            let [first, second] = &list.entries[..] else { panic!("{list:?}") };
            assert_eq!(
                (first.content.as_path(), first.style.as_path()),
                (Path::new("in/a.jpg"), Path::new("in/art/w.jpg"))
            );
            assert!(first.output.is_none() && first.preset.is_none());
            assert_eq!(
                (second.content.as_path(), second.style.as_path()),
                (Path::new("in/b, c.jpg"), Path::new("/w.jpg"))
            );
            assert_eq!((second.output.as_deref(), second.preset), (Some(Path::new("x/o.png")), Some(Preset::Fast)));
            let mut config = Preset::Fast.config();
            list.apply(second, &mut config).unwrap();
            assert_eq!((config.tv_weight, config.match_result, config.style_layers.len()), (2.5, false, 2));
            let mut config = Config::default();
            list.apply(first, &mut config).unwrap();
            assert_eq!(config, Config::default());
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let head = "content,style,size\n";
        for (name, text, words) in [
            ("l.txt", head.to_owned(), "l.txt: is neither a .csv nor a .jsonl"),
            ("l.csv", head.to_owned(), "l.csv: has no line with a picture"),
            ("l.jsonl", String::new(), "l.jsonl: has no line with a picture"),
            ("l.csv", format!("{head}a,b,big\n"), "l.csv:2: size big: "),
            ("l.csv", format!("{head}a,b\n"), "l.csv:2: 2 values for 3 names"),
            ("l.csv", format!("{head}a,b,64\n,b,\n"), "l.csv:3: no content; give one"),
            ("l.csv", "content,style,style\na,b,c\n".into(), "l.csv:1: style is named twice"),
            ("l.csv", "content,style,sizes\na,b,c\n".into(), "did you mean size?"),
            ("l.csv", "content,style,weights\na,b,c\n".into(), "weights is the same for all pictures"),
            ("l.csv", "content,style,preset\na,b,quick\n".into(), "l.csv:2: preset quick: give one of"),
            ("l.csv", "content,style,output\na,b,../c.png\n".into(), "is no name in the folder of the results"),
            ("l.csv", "content,style,size,scales\na,b,64,64:3\n".into(), "leave one of them out"),
            ("l.jsonl", "\n[1]".into(), "l.jsonl:2: no object of JSON"),
            ("l.jsonl", "{\"content\": {}}".into(), "content: give a number, a text"),
        ] {
            let message = parsed(name, &text).unwrap_err();
            assert!(message.contains(words) && message.lines().count() == 1, "{message}");
        }
        assert!(List::parse(Path::new("l.csv"), b"content\xff").unwrap_err().to_string().contains("UTF-8"));
    }
}
