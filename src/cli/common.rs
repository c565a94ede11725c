//! What every command that makes one picture may be told beside its purpose: where the picture goes, and how it is made.
//! `stylize` has these too, among all others of its own.

use std::path::{Path, PathBuf};

use impasto::config::{Config, Precision};

use super::options::MOST_THREADS;
use super::request::{self, Request};
use super::values;

const OUTPUT: &str = "Output";
const RUN: &str = "Run";

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

    /// Write every iteration's losses as JSON Lines
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub trace: Option<PathBuf>,

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

    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print the configuration, sizes, threads and memory too
    #[arg(short, long)]
    pub verbose: bool,
}

impl Common {
    /// Changes what was given.
    pub fn set(&self, config: &mut Config) {
        config.seed = self.seed.unwrap_or(config.seed);
        config.iterations = self.iterations.or(config.iterations);
        config.threads = self.threads.map_or(config.threads, |threads| threads as usize);
        config.max_memory = self.max_memory.or(config.max_memory);
        config.max_pixels = self.max_pixels.unwrap_or(config.max_pixels);
        config.precision = self.precision.unwrap_or(config.precision);
        config.weights = self.weights.clone().or_else(|| config.weights.take());
    }

    /// A request for a picture that by itself is called `default`. What it is made of is for the command to say.
    pub fn request(&self, default: PathBuf) -> Request<'_> {
        Request {
            content: None,
            style: None,
            sizes: Default::default(),
            scales: Vec::new(),
            output: request::place(self.output.as_deref(), default, self.overwrite),
            overwrite: self.overwrite,
            sixteen_bit: self.bits == Some(16),
            save_every: self.save_every,
            checkpoint: self.checkpoint.as_deref(),
            checkpoint_every: self.checkpoint_every,
            trace: self.trace.as_deref(),
            quiet: self.quiet,
            verbose: self.verbose,
            words: String::new(),
        }
    }
}

/// `photo.jpg` and `dream` make `photo-dream.png`, beside the photo.
pub fn beside(input: &Path, suffix: &str) -> PathBuf {
    let mut name = input.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{suffix}.png"));
    input.with_file_name(name)
}
