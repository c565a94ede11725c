//! The command line: what may be asked, and who answers.
//!
//! Everything a user can type is declared once, with clap's derive, in the
//! file of its subcommand. Help, shell completions and man pages come from
//! these declarations; defaults come from [`Preset::config`]. Nothing is
//! computed here: a subcommand reads its options, calls the library and shows
//! what came back.
//!
//! ```text
//! stylize ── options ── values      flags -> Config; how values are read and shown
//!    │         time                 seconds -> iterations
//!    │          └── styles          files, folders, weights and masks of the style pictures
//!    │                └── regions   the same from a file
//! texture   reconstruct   dream     other purposes: common ── making: what they share of the flags
//!    └────── request ── purpose     what is asked, refused before the work where it cannot be done
//!               └────── job         what is left of it: a run that may begin
//! batch   augment ── many           many pictures, several at once: options, jobs, tally, summary
//! resume                            a checkpoint in place of flags
//! reproduce ── recipe               a picture in place of flags
//!    └────── work ── watch ─┬── progress ── eta
//!                │          ├── trace
//!                │          ├── previews   live ── inline   summary
//!                │          └── signals
//!                ├── keeper         the run in a file, now and then
//!                └── details        what -v tells: before the first iteration, and after the last
//! plan ── options                   what a run would take
//! explain ── options                a run as a page that tells all of it
//! show ── recipe                    a picture -> flags
//! presets                           a value for every option, by name
//! bench   doctor                    what this machine can do, and what is chosen for it
//! weights   completions   man
//! say                               every line printed, closed pipes survived
//! panics                            a bug becomes one line, and refused memory an exit code
//! ```
//!
//! [`Preset::config`]: impasto::config::Preset::config

mod augment;
mod batch;
mod bench;
mod common;
mod completions;
mod details;
mod doctor;
mod dream;
mod eta;
mod explain;
mod inline;
mod job;
mod keeper;
mod live;
mod making;
mod man;
mod many;
mod options;
pub mod panics;
mod paths;
mod plan;
mod presets;
mod previews;
mod progress;
mod purpose;
mod recipe;
mod reconstruct;
mod regions;
mod report;
mod reproduce;
mod request;
mod resume;
pub mod say;
mod show;
mod signals;
mod styles;
mod stylize;
mod summary;
mod texture;
mod time;
mod trace;
mod values;
mod watch;
mod weights;
mod work;

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use impasto::Error;
use impasto::kernels::simd::Isa;

/// The exit codes, as help and man pages list them.
const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  a result could not be written, a kernel is wrong, a picture is not what its
       recipe makes here, or an internal error
    2  usage: an option, or a path to write to, cannot be used
    3  an input picture cannot be used
    4  the network's weights cannot be used
    5  a run, or a picture to be read, does not fit in memory
    6  the optimisation diverged; the last finite picture was written
    7  a run cannot go on from its checkpoint
  129  stopped by SIGHUP: the terminal was closed; the picture so far was written
  130  stopped by Ctrl-C (SIGINT); the picture so far was written
  143  stopped by SIGTERM; the picture so far was written

The first of these waits for the iteration under way, a second does not; a third writes nothing.";

/// Neural style transfer for CPUs: a photograph repainted in the manner of a painting.
#[derive(Debug, Parser)]
#[command(
    name = "impasto",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Example: impasto stylize photo.jpg painting.jpg -o out.png",
    after_long_help = format!("Example:\n  impasto stylize photo.jpg painting.jpg -o out.png\n\n{EXIT_CODES}"),
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Stylize(Box<options::Options>),
    Resume(resume::Options),
    Reproduce(reproduce::Options),
    Show(show::Options),
    Plan(Box<plan::Options>),
    Explain(Box<explain::Options>),
    Texture(Box<texture::Options>),
    Reconstruct(Box<reconstruct::Options>),
    Dream(Box<dream::Options>),
    Batch(Box<batch::Options>),
    Augment(Box<augment::Options>),
    Presets(presets::Options),
    Bench(Box<bench::Options>),
    Doctor(doctor::Options),
    Weights(weights::Options),
    Completions(completions::Options),
    Man(man::Options),
}

/// Why the program ends early: the line to print and the exit code.
pub struct Failure {
    /// One message: the cause and the remedy.
    pub message: String,
    /// The exit code.
    pub code: u8,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // A library's cause may have lines of its own; a user gets one.
        let message = error.to_string();
        let lines: Vec<_> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Failure { message: lines.join(" "), code: error.exit_code() }
    }
}

/// Does what the command line asks and returns the exit code.
pub fn run() -> Result<u8, Failure> {
    panics::expect_refused_memory();
    let command = parsed(Cli::try_parse())?.command;
    // Whatever is timed or computed is to be what was asked for.
    Isa::requested()?;
    let code = match command {
        Command::Stylize(options) => stylize::run(&options)?,
        Command::Resume(options) => resume::run(&options)?,
        Command::Reproduce(options) => reproduce::run(&options)?,
        Command::Show(options) => show::run(&options)?,
        Command::Plan(options) => plan::run(&options)?,
        Command::Explain(options) => explain::run(&options)?,
        Command::Texture(options) => texture::run(&options)?,
        Command::Reconstruct(options) => reconstruct::run(&options)?,
        Command::Dream(options) => dream::run(&options)?,
        Command::Batch(options) => batch::run(&options)?,
        Command::Augment(options) => augment::run(&options)?,
        Command::Presets(options) => presets::run(&options)?,
        Command::Bench(options) => bench::run(&options)?,
        Command::Doctor(options) => doctor::run(&options)?,
        Command::Weights(options) => weights::run(&options)?,
        Command::Completions(options) => completions::run(&options)?,
        Command::Man(options) => man::run(&options)?,
    };
    Ok(code)
}

/// What clap made of the command line. It shows an argument that it refuses as it was given; one with control characters
/// is shown without them, and without colours.
fn parsed(cli: Result<Cli, clap::Error>) -> Result<Cli, Failure> {
    cli.map_err(|error| {
        let unknown = matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument);
        if let Some(message) = without_command(std::env::args_os().skip(1)).filter(|_| unknown) {
            return Failure { message, code: error.exit_code() as u8 };
        }
        let text = error.to_string();
        match say::printable(&text) {
            Cow::Borrowed(_) => error.exit(),
            Cow::Owned(text) => {
                Failure { message: text.trim_start_matches("error: ").into(), code: error.exit_code() as u8 }
            }
        }
    })
}

/// What to say to pictures without a command: they are to be stylized.
fn without_command(words: impl Iterator<Item = OsString>) -> Option<String> {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let first = words.iter().find(|word| !word.starts_with('-'))?;
    let picture = || {
        let extension = Path::new(first).extension()?.to_str()?.to_ascii_lowercase();
        image::ImageFormat::from_extension(extension)
    };
    if command().find_subcommand(first).is_some() || (picture().is_none() && !Path::new(first).is_file()) {
        return None;
    }
    let command = shlex::try_join(words.iter().map(String::as_str)).ok()?;
    Some(format!("{first}: not a command; to repaint a picture: impasto stylize {command}"))
}

/// The declarations as clap's command, from which completions and man pages are made.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn pictures_without_a_command_are_to_be_stylized() {
        let said = |words: &[&str]| without_command(words.iter().map(OsString::from));
        let expected =
            "photo.JPG: not a command; to repaint a picture: impasto stylize photo.JPG 'my painting.png' --size 64";
        assert_eq!(said(&["photo.JPG", "my painting.png", "--size", "64"]).as_deref(), Some(expected));
        assert!(said(&["-q", "a.webp"]).is_some() && said(&[file!(), "x"]).is_some());
        assert!(
            said(&["stylise"]).is_none() && said(&["stylize", "--colour"]).is_none() && said(&["--siez"]).is_none()
        );
    }

    #[test]
    fn an_error_is_one_line_and_its_paths_keep_their_spaces() {
        let error = Error::Picture { path: "my  photo.jpg".into(), cause: "not\n  enough\n\n".into() };
        assert_eq!(Failure::from(error).message, "my  photo.jpg: not enough");
    }

    #[test]
    fn every_exit_code_of_an_error_is_documented() {
        for code in 1..=7 {
            assert!(EXIT_CODES.lines().any(|line| line.trim().starts_with(&format!("{code}  "))), "{code}");
        }
    }
}
