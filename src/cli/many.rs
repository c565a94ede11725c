//! Many pictures, for `batch` and `augment`: each is made as `stylize` makes it, to the byte, several side by side if that
//! is faster. What is there already and is what is asked for is left; what goes wrong with one does not stop the others.

mod jobs;
mod options;
mod summary;
mod tally;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use impasto::batch::Shard;
use impasto::config::Config;
use impasto::picture;
use impasto::transfer::End;
use impasto::{Engine, Error, Result};

use super::job::{Job, Report};
use super::purpose::Purpose;
use super::recipe::Recipe;
use super::request::Request;
use super::signals::Signals;
use super::styles::{Scene, StyleFile};
use super::work;
pub use options::{Jobs, Options};
pub use tally::{Status, Tally};

/// A picture to make.
#[derive(Clone, Debug)]
pub struct Task {
    pub content: PathBuf,
    /// A picture, or a folder of them.
    pub style: PathBuf,
    pub output: PathBuf,
    pub config: Config,
}

/// What became of all of them.
pub struct Made {
    /// In the order of the tasks.
    pub statuses: Vec<Status>,
    /// The exit code.
    pub code: u8,
}

/// Many pictures, and what holds for all of them.
pub struct Many<'a> {
    options: &'a Options,
    /// Those of all parts.
    tasks: Vec<Task>,
    shard: Shard,
}

impl<'a> Many<'a> {
    /// Of tasks whose results are in the options' folder, `read` being all other files that are read.
    ///
    /// # Errors
    /// [`Error::Usage`] for two results of one name, one that would replace what is read, and one whose format cannot be
    /// written.
    pub fn new(options: &'a Options, tasks: Vec<Task>) -> Result<Self> {
        let shard = options.shard()?;
        let mut names: HashMap<&Path, &Task> = HashMap::new();
        let real = |path: &PathBuf| path.canonicalize().ok();
        let inputs: HashSet<PathBuf> =
            tasks.iter().flat_map(|task| [&task.content, &task.style]).filter_map(real).collect();
        for task in &tasks {
            let output = task.output.display();
            if let Some(other) = names.insert(&task.output, task) {
                return Err(Error::Usage(format!(
                    "{output}: would be both {} in the manner of {} and {} in that of {}; give them names of their own",
                    other.content.display(),
                    other.style.display(),
                    task.content.display(),
                    task.style.display()
                )));
            }
            if real(&task.output).is_some_and(|output| inputs.contains(&output)) {
                return Err(Error::Usage(format!(
                    "{output}: is a picture that is read; give another folder or --name"
                )));
            }
            picture::check_options(&task.output, &options.save(None))?;
        }
        Ok(Many { options, tasks, shard })
    }

    /// Those of all parts.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Makes those of this part, and tells.
    ///
    /// # Errors
    /// Those of an engine, and [`Error::Output`] for a folder that cannot be made. What goes wrong with a picture is its
    /// status.
    pub fn run(&self, start: Instant) -> Result<Made> {
        let own: Vec<usize> = (0..self.tasks.len()).filter(|&number| self.shard.has(number)).collect();
        let tally = Tally::new(&self.tasks, own.len(), self.options.is_quiet());
        let voice = tally.voice();
        let signals = Signals::install(move |line| voice.note(line)).unwrap_or_else(|cause| {
            tally.note(format_args!("warning: Ctrl-C will end this at once: {cause}"));
            Signals::default()
        });
        make_folder(&self.options.output)?;
        let left = self.left(own, &tally, &signals);
        let mut at_once = 1;
        if let Some(job) = left.iter().find_map(|&number| self.job(&self.tasks[number]).ok()) {
            let config = &job.config;
            let mut engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
            engine.remember(config, &job.scales);
            at_once = jobs::choose(self.options.jobs, &mut engine, &job, left.len())?;
            let again = self.side_by_side(&mut engine, left, at_once, (&tally, &signals))?;
            // Side by side, each may have its share of the memory alone.
            self.side_by_side(&mut engine, again, 1, (&tally, &signals))?;
        } else {
            // None can be made: the reason is each one's own.
            left.iter().for_each(|&number| tally.end(number, refused(self.job(&self.tasks[number]))));
        }
        let (statuses, seconds) = (tally.finish(), start.elapsed().as_secs_f64());
        let ended = summary::Ended { tasks: &self.tasks, statuses: &statuses, signal: signals.received(), seconds };
        summary::tell(&ended, self.options, (self.shard, at_once))?;
        Ok(Made { code: ended.exit_code(), statuses })
    }

    /// Those of the numbers that are to be made: the others are there, or something else is in their place.
    fn left(&self, own: Vec<usize>, tally: &Tally, signals: &Signals) -> Vec<usize> {
        let mut left = Vec::new();
        for number in own {
            let task = &self.tasks[number];
            if task.output.symlink_metadata().is_err() || signals.received().is_some() {
                left.push(number);
                continue;
            }
            match self.job(task).map(|job| is_made(&job)) {
                Ok(Ok(())) => tally.end(number, Status::There),
                Ok(Err(_)) if self.options.overwrite => left.push(number),
                Ok(Err(cause)) => tally.end(number, Status::Failed(Error::Usage(cause))),
                Err(error) => tally.end(number, Status::Failed(error)),
            }
        }
        left
    }

    /// Makes those of these numbers, so many at once, and one style after the other, since the engine remembers no more than
    /// these; which of them had no memory beside the others.
    fn side_by_side(
        &self,
        engine: &mut Engine,
        mut numbers: Vec<usize>,
        at_once: usize,
        (tally, signals): (&Tally, &Signals),
    ) -> Result<Vec<usize>> {
        numbers.sort_by_key(|&number| (&self.tasks[number].style, number));
        let Some(&first) = numbers.first() else { return Ok(Vec::new()) };
        engine.divide(self.tasks[first].config.threads, NonZeroUsize::new(at_once).unwrap_or(NonZeroUsize::MIN))?;
        let (engine, next, budget) = (&*engine, &AtomicUsize::new(0), jobs::budget(&self.tasks[first].config, at_once));
        let worker = || {
            let mut again = Vec::new();
            while let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                if signals.received().is_some() {
                    break;
                }
                let begun = Instant::now();
                match self.make(engine, number, budget, (tally, signals)) {
                    Ok(true) => tally.end(number, Status::Made { seconds: begun.elapsed().as_secs_f64() }),
                    // It was stopped, and nothing is left of it.
                    Ok(false) => tally.give_up(number),
                    Err(Error::Memory(_)) if at_once > 1 => {
                        tally.give_up(number);
                        again.push(number);
                    }
                    Err(error) => tally.end(number, Status::Failed(error)),
                }
            }
            again
        };
        tally.begin();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(worker)).collect();
            let mut again = Vec::new();
            for worker in workers {
                again.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            Ok(again)
        })
    }

    /// Makes one; says whether it was not stopped.
    fn make(
        &self,
        engine: &Engine,
        number: usize,
        budget: Option<u64>,
        (tally, signals): (&Tally, &Signals),
    ) -> Result<bool> {
        let task = &self.tasks[number];
        let mut job = self.job(task)?;
        job.config.max_memory = budget.or(job.config.max_memory);
        let all = job.iterations();
        let outcome = work::among_others(engine, &job, signals.cancel(), |step| {
            tally.step(number, f64::from(step.iteration) / f64::from(all.max(1)));
            if signals.received().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match outcome.end {
            End::Finished => {}
            End::Stopped => return Ok(false),
            End::Diverged(error) => return Err(error),
        }
        if !self.options.overwrite && task.output.symlink_metadata().is_ok() {
            let cause = "a file of this name has come there since; give --overwrite to replace it".into();
            return Err(Error::Output { path: task.output.clone(), cause });
        }
        picture::save(&outcome.picture, &task.output, &job.asked.described(None))?;
        Ok(true)
    }

    /// What makes one, without an engine; the folder that it goes to is made.
    fn job(&self, task: &Task) -> Result<Job> {
        let max_pixels = task.config.max_pixels;
        let size = |path: &Path| picture::size(path, max_pixels);
        let own = size(&task.content)?;
        let scene = Scene::new(vec![StyleFile::new(&task.style)], &[], None)?;
        make_folder(&impasto::files::folder(&task.output))?;
        let request = Request {
            purpose: Purpose::Stylize,
            content: Some(&task.content),
            sizes: scene.sizes(own, size)?,
            scene,
            others: self.options.making.config_file.iter().map(PathBuf::as_path).collect(),
            output: task.output.clone(),
            overwrite: true,
            save: self.options.save(picture::metadata(&task.content, max_pixels)?.dpi),
            metadata: !self.options.files.no_metadata,
            save_every: None,
            preview: None,
            checkpoint: None,
            checkpoint_every: None,
            trace: None,
            report: Report::Nothing,
            verbose: false,
            time: None,
        };
        request.job(task.config.clone())
    }
}

/// Whether the file in a job's place is what the job would make: by its recipe, whoever made it with whichever version and
/// on whatever kind of CPU.
fn is_made(job: &Job) -> Result<(), String> {
    let (output, asked) = (&job.asked.output, &job.asked.recipe);
    let remedy = "give another folder or --name, or --overwrite to replace it";
    let (found, _) = Recipe::of(output).map_err(|error| format!("{error}; {remedy}"))?;
    let (impasto, instructions) = (asked.impasto.clone(), asked.instructions.clone());
    if (Recipe { impasto, instructions, ..found.clone() }) == *asked {
        return Ok(());
    }
    let what = if found.inputs != asked.inputs { "of other pictures" } else { "with other options" };
    Err(format!("{}: is there, and was made {what}; {remedy}", output.display()))
}

/// Makes a folder, and those that it is in.
fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::Output {
        path: folder.to_owned(),
        cause: format!("no folder can be made there ({error}); choose another"),
    })
}

/// The status of what cannot be made.
fn refused(job: Result<Job>) -> Status {
    job.map_or_else(Status::Failed, |_| Status::Left)
}
