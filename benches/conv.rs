//! VGG's convolutions on a 512 × 512 picture, forward and backward to the input, in every algorithm.
//!
//! `cargo bench --bench conv`. Throughput is in floating-point operations of a
//! *direct* convolution, a multiplication and an addition per tap, whatever an
//! algorithm saves: criterion's Gelem/s are GFLOP/s. Every algorithm is held
//! against the definition before it is timed.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{dirty_map, no_bias, random_map, random_weight, relative_rms};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use impasto::config::Layer;
use impasto::kernels::conv::{Activation, Algorithm, Direction, Filter, Shape, backward_input, forward};
use impasto::tensor::FeatureMap;
use impasto::vgg::layers::stride;
use impasto::vgg::{Architecture, Stage};

/// Longest side of the picture whose maps are convolved.
const SIDE: usize = 512;

/// The definition is not timed: it would take minutes. Nor is what this machine is not made for.
fn timed() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(|&algorithm| algorithm != Algorithm::Reference && algorithm.available())
}

/// The layers whose shapes differ, each by the first that has it.
fn layers() -> Vec<(Layer, Shape)> {
    let mut distinct: Vec<(Layer, Shape)> = Vec::new();
    for stage in Architecture::Vgg16.stages() {
        if let Stage::Convolution { in_channels, out_channels, name, .. } = *stage {
            let side = SIDE / stride(name);
            let shape = Shape { height: side, width: side, in_channels, out_channels, padding: 1 };
            if distinct.iter().all(|(_, known)| *known != shape) {
                distinct.push((name, shape));
            }
        }
    }
    distinct
}

/// Runs `filter` from a map of its input's channels to one of its output's, or back.
fn run(direction: Direction, filter: &Filter, from: &FeatureMap, to: &mut FeatureMap) {
    match direction {
        Direction::Forward => {
            forward(from, filter, no_bias(filter.dim().0).as_slice().unwrap(), 1, Activation::None, to)
        }
        Direction::BackwardInput => backward_input(from, None, filter, 1, 0.0, to),
    }
}

fn verify(algorithm: Algorithm, direction: Direction, shape: &Shape) {
    let weight = random_weight(shape.out_channels, shape.in_channels, 1);
    let (from, to) = channels(direction, shape);
    let x = random_map(6, 7, from, 2);
    let result = |algorithm| {
        let mut y = dirty_map((6, 7, to));
        run(direction, &Filter::new(weight.clone(), Some(algorithm)), &x, &mut y);
        y
    };
    let error = relative_rms(result(algorithm).as_slice(), result(Algorithm::Reference).as_slice());
    let gate = if algorithm == Algorithm::AmxBf16 { 5e-3 } else { 1e-5 };
    assert!(error < gate, "{algorithm:?} {direction:?} of {shape:?}: relative error {error:.2e}");
}

/// Channels read and written, when a layer of `shape` runs in `direction`.
fn channels(direction: Direction, shape: &Shape) -> (usize, usize) {
    match direction {
        Direction::Forward => (shape.in_channels, shape.out_channels),
        Direction::BackwardInput => (shape.out_channels, shape.in_channels),
    }
}

fn conv(criterion: &mut Criterion) {
    for direction in [Direction::Forward, Direction::BackwardInput] {
        let mut group = criterion.benchmark_group(format!("conv/{direction:?}"));
        group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        for (name, shape) in layers() {
            group.throughput(Throughput::Elements(shape.flops()));
            let (from, to) = channels(direction, &shape);
            let x = random_map(shape.height, shape.width, from, 1);
            let mut y = dirty_map((shape.height, shape.width, to));
            for algorithm in timed() {
                verify(algorithm, direction, &shape);
                let filter = Filter::new(random_weight(shape.out_channels, shape.in_channels, 2), Some(algorithm));
                let layer = format!("{name} {}→{} at {}", shape.in_channels, shape.out_channels, shape.height);
                group.bench_function(format!("{algorithm:?}/{layer}"), |bencher| {
                    bencher.iter(|| run(direction, &filter, &x, &mut y));
                });
            }
        }
    }
}

criterion_group!(benches, conv);
criterion_main!(benches);
