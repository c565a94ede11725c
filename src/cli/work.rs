//! The work itself, for a run that begins and for one that goes on: it leaves the picture whatever ends it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use impasto::autograd::Cancel;
use impasto::config::Config;
use impasto::files;
use impasto::objective::Listener;
use impasto::picture::{self, Mask, Picture, Pixels, SaveOptions};
use impasto::transfer::checkpoint::{self, Digests, MaskOf, Origin};
use impasto::transfer::{Checkpoint, End, Inputs, Outcome, Plan, Run, Scale, Sizes, Step};
use impasto::{Engine, Error, Result};

use super::eta::Work;
use super::job::{Job, Report};
use super::keeper::{Asked, Keeper};
use super::live::Live;
use super::previews::Previews;
use super::progress::Progress;
use super::report::{Shown, Table, duration};
use super::signals::Signals;
use super::styles::{MaskSource, Scene};
use super::summary::{self, Losses};
use super::trace::{Header, Source, StyleSource, Trace};
use super::watch::Watch;
use super::{details, paths, say};

/// Of a row of pictures, this part of their height is between them.
const GAP: usize = 32;

/// Does it; `from` is the checkpoint it goes on from, and whether it may be one
/// of another kind of CPU.
pub fn run(mut job: Job, from: Option<(&Checkpoint, bool)>, start: Instant) -> Result<u8> {
    let mut watch = watch(&job, from.map(|(checkpoint, _)| checkpoint))?;
    let outcome = make(&mut job, &mut watch, from);
    watch.progress.finish();
    let all = job.iterations();
    leave(&job, watch, outcome?, all, start)
}

/// Does several, and leaves their pictures side by side as the first one's.
pub fn row(mut jobs: Vec<Job>, start: Instant) -> Result<u8> {
    if jobs.len() == 1 {
        return run(jobs.remove(0), None, start);
    }
    let all = jobs.iter().map(Job::iterations).sum();
    let mut watch = watch(jobs.first().expect("a row has a picture"), None)?;
    let stop_after = watch.stop_after;
    let (mut pictures, mut iterations, mut end) = (Vec::new(), 0, End::Finished);
    for i in 0..jobs.len() {
        let count = jobs.len();
        let job = &mut jobs[i];
        if !job.report.is_quiet() {
            watch.progress.note(format_args!("{}, {} of {count}", job.asked.recipe.purpose.named(i), i + 1));
        }
        watch.progress = progress(job, 0);
        watch.stop_after = stop_after.map(|last| last - iterations).filter(|&last| last < job.iterations());
        let outcome = make(job, &mut watch, None);
        watch.progress.finish();
        let outcome = outcome?;
        iterations += outcome.iterations;
        pictures.push(outcome.picture);
        end = outcome.end;
        if !matches!(end, End::Finished) {
            break;
        }
    }
    // Each had losses of its own.
    (watch.table, watch.losses) = (Table::default(), Losses::default());
    let picture = picture::row(&pictures, pictures[0].height() / GAP);
    leave(&jobs[0], watch, Outcome { picture, iterations, end }, all, start)
}

/// Writes what was made, in `all` iterations or some of them, and says so.
fn leave(job: &Job, mut watch: Watch, outcome: Outcome, all: u32, start: Instant) -> Result<u8> {
    let stopped = (!matches!(outcome.end, End::Finished)).then_some(outcome.iterations);
    let save = job.asked.described(stopped);
    if let Err(error) = picture::save(&outcome.picture, &job.asked.output, &save) {
        return Err(elsewhere(job, &outcome, &save, error));
    }
    if let Some(live) = watch.live.take() {
        let written = live.write(&outcome.picture);
        watch.note(written);
    }
    tell((job, all), &watch, &outcome, start.elapsed().as_secs_f64())?;
    if job.verbose {
        details::after();
    }
    exit_code(job, watch, outcome, all)
}

/// The run, from where it begins to where it ends.
fn make(job: &mut Job, watch: &mut Watch, from: Option<(&Checkpoint, bool)>) -> Result<Outcome> {
    let engine = job.engine.take();
    let (job, config) = (&*job, &job.config);
    let new = || Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN);
    let engine = engine.map_or_else(new, Ok)?;
    engine.share(|| {
        let plan = engine.plan_of(config, job.scales.clone(), &job.inputs)?;
        if job.verbose {
            details::before(job, &plan);
        }
        check_room(job, &plan)?;
        let (inputs, digests) = read(job.pictures(), &plan)?;
        let signed = |digests| Ok::<_, Error>(Digests { weights: engine.weights_digest()?, ..digests });
        let digests = digests.map(signed).transpose()?;
        if let (Some((checkpoint, anyway)), Some(digests)) = (from, &digests) {
            checkpoint.check(digests)?;
            if let Some(difference) = checkpoint.header.origin.difference(&Origin::here(&plan)).filter(|_| !anyway) {
                return Err(checkpoint.error(format!(
                    "{difference}: the picture would be another, not a worse one; go on with --anyway"
                )));
            }
        }
        let mut run = match from {
            Some((checkpoint, _)) => engine.resume(checkpoint, config, &plan, inputs)?,
            None => engine.begin(config, &plan, inputs)?,
        };
        let keeper = job.checkpoint.as_ref().zip(digests);
        let keeper = keeper.map(|(path, digests)| Keeper::new(path, &job.asked, config, &plan, digests));
        let mut keeper = keeper.transpose()?;
        if let Some(keeper) = &mut keeper {
            keeper.write(&run, &watch.table)?;
        }
        let strip = Some(Arc::new(watch.progress.parts()) as _);
        run.heed(Listener { cancel: watch.signals.cancel(), strip, ..Listener::default() });
        let (end, whole) = match steps(&mut run, watch, keeper.as_mut()) {
            Ok(end) => (end, true),
            Err(Error::Cancelled) => {
                watch.stopped_by = watch.signals.received();
                (End::Stopped, false)
            }
            // A run that diverged would diverge again from where it is.
            Err(error) => (End::Diverged(error), false),
        };
        if let Some(keeper) = keeper.as_mut().filter(|_| whole) {
            let written = keeper.write(&run, &watch.table);
            watch.note(written);
        }
        Ok(Outcome { iterations: run.iterations(), picture: run.result(), end })
    })
}

/// The run of one picture among others, with a share of an engine's threads: without a checkpoint, a trace or a display of
/// its own.
pub fn among_others(
    engine: &Engine,
    job: &Job,
    cancel: Cancel,
    mut on_step: impl FnMut(&Step<'_>) -> ControlFlow<()> + Send,
) -> Result<Outcome> {
    engine.share(|| {
        let plan = engine.plan_of(&job.config, job.scales.clone(), &job.inputs)?;
        check_room(job, &plan)?;
        let (inputs, _) = read(job.pictures(), &plan)?;
        let mut run = engine.begin(&job.config, &plan, inputs)?;
        run.heed(Listener { cancel, ..Listener::default() });
        let end = loop {
            match run.step() {
                Ok(Some(step)) if on_step(&step).is_break() && !step.last => break End::Stopped,
                Ok(Some(_)) => {}
                Ok(None) => break End::Finished,
                Err(Error::Cancelled) => break End::Stopped,
                Err(error) => break End::Diverged(error),
            }
        };
        Ok(Outcome { iterations: run.iterations(), picture: run.result(), end })
    })
}

impl Job {
    /// What it reads.
    fn pictures(&self) -> Pictures<'_> {
        Pictures {
            config: &self.config,
            content: self.asked.content.as_deref(),
            scene: &self.asked.scene,
            sizes: &self.inputs,
            digested: self.checkpoint.is_some(),
        }
    }
}

/// The pictures of a run.
#[derive(Clone, Copy)]
pub struct Pictures<'a> {
    pub config: &'a Config,
    /// Some runs have none.
    pub content: Option<&'a Path>,
    pub scene: &'a Scene,
    /// As they were read.
    pub sizes: &'a Sizes,
    /// Whether anybody will ask for their digests.
    pub digested: bool,
}

/// Reads the content picture, then each mask and style picture; their digests, if anybody will ask for them, without
/// that of the weights.
pub fn read(pictures: Pictures<'_>, plan: &Plan) -> Result<(Inputs, Option<Digests>)> {
    let Pictures { config, content: path, scene, sizes, digested: wanted } = pictures;
    let max_pixels = config.max_pixels;
    let digest = |picture: &dyn Pixels| if wanted { checkpoint::digest(picture) } else { String::new() };
    let mut digests = Digests::default();
    let mut see = |mask: &Mask, of: MaskOf| {
        let digest = if wanted { checkpoint::digest_of_mask(mask) } else { String::new() };
        digests.masks.push((of, digest));
    };
    let content = read_or_flat(path, sizes.content, max_pixels)?;
    let mut inputs = Inputs::of(config, plan, &*content);
    digests.content = digest(&*content);
    let opacity = scene.sees_opacity().then(|| Mask::opacity(&*content)).flatten();
    // There may be no room for two.
    drop(content);
    // Of a run without a content picture no mask is its opacity.
    let content = path.unwrap_or(Path::new(""));
    let load = |source: &MaskSource| source.load(content, opacity.as_ref(), max_pixels);
    for (index, region) in scene.regions().into_iter().enumerate() {
        let mask = load(region)?;
        see(&mask, MaskOf::Region(index));
        inputs = inputs.region(&mask);
    }
    if let Some(keep) = &scene.keep {
        let mask = load(keep)?;
        see(&mask, MaskOf::Keep);
        inputs = inputs.keep(&mask);
    }
    let paths = scene.styles.iter().map(Some).chain(scene.styles.is_empty().then_some(None));
    for (index, ((style, size), share)) in paths.zip(&sizes.styles).zip(&plan.shares).enumerate() {
        let mask = style.and_then(|style| style.mask.as_ref()).map(|mask| Mask::load(mask, max_pixels)).transpose()?;
        mask.iter().for_each(|mask| see(mask, MaskOf::Style(index)));
        let picture = read_or_flat(style.map(|style| style.path.as_path()), size.size, max_pixels)?;
        digests.styles.push((*share, digest(&*picture)));
        inputs = inputs.with(&*picture, mask.as_ref());
    }
    Ok((inputs.done()?, wanted.then_some(digests)))
}

/// A picture, or what stands for one.
fn read_or_flat(path: Option<&Path>, (height, width): (usize, usize), max_pixels: u64) -> Result<Box<dyn Pixels>> {
    Ok(match path {
        Some(path) => Box::new(picture::open(path, max_pixels)?),
        None => Box::new(Picture::flat(height, width)),
    })
}

/// Refuses a run whose picture or checkpoint the disk will have no room for.
fn check_room(job: &Job, plan: &Plan) -> Result<()> {
    let check = |path: &Path, bytes: u64| {
        files::check_room(path, bytes).map_err(|cause| Error::Usage(format!("{}: {cause}", path.display())))
    };
    // Hardly a format makes a painting smaller than a twentieth of itself: what is refused would have failed.
    let raw = plan.last().pixels() as u64 * if job.asked.save.sixteen_bit { 6 } else { 3 };
    if !picture::is_standard(&job.asked.output) {
        check(&job.asked.output, raw / 20)?;
    }
    match &job.checkpoint {
        // The earlier one stays until the later one is written.
        Some(path) => check(path, 2 * plan.checkpoint),
        None => Ok(()),
    }
}

fn steps(run: &mut Run<'_>, watch: &mut Watch, mut keeper: Option<&mut Keeper<'_>>) -> Result<End> {
    if watch.stop_after == Some(0) {
        return Ok(End::Stopped);
    }
    loop {
        match run.step()? {
            Some(step) => {
                if watch.step(&step).is_break() && !step.last {
                    return Ok(End::Stopped);
                }
            }
            None => return Ok(End::Finished),
        }
        if let Some(keeper) = &mut keeper {
            let written = keeper.step(run, &watch.table);
            watch.note(written);
        }
    }
}

/// Saves a picture that could not be written where it belongs beside the input, or among the temporary files, and says
/// where.
fn elsewhere(job: &Job, outcome: &Outcome, save: &SaveOptions, error: Error) -> Error {
    let Asked { scene, output, .. } = &job.asked;
    let files = job.asked.files();
    let first = files.first().copied().unwrap_or(output);
    let default = || paths::default_output(first, scene.styles.iter().map(|style| style.path.as_path()));
    let name = if picture::is_standard(output) { default() } else { output.clone() };
    let name = name.file_name().unwrap_or_default();
    let places = [first.with_file_name(name), std::env::temp_dir().join(name)].map(paths::unused);
    match (places.into_iter().find(|place| picture::save(&outcome.picture, place, save).is_ok()), error) {
        (Some(place), Error::Output { path, cause }) => {
            Error::Output { path, cause: format!("{cause}; the picture is in {}", place.display()) }
        }
        (_, error) => error,
    }
}

fn watch(job: &Job, from: Option<&Checkpoint>) -> Result<Watch> {
    let Job { asked, config, .. } = job;
    let previews = asked
        .previews
        .as_ref()
        .and_then(|(every, output)| Some(Previews::resume(NonZeroU32::new(*every)?, output.clone())));
    let trace = asked.trace.as_ref().map(|path| {
        let content = asked.content.as_ref().map(|path| Source::new(path, job.inputs.content));
        let styles = asked.scene.styles.iter().zip(&job.inputs.styles);
        let styles = styles.map(|(file, style)| StyleSource::new(file, style)).collect();
        let header = Header::new(config, content, styles, asked.scene.keep.clone(), &asked.output);
        match from {
            Some(checkpoint) => Trace::resume(path, &header, checkpoint.header.iteration),
            None => Trace::create(path, &header),
        }
    });
    let trace = trace.transpose()?;
    let progress = progress(job, from.map_or(0, |checkpoint| checkpoint.header.iteration));
    let voice = progress.voice();
    let signals = Signals::install(move |line| voice.note(line)).unwrap_or_else(|cause| {
        progress.note(format_args!("warning: Ctrl-C will not save the picture so far: {cause}"));
        Signals::default()
    });
    Ok(Watch {
        trace,
        previews,
        live: asked.live.clone().and_then(Live::new),
        asked: asked.clone(),
        losses: Losses::default(),
        stop_after: job.stop_after,
        progress,
        signals,
        table: asked.table.clone(),
        failure: None,
        stopped_by: None,
    })
}

/// What shows a run that has made so many iterations.
fn progress(job: &Job, done: u32) -> Progress {
    Progress::new(job.report.is_quiet(), work(&job.scales), done, Shown::of(&job.config))
}

/// What there is to do at each scale.
pub fn work(scales: &[Scale]) -> Vec<Work> {
    scales.iter().map(|scale| Work { pixels: scale.pixels() as u64, iterations: scale.iterations }).collect()
}

/// Tells what became of the run of so many iterations: on standard output, unless the picture is there.
fn tell((job, all): (&Job, u32), watch: &Watch, outcome: &Outcome, seconds: f64) -> Result<()> {
    match job.report {
        Report::Nothing | Report::Progress => Ok(()),
        Report::Json { .. } => say::text(summary::json((job, all), outcome, &watch.losses, watch.stopped_by, seconds)),
        Report::Lines => {
            let lines = watch.table.lines(Shown::of(&job.config)) + &closing_line(job, outcome, seconds);
            if picture::is_standard(&job.asked.output) {
                say::note(lines.trim_end());
                return Ok(());
            }
            say::text(lines)
        }
    }
}

/// `out.png  512×384  300 iterations  2 min 5 s`
fn closing_line(job: &Job, outcome: &Outcome, seconds: f64) -> String {
    let (height, width, _) = outcome.picture.rgb.dim();
    let plural = if outcome.iterations == 1 { "" } else { "s" };
    format!(
        "{}  {width}×{height}  {} iteration{plural}  {}\n",
        job.asked.output.display(),
        outcome.iterations,
        duration(seconds)
    )
}

fn exit_code(job: &Job, watch: Watch, outcome: Outcome, all: u32) -> Result<u8> {
    let note = |line: String| {
        if !job.report.is_quiet() {
            say::note(line);
        }
    };
    let output = job.asked.output.display();
    match (outcome.end, watch.stopped_by, watch.failure) {
        (End::Diverged(error), ..) => {
            note(format!("the last finite picture is in {output}"));
            Err(error)
        }
        (End::Stopped, Some(signal), failure) => {
            let done = outcome.iterations;
            note(format!(
                "stopped by {} after {done} of {all} iterations; the picture so far is in {output}",
                signal.name()
            ));
            if let Some(path) = job.checkpoint.as_ref().filter(|_| failure.is_none()) {
                note(format!("impasto resume {} goes on", path.display()));
            }
            Ok(signal.exit_code())
        }
        (_, _, Some(failure)) => Err(failure),
        _ => Ok(0),
    }
}
