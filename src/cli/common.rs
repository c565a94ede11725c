//! What every command that makes one picture may be told beside its purpose: where the picture goes, and how it is made.
//! `stylize` has these too, among all others of its own.

use std::path::{Path, PathBuf};

use impasto::Result;
use impasto::picture;
use impasto::transfer::Sizes;

use super::making::Making;
use super::options::Files;
use super::purpose::Purpose;
use super::request::{self, Request, Standard, check_standard};
use super::styles::Scene;
use super::values;

const OUTPUT: &str = "Output";
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

    /// Keep a picture of the run so far in FILE
    ///
    /// It is rewritten every few seconds, in one step: whoever looks at it, now or with a viewer that looks again by
    /// itself, sees a whole picture. In the end it is the result. - shows it in the terminal, now and then, where that can:
    /// kitty, Ghostty, iTerm2, WezTerm.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT, hide_short_help = true)]
    pub preview: Option<PathBuf>,

    #[command(flatten)]
    pub making: Making,

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
            others: self.making.config_file.iter().map(PathBuf::as_path).collect(),
            output: request::place(self.output.as_deref(), default, self.overwrite),
            overwrite: self.overwrite,
            save: self.files.save(self.bits, dpi),
            metadata: !self.files.no_metadata,
            save_every: self.save_every,
            preview: self.preview.as_deref(),
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

/// `photo.jpg` and `dream` make `photo-dream.png`, beside the photo.
pub fn beside(input: &Path, suffix: &str) -> PathBuf {
    let mut name = input.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{suffix}.png"));
    input.with_file_name(name)
}
