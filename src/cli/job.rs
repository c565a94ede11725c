//! A run that may begin: what was asked for, read and found possible.

use std::path::PathBuf;

use impasto::Engine;
use impasto::config::Config;
use impasto::transfer::{Scale, Sizes};

use super::keeper::Asked;

/// Everything known before the first iteration.
pub struct Job {
    pub asked: Asked,
    pub config: Config,
    /// Of the pictures as they were read.
    pub inputs: Sizes,
    pub scales: Vec<Scale>,
    pub checkpoint: Option<PathBuf>,
    pub report: Report,
    pub verbose: bool,
    /// After which iteration to stop, if before the last.
    pub stop_after: Option<u32>,
    /// The engine, if there is one already.
    pub engine: Option<Engine>,
}

impl Job {
    /// Iterations in all scales.
    pub fn iterations(&self) -> u32 {
        self.scales.iter().map(|scale| scale.iterations).sum()
    }
}

/// What is told of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing but errors.
    Nothing,
    /// Progress; in the end a table, and a line.
    Lines,
    /// Progress alone.
    Progress,
    /// Progress, unless quiet; in the end an object of JSON.
    Json {
        /// No progress.
        quiet: bool,
    },
}

impl Report {
    pub fn is_quiet(self) -> bool {
        matches!(self, Report::Nothing | Report::Json { quiet: true })
    }
}
