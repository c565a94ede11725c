//! What a command that makes a picture is asked for, and the job that it becomes: what cannot work is refused before the
//! work.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use impasto::Result;
use impasto::config::{Config, Init};
use impasto::picture::{self, SaveOptions};
use impasto::transfer::Scale;

use super::keeper::{self, Asked};
use super::paths;
use super::previews::Previews;
use super::report::Table;
use super::trace::Trace;
use super::work::Job;

/// Seconds between checkpoints unless told otherwise.
const CHECKPOINT_EVERY: f64 = 60.0;

/// What is to be made of which pictures, and where it goes.
pub struct Request<'a> {
    /// Some runs have no content picture, and some no style picture.
    pub content: Option<&'a Path>,
    pub style: Option<&'a Path>,
    /// (height, width) of each, or of what stands for it.
    pub sizes: [(usize, usize); 2],
    pub scales: Vec<Scale>,
    pub output: PathBuf,
    pub overwrite: bool,
    pub sixteen_bit: bool,
    pub save_every: Option<u32>,
    pub checkpoint: Option<&'a Path>,
    pub checkpoint_every: Option<f64>,
    pub trace: Option<&'a Path>,
    pub quiet: bool,
    pub verbose: bool,
    /// The command, in words that tell which pictures it was given.
    pub words: String,
}

impl Request<'_> {
    /// The job, if nothing stands in its way.
    ///
    /// # Errors
    /// [`impasto::Error::Usage`] for a place that cannot be written to.
    pub fn job(self, config: Config) -> Result<Job> {
        let description = recipe(&format!("impasto {} {}", env!("CARGO_PKG_VERSION"), self.words), &config);
        let save = SaveOptions { sixteen_bit: self.sixteen_bit, description: Some(description.clone()) };
        let output = self.output;
        let start = if let Init::File(path) = &config.init { Some(path.as_path()) } else { None };
        let mut inputs: Vec<&Path> =
            [self.content, self.style, start, config.weights.as_deref()].into_iter().flatten().collect();
        picture::check_output(&output, &save, &inputs)?;
        let longest = self.scales.iter().map(|scale| scale.height.max(scale.width)).max().unwrap_or_default();
        picture::check_side(&output, longest)?;
        if let Some(path) = self.trace {
            Trace::check(path, &output, &inputs)?;
            inputs.push(path);
        }
        if let Some(path) = self.checkpoint {
            let others: Vec<_> = inputs.iter().copied().chain([output.as_path()]).collect();
            keeper::check(path, &others, self.overwrite)?;
            inputs.push(path);
        }
        let iterations = self.scales.iter().map(|scale| scale.iterations).sum();
        let previews = self.save_every.and_then(NonZeroU32::new);
        let previews = previews.map(|every| {
            let previews = Previews::new(every, iterations, &output, save.clone(), &inputs, self.overwrite)?;
            Ok((every.get(), previews.output().to_owned()))
        });
        let asked = Asked {
            content: self.content.map(Path::to_owned),
            style: self.style.map(Path::to_owned),
            sixteen_bit: save.sixteen_bit,
            description,
            trace: self.trace.map(Path::to_owned),
            previews: previews.transpose()?,
            seconds: self.checkpoint_every.unwrap_or(CHECKPOINT_EVERY),
            table: Table::default(),
            output,
        };
        Ok(Job {
            asked,
            config,
            save,
            inputs: self.sizes,
            scales: self.scales,
            checkpoint: self.checkpoint.map(Path::to_owned),
            quiet: self.quiet,
            verbose: self.verbose,
        })
    }
}

/// Where a result goes: to the file that was named, into the folder under `default`'s name, or to `default` itself, which
/// replaces nothing unless told to.
pub fn place(asked: Option<&Path>, default: PathBuf, overwrite: bool) -> PathBuf {
    let name = match asked {
        Some(folder) if folder.is_dir() => folder.join(default.file_name().unwrap_or_default()),
        Some(file) => return file.to_owned(),
        None => default,
    };
    if overwrite { name } else { paths::unused(name) }
}

/// Some words and the configuration: what goes into the file, enough to make the picture again. Names of folders, which
/// are nobody's business, and what does not change the picture are left out.
pub fn recipe(words: &str, config: &Config) -> String {
    let changes_nothing = Config::default();
    let mut recipe = Config {
        threads: changes_nothing.threads,
        max_pixels: changes_nothing.max_pixels,
        max_memory: changes_nothing.max_memory,
        ..config.clone()
    };
    recipe.weights = recipe.weights.map(|path| name(&path).into());
    if let Init::File(path) = &mut recipe.init {
        *path = name(path).into();
    }
    format!("{words} {}", serde_json::to_string(&recipe).expect("a configuration with Unicode names is JSON"))
}

/// The name of a file, without its folders.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
