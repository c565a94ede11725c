//! A picture evaluated strip by strip has the losses and the gradient of the whole: every bit of them, in every
//! statistic, pooling, border, precision and algorithm, wherever it is cut.

mod common;

use std::sync::{Arc, Mutex};

use common::{random_map, weights_file};
use impasto::autograd::Cancel;
use impasto::config::{Config, Precision, Preset};
use impasto::kernels::conv::Algorithm;
use impasto::objective::{
    self, Cut, Evaluation, Goal, LayerWeight, Listener, Objective, Part, Region, Statistic, Variation,
};
use impasto::tensor::{BufferPool, FeatureMap};
use impasto::vgg::{Border, Layer, Pooling, Vgg, VggOptions, Weights};

/// So high that gradients come back while strips are still to come, and so narrow that this does not take long.
const TALL: [usize; 2] = [540, 38];
/// Neither side a multiple of anything.
const ODD: [usize; 2] = [107, 131];

/// Waves with grain, (height × width).
fn picture([height, width]: [usize; 2], seed: u64) -> FeatureMap {
    let mut map = random_map(height, width, 3, seed);
    for (at, value) in map.as_mut_slice().iter_mut().enumerate() {
        let (y, x) = ((at / 3 / width) as f32, (at / 3 % width) as f32);
        *value = 0.5 + 0.35 * (0.13 * y + seed as f32).sin() * (0.21 * x).cos() + 0.1 * *value;
    }
    map
}

fn options(config: &Config) -> VggOptions {
    VggOptions {
        pooling: config.pooling,
        border: config.border,
        dtype: config.precision.dtype(),
        algorithm: config.conv_algorithm,
    }
}

/// Three evaluations, so that what statistics remember is used, the last of losses alone.
fn evaluations(vgg: &Arc<Vgg>, goal: &Goal, size: [usize; 2], cut: Cut) -> Vec<Evaluation> {
    let (content, style) = (picture(size, 1), picture([97, 118], 2));
    let cancel = Cancel::default();
    let mut objective =
        Objective::cut(vgg.clone(), goal.clone(), content, vec![Region::whole(style)], cut, &cancel).unwrap();
    let mut pool = BufferPool::new();
    let evaluation = |i: u64| {
        let x = picture(size, 3 + i);
        if i < 2 { objective.evaluate(&x, &mut pool) } else { objective.measure(&x, &mut pool) }
    };
    let evaluations = (0..3).map(evaluation).collect();
    if let Some(rows) = cut.picture {
        let room = objective::room(goal, vgg.stages(), vgg.options(), (size[0], size[1]), rows);
        assert!(pool.bytes() <= room.next_multiple_of(64), "{} bytes were taken, and {room} planned", pool.bytes());
    }
    evaluations
}

fn same(whole: &Evaluation, cut: &Evaluation, what: &str) {
    let losses = |e: &Evaluation| [e.content, e.style, e.tv, e.total].map(f64::to_bits);
    assert_eq!(losses(whole), losses(cut), "{what}: {whole:?} {cut:?}");
    let layers = |e: &Evaluation| e.layers.iter().map(|(layer, loss)| (*layer, loss.to_bits())).collect::<Vec<_>>();
    assert_eq!(layers(whole), layers(cut), "{what}");
    let bits =
        |e: &Evaluation| e.gradient.as_ref().map(|d| d.as_slice().iter().map(|d| d.to_bits()).collect::<Vec<_>>());
    let (whole, cut) = (bits(whole), bits(cut));
    let differ = whole.iter().flatten().zip(cut.iter().flatten()).filter(|(a, b)| a != b).count();
    assert!(whole == cut, "{what}: {differ} of {:?} numbers of the gradient differ", cut.map(|d| d.len()));
}

fn check(config: &Config, goal: &Goal, cases: &[([usize; 2], &[usize])], what: &str) {
    let weights = Weights::load(Some(&weights_file())).unwrap();
    let vgg = Arc::new(Vgg::new(&weights, goal.deepest_layer(), options(config)).unwrap());
    for &(size, rows) in cases {
        let whole = evaluations(&vgg, goal, size, Cut::default());
        assert!(whole[0].gradient.is_some() && whole[2].gradient.is_none());
        for &rows in rows {
            let cut = evaluations(&vgg, goal, size, Cut { picture: Some(rows), style: Some(rows) });
            for (whole, cut) in whole.iter().zip(&cut) {
                same(whole, cut, &format!("{what}, {size:?} by {rows}"));
            }
        }
    }
}

#[test]
fn every_preset_in_every_precision() {
    for (preset, precision) in Preset::ALL
        .into_iter()
        .flat_map(|preset| [Precision::F32, Precision::Bf16].map(|precision| (preset, precision)))
    {
        let config = Config { precision, ..preset.config() };
        let cases: &[([usize; 2], &[usize])] = &[(TALL, &[64]), (ODD, &[4, 32])];
        check(&config, &config.goal(), cases, &format!("{preset:?} {precision:?}"));
    }
}

#[test]
fn every_statistic() {
    for statistic in Statistic::ALL {
        let config = Config { statistic, ..Preset::Default.config() };
        // With maps that have more pixels than channels, and fewer.
        check(&config, &config.goal(), &[(ODD, &[16])], statistic.name());
    }
}

#[test]
fn every_pooling_with_every_border() {
    for (pooling, border) in [Pooling::Max, Pooling::Avg, Pooling::Avg2, Pooling::L2]
        .into_iter()
        .flat_map(|pooling| [Border::Zero, Border::Replicate].map(|border| (pooling, border)))
    {
        let config = Config { pooling, border, ..Preset::Paper.config() };
        check(&config, &config.goal(), &[(TALL, &[40]), (ODD, &[20])], &format!("{pooling:?} {border:?}"));
    }
}

#[test]
fn every_algorithm_of_the_machine() {
    for algorithm in Algorithm::ALL.into_iter().filter(|a| a.available() && *a != Algorithm::Reference) {
        let config = Config { conv_algorithm: Some(algorithm), ..Preset::Paper.config() };
        let layers = [Layer::relu(1, 2), Layer::relu(3, 1)].map(|layer| LayerWeight { layer, weight: 0.5 });
        let goal = Goal { style_layers: layers.to_vec(), ..config.goal() };
        check(&config, &goal, &[(TALL, &[48])], &format!("{algorithm:?}"));
    }
}

/// Layers that both losses look at, that only one does, and losses that are measured but not differentiated.
#[test]
fn every_combination_of_losses() {
    let config = Preset::Paper.config();
    let layer = |block, index| LayerWeight { layer: Layer::relu(block, index), weight: 0.5 };
    let goal = Goal {
        content_layers: vec![layer(2, 1), layer(3, 2)],
        style_layers: vec![layer(1, 1), layer(2, 1), layer(3, 1)],
        ..config.goal()
    };
    for (what, goal) in [
        ("both", goal.clone()),
        ("no style", Goal { style_weight: 0.0, ..goal.clone() }),
        ("no content", Goal { content_weight: 0.0, ..goal.clone() }),
        ("variation alone", Goal { content_weight: 0.0, style_weight: 0.0, tv_weight: 1.0, ..goal.clone() }),
        ("absolute variation", Goal { variation: Variation::Absolute, tv_weight: 0.3, ..goal.clone() }),
        ("no variation", Goal { tv_weight: 0.0, ..goal.clone() }),
        ("no content layer", Goal { content_layers: vec![], ..goal.clone() }),
        ("no style layer", Goal { style_layers: vec![], ..goal }),
    ] {
        check(&config, &goal, &[(ODD, &[12])], what);
    }
}

#[test]
fn every_thread_count_and_every_cut_give_the_same_bytes() {
    let config = Preset::Paper.config();
    let weights = Weights::load(Some(&weights_file())).unwrap();
    let goal = config.goal();
    let vgg = Arc::new(Vgg::new(&weights, goal.deepest_layer(), options(&config)).unwrap());
    let whole = evaluations(&vgg, &goal, ODD, Cut::default());
    for (threads, rows) in [(1, 4), (3, 36), (5, 100), (2, 104), (2, 108), (2, 1000)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let cut = Cut { picture: Some(rows), style: None };
        let cut = pool.install(|| evaluations(&vgg, &goal, ODD, cut));
        for (whole, cut) in whole.iter().zip(&cut) {
            same(whole, cut, &format!("{threads} threads, by {rows}"));
        }
    }
}

#[test]
fn every_strip_of_both_passes_is_told() {
    let config = Preset::Paper.config();
    let weights = Weights::load(Some(&weights_file())).unwrap();
    let vgg = Arc::new(Vgg::new(&weights, config.goal().deepest_layer(), options(&config)).unwrap());
    let cut = Cut { picture: Some(12), style: None };
    let content = picture(ODD, 1);
    let mut objective = Objective::cut(
        vgg,
        config.goal(),
        content.clone(),
        vec![Region::whole(content.clone())],
        cut,
        &Cancel::default(),
    )
    .unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let strip = Arc::new(move |part| listener.lock().unwrap().push(part));
    let listener = Listener { strip: Some(strip), ..Listener::default() };
    objective.run(&content, None, &mut BufferPool::new(), &listener).unwrap();
    let of = 2 * ODD[0].div_ceil(12);
    assert_eq!(*told.lock().unwrap(), (1..=of).map(|done| Part { done, of }).collect::<Vec<_>>());
}

#[test]
fn a_cancelled_evaluation_has_no_result() {
    let config = Preset::Paper.config();
    let weights = Weights::load(Some(&weights_file())).unwrap();
    let vgg = Arc::new(Vgg::new(&weights, config.goal().deepest_layer(), options(&config)).unwrap());
    let cut = Cut { picture: Some(16), style: Some(16) };
    let (content, style, cancel) = (picture(ODD, 1), picture(ODD, 2), Cancel::default());
    let mut objective =
        Objective::cut(vgg.clone(), config.goal(), content.clone(), vec![Region::whole(style)], cut, &cancel).unwrap();
    cancel.cancel();
    let listener = Listener { cancel: cancel.clone(), ..Listener::default() };
    assert!(objective.run(&content, None, &mut BufferPool::new(), &listener).is_none());
    assert!(Objective::cut(vgg, config.goal(), content.clone(), vec![Region::whole(content)], cut, &cancel).is_none());
}
