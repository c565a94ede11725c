//! The run while it goes on, on standard error: a bar where someone watches a
//! terminal, a line now and then where the output goes to a file.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use impasto::objective::Part;
use impasto::transfer::Step;
use indicatif::{ProgressBar, ProgressStyle};

use super::eta::{Speed, Work, clock, seconds_left, work_done, work_total};
use super::report::{MILESTONES, Shown, significant};
use super::say;

/// After so long without a line, the next iteration gets one.
const SILENCE: Duration = Duration::from_secs(60);

/// Shows the run.
pub struct Progress {
    display: Display,
    shown: Shown,
    plan: Vec<Work>,
    speed: Speed,
    last_step: Option<(u32, Instant)>,
    /// Where the run is, for whoever tells of parts of an iteration.
    place: Arc<Mutex<Place>>,
}

/// Iterations of the plan that are behind, and the last of them in words.
#[derive(Default)]
struct Place {
    iterations: u32,
    words: String,
}

/// Where it is shown.
#[derive(Clone)]
pub enum Display {
    Nothing,
    Bar(ProgressBar),
    /// When the last line was printed.
    Lines(Arc<Mutex<Instant>>),
}

impl Progress {
    /// A display for a run of `plan` that has made so many iterations; `quiet` shows nothing.
    pub fn new(quiet: bool, plan: Vec<Work>, iterations: u32, shown: Shown) -> Self {
        let display = if quiet {
            Display::Nothing
        } else if say::redraws() {
            Display::Bar(bar(work_total(&plan), work_done(&plan, iterations)))
        } else {
            Display::Lines(Arc::new(Mutex::new(Instant::now())))
        };
        let place = Place { iterations, words: "preparing".into() };
        Progress { display, shown, plan, speed: Speed::default(), last_step: None, place: Arc::new(Mutex::new(place)) }
    }

    /// Shows one iteration.
    pub fn step(&mut self, step: &Step<'_>) {
        if step.last {
            return;
        }
        self.measure(step);
        let place = place(step);
        let losses = losses(step, self.shown);
        let time = self.time(step);
        let reached = self.reached(step);
        *lock(&self.place) = Place { iterations: reached, words: place.clone() };
        match &self.display {
            Display::Nothing => {}
            Display::Bar(bar) => {
                bar.set_prefix(place);
                bar.set_message(format!("{losses}  {time}"));
                bar.set_position(work_done(&self.plan, reached));
            }
            Display::Lines(last) => {
                let mut last = lock(last);
                if line_due(step.iteration, step.iterations, last.elapsed()) {
                    *last = Instant::now();
                    say::note(format_args!("iteration {place}  {losses}  {time}"));
                }
            }
        }
    }

    /// Shows what is done after the run: so many further iterations of the plan, for what is called `words`.
    pub fn further(&self, iterations: u32, words: &str) {
        let Display::Bar(bar) = &self.display else { return };
        bar.set_prefix(words.to_owned());
        bar.set_message("");
        bar.set_position(work_done(&self.plan, lock(&self.place).iterations + iterations));
    }

    /// What shows how much of an iteration is done, where it is made in parts.
    pub fn parts(&self) -> impl Fn(Part) + Send + Sync + use<> {
        let (display, plan, place) = (self.display.clone(), self.plan.clone(), self.place.clone());
        move |part| {
            let Place { iterations, words } = &*lock(&place);
            let words = format_args!("{words}  part {}/{} of the next", part.done, part.of);
            match &display {
                Display::Nothing => {}
                Display::Bar(bar) => {
                    let done = work_done(&plan, *iterations);
                    let next = work_done(&plan, iterations + 1) - done;
                    bar.set_position(done + next * part.done as u64 / part.of as u64);
                    bar.set_prefix(words.to_string());
                }
                Display::Lines(last) => {
                    let mut last = lock(last);
                    if last.elapsed() >= SILENCE {
                        *last = Instant::now();
                        say::note(format_args!("iteration {words}"));
                    }
                }
            }
        }
    }

    /// Prints a line without tearing the bar.
    pub fn note(&self, line: impl fmt::Display) {
        self.display.note(line);
    }

    /// Does what may print something, without tearing the bar.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.display {
            Display::Bar(bar) => bar.suspend(print),
            Display::Nothing | Display::Lines(_) => print(),
        }
    }

    /// What prints such lines, for another thread.
    pub fn voice(&self) -> Voice {
        Voice::new(&self.display)
    }

    /// Takes the display off the screen.
    pub fn finish(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }

    /// Measures from step to step, so that previews and the like count too; a
    /// scale's first iteration by its own clock, for its start is paid once.
    fn measure(&mut self, step: &Step<'_>) {
        let now = Instant::now();
        let seconds = match self.last_step {
            Some((scale, before)) if scale == step.scale => (now - before).as_secs_f64(),
            _ => step.seconds,
        };
        self.last_step = Some((step.scale, now));
        self.speed.record(step.scale, pixels(step), seconds);
    }

    /// The iterations of the plan that are behind, made or, where a scale settled, left out.
    fn reached(&self, step: &Step<'_>) -> u32 {
        self.plan[..step.scale as usize - 1].iter().map(|scale| scale.iterations).sum::<u32>() + step.done
    }

    fn time(&self, step: &Step<'_>) -> String {
        let speed = self.speed.seconds_per_pixel();
        let left = seconds_left(&self.plan, self.reached(step), speed);
        format!("{} s/iteration  {} left", significant(speed * pixels(step) as f64), clock(left))
    }
}

/// Prints lines without tearing the bar.
pub struct Voice(Display);

impl Voice {
    /// For such a display.
    pub fn new(display: &Display) -> Self {
        Voice(display.clone())
    }

    /// Prints a line, unless nothing is to be shown.
    pub fn note(&self, line: impl fmt::Display) {
        self.0.note(line);
    }
}

impl Display {
    /// Prints an error without tearing the bar, in any case.
    pub fn error(&self, message: impl fmt::Display) {
        match self {
            Display::Nothing | Display::Lines(_) => say::error(message),
            Display::Bar(bar) => bar.suspend(|| say::error(message)),
        }
    }

    /// Prints a line without tearing the bar, unless nothing is to be shown.
    pub fn note(&self, line: impl fmt::Display) {
        match self {
            Display::Nothing => {}
            Display::Bar(bar) => bar.suspend(|| say::note(line)),
            Display::Lines(_) => say::note(line),
        }
    }
}

/// What is behind the lock is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bar(work: u64, done: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {prefix}\n{msg}")
        .expect("the template is well-formed")
        .progress_chars("█▉▊▋▌▍▎▏ ");
    let bar = ProgressBar::new(work).with_style(style).with_prefix("preparing").with_position(done);
    bar.tick();
    bar
}

fn pixels(step: &Step<'_>) -> u64 {
    (step.height * step.width) as u64
}

/// `12/300`, with the scale where there are several: `12/300  scale 1/5 96×128`.
fn place(step: &Step<'_>) -> String {
    let width = step.iterations.to_string().len();
    let mut text = format!("{:>width$}/{}", step.iteration, step.iterations);
    if step.scales > 1 {
        text += &format!("  scale {}/{} {}×{}", step.scale, step.scales, step.width, step.height);
    }
    text
}

fn losses(step: &Step<'_>, shown: Shown) -> String {
    let losses = shown.losses([step.content, step.style, step.tv], "tv");
    losses.iter().map(|(name, loss)| format!("{name} {}", significant(*loss))).collect::<Vec<_>>().join("  ")
}

/// Whether an iteration gets a line: the paper's, the last, every tenth part
/// of the run, and whatever comes after a long silence.
fn line_due(iteration: u32, iterations: u32, silence: Duration) -> bool {
    let last_milestone = MILESTONES[MILESTONES.len() - 1];
    MILESTONES.contains(&iteration)
        || iteration == iterations
        || (iteration > last_milestone && iteration.is_multiple_of((iterations / 10).max(1)))
        || silence >= SILENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(iterations: u32) -> Vec<u32> {
        (1..=iterations).filter(|&i| line_due(i, iterations, Duration::ZERO)).collect()
    }

    #[test]
    fn lines_come_at_sensible_intervals() {
        assert_eq!(lines(2), [1, 2]);
        assert_eq!(lines(60), [1, 10, 30, 60]);
        assert_eq!(lines(300), [1, 10, 30, 60, 90, 120, 150, 180, 210, 240, 270, 300]);
        assert_eq!(lines(10_000).len(), 14);
    }

    #[test]
    fn a_slow_run_is_not_silent_for_long() {
        assert!(line_due(7, 300, SILENCE));
        assert!(!line_due(7, 300, SILENCE / 2));
    }
}
