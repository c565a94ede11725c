//! The network's convolutions and Gram matrices, each held against its
//! definition before it is timed.

use std::collections::HashMap;

use ndarray::{Array2, Array4};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Options;
use super::gauge::Gauge;
use super::row::{Kind, Row};
use crate::config::Layer;
use crate::error::{Error, Result};
use crate::kernels::conv::{self, Activation, Algorithm, Direction, Filter, Shape};
use crate::kernels::gram;
use crate::kernels::simd::Isa;
use crate::tensor::FeatureMap;
use crate::vgg::layers::{channels, stride};
use crate::vgg::{Architecture, Stage};

/// The most a Gram matrix, or F·S, may differ: `f32` sums of few products, see [`verify_gram`].
const GRAM_TOLERANCE: f64 = 3e-6;

/// Height and width of the map a kernel is verified on: two tiles and a tail each way, all of it
/// near the border, so that the definition's loops take a fraction of a second.
const SMALL: (usize, usize) = (6, 7);

/// The convolutions down to `deepest`, each with its shape in the forward direction, on a square picture.
pub(super) fn convolutions(deepest: Layer, side: usize) -> Result<Vec<(Layer, Shape)>> {
    let stages = Architecture::Vgg16.stages_to(deepest)?;
    let layers = stages.iter().filter_map(|stage| match *stage {
        Stage::Pool => None,
        Stage::Convolution { in_channels, out_channels, name, .. } => {
            let side = side / stride(name);
            Some((name, Shape { height: side, width: side, in_channels, out_channels, padding: 1 }))
        }
    });
    Ok(layers.collect())
}

/// Relative errors of what was verified already: layers share channel counts.
#[derive(Default)]
pub(super) struct Verified(HashMap<(Algorithm, Direction, usize, usize), f64>);

impl Verified {
    /// The error of a convolution's kernel on a small map.
    ///
    /// # Errors
    /// [`Error::Kernel`] if it is more than rounding.
    fn error(&mut self, algorithm: Algorithm, direction: Direction, shape: &Shape) -> Result<f64> {
        let key = (algorithm, direction, shape.in_channels, shape.out_channels);
        if let Some(&error) = self.0.get(&key) {
            return Ok(error);
        }
        let weight = random_weight(shape);
        let (from, to) = ends(direction, shape);
        let x = random_map(SMALL, from, 2);
        let result = |algorithm| {
            // Full of NaN, so that whatever is not written shows.
            let mut y = FeatureMap::from_vec(SMALL.0, SMALL.1, to, vec![f32::NAN; SMALL.0 * SMALL.1 * to]);
            run(direction, &Filter::new(weight.clone(), Some(algorithm)), &x, &mut y);
            y
        };
        let error = relative_rms(result(algorithm).as_slice(), result(Algorithm::Reference).as_slice());
        let name = || {
            let (name, isa) = (algorithm.name(), Isa::detect().name());
            format!("{name} convolution {} {from}→{to} channels ({isa})", direction_name(direction))
        };
        self.0.insert(key, accepted(name, error, algorithm.tolerance())?);
        Ok(error)
    }
}

/// The error, if it is at most the tolerance; a NaN is not.
fn accepted(kernel: impl FnOnce() -> String, error: f64, tolerance: f64) -> Result<f64> {
    if error <= tolerance { Ok(error) } else { Err(Error::Kernel { kernel: kernel(), error, tolerance }) }
}

/// Times one convolution in one direction.
pub(super) fn convolution(
    options: &Options,
    gauge: &Gauge,
    verified: &mut Verified,
    (name, shape): (Layer, &Shape),
    direction: Direction,
    requested: Option<Algorithm>,
) -> Result<Row> {
    let filter = Filter::new(random_weight(shape), requested);
    let seen = filter.shape(direction, shape.height, shape.width, shape.padding);
    let algorithm = conv::choose(&seen, direction, requested);
    let error = verified.error(algorithm, direction, shape)?;
    let (from, to) = ends(direction, shape);
    let x = random_map((shape.height, shape.width), from, 1);
    let mut y = FeatureMap::zeros(shape.height, shape.width, to);
    let measured = gauge.measure(options.repeats, || run(direction, &filter, &x, &mut y));
    Ok(Row {
        kind: Kind::Convolution,
        name: name.to_string(),
        direction: direction_name(direction).into(),
        map: [shape.height, shape.width],
        channels: [from, to],
        algorithm: algorithm.name().into(),
        forced: requested.is_some(),
        precision: "f32".into(),
        threads: gauge.threads(),
        work: shape.flops(),
        seconds: measured.seconds,
        peak: Some(measured.peak),
        error: Some(error),
        memory: None,
        losses: Vec::new(),
    })
}

/// Times a layer's Gram matrix FᵀF, and F·S, its gradient. Their work is counted without using the symmetry.
pub(super) fn grams(options: &Options, gauge: &Gauge, name: Layer, side: usize) -> Result<[Row; 2]> {
    let (side, n) = (side / stride(name), channels(name));
    let errors = verify_gram(n)?;
    let map = random_map((side, side), n, 1);
    let s = gram::gram(&map);
    let mut d_f = FeatureMap::zeros(side, side, n);
    let forward = gauge.measure(options.repeats, || drop(gram::gram(&map)));
    let backward = gauge.measure(options.repeats, || gram::backward(&map, s.view(), 0.0, &mut d_f));
    let row = |direction: &str, measured: super::gauge::Measured, error| Row {
        kind: Kind::Gram,
        name: name.to_string(),
        direction: direction.into(),
        map: [side, side],
        channels: [n, n],
        algorithm: if direction == "forward" { "FᵀF" } else { "F·S" }.into(),
        forced: false,
        precision: "f32".into(),
        threads: gauge.threads(),
        work: 2 * (side * side * n * n) as u64,
        seconds: measured.seconds,
        peak: Some(measured.peak),
        error: Some(error),
        memory: None,
        losses: Vec::new(),
    };
    Ok([row("forward", forward, errors[0]), row("backward", backward, errors[1])])
}

/// FᵀF and F·S by their definitions, in `f64`.
fn verify_gram(n: usize) -> Result<[f64; 2]> {
    let map = random_map(SMALL, n, 1);
    let f = map.as_matrix().mapv(f64::from);
    let single = |exact: Array2<f64>| exact.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let g = gram::gram(&map);
    let forward = relative_rms(&g.iter().copied().collect::<Vec<_>>(), &single(f.t().dot(&f)));
    let mut d_f = FeatureMap::from_vec(SMALL.0, SMALL.1, n, vec![f32::NAN; SMALL.0 * SMALL.1 * n]);
    gram::backward(&map, g.view(), 0.0, &mut d_f);
    let backward = relative_rms(d_f.as_slice(), &single(f.dot(&g.mapv(f64::from))));
    let name = |what: &'static str| move || format!("Gram matrix {what}, {n} channels ({})", Isa::detect().name());
    Ok([accepted(name("forward"), forward, GRAM_TOLERANCE)?, accepted(name("backward"), backward, GRAM_TOLERANCE)?])
}

/// Channels read and written, when a layer of `shape` runs in `direction`.
fn ends(direction: Direction, shape: &Shape) -> (usize, usize) {
    match direction {
        Direction::Forward => (shape.in_channels, shape.out_channels),
        Direction::BackwardInput => (shape.out_channels, shape.in_channels),
    }
}

/// As reports spell it.
#[must_use]
pub fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::BackwardInput => "backward",
    }
}

fn run(direction: Direction, filter: &Filter, from: &FeatureMap, to: &mut FeatureMap) {
    match direction {
        Direction::Forward => conv::forward(from, filter, &vec![0.0; filter.weight().dim().0], 1, Activation::None, to),
        Direction::BackwardInput => conv::backward_input(from, None, filter, 1, 0.0, to),
    }
}

/// Numbers uniform in [−1, 1]; many zeros would let some processors rest.
fn random(length: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..length).map(|_| rng.random_range(-1.0..=1.0)).collect()
}

fn random_map((height, width): (usize, usize), channels: usize, seed: u64) -> FeatureMap {
    FeatureMap::from_vec(height, width, channels, random(height * width * channels, seed))
}

fn random_weight(shape: &Shape) -> Array4<f32> {
    let (out, input) = (shape.out_channels, shape.in_channels);
    Array4::from_shape_vec((out, input, 3, 3), random(9 * out * input, 3)).expect("9·out·in weights")
}

/// The root mean square of a − b relative to that of b; NaN if either holds one.
fn relative_rms(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "as many numbers as expected");
    let squares =
        |f: fn(f64, f64) -> f64| -> f64 { a.iter().zip(b).map(|(&a, &b)| f(f64::from(a), f64::from(b)).powi(2)).sum() };
    let (difference, reference) = (squares(|a, b| a - b), squares(|_, b| b));
    if difference == 0.0 { 0.0 } else { (difference / reference).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_passes_its_own_gate_and_a_wrong_one_is_refused() {
        let mut verified = Verified::default();
        let shape = Shape { height: 4, width: 4, in_channels: 20, out_channels: 33, padding: 1 };
        for algorithm in Algorithm::ALL {
            for direction in [Direction::Forward, Direction::BackwardInput] {
                assert!(verified.error(algorithm, direction, &shape).unwrap() <= algorithm.tolerance());
            }
        }
        verify_gram(33).unwrap();
        let refused = accepted(|| "winograd forward".into(), 0.5, 1e-5).unwrap_err();
        assert_eq!(refused.exit_code(), 1);
        assert!(refused.to_string().contains("winograd forward") && refused.to_string().contains("not timed"));
        assert!(accepted(String::new, f64::NAN, 1e-5).is_err());
    }

    #[test]
    fn the_distance_is_relative_and_a_missing_number_is_not_near() {
        assert!((relative_rms(&[3.0, 4.4], &[3.0, 4.0]) - 0.08).abs() < 1e-6);
        assert_eq!(relative_rms(&[1.0], &[1.0]), 0.0);
        assert!(relative_rms(&[f32::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn layers_shrink_with_their_block() {
        let layers = convolutions(Layer::relu(3, 1), 70).unwrap();
        assert_eq!(layers.len(), 5);
        assert_eq!(layers[4].1, Shape { height: 17, width: 17, in_channels: 128, out_channels: 256, padding: 1 });
    }
}
