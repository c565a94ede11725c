//! The run, taken down: losses, pictures on the way, and what became of one pixel.

use std::collections::BTreeSet;

use super::report::{Adam, Frame, Histogram, Moved, Optimizer, Run as Told, Scale, Step as Row};
use super::{images, word};
use crate::config::Config;
use crate::optim::{self, Method};
use crate::tensor::FeatureMap;
use crate::transfer::{Plan, Run, Step};

/// Pictures on the way, beside those of the table and of the first iterations.
const FRAMES: u32 = 40;

/// The iterations of the paper's table.
const TABLE: [u32; 4] = [1, 10, 30, 60];

/// Edges of the histogram: powers of ten between which updates of colours are found, three to each.
const DECADES: std::ops::RangeInclusive<i32> = -18..=0;

/// What has been seen of a run.
pub(super) struct Film<'a> {
    config: &'a Config,
    plan: &'a Plan,
    /// The picture before the first iteration.
    pub first: FeatureMap,
    /// That after the first update of the last scale, and how many updates had been made.
    pub last_scale: Option<(u32, FeatureMap)>,
    steps: Vec<Row>,
    frames: Vec<Frame>,
    wanted: BTreeSet<u32>,
    /// Where the optimiser was: θ and the picture, of which scale.
    before: Option<(u32, Vec<f32>, FeatureMap)>,
    rates: Vec<f64>,
    lengths: Vec<f64>,
    /// The pixel that is followed.
    followed: Option<(usize, usize)>,
    course: Vec<Moved>,
    /// Sizes of the updates of single variables of the finest level: of the first and of the latest.
    sizes: Vec<Histogram>,
    /// Of the step that was told last: its scale, whether it was the measurement.
    latest: Option<(u32, bool)>,
}

impl<'a> Film<'a> {
    /// Of a run before its first iteration.
    pub fn new(config: &'a Config, plan: &'a Plan, run: &Run<'_>) -> Self {
        let all = plan.iterations();
        let even = (0..=all).step_by(all.div_ceil(FRAMES).max(1) as usize);
        let ends = plan.scales.iter().scan(0, |sum, scale| {
            *sum += scale.iterations;
            Some(*sum)
        });
        let wanted = even.chain([2, 3, 5]).chain(TABLE).chain(ends).filter(|&i| i <= all).collect();
        let first = run.picture();
        let frames = vec![Frame { iteration: 0, image: images::shown(&first) }];
        Film {
            config,
            plan,
            first: FeatureMap::from_array(first.rgb),
            last_scale: None,
            steps: Vec::new(),
            frames,
            wanted,
            before: Some((1, run.variables().to_vec(), run.point().clone())),
            rates: Vec::new(),
            lengths: Vec::new(),
            followed: None,
            course: Vec::new(),
            sizes: Vec::new(),
            latest: None,
        }
    }

    /// An iteration has been made.
    pub fn step(&mut self, step: &Step<'_>) {
        self.latest = Some((step.scale, step.last));
        self.steps.push(Row {
            iteration: step.iteration,
            scale: step.scale,
            content: step.content,
            style: step.style,
            tv: step.tv,
            total: step.total,
            layers: step.layers.iter().map(|(_, loss)| *loss).collect(),
            seconds: step.seconds,
        });
        if step.last {
            return;
        }
        if self.wanted.contains(&step.iteration) {
            self.frames.push(Frame { iteration: step.iteration, image: images::shown(&step.picture()) });
        }
        let scale = &self.plan.scales[step.scale as usize - 1];
        if let Method::Adam(options) = self.plan.method {
            self.rates.push(options.learning_rate * scale.rate(step.done - 1));
        }
    }

    /// It has moved the picture.
    pub fn moved(&mut self, run: &Run<'_>) {
        let Some((scale, false)) = self.latest else { return };
        let (theta, point) = (run.variables(), run.point());
        let before = self.before.take().filter(|(of, before, _)| *of == scale && before.len() == theta.len());
        let length = before.as_ref().map_or(f64::NAN, |(.., before)| distance(before, point));
        self.lengths.push(length);
        if scale as usize == self.plan.scales.len() {
            let iteration = run.iterations();
            if self.last_scale.is_none() {
                self.last_scale = Some((iteration, point.clone()));
            }
            if let Some((_, before, _)) = &before {
                self.follow(run, before);
            }
        }
        self.before = Some((scale, theta.to_vec(), point.clone()));
    }

    /// What an update has done at the last scale, by the variables before it.
    fn follow(&mut self, run: &Run<'_>, before: &[f32]) {
        let (theta, gradient, point) = (run.variables(), run.gradient(), run.point());
        let (width, finest) = (point.width(), point.as_slice().len());
        // The pixel that is pulled hardest at first.
        let (x, y) = *self.followed.get_or_insert_with(|| {
            let sizes = gradient[..finest].chunks_exact(3).map(|d| d.iter().map(|d| d * d).sum::<f32>());
            let (index, _) = sizes.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("a picture has pixels");
            (index % width, index / width)
        });
        let at = 3 * (y * width + x);
        let of = |values: &[f32]| -> [f32; 3] { std::array::from_fn(|c| values[at + c]) };
        let moments = match run.optimizer() {
            optim::Optimizer::Adam(adam) => Some(adam.moments()),
            optim::Optimizer::Lbfgs(_) => None,
        };
        let (now, then) = (of(theta), of(before));
        self.course.push(Moved {
            iteration: run.iterations(),
            color: of(point.as_slice()),
            gradient: of(gradient),
            mean: moments.map(|(mean, _)| of(mean)),
            square: moments.map(|(_, square)| of(square)),
            step: std::array::from_fn(|c| now[c] - then[c]),
        });
        let histogram = histogram(run.iterations(), &theta[..finest], &before[..finest]);
        self.sizes.truncate(1);
        self.sizes.push(histogram);
    }

    /// The first section.
    pub fn run(&mut self) -> Told {
        let all = self.steps.last().map_or(0, |step| step.iteration);
        let mut table: Vec<u32> = TABLE.into_iter().filter(|&i| i < all).collect();
        table.push(all);
        Told {
            scales: self.plan.scales.iter().map(scale).collect(),
            steps: std::mem::take(&mut self.steps),
            frames: std::mem::take(&mut self.frames),
            table,
        }
    }

    /// The seventh.
    pub fn optimizer(&mut self) -> Optimizer {
        let (x, y) = self.followed.unwrap_or_default();
        let adam = match self.plan.method {
            Method::Adam(options) => {
                Some(Adam { beta1: options.beta1, beta2: options.beta2, epsilon: options.epsilon })
            }
            Method::Lbfgs(_) => None,
        };
        Optimizer {
            method: word(&self.config.optimizer),
            canvas: word(&self.config.canvas),
            x,
            y,
            course: std::mem::take(&mut self.course),
            rates: std::mem::take(&mut self.rates),
            lengths: std::mem::take(&mut self.lengths),
            histograms: std::mem::take(&mut self.sizes),
            adam,
        }
    }
}

fn scale(scale: &crate::transfer::Scale) -> Scale {
    let &crate::transfer::Scale { width, height, iterations, content_weight, .. } = scale;
    Scale { width, height, iterations, content_weight }
}

/// Root mean square of a difference.
fn distance(a: &FeatureMap, b: &FeatureMap) -> f64 {
    let squares: f64 = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (squares / a.as_slice().len() as f64).sqrt()
}

fn histogram(iteration: u32, now: &[f32], before: &[f32]) -> Histogram {
    let edges: Vec<f64> = DECADES.map(|third| 10f64.powf(f64::from(third) / 3.0)).collect();
    let mut counts = vec![0; edges.len() - 1];
    for (now, before) in now.iter().zip(before) {
        let size = f64::from((now - before).abs());
        let bin = edges.partition_point(|&edge| edge <= size).saturating_sub(1).min(counts.len() - 1);
        counts[bin] += 1;
    }
    Histogram { iteration, edges, counts }
}
