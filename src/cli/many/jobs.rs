//! How many pictures side by side: as many as make most pictures in a time, by a few iterations of the first one.
//!
//! A large picture keeps every core busy. A small one has too little work between two points where its threads wait for
//! each other, and several of them, each on fewer threads, are done sooner. Where the one ends and the other begins
//! depends on the machine, so that is tried: one at a time, two, four, and so on, as long as it gets better. Every picture
//! has the same bytes whatever comes of it.

use std::num::NonZeroUsize;
use std::thread;

use impasto::config::Config;
use impasto::transfer::{self, Machine, Plan, Seconds};
use impasto::{Engine, Error, Result};

use super::Jobs;
use crate::cli::job::Job;

/// Side by side is to be faster by so much: a measurement may be off by some of it.
const CLEARLY: f64 = 1.05;

/// The number that was asked for, or the one that is fastest for `pictures` pictures like that of a job. The engine's
/// threads are left in any order.
///
/// # Errors
/// Those of an engine.
pub fn choose(asked: Option<Jobs>, engine: &mut Engine, job: &Job, pictures: usize) -> Result<usize> {
    if let Some(Jobs(number)) = asked {
        return Ok(number.min(pictures).max(1));
    }
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let threads = if job.config.threads == 0 { cores() } else { job.config.threads };
    let most = threads.min(pictures);
    let (mut best, mut fastest) = (1, 0.0);
    for at_once in candidates(most) {
        let Some(seconds) = seconds(engine, job, at_once)? else { break };
        let speed = at_once as f64 / seconds;
        if speed < fastest * CLEARLY {
            break;
        }
        (best, fastest) = (at_once, speed);
    }
    Ok(best)
}

/// 1, 2, 4 and so on up to `most`; nothing where there is no choice.
fn candidates(most: usize) -> impl Iterator<Item = usize> {
    let powers = std::iter::successors(Some(1), |&number: &usize| number.checked_mul(2));
    powers.take_while(move |&number| most > 1 && number < most).chain((most > 1).then_some(most))
}

/// Seconds that each of so many takes beside the others; nothing if it is cut into smaller strips than alone, or does not
/// fit.
fn seconds(engine: &mut Engine, job: &Job, at_once: usize) -> Result<Option<f64>> {
    engine.divide(job.config.threads, NonZeroUsize::new(at_once).unwrap_or(NonZeroUsize::MIN))?;
    let engine = &*engine;
    let plan = |budget: Option<u64>| -> Result<(Config, Plan)> {
        let config = Config { max_memory: budget.or(job.config.max_memory), ..job.config.clone() };
        let plan = engine.share(|| engine.plan_of(&config, job.scales.clone(), &job.inputs))?;
        Ok((config, plan))
    };
    let (config, plan) = match (plan(None), plan(budget(&job.config, at_once))) {
        (Ok((_, alone)), Ok((config, beside))) if alone.cuts == beside.cuts => (config, beside),
        (_, Err(Error::Memory(_)) | Ok(_)) | (Err(_), _) => return Ok(None),
        (_, Err(error)) => return Err(error),
    };
    let forecast = || engine.share(|| engine.forecast(&config, &plan));
    let tried: Vec<Result<Vec<Seconds>>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..at_once).map(|_| scope.spawn(forecast)).collect();
        runs.into_iter().map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut slowest = f64::MIN_POSITIVE;
    for scales in tried {
        let whole = scales?.iter().zip(&plan.scales).map(|(scale, planned)| scale.of(planned.iterations)).sum();
        slowest = f64::max(slowest, whole);
    }
    Ok(Some(slowest))
}

/// The memory that each of so many may have; alone, one has what it would have by itself.
pub fn budget(config: &Config, at_once: usize) -> Option<u64> {
    (at_once > 1).then(|| transfer::budget(config, Machine::detect()) / at_once as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_grows_by_two_up_to_the_most() {
        let tried = |most: usize| candidates(most).collect::<Vec<_>>();
        assert!(tried(1).is_empty());
        assert_eq!(tried(2), [1, 2]);
        assert_eq!(tried(6), [1, 2, 4, 6]);
        assert_eq!(tried(16), [1, 2, 4, 8, 16]);
    }

    #[test]
    fn each_has_its_part_of_the_memory() {
        let config = Config { max_memory: Some(800), ..Config::default() };
        assert_eq!((budget(&config, 1), budget(&config, 4)), (None, Some(200)));
    }
}
