//! What every command that makes one picture may be told beside its purpose: where the picture goes, and how it is made.
//! `stylize` has these too, among all others of its own.

use std::path::{Path, PathBuf};

use impasto::config::{Config, File, Precision, Preset, settings};
use impasto::picture;
use impasto::transfer::Sizes;
use impasto::{Error, Result};

use super::options::{Files, MOST_THREADS};
use super::purpose::Purpose;
use super::request::{self, Request, Standard, check_standard};
use super::styles::Scene;
use super::values;

const OUTPUT: &str = "Output";
const RUN: &str = "Run";
const REPORTING: &str = "Reporting";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Common {
    /// The picture to write [default: beside the input]
    ///
    /// A folder takes it under the name it would have by itself. The extension names the format: png, jpg, webp, tif and others.
    #[arg(short, long, value_name = "OUT", help_heading = OUTPUT)]
    pub output: Option<PathBuf>,

    /// Replace a file that has the name OUT would get by itself
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,

    /// Bits per colour, 8 or 16 (PNG, TIFF) [default: 8]
    #[arg(long, value_name = "BITS", value_parser = values::bits(), hide_possible_values = true, help_heading = OUTPUT)]
    pub bits: Option<u8>,

    /// Also write the picture after every N iterations: out-0010.png, out-0020.png and so on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = OUTPUT)]
    #[arg(allow_negative_numbers = true)]
    pub save_every: Option<u32>,

    /// Keep the run in FILE, from which `impasto resume FILE` goes on
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub checkpoint: Option<PathBuf>,

    /// Seconds between checkpoints [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, help_heading = OUTPUT, requires = "checkpoint")]
    #[arg(allow_negative_numbers = true)]
    pub checkpoint_every: Option<f64>,

    #[command(flatten)]
    pub files: Files,

    /// Values from a TOML file, whose keys are the names of `stylize`'s options
    ///
    /// They change what this command begins with, and are changed by what is given on the command line.
    #[arg(long = "config", value_name = "FILE", help_heading = RUN)]
    pub config_file: Option<PathBuf>,

    /// One such value; repeat it for each: --set tv-weight=3
    #[arg(long, value_name = "NAME=VALUE", help_heading = RUN)]
    pub set: Vec<String>,

    /// Seed of all random numbers [default: 0]
    #[arg(long, value_name = "N", help_heading = RUN, allow_negative_numbers = true)]
    pub seed: Option<u64>,

    /// Iterations in all, shared out among the sizes the picture goes through
    #[arg(long, value_name = "N", help_heading = RUN, allow_negative_numbers = true)]
    pub iterations: Option<u32>,

    /// Threads; the picture does not depend on them [default: every core]
    #[arg(long, value_name = "N", help_heading = RUN, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=MOST_THREADS))]
    pub threads: Option<u64>,

    /// The most memory to use, such as 2G; the picture does not depend on it [default: four fifths of what there is]
    #[arg(long, value_name = "BYTES", value_parser = values::memory, help_heading = RUN, allow_negative_numbers = true)]
    pub max_memory: Option<u64>,

    /// Refuse larger input pictures, before decoding them [default: 100M]
    #[arg(long, value_name = "N", value_parser = values::pixels, help_heading = RUN, allow_negative_numbers = true)]
    pub max_pixels: Option<u64>,

    /// Arithmetic of the network: auto, f32 or bf16 [default: auto]
    #[arg(long, value_parser = values::precision(), hide_possible_values = true, help_heading = RUN)]
    pub precision: Option<Precision>,

    /// VGG16 or VGG19 weights: a safetensors file with torchvision's names [default: embedded]
    #[arg(long, value_name = "FILE", help_heading = RUN)]
    pub weights: Option<PathBuf>,

    /// Write every iteration's losses as JSON Lines
    #[arg(long, value_name = "FILE", help_heading = REPORTING)]
    pub trace: Option<PathBuf>,

    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = REPORTING)]
    pub quiet: bool,

    /// Print the configuration, sizes, threads and memory too
    #[arg(short, long, help_heading = REPORTING)]
    pub verbose: bool,
}

impl Common {
    /// The file of values, if one was given.
    ///
    /// # Errors
    /// Those of [`File::read`].
    pub fn file(&self) -> Result<Option<File>> {
        self.config_file.as_deref().map(File::read).transpose()
    }

    /// The preset that such a file begins with.
    ///
    /// # Errors
    /// Those of [`File::read`].
    pub fn preset(&self) -> Result<Option<Preset>> {
        Ok(self.file()?.and_then(|file| file.preset()))
    }

    /// The most pixels of a picture that is read.
    ///
    /// # Errors
    /// Those of [`Common::set`].
    pub fn max_pixels(&self) -> Result<u64> {
        let mut config = Config::default();
        self.set(&mut config)?;
        Ok(config.max_pixels)
    }

    /// Changes what was given.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no value.
    pub fn set(&self, config: &mut Config) -> Result<()> {
        if let Some(file) = self.file()? {
            file.apply(config)?;
        }
        self.set.iter().try_for_each(|text| set_one(config, text))?;
        config.seed = self.seed.unwrap_or(config.seed);
        config.iterations = self.iterations.or(config.iterations);
        config.threads = self.threads.map_or(config.threads, |threads| threads as usize);
        config.max_memory = self.max_memory.or(config.max_memory);
        config.max_pixels = self.max_pixels.unwrap_or(config.max_pixels);
        config.precision = self.precision.unwrap_or(config.precision);
        config.weights = self.weights.clone().or_else(|| config.weights.take());
        Ok(())
    }

    /// A request for a picture of these, which by itself is called `default`.
    ///
    /// # Errors
    /// [`Error::Usage`] for what standard input and output cannot be used for; [`Error::Picture`].
    pub fn request<'a>(
        &'a self,
        purpose: Purpose,
        (content, scene, sizes): (Option<&'a Path>, Scene, Sizes),
        default: PathBuf,
        max_pixels: u64,
    ) -> Result<Request<'a>> {
        let dpi = content.map(|path| picture::metadata(path, max_pixels)).transpose()?.and_then(|of| of.dpi);
        Ok(Request {
            purpose,
            content,
            scene,
            sizes,
            others: self.config_file.iter().map(PathBuf::as_path).collect(),
            output: request::place(self.output.as_deref(), default, self.overwrite),
            overwrite: self.overwrite,
            save: self.files.save(self.bits, dpi),
            metadata: !self.files.no_metadata,
            save_every: self.save_every,
            preview: self.files.preview.as_deref(),
            checkpoint: self.checkpoint.as_deref(),
            checkpoint_every: self.checkpoint_every,
            trace: self.trace.as_deref(),
            report: self.files.report(self.quiet),
            verbose: self.verbose,
            time: None,
        })
    }

    /// Refuses what standard input and output cannot be used for, where these files are read.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_standard<'a>(&self, read: impl Iterator<Item = &'a Path>) -> Result<()> {
        let asked = Standard {
            output: self.output.as_deref(),
            checkpoint: self.checkpoint.is_some(),
            save_every: self.save_every.is_some(),
            json: self.files.json,
        };
        check_standard(read, &asked)
    }
}

/// Changes one value, `NAME=VALUE`.
fn set_one(config: &mut Config, text: &str) -> Result<()> {
    let wrong = |cause: String| Error::Usage(format!("--set {text}: {cause}"));
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("give NAME=VALUE, such as tv-weight=3".into()))?;
    let Some(setting) = settings::named(name) else {
        return Err(wrong(match settings::nearest(name) {
            Some(nearest) => format!("there is no {name}; did you mean {nearest}?"),
            None => format!("there is no {name}; `impasto presets default --toml` has every name"),
        }));
    };
    setting.set(config, value).map_err(wrong)
}

/// `photo.jpg` and `dream` make `photo-dream.png`, beside the photo.
pub fn beside(input: &Path, suffix: &str) -> PathBuf {
    let mut name = input.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{suffix}.png"));
    input.with_file_name(name)
}
