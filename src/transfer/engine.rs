//! What runs have in common: the network, packed once, and the threads.
//!
//! Packing VGG's filters for the kernels takes a third of a second and a hundred megabytes. Who makes many pictures,
//! one after the other or at once, does it once.

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
    networks: Mutex<Vec<(Network, Arc<Vgg>)>>,
    /// Threads that no run has, a share of the cores each.
    pools: Mutex<Vec<ThreadPool>>,
    returned: Condvar,
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
        })
    }

    /// Shares the threads out anew: the network stays as it is.
    ///
    /// # Errors
    /// [`Error::Usage`] as [`Engine::new`].
    pub fn divide(&mut self, threads: usize, at_once: NonZeroUsize) -> Result<()> {
        self.pools = Mutex::new(pools(threads, at_once)?);
        Ok(())
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
        let plan = Plan::of(config, scales, inputs, self.architecture, machine)?;
        memory::check(config, &plan, inputs, self.architecture, machine)?;
        Ok(plan)
    }

    /// Seconds that each scale of a plan takes, from a few iterations of small pictures: to be called in a
    /// [share](Engine::share) of the threads.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub fn forecast(&self, config: &Config, plan: &Plan) -> Result<Vec<Seconds>> {
        forecast::seconds(config, plan, &self.network(plan)?)
    }

    /// A run before its first iteration.
    ///
    /// # Errors
    /// Those of [`Run::new`]; [`Error::Weights`].
    pub fn begin<'a>(&self, config: &'a Config, plan: &'a Plan, inputs: Inputs) -> Result<Run<'a>> {
        Run::new(config, plan, self.network(plan)?, inputs)
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
        Run::resume(config, plan, self.network(plan)?, inputs, checkpoint.found())
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

    /// The network as a plan wants it.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub fn network(&self, plan: &Plan) -> Result<Arc<Vgg>> {
        // Held while the filters are packed, so that nobody packs the same beside it.
        let mut networks = lock(&self.networks);
        let wanted = (&plan.convolutions, &plan.network);
        if let Some((_, vgg)) = networks.iter().find(|((convolutions, options), _)| (convolutions, options) == wanted) {
            return Ok(vgg.clone());
        }
        let kept = lock(&self.weights).take();
        let weights = kept.map_or_else(|| Weights::load(self.source.as_deref()), Ok)?;
        let vgg = Arc::new(Vgg::planned(&weights, &plan.convolutions, plan.network)?);
        networks.push(((plan.convolutions.clone(), plan.network), vgg.clone()));
        Ok(vgg)
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
    fn any_thread_may_have_it() {
        fn shared<T: Send + Sync>() {}
        shared::<Engine>();
    }
}
