//! What runs have in common: the network, packed once, and the threads.
//!
//! Packing VGG's filters for the kernels takes a third of a second and a hundred megabytes. Who makes many pictures,
//! one after the other or at once, does it once, and may let what is learned of a painting be kept for all of them.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::checkpoint::Checkpoint;
use super::forecast::{self, Seconds};
use super::inputs::Inputs;
use super::memory;
use super::plan::{self, Machine, Plan, Scale};
use super::run::Run;
use super::sizes::{Regions, Sizes, Style};
use super::step::{End, Outcome, Step};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernels::conv::Choice;
use crate::objective::Viewer;
use crate::picture::Picture;
use crate::vgg::{Architecture, Layer, Vgg, VggOptions, Weights};

/// The network and the threads of any number of runs. Threads of a program may share it, and run at once.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::ops::ControlFlow;
/// use impasto::{Config, Engine, Picture, Preset};
///
/// let ramp = Picture::from_rgb(ndarray::Array3::from_shape_fn((24, 32, 3), |(y, _, _)| y as f32 / 24.0));
/// let stripes = Picture::from_rgb(ndarray::Array3::from_shape_fn((32, 32, 3), |(_, x, _)| (x / 4 % 2) as f32));
/// let config = Config { size: 32, iterations: Some(2), ..Preset::Paper.config() };
///
/// let engine = Engine::new(None, 2, NonZeroUsize::new(2).unwrap())?;
/// let pictures = std::thread::scope(|scope| {
///     let run = || engine.stylize(&config, &ramp, &stripes, |_| ControlFlow::Continue(())).map(|run| run.picture);
///     [scope.spawn(run), scope.spawn(run)].map(|run| run.join().unwrap().unwrap())
/// });
/// assert!(pictures[0] == pictures[1]);
/// # Ok::<(), impasto::Error>(())
/// ```
pub struct Engine {
    /// The weights' file; `None` for those in the binary.
    source: Option<PathBuf>,
    architecture: Architecture,
    /// The weights until a network is made of them: they are as large again.
    weights: Mutex<Option<Weights>>,
    networks: Mutex<Vec<(Network, Viewer)>>,
    /// Threads that no run has, a share of the cores each.
    pools: Mutex<Vec<ThreadPool>>,
    returned: Condvar,
    /// Runs at once.
    at_once: NonZeroUsize,
    /// Bytes for each of them in which what is learned of style pictures is kept.
    remembered: u64,
}

/// What decides how the weights are packed.
type Network = (Vec<(Layer, Choice)>, VggOptions);

impl Engine {
    /// An engine with the weights of a file, or those in the binary, and `threads` threads (0: one for each core), of
    /// which each of `at_once` runs gets its share, at least one. A run that finds no share left waits for one.
    ///
    /// # Errors
    /// [`Error::Weights`]; [`Error::Usage`] if the system has not so many threads to give.
    pub fn new(weights: Option<&Path>, threads: usize, at_once: NonZeroUsize) -> Result<Self> {
        let pools = pools(threads, at_once)?;
        let source = weights.map(Path::to_owned);
        let weights = Weights::load(weights)?;
        Ok(Engine {
            source,
            architecture: weights.architecture(),
            weights: Mutex::new(Some(weights)),
            networks: Mutex::default(),
            pools: Mutex::new(pools),
            returned: Condvar::new(),
            at_once,
            remembered: 0,
        })
    }

    /// Shares the threads out anew: the network stays as it is.
    ///
    /// # Errors
    /// [`Error::Usage`] as [`Engine::new`].
    pub fn divide(&mut self, threads: usize, at_once: NonZeroUsize) -> Result<()> {
        self.pools = Mutex::new(pools(threads, at_once)?);
        self.at_once = at_once;
        Ok(())
    }

    /// Keeps what runs learn of their style pictures for those that come after them, best one style after the other: for each
    /// run at once as much as one through such scales learns, which plans count from now on.
    pub fn remember(&mut self, config: &Config, scales: &[Scale]) {
        self.remembered = memory::learned(&config.goal(), scales);
    }

    /// Does some work with a share of the threads: a [`Run`] is to be made and to make its steps in here.
    pub fn share<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let mut pools = lock(&self.pools);
        let pool = loop {
            match pools.pop() {
                Some(pool) => break pool,
                None => pools = self.returned.wait(pools).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(pools);
        let share = Share { engine: self, pool: Some(pool) };
        share.pool.as_ref().expect("taken above").install(work)
    }

    /// What a run will do, if there is memory for it. Of a configuration, the weights and the threads are not looked at:
    /// they are the engine's.
    ///
    /// # Errors
    /// Those of [`Plan::new`]; [`Error::Memory`].
    pub fn plan(&self, config: &Config, content: &Picture, style: &Picture) -> Result<Plan> {
        let size = |picture: &Picture| (picture.height(), picture.width());
        self.plan_for(config, &Sizes::new(size(content), size(style)))
    }

    /// The same with several styles and regions.
    ///
    /// # Errors
    /// As there.
    pub fn plan_with(&self, config: &Config, content: &Picture, styles: &[Style], regions: &Regions) -> Result<Plan> {
        self.plan_for(config, &Sizes::of(content, styles, regions))
    }

    /// The plan of a run on pictures that somebody has, and keeps while it goes on.
    fn plan_for(&self, config: &Config, sizes: &Sizes) -> Result<Plan> {
        let pictures = sizes.styles.iter().map(|style| style.size).chain([sizes.content]);
        let masks =
            sizes.styles.iter().filter_map(|style| style.mask).chain(sizes.masks.iter().copied()).chain(sizes.keep);
        let kept = pictures.map(|(height, width)| 4 * 3 * (height * width) as u64).sum::<u64>()
            + masks.map(|(height, width)| 4 * (height * width) as u64).sum::<u64>();
        self.plan_beside(config, plan::scales(config, sizes)?, sizes, kept)
    }

    /// The same for a run through given scales, on pictures of such sizes.
    ///
    /// # Errors
    /// Those of [`Plan::of`]; [`Error::Memory`].
    pub fn plan_of(&self, config: &Config, scales: Vec<Scale>, inputs: &Sizes) -> Result<Plan> {
        self.plan_beside(config, scales, inputs, 0)
    }

    /// The same beside what is held by others.
    fn plan_beside(&self, config: &Config, scales: Vec<Scale>, inputs: &Sizes, others: u64) -> Result<Plan> {
        let machine = Machine::detect();
        let machine = Machine { memory: machine.memory.saturating_sub(others), ..machine };
        let plan = Plan::of(config, scales, inputs, self.architecture, machine, self.remembered)?;
        memory::check(config, &plan, inputs, self.architecture, machine)?;
        Ok(plan)
    }

    /// Seconds that each scale of a plan takes, from a few iterations of small pictures: to be called in a
    /// [share](Engine::share) of the threads.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub fn forecast(&self, config: &Config, plan: &Plan) -> Result<Vec<Seconds>> {
        forecast::seconds(config, plan, self.viewer(plan)?.vgg())
    }

    /// A run before its first iteration.
    ///
    /// # Errors
    /// Those of [`Run::new`]; [`Error::Weights`].
    pub fn begin<'a>(&self, config: &'a Config, plan: &'a Plan, inputs: Inputs) -> Result<Run<'a>> {
        Run::new(config, plan, self.viewer(plan)?, inputs)
    }

    /// A run as it was when it was put away.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if that was another one; [`Error::Weights`].
    pub fn resume<'a>(
        &self,
        checkpoint: &Checkpoint,
        config: &'a Config,
        plan: &'a Plan,
        inputs: Inputs,
    ) -> Result<Run<'a>> {
        Run::resume(config, plan, self.viewer(plan)?, inputs, checkpoint.found())
            .map_err(|cause| checkpoint.error(format!("{cause}; begin anew with impasto stylize")))
    }

    /// The digest of the weights' file, for [`Digests`](super::checkpoint::Digests).
    ///
    /// # Errors
    /// [`Error::Weights`] if it has gone.
    pub fn weights_digest(&self) -> Result<String> {
        match &*lock(&self.weights) {
            Some(weights) => Ok(weights.digest()),
            None => Ok(Weights::load(self.source.as_deref())?.digest()),
        }
    }

    /// Repaints `content` in the manner of `style`, as [`stylize`](super::stylize) does.
    ///
    /// # Errors
    /// As there.
    pub fn stylize(
        &self,
        config: &Config,
        content: &Picture,
        style: &Picture,
        on_step: impl FnMut(&Step<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Outcome> {
        let plan = || self.plan(config, content, style);
        self.run(config, plan, |plan| Ok(Inputs::new(config, plan, content, style)), on_step)
    }

    /// Repaints `content` in the manner of several styles, as [`stylize_with`](super::stylize_with) does.
    ///
    /// # Errors
    /// As there.
    pub fn stylize_with(
        &self,
        config: &Config,
        content: &Picture,
        styles: &[Style],
        regions: &Regions,
        on_step: impl FnMut(&Step<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Outcome> {
        let plan = || self.plan_with(config, content, styles, regions);
        self.run(config, plan, |plan| Inputs::all(config, plan, content, styles, regions), on_step)
    }

    fn run(
        &self,
        config: &Config,
        plan: impl FnOnce() -> Result<Plan> + Send,
        inputs: impl FnOnce(&Plan) -> Result<Inputs> + Send,
        mut on_step: impl FnMut(&Step<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Outcome> {
        self.share(|| {
            let plan = plan()?;
            let mut run = self.begin(config, &plan, inputs(&plan)?)?;
            let end = loop {
                match run.step() {
                    Ok(Some(step)) => {
                        if on_step(&step).is_break() && !step.last {
                            break End::Stopped;
                        }
                    }
                    Ok(None) => break End::Finished,
                    Err(error) => break End::Diverged(error),
                }
            };
            Ok(Outcome { iterations: run.iterations(), picture: run.result(), end })
        })
    }

    /// The network as a plan wants it, and what is known of style pictures by it.
    fn viewer(&self, plan: &Plan) -> Result<Viewer> {
        let viewer = self.network(plan)?;
        viewer.give_room(self.at_once.get() as u64 * self.remembered);
        Ok(viewer)
    }

    /// The network as a plan wants it.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub fn network(&self, plan: &Plan) -> Result<Viewer> {
        // Held while the filters are packed, so that nobody packs the same beside it.
        let mut networks = lock(&self.networks);
        let wanted = (&plan.convolutions, &plan.network);
        if let Some((_, viewer)) =
            networks.iter().find(|((convolutions, options), _)| (convolutions, options) == wanted)
        {
            return Ok(viewer.clone());
        }
        let kept = lock(&self.weights).take();
        let weights = kept.map_or_else(|| Weights::load(self.source.as_deref()), Ok)?;
        let viewer = Viewer::from(Arc::new(Vgg::planned(&weights, &plan.convolutions, plan.network)?));
        networks.push(((plan.convolutions.clone(), plan.network), viewer.clone()));
        Ok(viewer)
    }
}

/// Threads in use, which go back whatever ends the run.
struct Share<'a> {
    engine: &'a Engine,
    pool: Option<ThreadPool>,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        lock(&self.engine.pools).extend(self.pool.take());
        self.engine.returned.notify_one();
    }
}

/// So many threads (0: one for each core) in shares for so many runs, at least one thread in each.
fn pools(threads: usize, at_once: NonZeroUsize) -> Result<Vec<ThreadPool>> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let share = match (threads, at_once.get()) {
        // 0 is for rayon to say.
        (threads, 1) => threads,
        (0, runs) => (cores() / runs).max(1),
        (threads, runs) => (threads / runs).max(1),
    };
    let pool = || ThreadPoolBuilder::new().num_threads(share).build();
    let pools = (0..at_once.get()).map(|_| pool()).collect::<Result<_, _>>();
    pools.map_err(|e| Error::Usage(format!("--threads {threads}: {e}; give a smaller number")))
}

/// What is behind a lock is whole at any time: a run that panicked has left it so.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Preset, ScaleRule, Scales};

    /// Two sizes of small pictures.
    const RULE: [ScaleRule; 2] = [ScaleRule { size: 24, iterations: 2 }, ScaleRule { size: 48, iterations: 2 }];

    #[test]
    fn a_run_that_panics_gives_its_threads_back() {
        let engine = Engine::new(None, 1, NonZeroUsize::MIN);
        // A build without weights has no engine to try.
        let Ok(engine) = engine else { return };
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.share(|| panic!("on purpose"))));
        assert!(panics.is_err());
        assert_eq!(engine.share(|| 7), 7);
    }

    #[test]
    fn what_is_remembered_of_styles_changes_no_byte_and_is_counted() {
        let two = NonZeroUsize::new(2).expect("it is not 0");
        let (Ok(forgetful), Ok(mut engine)) = (Engine::new(None, 2, two), Engine::new(None, 2, two)) else { return };
        let picture = |height, width, length: usize| {
            let value = |(y, x, c): (usize, usize, usize)| ((x + y * (c + 1)) / length % 3) as f32 / 2.0;
            Picture::from_rgb(ndarray::Array3::from_shape_fn((height, width, 3), value))
        };
        let (contents, styles) = ([picture(24, 48, 7), picture(40, 32, 5)], [picture(30, 40, 2), picture(50, 40, 3)]);
        let config = Config { size: 0, scales: Scales::Grown(RULE.to_vec()), ..Preset::Fast.config() };
        let looks = |engine: &Engine| lock(&engine.networks).iter().map(|(_, viewer)| viewer.looks()).sum::<usize>();
        let make = |engine: &Engine, content: &Picture, style: &Picture| {
            engine.stylize(&config, content, style, |_| ControlFlow::Continue(())).unwrap().picture
        };
        let plan = |engine: &Engine| engine.plan(&config, &contents[0], &styles[0]).unwrap();
        let scales = plan(&forgetful).scales;
        engine.remember(&config, &scales);
        let remembered = scales.len() as u64 * crate::objective::learned_bytes(&config.style_layers);
        assert_eq!(plan(&engine).memory.total(), plan(&forgetful).memory.total() + remembered);
        for style in &styles {
            let pairs = contents.each_ref().map(|content| (content, make(&forgetful, content, style)));
            for again in [false, true] {
                let before = looks(&engine);
                std::thread::scope(|scope| {
                    for (content, expected) in &pairs {
                        scope.spawn(|| assert!(make(&engine, content, style) == *expected));
                    }
                });
                assert_eq!(looks(&engine) == before, again, "both sizes at both scales are remembered");
            }
        }
    }

    #[test]
    fn any_thread_may_have_it() {
        fn shared<T: Send + Sync>() {}
        shared::<Engine>();
    }
}
