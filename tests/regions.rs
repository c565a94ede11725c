//! Masks: which style is painted where, what of a style picture is learned, and what of the photograph stays.

mod common;

use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, LazyLock};

use common::{paintings, waves, weights_file};
use impasto::autograd::Cancel;
use impasto::config::{Precision, ScaleRule, Scales, Tone};
use impasto::objective::{Cut, Goal, LayerWeight, Objective, Region, Sample, Statistic, Viewer, learned_bytes};
use impasto::picture::Mask;
use impasto::tensor::{BufferPool, FeatureMap};
use impasto::transfer::checkpoint::{Digests, Header, digest};
use impasto::transfer::{Checkpoint, Inputs, Regions, Step, Style};
use impasto::vgg::{Layer, Vgg, VggOptions, Weights};
use impasto::{Config, Engine, Error, Picture, Preset};
use ndarray::{Array2, s};

/// One for all tests, which take turns.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Some(&weights_file()), 2, NonZeroUsize::MIN).unwrap());

fn photograph() -> Picture {
    waves(48, 64, 9.0, [0.5, 0.5, 0.5])
}

/// White at the left, black at the right, and a ramp of so many pixels between them.
fn left(height: usize, width: usize, soft: f32) -> Mask {
    let value = |x: usize| (0.5 + (width as f32 / 2.0 - x as f32 - 0.5) / soft.max(1e-3)).clamp(0.0, 1.0);
    Mask::new(Array2::from_shape_fn((height, width), |(_, x)| value(x)))
}

/// Two scales, with everything that looks at a style picture.
fn config() -> Config {
    let scales = Scales::Given(vec![ScaleRule { size: 32, iterations: 10 }, ScaleRule { size: 64, iterations: 10 }]);
    let preset = Preset::Fast.config();
    Config { scales, size: 64, iterations: None, tone: Tone::Off, content_weight: 0.002, ..preset }
}

/// The first style where the mask is white, the second elsewhere.
fn beside(mask: Mask) -> (Vec<Style>, Regions) {
    let [one, other] = paintings().map(Style::new);
    (vec![Style { region: Some(0), ..one }, other], Regions { masks: vec![mask], keep: None })
}

fn made(config: &Config, styles: &[Style], regions: &Regions) -> Picture {
    ENGINE.stylize_with(config, &photograph(), styles, regions, |_| ControlFlow::Continue(())).unwrap().picture
}

fn options(config: &Config) -> VggOptions {
    VggOptions {
        pooling: config.pooling,
        border: config.border,
        dtype: config.precision.dtype(),
        algorithm: config.conv_algorithm,
    }
}

fn network(config: &Config) -> Arc<Vgg> {
    let weights = Weights::load(Some(&weights_file())).unwrap();
    Arc::new(Vgg::new(&weights, config.goal().deepest_layer(), options(config)).unwrap())
}

fn map(picture: &Picture) -> FeatureMap {
    FeatureMap::from_array(picture.rgb.clone())
}

/// How far the statistics of some columns of a picture are from those of a style.
fn distance(vgg: &Arc<Vgg>, config: &Config, picture: &Picture, columns: Range<usize>, style: &Picture) -> f64 {
    let goal = Goal { content_layers: Vec::new(), content_weight: 0.0, tv_weight: 0.0, ..config.goal() };
    let part = map(&Picture::from_rgb(picture.rgb.slice(s![.., columns, ..]).to_owned()));
    Objective::new(vgg.clone(), goal, &part, &map(style)).measure(&part, &mut BufferPool::new()).style
}

#[test]
fn each_half_is_closer_to_its_own_style_than_to_the_others() {
    // Of deep layers a half has hardly more than its edges.
    let layers = [1, 2, 3].map(|block| LayerWeight { layer: Layer::relu(block, 1), weight: 1.0 });
    let scales = Scales::Given(vec![ScaleRule { size: 64, iterations: 40 }]);
    let config = Config { style_layers: layers.to_vec(), scales, content_weight: 0.0, ..config() };
    let vgg = network(&config);
    let [one, other] = paintings();
    for soft in [0.0, 16.0] {
        let (styles, regions) = beside(left(30, 40, soft));
        let result = made(&config, &styles, &regions);
        for (columns, own, others) in [(0..24, &one, &other), (40..64, &other, &one)] {
            let (near, far) =
                [own, others].map(|style| distance(&vgg, &config, &result, columns.clone(), style)).into();
            println!("{columns:?}, {soft} soft: {near} from its own, {far} from the other");
            assert!(near < 0.5 * far, "{columns:?}, {soft} soft: {near} from its own, {far} from the other");
        }
        let mean = |columns, c| result.rgb.slice(s![.., columns, c]).mean().unwrap();
        assert!(
            mean(0..24, 0) > mean(0..24, 2) && mean(40..64, 2) > mean(40..64, 0),
            "red strokes left, blue ones right"
        );
    }
}

#[test]
fn there_is_no_seam_at_a_soft_edge() {
    let (styles, regions) = beside(left(48, 64, 24.0));
    let result = made(&config(), &styles, &regions);
    // Mean steps from column to column: in the middle they are no larger than where one style is alone.
    let step = |x: usize| -> f32 {
        let difference = &result.rgb.slice(s![.., x + 1, ..]) - &result.rgb.slice(s![.., x, ..]);
        difference.mean_axis(ndarray::Axis(0)).unwrap().iter().map(|d| d.abs()).sum()
    };
    let most = |columns: Range<usize>| columns.map(step).fold(0.0, f32::max);
    let alone = most(1..20).max(most(44..62));
    assert!(most(20..44) <= 1.1 * alone, "{} in the middle, {alone} elsewhere", most(20..44));
}

fn objective(viewer: impl Into<Viewer>, goal: &Goal, cut: Cut) -> Objective {
    let [one, other] = paintings();
    let (height, width) = (48, 64);
    let first = left(20, 20, 5.0).resize(height, width);
    let second = left(20, 20, 5.0).inverted().resize(height, width);
    let learned = left(50, 30, 9.0).resize(one.height(), one.width());
    let sample = |share, picture: &Picture, mask| Sample { share, picture: map(picture), mask };
    let regions = vec![
        Region { mask: Some(first), styles: vec![sample(0.25, &other, None), sample(0.75, &one, Some(learned))] },
        Region { mask: Some(second), styles: vec![sample(1.0, &other, None)] },
    ];
    let cancel = Cancel::default();
    Objective::cut(viewer, goal.clone(), map(&photograph()), regions, cut, &cancel).unwrap()
}

#[test]
fn strips_have_the_losses_and_the_gradient_of_the_whole_to_the_bit() {
    for (precision, statistic) in [
        (Precision::F32, Statistic::Wasserstein),
        (Precision::F32, Statistic::Gram),
        (Precision::Bf16, Statistic::Covariance),
    ] {
        let config = Config { precision, statistic, ..config() };
        let vgg = network(&config);
        let evaluations = |cut| {
            let (mut objective, mut pool) = (objective(vgg.clone(), &config.goal(), cut), BufferPool::new());
            // The second is at what a statistic remembers.
            [2.0, 3.0].map(|length| objective.evaluate(&map(&waves(48, 64, length, [0.4, 0.5, 0.6])), &mut pool))
        };
        let whole = evaluations(Cut::default());
        for rows in [8, 20] {
            let strips = evaluations(Cut { picture: Some(rows), style: Some(rows) });
            for (strips, whole) in strips.iter().zip(&whole) {
                assert_eq!((strips.content, strips.style, strips.total), (whole.content, whole.style, whole.total));
                assert_eq!(strips.layers, whole.layers);
                let [strips, whole] = [strips, whole].map(|evaluation| evaluation.gradient.as_ref().unwrap());
                assert!(strips.as_slice() == whole.as_slice(), "{precision:?} {statistic:?} {rows}");
            }
        }
    }
}

#[test]
fn what_a_viewer_remembers_is_not_looked_at_again_and_is_the_same_to_the_bit() {
    let goal = config().goal();
    let viewer = Viewer::from(network(&config()));
    let losses = |goal: &Goal, cut| {
        let losses = objective(viewer.clone(), goal, cut).measure(&map(&photograph()), &mut BufferPool::new());
        (losses.total, losses.layers)
    };
    let (whole, strips) = (Cut::default(), Cut { picture: Some(16), style: Some(16) });
    let expected = losses(&goal, whole);
    assert_eq!(viewer.looks(), 3, "without room nothing is remembered");
    // Two of the three are one picture, which is whole; of the other, part is looked at.
    viewer.give_room(2 * learned_bytes(&goal.style_layers));
    for cut in [whole, whole, strips] {
        assert!(losses(&goal, cut) == expected);
        assert_eq!(viewer.looks(), 5, "{cut:?}");
    }
    // Others' layers take the room of what was wanted longest ago.
    let few = Goal { style_layers: goal.style_layers[..1].to_vec(), ..goal.clone() };
    losses(&few, whole);
    assert_eq!(viewer.looks(), 7);
    assert!(losses(&goal, strips) == expected);
    assert_eq!(viewer.looks(), 8);
    viewer.give_room(0);
    assert!(losses(&goal, whole) == expected);
    assert_eq!(viewer.looks(), 11);
}

#[test]
fn the_gradient_is_that_of_the_losses() {
    let config = Config { statistic: Statistic::Gram, precision: Precision::F32, ..config() };
    let goal = Goal { content_weight: 0.0, tv_weight: 0.0, ..config.goal() };
    let vgg = network(&config);
    let (mut objective, mut pool) = (objective(vgg, &goal, Cut::default()), BufferPool::new());
    let x = map(&waves(48, 64, 2.0, [0.4, 0.5, 0.6]));
    let gradient = objective.evaluate(&x, &mut pool).gradient.unwrap();
    // Along itself, a step so small that hardly a ReLU or a pooling changes its mind: a hundred times as far, the difference
    // is 4 % off, as it is without masks.
    let size = common::rms(gradient.as_slice());
    let (slope, step) = (size * size * gradient.as_slice().len() as f64, 2e-5 / size as f32);
    let mut at = |sign: f32| {
        let values = x.as_slice().iter().zip(gradient.as_slice()).map(|(x, d)| x + sign * step * d);
        objective.measure(&FeatureMap::from_vec(48, 64, 3, values.collect()), &mut pool).total
    };
    let difference = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
    assert!((slope - difference).abs() < 5e-3 * slope, "{slope}, but {difference}");
}

#[test]
fn a_white_mask_is_none_but_for_rounding() {
    let [one, _] = paintings();
    let config = Config { statistic: Statistic::Gram, ..config() };
    let vgg = network(&config);
    let evaluation = |region| {
        let (content, cancel) = (map(&photograph()), Cancel::default());
        let objective = Objective::cut(vgg.clone(), config.goal(), content, vec![region], Cut::default(), &cancel);
        objective.unwrap().evaluate(&map(&waves(48, 64, 2.0, [0.4, 0.5, 0.6])), &mut BufferPool::new())
    };
    let white = |height, width| Some(FeatureMap::from_vec(height, width, 1, vec![1.0; height * width]));
    let mut masked = Region::whole(map(&one));
    masked.mask = white(48, 64);
    masked.styles[0].mask = white(one.height(), one.width());
    let (masked, plain) = (evaluation(masked), evaluation(Region::whole(map(&one))));
    assert!((masked.style - plain.style).abs() < 1e-5 * plain.style, "{} {}", masked.style, plain.style);
    let [masked, plain] = [masked, plain].map(|evaluation| evaluation.gradient.unwrap());
    assert!(common::relative_rms(masked.as_slice(), plain.as_slice()) < 1e-4);
}

#[test]
fn what_a_mask_hides_of_a_style_picture_is_not_learned() {
    let [one, other] = paintings();
    let (height, width) = (40, 40);
    let [one, other] = [one, other].map(|picture| picture.resize(height, width));
    // One at the left, the other at the right.
    let both = ndarray::concatenate(ndarray::Axis(1), &[one.rgb.view(), other.rgb.view()]).unwrap();
    let both = Picture::from_rgb(both);
    let vgg = network(&config());
    let from = |mask: Option<Mask>| {
        let style = Style { mask, ..Style::new(both.clone()) };
        let result = made(&config(), &[style], &Regions::default());
        [&one, &other].map(|style| distance(&vgg, &config(), &result, 0..64, style))
    };
    let (left_of, right_of) = (from(Some(left(24, 50, 0.0))), from(Some(left(24, 50, 0.0).inverted())));
    assert!(left_of[0] < 0.5 * left_of[1] && right_of[1] < 0.5 * right_of[0], "{left_of:?} {right_of:?}");
}

#[test]
fn what_is_kept_is_the_photograph_and_a_grey_is_a_blend() {
    let [one, _] = paintings();
    let styles = [Style::new(one)];
    let of = |keep: Mask| made(&config(), &styles, &Regions { masks: Vec::new(), keep: Some(keep) });
    let (result, content) = (of(left(48, 64, 16.0)), photograph());
    // A ramp of 16 pixels around the middle.
    assert_eq!(result.rgb.slice(s![.., ..24, ..]), content.rgb.slice(s![.., ..24, ..]));
    let away = |columns: Range<usize>| -> f32 {
        (&result.rgb.slice(s![.., columns.clone(), ..]) - &content.rgb.slice(s![.., columns, ..]))
            .mapv(f32::abs)
            .mean()
            .unwrap()
    };
    assert!(away(24..28) < 0.4 * away(40..64) && away(40..64) > 0.05, "{} {}", away(24..28), away(40..64));
    // With a photograph that is not opaque, its opacity is the result's.
    let mut content = content;
    content.alpha = Some(left(48, 64, 0.0).inverted().values().clone());
    let regions = Regions { masks: Vec::new(), keep: Mask::opacity(&content).map(Mask::inverted) };
    let run = |_: &Step<'_>| ControlFlow::Continue(());
    let result = ENGINE.stylize_with(&config(), &content, &styles, &regions, run).unwrap().picture;
    assert_eq!(result.alpha, content.alpha);
    assert_eq!(result.rgb.slice(s![.., ..32, ..]), content.rgb.slice(s![.., ..32, ..]));
}

#[test]
fn what_is_in_no_region_and_a_region_of_nothing_are_errors() {
    let [one, other] = paintings().map(Style::new);
    let refused = |styles: &[Style], masks: Vec<Mask>, keep: Option<Mask>| {
        let run = |_: &Step<'_>| ControlFlow::Continue(());
        let regions = Regions { masks, keep };
        let error = ENGINE.stylize_with(&config(), &photograph(), styles, &regions, run).unwrap_err();
        assert!(matches!(error, Error::Usage(_)));
        error.to_string()
    };
    let (white, black) = (Mask::new(Array2::ones((20, 20))), Mask::new(Array2::zeros((20, 20))));
    let in_first = Style { region: Some(0), ..one.clone() };
    let uncovered = refused(std::slice::from_ref(&in_first), vec![left(48, 64, 0.0)], None);
    assert!(uncovered.contains("50.0 % of the picture is black in the masks"), "{uncovered}");
    assert!(uncovered.contains("a style without a mask for the rest, or --keep it"), "{uncovered}");
    // What is kept needs no style.
    let keep = Some(left(48, 64, 0.0).inverted());
    let regions = Regions { masks: vec![left(48, 64, 0.0)], keep };
    made(&Config { scales: Scales::Single(1), size: 32, ..config() }, std::slice::from_ref(&in_first), &regions);
    let nothing = refused(&[in_first.clone(), other.clone()], vec![black.clone()], None);
    assert!(nothing.contains("the mask of style 1 leaves nothing of the picture to it"), "{nothing}");
    let nothing = refused(&[in_first, other.clone()], vec![white.clone()], None);
    assert!(nothing.contains("the masks of the others leave nothing to style 2"), "{nothing}");
    assert!(refused(std::slice::from_ref(&other), Vec::new(), Some(white)).contains("--keep leaves nothing to paint"));
    let nowhere = Style { region: Some(1), ..other };
    assert!(refused(&[nowhere], vec![black], None).contains("a region that has no mask"));
}

#[test]
fn a_run_that_goes_on_makes_the_same_bytes() {
    let (styles, mut regions) = beside(left(30, 40, 12.0));
    regions.keep = Some(Mask::new(Array2::from_shape_fn((24, 24), |(y, _)| if y < 4 { 1.0 } else { 0.0 })));
    let (config, content) = (config(), photograph());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let resumed = ENGINE.share(|| {
        let plan = ENGINE.plan_with(&config, &content, &styles, &regions).unwrap();
        let inputs = || Inputs::all(&config, &plan, &content, &styles, &regions).unwrap();
        let mut run = ENGINE.begin(&config, &plan, inputs()).unwrap();
        (0..13).for_each(|_| drop(run.step().unwrap()));
        let digests = Digests { content: digest(&content), ..Digests::default() };
        Checkpoint::write(&path, &Header::new(&run, &config, &plan, digests), "{}".into(), &run).unwrap();
        // What is known beforehand is enough; names and shapes take some more.
        assert!(path.metadata().unwrap().len() <= plan.checkpoint + (64 << 10));
        let checkpoint = Checkpoint::read(&path).unwrap();
        let mut run = ENGINE.resume(&checkpoint, &config, &plan, inputs()).unwrap();
        while run.step().unwrap().is_some() {}
        run.result()
    });
    assert!(resumed == made(&config, &styles, &regions));
}

#[test]
fn styles_of_one_region_are_blended_and_overlaps_are_shared() {
    let [one, other] = paintings().map(Style::new);
    let white = || Mask::new(Array2::ones((20, 20)));
    let config = Config { statistic: Statistic::Gram, ..config() };
    let styles = |region| [one.clone(), other.clone()].map(|style| Style { region, ..style });
    let plain = made(&config, &styles(None), &Regions::default());
    let masked = made(&config, &styles(Some(0)), &Regions { masks: vec![white()], keep: None });
    // But for the rounding of twenty steps.
    let most = plain.rgb.iter().zip(&masked.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 0.02, "{most}");
    // Two white masks are two regions of half of every pixel each.
    let mut apart = styles(Some(0));
    apart[1].region = Some(1);
    let regions = Regions { masks: vec![white(), white()], keep: None };
    let plan = ENGINE.plan_with(&config, &photograph(), &apart, &regions).unwrap();
    assert_eq!(plan.groups.iter().map(|group| group.share).collect::<Vec<_>>(), [0.5, 0.5]);
    made(&config, &apart, &regions);
}
