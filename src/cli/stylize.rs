//! `impasto stylize`: refuse what cannot work before the work, do it, and leave
//! the picture whatever ends the run.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::config::{Config, Init};
use impasto::picture::{self, Picture, SaveOptions};
use impasto::transfer::{End, Outcome, Scale, plan};
use impasto::{Error, Result};

use super::eta::Work;
use super::options::Options;
use super::previews::Previews;
use super::progress::Progress;
use super::report::{Table, duration};
use super::signals::Signals;
use super::trace::{Header, Source, Trace};
use super::watch::Watch;
use super::{details, paths, say};

/// Everything known before the first iteration.
pub struct Job<'a> {
    pub options: &'a Options,
    pub config: Config,
    pub output: PathBuf,
    pub save: SaveOptions,
    pub content: Picture,
    pub style: Picture,
    pub scales: Vec<Scale>,
}

impl Job<'_> {
    /// Iterations in all scales.
    fn iterations(&self) -> u32 {
        self.scales.iter().map(|scale| scale.iterations).sum()
    }
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    let job = prepare(options)?;
    let mut watch = watch(&job)?;
    if options.verbose {
        details::before(&job);
    }
    let outcome = impasto::stylize(&job.config, &job.content, &job.style, |step| watch.step(step));
    watch.progress.finish();
    let outcome = outcome?;
    if let Err(error) = picture::save(&outcome.picture, &job.output, &job.save) {
        return Err(elsewhere(&job, &outcome, error));
    }
    if !options.quiet {
        say::text(watch.table.lines())?;
        say::text(closing_line(&job, &outcome, start.elapsed().as_secs_f64()))?;
    }
    if options.verbose {
        details::after();
    }
    exit_code(&job, watch, outcome)
}

/// Saves a picture that could not be written where it belongs beside the input, or among the temporary files, and says
/// where.
fn elsewhere(job: &Job<'_>, outcome: &Outcome, error: Error) -> Error {
    let name = job.output.file_name().unwrap_or_default();
    let places = [job.options.content.with_file_name(name), std::env::temp_dir().join(name)].map(paths::unused);
    match (places.into_iter().find(|place| picture::save(&outcome.picture, place, &job.save).is_ok()), error) {
        (Some(place), Error::Output { path, cause }) => {
            Error::Output { path, cause: format!("{cause}; the picture is in {}", place.display()) }
        }
        (_, error) => error,
    }
}

/// Reads what is to be read and refuses what would fail later.
fn prepare(options: &Options) -> Result<Job<'_>> {
    let config = options.config()?;
    // First the inputs: without an output's name its place is the content picture's, which may not exist.
    let content = picture::load(&options.content, config.max_pixels)?;
    let style = picture::load(&options.style, config.max_pixels)?;
    let sizes = [&content, &style].map(|picture| (picture.height(), picture.width()));
    let scales = plan::scales(&config, sizes[0], sizes[1])?;
    let save = SaveOptions {
        sixteen_bit: options.bits == Some(16),
        description: Some(description(&config, &options.content, &options.style)),
    };
    let (output, inputs) = (options.output(), options.inputs());
    picture::check_output(&output, &save, &inputs)?;
    let longest = scales.iter().map(|scale| scale.height.max(scale.width)).max().unwrap_or_default();
    picture::check_side(&output, longest)?;
    if let Some(path) = &options.trace {
        Trace::check(path, &output, &inputs)?;
    }
    Ok(Job { options, config, output, save, content, style, scales })
}

/// The recipe that goes into the file: enough to make the picture again. Names
/// of folders, which are nobody's business, and what does not change the
/// picture are left out.
fn description(config: &Config, content: &Path, style: &Path) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let changes_nothing = Config::default();
    let mut recipe =
        Config { threads: changes_nothing.threads, max_pixels: changes_nothing.max_pixels, ..config.clone() };
    recipe.weights = recipe.weights.map(|path| name(&path).into());
    if let Init::File(path) = &mut recipe.init {
        *path = name(path).into();
    }
    let values = serde_json::to_string(&recipe).expect("a configuration with Unicode names is JSON");
    format!("impasto {} stylize {} {} {values}", env!("CARGO_PKG_VERSION"), name(content), name(style))
}

fn watch(job: &Job<'_>) -> Result<Watch> {
    let Job { options, config, output, .. } = job;
    let inputs = options.inputs();
    let previews = options
        .save_every
        .and_then(NonZeroU32::new)
        .map(|every| Previews::new(every, job.iterations(), output, job.save.clone(), &inputs, options.overwrite))
        .transpose()?;
    let signals = Signals::install().unwrap_or_else(|cause| {
        say::note(format_args!("warning: Ctrl-C will not save the picture so far: {cause}"));
        Signals::default()
    });
    let trace = options.trace.as_ref().map(|path| {
        let content = Source::new(&options.content, &job.content);
        let style = Source::new(&options.style, &job.style);
        Trace::create(path, &Header::new(config, content, style, output))
    });
    Ok(Watch {
        trace: trace.transpose()?,
        previews,
        progress: Progress::new(options.quiet, work(job)),
        signals,
        table: Table::default(),
        failure: None,
        stopped_by: None,
    })
}

fn work(job: &Job<'_>) -> Vec<Work> {
    let work = |scale: &Scale| Work { pixels: scale.pixels() as u64, iterations: scale.iterations };
    job.scales.iter().map(work).collect()
}

/// `out.png  512×384  300 iterations  2 min 5 s`
fn closing_line(job: &Job<'_>, outcome: &Outcome, seconds: f64) -> String {
    let (height, width, _) = outcome.picture.rgb.dim();
    let plural = if outcome.iterations == 1 { "" } else { "s" };
    format!(
        "{}  {width}×{height}  {} iteration{plural}  {}\n",
        job.output.display(),
        outcome.iterations,
        duration(seconds)
    )
}

fn exit_code(job: &Job<'_>, watch: Watch, outcome: Outcome) -> Result<u8> {
    let note = |line: String| {
        if !job.options.quiet {
            say::note(line);
        }
    };
    let output = job.output.display();
    match (outcome.end, watch.stopped_by, watch.failure) {
        (End::Diverged(error), ..) => {
            note(format!("the last finite picture is in {output}"));
            Err(error)
        }
        (End::Stopped, Some(signal), _) => {
            let (done, all) = (outcome.iterations, job.iterations());
            note(format!(
                "stopped by {} after {done} of {all} iterations; the picture so far is in {output}",
                signal.name()
            ));
            Ok(signal.exit_code())
        }
        (_, _, Some(failure)) => Err(failure),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_in_the_file_does_not_depend_on_threads_or_folders() {
        let text = |threads, folder: &str| {
            let config =
                Config { threads, weights: Some(format!("{folder}/w.safetensors").into()), ..Config::default() };
            description(&config, &Path::new(folder).join("c.jpg"), Path::new("s.jpg"))
        };
        assert_eq!(text(1, "/home/someone"), text(2, "."));
        assert!(text(1, ".").contains("stylize c.jpg s.jpg {\"preset\":\"default\""), "{}", text(1, "."));
    }
}
