//! VGG's convolutions on a 512 × 512 picture, forward and backward to the input, in every algorithm, on maps of both
//! types.
//!
//! `cargo bench --bench conv`. Throughput is in floating-point operations of a
//! *direct* convolution, a multiplication and an addition per tap, whatever an
//! algorithm saves: criterion's Gelem/s are GFLOP/s. Every algorithm is held
//! against the definition before it is timed. Names are those of `impasto
//! bench`: `cargo bench --bench conv -- Forward/bf16/winograd` runs a few.

#[path = "../tests/common/mod.rs"]
mod common;

use std::cell::OnceCell;
use std::time::Duration;

use common::{dirty_map, no_bias, random_map, random_weight, relative_rms};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use half::bf16;
use impasto::kernels::conv::{Algorithm, Direction, Epilogue, Filter, Shape, backward_input, forward};
use impasto::kernels::simd::Element;
use impasto::kernels::simd::element::convert;
use impasto::tensor::{Dtype, FeatureMap};
use impasto::vgg::layers::stride;
use impasto::vgg::{Architecture, Layer, Stage};

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
            let shape = Shape::new((side, side), in_channels, out_channels, 1);
            if distinct.iter().all(|(_, known)| *known != shape) {
                distinct.push((name, shape));
            }
        }
    }
    distinct
}

/// Runs `filter` from a map of its input's channels to one of its output's, or back.
fn run<X: Element, Y: Element>(direction: Direction, filter: &Filter, from: &FeatureMap<X>, to: &mut FeatureMap<Y>) {
    match direction {
        Direction::Forward => forward(from, filter, 1, Epilogue::Bias(no_bias(filter.dim().0).as_slice().unwrap()), to),
        Direction::BackwardInput => backward_input(from, None, filter, 1, 0.0, to),
    }
}

fn verify<X: Element, Y: Element>(algorithm: Algorithm, direction: Direction, shape: &Shape) {
    let weight = random_weight(shape.out_channels, shape.in_channels, 1);
    let (from, to) = channels(direction, shape);
    let filter = |algorithm| Filter::new(weight.clone(), Some(algorithm));
    let x: FeatureMap<X> = convert(&random_map(6, 7, from, 2));
    let mut found: FeatureMap<Y> = convert(&dirty_map((6, 7, to)));
    run(direction, &filter(algorithm), &x, &mut found);
    // The definition reads the same numbers, and writes what it has.
    let mut exact = dirty_map((6, 7, to));
    run(direction, &filter(Algorithm::Reference), &*X::widened(&x), &mut exact);
    let error = relative_rms(Y::widened(&found).as_slice(), exact.as_slice());
    let rounded = algorithm == Algorithm::AmxBf16 || Y::DTYPE == Dtype::Bf16;
    let gate = if rounded { 5e-3 } else { 1e-5 };
    assert!(error < gate, "{algorithm:?} {direction:?} of {shape:?}: relative error {error:.2e}");
}

/// Channels read and written, when a layer of `shape` runs in `direction`.
fn channels(direction: Direction, shape: &Shape) -> (usize, usize) {
    match direction {
        Direction::Forward => (shape.in_channels, shape.out_channels),
        Direction::BackwardInput => (shape.out_channels, shape.in_channels),
    }
}

/// One layer in every algorithm, from a map of X to one of Y.
fn layer<X: Element, Y: Element>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    direction: Direction,
    dtype: Dtype,
    (name, shape): (Layer, &Shape),
) {
    group.throughput(Throughput::Elements(shape.flops()));
    let (from, to) = channels(direction, shape);
    for algorithm in timed() {
        let id = format!("{}/{}/{name} {from}→{to} at {}", dtype.name(), algorithm.name(), shape.height);
        // Made for those alone that the command line's filter lets through: they are large.
        let ready = OnceCell::new();
        group.bench_function(id, |bencher| {
            let (filter, x) = ready.get_or_init(|| {
                verify::<X, Y>(algorithm, direction, shape);
                let filter = Filter::new(random_weight(shape.out_channels, shape.in_channels, 2), Some(algorithm));
                (filter, convert::<f32, X>(&random_map(shape.height, shape.width, from, 1)))
            });
            let mut y: FeatureMap<Y> = convert(&dirty_map((shape.height, shape.width, to)));
            bencher.iter(|| run(direction, filter, x, &mut y));
        });
    }
}

fn conv(criterion: &mut Criterion) {
    for direction in [Direction::Forward, Direction::BackwardInput] {
        let mut group = criterion.benchmark_group(format!("conv/{direction:?}"));
        group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        for dtype in [Dtype::F32, Dtype::Bf16] {
            for (name, shape) in &layers() {
                // The picture, and its gradient, are f32 always.
                let of = match (dtype, shape.in_channels, direction) {
                    (Dtype::F32, ..) => layer::<f32, f32>,
                    (Dtype::Bf16, 3, Direction::Forward) => layer::<f32, bf16>,
                    (Dtype::Bf16, 3, Direction::BackwardInput) => layer::<bf16, f32>,
                    (Dtype::Bf16, ..) => layer::<bf16, bf16>,
                };
                of(&mut group, direction, dtype, (*name, shape));
            }
        }
    }
}

criterion_group!(benches, conv);
criterion_main!(benches);
