//! Whole runs: what a picture takes from nothing, with weights, plan, every scale and the finish. Files alone are left
//! out, since they are no part of the work.
//!
//! Nobody who makes one picture has warmed anything up for it, so neither does this. How long a run takes depends on
//! sizes and not on what is in the pictures, which are those of the [`step`](super::step).

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Instant;

use super::row::{Kind, Row};
use super::sample::Sample;
use super::step::{TestPicture, test_picture};
use crate::config::{Config, Precision, Preset};
use crate::error::Result;
use crate::kernels::conv::Algorithm;
use crate::limits::{peak_memory, reset_peak_memory};
use crate::picture::Picture;
use crate::transfer::{End, Engine};

/// The presets that are timed.
pub(super) const PRESETS: [Preset; 2] = [Preset::Fast, Preset::Default];

/// Runs so many times with a configuration, on square pictures of its size.
pub(super) fn whole(config: &Config, repeats: usize) -> Result<Row> {
    let side = config.size as usize;
    let [content, style] = [TestPicture::Content, TestPicture::Style]
        .map(|kind| Picture::from_rgb(test_picture(side, side, kind).view().to_owned()));
    reset_peak_memory();
    let mut seconds = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let start = Instant::now();
        let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
        let outcome = engine.stylize(config, &content, &style, |_| ControlFlow::Continue(()))?;
        if let End::Diverged(error) = outcome.end {
            return Err(error);
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(Row {
        kind: Kind::Picture,
        name: config.preset.name().into(),
        direction: String::new(),
        map: [side, side],
        channels: [3, 3],
        algorithm: config.conv_algorithm.map_or("chosen", Algorithm::name).into(),
        forced: config.conv_algorithm.is_some(),
        precision: config.precision.dtype().name().into(),
        threads: config.threads,
        work: 1,
        seconds: Sample::new(seconds),
        peak: None,
        error: None,
        memory: peak_memory(),
        losses: Vec::new(),
    })
}

/// The configuration of a run.
pub(super) fn config(
    preset: Preset,
    side: usize,
    precision: Precision,
    threads: usize,
    requested: Option<Algorithm>,
) -> Config {
    let size = side.try_into().unwrap_or(u32::MAX);
    Config { size, precision, threads, conv_algorithm: requested, ..preset.config() }
}
