//! The work itself, for a run that begins and for one that goes on: it leaves the picture whatever ends it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use impasto::config::Config;
use impasto::files;
use impasto::objective::Listener;
use impasto::picture::{self, Picture, SaveOptions};
use impasto::transfer::checkpoint::{self, Origin};
use impasto::transfer::{Checkpoint, End, Inputs, Outcome, Plan, Run, Scale};
use impasto::vgg::SMALLEST_SIDE;
use impasto::{Engine, Error, Result};

use super::eta::Work;
use super::keeper::{Asked, Keeper};
use super::previews::Previews;
use super::progress::Progress;
use super::report::{Shown, Table, duration};
use super::signals::Signals;
use super::trace::{Header, Source, Trace};
use super::watch::Watch;
use super::{details, paths, say};

/// Of a row of pictures, this part of their height is between them.
const GAP: usize = 32;

/// (height, width) of what stands for the style picture in a run that compares with none.
pub const NO_STYLE: (usize, usize) = (SMALLEST_SIDE, SMALLEST_SIDE);

/// Everything known before the first iteration.
pub struct Job {
    pub asked: Asked,
    pub config: Config,
    pub save: SaveOptions,
    /// Height and width of the content and the style picture, as they were read.
    pub inputs: [(usize, usize); 2],
    pub scales: Vec<Scale>,
    pub checkpoint: Option<PathBuf>,
    pub quiet: bool,
    pub verbose: bool,
}

impl Job {
    /// Iterations in all scales.
    fn iterations(&self) -> u32 {
        self.scales.iter().map(|scale| scale.iterations).sum()
    }
}

/// Does it; `from` is the checkpoint it goes on from, and whether it may be one
/// of another kind of CPU.
pub fn run(job: Job, from: Option<(&Checkpoint, bool)>, start: Instant) -> Result<u8> {
    let mut watch = watch(&job, from.map(|(checkpoint, _)| checkpoint))?;
    let outcome = make(&job, &mut watch, from);
    watch.progress.finish();
    let all = job.iterations();
    leave(&job, watch, outcome?, all, start)
}

/// Does several, each with a name, and leaves their pictures side by side as the first one's.
pub fn row(jobs: Vec<(String, Job)>, start: Instant) -> Result<u8> {
    let all = jobs.iter().map(|(_, job)| job.iterations()).sum();
    let (_, first) = jobs.first().expect("a row has a picture");
    let mut watch = watch(first, None)?;
    let (mut pictures, mut iterations, mut end) = (Vec::new(), 0, End::Finished);
    for (i, (name, job)) in jobs.iter().enumerate() {
        if !job.quiet {
            watch.progress.note(format_args!("{name}, {} of {}", i + 1, jobs.len()));
        }
        watch.progress = progress(job, 0);
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
    watch.table = Table::default();
    let picture = picture::row(&pictures, pictures[0].height() / GAP);
    leave(first, watch, Outcome { picture, iterations, end }, all, start)
}

/// Writes what was made, in `all` iterations or some of them, and says so.
fn leave(job: &Job, watch: Watch, outcome: Outcome, all: u32, start: Instant) -> Result<u8> {
    if let Err(error) = picture::save(&outcome.picture, &job.asked.output, &job.save) {
        return Err(elsewhere(job, &outcome, error));
    }
    if !job.quiet {
        say::text(watch.table.lines(Shown::of(&job.config)))?;
        say::text(closing_line(job, &outcome, start.elapsed().as_secs_f64()))?;
    }
    if job.verbose {
        details::after();
    }
    exit_code(job, watch, outcome, all)
}

/// The run, from where it begins to where it ends.
fn make(job: &Job, watch: &mut Watch, from: Option<(&Checkpoint, bool)>) -> Result<Outcome> {
    let config = &job.config;
    let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
    engine.share(|| {
        let plan = engine.plan_of(config, job.scales.clone(), job.inputs)?;
        if job.verbose {
            details::before(job, &plan);
        }
        check_room(job, &plan)?;
        let (inputs, [content, style]) = read(job, &plan)?;
        let digests = job.checkpoint.as_ref().map(|_| engine.digests(content, style)).transpose()?;
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
        run.heed(Listener { cancel: watch.signals.cancel(), strip: Some(Arc::new(watch.progress.parts())) });
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

/// Reads the content picture, then the style picture; their digests, if anybody will ask for them.
fn read(job: &Job, plan: &Plan) -> Result<(Inputs, [String; 2])> {
    let digest = |picture: &Picture| job.checkpoint.as_ref().map_or_else(String::new, |_| checkpoint::digest(picture));
    let load = |path: &Option<PathBuf>, (height, width)| match path {
        Some(path) => picture::load(path, job.config.max_pixels),
        None => Ok(Picture::flat(height, width)),
    };
    let content = load(&job.asked.content, job.inputs[0])?;
    let (inputs, of_content) = (Inputs::of(&job.config, plan, &content), digest(&content));
    // There may be no room for both.
    drop(content);
    let style = load(&job.asked.style, job.inputs[1])?;
    Ok((inputs.with(&style), [of_content, digest(&style)]))
}

/// (height, width) of the content and the style picture; where there is none, of what stands for it: a picture of the
/// result's proportions, and the smallest that the network can look at.
pub fn sizes(asked: &Asked, config: &Config, scales: &[Scale]) -> Result<[(usize, usize); 2]> {
    let size = |path: &Option<PathBuf>, otherwise| match path {
        Some(path) => picture::size(path, config.max_pixels),
        None => Ok(otherwise),
    };
    let result = scales.last().map_or(NO_STYLE, |last| (last.height, last.width));
    Ok([size(&asked.content, proportions(result))?, size(&asked.style, NO_STYLE)?])
}

/// The smallest size of the same proportions: nothing is seen of what stands for a content picture, and it takes no room.
pub fn proportions((height, width): (usize, usize)) -> (usize, usize) {
    let (mut divisor, mut rest) = (height, width);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (height / divisor, width / divisor)
}

/// Refuses a run whose picture or checkpoint the disk will have no room for.
fn check_room(job: &Job, plan: &Plan) -> Result<()> {
    let check = |path: &Path, bytes: u64| {
        files::check_room(path, bytes).map_err(|cause| Error::Usage(format!("{}: {cause}", path.display())))
    };
    // Hardly a format makes a painting smaller than a twentieth of itself: what is refused would have failed.
    let raw = plan.last().pixels() as u64 * if job.asked.sixteen_bit { 6 } else { 3 };
    check(&job.asked.output, raw / 20)?;
    match &job.checkpoint {
        // The earlier one stays until the later one is written.
        Some(path) => check(path, 2 * plan.checkpoint),
        None => Ok(()),
    }
}

fn steps(run: &mut Run<'_>, watch: &mut Watch, mut keeper: Option<&mut Keeper<'_>>) -> Result<End> {
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
fn elsewhere(job: &Job, outcome: &Outcome, error: Error) -> Error {
    let name = job.asked.output.file_name().unwrap_or_default();
    let beside = job.asked.pictures().next().map(|picture| picture.with_file_name(name));
    let mut places = beside.into_iter().chain([std::env::temp_dir().join(name)]).map(paths::unused);
    match (places.find(|place| picture::save(&outcome.picture, place, &job.save).is_ok()), error) {
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
        .and_then(|(every, output)| Some(Previews::resume(NonZeroU32::new(*every)?, output.clone(), job.save.clone())));
    let trace = asked.trace.as_ref().map(|path| {
        let content = asked.content.as_ref().map(|path| Source::new(path, job.inputs[0]));
        let style = asked.style.as_ref().map(|path| Source::new(path, job.inputs[1]));
        let header = Header::new(config, content, style, &asked.output);
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
    Ok(Watch { trace, previews, progress, signals, table: asked.table.clone(), failure: None, stopped_by: None })
}

/// What shows a run that has made so many iterations.
fn progress(job: &Job, done: u32) -> Progress {
    Progress::new(job.quiet, work(job), done, Shown::of(&job.config))
}

fn work(job: &Job) -> Vec<Work> {
    let work = |scale: &Scale| Work { pixels: scale.pixels() as u64, iterations: scale.iterations };
    job.scales.iter().map(work).collect()
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
        if !job.quiet {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_are_in_least_terms() {
        for (size, least) in [((768, 1024), (3, 4)), ((512, 512), (1, 1)), ((17, 31), (17, 31)), ((16, 1000), (2, 125))]
        {
            assert_eq!(proportions(size), least);
            assert_eq!(picture::fit(size.0.max(size.1) as u32, least.0, least.1), size);
        }
    }
}
