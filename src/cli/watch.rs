//! Everyone who looks at a run's steps, in one place: the display, the trace,
//! the previews and the table, and the signals that stop it.

use std::ops::ControlFlow;

use impasto::transfer::Step;
use impasto::{Error, Result};

use super::previews::Previews;
use super::progress::Progress;
use super::report::Table;
use super::signals::{Signal, Signals};
use super::trace::Trace;

/// The run's callback and what it has gathered.
pub struct Watch {
    pub progress: Progress,
    pub trace: Option<Trace>,
    pub previews: Option<Previews>,
    pub signals: Signals,
    pub table: Table,
    /// The first result beside the picture that could not be written. It ends
    /// the program with its exit code, but does not throw hours of work away.
    pub failure: Option<Error>,
    /// The signal that stopped the run.
    pub stopped_by: Option<Signal>,
}

impl Watch {
    /// Shows a step to everyone; says to stop if a signal came.
    pub fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self.progress.step(step);
        self.table.step(step);
        if let Some(Err(error)) = self.trace.as_mut().map(|trace| trace.step(step)) {
            self.trace = None;
            self.keep(error);
        }
        if let Some(Err(error)) = self.previews.as_ref().map(|previews| previews.step(step)) {
            self.previews = None;
            self.keep(error);
        }
        self.stopped_by = self.signals.received();
        match self.stopped_by {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    /// Says what could not be written, and remembers it.
    pub fn note(&mut self, written: Result<()>) {
        if let Err(error) = written {
            self.keep(error);
        }
    }

    fn keep(&mut self, error: Error) {
        self.progress.note(format_args!("warning: {error}; the run goes on"));
        self.failure.get_or_insert(error);
    }
}
