//! The losses of every preset, as the program runs it, against PyTorch: `tests/data/pytorch/presets.*`, made by
//! `tools/make_preset_fixtures.py`.
//!
//! PyTorch's side has each preset's settings written down a second time. First they must be the program's: a preset that
//! is changed has no fixture until its new numbers are there, too. Then losses and gradients must be those that PyTorch
//! computed of them in `f64`, from inputs that `f32` holds exactly. Gradients are samples: value k is element (k·7919)
//! mod (H·W·3) of the whole.

mod common;

use std::sync::Arc;

use common::{Fixtures, Tolerance, document, network_looseness, weights_file};
use impasto::config::{Config, Preset};
use impasto::objective::{Evaluation, Goal, LayerWeight, Objective, Statistic};
use impasto::tensor::{BufferPool, FeatureMap};
use impasto::vgg::{Vgg, VggOptions, Weights};
use serde_json::{Value as Json, json};

/// How far a loss may be from PyTorch's, relative, and a sample of a gradient, in units of the whole one's root mean
/// square.
#[derive(Clone, Copy)]
struct Agreement {
    loss: f64,
    gradient: f64,
}

impl Agreement {
    /// Losses are sums over tens of thousands of terms; what is left is the features' own error, averaged. A gradient
    /// has gone back and forth through twelve convolutions, each summing up to 4608 products, and its error is in
    /// proportion to the whole map's size. Both as in `tests/pytorch.rs`.
    fn of_convolutions(config: &Config) -> Self {
        let looseness = network_looseness(config.conv_algorithm);
        Agreement { loss: 1e-6 * looseness, gradient: 1e-5 * looseness }
    }

    /// Of the sums alone: neighbours in a picture, without the network.
    const VARIATION: Agreement = Agreement { loss: 1e-6, gradient: 1e-6 };

    /// Roots of matrices that are products in `f32`, see `tests/recipe.rs`: where a map has fewer pixels than channels,
    /// an error of 6e-8 of the largest eigenvalue is 1e-4 of the root of the smallest that counts. Of 400 samples with
    /// errors of 3e-4 the largest is four times as far off.
    const TRANSPORT: Agreement = Agreement { loss: 3e-4, gradient: 1.2e-3 };

    fn of_style(config: &Config) -> Self {
        if config.statistic == Statistic::Wasserstein { Self::TRANSPORT } else { Self::of_convolutions(config) }
    }

    fn check_loss(self, what: &str, found: f64, expected: &Json) {
        Tolerance { atol: 0.0, rtol: self.loss }.check_scalar(what, found, number(expected));
    }
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("{json} is a number"))
}

/// What of a configuration decides its losses, as the fixtures have it.
fn settings(config: &Config) -> Json {
    let layers = |layers: &[LayerWeight]| -> Json {
        layers.iter().map(|l| (l.layer.to_string(), json!(l.weight))).collect::<serde_json::Map<_, _>>().into()
    };
    json!({
        "content_formula": config.content_loss,
        "content_layers": layers(&config.content_layers),
        "content_weight": config.content_weight,
        "statistic": config.statistic,
        "style_layers": layers(&config.style_layers),
        "style_weight": config.style_weight,
        "tv_formula": config.variation,
        "tv_weight": config.tv_weight,
        "pooling": config.pooling,
        "border": config.border,
    })
}

/// A preset's network and the fixtures' pictures.
struct Case {
    config: Config,
    vgg: Arc<Vgg>,
    content: FeatureMap,
    style: FeatureMap,
    start: FeatureMap,
}

impl Case {
    /// Everything that a run takes from the configuration, arithmetic and choice of kernels included.
    fn open(config: Config) -> Self {
        let options = VggOptions {
            pooling: config.pooling,
            border: config.border,
            dtype: config.precision.dtype(),
            algorithm: config.conv_algorithm,
        };
        let weights = Weights::open(weights_file()).unwrap();
        let vgg = Arc::new(Vgg::new(&weights, config.goal().deepest_layer(), options).unwrap());
        let pictures = Fixtures::open("pictures");
        let [content, style, start] = ["content", "style", "start"].map(|name| pictures.map(name));
        Case { config, vgg, content, style, start }
    }

    /// The losses, and the gradient of the preset's total or of one loss alone.
    fn evaluate(&self, part: &str) -> Evaluation {
        let weight = |name: &str, own: f64| match part {
            "total" => own,
            _ => f64::from(u8::from(part == name)),
        };
        let own = self.config.goal();
        let goal = Goal {
            content_weight: weight("content", own.content_weight),
            style_weight: weight("style", own.style_weight),
            tv_weight: weight("tv", own.tv_weight),
            ..own
        };
        Objective::new(self.vgg.clone(), goal, &self.content, &self.style).evaluate(&self.start, &mut BufferPool::new())
    }
}

#[test]
fn the_settings_of_every_preset_are_what_pytorch_was_told() {
    let document = document("presets");
    let presets = document["presets"].as_object().unwrap();
    assert_eq!(presets.len(), Preset::ALL.len());
    for preset in Preset::ALL {
        let fixture = presets.get(preset.name()).unwrap_or_else(|| panic!("{} has no fixture", preset.name()));
        assert_eq!(fixture["settings"], settings(&preset.config()), "{}", preset.name());
    }
}

#[test]
fn the_losses_of_every_preset_agree() {
    let document = document("presets");
    for preset in Preset::ALL {
        let (case, expected) = (Case::open(preset.config()), &document["presets"][preset.name()]["losses"]);
        let (convolutions, style) = (Agreement::of_convolutions(&case.config), Agreement::of_style(&case.config));
        let found = case.evaluate("total");
        for (name, loss, agreement) in [
            ("content", found.content, convolutions),
            ("style", found.style, style),
            ("tv", found.tv, Agreement::VARIATION),
            ("total", found.total, style),
        ] {
            agreement.check_loss(&format!("{} {name}", preset.name()), loss, &expected[name]);
        }
        assert_eq!(found.layers.len(), expected["layers"].as_object().unwrap().len());
        for (layer, loss) in &found.layers {
            style.check_loss(&format!("{} {layer}", preset.name()), *loss, &expected["layers"][layer.to_string()]);
        }
    }
}

#[test]
fn the_gradients_of_every_preset_agree() {
    let (document, file) = (document("presets"), Fixtures::open("presets"));
    let stride = number(&document["sample_stride"]) as usize;
    for preset in Preset::ALL {
        let case = Case::open(preset.config());
        let (convolutions, style) = (Agreement::of_convolutions(&case.config), Agreement::of_style(&case.config));
        let parts = [("content", convolutions), ("style", style), ("tv", Agreement::VARIATION), ("total", style)];
        for (part, agreement) in parts.into_iter().filter(|(part, _)| *part != "tv" || case.config.tv_weight > 0.0) {
            let what = format!("{}.{part}", preset.name());
            let (gradient, samples) = (case.evaluate(part).gradient.unwrap(), file.elements(&what));
            let whole = gradient.as_slice();
            let found: Vec<f32> = (0..samples.len()).map(|k| whole[k * stride % whole.len()]).collect();
            let rms = number(&document["presets"][preset.name()]["rms"][part]);
            Tolerance { atol: agreement.gradient * rms, rtol: 1e-6 }.check(&what, &found, &samples);
        }
    }
}
