//! Several styles: what is learned of them is a blend, in proportion to their weights, and nothing else about a run is
//! another.

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use common::{paintings, waves, weights_file};
use impasto::config::{ScaleRule, Scales, Tone};
use impasto::objective::{Goal, Objective, Statistic};
use impasto::tensor::{BufferPool, FeatureMap};
use impasto::transfer::checkpoint::{Digests, Header, digest};
use impasto::transfer::{Checkpoint, Inputs, Plan, Regions, Sizes, Step, Style};
use impasto::vgg::{Vgg, VggOptions, Weights};
use impasto::{Config, Engine, Error, Picture, Preset};

/// One for all tests, which take turns.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Some(&weights_file()), 2, NonZeroUsize::MIN).unwrap());

fn photograph() -> Picture {
    waves(40, 48, 9.0, [0.5, 0.5, 0.5])
}

/// Two scales, with everything that looks at a style picture.
fn config() -> Config {
    let scales = Scales::Given(vec![ScaleRule { size: 24, iterations: 4 }, ScaleRule { size: 40, iterations: 4 }]);
    Config { scales, size: 40, iterations: None, tone: Tone::Style, ..Preset::Fast.config() }
}

fn weighing(weights: &[f64], pictures: &[&Picture]) -> Vec<Style> {
    weights.iter().zip(pictures).map(|(&weight, &picture)| Style { weight, ..Style::new(picture.clone()) }).collect()
}

fn made(config: &Config, styles: &[Style]) -> (Picture, f64) {
    let mut last = 0.0;
    let outcome = ENGINE.stylize_with(config, &photograph(), styles, &Regions::default(), |step| {
        last = step.total;
        ControlFlow::Continue(())
    });
    (outcome.unwrap().picture, last)
}

#[test]
fn one_style_given_twice_is_the_same_to_the_byte_as_given_once() {
    let [style, _] = paintings();
    for statistic in [Statistic::Wasserstein, Statistic::Gram] {
        let config = Config { statistic, ..config() };
        let once = made(&config, &[Style::new(style.clone())]);
        let mut alone = 0.0;
        let outcome = ENGINE.stylize(&config, &photograph(), &style, |step| {
            alone = step.total;
            ControlFlow::Continue(())
        });
        assert!((outcome.unwrap().picture, alone) == once);
        assert!(made(&config, &weighing(&[0.5, 0.5], &[&style, &style])) == once, "{statistic:?}");
        // Only the weights' ratios matter.
        assert!(made(&config, &weighing(&[4.0, 4.0], &[&style, &style])) == once, "{statistic:?}");
    }
}

/// How far a picture's statistics are from those of a style, of the configuration's kind.
fn distance(picture: &Picture, style: &Picture, statistic: Statistic) -> f64 {
    let config = Config { statistic, content_weight: 0.0, tv_weight: 0.0, ..config() };
    let options = VggOptions {
        pooling: config.pooling,
        border: config.border,
        dtype: config.precision.dtype(),
        algorithm: config.conv_algorithm,
    };
    let goal = Goal { content_layers: Vec::new(), ..config.goal() };
    let weights = Weights::load(Some(&weights_file())).unwrap();
    let vgg = Vgg::new(&weights, goal.deepest_layer(), options).unwrap().into();
    let map = |picture: &Picture| FeatureMap::from_array(picture.rgb.clone());
    Objective::new(vgg, goal, &map(picture), &map(style)).measure(&map(picture), &mut BufferPool::new()).style
}

#[test]
fn a_blend_lies_between_its_styles() {
    let [one, other] = paintings();
    let config = Config { content_weight: 0.001, ..config() };
    let results =
        [[1.0, 1e-9], [0.7, 0.3], [0.3, 0.7], [1e-9, 1.0]].map(|w| made(&config, &weighing(&w, &[&one, &other])).0);
    let from = |style: &Picture| {
        results.iter().map(|result| distance(result, style, Statistic::Wasserstein)).collect::<Vec<_>>()
    };
    let (from_one, from_other) = (from(&one), from(&other));
    assert!(from_one.is_sorted_by(|a, b| a < b), "{from_one:?}");
    assert!(from_other.is_sorted_by(|a, b| a > b), "{from_other:?}");
    // The colours that are matched at the end are between, too.
    let red = |picture: &Picture| picture.rgb.slice(ndarray::s![.., .., 0]).mean().unwrap();
    let reds = results.each_ref().map(red);
    assert!(reds.is_sorted_by(|a, b| a > b), "{reds:?}");
}

#[test]
fn a_style_that_weighs_next_to_nothing_changes_next_to_nothing() {
    let [one, other] = paintings();
    let alone = made(&config(), &[Style::new(one.clone())]).0;
    let beside = made(&config(), &weighing(&[1.0, 1e-12], &[&one, &other])).0;
    let most = alone.rgb.iter().zip(&beside.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Adam moves what has hardly a gradient as far as all else: rounding decides where, by a part of a step of 0.03.
    assert!(most < 0.01, "{most}");
}

#[test]
fn a_budget_changes_no_byte() {
    let [one, other] = paintings();
    let styles = weighing(&[0.6, 0.4], &[&one, &other]);
    let of = |cut: Option<usize>| {
        let config = config();
        let sizes = Sizes::of(&photograph(), &styles, &Regions::default());
        let scales = impasto::transfer::plan::scales(&config, &sizes).unwrap();
        ENGINE.share(|| {
            let mut plan = ENGINE.plan_of(&config, scales, &sizes).unwrap();
            plan.cuts.iter_mut().for_each(|to| (to.picture, to.style) = (cut, cut));
            let inputs = Inputs::all(&config, &plan, &photograph(), &styles, &Regions::default()).unwrap();
            let mut run = ENGINE.begin(&config, &plan, inputs).unwrap();
            while run.step().unwrap().is_some() {}
            run.result()
        })
    };
    assert!(of(None) == of(Some(8)));
}

#[test]
fn a_run_that_goes_on_makes_the_same_bytes_and_another_blend_is_refused() {
    let [one, other] = paintings();
    let (config, content) = (config(), photograph());
    let styles = weighing(&[0.6, 0.4], &[&one, &other]);
    let digests = |plan: &Plan, styles: &[Style]| {
        let styles = plan.shares.iter().copied().zip(styles.iter().map(|style| digest(&style.picture)));
        let weights = ENGINE.weights_digest().unwrap();
        Digests { content: digest(&content), styles: styles.collect(), masks: Vec::new(), weights }
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let resumed = ENGINE.share(|| {
        let plan = ENGINE.plan_with(&config, &content, &styles, &Regions::default()).unwrap();
        let inputs = || Inputs::all(&config, &plan, &content, &styles, &Regions::default()).unwrap();
        let mut run = ENGINE.begin(&config, &plan, inputs()).unwrap();
        // One iteration of the second scale.
        (0..5).for_each(|_| drop(run.step().unwrap()));
        let header = Header::new(&run, &config, &plan, digests(&plan, &styles));
        Checkpoint::write(&path, &header, "{}".into(), &run).unwrap();
        let checkpoint = Checkpoint::read(&path).unwrap();
        checkpoint.check(&digests(&plan, &styles)).unwrap();
        // The same pictures with other weights, and in another order.
        for others in [weighing(&[0.5, 0.5], &[&one, &other]), weighing(&[0.6, 0.4], &[&other, &one])] {
            let plan = ENGINE.plan_with(&config, &content, &others, &Regions::default()).unwrap();
            let refusal = checkpoint.check(&digests(&plan, &others)).unwrap_err().to_string();
            assert!(refusal.contains("one of the style pictures has changed"), "{refusal}");
        }
        let mut run = ENGINE.resume(&checkpoint, &config, &plan, inputs()).unwrap();
        while run.step().unwrap().is_some() {}
        run.result()
    });
    assert!(resumed == made(&config, &styles).0);
}

#[test]
fn no_style_and_a_style_without_weight_are_refused() {
    let [one, other] = paintings();
    let refused = |styles: &[Style]| {
        let run = |_: &Step<'_>| ControlFlow::Continue(());
        let error = ENGINE.stylize_with(&config(), &photograph(), styles, &Regions::default(), run).unwrap_err();
        assert!(matches!(error, Error::Usage(_)));
        error.to_string()
    };
    assert!(refused(&[]).contains("give at least one"));
    assert!(refused(&weighing(&[1.0, 0.0], &[&one, &other])).contains("weight 0: give a number above 0"));
    assert!(refused(&weighing(&[1.0, f64::NAN], &[&one, &other])).contains("weight NaN"));
}
