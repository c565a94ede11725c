//! Options about how a picture is made that all commands but `stylize` share, which has each of them beside all others:
//! values by name or from a file, and what the machine may spend.

use std::path::PathBuf;

use impasto::config::{Config, File, Precision, Preset, settings};
use impasto::{Error, Result};

use super::values;

const RUN: &str = "Run";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Making {
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
    #[arg(value_parser = values::thread_count())]
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
}

impl Making {
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
    /// Those of [`Making::set`].
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
