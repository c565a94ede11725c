//! Controls that other programs have: one knob from content to style, starts, and gradients of one size for each layer.

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use common::{paintings, relative_rms, waves, weights_file};
use impasto::autograd::{Tape, Value, Var};
use impasto::config::{Colors, Init, OptimizerKind, Precision, ScaleRule, Scales, Tone};
use impasto::objective::{Goal, LayerWeight, Loss, Objective, Variation};
use impasto::ops::squared_error;
use impasto::picture::Mask;
use impasto::tensor::{BufferPool, FeatureMap};
use impasto::transfer::{Inputs, Regions, Style};
use impasto::vgg::{Layer, Vgg, VggOptions, Weights};
use impasto::{Config, Engine, Error, Picture, Preset};
use ndarray::{Array2, Array3, ArrayView3, s};

/// One for all tests, which take turns.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Some(&weights_file()), 2, NonZeroUsize::MIN).unwrap());

fn photograph() -> Picture {
    waves(40, 48, 9.0, [0.5, 0.5, 0.5])
}

/// A scale of some iterations.
fn config(preset: Preset, iterations: u32) -> Config {
    Config { scales: Scales::Single(iterations), size: 48, iterations: None, tone: Tone::Off, ..preset.config() }
}

/// The picture, and content, style and variation at its end.
fn made(config: &Config) -> (Picture, [f64; 3]) {
    let [style, _] = paintings();
    let mut losses = [0.0; 3];
    let outcome = ENGINE.stylize(config, &photograph(), &style, |step| {
        losses = [step.content, step.style, step.tv];
        ControlFlow::Continue(())
    });
    (outcome.unwrap().picture, losses)
}

#[test]
fn strength_leads_from_the_photograph_to_the_style() {
    // The paper's α leaves little of the photograph: there is a way to it, and hardly one from it.
    let cases = [(Preset::Default, &[0.0, 0.25, 0.5, 0.75, 1.0][..], 3.0), (Preset::Paper, &[0.0, 0.05, 0.5], 1.2)];
    for (preset, strengths, far) in cases {
        let end = |&strength: &f64| made(&Config { strength, size: 32, ..config(preset, 30) }).1;
        let ends: Vec<_> = strengths.iter().map(end).collect();
        println!("{preset:?}: {ends:?}");
        for pair in ends.windows(2) {
            let [[content, style, _], [more_content, more_style, _]] = [pair[0], pair[1]];
            assert!(more_content > content, "{preset:?}: content is left: {ends:?}");
            // Where style alone pulls there is no more to gain, and two runs end as near as they happen to.
            let gained = if content > 0.9 * more_content { 1.02 } else { 1.0 };
            assert!(more_style < gained * style, "{preset:?}: style is approached: {ends:?}");
        }
        let [first, last] = [ends[0], ends[ends.len() - 1]];
        assert!(far * first[0] < last[0] && far * last[1] < first[1], "{preset:?}: far apart: {ends:?}");
    }
}

#[test]
fn half_the_strength_is_the_preset_to_the_bit_whatever_alpha_is() {
    for content_weight in [0.0, 1.0 / 3.0, 0.02, 5e-9, 1e300] {
        let config = Config { content_weight, ..Config::default() };
        assert_eq!(config.alpha().to_bits(), content_weight.to_bits());
    }
    let at = |strength| Config { content_weight: 3.0, strength, ..Config::default() }.alpha();
    for (strength, expected) in
        [(0.0, 3.0 * 101.0 * 101.0), (0.25, 3.0 * (0.76 / 0.26f64).powi(2)), (1.0, 3.0 / 10201.0)]
    {
        assert!((at(strength) / expected - 1.0f64).abs() < 1e-12, "{strength}");
    }
}

/// What a run begins with, in 16 × 20 pixels or others.
fn start(config: &Config, content: &Picture, styles: &[Style], regions: &Regions) -> Array3<f32> {
    ENGINE.share(|| {
        let plan = ENGINE.plan_with(config, content, styles, regions).unwrap();
        let inputs = Inputs::all(config, &plan, content, styles, regions).unwrap();
        ENGINE.begin(config, &plan, inputs).unwrap().picture().rgb
    })
}

/// Mean and covariance of colours, the second row by row.
fn moments(rgb: ArrayView3<'_, f32>) -> [f64; 12] {
    let pixels: Vec<[f64; 3]> =
        rgb.rows().into_iter().map(|colour| std::array::from_fn(|c| f64::from(colour[c]))).collect();
    let average = |f: &dyn Fn(&[f64; 3]) -> f64| pixels.iter().map(f).sum::<f64>() / pixels.len() as f64;
    let mean: [f64; 3] = std::array::from_fn(|c| average(&|x| x[c]));
    std::array::from_fn(|k| match k {
        0..3 => mean[k],
        _ => average(&|x| (x[(k - 3) / 3] - mean[(k - 3) / 3]) * (x[(k - 3) % 3] - mean[(k - 3) % 3])),
    })
}

fn nearly(found: [f64; 12], expected: [f64; 12], what: &str) {
    let far = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
    // 1e-5 is added to both covariances.
    assert!(far < 3e-5, "{what}: {found:?}, not {expected:?}");
}

/// Two paintings of 40 × 48 pixels, so calm that noise in their colours is not cut off.
fn calm_paintings() -> [Picture; 2] {
    [(1.5, [0.6, 0.4, 0.35]), (5.0, [0.35, 0.45, 0.6])].map(|(length, colour)| {
        let mut picture = waves(40, 48, length, colour);
        picture.rgb.indexed_iter_mut().for_each(|((.., c), x)| *x = colour[c] + 0.4 * (*x - colour[c]));
        picture
    })
}

#[test]
fn a_grey_start_is_mid_grey_with_a_grain_of_its_seed() {
    let of = |seed, change: fn(&mut Config)| {
        let mut config = Config { init: Init::Gray, seed, ..config(Preset::Paper, 1) };
        change(&mut config);
        start(&config, &photograph(), &[Style::new(paintings()[0].clone())], &Regions::default())
    };
    let grey = of(3, |_| {});
    assert!(grey.iter().all(|&x| (0.5..=0.5 + 1.0 / 255.0).contains(&x)));
    assert!((grey.mean().unwrap() - 0.5 - 0.5 / 255.0).abs() < 1e-4);
    assert!(grey == of(3, |_| {}) && grey != of(4, |_| {}));
    let drained = of(3, |config| config.luminance_only = true);
    assert!(drained.rows().into_iter().all(|c| (c[0] - c[1]).abs() + (c[1] - c[2]).abs() < 1e-6));
}

#[test]
fn a_start_of_style_statistics_has_the_mean_and_covariance_of_the_styles() {
    let [one, other] = calm_paintings();
    let (of_one, of_other) = (moments(one.rgb.view()), moments(other.rgb.view()));
    let config = |seed| Config { init: Init::StyleStats, seed, ..config(Preset::Paper, 1) };
    let alone = |seed| start(&config(seed), &photograph(), &[Style::new(one.clone())], &Regions::default());
    nearly(moments(alone(1).view()), of_one, "one style");
    assert!(alone(1) == alone(1) && alone(1) != alone(2));
    // Of a blend, what the pixels of both have, the first being there three times.
    let styles = [Style { weight: 3.0, ..Style::new(one.clone()) }, Style::new(other.clone())];
    let blend = start(&config(1), &photograph(), &styles, &Regions::default());
    let all = ndarray::concatenate![ndarray::Axis(0), one.rgb, one.rgb, one.rgb, other.rgb];
    nearly(moments(blend.view()), moments(all.view()), "two styles");
    // Of regions, each has its own, whatever is seen of the photograph.
    let left = Mask::new(Array2::from_shape_fn((40, 48), |(_, x)| if x < 24 { 1.0 } else { 0.0 }));
    let styles = [Style { region: Some(0), ..Style::new(one.clone()) }, Style::new(other.clone())];
    let mut content = photograph();
    content.alpha = Some(Array2::from_shape_fn((40, 48), |(y, _)| if y < 20 { 1.0 } else { 0.0 }));
    let both = start(&config(1), &content, &styles, &Regions { masks: vec![left], keep: None });
    nearly(moments(both.slice(s![.., ..24, ..])), of_one, "the left");
    nearly(moments(both.slice(s![.., 24.., ..])), of_other, "the right");
    // In the photograph's colours, where the style has them.
    let matched = Config { colors: Colors::Match, ..config(1) };
    let matched = start(&matched, &photograph(), &[Style::new(one)], &Regions::default());
    assert!((matched.mean().unwrap() - photograph().rgb.mean().unwrap()).abs() < 0.01);
}

/// What is noise in the styles' colours tells what those are.
#[test]
fn matched_to_the_photograph_each_style_has_the_colours_of_its_own_place() {
    let [left, right] = calm_paintings();
    let half = s![.., ..24, ..];
    let mut content = right.clone();
    content.rgb.slice_mut(half).assign(&left.rgb.slice(half));
    let mask = Mask::new(Array2::from_shape_fn((40, 48), |(_, x)| if x < 24 { 1.0 } else { 0.0 }));
    let [one, other] = paintings().map(Style::new);
    let styles = [Style { region: Some(0), ..one }, other];
    let config = Config { init: Init::StyleStats, colors: Colors::Match, ..config(Preset::Paper, 1) };
    let found = start(&config, &content, &styles, &Regions { masks: vec![mask], keep: None });
    for (what, columns) in [("left", 0..24), ("right", 24..48)] {
        let columns = s![.., columns, ..];
        let [found, expected] = [&found, &content.rgb].map(|rgb| moments(rgb.slice(columns)));
        let far = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
        // Colours of the paintings may have been cut off on their way.
        assert!(far < 1e-3, "{what}: {found:?}, not {expected:?}");
    }
}

#[test]
fn absolute_variation_is_brought_down_and_edges_stay() {
    let at =
        |tv_weight| made(&Config { variation: Variation::Absolute, tv_weight, ..config(Preset::Default, 40) }).1[2];
    let ends = [0.0, 0.3, 3.0].map(at);
    assert!(ends.is_sorted_by(|more, less| less < more), "{ends:?}");
}

fn options(config: &Config) -> VggOptions {
    VggOptions {
        pooling: config.pooling,
        border: config.border,
        dtype: config.precision.dtype(),
        algorithm: config.conv_algorithm,
    }
}

fn map(picture: &Picture) -> FeatureMap {
    FeatureMap::from_array(picture.rgb.clone())
}

/// The features of a layer, a row a pixel.
fn features(vgg: &Vgg, picture: &Picture, wanted: Layer) -> Array2<f64> {
    let mut pool = BufferPool::new();
    let mut tape = Tape::new(&mut pool);
    let picture = tape.constant(Arc::new(Value::Map(map(picture))));
    let mut found = None;
    vgg.forward(&mut tape, picture, |tape, layer, features| {
        if layer == wanted {
            found = Some(tape.map(features).as_matrix().mapv(f64::from));
        }
    });
    found.unwrap()
}

/// Normalising is linear behind the features: what a loss alone sends to the picture is divided by the norm of its gradient
/// there, which is computed here by the formulas of the paper.
#[test]
fn normalised_gradients_are_each_layers_divided_by_its_norm() {
    let config = Preset::Paper.config();
    let weights = Weights::load(Some(&weights_file())).unwrap();
    let layer = |block, weight| LayerWeight { layer: Layer::relu(block, 2), weight };
    let goal = Goal {
        // At the second layer both look.
        content_layers: vec![layer(2, 0.5), layer(3, 2.0)],
        style_layers: vec![layer(1, 0.25), layer(2, 3.0)],
        content_weight: 5.0,
        style_weight: 0.125,
        tv_weight: 1e-4,
        ..config.goal()
    };
    let vgg = Arc::new(Vgg::new(&weights, goal.deepest_layer(), options(&config)).unwrap());
    let (content, [style, x]) = (photograph(), paintings());
    let x = x.resize(40, 48);
    let evaluate = |goal: Goal| {
        Objective::new(vgg.clone(), goal, &map(&content), &map(&style)).evaluate(&map(&x), &mut BufferPool::new())
    };
    let (plain, normalised) = (evaluate(goal.clone()), evaluate(Goal { normalize_gradients: true, ..goal.clone() }));
    let losses = |e: &impasto::objective::Evaluation| [e.content, e.style, e.tv, e.total];
    assert_eq!(losses(&plain), losses(&normalised), "losses are what they are");
    let alone = Goal { content_layers: vec![], style_layers: vec![], tv_weight: 0.0, ..goal.clone() };
    let add = |sum: &mut Vec<f64>, goal: Goal, factor: f64| {
        let gradient = evaluate(goal).gradient.unwrap();
        sum.iter_mut().zip(gradient.as_slice()).for_each(|(sum, d)| *sum += factor * f64::from(*d));
    };
    let mut expected = vec![0.0; 40 * 48 * 3];
    let variation = Goal { content_weight: 0.0, style_weight: 0.0, tv_weight: goal.tv_weight, ..alone.clone() };
    add(&mut expected, variation, 1.0);
    let one = |layer: &LayerWeight| vec![LayerWeight { weight: 1.0, ..*layer }];
    for l in &goal.content_layers {
        let norm = (features(&vgg, &x, l.layer) - features(&vgg, &content, l.layer)).mapv(f64::abs).sum();
        let loss = Goal { content_layers: one(l), content_weight: 1.0, style_weight: 0.0, ..alone.clone() };
        add(&mut expected, loss, goal.content_weight * l.weight / norm);
    }
    for l in &goal.style_layers {
        let (f, of_style) = (features(&vgg, &x, l.layer), features(&vgg, &style, l.layer));
        let gram = |f: &Array2<f64>| f.t().dot(f) / f.nrows() as f64;
        // 1/(4N²) Σ d², d = G/M − A/M_A: F d / (N²M).
        let slope = f.dot(&(gram(&f) - gram(&of_style)));
        let norm = slope.mapv(f64::abs).sum() / (f.ncols() * f.ncols() * f.nrows()) as f64;
        let loss = Goal { style_layers: one(l), style_weight: 1.0, content_weight: 0.0, ..alone.clone() };
        add(&mut expected, loss, goal.style_weight * l.weight / norm);
    }
    let expected: Vec<f32> = expected.iter().map(|&d| d as f32).collect();
    let [found, without] = [normalised, plain].map(|e| relative_rms(e.gradient.unwrap().as_slice(), &expected));
    // The same passes through the network, in another order of sums.
    assert!(found < 1e-4, "{found}");
    assert!(without > 0.1, "without it the gradient is another: {without}");
}

#[test]
fn normalised_gradients_do_not_depend_on_threads_and_lead_downhill() {
    for precision in [Precision::F32, Precision::Bf16] {
        let config = Config {
            normalize_gradients: true,
            precision,
            weights: Some(weights_file()),
            ..config(Preset::NeuralStyle, 8)
        };
        let config = Config { optimizer: OptimizerKind::Adam, learning_rate: 0.02, init: Init::Content, ..config };
        let [style, _] = paintings();
        let run = |threads| {
            let (config, mut losses) = (Config { threads, ..config.clone() }, Vec::new());
            let outcome = impasto::stylize(&config, &photograph(), &style, |step| {
                losses.push(step.style);
                ControlFlow::Continue(())
            });
            (outcome.unwrap().picture, losses)
        };
        let (picture, losses) = run(1);
        assert!(losses[8] < losses[0], "{losses:?}");
        assert!([2, 3].iter().all(|&threads| run(threads) == (picture.clone(), losses.clone())), "{precision:?}");
    }
}

#[test]
fn with_normalised_gradients_a_picture_is_whole_or_refused() {
    let sizes = impasto::transfer::Sizes::new((1000, 1200), (400, 500));
    let config = |max_memory| Config { size: 1200, normalize_gradients: true, max_memory, ..config(Preset::Paper, 1) };
    let plan = |config: &Config| {
        let scales = impasto::transfer::plan::scales(config, &sizes).unwrap();
        ENGINE.plan_of(config, scales, &sizes)
    };
    let small = Some(600_000_000);
    let cut = plan(&Config { normalize_gradients: false, ..config(small) }).unwrap();
    assert!(cut.cuts[0].picture.is_some());
    let error = plan(&config(small)).unwrap_err();
    assert!(matches!(error, Error::Memory(_)));
    let message = error.to_string();
    assert!(message.contains("whole as --normalize-gradients needs it, needs at least"), "{message}");
    assert!(message.contains("--size ") && message.contains("--max-memory"), "{message}");
    let budget = Some(20_000_000_000);
    let (with, without) = (config(budget), Config { normalize_gradients: false, ..config(budget) });
    let (with, without) = (plan(&with).unwrap(), plan(&without).unwrap());
    assert!(with.cuts[0].picture.is_none() && with.memory.maps > without.memory.maps);
}

/// What the library's content loss is, from outside.
struct Content {
    layer: Layer,
    target: Arc<Value>,
}

impl Loss for Content {
    fn of_features(&self, tape: &mut Tape<'_>, layer: Layer, features: Var) -> Option<Var> {
        (layer == self.layer).then(|| {
            let target = tape.constant(self.target.clone());
            squared_error(tape, features, target)
        })
    }
}

/// Σ x², which is all about the picture.
struct Bright;

impl Loss for Bright {
    fn of_picture(&self, tape: &mut Tape<'_>, picture: Var) -> Option<Var> {
        let (height, width, channels) = tape.dim(picture);
        let black = tape.constant(Arc::new(Value::Map(FeatureMap::zeros(height, width, channels))));
        Some(squared_error(tape, picture, black))
    }
}

#[test]
fn a_loss_from_outside_is_added_with_its_gradient() {
    let config = Preset::Paper.config();
    let weights = Weights::load(Some(&weights_file())).unwrap();
    let (layer, weight) = (Layer::relu(2, 2), 1.0);
    let goal = Goal { content_layers: vec![LayerWeight { layer, weight }], content_weight: 3.0, ..config.goal() };
    let vgg = Arc::new(Vgg::new(&weights, goal.deepest_layer(), options(&config)).unwrap());
    let (content, [style, x]) = (photograph(), paintings());
    let (x, mut pool) = (map(&x.resize(40, 48)), BufferPool::new());
    let objective = |goal: Goal| Objective::new(vgg.clone(), goal, &map(&content), &map(&style));
    let theirs = objective(goal.clone()).evaluate(&x, &mut pool);
    let target = features(&vgg, &content, layer).mapv(|v| v as f32).into_raw_vec_and_offset().0;
    let target = Arc::new(Value::Map(FeatureMap::from_vec(20, 24, 128, target)));
    let mut ours = objective(Goal { content_weight: 0.0, ..goal });
    // The paper's content loss is half of Σ (F − P)².
    ours.add(1.5, Arc::new(Content { layer, target }));
    ours.add(0.0, Arc::new(Bright));
    let ours = ours.evaluate(&x, &mut pool);
    let bright = x.as_slice().iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    assert!((ours.added[0] / (2.0 * theirs.content) - 1.0).abs() < 1e-9 && (ours.added[1] / bright - 1.0).abs() < 1e-9);
    assert!((ours.total / theirs.total - 1.0).abs() < 1e-9);
    let error = relative_rms(ours.gradient.unwrap().as_slice(), theirs.gradient.unwrap().as_slice());
    assert!(error < 1e-5, "{error:.1e}");
}

#[test]
fn a_loss_from_outside_is_minimised_at_every_scale_and_refused_in_strips() {
    let rule = |size| ScaleRule { size, iterations: 4 };
    let config = Config { scales: Scales::Given(vec![rule(32), rule(48)]), ..config(Preset::Paper, 4) };
    let (content, [style, _]) = (photograph(), paintings());
    ENGINE.share(|| {
        let mut plan = ENGINE.plan(&config, &content, &style).unwrap();
        let inputs = || Inputs::new(&config, &plan, &content, &style);
        let mut run = ENGINE.begin(&config, &plan, inputs()).unwrap();
        assert!(matches!(run.add(f64::NAN, Bright), Err(Error::Usage(_))));
        run.add(1e6, Bright).unwrap();
        let mut losses = Vec::new();
        while let Some(step) = run.step().unwrap() {
            losses.extend(step.added);
        }
        assert!(losses.len() == 9 && losses[8] < losses[4], "{losses:?}");
        let inputs = inputs();
        plan.cuts[1].picture = Some(16);
        let mut run = ENGINE.begin(&config, &plan, inputs).unwrap();
        assert!(matches!(run.add(1.0, Bright), Err(Error::Usage(_))));
    });
}
