//! `impasto stylize`: refuses what cannot work before the work.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use impasto::config::Config;
use impasto::picture::{self, OutputFormat, SaveOptions, is_standard};
use impasto::transfer::{Sizes, plan};
use impasto::{Error, Result};

use super::keeper::{self, Asked};
use super::options::Options;
use super::paths::same_file;
use super::previews::Previews;
use super::recipe::Recipe;
use super::report::{Table, duration};
use super::say;
use super::styles::Scene;
use super::time::{self, Fitted};
use super::trace::Trace;
use super::work::{self, Job, Report};

/// Seconds between checkpoints unless told otherwise.
const CHECKPOINT_EVERY: f64 = 60.0;

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    work::run(prepare(options, start)?, None, start)
}

/// Reads what is to be read and refuses what would fail later.
fn prepare(options: &Options, start: Instant) -> Result<Job> {
    let mut config = options.config()?;
    let scene = options.scene()?;
    check_standard(options, &scene)?;
    // First the inputs: without an output's name its place is the content picture's, which may not exist.
    let size = |path: &Path| picture::size(path, config.max_pixels);
    let content = size(&options.content)?;
    let sizes = scene.sizes(content, size)?;
    let mut scales = plan::scales(&config, &sizes)?;
    let (output, mut inputs) = (options.output(), options.inputs(&config, &scene));
    let mut save = options.files.save(options.bits, picture::metadata(&options.content, config.max_pixels)?.dpi);
    picture::check_output(&output, &save, &inputs)?;
    save.format = Some(OutputFormat::of(&output, &save)?);
    let longest = scales.iter().map(|scale| scale.height.max(scale.width)).max().unwrap_or_default();
    picture::check_side(&output, &save, longest)?;
    if let Some(path) = &options.trace {
        Trace::check(path, &output, &inputs)?;
        inputs.push(path);
    }
    if let Some(path) = &options.checkpoint {
        let others: Vec<_> = inputs.iter().copied().chain([output.as_path()]).collect();
        keeper::check(path, &others, options.overwrite)?;
        inputs.push(path);
    }
    if let Some(path) = &options.files.preview {
        check_preview(path, &output, &inputs)?;
        inputs.push(path);
    }
    let mut iterations = scales.iter().map(|scale| scale.iterations).sum();
    let mut engine = None;
    if let Some(seconds) = options.finer.time {
        let fitted = time::fit(&config, &options.content, &scene, &sizes, seconds, start)?;
        say_fitted(options, seconds, &fitted);
        iterations = fitted.iterations;
        engine = Some(fitted.engine);
    }
    let previews = options.save_every.and_then(NonZeroU32::new);
    let previews = previews.map(|every| {
        let previews = Previews::new(every, iterations, &output, &inputs, options.overwrite)?;
        Ok::<_, Error>((every.get(), previews.output().to_owned()))
    });
    let previews = previews.transpose()?;
    if engine.is_some() {
        config.iterations = Some(iterations);
        scales = plan::scales(&config, &sizes)?;
    }
    let asked = Asked {
        content: options.content.clone(),
        recipe: Recipe::new(&config, &options.content, &scene, &save)?,
        metadata: !options.files.no_metadata,
        save,
        trace: options.trace.clone(),
        previews,
        live: options.files.preview.clone(),
        seconds: options.checkpoint_every.unwrap_or(CHECKPOINT_EVERY),
        table: Table::default(),
        output,
        scene,
    };
    Ok(Job {
        asked,
        config,
        inputs: sizes,
        scales,
        checkpoint: options.checkpoint.clone(),
        report: report(options),
        verbose: options.verbose,
        stop_after: None,
        engine,
    })
}

fn report(options: &Options) -> Report {
    match (options.json, options.quiet) {
        (true, quiet) => Report::Json { quiet },
        (_, true) => Report::Nothing,
        _ => Report::Lines,
    }
}

/// Refuses what standard input and output cannot be used for.
fn check_standard(options: &Options, scene: &Scene) -> Result<()> {
    let wrong = |cause: &str| Err(Error::Usage(cause.into()));
    let read = std::iter::once(options.content.as_path()).chain(scene.files());
    let (input, output) =
        (read.filter(|path| is_standard(path)).count(), options.output.as_deref().is_some_and(is_standard));
    if input > 1 {
        return wrong("- -: standard input brings one picture; give the other as a file");
    }
    let named = options.output.as_ref().is_some_and(|path| !path.is_dir());
    if input > 0 && !named {
        return wrong(
            "-: a picture from standard input has no name to name the result after; give one with -o, or -o -",
        );
    }
    if options.checkpoint.is_some() && (output || input > 0) {
        return wrong("--checkpoint: what goes through standard input or output is not there again; give files");
    }
    if output && options.save_every.is_some() {
        return wrong("--save-every: pictures on the way are named after the result; give it a name with -o");
    }
    if output && options.json {
        return wrong("--json: the picture goes to standard output, too; give the picture a name with -o");
    }
    Ok(())
}

/// Refuses a preview that cannot be written, or would replace another file of the run.
fn check_preview(path: &Path, output: &Path, inputs: &[&Path]) -> Result<()> {
    let usage = |cause: &str| Error::Usage(format!("--preview {}: {cause}", path.display()));
    if is_standard(path) {
        return Err(usage("is rewritten again and again; name a file"));
    }
    if same_file(path, output) || inputs.iter().any(|input| same_file(path, input)) {
        return Err(usage("is another file of this run, too; give the preview a name of its own"));
    }
    picture::check_output(path, &SaveOptions::default(), inputs)
        .map_err(|error| Error::Usage(format!("--preview {error}")))
}

/// Tells what fits into the time.
fn say_fitted(options: &Options, seconds: f64, fitted: &Fitted) {
    if !options.quiet {
        let plural = if fitted.iterations == 1 { "" } else { "s" };
        say::note(format_args!(
            "{}: {} iteration{plural}, done after about {}",
            duration(seconds),
            fitted.iterations,
            duration(fitted.seconds)
        ));
    }
}

/// A configuration with so many iterations as fit, where a time is asked for.
///
/// # Errors
/// As [`time::fit`].
pub fn in_time(options: &Options, config: Config, scene: &Scene, sizes: &Sizes, start: Instant) -> Result<Config> {
    let Some(seconds) = options.finer.time else { return Ok(config) };
    let fitted = time::fit(&config, &options.content, scene, sizes, seconds, start)?;
    say_fitted(options, seconds, &fitted);
    Ok(Config { iterations: Some(fitted.iterations), ..config })
}
