//! One iteration of the preset `paper` as a whole: losses, the picture's
//! gradient, Adam's update.
//!
//! The pictures come from a closed formula, so that another program can make
//! them too and show by its losses that it does the same work.

use std::sync::Arc;

use super::Options;
use super::gauge::Gauge;
use super::layers::convolutions;
use super::row::{Kind, Losses, Row};
use crate::config::{Config, Precision, Preset};
use crate::error::Result;
use crate::kernels::conv::Algorithm;
use crate::kernels::simd::pages::prefer_huge;
use crate::limits::{peak_memory, reset_peak_memory};
use crate::objective::{Listener, Objective};
use crate::optim::{Adam, AdamOptions};
use crate::tensor::{BufferPool, FeatureMap};
use crate::vgg::{Vgg, VggOptions, Weights};

/// Which of the two formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestPicture {
    /// Broad waves.
    Content,
    /// Fine ones.
    Style,
}

/// A smooth synthetic picture (H × W × 3):
///
/// `x[i, j, c] = ½ + ¼ sin(a·j·(c + 1) + b·i) + ¼ sin(b·i·(c + 2) − a·j)`, (a, b) = (0.05, 0.07) for content and
/// (0.31, 0.23) for style. `tools/reference.py` has the same.
#[must_use]
pub fn test_picture(height: usize, width: usize, kind: TestPicture) -> FeatureMap {
    let (a, b) = match kind {
        TestPicture::Content => (0.05, 0.07),
        TestPicture::Style => (0.31, 0.23),
    };
    let value = |i: usize, j: usize, c: usize| {
        let (x, y, c) = (a * j as f64, b * i as f64, c as f64);
        (0.5 + 0.25 * (x * (c + 1.0) + y).sin() + 0.25 * (y * (c + 2.0) - x).sin()) as f32
    };
    FeatureMap::from_array(ndarray::Array3::from_shape_fn((height, width, 3), |(i, j, c)| value(i, j, c)))
}

/// The configuration whose step is timed.
#[must_use]
pub fn config(precision: Precision) -> Config {
    Config { precision, ..Preset::Paper.config() }
}

/// An optimisation under way.
struct Run {
    objective: Objective,
    picture: FeatureMap,
    /// Where its gradient goes.
    gradient: FeatureMap,
    adam: Adam,
    pool: BufferPool,
}

impl Run {
    fn new(vgg: Arc<Vgg>, config: &Config, side: usize) -> Self {
        let pool = BufferPool::advised(prefer_huge);
        let picture = test_picture(side, side, TestPicture::Content);
        let style = test_picture(side, side, TestPicture::Style);
        let objective = Objective::new(vgg, config.goal(), &picture, &style);
        let Config { learning_rate, beta1, beta2, epsilon, .. } = *config;
        let adam = Adam::new(AdamOptions { learning_rate, beta1, beta2, epsilon }, picture.as_slice().len());
        Run { objective, gradient: picture.clone(), picture, adam, pool }
    }

    /// One update; the losses are those before it.
    fn step(&mut self) -> Losses {
        let room = std::mem::replace(&mut self.gradient, FeatureMap::zeros(0, 0, 0));
        let evaluation = self.objective.run(&self.picture, Some(room), &mut self.pool, &Listener::default());
        let evaluation = evaluation.expect("nobody cancels");
        self.gradient = evaluation.gradient.expect("there was a map for it");
        self.adam.step(self.picture.as_mut_slice(), self.gradient.as_slice());
        self.picture.as_mut_slice().iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
        Losses { content: evaluation.content, style: evaluation.style, tv: evaluation.tv, total: evaluation.total }
    }
}

/// Times steps on a square picture. Peak memory is that of this measurement alone where the system can
/// forget an earlier one, else of the process so far.
pub(super) fn step(
    options: &Options,
    gauge: &Gauge,
    precision: Precision,
    side: usize,
    requested: Option<Algorithm>,
) -> Result<Row> {
    reset_peak_memory();
    let config = config(precision);
    let network =
        VggOptions { pooling: config.pooling, border: config.border, dtype: precision.dtype(), algorithm: requested };
    let deepest = config.style_layers.iter().chain(&config.content_layers).map(|l| l.layer).max();
    let deepest = deepest.expect("the preset looks at layers");
    let (mut run, losses) = gauge.run(|| {
        let vgg = Arc::new(Vgg::new(&Weights::load(config.weights.as_deref())?, deepest, network)?);
        let mut run = Run::new(vgg, &config, side);
        let losses = vec![run.step(), run.step()];
        Ok::<_, crate::error::Error>((run, losses))
    })?;
    let measured = gauge.measure(options.repeats, || {
        run.step();
    });
    let flops: u64 = convolutions(deepest, side)?.iter().map(|(_, shape)| 2 * shape.flops()).sum();
    Ok(Row {
        kind: Kind::Step,
        name: config.preset.name().into(),
        direction: String::new(),
        map: [side, side],
        channels: [3, 3],
        algorithm: requested.map_or("chosen", Algorithm::name).into(),
        forced: requested.is_some(),
        precision: precision.dtype().name().into(),
        threads: gauge.threads(),
        work: flops,
        seconds: measured.seconds,
        peak: Some(measured.peak),
        error: None,
        memory: peak_memory(),
        losses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `test_picture` in tools/reference.py.
    #[test]
    fn the_pictures_are_the_formulas() {
        let content = test_picture(40, 50, TestPicture::Content);
        assert_eq!(content.dim(), (40, 50, 3));
        assert_eq!(content.view()[[0, 0, 0]], 0.5);
        let (i, j, c) = (7.0f64, 11.0f64, 2.0f64);
        let expected =
            0.5 + 0.25 * (0.31 * j * (c + 1.0) + 0.23 * i).sin() + 0.25 * (0.23 * i * (c + 2.0) - 0.31 * j).sin();
        let style = test_picture(40, 50, TestPicture::Style);
        assert!((f64::from(style.view()[[7, 11, 2]]) - expected).abs() < 1e-7);
        assert!(style.as_slice().iter().all(|x| (0.0..=1.0).contains(x)));
    }
}
