//! What `batch` and `augment` may both be told.

use std::path::PathBuf;
use std::str::FromStr;

use impasto::Result;
use impasto::batch::{Shard, shard};
use impasto::config::{Config, Preset, Scales};
use impasto::picture::SaveOptions;

use crate::cli::job::Report;
use crate::cli::making::Making;
use crate::cli::options::Files;
use crate::cli::presets::with_default;
use crate::cli::values;

const OUTPUT: &str = "Output";
const LOOK: &str = "Look";
const RUN: &str = "Run";
const REPORTING: &str = "Reporting";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// The folder of the results, which is made if it is not there
    #[arg(short, long, value_name = "OUT", help_heading = OUTPUT)]
    pub output: PathBuf,

    /// Replace files that are in the way
    ///
    /// A result that is there, and was made of the same pictures with the same options, is left as it is in any case. Without
    /// this another file of its name is left, too, and counts as a failure.
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,

    /// Bits per colour, 8 or 16 (PNG, TIFF) [default: 8]
    #[arg(long, value_name = "BITS", value_parser = values::bits(), hide_possible_values = true, help_heading = OUTPUT)]
    pub bits: Option<u8>,

    #[arg(long, value_name = "PIXELS", value_parser = values::side, help_heading = LOOK, allow_negative_numbers = true)]
    #[arg(help = with_default("Longest side of each style picture", "style-size"))]
    pub style_size: Option<u32>,

    #[arg(long, value_name = "FACTOR", help_heading = LOOK, allow_negative_numbers = true)]
    #[arg(help = with_default("Larger strokes above 1, smaller below", "style-scale"))]
    pub style_scale: Option<f64>,

    #[command(flatten)]
    pub files: Files,

    #[command(flatten)]
    pub making: Making,

    /// Pictures side by side, which share the threads [default: what is faster, tried before the first]
    ///
    /// Small pictures are made faster side by side, large ones one after the other. No picture depends on it. Each of N has
    /// an N-th of the memory; what does not fit into that is made by itself in the end.
    #[arg(long, value_name = "N", help_heading = RUN, allow_negative_numbers = true)]
    pub jobs: Option<Jobs>,

    /// Make part I of N alone: 2/5, or auto, as the scheduler says
    ///
    /// Parts are counted from 1, and have every N-th picture. auto is for Slurm's job arrays (SLURM_ARRAY_TASK_ID), auto/N
    /// for indexed Kubernetes Jobs of N completions (JOB_COMPLETION_INDEX).
    #[arg(long, value_name = "I/N", help_heading = RUN)]
    pub shard: Option<shard::Asked>,

    /// Print nothing but errors
    #[arg(short, long, help_heading = REPORTING)]
    pub quiet: bool,
}

/// A number of pictures side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jobs(pub usize);

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
        number.map(Jobs).ok_or_else(|| format!("give a number from 1 to {MOST}"))
    }
}

/// More pictures at once than any machine has cores would only wait for each other.
const MOST: usize = 1024;

impl Options {
    /// A configuration with what was set, at such a size if one is given.
    ///
    /// # Errors
    /// Those of [`Making::set`].
    pub fn config(&self, mut config: Config, size: Option<u32>) -> Result<Config> {
        self.making.set(&mut config)?;
        if let Some(size) = size {
            config.size = size;
            // Scales that were given end at a size of their own: they become a rule for this one.
            if let Scales::Given(rule) = config.scales {
                config.scales = Scales::Grown(rule);
            }
        }
        config.style_size = self.style_size.or(config.style_size);
        config.style_scale = self.style_scale.unwrap_or(config.style_scale);
        Ok(config)
    }

    /// The preset that was given, by its option or in a file, if one was.
    ///
    /// # Errors
    /// Those of [`Making::preset`].
    pub fn preset(&self, given: Option<Preset>) -> Result<Option<Preset>> {
        Ok(given.or(self.making.preset()?))
    }

    /// The part that is made.
    ///
    /// # Errors
    /// Those of [`shard::Asked::resolve`].
    pub fn shard(&self) -> Result<Shard> {
        self.shard.map_or(Ok(Shard::WHOLE), shard::Asked::resolve)
    }

    /// How results are written, but for what they are described as.
    pub fn save(&self, dpi: Option<f64>) -> SaveOptions {
        self.files.save(self.bits, dpi)
    }

    /// What results end in if nothing else says it.
    pub fn extension(&self) -> &'static str {
        self.files.format.map_or("png", values::output_format_name)
    }

    pub fn is_quiet(&self) -> bool {
        self.files.report(self.quiet).is_quiet()
    }

    pub fn wants_json(&self) -> bool {
        matches!(self.files.report(self.quiet), Report::Json { .. })
    }
}
