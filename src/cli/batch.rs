//! `impasto batch`: every picture of many in the manner of every one of others, or what a list says.

use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::batch::{Entry, List, Pattern, names, sources};
use impasto::config::{Config, Preset};
use impasto::{Error, Result};

use super::many::{self, Many, Task};
use super::presets::with_default;
use super::{EXIT_CODES, values};

/// What results are called unless told otherwise; their extension follows.
const NAME: &str = "{content}-{style}";

const EXAMPLES: &str = "\
Examples:
  impasto batch photos --styles paintings -o out               # every photo like every painting
  impasto batch 'photos/*.jpg' --styles wave.jpg -o out --preset fast --set content-weight=0.01
  impasto batch photos --styles paintings -o out --name '{style}/{content}.jpg'
  impasto batch --list list.csv -o out                         # content,style,output and options
  impasto batch photos --styles paintings -o out --shard 2/5   # the second of five machines

The same command again goes on: what is there is left. The exit code is that of the first picture that failed.";

/// Repaint many photographs in the manner of many paintings.
///
/// Every picture is the one that `stylize` makes, to the byte. What is there already, made of the same files with the same
/// options, is left; what goes wrong with one picture does not stop the others.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
)]
pub struct Options {
    /// The pictures to repaint: files, folders, or quoted patterns such as 'photos/*.jpg'
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    pub contents: Vec<PathBuf>,

    /// The pictures whose manner to take, one by one: a file, a folder or a quoted pattern; repeat it for more
    #[arg(long, value_name = "STYLES", required_unless_present = "list", conflicts_with = "list")]
    pub styles: Vec<PathBuf>,

    /// What to make, line by line: CSV or JSON Lines, by the extension
    ///
    /// A .csv begins with a line of names; a line of a .jsonl is an object. content and style are files seen from FILE's folder,
    /// output, which may be left out, is a name in OUT. Further names are preset and those of options, without dashes:
    /// content-weight, size and so on. They win over the command line.
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,

    /// What results are called in OUT [default: {content}-{style}]
    ///
    /// {content} and {style} are the pictures' names without extensions, {number} counts from 1. Slashes make folders. The
    /// extension names the format; without one it is .png, or that of --format.
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    pub name: Option<Pattern>,

    /// fast, default, best and others, see `impasto presets`
    #[arg(long, value_parser = values::preset(), hide_possible_values = true)]
    pub preset: Option<Preset>,

    #[arg(long, value_name = "PIXELS", value_parser = values::side, allow_negative_numbers = true)]
    #[arg(help = with_default("Longest side of the results; 0 keeps each content's own size", "size"))]
    pub size: Option<u32>,

    #[command(flatten)]
    pub many: many::Options,
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    let tasks = match &options.list {
        Some(list) => of_list(options, &List::read(list)?)?,
        None => of_all(options)?,
    };
    Ok(Many::new(&options.many, tasks)?.run(start)?.code)
}

/// Every content in the manner of every style.
fn of_all(options: &Options) -> Result<Vec<Task>> {
    let config = config(options, None)?;
    config.validate()?;
    let pictures = |words: &[PathBuf]| -> Result<Vec<PathBuf>> {
        Ok(words.iter().map(|word| found(word, &options.many.output)).collect::<Result<Vec<_>>>()?.concat())
    };
    let (contents, styles) = (pictures(&options.contents)?, pictures(&options.styles)?);
    let mut tasks = Vec::with_capacity(contents.len() * styles.len());
    for content in &contents {
        for style in &styles {
            let output = output(options, content, style, tasks.len() + 1)?;
            tasks.push(Task { content: content.clone(), style: style.clone(), output, config: config.clone() });
        }
    }
    Ok(tasks)
}

/// The pictures that a word stands for, none of which may be a result of the time before: a folder or a pattern would find it.
fn found(word: &Path, output: &Path) -> Result<Vec<PathBuf>> {
    let pictures = sources::pictures(word)?;
    let folder = |picture: &PathBuf| impasto::files::folder(picture);
    if !word.is_file() && pictures.iter().any(|picture| impasto::files::same(&folder(picture), output)) {
        return Err(Error::Usage(format!(
            "-o {}: results in a folder that is read would be read the next time; give another folder",
            output.display()
        )));
    }
    Ok(pictures)
}

/// What the lines of a list ask for.
fn of_list(options: &Options, list: &List) -> Result<Vec<Task>> {
    let task = |(index, entry): (usize, &Entry)| {
        let mut config = config(options, entry.preset)?;
        list.apply(entry, &mut config)?;
        config.validate().map_err(|error| list.error(entry.line, error.to_string()))?;
        let output = match &entry.output {
            Some(name) => {
                let mut name = name.clone();
                if name.extension().is_none() {
                    name.add_extension(options.many.extension());
                }
                options.many.output.join(name)
            }
            None => output(options, &entry.content, &entry.style, index + 1)?,
        };
        Ok(Task { content: entry.content.clone(), style: entry.style.clone(), output, config })
    };
    list.entries.iter().enumerate().map(task).collect()
}

/// The configuration of all, or that of a line which has a preset of its own.
fn config(options: &Options, own: Option<Preset>) -> Result<Config> {
    let preset = own.or(options.many.preset(options.preset)?).unwrap_or(Preset::Default);
    options.many.config(preset.config(), options.size)
}

/// Where the result of that number goes.
fn output(options: &Options, content: &Path, style: &Path, number: usize) -> Result<PathBuf> {
    let usual = || Pattern::parse(NAME).expect("a pattern");
    let pattern = options.name.clone().unwrap_or_else(usual);
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut name = pattern.expand(&stem(content), &stem(style), number);
    if !pattern.has_extension() {
        name = format!("{name}.{}", options.many.extension());
    }
    let name = names::place(&name).map_err(|cause| Error::Usage(format!("--name: {cause}")))?;
    Ok(options.many.output.join(name))
}
