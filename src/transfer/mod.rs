//! The optimisation loop: from two pictures to a third.
//!
//! ```text
//! for each scale, small to large (schedule.rs):
//!     content, style ──resize──▶ Objective: what is wanted
//!     picture, Adam's moments ──resize──▶ where the last scale ended
//!     for each iteration:
//!         losses, gradient = objective(picture)      measured, reported
//!         picture = clamp(adam(picture, gradient))   updated
//!         average = ½-life average of the pictures   (if asked for)
//! tone, alpha
//! ```
//!
//! The loop knows no terminal and no file: it emits a [`Step`] per iteration to
//! a callback, which may stop it.

pub mod calm;
pub mod canvas;
pub mod detail;
mod memory;
mod schedule;
mod state;
mod step;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::config::{Config, Init};
use crate::error::{Error, Result};
use crate::kernels::simd::pages::prefer_huge;
use crate::objective::{Evaluation, Objective};
use crate::picture::{self, Picture};
use crate::tensor::{FeatureMap, Pool};
use crate::vgg::network::Options;
use crate::vgg::{Layer, SMALLEST_SIDE, Vgg, Weights};

pub use memory::estimate as estimate_memory;
pub use schedule::{Scale, scales};
use state::State;
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
/// Everything that can be known before the first iteration: [`Error::Usage`],
/// [`Error::Picture`] (too small, or the file to start from), [`Error::Weights`],
/// [`Error::Memory`]. A run that diverges is no `Err`: its last finite picture is
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
    let threads = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build();
    let threads =
        threads.map_err(|e| Error::Usage(format!("--threads {}: {e}; give a smaller number", config.threads)))?;
    threads.install(|| run(config, content, style, on_step))
}

fn run(
    config: &Config,
    content: &Picture,
    style: &Picture,
    mut on_step: impl FnMut(&Step<'_>) -> ControlFlow<()>,
) -> Result<Outcome> {
    let scales = scales(config, content.height(), content.width());
    let last = scales.last().expect("there is always one scale");
    for (what, height, width) in
        [("the result", last.height, last.width), ("the style picture", style.height(), style.width())]
    {
        if height.min(width) < SMALLEST_SIDE {
            return Err(Error::Usage(format!(
                "{what} would be {width}×{height} pixels; give a --size that leaves at least {SMALLEST_SIDE} on each side"
            )));
        }
    }
    let weights = Weights::load(config.weights.as_deref())?;
    let options = Options {
        pooling: config.pooling,
        border: config.border,
        precision: config.precision.dtype(),
        algorithm: config.conv_algorithm,
    };
    let vgg = Arc::new(Vgg::new(&weights, deepest_layer(config), options)?);
    drop(weights);
    memory::check(config, &vgg, &scales, style)?;

    let mut state = State::new(config, initial(config, content, &scales[0])?);
    let mut end = End::Finished;
    let mut iteration = 0;
    for (index, scale) in scales.iter().enumerate() {
        let is_last = index + 1 == scales.len();
        state = state.at_scale(scale.height, scale.width);
        let objective = objective(config, &vgg, content, style, scale, last);
        let mut pool = Pool::advised(prefer_huge);
        // The measurement after the last update belongs to the last scale alone.
        for i in 0..scale.iterations + u32::from(is_last) {
            let measuring = i == scale.iterations;
            let start = Instant::now();
            let evaluation = if measuring {
                objective.measure(state.picture(), &mut pool)
            } else {
                objective.evaluate(state.picture(), &mut pool)
            };
            if let Some(what) = not_finite(&evaluation) {
                end = End::Diverged(Error::Diverged { iteration: iteration + 1, what });
                break;
            }
            if let Some(gradient) = &evaluation.gradient {
                state.update(gradient);
            }
            iteration += u32::from(!measuring);
            let step = Step {
                iteration: iteration + u32::from(measuring),
                iterations: config.iterations,
                scale: index as u32 + 1,
                scales: scales.len() as u32,
                height: scale.height,
                width: scale.width,
                content: evaluation.content,
                style: evaluation.style,
                tv: evaluation.tv,
                total: evaluation.total,
                layers: &evaluation.layers,
                seconds: start.elapsed().as_secs_f64(),
                last: measuring,
                result: &|| state.result(),
            };
            if on_step(&step).is_break() && !measuring {
                end = End::Stopped;
                break;
            }
            if let Some(gradient) = evaluation.gradient {
                pool.put(gradient.into_buffer());
            }
        }
        if !matches!(end, End::Finished) {
            break;
        }
    }
    let picture = finish(config, state, content, style, last);
    Ok(Outcome { picture, iterations: iteration, end })
}

/// The deepest layer whose loss is computed; losses of weight 0 are measured too.
fn deepest_layer(config: &Config) -> Layer {
    let layers = config.content_layers.iter().chain(&config.style_layers).map(|l| l.layer);
    layers.max().unwrap_or(Layer::relu(1, 1))
}

/// The picture the optimisation starts from, at the first scale.
fn initial(config: &Config, content: &Picture, scale: &Scale) -> Result<Picture> {
    let (height, width) = (scale.height, scale.width);
    Ok(match &config.init {
        Init::Content => content.resize(height, width),
        Init::File(path) => picture::load(path, config.max_pixels)?.resize(height, width),
        Init::Noise => {
            let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
            Picture::from_rgb(ndarray::Array3::from_shape_simple_fn((height, width, 3), || rng.random::<f32>()))
        }
    })
}

fn objective(
    config: &Config,
    vgg: &Arc<Vgg>,
    content: &Picture,
    style: &Picture,
    scale: &Scale,
    end: &Scale,
) -> Objective {
    let content = content.resize(scale.height, scale.width);
    let (style_height, style_width) = schedule::style_size(config, style.height(), style.width(), scale, end);
    let style = style.resize(style_height, style_width);
    Objective::new(vgg.clone(), config, &FeatureMap::from_array(&content.rgb), &FeatureMap::from_array(&style.rgb))
}

fn not_finite(evaluation: &Evaluation) -> Option<String> {
    let losses = [
        ("the content loss", evaluation.content),
        ("the style loss", evaluation.style),
        ("the total variation", evaluation.tv),
        ("the total loss", evaluation.total),
    ];
    let loss = losses.iter().find(|(_, value)| !value.is_finite()).map(|(name, _)| (*name).to_owned());
    loss.or_else(|| {
        let gradient = evaluation.gradient.as_ref()?;
        let all = |f: fn(f32) -> f32| gradient.as_slice().iter().all(|&g| f(g).is_finite());
        // Adam divides by the root of g²: where that overflows, the picture would stand still without a word.
        let what = if !all(|g| g) { "the picture's gradient" } else { "the square of the picture's gradient" };
        (!all(|g| g * g)).then(|| what.to_owned())
    })
}

/// The result at its own size (an interrupted run may have ended at a smaller scale), toned, with the content's alpha.
fn finish(config: &Config, state: State, content: &Picture, style: &Picture, last: &Scale) -> Picture {
    let mut result = state.result().resize(last.height, last.width);
    picture::tone::adjust(&mut result, config.tone, content, style);
    result.alpha = content.resize(last.height, last.width).alpha;
    result
}
