//! How long a run will take, from a few iterations of smaller ones.
//!
//! Almost all of an iteration is convolutions, whose work is proportional to the picture's pixels; beside them small
//! pictures have matrices that do not shrink with them. So small scales are tried as they are, and of a large one a part:
//! as many pixels as say how long each takes. What is evaluated in strips is tried in strips as high.

use std::sync::Arc;
use std::time::Instant;

use ndarray::{Array2, Array3};

use super::inputs::Inputs;
use super::plan::{Plan, Scale};
use super::run::Run;
use crate::config::{Config, Init};
use crate::error::Result;
use crate::objective::{Cut, Statistic};
use crate::picture::{Mask, Picture};
use crate::vgg::{SMALLEST_SIDE, Vgg};

/// Pixels of the largest picture that is tried.
const PIXELS: f64 = 150_000.0;

/// Rows of the lowest picture that is tried in strips: of fewer, deep maps would have less than a tile's.
const HEIGHT: usize = 128;

/// Seconds of a scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// Before its first iteration.
    pub start: f64,
    /// For each of them.
    pub iteration: f64,
    /// To make the result, where it is the last.
    pub finish: f64,
}

impl Seconds {
    /// Of so many iterations.
    #[must_use]
    pub fn of(self, iterations: u32) -> f64 {
        self.start + self.iteration * f64::from(iterations) + self.finish
    }

    fn times(self, share: f64) -> Self {
        Seconds { start: share * self.start, iteration: share * self.iteration, finish: share * self.finish }
    }
}

/// Seconds that each scale of a plan takes on this machine, with these threads.
pub(super) fn seconds(config: &Config, plan: &Plan, vgg: &Arc<Vgg>) -> Result<Vec<Seconds>> {
    let mut tried: Vec<(Scale, Cut, Seconds)> = Vec::new();
    let scales = plan.scales.iter().zip(&plan.cuts).enumerate().map(|(index, (scale, &cut))| {
        let part = part(scale, cut);
        let pixels = part.pixels() as f64;
        let known = tried.iter().find(|(other, theirs, _)| (other, *theirs) == (&part, cut));
        let seconds = match known {
            Some((.., seconds)) => *seconds,
            None => {
                let seconds = attempt(config, plan, vgg, &part, cut)?;
                tried.push((part, cut, seconds));
                seconds
            }
        };
        let share = scale.pixels() as f64 / pixels;
        let finish = if index + 1 == plan.scales.len() { seconds.finish } else { 0.0 };
        Ok(Seconds { finish, ..seconds }.times(share))
    });
    scales.collect()
}

/// The part of a scale that is tried: in proportion, or as wide as may be where it is in strips.
fn part(scale: &Scale, cut: Cut) -> Scale {
    let pixels = scale.pixels() as f64;
    let whole = |side: usize, factor: f64| ((side as f64 * factor) as usize).max(SMALLEST_SIDE);
    let (height, width) = match cut.picture {
        None => {
            let factor = (PIXELS / pixels).sqrt().min(1.0);
            (whole(scale.height, factor), whole(scale.width, factor))
        }
        Some(rows) => {
            let height = (2 * rows).max(HEIGHT).min(scale.height);
            (height, whole(scale.width, (2.0 * PIXELS / (height * scale.width) as f64).min(1.0)))
        }
    };
    let factor = ((height * width) as f64 / pixels).sqrt();
    let styles = scale.styles.iter().map(|style| (whole(style.0, factor), whole(style.1, factor))).collect();
    // What does not decide how long an iteration takes is the same for all, so that as few as possible are tried.
    Scale { height, width, styles, iterations: 1, rate_end: 1.0, content_weight: 1.0 }
}

fn attempt(config: &Config, plan: &Plan, vgg: &Arc<Vgg>, part: &Scale, cut: Cut) -> Result<Seconds> {
    // Some evaluations make new transports, and others do not.
    let cycle = if plan.goal.statistic == Statistic::Wasserstein { config.refresh } else { 1 };
    let scale = Scale { iterations: 1 + 2 * cycle, ..part.clone() };
    let config = Config { init: Init::Content, until: None, ..config.clone() };
    let plan = Plan { scales: vec![scale], cuts: vec![cut], ..plan.clone() };
    let scale = &plan.scales[0];
    let inputs = Inputs::of(&config, &plan, &waves(scale.height, scale.width));
    // How long it takes does not depend on what is masked.
    let stripe =
        |region| Mask::new(Array2::from_shape_fn((1, plan.masks + 1), |(_, x)| f32::from(u8::from(x == region))));
    let inputs = scale.styles.iter().fold(inputs, |inputs, style| inputs.with(&waves(style.0, style.1), None));
    let inputs = (0..plan.masks).fold(inputs, |inputs, region| inputs.region(&stripe(region)));
    let left = Mask::new(Array2::zeros((1, 1)));
    let inputs = if plan.keeps { inputs.keep(&left) } else { inputs }.done()?;
    let begun = Instant::now();
    let mut run = Run::new(&config, &plan, vgg.clone(), inputs)?;
    let mut iterations = Vec::new();
    while let Some(step) = run.step()?.filter(|step| !step.last) {
        iterations.push(step.seconds);
        if iterations.len() == scale.iterations as usize {
            break;
        }
    }
    let whole = begun.elapsed().as_secs_f64();
    // The machine may have been busy with something else during one of the cycles.
    let cycles = iterations[1..].chunks_exact(cycle as usize).map(|cycle| cycle.iter().sum::<f64>());
    let iteration = cycles.fold(f64::INFINITY, f64::min) / f64::from(cycle);
    let start = (whole - iterations[1..].iter().sum::<f64>() - iteration).max(0.0);
    let begun = Instant::now();
    drop(run.result());
    Ok(Seconds { start, iteration, finish: begun.elapsed().as_secs_f64() })
}

/// Any picture: how long it takes does not depend on what is to be seen.
fn waves(height: usize, width: usize) -> Picture {
    let wave =
        |(y, x, c): (usize, usize, usize)| 0.5 + 0.4 * (0.1 * (y * (c + 1)) as f32).sin() * (0.17 * x as f32).cos();
    Picture::from_rgb(Array3::from_shape_fn((height, width, 3), wave))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_is_small_and_has_the_proportions_or_the_strips_of_what_it_stands_for() {
        let scale = |height, width| Scale {
            height,
            width,
            styles: vec![(height, 2 * width)],
            iterations: 7,
            rate_end: 0.5,
            content_weight: 2.0,
        };
        let whole = Cut::default();
        let small = part(&scale(96, 128), whole);
        assert_eq!((small.height, small.width, small.styles), (96, 128, vec![(96, 256)]));
        let large = part(&scale(3000, 4000), whole);
        assert_eq!((large.height, large.width, large.styles), (335, 447, vec![(335, 893)]));
        let strips = part(&scale(3000, 4000), Cut { picture: Some(16), style: None });
        assert_eq!((strips.height, strips.width), (128, 2343));
        let high = part(&scale(3000, 4000), Cut { picture: Some(512), style: None });
        assert_eq!((high.height, high.width), (1024, 292));
        let tower = part(&scale(60_000, 20), whole);
        assert_eq!((tower.height, tower.width), (21_213, 16));
    }
}
