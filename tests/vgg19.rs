//! VGG19 with random weights against PyTorch: `tests/data/pytorch/vgg19.*`, made by `tools/make_vgg19_fixtures.py`, where
//! the weights' formula is, too.
//!
//! PyTorch computed these numbers in `f64` from weights and pictures that `f32` holds exactly. Values are samples: k is
//! element (k·7919) mod (H·W·C) of the whole, and errors are relative to the whole one's root mean square.

mod common;

use std::sync::{Arc, LazyLock};

use common::{Fixtures, Tolerance, document, network_looseness};
use impasto::autograd::{Tape, Value};
use impasto::kernels::conv::Algorithm;
use impasto::objective::{ContentLoss, Evaluation, Goal, LayerWeight, Objective, Statistic, Variation};
use impasto::tensor::{BufferPool, Dtype};
use impasto::vgg::{Architecture, Border, Layer, Pooling, Stage, Vgg, VggOptions, Weights};
use safetensors::tensor::{Dtype as Stored, TensorView};
use serde_json::Value as Json;

/// Number i of a kind: uniform in [−1, 1), in steps of 2⁻²³.
fn uniform(kind: u32, i: u32) -> f32 {
    let mix = |h: u32| (h ^ h >> 15).wrapping_mul(739_982_445);
    let h = mix(mix(((kind << 26) + i + 1).wrapping_mul(2_654_435_769)));
    ((h ^ h >> 15) >> 8) as f32 / (1 << 23) as f32 - 1.0
}

fn scaled(kind: u32, count: usize, factor: f64) -> Vec<u8> {
    (0..count as u32).flat_map(|i| (uniform(kind, i) * factor as f32).to_le_bytes()).collect()
}

/// The bytes of a weight file, as torchvision's VGG19 would be: too many to be kept in a repository.
fn file() -> Vec<u8> {
    let stages = Architecture::Vgg19.stages().iter();
    let channels = stages.filter_map(|stage| match *stage {
        Stage::Convolution { in_channels, out_channels, .. } => Some((in_channels, out_channels)),
        Stage::Pool => None,
    });
    let tensors = channels.zip(Architecture::Vgg19.feature_numbers()).zip(0..);
    let tensors = tensors.flat_map(|(((inputs, outputs), number), k)| {
        let weight = scaled(2 * k, outputs * inputs * 9, (6.0 / (9 * inputs) as f64).sqrt());
        let bias = scaled(2 * k + 1, outputs, 1.0 / 16.0);
        [
            (format!("features.{number}.weight"), vec![outputs, inputs, 3, 3], weight),
            (format!("features.{number}.bias"), vec![outputs], bias),
        ]
    });
    let tensors: Vec<_> = tensors.collect();
    let views =
        tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Stored::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn network(deepest: Layer, algorithm: Option<Algorithm>) -> Vgg {
    static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| Weights::from_bytes("random VGG19", file()).unwrap());
    assert_eq!(WEIGHTS.architecture(), Architecture::Vgg19);
    let options = VggOptions { pooling: Pooling::Max, border: Border::Zero, dtype: Dtype::F32, algorithm };
    Vgg::new(&WEIGHTS, deepest, options).unwrap()
}

/// As the program chooses, and, so that a tolerance is tight, with products of matrices.
fn runs() -> impl Iterator<Item = Option<Algorithm>> {
    [None, Some(Algorithm::Im2col)].into_iter()
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("{json} is a number"))
}

/// Samples of a map within so much of its root mean square.
fn check(what: &str, whole: &[f32], (samples, expected): (&[f32], &Json), tolerance: f64) {
    let stride = 7919;
    let found: Vec<f32> = (0..samples.len()).map(|k| whole[k * stride % whole.len()]).collect();
    Tolerance { atol: tolerance * number(&expected["rms"]), rtol: 1e-6 }.check(what, &found, samples);
}

#[test]
fn every_layers_features_agree() {
    let (document, file) = (document("vgg19"), Fixtures::open("vgg19"));
    let content = Fixtures::open("pictures").map("content");
    for algorithm in runs() {
        let looseness = network_looseness(algorithm);
        let vgg = network(Layer::relu(5, 4), algorithm);
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let picture = tape.constant(Arc::new(Value::Map(content.clone())));
        let mut seen = Vec::new();
        vgg.forward(&mut tape, picture, |tape, layer, features| {
            let (map, expected) = (tape.map(features), &document["features"][layer.to_string()]);
            assert_eq!(expected["shape"], serde_json::json!([map.height(), map.width(), map.channels()]), "{layer}");
            let what = format!("{layer} {algorithm:?}");
            // As VGG16's in tests/pytorch.rs: sums of up to 4608 products, one after another through the layers.
            let samples = file.elements(&layer.to_string());
            check(&what, map.as_slice(), (&samples, expected), 4e-6 * looseness);
            let whole = Tolerance { atol: 0.0, rtol: 1e-6 * looseness };
            whole.check_scalar(&format!("{what} rms"), common::rms(map.as_slice()), number(&expected["rms"]));
            seen.push(layer);
        });
        assert!(seen.into_iter().eq(Architecture::Vgg19.layers()), "sixteen layers, in their order");
    }
}

/// How many times as large as F − P features are at the layer of the content loss, ½ Σ (F − P)².
fn features_to_difference(document: &Json) -> f64 {
    let layer = &document["features"]["relu4_4"];
    let elements: f64 = layer["shape"].as_array().unwrap().iter().map(number).product();
    number(&layer["rms"]) / (2.0 * number(&document["losses"]["content"]) / elements).sqrt()
}

#[test]
fn losses_at_the_layers_that_only_vgg19_has_agree_with_their_gradients() {
    let (document, file, pictures) = (document("vgg19"), Fixtures::open("vgg19"), Fixtures::open("pictures"));
    let [content, style, start] = ["content", "style", "start"].map(|name| pictures.map(name));
    let (told, losses) = (&document["objective"], &document["losses"]);
    let own = Goal {
        content_loss: ContentLoss::Sum,
        content_layers: vec![LayerWeight { layer: Layer::relu(4, 4), weight: 1.0 }],
        content_weight: number(&told["content_weight"]),
        statistic: Statistic::Gram,
        refresh: 1,
        style_layers: [(3, 0.75), (5, 0.25)].map(|(b, weight)| LayerWeight { layer: Layer::relu(b, 4), weight }).into(),
        style_weight: number(&told["style_weight"]),
        variation: Variation::Sum,
        tv_weight: number(&told["tv_weight"]),
        normalize_gradients: false,
    };
    for layer in &own.style_layers {
        assert_eq!(told["style_layers"][layer.layer.to_string()], layer.weight);
    }
    for algorithm in runs() {
        let looseness = network_looseness(algorithm);
        let vgg = Arc::new(network(Layer::relu(5, 4), algorithm));
        let evaluate = |goal: Goal| -> Evaluation {
            Objective::new(vgg.clone(), goal, &content, &style).evaluate(&start, &mut BufferPool::new())
        };
        // Sums over thousands of terms: single errors average out. What whole maps are off by, 1e-6 above, is doubled by
        // a square.
        let sums = Tolerance { atol: 0.0, rtol: 2e-6 * looseness };
        let whole = evaluate(own.clone());
        for (name, loss) in
            [("content", whole.content), ("style", whole.style), ("tv", whole.tv), ("total", whole.total)]
        {
            sums.check_scalar(&format!("{name} {algorithm:?}"), loss, number(&losses[name]));
        }
        assert_eq!(whole.layers.len(), 2);
        for (layer, loss) in &whole.layers {
            sums.check_scalar(&format!("{layer} {algorithm:?}"), *loss, number(&losses["layers"][layer.to_string()]));
        }
        for (part, content_weight, style_weight) in [("content", 1.0, 0.0), ("style", 0.0, 1.0)] {
            let gradient = evaluate(Goal { content_weight, style_weight, tv_weight: 0.0, ..own.clone() }).gradient;
            let (name, samples) = (format!("gradient.{part}"), file.elements(&format!("gradient.{part}")));
            // Back and forth through up to sixteen convolutions, in proportion to the whole gradient's size. Content's
            // begins with a difference of features, which are 4e-6 off and several times as large as it is.
            let difference = if part == "content" { 4e-6 * features_to_difference(&document) } else { 0.0 };
            let expected = (samples.as_slice(), &document["gradients"][part]);
            let tolerance = (1e-5 + difference) * looseness;
            check(&format!("{name} {algorithm:?}"), gradient.unwrap().as_slice(), expected, tolerance);
        }
    }
}
