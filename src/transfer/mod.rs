//! The optimisation loop: from two pictures to a third.
//!
//! ```text
//!  Config, sizes, machine ──▶ Plan    what will be done: scales, iterations, algorithms, bytes
//!                              │
//!  photograph, painting ──▶ Run::new ──▶ run.step() in a loop ──▶ run.result()
//!                                         │
//!                          Canvas: variables θ ⇄ picture x       canvas.rs
//!                          Objective: losses of x, and dx
//!                          Optimizer: θ ← θ − …
//!                          Average of the iterates               average.rs
//!                          looked at a little aside              jitter.rs
//!                          between scales: enlarge, add detail   detail.rs
//!                          at the end: colours, calm, tone       finish.rs, calm.rs
//!                          whose colours: decided beforehand     colours.rs
//! ```
//!
//! An [`Engine`] is what runs share, network and threads; a [`Checkpoint`] is a run put away, from which it goes on as
//! if nothing had been.
//!
//! The loop knows no terminal and no file: it emits a [`Step`] per iteration to
//! a callback, which may stop it.

mod average;
pub mod calm;
pub mod canvas;
pub mod checkpoint;
mod colours;
pub mod detail;
mod engine;
mod finish;
mod forecast;
mod inputs;
mod jitter;
mod memory;
pub mod plan;
mod run;
mod step;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::config::Config;
use crate::error::Result;
use crate::picture::Picture;

pub use checkpoint::Checkpoint;
pub use engine::Engine;
pub use inputs::{Inputs, WithoutStyle};
pub use memory::Memory;
pub use plan::{Machine, Plan, Scale};
pub use run::Run;
pub use step::{End, Outcome, Step};

/// Repaints `content` in the manner of `style`.
///
/// The pictures are taken at their own sizes and resized as the configuration
/// says. `on_step` is called after each iteration, and once more with the
/// measurement after the last one; returning [`ControlFlow::Break`] ends the run
/// with the picture so far.
///
/// The same configuration and pictures give the same bytes, whatever the number
/// of threads.
///
/// # Errors
/// Everything that can be known before the first iteration: [`Usage`](crate::Error::Usage),
/// [`Picture`](crate::Error::Picture) (too small, or the file to start from), [`Weights`](crate::Error::Weights),
/// [`Memory`](crate::Error::Memory). A run that diverges is no `Err`: its last finite picture is
/// in the [`Outcome`] with [`End::Diverged`].
///
/// # Examples
/// ```no_run
/// use std::ops::ControlFlow;
/// use impasto::{Config, picture, stylize};
///
/// let config = Config { size: 256, ..Config::default() };
/// let content = picture::load("photo.jpg".as_ref(), config.max_pixels)?;
/// let style = picture::load("painting.jpg".as_ref(), config.max_pixels)?;
/// let outcome = stylize(&config, &content, &style, |step| {
///     eprintln!("{}/{}: {}", step.iteration, step.iterations, step.total);
///     ControlFlow::Continue(())
/// })?;
/// picture::save(&outcome.picture, "out.png".as_ref(), &Default::default())?;
/// # Ok::<(), impasto::Error>(())
/// ```
pub fn stylize(
    config: &Config,
    content: &Picture,
    style: &Picture,
    on_step: impl FnMut(&Step<'_>) -> ControlFlow<()> + Send,
) -> Result<Outcome> {
    config.validate()?;
    let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
    engine.stylize(config, content, style, on_step)
}
