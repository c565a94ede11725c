//! What became of each picture so far, and the line that says how many are done and how long the others will take.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use impasto::Error;
use indicatif::{ProgressBar, ProgressStyle};

use super::Task;
use crate::cli::eta::clock;
use crate::cli::progress::{Display, Voice};
use crate::cli::say;

/// Where lines are printed, they are at least so far apart.
const APART: Duration = Duration::from_secs(10);

/// And after so long without one, the next iteration gets one.
const SILENCE: Duration = Duration::from_secs(60);

/// What became of a picture.
#[derive(Debug)]
pub enum Status {
    /// Nothing yet, or it is another part's.
    Left,
    /// It was made.
    Made {
        /// From the reading of its pictures on.
        seconds: f64,
    },
    /// It was there.
    There,
    /// It was not made, and why.
    Failed(Error),
}

/// Everything that is counted while pictures are made, by several threads.
pub struct Tally<'a> {
    tasks: &'a [Task],
    /// Pictures of this part.
    all: usize,
    display: Display,
    counts: Mutex<Counts>,
}

struct Counts {
    statuses: Vec<Status>,
    /// The done part of each picture that is being made.
    under_way: HashMap<usize, f64>,
    made: usize,
    there: usize,
    failed: usize,
    /// When the first one was begun.
    since: Option<Instant>,
}

impl<'a> Tally<'a> {
    /// Of these tasks, of which so many are to be done here.
    pub fn new(tasks: &'a [Task], all: usize, quiet: bool) -> Self {
        let display = match (quiet, say::redraws()) {
            (true, _) => Display::Nothing,
            (false, true) => Display::Bar(bar(all)),
            (false, false) => Display::Lines(Arc::new(Mutex::new(Instant::now()))),
        };
        let counts = Counts {
            statuses: tasks.iter().map(|_| Status::Left).collect(),
            under_way: HashMap::new(),
            made: 0,
            there: 0,
            failed: 0,
            since: None,
        };
        Tally { tasks, all, display, counts: Mutex::new(counts) }
    }

    /// Pictures are made from now on, if they were not before.
    pub fn begin(&self) {
        lock(&self.counts).since.get_or_insert_with(Instant::now);
    }

    /// So large a part of a picture is done.
    pub fn step(&self, number: usize, part: f64) {
        let mut counts = lock(&self.counts);
        counts.under_way.insert(number, part.min(1.0));
        match &self.display {
            Display::Nothing => {}
            Display::Bar(bar) => bar.set_message(counts.line(self.all)),
            Display::Lines(last) => {
                let mut last = lock(last);
                if last.elapsed() >= SILENCE {
                    *last = Instant::now();
                    say::note(counts.line(self.all));
                }
            }
        }
    }

    /// A picture is done, or given up.
    pub fn end(&self, number: usize, status: Status) {
        if let Status::Failed(error) = &status {
            self.display.error(format_args!("{} is not made: {error}", self.tasks[number].output.display()));
        }
        let mut counts = lock(&self.counts);
        counts.under_way.remove(&number);
        match &status {
            Status::Left => {}
            Status::Made { .. } => counts.made += 1,
            Status::There => counts.there += 1,
            Status::Failed(_) => counts.failed += 1,
        }
        let made = matches!(status, Status::Made { .. });
        counts.statuses[number] = status;
        let line = counts.line(self.all);
        match &self.display {
            Display::Nothing => {}
            Display::Bar(bar) => {
                bar.set_position(counts.done() as u64);
                bar.set_message(line);
            }
            Display::Lines(last) => {
                let mut last = lock(last);
                if made && (last.elapsed() >= APART || counts.done() == self.all) {
                    *last = Instant::now();
                    say::note(line);
                }
            }
        }
    }

    /// A picture that was stopped: nothing of it is done.
    pub fn give_up(&self, number: usize) {
        lock(&self.counts).under_way.remove(&number);
    }

    /// Prints a line without tearing the bar.
    pub fn note(&self, line: impl fmt::Display) {
        self.display.note(line);
    }

    /// What prints such lines, for another thread.
    pub fn voice(&self) -> Voice {
        Voice::new(&self.display)
    }

    /// Takes the display off the screen; what became of all of them, in their order.
    pub fn finish(self) -> Vec<Status> {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
        self.counts.into_inner().unwrap_or_else(PoisonError::into_inner).statuses
    }
}

impl Counts {
    /// Those that need no more work.
    fn done(&self) -> usize {
        self.made + self.there + self.failed
    }

    /// `7/18 pictures, 2 failed  1:20 left`
    fn line(&self, all: usize) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        let left = self.since.and_then(|since| self.seconds_left(all, since.elapsed().as_secs_f64()));
        let left = left.map_or_else(String::new, |seconds| format!("  {} left", clock(seconds)));
        format!("{}/{all} pictures{failed}{left}", self.done())
    }

    /// Seconds that the others take if they take as long as those that were made in so many. What was there or failed took
    /// none.
    fn seconds_left(&self, all: usize, seconds: f64) -> Option<f64> {
        let under_way: f64 = self.under_way.values().sum();
        let made = self.made as f64 + under_way;
        let left = all.saturating_sub(self.done()) as f64 - under_way;
        (made > 0.0).then(|| seconds * left.max(0.0) / made)
    }
}

/// What is behind the lock is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bar(all: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {msg}")
        .expect("the template is well-formed")
        .progress_chars("█▉▊▋▌▍▎▏ ");
    let bar = ProgressBar::new(all as u64).with_style(style).with_message("preparing");
    bar.tick();
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_or_failed_makes_the_others_no_faster() {
        let counts = Counts {
            statuses: Vec::new(),
            under_way: HashMap::from([(7, 0.5), (8, 0.5)]),
            made: 3,
            there: 40,
            failed: 5,
            since: None,
        };
        // Four of 12 were made in 8 seconds; the rest of two, and six whole ones, are seven more.
        assert_eq!(counts.seconds_left(56, 8.0), Some(14.0));
        assert_eq!(counts.line(56), "48/56 pictures, 5 failed");
        let nothing = Counts { under_way: HashMap::new(), made: 0, ..counts };
        assert_eq!(nothing.seconds_left(56, 8.0), None);
    }
}
