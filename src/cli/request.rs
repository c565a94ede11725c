//! What a command that makes a picture is asked for, and the job that it becomes: what cannot work is refused before the
//! work.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::config::{Config, Init};
use impasto::picture::{self, OutputFormat, SaveOptions, is_standard};
use impasto::transfer::{Scale, Sizes, plan};
use impasto::{Error, Result};

use super::inline::Inline;
use super::job::{Job, Report};
use super::keeper::{self, Asked};
use super::paths::{self, same_file};
use super::previews::Previews;
use super::purpose::Purpose;
use super::recipe::Recipe;
use super::report::{Table, duration};
use super::say;
use super::styles::Scene;
use super::time::{self, Fitted};
use super::trace::Trace;

/// Seconds between checkpoints unless told otherwise.
const CHECKPOINT_EVERY: f64 = 60.0;

/// What is to be made of which pictures, and where it goes.
pub struct Request<'a> {
    pub purpose: Purpose,
    /// Some runs have no content picture.
    pub content: Option<&'a Path>,
    /// Some have no style pictures.
    pub scene: Scene,
    /// Of the pictures, or of what stands for them.
    pub sizes: Sizes,
    /// Other files that are read.
    pub others: Vec<&'a Path>,
    pub output: PathBuf,
    pub overwrite: bool,
    pub save: SaveOptions,
    pub metadata: bool,
    pub save_every: Option<u32>,
    pub preview: Option<&'a Path>,
    pub checkpoint: Option<&'a Path>,
    pub checkpoint_every: Option<f64>,
    pub trace: Option<&'a Path>,
    pub report: Report,
    pub verbose: bool,
    /// Seconds that it may take, and since when.
    pub time: Option<(f64, Instant)>,
}

impl Request<'_> {
    /// The job, if nothing stands in its way.
    ///
    /// # Errors
    /// [`Error::Usage`] for a place that cannot be written to, and what [`plan::scales`] and [`time::fit`] refuse.
    pub fn job(mut self, mut config: Config) -> Result<Job> {
        let mut scales = plan::scales(&config, &self.sizes)?;
        self.check(&config, &scales)?;
        self.save.format = Some(OutputFormat::of(&self.output, &self.save)?);
        let mut iterations = scales.iter().map(|scale| scale.iterations).sum();
        let mut engine = None;
        if let Some((seconds, start)) = self.time {
            let fitted = time::fit(&config, &self.pictures(), &self.sizes, seconds, start)?;
            say_fitted(self.report.is_quiet(), seconds, &fitted);
            iterations = fitted.iterations;
            engine = Some(fitted.engine);
            config.iterations = Some(iterations);
            scales = plan::scales(&config, &self.sizes)?;
        }
        let previews = self.save_every.and_then(NonZeroU32::new).map(|every| {
            let previews = Previews::new(every, iterations, &self.output, &self.written(&config), self.overwrite)?;
            Ok::<_, Error>((every.get(), previews.output().to_owned()))
        });
        let asked = Asked {
            previews: previews.transpose()?,
            recipe: Recipe::new(&self.purpose, &config, self.content, &self.scene, &self.save)?,
            content: self.content.map(Path::to_owned),
            scene: self.scene,
            metadata: self.metadata,
            save: self.save,
            trace: self.trace.map(Path::to_owned),
            live: self.preview.map(Path::to_owned),
            seconds: self.checkpoint_every.unwrap_or(CHECKPOINT_EVERY),
            table: Table::default(),
            output: self.output,
        };
        Ok(Job {
            asked,
            config,
            inputs: self.sizes,
            scales,
            checkpoint: self.checkpoint.map(Path::to_owned),
            report: self.report,
            verbose: self.verbose,
            stop_after: None,
            engine,
        })
    }

    /// The pictures and masks that are read.
    fn pictures(&self) -> Vec<&Path> {
        self.content.into_iter().chain(self.scene.files()).collect()
    }

    /// Every file that is read, and every other one that is written.
    fn written<'b>(&'b self, config: &'b Config) -> Vec<&'b Path> {
        let others =
            [self.trace, self.checkpoint, self.preview.filter(|path| !is_standard(path))].into_iter().flatten();
        self.inputs(config).into_iter().chain(others).collect()
    }

    /// Every file that is read.
    fn inputs<'b>(&'b self, config: &'b Config) -> Vec<&'b Path> {
        let start = if let Init::File(path) = &config.init { Some(path.as_path()) } else { None };
        let others = start.into_iter().chain(config.weights.as_deref()).chain(self.others.iter().copied());
        self.pictures().into_iter().chain(others).collect()
    }

    /// Refuses places that cannot be written to, or where another file of the run is.
    fn check(&self, config: &Config, scales: &[Scale]) -> Result<()> {
        let mut inputs = self.inputs(config);
        let output = self.output.as_path();
        picture::check_output(output, &self.save, &inputs)?;
        let longest = scales.iter().map(|scale| scale.height.max(scale.width)).max().unwrap_or_default();
        let format = Some(OutputFormat::of(output, &self.save)?);
        picture::check_side(output, &SaveOptions { format, ..self.save.clone() }, longest)?;
        if let Some(path) = self.trace {
            Trace::check(path, output, &inputs)?;
            inputs.push(path);
        }
        if let Some(path) = self.checkpoint {
            let others: Vec<_> = inputs.iter().copied().chain([output]).collect();
            keeper::check(path, &others, self.overwrite)?;
            inputs.push(path);
        }
        self.preview.map_or(Ok(()), |path| check_preview(path, output, &inputs))
    }
}

/// Where a result goes: to the file that was named, into the folder under `default`'s name, or to `default` itself, which
/// replaces nothing unless told to.
pub fn place(asked: Option<&Path>, default: PathBuf, overwrite: bool) -> PathBuf {
    let name = match asked {
        Some(folder) if folder.is_dir() => folder.join(default.file_name().unwrap_or_default()),
        Some(file) => return file.to_owned(),
        None => default,
    };
    if overwrite { name } else { paths::unused(name) }
}

/// Options that do not go with standard input or output.
pub struct Standard<'a> {
    pub output: Option<&'a Path>,
    pub checkpoint: bool,
    pub save_every: bool,
    pub json: bool,
}

/// Refuses what standard input and output cannot be used for.
///
/// # Errors
/// [`Error::Usage`].
pub fn check_standard<'a>(read: impl Iterator<Item = &'a Path>, asked: &Standard<'_>) -> Result<()> {
    let wrong = |cause: &str| Err(Error::Usage(cause.into()));
    let input = read.filter(|path| is_standard(path)).count();
    let output = asked.output.is_some_and(is_standard);
    if input > 1 {
        return wrong("- -: standard input brings one picture; give the other as a file");
    }
    let named = asked.output.is_some_and(|path| !path.is_dir());
    if input > 0 && !named {
        return wrong(
            "-: a picture from standard input has no name to name the result after; give one with -o, or -o -",
        );
    }
    if asked.checkpoint && (output || input > 0) {
        return wrong("--checkpoint: what goes through standard input or output is not there again; give files");
    }
    if output && asked.save_every {
        return wrong("--save-every: pictures on the way are named after the result; give it a name with -o");
    }
    if output && asked.json {
        return wrong("--json: the picture goes to standard output, too; give the picture a name with -o");
    }
    Ok(())
}

/// Refuses a preview that cannot be written, or would replace another file of the run.
fn check_preview(path: &Path, output: &Path, inputs: &[&Path]) -> Result<()> {
    let usage = |cause: &str| Error::Usage(format!("--preview {}: {cause}", path.display()));
    if is_standard(path) {
        let shown = Inline::detect().is_some() && !is_standard(output);
        let cause =
            "standard output is no terminal that shows pictures, as kitty, Ghostty, iTerm2 and WezTerm do; name a file";
        return if shown { Ok(()) } else { Err(usage(cause)) };
    }
    if same_file(path, output) || inputs.iter().any(|input| same_file(path, input)) {
        return Err(usage("is another file of this run, too; give the preview a name of its own"));
    }
    picture::check_output(path, &SaveOptions::default(), inputs)
        .map_err(|error| Error::Usage(format!("--preview {error}")))
}

/// Tells what fits into the time.
pub fn say_fitted(quiet: bool, seconds: f64, fitted: &Fitted) {
    if !quiet {
        let plural = if fitted.iterations == 1 { "" } else { "s" };
        say::note(format_args!(
            "{}: {} iteration{plural}, done after about {}",
            duration(seconds),
            fitted.iterations,
            duration(fitted.seconds)
        ));
    }
}
