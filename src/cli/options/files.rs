//! Options about the files and lines that come out of it.

use impasto::picture::{OutputFormat, SaveOptions};

use super::{OUTPUT, REPORTING};
use crate::cli::job::Report;
use crate::cli::values;

#[derive(Debug, clap::Args)]
pub struct Files {
    /// png, jpg, webp or tif, whatever the name of OUT [default: by its name; png for -]
    #[arg(long, value_parser = values::output_format(), hide_possible_values = true, value_name = "FORMAT")]
    #[arg(help_heading = OUTPUT, hide_short_help = true)]
    pub format: Option<OutputFormat>,

    /// Quality of a JPEG, from 1, small, to 100, without visible loss [default: 95]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100), help_heading = OUTPUT)]
    #[arg(hide_short_help = true, allow_negative_numbers = true)]
    pub quality: Option<u8>,

    /// Dots per inch that the file asks to be printed with [default: CONTENT's, if it says]
    #[arg(long, value_name = "N", value_parser = values::dpi, help_heading = OUTPUT)]
    #[arg(hide_short_help = true, allow_negative_numbers = true)]
    pub dpi: Option<f64>,

    /// Leave the recipe out of the file
    ///
    /// Without this the picture's file holds everything that it was made with but names of folders: every option's value and
    /// the SHA-256 of what was read. `impasto show` prints it, and `impasto reproduce` makes the picture again.
    #[arg(long, help_heading = OUTPUT, hide_short_help = true)]
    pub no_metadata: bool,

    /// Print a summary as JSON
    ///
    /// One object on standard output in place of the table and the closing line: the file, its size, iterations, seconds,
    /// losses at the end, peak memory, and the whole configuration.
    #[arg(long, help_heading = REPORTING, hide_short_help = true)]
    pub json: bool,
}

impl Files {
    /// How the result is written, but for what it is described as; `dpi` is the content picture's.
    pub fn save(&self, bits: Option<u8>, dpi: Option<f64>) -> SaveOptions {
        SaveOptions {
            format: self.format,
            sixteen_bit: bits == Some(16),
            quality: self.quality,
            dpi: self.dpi.or(dpi),
            description: None,
        }
    }

    /// What is told of the run.
    pub fn report(&self, quiet: bool) -> Report {
        match (self.json, quiet) {
            (true, quiet) => Report::Json { quiet },
            (_, true) => Report::Nothing,
            _ => Report::Lines,
        }
    }
}
