//! `impasto bench`: what may be measured, and where the report goes.

use std::path::PathBuf;
use std::time::Duration;

use impasto::bench::report::{Format, render};
use impasto::bench::{self, Part, compare};
use impasto::config::Precision;
use impasto::kernels::conv::Algorithm;
use impasto::vgg::Layer;
use impasto::{Error, Result};
use indicatif::ProgressBar;

use super::{EXIT_CODES, say, values};

/// Measure how fast this machine is: its limits, every layer, whole steps, whole pictures.
///
/// Every kernel is compared with its definition before it is timed; one that computes something else ends the
/// program with exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  impasto bench
  impasto bench --only step --size 512 --threads 1,2
  impasto bench --only picture --repeats 3
  impasto bench --format json > before.json
  impasto bench --compare before.json

{EXIT_CODES}"))]
pub struct Options {
    /// Parts to measure [default: all but picture]
    #[arg(long, value_name = "PART,…", value_delimiter = ',', value_parser = values::bench_part(),
        hide_possible_values = true)]
    #[arg(long_help = values::bench_parts("Parts to measure [default: all but picture]"))]
    only: Vec<Part>,

    /// Sides of the pictures of whole steps
    #[arg(long = "size", value_name = "PIXELS,…", value_delimiter = ',', default_value = "256,512,1024")]
    sizes: Vec<usize>,

    /// Side of the picture whose layers are measured alone
    #[arg(long, value_name = "PIXELS", default_value_t = 512)]
    layer_size: usize,

    /// Side of the pictures that whole runs make
    #[arg(long, value_name = "PIXELS", default_value_t = 256)]
    picture_size: usize,

    /// Deepest layer measured alone; VGG16's last is relu5_3
    #[arg(long, value_name = "LAYER", default_value = "relu4_3")]
    deepest: Layer,

    /// Arithmetic [default: every one for layers and steps, auto for pictures]
    #[arg(long, value_name = "PRECISION,…", value_delimiter = ',', value_parser = values::precision(),
        hide_possible_values = true)]
    #[arg(long_help = values::precisions("Arithmetic [default: every one for layers and steps, auto for pictures]"))]
    precision: Vec<Precision>,

    /// Numbers of threads, one after the other [default: every core]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = values::thread_count())]
    threads: Vec<u64>,

    /// Times each measurement is repeated
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeats: usize,

    /// Convolution algorithms to force, one after the other [default: as chosen]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = values::algorithm())]
    #[arg(env = values::CONV_ALGORITHM)]
    conv_algorithm: Vec<Algorithm>,

    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = values::format(),
        hide_possible_values = true)]
    #[arg(long_help = values::formats("How the report is written"))]
    format: Format,

    /// An earlier report in JSON, to show what became faster
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
}

impl Options {
    fn options(&self) -> bench::Options {
        let mut options = bench::Options {
            sizes: self.sizes.clone(),
            layer_size: self.layer_size,
            picture_size: self.picture_size,
            deepest: self.deepest,
            repeats: self.repeats,
            algorithms: self.conv_algorithm.clone(),
            precisions: self.precision.clone(),
            ..bench::Options::default()
        };
        if !self.only.is_empty() {
            options.parts = self.only.clone();
        }
        if !self.threads.is_empty() {
            options.threads = self.threads.iter().map(|&count| count as usize).collect();
        }
        options
    }
}

pub fn run(options: &Options) -> Result<u8> {
    // What cannot be compared with is refused before the minutes it takes to measure.
    let old = options.compare.as_ref().map(|path| {
        let name = path.display().to_string();
        let json = std::fs::read(path).map_err(|cause| {
            Error::Usage(format!(
                "--compare {name}: cannot be read ({cause}); give a file that `impasto bench --format json` wrote"
            ))
        })?;
        compare::read(&name, &json)
    });
    let old = old.transpose()?;
    let spinner = if say::redraws() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    spinner.enable_steady_tick(Duration::from_millis(500));
    let report = bench::run(&options.options(), |what| spinner.set_message(what.to_owned()));
    spinner.finish_and_clear();
    say::text(render(&report?, old.as_ref(), options.format))?;
    Ok(0)
}
