//! `--time`: as many iterations as fit, decided before the first one.
//!
//! Nothing is decided by a clock once the run has begun. What the machine makes of a few iterations says how many there
//! will be; with that number the run is one like any other, and the same for everybody who is told it.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use impasto::config::Config;
use impasto::transfer::{Seconds, Sizes, plan};
use impasto::{Engine, Error, Result, picture};

use super::report::duration;

/// More iterations than anybody waits for.
const MOST: u32 = 100_000_000;

/// A run that fits.
pub struct Fitted {
    /// The engine that it was tried with, to go on with.
    pub engine: Engine,
    /// Iterations in all scales.
    pub iterations: u32,
    /// Seconds that the whole command will have taken.
    pub seconds: f64,
}

/// As many iterations as fit into `seconds` from `begun` on, on these pictures.
///
/// # Errors
/// [`Error::Usage`] if not even one does; those of a plan.
pub fn fit(config: &Config, pictures: &[&Path], sizes: &Sizes, seconds: f64, begun: Instant) -> Result<Fitted> {
    let reading = Instant::now();
    for path in pictures {
        drop(picture::open(path, config.max_pixels)?);
    }
    let reading = reading.elapsed().as_secs_f64();
    let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
    let all = plan::scales(&Config { iterations: None, ..config.clone() }, sizes)?;
    let costs = engine.share(|| engine.forecast(config, &engine.plan_of(config, all, sizes)?))?;
    let counts = |iterations: u32| -> Result<Vec<u32>> {
        let config = Config { iterations: Some(iterations), ..config.clone() };
        Ok(plan::scales(&config, sizes)?.iter().map(|scale| scale.iterations).collect())
    };
    let before = begun.elapsed().as_secs_f64() + reading;
    let takes = |iterations: u32| Ok(before + total(&costs, &counts(iterations)?));
    let Some((iterations, seconds_taken)) = most(seconds, takes)? else {
        let least = takes(1)?;
        return Err(Error::Usage(format!(
            "--time {}: one iteration of this size takes {} with all that is before it; give more time, or a smaller --size",
            duration(seconds),
            duration(least)
        )));
    };
    Ok(Fitted { engine, iterations, seconds: seconds_taken })
}

/// Seconds of a run with so many iterations in each scale: the last ones, where there are fewer scales than costs.
fn total(costs: &[Seconds], counts: &[u32]) -> f64 {
    costs[costs.len() - counts.len()..].iter().zip(counts).map(|(cost, count)| cost.of(*count)).sum()
}

/// The largest number of iterations that takes no more than `seconds`, and what it takes.
fn most(seconds: f64, takes: impl Fn(u32) -> Result<f64>) -> Result<Option<(u32, f64)>> {
    let least = takes(1)?;
    if least > seconds {
        return Ok(None);
    }
    let (mut fits, mut does_not, mut taken) = (1, MOST, least);
    while fits + 1 < does_not {
        let middle = fits + (does_not - fits) / 2;
        let takes = takes(middle)?;
        if takes <= seconds {
            (fits, taken) = (middle, takes);
        } else {
            does_not = middle;
        }
    }
    Ok(Some((fits, taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_fits_is_found_and_nothing_where_nothing_does() {
        let takes = |iterations: u32| Ok(2.0 + 0.5 * f64::from(iterations));
        assert_eq!(most(10.0, takes).unwrap(), Some((16, 10.0)));
        assert_eq!(most(10.4, takes).unwrap(), Some((16, 10.0)));
        assert_eq!(most(2.5, takes).unwrap(), Some((1, 2.5)));
        assert_eq!(most(2.4, takes).unwrap(), None);
        assert_eq!(most(1e12, takes).unwrap().unwrap().0, MOST - 1);
    }

    #[test]
    fn scales_that_are_left_out_cost_nothing() {
        let cost = |start, iteration, finish| Seconds { start, iteration, finish };
        let costs = [cost(1.0, 0.1, 0.0), cost(2.0, 0.5, 3.0)];
        assert_eq!(total(&costs, &[10, 2]), 1.0 + 1.0 + 2.0 + 1.0 + 3.0);
        assert_eq!(total(&costs, &[2]), 2.0 + 1.0 + 3.0);
    }
}
