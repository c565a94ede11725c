//! The network's convolutions and Gram matrices, each held against its
//! definition before it is timed.

use std::ops::Range;

use half::bf16;
use ndarray::{Array2, Array4, s};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Options;
use super::gauge::Gauge;
use super::row::{Kind, Row};
use crate::error::{Error, Result};
use crate::kernels::conv::{self, Algorithm, Choice, Cpu, Direction, Epilogue, Filter, Shape};
use crate::kernels::gram;
use crate::kernels::simd::{Element, Isa};
use crate::tensor::{Dtype, FeatureMap};
use crate::vgg::Layer;
use crate::vgg::layers::{channels, stride};
use crate::vgg::{Architecture, Stage};

/// The most a Gram matrix, or F·S, may differ: `f32` sums of few products, see [`verify_gram`].
const GRAM_TOLERANCE: f64 = 3e-6;

/// The convolutions down to `deepest`, each with its shape in the forward direction, on a square picture.
pub(super) fn convolutions(deepest: Layer, side: usize) -> Result<Vec<(Layer, Shape)>> {
    let stages = Architecture::Vgg16.stages_to(deepest)?;
    let layers = stages.iter().filter_map(|stage| match *stage {
        Stage::Pool => None,
        Stage::Convolution { in_channels, out_channels, name, .. } => {
            let side = side / stride(name);
            Some((name, Shape::new((side, side), in_channels, out_channels, 1)))
        }
    });
    Ok(layers.collect())
}

/// Bytes of the largest maps that one of them reads and writes, and of the random numbers that the former is made of.
pub(super) fn bytes(deepest: Layer, side: usize) -> Result<u64> {
    let shapes = convolutions(deepest, side)?;
    let bytes =
        |shape: &Shape| 4 * (shape.height * shape.width) as u64 * 2 * (shape.in_channels + shape.out_channels) as u64;
    Ok(shapes.iter().map(|(_, shape)| bytes(shape)).max().unwrap_or(0))
}

/// A convolution to be timed.
pub(super) struct Timed<'a> {
    /// The layer it follows.
    pub name: Layer,
    /// Its shape in the forward direction.
    pub shape: &'a Shape,
    /// The direction that is timed.
    pub direction: Direction,
    /// What maps are stored in. The picture's side of the first convolution is `f32` always.
    pub dtype: Dtype,
    /// The algorithm to force.
    pub requested: Option<Algorithm>,
}

/// Height and width of the map that Gram matrices are verified on.
const SMALL: (usize, usize) = (6, 7);

/// Rows and columns of outputs that are computed anew by definition, in each window.
const WINDOW: usize = 3;

/// The error of a convolution's outputs `found` for the maps `x`, in a window at two corners and in the middle: the
/// very result that is then timed, at its size, so that the definition's loops take a fraction of a second.
///
/// # Errors
/// [`Error::Kernel`] if it is more than rounding.
fn verify<X: Element, Y: Element>(
    algorithm: Algorithm,
    direction: Direction,
    filter: &Filter,
    x: &FeatureMap<X>,
    found: &FeatureMap<Y>,
) -> Result<f64> {
    let exact = Filter::new(filter.weight().clone(), Some(Algorithm::Reference));
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for part in [0, 1, 2] {
        let rows = window(x.height(), part);
        let columns = window(x.width(), part);
        // Outputs depend on their neighbours alone. At the edge of what is cut out they lack some, unless it is the map's.
        let (cut_rows, cut_columns) = (grown(&rows, x.height()), grown(&columns, x.width()));
        let cut: FeatureMap = crop(x, cut_rows.clone(), cut_columns.clone());
        let mut expected: FeatureMap = dirty_map((cut.height(), cut.width()), found.channels());
        run(direction, &exact, &cut, &mut expected);
        let inside = |range: &Range<usize>, cut: &Range<usize>| range.start - cut.start..range.end - cut.start;
        there.extend_from_slice(crop(&expected, inside(&rows, &cut_rows), inside(&columns, &cut_columns)).as_slice());
        here.extend_from_slice(crop(found, rows, columns).as_slice());
    }
    let error = relative_rms(&here, &there);
    let name = || {
        let (name, isa, dtype) = (algorithm.name(), Isa::detect().name(), narrower::<X, Y>().name());
        let (direction, from, to) = (direction_name(direction), x.channels(), found.channels());
        format!("{name} convolution {direction} {from}→{to} channels in {dtype} ({isa})")
    };
    accepted(name, error, tolerance(algorithm.tolerance(), narrower::<X, Y>()))
}

/// bf16, if either is.
fn narrower<X: Element, Y: Element>() -> Dtype {
    if X::DTYPE == Dtype::Bf16 { Dtype::Bf16 } else { Y::DTYPE }
}

/// At most [`WINDOW`] of `size` places: the first (part 0), those in the middle (1), the last (2).
fn window(size: usize, part: usize) -> Range<usize> {
    let length = WINDOW.min(size);
    let start = (size - length) * part / 2;
    start..start + length
}

/// A range and its neighbours, as far as there are any.
fn grown(range: &Range<usize>, size: usize) -> Range<usize> {
    range.start.saturating_sub(1)..size.min(range.end + 1)
}

/// Some rows and columns of a map, in `f32`.
fn crop<E: Element>(map: &FeatureMap<E>, rows: Range<usize>, columns: Range<usize>) -> FeatureMap {
    let (height, width) = (rows.len(), columns.len());
    let view = map.view();
    let part = view.slice(s![rows, columns, ..]);
    FeatureMap::from_vec(height, width, map.channels(), part.iter().map(|x| x.to_f32()).collect())
}

/// The error that rounding explains; with results in bf16, theirs as well.
fn tolerance(kernel: f64, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 => kernel,
        // A result rounded to 2⁻⁸ of itself has a relative RMS error of at most 2⁻⁸/√3 = 2.3e-3.
        Dtype::Bf16 => kernel.max(5e-3),
    }
}

/// The error, if it is at most the tolerance; a NaN is not.
fn accepted(kernel: impl FnOnce() -> String, error: f64, tolerance: f64) -> Result<f64> {
    if error <= tolerance { Ok(error) } else { Err(Error::Kernel { kernel: kernel(), error, tolerance }) }
}

/// Times one convolution in one direction.
pub(super) fn convolution(options: &Options, gauge: &Gauge, layer: &Timed<'_>) -> Result<Row> {
    let picture = layer.shape.in_channels == 3;
    match (layer.dtype, picture, layer.direction) {
        (Dtype::F32, ..) => convolution_of::<f32, f32>(options, gauge, layer),
        (Dtype::Bf16, false, _) => convolution_of::<bf16, bf16>(options, gauge, layer),
        (Dtype::Bf16, true, Direction::Forward) => convolution_of::<f32, bf16>(options, gauge, layer),
        (Dtype::Bf16, true, Direction::BackwardInput) => convolution_of::<bf16, f32>(options, gauge, layer),
    }
}

fn convolution_of<X: Element, Y: Element>(
    options: &Options,
    gauge: &Gauge,
    &Timed { name, shape, direction, dtype, requested }: &Timed<'_>,
) -> Result<Row> {
    let (from, to) = ends(direction, shape);
    let choice = Choice::new((shape.out_channels, shape.in_channels), dtype, Cpu::detect(), requested);
    let algorithm = choice.of(direction);
    let filter = Filter::new(random_weight(shape), Some(algorithm));
    let x: FeatureMap<X> = random_map((shape.height, shape.width), from, 1);
    let mut y: FeatureMap<Y> = dirty_map((shape.height, shape.width), to);
    run(direction, &filter, &x, &mut y);
    let error = verify(algorithm, direction, &filter, &x, &y)?;
    let measured = gauge.measure(options.repeats, || run(direction, &filter, &x, &mut y));
    Ok(Row {
        kind: Kind::Convolution,
        name: name.to_string(),
        direction: direction_name(direction).into(),
        map: [shape.height, shape.width],
        channels: [from, to],
        algorithm: algorithm.name().into(),
        forced: requested.is_some(),
        precision: dtype.name().into(),
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
pub(super) fn grams<E: Element>(options: &Options, gauge: &Gauge, name: Layer) -> Result<[Row; 2]> {
    let (side, n) = (options.layer_size / stride(name), channels(name));
    let errors = verify_gram::<E>(n)?;
    let map: FeatureMap<E> = random_map((side, side), n, 1);
    let s = gram::gram(&map);
    let mut d_f: FeatureMap<E> = dirty_map((side, side), n);
    let forward = gauge.measure(options.repeats, || drop(gram::gram(&map)));
    let backward =
        gauge.measure(options.repeats, || gram::backward(&map, gram::Affine::linear(s.view()), 0.0, &mut d_f));
    let row = |direction: &str, measured: super::gauge::Measured, error| Row {
        kind: Kind::Gram,
        name: name.to_string(),
        direction: direction.into(),
        map: [side, side],
        channels: [n, n],
        algorithm: if direction == "forward" { "FᵀF" } else { "F·S" }.into(),
        forced: false,
        precision: E::DTYPE.name().into(),
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
fn verify_gram<E: Element>(n: usize) -> Result<[f64; 2]> {
    let map: FeatureMap<E> = random_map(SMALL, n, 1);
    let f = E::widened(&map).as_matrix().mapv(f64::from);
    let single = |exact: Array2<f64>| exact.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let g = gram::gram(&map);
    let forward = relative_rms(&g.iter().copied().collect::<Vec<_>>(), &single(f.t().dot(&f)));
    let mut d_f: FeatureMap<E> = dirty_map(SMALL, n);
    gram::backward(&map, gram::Affine::linear(g.view()), 0.0, &mut d_f);
    let backward = relative_rms(E::widened(&d_f).as_slice(), &single(f.dot(&g.mapv(f64::from))));
    let name = |what: &'static str| move || format!("Gram matrix {what}, {n} channels ({})", Isa::detect().name());
    let backward = accepted(name("backward"), backward, tolerance(GRAM_TOLERANCE, E::DTYPE))?;
    Ok([accepted(name("forward"), forward, GRAM_TOLERANCE)?, backward])
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

fn run<X: Element, Y: Element>(direction: Direction, filter: &Filter, from: &FeatureMap<X>, to: &mut FeatureMap<Y>) {
    match direction {
        Direction::Forward => conv::forward(from, filter, 1, Epilogue::Bias(&vec![0.0; filter.dim().0]), to),
        Direction::BackwardInput => conv::backward_input(from, None, filter, 1, 0.0, to),
    }
}

/// Numbers uniform in [−1, 1]; many zeros would let some processors rest.
fn random(length: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..length).map(|_| rng.random_range(-1.0..=1.0)).collect()
}

fn random_map<E: Element>((height, width): (usize, usize), channels: usize, seed: u64) -> FeatureMap<E> {
    let numbers = random(height * width * channels, seed).into_iter().map(E::from_f32);
    FeatureMap::from_vec(height, width, channels, numbers.collect())
}

/// Full of NaN, so that whatever is not written shows.
fn dirty_map<E: Element>((height, width): (usize, usize), channels: usize) -> FeatureMap<E> {
    FeatureMap::from_vec(height, width, channels, vec![E::from_f32(f32::NAN); height * width * channels])
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
        let shape = Shape::new((9, 2), 20, 33, 1);
        for (algorithm, direction) in
            Algorithm::ALL.into_iter().flat_map(|a| [Direction::Forward, Direction::BackwardInput].map(|d| (a, d)))
        {
            let filter = Filter::new(random_weight(&shape), Some(algorithm));
            let (from, to) = ends(direction, &shape);
            let x: FeatureMap = random_map((9, 2), from, 1);
            let mut y: FeatureMap = dirty_map((9, 2), to);
            run(direction, &filter, &x, &mut y);
            assert!(verify(algorithm, direction, &filter, &x, &y).unwrap() <= algorithm.tolerance());
            // The last output of the last window, and one that was not written.
            let last = y.as_slice().len() - 1;
            y.as_mut_slice()[last] += 10.0;
            let refused = verify(algorithm, direction, &filter, &x, &y).unwrap_err();
            assert_eq!(refused.exit_code(), 1);
            assert!(refused.to_string().contains(algorithm.name()) && refused.to_string().contains("not timed"));
            y.as_mut_slice()[last] = f32::NAN;
            assert!(verify(algorithm, direction, &filter, &x, &y).is_err());
            let x: FeatureMap<bf16> = random_map((9, 2), from, 1);
            let mut y: FeatureMap<bf16> = dirty_map((9, 2), to);
            run(direction, &filter, &x, &mut y);
            assert!(verify(algorithm, direction, &filter, &x, &y).unwrap() <= 5e-3);
        }
        verify_gram::<f32>(33).unwrap();
        verify_gram::<bf16>(33).unwrap();
        assert!(accepted(String::new, f64::NAN, 1e-5).is_err());
    }

    #[test]
    fn windows_lie_at_both_ends_and_in_the_middle() {
        assert_eq!([0, 1, 2].map(|part| window(10, part)), [0..3, 3..6, 7..10]);
        assert_eq!([0, 1, 2].map(|part| window(2, part)), [0..2, 0..2, 0..2]);
        assert_eq!((grown(&(0..3), 10), grown(&(7..10), 10)), (0..4, 6..10));
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
        assert_eq!(layers[4].1, Shape::new((17, 17), 128, 256, 1));
    }
}
