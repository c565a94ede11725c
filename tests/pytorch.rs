//! The engine against PyTorch: `tests/data/pytorch`, made by `tools/make_fixtures.py`.
//!
//! PyTorch computed these numbers in `f64` from inputs that `f32` holds exactly,
//! so what is measured is this engine's own rounding. One rounding of an `f32`
//! is at most 2⁻²⁴ = 6e-8 of the number; the tolerances are small multiples of
//! that, and each says which sums make it a multiple.

mod common;

use std::iter;
use std::ops::ControlFlow;
use std::sync::Arc;

use common::{
    Fixtures, Tolerance, chosen, fast_algorithms, fixtures, looseness, network_looseness, relative_rms, rms, vgg16,
    weights_file,
};
use impasto::autograd::{Tape, Value, Var};
use impasto::config::{Config, Precision, Preset, Tone};
use impasto::kernels::conv::Algorithm;
use impasto::objective::{Evaluation, Objective};
use impasto::ops::{avg_pool2d, conv2d, gram, max_pool2d, normalize, total_variation};
use impasto::tensor::BufferPool;
use impasto::vgg::network::{MEAN, STD};
use impasto::vgg::{Layer, Pooling};
use impasto::{Picture, stylize};

const POOLINGS: [(&str, Pooling); 2] = [("max", Pooling::Max), ("avg", Pooling::Avg)];

/// Results of at most a few roundings.
const ELEMENTARY: Tolerance = Tolerance { atol: 1e-7, rtol: 3e-7 };

/// Sums of at most 9·17 products of normal numbers, which may cancel. On the way a sum is about √153 = 12
/// large, and each of 153 additions rounds by up to 6e-8 of it: 6e-8·12·√153 = 9e-6 if the errors are independent.
const SUMS: Tolerance = Tolerance { atol: 9e-6, rtol: 1e-6 };

/// The names of an op's cases.
fn cases(op: &str) -> Vec<String> {
    let document = fixtures();
    let cases = document["ops"][op].as_array().unwrap_or_else(|| panic!("{op} has cases"));
    cases.iter().map(|case| format!("{op}.{}", case.as_str().unwrap())).collect()
}

/// Runs a one-input op on each of its cases, forward and backward.
fn check_op(op: &str, tolerance: Tolerance, apply: impl Fn(&mut Tape<'_>, Var) -> Var) {
    let file = Fixtures::open("ops");
    for case in cases(op) {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(Value::Map(file.map(&format!("{case}.x"))));
        let y = apply(&mut tape, x);
        let (out, d_out) = (file.elements(&format!("{case}.out")), file.tensor(&format!("{case}.d_out")));
        let upstream = match tape.value(y) {
            Value::Scalar(sum) => {
                tolerance.check(&case, &[*sum as f32], &out);
                Value::Scalar(f64::from(d_out[0]))
            }
            value => {
                tolerance.check(&case, value.as_slice(), &out);
                match value {
                    Value::Map(_) => Value::Map(file.map(&format!("{case}.d_out"))),
                    _ => Value::Tensor(d_out),
                }
            }
        };
        let d_x = tape.backward_from(y, upstream).take_map(x);
        tolerance.check(&format!("{case} d_x"), d_x.as_slice(), &file.elements(&format!("{case}.d_x")));
    }
}

#[test]
fn conv2d_and_its_three_gradients_agree_in_every_algorithm() {
    let file = Fixtures::open("ops");
    for (case, algorithm) in cases("conv2d").iter().flat_map(|case| Algorithm::ALL.map(|a| (case, a))) {
        let tensor = |what: &str| format!("{case}.{what}");
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(Value::Map(file.map(&tensor("x"))));
        let w = tape.variable(file.filter(&tensor("weight"), Some(algorithm)));
        let b = tape.variable(Value::Tensor(file.tensor(&tensor("bias"))));
        let y = conv2d(&mut tape, x, w, b, 1);
        let name = format!("{case} {algorithm:?}");
        let sums = SUMS.times(looseness(algorithm, 9 * 17));
        sums.check(&name, tape.map(y).as_slice(), &file.elements(&tensor("out")));
        let mut gradients = tape.backward_from(y, Value::Map(file.map(&tensor("d_out"))));
        for (var, what) in [(x, "d_x"), (w, "d_weight"), (b, "d_bias")] {
            let gradient = gradients.take(var).unwrap();
            sums.check(&format!("{name} {what}"), gradient.as_slice(), &file.elements(&tensor(what)));
        }
    }
}

#[test]
fn max_pooling_agrees_to_the_bit() {
    check_op("max_pool2d", Tolerance { atol: 0.0, rtol: 0.0 }, max_pool2d);
}

#[test]
fn average_pooling_agrees() {
    check_op("avg_pool2d", ELEMENTARY, avg_pool2d);
}

#[test]
fn gram_agrees() {
    check_op("gram", SUMS, gram);
}

#[test]
fn total_variation_agrees() {
    check_op("total_variation", ELEMENTARY, total_variation);
}

#[test]
fn normalize_agrees() {
    check_op("normalize", ELEMENTARY, |tape, x| normalize(tape, x, MEAN, STD));
}

#[test]
fn features_agree_at_every_layer_with_both_poolings() {
    let (document, file) = (fixtures(), Fixtures::open("features"));
    let content = Fixtures::open("pictures").map("content");
    let stride = document["sample_stride"].as_u64().unwrap() as usize;
    for ((name, pooling), algorithm) in POOLINGS.into_iter().flat_map(|p| runs().map(move |a| (p, a))) {
        let vgg = vgg16(Layer::relu(5, 3), pooling, algorithm);
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let picture = tape.constant(Arc::new(Value::Map(content.clone())));
        let mut seen = 0;
        vgg.forward(&mut tape, picture, |tape, layer, features| {
            let (map, expected) = (tape.map(features), &document["features"][name][layer.to_string()]);
            let shape = [map.height(), map.width(), map.channels()];
            assert_eq!(expected["shape"], serde_json::json!(shape), "{layer}");
            let what = format!("{name} {layer} {algorithm:?}");

            let values = map.as_slice();
            let rms = expected["rms"].as_f64().unwrap();
            let samples = file.elements(&format!("{name}.{layer}"));
            let picks: Vec<f32> = (0..samples.len()).map(|k| values[k * stride % values.len()]).collect();
            // Sums of up to 4608 products, one after another through 13 layers; errors of a layer are in
            // proportion to its map's size, not to the single feature's.
            Tolerance { atol: 4e-6 * rms, rtol: 1e-6 }
                .times(network_looseness(algorithm))
                .check(&what, &picks, &samples);

            // Whole maps: single errors average out.
            let whole = Tolerance { atol: 0.0, rtol: 1e-6 }.times(network_looseness(algorithm));
            let mean =
                |f: &dyn Fn(f64) -> f64| values.iter().map(|&v| f(f64::from(v))).sum::<f64>() / values.len() as f64;
            whole.check_scalar(&format!("{what} mean"), mean(&|v| v), expected["mean"].as_f64().unwrap());
            whole.check_scalar(&format!("{what} rms"), mean(&|v| v * v).sqrt(), rms);
            seen += 1;
        });
        assert_eq!(seen, 13);
    }
}

/// How a whole run is tried: as the program does it, which takes another algorithm for the first layer than for the
/// others, and with each algorithm in all of them.
fn runs() -> impl Iterator<Item = Option<Algorithm>> {
    iter::once(None).chain(fast_algorithms().map(Some))
}

#[test]
fn the_program_as_it_comes_is_among_the_runs_and_takes_more_than_one_algorithm() {
    assert_eq!(runs().next(), Some(None));
    assert_eq!(Preset::ALL.map(|preset| preset.config().conv_algorithm), [None; Preset::ALL.len()]);
    let mut taken: Vec<Algorithm> = chosen(None).collect();
    taken.dedup();
    assert!(taken.len() > 1 && taken.iter().all(|algorithm| runs().any(|run| run == Some(*algorithm))), "{taken:?}");
}

/// The preset `paper` with the fixtures' weights and pictures as they are.
fn paper(document: &serde_json::Value, conv_algorithm: Option<Algorithm>) -> Config {
    let number = |name: &str| document["paper"][name].as_f64().unwrap();
    Config {
        size: 0,
        style_size: Some(0),
        content_weight: number("content_weight"),
        style_weight: number("style_weight"),
        tv_weight: number("tv_weight"),
        learning_rate: number("learning_rate"),
        iterations: Some(number("iterations") as u32),
        weights: Some(weights_file()),
        tone: Tone::Off,
        precision: Precision::F32,
        conv_algorithm,
        ..Preset::Paper.config()
    }
}

/// Sums over tens of thousands of terms, in `f64` or in blocks: what is left is the features' own error, averaged.
const LOSSES: Tolerance = Tolerance { atol: 0.0, rtol: 1e-6 };

fn check_losses(
    what: &str,
    tolerance: Tolerance,
    found: [(&str, f64); 4],
    layers: &[(Layer, f64)],
    expected: &serde_json::Value,
) {
    for (name, loss) in found {
        tolerance.check_scalar(&format!("{what} {name}"), loss, expected[name].as_f64().unwrap());
    }
    assert_eq!(layers.len(), expected["layers"].as_object().unwrap().len());
    for (layer, loss) in layers {
        let reference = expected["layers"][layer.to_string()].as_f64().unwrap();
        tolerance.check_scalar(&format!("{what} style at {layer}"), *loss, reference);
    }
}

#[test]
fn losses_and_the_pictures_gradient_agree_with_both_poolings() {
    let (document, file, pictures) = (fixtures(), Fixtures::open("losses"), Fixtures::open("pictures"));
    let (content, style, start) = (pictures.map("content"), pictures.map("style"), pictures.map("start"));
    for ((name, pooling), algorithm) in POOLINGS.into_iter().flat_map(|p| runs().map(move |a| (p, a))) {
        let vgg = Arc::new(vgg16(Layer::relu(4, 3), pooling, algorithm));
        let evaluate = |content_weight: f64, style_weight: f64, tv_weight: f64| -> Evaluation {
            let config = Config { content_weight, style_weight, tv_weight, ..paper(&document, algorithm) };
            let mut pool = BufferPool::new();
            Objective::new(vgg.clone(), config.goal(), &content, &style).evaluate(&start, &mut pool)
        };
        let check = |what: &str, reference: &str, evaluation: &Evaluation| {
            let references = file.elements(reference);
            let rms = rms(&references);
            // Back and forth through ten convolutions. Like the features, a gradient's error is in proportion
            // to the whole map's size.
            let tolerance = Tolerance { atol: 1e-5 * rms, rtol: 1e-6 }.times(network_looseness(algorithm));
            let (gradient, what) =
                (evaluation.gradient.as_ref().unwrap(), format!("{name} {algorithm:?} gradient of {what}"));
            match algorithm.and_then(turned_decisions) {
                None => tolerance.check(&what, gradient.as_slice(), &references),
                Some(share) => {
                    let error = relative_rms(gradient.as_slice(), &references);
                    println!("{what}: {error:.1e} of {share:.1e}");
                    assert!(error <= share, "{what}: {error} of it is not within {share}");
                }
            }
        };
        let weights = paper(&document, algorithm);
        let whole = evaluate(weights.content_weight, weights.style_weight, weights.tv_weight);
        let Evaluation { content, style, tv, total, .. } = whole;
        let losses = [("content", content), ("style", style), ("tv", tv), ("total", total)];
        check_losses(
            name,
            LOSSES.times(network_looseness(algorithm)),
            losses,
            &whole.layers,
            &document["losses"][name],
        );
        check("total", &format!("{name}.total"), &whole);
        check("content", &format!("{name}.content"), &evaluate(1.0, 0.0, 0.0));
        check("style", &format!("{name}.style"), &evaluate(0.0, 1.0, 0.0));
        check("tv", "tv", &evaluate(0.0, 0.0, 1.0));
    }
}

/// How much of a whole gradient may differ where operands are rounded. A feature near 0 may then pass its ReLU on one side
/// and not on the other: in each of ten layers a share of them as large as the features' relative error. Its gradient is
/// wholly there or wholly not, so it is squares that add up; twice their root is allowed. The other algorithms turn no
/// such decision at the fixture's picture.
fn turned_decisions(algorithm: Algorithm) -> Option<f64> {
    let features = match algorithm {
        Algorithm::AmxSplit => 3.8e-6,
        Algorithm::AmxBf16 => 1.9e-3,
        _ => return None,
    };
    Some(2.0 * f64::sqrt(10.0 * features))
}

/// How far the losses of a run may drift apart. Whether a feature near 0 passes its ReLU, or which of two nearly
/// equal ones a pooling, decides over the gradient of a whole neighbourhood. On the fixture's pictures an error
/// of 1e-6 is enough to turn such a decision: moving the picture by as much does so with im2col too.
/// An error of 3e-7 is not.
fn trajectory(requested: Option<Algorithm>) -> Tolerance {
    match requested {
        Some(Algorithm::Reference | Algorithm::Im2col) => LOSSES,
        // A tenth of every gradient points elsewhere, see `turned_decisions`.
        Some(Algorithm::AmxBf16) => Tolerance { atol: 0.0, rtol: 0.1 },
        _ => Tolerance { atol: 0.0, rtol: 1e-2 },
    }
}

/// The whole program but for files: the loop, Adam, the clamp and the last measurement.
#[test]
fn ten_steps_of_the_paper_lead_to_the_same_losses_and_the_same_picture() {
    let (document, pictures) = (fixtures(), Fixtures::open("pictures"));
    let picture = |name: &str| Picture::from_rgb(pictures.map(name).into_array());
    for algorithm in runs() {
        let mut lines = document["steps"].as_array().unwrap().iter();
        let config = paper(&document, algorithm);
        let outcome = stylize(&config, &picture("content"), &picture("style"), |step| {
            let expected = lines.next().expect("one line per iteration and one after the last");
            assert_eq!(expected["iteration"], step.iteration);
            let losses = [("content", step.content), ("style", step.style), ("tv", step.tv), ("total", step.total)];
            check_losses(&format!("step {}", step.iteration), trajectory(algorithm), losses, &step.layers, expected);
            ControlFlow::Continue(())
        });
        assert!(lines.next().is_none(), "every line was compared");

        // A step is the learning rate, 0.02, times a ratio of gradients whose relative errors are near 1e-6: ten
        // of them are off by 2e-7, and each rounds the picture by 6e-8. PyTorch's own f32 run is 2.5e-7 from its
        // f64 run.
        let found = outcome.unwrap().picture.rgb;
        let expected = Fixtures::open("steps").elements("picture");
        if algorithm == Some(Algorithm::Im2col) {
            Tolerance { atol: 1e-6, rtol: 0.0 }.check("picture", found.as_slice().unwrap(), &expected);
        }
        // Ten steps of 0.02 each, some of whose values went another way.
        let largest = if algorithm == Some(Algorithm::AmxBf16) { 0.1 } else { 0.02 };
        assert!(relative_rms(found.as_slice().unwrap(), &expected) < largest, "{algorithm:?}");
    }
}
