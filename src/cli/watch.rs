//! Everyone who looks at a run's steps, in one place: the display, the trace,
//! the previews, the losses and the table, and the signals that stop it.

use std::ops::ControlFlow;

use impasto::transfer::Step;
use impasto::{Error, Result};

use super::keeper::Asked;
use super::live::Live;
use super::previews::Previews;
use super::progress::Progress;
use super::report::Table;
use super::signals::{Signal, Signals};
use super::summary::Losses;
use super::trace::Trace;

/// The run's callback and what it has gathered.
pub struct Watch {
    pub progress: Progress,
    pub trace: Option<Trace>,
    pub previews: Option<Previews>,
    pub live: Option<Live>,
    /// What was asked for: pictures on the way are described by it.
    pub asked: Asked,
    pub losses: Losses,
    /// After which iteration to stop, if before the last.
    pub stop_after: Option<u32>,
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
        self.losses.step(step);
        if let Some(Err(error)) = self.trace.as_mut().map(|trace| trace.step(step)) {
            self.trace = None;
            self.keep(error);
        }
        if let Some(Err(error)) =
            self.previews.as_ref().map(|previews| previews.step(step, |i| self.asked.on_the_way(i)))
        {
            self.previews = None;
            self.keep(error);
        }
        let live = self.live.as_mut().filter(|live| live.is_due(step));
        if let Some(Err(error)) = live.map(|live| self.progress.aside(|| live.step(step))) {
            self.live = None;
            self.keep(error);
        }
        self.stopped_by = self.signals.received();
        if self.stopped_by.is_some() || self.stop_after.is_some_and(|last| step.iteration >= last) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
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
