//! A run, step by step: what is done with a [`Plan`].
//!
//! ```text
//!   Run::new ─▶ first scale ─┬─▶ step: losses, gradient = objective(picture)
//!                            │         d_θ = canvas.pull_back(gradient)
//!                            │         θ ← optimiser(θ, loss, d_θ)
//!                            │         picture = canvas.clamp(θ)
//!                            │         average ← picture
//!                            └─▶ next scale: enlarge, add detail, begin anew
//! ```

use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use super::average::Average;
use super::canvas::{Canvas, Point};
use super::colours;
use super::detail::enlarge;
use super::inputs::{Inputs, Pictures};
use super::jitter;
use super::plan::{self, Plan, Scale};
use super::settling::Settling;
use super::start;
use super::step::Step;
use crate::config::{Config, Moments};
use crate::error::{Error, Result};
use crate::kernels::reduce::BLOCK;
use crate::kernels::resample::Interpolation;
use crate::kernels::scratch;
use crate::kernels::simd::pages::prefer_huge;
use crate::objective::{Evaluation, Goal, Listener, Loss, Objective, Region, Sample, Viewer};
use crate::optim::{Optimizer, Told};
use crate::picture::Picture;
use crate::state::{Found, Saved};
use crate::tensor::{BufferPool, FeatureMap};

/// A run under way.
pub struct Run<'a> {
    config: &'a Config,
    plan: &'a Plan,
    viewer: Viewer,
    inputs: Inputs,
    /// The scale that is worked on.
    index: usize,
    state: State,
    /// Updates made, in all scales.
    iteration: u32,
    /// Iterations made at this scale, measurements included.
    done: u32,
    listener: Listener,
}

/// What is carried from iteration to iteration at one scale.
struct State {
    objective: Objective,
    canvas: Canvas,
    /// The variables, and the picture they stand for.
    point: Point,
    /// Room for their gradient.
    d_theta: Vec<f32>,
    optimizer: Optimizer,
    average: Option<Average>,
    settling: Option<Settling>,
    pool: BufferPool,
    /// Room for the picture as it is looked at, where that is shifted.
    shifted: Option<FeatureMap>,
}

impl<'a> Run<'a> {
    /// A run before its first iteration.
    ///
    /// # Errors
    /// [`Error::Picture`] if the file to start from cannot be read.
    pub fn new(config: &'a Config, plan: &'a Plan, viewer: impl Into<Viewer>, mut inputs: Inputs) -> Result<Self> {
        let (scale, viewer, listener) = (&plan.scales[0], viewer.into(), Listener::default());
        let pictures = inputs.next();
        let first = start::picture(config, plan, &pictures)?;
        let canvas = plan::canvas(config, scale);
        let objective = pictures.objective(plan, plan.goal_at(0), &viewer, 0, &listener).expect("nobody cancels");
        let optimizer = plan.method.build(canvas.variables());
        let state = State::new(config, objective, first, canvas, optimizer);
        Ok(Run { config, plan, viewer, inputs, index: 0, state, iteration: 0, done: 0, listener })
    }

    /// Keeps everything that later iterations depend on. A run that takes it up makes the same picture, to the byte.
    #[must_use]
    pub fn save(&self) -> Saved<'_> {
        let (mut saved, state) = (Saved::default(), &self.state);
        saved.small("run", &(self.index, self.iteration, self.done));
        let (height, width, channels) = state.point.picture().dim();
        saved.array("picture", &[height, width, channels], state.point.picture().as_slice());
        saved.array("theta", &[state.point.variables().len()], state.point.variables());
        state.optimizer.save(&mut saved);
        state.objective.save(&mut saved);
        if let Some(average) = &state.average {
            average.save(&mut saved);
        }
        if let Some(settling) = &state.settling {
            settling.save(&mut saved);
        }
        saved
    }

    /// The run that [`Run::save`] kept, of the same configuration and pictures. The plan may have more scales.
    ///
    /// # Errors
    /// What is not there, or does not fit.
    pub fn resume(
        config: &'a Config,
        plan: &'a Plan,
        viewer: impl Into<Viewer>,
        mut inputs: Inputs,
        found: &Found,
    ) -> Result<Self, String> {
        let (index, iteration, done): (usize, u32, u32) = found.small("run")?;
        let scale = plan.scales.get(index).ok_or("it is at a scale that the run does not have")?;
        let mut pictures = inputs.next();
        for _ in plan.scales[..=index].windows(2).filter(|pair| !pair[1].continues(&pair[0])) {
            pictures = inputs.next();
        }
        let (viewer, listener) = (viewer.into(), Listener::default());
        let objective =
            pictures.objective(plan, plan.goal_at(index), &viewer, index, &listener).expect("nobody cancels");
        let state = State::load(config, plan, scale, objective, found)?;
        Ok(Run { config, plan, viewer, inputs, index, state, iteration, done, listener })
    }

    /// Makes one iteration, and after the last one a measurement; `None` when both have been made.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a loss or the gradient is not finite, [`Error::Cancelled`] if it was cancelled before
    /// it was done. The picture is that of the step before.
    pub fn step(&mut self) -> Result<Option<Step<'_>>> {
        let start = Instant::now();
        let is_last = self.index + 1 == self.plan.scales.len();
        if self.finished() {
            return Ok(None);
        }
        if !is_last && self.at_the_end_of_its_scale() {
            self.grow()?;
        }
        let scale = self.scale().clone();
        // The measurement after the last update belongs to the last scale alone.
        let measuring = self.at_the_end_of_its_scale();
        let shift = if measuring { None } else { jitter::shift(self.config, self.iteration) };
        let evaluation = self.state.evaluate(measuring, shift, &self.listener);
        let Some(evaluation) = evaluation else { return Err(Error::Cancelled) };
        if let Some(what) = not_finite(&evaluation) {
            return Err(Error::Diverged { iteration: self.iteration + 1, what });
        }
        if let Some(mut gradient) = evaluation.gradient {
            colours::project(self.config, &mut gradient);
            self.state.update(evaluation.total, gradient, scale.rate(self.done));
        }
        self.iteration += u32::from(!measuring);
        self.done = if measuring { scale.iterations + 1 } else { self.done + 1 };
        Ok(Some(Step {
            iteration: self.iteration + u32::from(measuring),
            iterations: self.plan.iterations(),
            scale: self.index as u32 + 1,
            scales: self.plan.scales.len() as u32,
            done: self.done.min(scale.iterations),
            height: scale.height,
            width: scale.width,
            content: evaluation.content,
            style: evaluation.style,
            tv: evaluation.tv,
            added: evaluation.added,
            total: evaluation.total,
            layers: evaluation.layers,
            seconds: start.elapsed().as_secs_f64(),
            last: measuring,
            state: self,
        }))
    }

    /// Minimises `weight` times a loss besides, from here on and at every scale to come. A checkpoint does not keep it, and
    /// the plan has not counted its memory.
    ///
    /// # Errors
    /// [`Error::Usage`] if the plan evaluates pictures in strips, or the weight is below 0 or no number.
    pub fn add(&mut self, weight: f64, loss: impl Loss + 'static) -> Result<()> {
        if weight.is_nan() || weight < 0.0 || self.plan.cuts.iter().any(|cut| cut.picture.is_some()) {
            return Err(Error::Usage(format!(
                "a loss of weight {weight} is added to pictures evaluated whole: give a weight of at least 0, and a smaller \
                 --size or more --max-memory where that is in strips"
            )));
        }
        self.state.objective.add(weight, Arc::new(loss));
        Ok(())
    }

    /// Tells whoever waits how far a step is, where it is cut, and lets a token end the run within one: that leaves it as
    /// it is, and it makes no more steps, and is not to be saved.
    pub fn heed(&mut self, listener: Listener) {
        self.listener = listener;
    }

    /// Whether there is nothing left to do.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.index + 1 == self.plan.scales.len() && self.done > self.scale().iterations
    }

    /// Updates made so far.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iteration
    }

    /// Where the optimiser is: the picture (H × W × 3) that the next iteration looks at.
    #[must_use]
    pub fn point(&self) -> &FeatureMap {
        self.state.point.picture()
    }

    /// θ, what the optimiser moves.
    #[must_use]
    pub fn variables(&self) -> &[f32] {
        self.state.point.variables()
    }

    /// The gradient with respect to θ that the optimiser was told last; empty before it was told any.
    #[must_use]
    pub fn gradient(&self) -> &[f32] {
        &self.state.d_theta
    }

    /// The optimiser, with its memory.
    #[must_use]
    pub fn optimizer(&self) -> &Optimizer {
        &self.state.optimizer
    }

    /// The picture so far, at the size of its scale, as the optimiser left it.
    #[must_use]
    pub fn picture(&self) -> Picture {
        Picture::from_rgb(self.state.picture().into_array())
    }

    /// The picture so far as a result: at its own size (an interrupted run may have ended at a smaller scale), its
    /// colours matched and its flats calmed if that is asked for, toned, with the content picture's opacity.
    #[must_use]
    pub fn result(self) -> Picture {
        let Run { state, inputs, .. } = self;
        inputs.into_finish().apply(Picture::from_rgb(state.into_picture().into_array()))
    }

    /// Whether its scale needs no more iterations.
    fn at_the_end_of_its_scale(&self) -> bool {
        let settled = || self.state.settling.as_ref().is_some_and(Settling::settled);
        self.done >= self.scale().iterations || self.state.optimizer.finished() || settled()
    }

    fn scale(&self) -> &Scale {
        &self.plan.scales[self.index]
    }

    /// Goes on to the next scale.
    fn grow(&mut self) -> Result<()> {
        let (config, scale) = (self.config, &self.plan.scales[self.index + 1]);
        if scale.continues(self.scale()) {
            (self.index, self.done) = (self.index + 1, 0);
            self.state.settling = config.until.map(Settling::new);
            return Ok(());
        }
        // The maps of the last scale go before those of this one come, and what kernels worked with.
        self.state.pool = BufferPool::new();
        scratch::give_back();
        let pictures = self.inputs.next();
        // Where nothing is made like the style pictures, the photograph is added in its own colours.
        let matched = config.detail > 0.0 && config.compares_style();
        let model = if matched { pictures.matched(config, self.plan) } else { pictures.content.clone() };
        let canvas = plan::canvas(config, scale);
        let (model, amount) = (FeatureMap::from_array(model.rgb), config.detail as f32);
        let first = enlarge(&self.state.picture(), &model, amount, canvas.edges());
        let (next, plan) = (self.index + 1, self.plan);
        let objective = pictures.objective(plan, plan.goal_at(next), &self.viewer, next, &self.listener);
        let objective = objective.ok_or(Error::Cancelled)?.with_added_of(&self.state.objective);
        (self.index, self.done) = (self.index + 1, 0);
        let fresh = self.plan.method.build(0);
        let optimizer = std::mem::replace(&mut self.state.optimizer, fresh);
        let optimizer = match self.plan.moments {
            Moments::Cold => optimizer.cold(canvas.variables()),
            Moments::Carried => optimizer.resampled(canvas.variables(), |moment, _| {
                self.state.canvas.resize(moment, &canvas, Interpolation::Bilinear)
            }),
        };
        self.state = State::new(config, objective, first, canvas, optimizer);
        Ok(())
    }
}

impl State {
    fn new(config: &Config, objective: Objective, picture: FeatureMap, canvas: Canvas, optimizer: Optimizer) -> Self {
        State {
            objective,
            d_theta: Vec::new(),
            average: config.average.map(|decay| Average::new(decay, picture.as_slice().len())),
            settling: config.until.map(Settling::new),
            point: Point::new(&canvas, picture),
            canvas,
            optimizer,
            pool: BufferPool::advised(prefer_huge),
            shifted: None,
        }
    }

    fn load(
        config: &Config,
        plan: &Plan,
        scale: &Scale,
        mut objective: Objective,
        found: &Found,
    ) -> Result<Self, String> {
        let canvas = plan::canvas(config, scale);
        let (height, width) = (scale.height, scale.width);
        let picture = FeatureMap::from_vec(height, width, 3, found.array("picture", &[height, width, 3])?);
        let theta: Vec<f32> = found.array("theta", &[canvas.variables()])?;
        objective.load(found)?;
        let average = config.average.map(|decay| Average::load(decay, picture.as_slice().len(), found));
        Ok(State {
            objective,
            d_theta: Vec::new(),
            optimizer: plan.method.load(theta.len(), found)?,
            average: average.transpose()?,
            settling: config.until.map(|until| Settling::load(until, found)).transpose()?,
            point: Point::of(&canvas, theta, picture),
            canvas,
            pool: BufferPool::advised(prefer_huge),
            shifted: None,
        })
    }

    fn evaluate(&mut self, measuring: bool, shift: Option<(usize, usize)>, listener: &Listener) -> Option<Evaluation> {
        if measuring {
            // A line search's last trial is not what the run returns.
            self.point.show(&self.canvas, self.optimizer.accepted());
        }
        let gradient = (!measuring).then(|| self.canvas.gradient(std::mem::take(&mut self.d_theta)));
        let Some(shift) = shift else {
            return self.objective.run(self.point.picture(), gradient, &mut self.pool, listener);
        };
        let shifted = self.shifted.get_or_insert_with(|| self.point.picture().clone());
        jitter::shift_into(self.point.picture(), shift, shifted);
        let mut evaluation = self.objective.run(shifted, gradient, &mut self.pool, listener)?;
        if let Some(gradient) = &mut evaluation.gradient {
            // What was the picture's room is free.
            jitter::shift_back(gradient, shift, shifted);
        }
        Some(evaluation)
    }

    fn update(&mut self, loss: f64, mut gradient: FeatureMap, rate: f64) {
        if matches!(self.optimizer, Optimizer::Lbfgs(_)) && self.canvas.levels().len() > 1 {
            hold(&mut gradient, self.point.picture());
        }
        self.d_theta = self.canvas.pull_back(gradient);
        let told = self.optimizer.tell(self.point.variables_mut(), loss, &self.d_theta, rate);
        if let Some(settling) = self.settling.as_mut().filter(|_| told == Told::Accepted) {
            settling.add(loss);
        }
        let mut average = self.average.as_mut().filter(|_| told == Told::Accepted);
        // Adam's next point is its next iterate. A line search's is a trial, and what it accepts has been evaluated.
        if let (Some(average), Optimizer::Lbfgs(lbfgs)) = (&mut average, &self.optimizer) {
            average.add(self.point.evaluated(lbfgs.iterate()));
        }
        self.point.settle(&self.canvas);
        if let (Some(average), Optimizer::Adam(_)) = (average, &self.optimizer) {
            average.add(self.point.picture().as_slice());
        }
    }

    /// What the run would return: the average if there is one, else the last iterate.
    fn picture(&self) -> FeatureMap {
        let mut picture = self.point.picture().clone();
        match self.average.as_ref().filter(|average| !average.is_empty()) {
            Some(average) => average.write(&mut picture),
            None => {
                let theta = self.optimizer.accepted().unwrap_or(self.point.variables());
                self.canvas.show(theta, &mut picture);
            }
        }
        picture
    }

    /// The same, with everything else given up.
    fn into_picture(mut self) -> FeatureMap {
        drop((self.objective, self.pool, self.d_theta));
        if let Some(average) = self.average.filter(|average| !average.is_empty()) {
            let mut picture = self.point.into_picture();
            average.write(&mut picture);
            return picture;
        }
        self.point.show(&self.canvas, self.optimizer.accepted());
        self.point.into_picture()
    }
}

/// Makes the gradient 0 where a value is at 0 or 1 and would leave: no level of a pyramid can say so for itself, and a
/// line search must not expect to gain there.
fn hold(gradient: &mut FeatureMap, picture: &FeatureMap) {
    let pairs = gradient.as_mut_slice().par_chunks_mut(BLOCK).zip_eq(picture.as_slice().par_chunks(BLOCK));
    pairs.for_each(|(gradient, picture)| {
        for (d, &x) in gradient.iter_mut().zip(picture) {
            if (x <= 0.0 && *d > 0.0) || (x >= 1.0 && *d < 0.0) {
                *d = 0.0;
            }
        }
    });
}

impl Inputs {
    /// What is minimised at the last scale, with another goal than the plan's.
    #[must_use]
    pub fn objective(&self, plan: &Plan, viewer: &Viewer, goal: Goal) -> Objective {
        let last = plan.scales.len() - 1;
        self.last().clone().objective(plan, goal, viewer, last, &Listener::default()).expect("nobody cancels")
    }
}

impl Pictures {
    /// What is minimised at a scale of the plan, with this goal.
    fn objective(
        self,
        plan: &Plan,
        goal: Goal,
        viewer: &Viewer,
        index: usize,
        listener: &Listener,
    ) -> Option<Objective> {
        let map = |picture: Picture| FeatureMap::from_array(picture.rgb);
        let mut parts = self.parts.into_iter().flatten();
        let mut styles: Vec<_> = self.styles.into_iter().zip(self.style_masks).map(Some).collect();
        let regions = plan.groups.iter().map(|group| {
            let sample = |&(index, share): &(usize, f64)| {
                let (picture, mask): (Picture, _) = styles[index].take().expect("a style is of one region");
                Sample { share, picture: map(picture), mask }
            };
            Region { mask: parts.next(), styles: group.styles.iter().map(sample).collect() }
        });
        let regions = regions.collect();
        Objective::cut(viewer.clone(), goal, map(self.content), regions, plan.cuts[index], &listener.cancel)
    }
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
        let all = |f: fn(f32) -> f32| gradient.as_slice().par_iter().all(|&g| f(g).is_finite());
        // Adam divides by the root of g²: where that overflows, the picture would stand still without a word.
        let what = if !all(|g| g) { "the picture's gradient" } else { "the square of the picture's gradient" };
        (!all(|g| g * g)).then(|| what.to_owned())
    })
}
