//! One iteration of the preset `paper`: losses, the picture's gradient, and Adam's update.
//!
//! `cargo bench --bench step`. Throughput is in floating-point operations of the
//! convolutions as direct ones, forward and backward to the picture: Gelem/s are
//! GFLOP/s of the whole step. That the step is right is what `tests/pytorch.rs`
//! shows; before it is timed, its losses are held against that record here too.
//! Each precision runs with the algorithms that this machine chooses for it.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Fixtures, Tolerance, fixtures, random, vgg16_in};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use impasto::config::{Config, Preset};
use impasto::kernels::conv::Shape;
use impasto::objective::{Listener, Objective};
use impasto::optim::{Adam, AdamOptions};
use impasto::tensor::{BufferPool, Dtype, FeatureMap};
use impasto::vgg::{Layer, Pooling, Stage, Vgg};

/// Numbers in [0, 1], as a picture.
fn picture(side: usize, seed: u64) -> FeatureMap {
    let values = random(side * side * 3, seed).into_iter().map(|v| 0.5 + 0.5 * v).collect();
    FeatureMap::from_vec(side, side, 3, values)
}

/// Floating-point operations of a step's convolutions: forward, and as many backward.
fn flops(vgg: &Vgg, side: usize) -> u64 {
    let mut side = side;
    let per_stage = vgg.stages().iter().map(|stage| match *stage {
        Stage::Pool => {
            side /= 2;
            0
        }
        Stage::Convolution { in_channels, out_channels, .. } => {
            2 * Shape::new((side, side), in_channels, out_channels, 1).flops()
        }
    });
    per_stage.sum()
}

fn verify(vgg: &Arc<Vgg>, config: &Config, dtype: Dtype) {
    let (pictures, expected) = (Fixtures::open("pictures"), &fixtures()["losses"]["max"]);
    let mut pool = BufferPool::new();
    let mut objective = Objective::new(vgg.clone(), config.goal(), &pictures.map("content"), &pictures.map("style"));
    let losses = objective.evaluate(&pictures.map("start"), &mut pool);
    // Rounded to 2⁻⁹ in every layer, sums of many squares stay within a few of that.
    let rtol = if dtype == Dtype::Bf16 { 1e-2 } else { 1e-5 };
    let tolerance = Tolerance { atol: 0.0, rtol };
    for (name, loss) in [("content", losses.content), ("style", losses.style), ("tv", losses.tv)] {
        tolerance.check_scalar(name, loss, expected[name].as_f64().unwrap());
    }
}

fn step(criterion: &mut Criterion) {
    let config = Preset::Paper.config();
    let mut group = criterion.benchmark_group("step/paper");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for dtype in [Dtype::F32, Dtype::Bf16] {
        let vgg = Arc::new(vgg16_in(dtype, Layer::relu(4, 3), Pooling::Max, None));
        verify(&vgg, &config, dtype);
        for side in [256, 512] {
            let mut pool = BufferPool::new();
            let mut objective = Objective::new(vgg.clone(), config.goal(), &picture(side, 1), &picture(side, 2));
            let (mut x, mut gradient) = (picture(side, 3), Some(picture(side, 3)));
            let Config { learning_rate, beta1, beta2, epsilon, .. } = config;
            let mut adam = Adam::new(AdamOptions { learning_rate, beta1, beta2, epsilon }, x.as_slice().len());
            group.throughput(Throughput::Elements(flops(&vgg, side)));
            group.bench_function(format!("{}/{side}×{side}", dtype.name()), |bencher| {
                bencher.iter(|| {
                    let evaluation = objective.run(&x, gradient.take(), &mut pool, &Listener::default());
                    gradient = evaluation.expect("nobody cancels").gradient;
                    adam.step(x.as_mut_slice(), gradient.as_ref().expect("there was a map for it").as_slice());
                    x.as_mut_slice().iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
                });
            });
        }
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
