//! What can go wrong, in one place: every variant names the cause, and its
//! message the remedy. The exit code of the program is a function of the
//! variant alone.

use std::path::PathBuf;

/// Everything a user of Impasto can get wrong, or the machine can refuse.
///
/// A programmer's fault is not here: it is an assertion that names shapes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value that makes no sense, alone or with the others.
    #[error("{0}")]
    Usage(String),

    /// An input picture cannot be used.
    #[error("{}: {cause}", path.display())]
    Picture {
        /// The file as the user named it.
        path: PathBuf,
        /// What is wrong with it and what to do about it.
        cause: String,
    },

    /// The network's weights cannot be used.
    #[error("{weights}: {cause}")]
    Weights {
        /// The file as the user named it, or "embedded weights".
        weights: String,
        /// What is wrong (with the tensor's name, where one is to blame) and what to do about it.
        cause: String,
    },

    /// The run would need more memory than the machine (or its container) has.
    #[error("{0}")]
    Memory(String),

    /// The optimisation produced a number that is not finite.
    #[error(
        "the optimisation diverged at iteration {iteration}: {what} is not finite; \
         lower --learning-rate or the weight of that loss"
    )]
    Diverged {
        /// The iteration (from 1) whose measurement was not finite.
        iteration: u32,
        /// Which quantity it was: a loss by name, or the picture's gradient.
        what: String,
    },

    /// Somebody said that the result is no longer wanted.
    #[error("cancelled")]
    Cancelled,

    /// A run cannot go on from its checkpoint.
    #[error("{}: {cause}", path.display())]
    Checkpoint {
        /// The file as the user named it.
        path: PathBuf,
        /// What is wrong with it and what to do about it.
        cause: String,
    },

    /// A kernel computes something else than its definition on this machine.
    #[error(
        "{kernel} is wrong on this machine: relative error {error:.1e}, where {tolerance:.0e} is the most that rounding \
         explains; it was not timed; please report this with the output of `impasto doctor`"
    )]
    Kernel {
        /// The kernel, its direction, shape and instruction set.
        kernel: String,
        /// Root mean square of the difference relative to that of the definition's result; NaN if a number is missing.
        error: f64,
        /// The largest that would have been accepted.
        tolerance: f64,
    },

    /// A picture that was made again is another.
    #[error("{}: is not what its recipe makes here: {cause}", path.display())]
    Differs {
        /// The file as the user named it.
        path: PathBuf,
        /// By how much, and what may be the reason.
        cause: String,
    },

    /// A result could not be written, although its place looked writable.
    #[error("{}: cannot be written: {cause}", path.display())]
    Output {
        /// The file as the user named it.
        path: PathBuf,
        /// The system's reason.
        cause: String,
    },
}

impl Error {
    /// The program's exit code: 1 output, a wrong kernel, or a picture not reproduced, 2 usage, 3 input picture, 4 weights,
    /// 5 does not fit in memory, 6 diverged, 7 checkpoint.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Output { .. } | Error::Kernel { .. } | Error::Differs { .. } | Error::Cancelled => 1,
            Error::Usage(_) => 2,
            Error::Picture { .. } => 3,
            Error::Weights { .. } => 4,
            Error::Memory(_) => 5,
            Error::Diverged { .. } => 6,
            Error::Checkpoint { .. } => 7,
        }
    }
}

/// `Result` with Impasto's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
