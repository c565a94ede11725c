//! What stands between the convolutions, on a 512 × 512 picture: Gram matrices, poolings, everything that goes over a
//! map once, and what is done to the picture itself.
//!
//! `cargo bench --bench layers`. A Gram matrix's throughput is in floating-point
//! operations, 2·M·N² forward and as many backward: Gelem/s are GFLOP/s. The
//! others only move numbers: their throughput is in bytes of the largest map.
//! Gram matrices, poolings and passes are held against their definitions before
//! they are timed; the picture's, as everything else, in the unit tests.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{dirty_map, random, random_map, relative_rms};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use half::bf16;
use impasto::autograd::{Tape, Value};
use impasto::kernels::bit_mask::BitMask;
use impasto::kernels::pooling::Choices;
use impasto::kernels::simd::Element;
use impasto::kernels::simd::element::convert;
use impasto::kernels::variation::{Edges, Power, Stencil};
use impasto::kernels::{conv, gram, pooling, reduce, variation};
use impasto::ops::normalize;
use impasto::optim::{Adam, AdamOptions};
use impasto::tensor::{BufferPool, Dtype, FeatureMap};
use impasto::vgg::Layer;
use impasto::vgg::layers::{channels, stride};
use ndarray::Array2;

/// Longest side of the picture.
const SIDE: usize = 512;

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group
}

fn map_of<E: Element>(height: usize, width: usize, channels: usize, seed: u64) -> FeatureMap<E> {
    convert(&random_map(height, width, channels, seed))
}

fn dirty<E: Element>(dim: (usize, usize, usize)) -> FeatureMap<E> {
    convert(&dirty_map(dim))
}

/// The first layer of each block and its map: all others have the same shape.
fn blocks<E: Element>() -> impl Iterator<Item = (Layer, FeatureMap<E>)> {
    (1..=5).map(|block| {
        let layer = Layer::relu(block, 1);
        (layer, map_of(SIDE / stride(layer), SIDE / stride(layer), channels(layer), 1))
    })
}

/// A benchmark's name: the type of its maps, what it is of, and how large.
fn name<E: Element>(what: impl std::fmt::Display, map: &FeatureMap<E>) -> String {
    format!("{}/{what} {} channels at {}", E::DTYPE.name(), map.channels(), map.height())
}

fn bytes<E: Element>(map: &FeatureMap<E>) -> Throughput {
    Throughput::Bytes(size_of_val(map.as_slice()) as u64)
}

/// FᵀF and F·S by their definitions, in `f64`.
fn verify_gram<E: Element>(n: usize) {
    let map: FeatureMap<E> = map_of(5, 7, n, 1);
    let f = E::widened(&map).as_matrix().mapv(f64::from);
    let single = |exact: Array2<f64>| exact.mapv(|v| v as f32).into_raw_vec_and_offset().0;
    let g = gram::gram(&map);
    let error = relative_rms(g.as_slice().unwrap(), &single(f.t().dot(&f)));
    assert!(error < 1e-6, "Gram matrix of {n} channels: relative error {error:.2e}");
    let exact = single(f.dot(&g.mapv(f64::from)));
    let (mut apart, mut over) = (dirty(map.dim()), map.clone());
    gram::backward(&map, gram::Affine::linear(g.view()), 0.0, &mut apart);
    gram::backward_over(&mut over, gram::Affine::linear(g.view()));
    let gate = if E::DTYPE == Dtype::Bf16 { 5e-3 } else { 3e-6 };
    for d_f in [apart, over] {
        let error = relative_rms(E::widened(&d_f).as_slice(), &exact);
        assert!(error < gate, "Gram gradient of {n} channels: relative error {error:.2e}");
    }
}

fn grams<E: Element>(criterion: &mut Criterion) {
    for direction in ["Forward", "Backward", "BackwardOver"] {
        let mut group = group(criterion, &format!("gram/{direction}"));
        for (layer, mut map) in blocks::<E>() {
            let n = map.channels();
            verify_gram::<E>(n);
            group.throughput(Throughput::Elements(2 * (map.pixels() * n * n) as u64));
            // A reflection, so that what is multiplied by it over and over neither grows nor vanishes.
            let s = Array2::eye(n) - 2.0 / n as f32;
            let mut d_f = dirty(map.dim());
            group.bench_function(name(layer, &map), |bencher| match direction {
                "Forward" => bencher.iter(|| gram::gram(&map)),
                "Backward" => bencher.iter(|| gram::backward(&map, gram::Affine::linear(s.view()), 0.0, &mut d_f)),
                _ => bencher.iter(|| gram::backward_over(&mut map, gram::Affine::linear(s.view()))),
            });
        }
    }
}

/// The four pixels' maximum, and its gradient's only place, one block at a time; their mean, and a quarter for each.
fn verify_pools<E: Element>() {
    let (x, d_y): (FeatureMap<E>, FeatureMap<E>) = (map_of(4, 6, 5, 1), map_of(2, 3, 5, 2));
    let [mut y, mut mean] = [(); 2].map(|()| dirty::<E>(d_y.dim()));
    let [mut d_x, mut shared] = [(); 2].map(|()| dirty::<E>(x.dim()));
    let mut choices = Choices::from_pool(&mut BufferPool::new(), d_y.dim());
    pooling::max_forward(&x, &mut y, Some(&mut choices));
    pooling::max_backward(&d_y, &choices, 0.0, &mut d_x);
    pooling::avg_forward(&x, 1.0, &mut mean);
    pooling::avg_backward(&d_y, 1.0, 0.0, &mut shared);
    for ((i, j, c), &largest) in y.view().indexed_iter() {
        let block = [0, 1].into_iter().flat_map(|u| [0, 1].map(|v| [2 * i + u, 2 * j + v, c]));
        let [largest, d_y] = [largest, d_y.view()[[i, j, c]]].map(E::to_f32);
        assert!(block.clone().all(|at| x.view()[at].to_f32() <= largest), "maximum at {i}, {j}");
        let exact = block.clone().map(|at| x.view()[at].to_f32()).sum::<f32>() / 4.0;
        assert!((mean.view()[[i, j, c]].to_f32() - exact).abs() < 4e-3, "mean at {i}, {j}");
        for at in block {
            let expected = if x.view()[at].to_f32() == largest { d_y } else { 0.0 };
            assert_eq!(d_x.view()[at].to_f32(), expected, "gradient at {at:?}");
            assert_eq!(shared.view()[at].to_f32(), d_y / 4.0, "gradient of the mean at {at:?}");
        }
    }
}

fn pools<E: Element>(criterion: &mut Criterion) {
    verify_pools::<E>();
    for pooling in ["max_pool/Forward", "max_pool/Backward", "avg_pool/Forward", "avg_pool/Backward"] {
        let mut group = group(criterion, pooling);
        for (layer, mut x) in blocks::<E>().take(4) {
            group.throughput(bytes(&x));
            let mut y = dirty(pooling::pooled_dim(x.dim()));
            let mut choices = Choices::from_pool(&mut BufferPool::new(), y.dim());
            pooling::max_forward(&x, &mut y, Some(&mut choices));
            let name = name(format_args!("block {}", layer.block), &x);
            group.bench_function(name, |bencher| match pooling {
                "max_pool/Forward" => bencher.iter(|| pooling::max_forward(&x, &mut y, Some(&mut choices))),
                "max_pool/Backward" => bencher.iter(|| pooling::max_backward(&y, &choices, 0.0, &mut x)),
                "avg_pool/Forward" => bencher.iter(|| pooling::avg_forward(&x, 1.0, &mut y)),
                _ => bencher.iter(|| pooling::avg_backward(&y, 1.0, 0.0, &mut x)),
            });
        }
    }
}

/// ReLU, its mask, squared distance and its gradient, one number at a time.
fn verify_passes<E: Element>() {
    let of = |seed| map_of::<E>(1, 1, 77, seed);
    let (a, b, mut d, mut y) = (of(1), of(2), of(3), of(1));
    let (wide_a, wide_b, before) = (E::widened(&a), E::widened(&b), E::widened(&d).into_owned());
    let mut mask = BitMask::from_pool(&mut BufferPool::new(), 77);
    mask.set(a.as_slice());
    let mut masked = b.clone();
    mask.apply(masked.as_mut_slice());
    conv::relu(y.as_mut_slice());
    reduce::add_difference(a.as_slice(), b.as_slice(), 0.25, 0.5, d.as_mut_slice());
    let mut distance = 0.0;
    for (i, (&a, &b)) in wide_a.as_slice().iter().zip(wide_b.as_slice()).enumerate() {
        assert_eq!(y.as_slice()[i].to_f32(), a.max(0.0), "ReLU");
        assert_eq!(masked.as_slice()[i].to_f32(), if a > 0.0 { b } else { 0.0 }, "mask");
        let expected = 0.25 * (a - b) + 0.5 * before.as_slice()[i];
        // Up to 1 in size, and rounded to 2⁻⁹ of that in bf16.
        assert!((d.as_slice()[i].to_f32() - expected).abs() <= 2e-3, "difference");
        distance += (f64::from(a) - f64::from(b)).powi(2);
    }
    assert!((reduce::squared_distance(a.as_slice(), b.as_slice()) - distance).abs() <= 1e-12 * distance, "distance");
}

/// Everything that goes over a map once, on the largest.
fn passes<E: Element>(criterion: &mut Criterion) {
    verify_passes::<E>();
    let mut group = group(criterion, "pass");
    let of = |seed| map_of::<E>(SIDE, SIDE, channels(Layer::relu(1, 1)), seed);
    let (a, b, mut d) = (of(1), of(2), of(3));
    let mut mask = BitMask::from_pool(&mut BufferPool::new(), a.as_slice().len());
    mask.set(a.as_slice());
    group.throughput(bytes(&a));
    let name = |what: &str| name(what, &a);
    group.bench_function(name("relu"), |bencher| bencher.iter(|| conv::relu(d.as_mut_slice())));
    group.bench_function(name("mask set"), |bencher| bencher.iter(|| mask.set(a.as_slice())));
    group.bench_function(name("mask apply"), |bencher| bencher.iter(|| mask.apply(d.as_mut_slice())));
    group.bench_function(name("squared distance"), |bencher| {
        bencher.iter(|| reduce::squared_distance(a.as_slice(), b.as_slice()));
    });
    for (what, beta) in [("difference", 0.0), ("difference added", 0.5)] {
        group.bench_function(name(what), |bencher| {
            bencher.iter(|| reduce::add_difference(a.as_slice(), b.as_slice(), 0.25, beta, d.as_mut_slice()));
        });
    }
}

/// What is done to the picture and its gradient, which are `f32` always.
fn picture(criterion: &mut Criterion) {
    let mut group = group(criterion, "picture");
    let (x, mut d_x) = (random_map(SIDE, SIDE, 3, 1), random_map(SIDE, SIDE, 3, 2));
    group.throughput(bytes(&x));
    let four = vec![(1, 0, 1.0), (0, 1, 1.0)];
    let nine = vec![(1, 0, 1.0), (0, 1, 1.0), (1, 1, 0.25), (1, -1, 0.25)];
    for (name, neighbours, power) in [
        ("total variation", four.clone(), Power::Squared),
        ("total variation, nine points", nine, Power::Squared),
        ("total variation, absolute", four, Power::Absolute),
    ] {
        let stencil = Stencil { neighbours, power };
        group.bench_function(format!("{name}/Forward"), |bencher| {
            bencher.iter(|| variation::sum(&x, &stencil, Edges::Open));
        });
        group.bench_function(format!("{name}/Backward"), |bencher| {
            bencher.iter(|| variation::backward(&x, &stencil, Edges::Open, (1e-3, 0.5), &mut d_x));
        });
    }
    normalization(&mut group, &x, &d_x);
    let options = AdamOptions { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let (mut stepped, gradient) = (x.clone(), random(x.as_slice().len(), 3));
    let mut adam = Adam::new(options, gradient.len());
    group.bench_function("Adam", |bencher| bencher.iter(|| adam.step(stepped.as_mut_slice(), &gradient)));
}

/// An op on the tape, as it has no kernel of its own.
fn normalization(group: &mut BenchmarkGroup<'_, WallTime>, x: &FeatureMap, d_y: &FeatureMap) {
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let mut pool = BufferPool::new();
    let constant = Arc::new(Value::Map(x.clone()));
    group.bench_function("normalize/Forward", |bencher| {
        bencher.iter(|| {
            let mut tape = Tape::new(&mut pool);
            let x = tape.constant(constant.clone());
            normalize(&mut tape, x, mean, std);
        });
    });
    group.bench_function("normalize/Forward and Backward", |bencher| {
        let leaf = || (Value::Map(x.clone()), Value::Map(d_y.clone()));
        bencher.iter_batched(
            leaf,
            |(x, d_y)| {
                let mut tape = Tape::new(&mut pool);
                let x = tape.variable(x);
                let y = normalize(&mut tape, x, mean, std);
                tape.backward_from(y, d_y).take_map(x)
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(
    benches,
    grams::<f32>,
    grams::<bf16>,
    pools::<f32>,
    pools::<bf16>,
    passes::<f32>,
    passes::<bf16>,
    picture
);
criterion_main!(benches);
