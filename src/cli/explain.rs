//! `impasto explain`: a run as a page on which every number can be followed.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{ArgMatches, FromArgMatches};
use impasto::config::{Config, Init};
use impasto::explain::{Asked, Progress as Done, RECONSTRUCTED, Section, explain, page};
use impasto::picture::{self, Pixels as _, SaveOptions, is_standard};
use impasto::transfer::{End, Sizes, plan};
use impasto::{Engine, Error, Result, files};

use super::eta::Work;
use super::paths::same_file;
use super::plan::in_time;
use super::progress::Progress;
use super::purpose::Purpose;
use super::recipe::Recipe;
use super::report::{Shown, duration};
use super::signals::Signals;
use super::styles::{Scene, name};
use super::{EXIT_CODES, options, say, work};

/// Longest side of the picture unless told otherwise: the whole takes less than two minutes on two cores.
const SIZE: u32 = 192;

/// What `stylize` writes beside its picture, and how: here there is none of it.
const ELSEWHERE: [&str; 12] = [
    "save_every",
    "checkpoint",
    "checkpoint_every",
    "preview",
    "bits",
    "format",
    "quality",
    "dpi",
    "no_metadata",
    "json",
    "trace",
    "verbose",
];

const EXAMPLES: &str = "\
Examples:
  impasto explain photo.jpg painting.jpg -o report.html
  impasto explain photo.jpg painting.jpg --preset paper --size 256 --only run,gradient
  impasto explain photo.jpg painting.jpg --data report.json   # the numbers, to plot them yourself";

/// Explain a run: one page that shows all of it, to be opened in a browser.
///
/// The picture is the one that `impasto stylize` makes with the same options, which are all of that command's. The page shows
/// its losses, what the network sees at each layer, what content and style are by themselves, which part of the picture is
/// pulled where by what, the tape of an iteration with times and memory, and the source of each formula. It is one file that
/// asks for nothing from anywhere, and needs no network to be read.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    run: Run,

    /// Only these sections of the page
    ///
    /// run: what happened; features: what the network sees; reconstructions: content and style apart; statistic: what style
    /// is; gradient: where it comes from; tape: how it is computed; optimizer: how the picture is moved; source: formulas
    /// and their source, a gradient check, exercises.
    #[arg(long, value_name = "SECTION,…", value_delimiter = ',', value_parser = section, help_heading = "Output")]
    only: Option<Vec<Section>>,

    /// Everything that the page shows, as JSON in FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    data: Option<PathBuf>,
}

/// `stylize`'s options, without those of a picture's file.
#[derive(Debug)]
struct Run(options::Options);

impl FromArgMatches for Run {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        options::Options::from_arg_matches(matches).map(Run)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl clap::Args for Run {
    fn augment_args(command: clap::Command) -> clap::Command {
        adapted(options::Options::augment_args(command))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        adapted(options::Options::augment_args_for_update(command))
    }
}

fn adapted(command: clap::Command) -> clap::Command {
    let output = |arg: clap::Arg| {
        arg.help("The page to write [default: beside CONTENT]").long_help(
            "The page to write [default: beside CONTENT]\n\nWithout it the name is made of both pictures', \
             CONTENT-STYLE.html; a folder takes it under that name; - is standard output",
        )
    };
    let overwrite = |arg: clap::Arg| {
        arg.long_help(
            "Replace a file that has the name OUT would get by itself\n\nWithout it such a name gets a number",
        )
    };
    let size = |arg: clap::Arg| {
        let help = format!("Longest side of the picture in pixels; 0 keeps CONTENT's own size [default: {SIZE}]");
        arg.help(help.clone()).long_help(help)
    };
    let command = ELSEWHERE.iter().fold(command, |command, name| command.mut_arg(name, |arg| arg.hide(true)));
    command
        .mut_arg("output", output)
        .mut_arg("overwrite", overwrite)
        .mut_arg("size", size)
        .after_help(EXAMPLES)
        .after_long_help(format!("{EXAMPLES}\n\n{EXIT_CODES}"))
}

fn section(name: &str) -> Result<Section, String> {
    let names = || Section::ALL.map(Section::name).join(", ");
    Section::ALL.into_iter().find(|section| section.name() == name).ok_or_else(|| format!("choose of {}", names()))
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    let run = &options.run.0;
    refuse(run)?;
    let mut config = run.config()?;
    if run.size.is_none() && run.scales.is_none() && run.config_file.is_none() {
        config.size = SIZE;
    }
    let scene = run.scene()?;
    let size = |path: &Path| picture::open(path, config.max_pixels).map(|picture| picture.size());
    let content = size(&run.content)?;
    let sizes = scene.sizes(content, size)?;
    let output = run.output("html");
    check(options, &output, &config, &scene)?;
    let config = in_time(run, config, &scene, &sizes, start)?;
    let made = make(options, &config, &scene, &sizes)?;
    leave(options, &output, made, start)
}

/// What is made, and why it ended.
struct Made {
    report: impasto::explain::report::Report,
    end: End,
    signals: Signals,
}

fn make(options: &Options, config: &Config, scene: &Scene, sizes: &Sizes) -> Result<Made> {
    let run = &options.run.0;
    let scales = plan::scales(config, sizes)?;
    let save = SaveOptions::default();
    let recipe = Recipe::new(&Purpose::Stylize, config, Some(&run.content), scene, &save)?;
    let words = recipe.commands("out.png").swap_remove(0);
    let asked = Asked {
        config,
        sections: options.only.as_deref().unwrap_or(&Section::ALL),
        command: shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default(),
        preset: config.preset.name().into(),
        names: [name(&run.content), scene.styles.first().map(|style| name(&style.path)).unwrap_or_default()],
    };
    let mut all = work::work(&scales);
    if asked.sections.contains(&Section::Reconstructions) {
        let (height, width) = picture::fit(RECONSTRUCTED.0, sizes.content.0, sizes.content.1);
        all.push(Work { pixels: (height * width) as u64, iterations: RECONSTRUCTED.1 });
    }
    let mut progress = Progress::new(run.quiet, all, 0, Shown::of(config));
    let voice = progress.voice();
    let signals = Signals::install(move |line| voice.note(line)).unwrap_or_default();
    let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
    let made = engine.share(|| {
        let plan = engine.plan_of(config, scales, sizes)?;
        let pictures = work::Pictures { config, content: Some(&run.content), scene, sizes, digested: false };
        let (inputs, _) = work::read(pictures, &plan)?;
        explain(&engine, &plan, inputs, &asked, signals.cancel(), |done| {
            match done {
                Done::Step(step) => progress.step(step),
                Done::Section(section) => progress.further(0, section.name()),
                Done::Reconstruction(iteration) => progress.further(iteration, Section::Reconstructions.name()),
            }
            if signals.received().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    progress.finish();
    let (report, outcome) = made?;
    Ok(Made { report, end: outcome.end, signals })
}

/// Writes the page and says so.
fn leave(options: &Options, output: &Path, made: Made, start: Instant) -> Result<u8> {
    let run = &options.run.0;
    if let Some(path) = &options.data {
        write(path, &serde_json::to_vec(&made.report).expect("a report is JSON"))?;
    }
    let page = page(&made.report);
    write(output, page.as_bytes())?;
    if !run.quiet && !is_standard(output) {
        let seconds = duration(start.elapsed().as_secs_f64());
        say::text(format!("{}  {:.1} MB  {seconds}\n", output.display(), page.len() as f64 / 1e6))?;
    }
    match (made.end, made.signals.received()) {
        (End::Diverged(error), _) => Err(error),
        (_, Some(signal)) => {
            if !run.quiet {
                say::note(format_args!("stopped by {}; what had been done is in {}", signal.name(), output.display()));
            }
            Ok(signal.exit_code())
        }
        _ => Ok(0),
    }
}

/// Writes a file in one step, or standard output.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let wrap = |cause: String| Error::Output { path: path.to_owned(), cause };
    if is_standard(path) {
        let mut out = io::stdout().lock();
        return out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| wrap(error.to_string()));
    }
    files::write_whole(path, |out| out.write_all(bytes).map_err(|error| error.to_string())).map_err(wrap)
}

/// Refuses what only a picture's file has.
fn refuse(run: &options::Options) -> Result<()> {
    let files = &run.files;
    let given = [
        ("--save-every", run.save_every.is_some()),
        ("--checkpoint", run.checkpoint.is_some()),
        ("--preview", run.preview.is_some()),
        ("--bits", run.bits.is_some()),
        ("--format", files.format.is_some()),
        ("--quality", files.quality.is_some()),
        ("--dpi", files.dpi.is_some()),
        ("--no-metadata", files.no_metadata),
        ("--json", files.json),
        ("--trace", run.trace.is_some()),
        ("--verbose", run.verbose),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some(("--json" | "--trace", _)) => {
            Err(Error::Usage("explain has the run's numbers in --data FILE: use that for --json and --trace".into()))
        }
        Some((name, _)) => Err(Error::Usage(format!("{name}: a page has no such thing; leave it out, or run stylize"))),
    }
}

/// Refuses places that cannot be written to, or where another file is.
fn check(options: &Options, output: &Path, config: &Config, scene: &Scene) -> Result<()> {
    let run = &options.run.0;
    let start = if let Init::File(path) = &config.init { Some(path.as_path()) } else { None };
    let others = [&run.regions, &run.config_file].into_iter().filter_map(|path| path.as_deref());
    let inputs = scene.files().into_iter().chain([run.content.as_path()]).chain(start).chain(others);
    let mut inputs: Vec<&Path> = inputs.chain(config.weights.as_deref()).collect();
    for (path, what) in [(Some(output), "the page"), (options.data.as_deref(), "--data")] {
        let Some(path) = path.filter(|path| !is_standard(path)) else { continue };
        let wrong = |cause: String| Err(Error::Usage(format!("{}: {cause}", path.display())));
        if inputs.iter().any(|input| same_file(path, input)) {
            return wrong(format!("is another file of this run; give {what} a name of its own"));
        }
        files::check_place(path).or_else(wrong)?;
        inputs.push(path);
    }
    Ok(())
}
