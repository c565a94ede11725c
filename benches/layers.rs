//! What stands between the convolutions, on a 512 × 512 picture: Gram matrices and poolings.
//!
//! `cargo bench --bench layers`. A Gram matrix's throughput is in floating-point
//! operations, 2·M·N² forward and as many backward: Gelem/s are GFLOP/s. A
//! pooling only moves numbers: its throughput is in bytes of the larger map.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{dirty_map, random_map, relative_rms};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use impasto::config::Layer;
use impasto::kernels::pool::Choices;
use impasto::kernels::{gram, pool};
use impasto::tensor::{FeatureMap, Pool};
use impasto::vgg::layers::{channels, stride};
use ndarray::Array2;

/// Longest side of the picture.
const SIDE: usize = 512;

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group
}

/// The first layer of each block and its map: all others have the same shape.
fn blocks() -> impl Iterator<Item = (Layer, FeatureMap)> {
    (1..=5).map(|block| {
        let layer = Layer::relu(block, 1);
        (layer, random_map(SIDE / stride(layer), SIDE / stride(layer), channels(layer), 1))
    })
}

/// FᵀF and F·S by their definitions, in `f64`.
fn verify_gram(n: usize) {
    let map = random_map(5, 7, n, 1);
    let f = map.as_matrix().mapv(f64::from);
    let single = |exact: Array2<f64>| exact.mapv(|v| v as f32).into_raw_vec_and_offset().0;
    let g = gram::gram(&map);
    let error = relative_rms(g.as_slice().unwrap(), &single(f.t().dot(&f)));
    assert!(error < 1e-6, "Gram matrix of {n} channels: relative error {error:.2e}");
    let mut d_f = dirty_map(map.dim());
    gram::backward(&map, g.view(), 0.0, &mut d_f);
    let error = relative_rms(d_f.as_slice(), &single(f.dot(&g.mapv(f64::from))));
    assert!(error < 3e-6, "Gram gradient of {n} channels: relative error {error:.2e}");
}

fn grams(criterion: &mut Criterion) {
    for backward in [false, true] {
        let mut group = group(criterion, if backward { "gram/Backward" } else { "gram/Forward" });
        for (layer, map) in blocks() {
            let n = map.channels();
            verify_gram(n);
            group.throughput(Throughput::Elements(2 * (map.pixels() * n * n) as u64));
            let name = format!("{layer} {n} channels at {}", map.height());
            if backward {
                let s = gram::gram(&map);
                let mut d_f = dirty_map(map.dim());
                group.bench_function(name, |bencher| bencher.iter(|| gram::backward(&map, s.view(), 0.0, &mut d_f)));
            } else {
                group.bench_function(name, |bencher| bencher.iter(|| gram::gram(&map)));
            }
        }
    }
}

/// The four pixels' maximum, and its gradient's only place, one block at a time.
fn verify_max_pool() {
    let (x, d_y) = (random_map(4, 6, 5, 1), random_map(2, 3, 5, 2));
    let (mut y, mut d_x) = (dirty_map(d_y.dim()), dirty_map(x.dim()));
    let mut choices = Choices::from_pool(&mut Pool::new(), d_y.dim());
    pool::max_forward(&x, &mut y, Some(&mut choices));
    pool::max_backward(&d_y, &choices, 0.0, &mut d_x);
    for ((i, j, c), &largest) in y.view().indexed_iter() {
        let block = [0, 1].into_iter().flat_map(|u| [0, 1].map(|v| [2 * i + u, 2 * j + v, c]));
        assert!(block.clone().all(|at| x.view()[at] <= largest), "maximum at {i}, {j}");
        for at in block {
            let expected = if x.view()[at] == largest { d_y.view()[[i, j, c]] } else { 0.0 };
            assert_eq!(d_x.view()[at], expected, "gradient at {at:?}");
        }
    }
}

fn pools(criterion: &mut Criterion) {
    verify_max_pool();
    for backward in [false, true] {
        let mut group = group(criterion, if backward { "max_pool/Backward" } else { "max_pool/Forward" });
        for (layer, x) in blocks().take(4) {
            group.throughput(Throughput::Bytes(size_of_val(x.as_slice()) as u64));
            let mut y = dirty_map(pool::pooled_dim(x.dim()));
            let mut choices = Choices::from_pool(&mut Pool::new(), y.dim());
            pool::max_forward(&x, &mut y, Some(&mut choices));
            let name = format!("block {} {} channels at {}", layer.block, x.channels(), x.height());
            if backward {
                let mut d_x = dirty_map(x.dim());
                group.bench_function(name, |bencher| bencher.iter(|| pool::max_backward(&y, &choices, 0.0, &mut d_x)));
            } else {
                group
                    .bench_function(name, |bencher| bencher.iter(|| pool::max_forward(&x, &mut y, Some(&mut choices))));
            }
        }
    }
}

criterion_group!(benches, grams, pools);
criterion_main!(benches);
