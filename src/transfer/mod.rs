//! The optimisation loop: from a photograph and paintings to another picture.
//!
//! ```text
//!  Config, sizes, machine ──▶ Plan    what will be done: scales, iterations, algorithms, bytes
//!                              │
//!  photograph, painting ──▶ Run::new ──▶ run.step() in a loop ──▶ run.result()
//!                                         │
//!                          what it begins with                   start.rs
//!                          Canvas: variables θ ⇄ picture x       canvas.rs
//!                          Objective: losses of x, and dx
//!                          Optimizer: θ ← θ − …
//!                          Average of the iterates               average.rs
//!                          has the loss settled?                 settling.rs
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
mod painted;
pub mod plan;
mod run;
mod settling;
pub mod sizes;
mod start;
mod step;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::config::Config;
use crate::error::Result;
use crate::picture::Picture;

pub use checkpoint::Checkpoint;
pub use engine::Engine;
pub use forecast::Seconds;
pub use inputs::{Inputs, WithoutStyles};
pub use memory::{Memory, budget};
pub use painted::Group;
pub use plan::{Machine, Plan, Scale};
pub use run::Run;
pub use sizes::{Regions, Sizes, Style, StyleSize};
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

/// Repaints `content` in the manner of several pictures: [`stylize`] for more than one.
///
/// Their statistics are blended before the first iteration, means and second moments averaged by weight, so several
/// styles take no longer than one. So are their colours, wherever the picture is matched to them. With masks in `regions`
/// that holds within each region, and every region costs an iteration some more.
///
/// # Errors
/// As [`stylize`]; [`Usage`](crate::Error::Usage) if there is no style, one has no weight above 0, or masks leave something
/// of the picture to none, or nothing to one.
///
/// # Examples
/// ```
/// use std::ops::ControlFlow;
/// use impasto::{Config, Picture, Preset, Regions, Style, stylize_with};
///
/// let ramp = Picture::from_rgb(ndarray::Array3::from_shape_fn((24, 32, 3), |(y, _, _)| y as f32 / 24.0));
/// let stripes = |step| Picture::from_rgb(ndarray::Array3::from_shape_fn((32, 32, 3), |(_, x, _)| (x / step % 2) as f32));
/// let styles = [Style { weight: 3.0, ..Style::new(stripes(4)) }, Style::new(stripes(2))];
///
/// let config = Config { size: 32, iterations: Some(2), ..Preset::Paper.config() };
/// let outcome = stylize_with(&config, &ramp, &styles, &Regions::default(), |_| ControlFlow::Continue(()))?;
/// assert_eq!((outcome.picture.height(), outcome.picture.width()), (24, 32));
/// # Ok::<(), impasto::Error>(())
/// ```
pub fn stylize_with(
    config: &Config,
    content: &Picture,
    styles: &[Style],
    regions: &Regions,
    on_step: impl FnMut(&Step<'_>) -> ControlFlow<()> + Send,
) -> Result<Outcome> {
    config.validate()?;
    let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
    engine.stylize_with(config, content, styles, regions, on_step)
}
