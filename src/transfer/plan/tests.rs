//! What is decided beforehand, at every size and proportion.

use proptest::prelude::*;

use super::super::sizes::StyleSize;
use super::*;
use crate::config::{Precision, Preset};

fn counts(config: &Config, size: u32) -> Vec<(usize, u32)> {
    let config = Config { size, ..config.clone() };
    let scales = scales(&config, &Sizes::new((1000, 1000), (800, 800))).unwrap();
    scales.iter().map(|scale| (scale.width, scale.iterations)).collect()
}

#[test]
fn the_paper_has_one_scale_with_every_iteration() {
    let scales = scales(&Preset::Paper.config(), &Sizes::new((600, 800), (300, 300))).unwrap();
    assert_eq!(scales.len(), 1);
    assert_eq!((scales[0].height, scales[0].width, scales[0].iterations), (384, 512, 60));
    assert_eq!(scales[0].rate(59), 1.0);
}

#[test]
fn the_rule_gives_each_presets_numbers_at_512_pixels() {
    let sizes = [128, 181, 256, 362, 512];
    for (preset, iterations) in [
        (Preset::Fast, [110, 40, 28, 10, 6]),
        (Preset::Default, [250, 200, 150, 80, 50]),
        (Preset::Best, [500, 500, 500, 400, 380]),
    ] {
        let expected: Vec<_> = sizes.into_iter().zip(iterations).collect();
        assert_eq!(counts(&preset.config(), 512), expected);
    }
}

#[test]
fn the_rule_is_sensible_from_64_to_4096_pixels() {
    for preset in Preset::OWN {
        for size in [64, 100, 128, 200, 300, 700, 1024, 2048, 4096] {
            let counts = counts(&preset.config(), size);
            assert_eq!(counts.last().unwrap().0, size as usize);
            assert!(counts.is_sorted_by(|a, b| a.0 < b.0 && a.1 >= b.1), "{preset:?} {size}: {counts:?}");
            assert!(counts[0].0 < 182 && counts.iter().all(|count| count.1 >= 1), "{preset:?} {size}: {counts:?}");
        }
    }
}

#[test]
fn a_number_of_iterations_is_shared_out_by_the_same_rule() {
    let config = Config { iterations: Some(73), ..Preset::Default.config() };
    let counts: Vec<_> = counts(&config, 512).into_iter().map(|count| count.1).collect();
    assert_eq!(counts.iter().sum::<u32>(), 73);
    assert!(counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    let few = Config { iterations: Some(2), ..config };
    assert_eq!(self::counts(&few, 512), [(362, 1), (512, 1)]);
}

#[test]
fn given_scales_are_what_is_done() {
    let given = rule_of(&[(64, 3), (200, 5)]);
    let config = Config { scales: Scales::Given(given), size: 512, ..Config::default() };
    let scales = scales(&config, &Sizes::new((100, 200), (50, 80))).unwrap();
    let sizes: Vec<_> = scales.iter().map(|s| (s.height, s.width, s.styles[0], s.iterations)).collect();
    assert_eq!(sizes, [(32, 64, (40, 64), 3), (100, 200, (50, 80), 5)]);
    assert_eq!([scales[0].rate_end, scales[1].rate_end], [0.3, 0.05]);
}

fn rule_of(iterations: &[(u32, u32)]) -> Vec<ScaleRule> {
    iterations.iter().map(|&(size, iterations)| ScaleRule { size, iterations }).collect()
}

#[test]
fn an_enlarged_photograph_weighs_more_unless_the_painting_is_enlarged_as_much() {
    let weights = |preset: Preset, style_size, style| {
        let config = Config { size: 1024, style_size, content_weight: 1.0, ..preset.config() };
        let scales = scales(&config, &Sizes::new((256, 512), style)).unwrap();
        scales.iter().map(|scale| scale.content_weight).collect::<Vec<_>>()
    };
    let sizes = [128, 181, 256, 362, 512, 724, 1024];
    let grown = weights(Preset::Default, None, (600, 400));
    assert_eq!(grown, sizes.map(|size| (f64::from(size) / 512.0).max(1.0)));
    assert!(weights(Preset::Default, Some(1024), (512, 400)).iter().all(|weight| *weight == 1.0));
    assert_eq!(weights(Preset::Paper, None, (600, 400)), [1.0]);
}

#[test]
fn the_style_picture_shrinks_with_the_content_and_grows_only_if_told_to() {
    let style_of = |style_size, style| {
        let config = Config { size: 512, style_size, ..Config::default() };
        let scales = scales(&config, &Sizes::new((512, 512), style)).unwrap();
        (scales[0].styles[0], scales.last().unwrap().styles[0])
    };
    assert_eq!(style_of(Some(1024), (2000, 1000)), ((256, 128), (1024, 512)));
    assert_eq!(style_of(None, (300, 150)), ((128, 64), (300, 150)));
    assert_eq!(style_of(Some(600), (300, 150)), ((150, 75), (600, 300)));
    // A scroll: twenty times as wide as high.
    assert_eq!(style_of(None, (50, 1000)), ((16, 320), (26, 512)));
}

#[test]
fn a_style_scale_enlarges_or_reduces_every_style_picture_at_every_scale() {
    let styles_of = |style_size, size, style_scale| {
        let config = Config { size, style_size, style_scale, ..Config::default() };
        let mut sizes = Sizes::new((512, 512), (2000, 1000));
        sizes.styles.push(StyleSize { weight: 2.0, ..StyleSize::new((300, 150)) });
        let scales = scales(&config, &sizes).unwrap();
        (scales[0].styles.clone(), scales.last().unwrap().styles.clone())
    };
    assert_eq!(styles_of(None, 512, 1.0), (vec![(128, 64); 2], vec![(512, 256), (300, 150)]));
    assert_eq!(styles_of(None, 512, 1.5), (vec![(192, 96); 2], vec![(768, 384), (450, 225)]));
    assert_eq!(styles_of(None, 512, 0.5), (vec![(64, 32); 2], vec![(256, 128), (150, 75)]));
    assert_eq!(styles_of(Some(1024), 512, 0.5), (vec![(128, 64); 2], vec![(512, 256); 2]));
    assert_eq!(styles_of(Some(0), 0, 2.0).1, [(4000, 2000), (600, 300)]);
    let config = Config { size: 512, style_scale: 0.02, ..Config::default() };
    let refused = scales(&config, &Sizes::new((512, 512), (400, 300))).unwrap_err().to_string();
    assert!(refused.contains("the style picture would be 6×8 pixels; give a --style-scale"), "{refused}");
}

#[test]
fn paintings_that_are_enlarged_hold_the_content_back_by_their_weights() {
    let config = Config { size: 1024, style_size: Some(1024), content_weight: 1.0, ..Config::default() };
    let mut sizes = Sizes::new((256, 256), (1024, 1024));
    sizes.styles.push(StyleSize { weight: 3.0, ..StyleSize::new((512, 512)) });
    // The photograph is enlarged by 4, the paintings by ¼·1 + ¾·2.
    assert_eq!(scales(&config, &sizes).unwrap().last().unwrap().content_weight, 4.0 / 1.75);
}

#[test]
fn several_styles_are_held_until_their_scale_and_looked_at_one_by_one() {
    let machine = Machine { cpu: Cpu { amx: false }, threads: 2, memory: u64::MAX };
    let config = Config { size: 512, precision: Precision::F32, ..Config::default() };
    let of = |count: usize| {
        let mut sizes = Sizes::new((600, 800), (700, 900));
        sizes.styles = vec![sizes.styles[0]; count];
        let scales = scales(&config, &sizes).unwrap();
        Plan::of(&config, scales, &sizes, Architecture::Vgg16, machine, 0).unwrap()
    };
    let (one, ten) = (of(1), of(10));
    assert_eq!((one.shares, ten.shares), (vec![1.0], vec![0.1; 10]));
    let pixels = |plan: &[Scale]| -> u64 { plan.iter().map(|s| (s.styles[0].0 * s.styles[0].1) as u64).sum() };
    // While the first scale is iterated at, nine more pictures of each of the others wait.
    let waiting = 9 * 12 * pixels(&ten.scales[1..]);
    assert!(ten.peaks[0].total() >= one.peaks[0].total() + waiting);
    // One is read after the other.
    assert!(ten.memory.total() < one.memory.total() + 10 * 12 * pixels(&ten.scales));
}

#[test]
fn what_could_not_be_counted_is_refused() {
    let refused = |size, style_size| {
        let config = Config { size, style_size, ..Preset::Paper.config() };
        scales(&config, &Sizes::new((300, 400), (200, 600))).unwrap_err().to_string()
    };
    assert!(refused(u32::MAX, Some(64)).contains("the result would be 4294967295×"));
    assert!(refused(64, Some(2 << 20)).contains("a --style-size that leaves at most 1048576"));
    let machine = Machine { cpu: Cpu { amx: false }, threads: 64, memory: u64::MAX };
    let config = Config { size: 1 << 20, style_size: Some(1 << 20), ..Config::default() };
    let plan = Plan::new(&config, (1 << 20, 1 << 20), (1 << 20, 1 << 20), Architecture::Vgg19, machine).unwrap();
    assert!(plan.memory.total() > 1 << 48);
}

fn planned(config: &Config, sizes: [(usize, usize); 2], memory: u64) -> Plan {
    let machine = Machine { cpu: Cpu { amx: false }, threads: 2, memory };
    Plan::new(config, sizes[0], sizes[1], Architecture::Vgg16, machine).unwrap()
}

#[test]
fn a_run_takes_four_fifths_of_what_there_is_or_what_it_is_told() {
    let sizes = [(3000, 4000), (2000, 3000)];
    let config = Config { size: 2048, precision: Precision::F32, ..Config::default() };
    let free = planned(&config, sizes, u64::MAX);
    assert!(free.cuts.iter().all(|cut| *cut == Cut::default()));
    let needed = memory::with_spare(free.memory.total());
    let exactly = planned(&config, sizes, needed.div_ceil(4) * 5);
    assert_eq!((&exactly.cuts, exactly.memory), (&free.cuts, free.memory));
    let less = planned(&config, sizes, needed.div_ceil(4) * 5 - 10);
    assert!(less.cuts.last().unwrap().picture.is_some() && less.memory.total() < free.memory.total());
    let mut before = free;
    for budget in [1_900_000_000, 1_400_000_000, 1_060_000_000] {
        let told = planned(&Config { max_memory: Some(budget), ..config.clone() }, sizes, u64::MAX);
        assert!(told.memory.total() <= budget, "{:?}", told.memory);
        assert!(told.memory.total() < before.memory.total());
        let rows = |plan: &Plan| plan.cuts.last().unwrap().picture.unwrap_or(usize::MAX);
        assert!(rows(&told) < rows(&before), "{:?}", told.cuts);
        // Small scales fit whole.
        assert_eq!(told.cuts[0], Cut::default());
        assert!(told.peaks.iter().all(|peak| peak.total() <= told.memory.total()));
        before = told;
    }
}

#[test]
fn what_does_not_fit_is_counted_in_the_strips_that_take_least() {
    let told = |budget| {
        let config = Config { size: 1024, max_memory: Some(budget), ..Preset::Paper.config() };
        planned(&config, [(1024, 1024), (469, 600)], u64::MAX).memory.total()
    };
    let least = told(1 << 20);
    for megabytes in (300..1200).step_by(20) {
        assert!(told(megabytes * 1_000_000) >= least, "{megabytes} MB");
    }
    // What is said to do, does.
    assert!(told(memory::with_spare(least)) <= memory::with_spare(least));
}

#[test]
fn outside_the_network_a_pixel_takes_what_its_canvas_takes() {
    let sizes = [(512, 512), (512, 512)];
    let of = |config: &Config| planned(config, sizes, u64::MAX).bytes_a_pixel;
    let paper = Preset::Paper.config();
    assert_eq!(of(&paper), 60);
    assert_eq!(of(&Config { average: Some(0.9), ..paper }), 72);
    assert_eq!(of(&Config::default()), 100);
}

#[test]
fn a_layer_the_network_lacks_is_refused_wherever_it_is_named() {
    let layer = "relu3_4".parse().unwrap();
    for preset in Preset::ALL {
        let mut content = preset.config();
        content.content_layers.insert(0, layer);
        let mut style = preset.config();
        style.style_layers.insert(0, layer);
        for config in [content, style] {
            let machine = Machine { cpu: Cpu { amx: false }, threads: 1, memory: u64::MAX };
            let plan = |architecture| Plan::new(&config, (64, 64), (64, 64), architecture, machine);
            assert!(plan(Architecture::Vgg16).unwrap_err().to_string().contains("relu3_4"));
            assert!(plan(Architecture::Vgg19).is_ok());
        }
    }
}

proptest! {
    #[test]
    fn every_iteration_is_made_at_some_usable_size(
        content in (16usize..3000, 16usize..3000),
        style in (16usize..3000, 16usize..3000),
        size in prop_oneof![Just(0u32), 16u32..2000],
        style_size in prop_oneof![Just(None), Just(Some(0u32)), (16u32..2000).prop_map(Some)],
        iterations in prop_oneof![Just(None), (1u32..700).prop_map(Some)],
        preset in 0..Preset::ALL.len(),
    ) {
        let config = Config { size, style_size, iterations, ..Preset::ALL[preset].config() };
        let Ok(scales) = scales(&config, &Sizes::new(content, style)) else { return Ok(()) };
        if let Some(iterations) = iterations {
            prop_assert_eq!(scales.iter().map(|s| s.iterations).sum::<u32>(), iterations);
        }
        prop_assert!(scales.iter().all(|s| s.iterations >= 1));
        let last = scales.last().unwrap();
        prop_assert_eq!((last.height, last.width), fit(size, content.0, content.1));
        for scale in &scales {
            prop_assert!(scale.height.min(scale.width) >= SMALLEST_SIDE);
            prop_assert!(scale.styles[0].0.min(scale.styles[0].1) >= SMALLEST_SIDE);
            // In proportion, to a pixel's rounding.
            let (h, w) = (scale.styles[0].0 as f64, scale.styles[0].1 as f64);
            let (long, short) = (style.0.max(style.1) as f64, style.0.min(style.1) as f64);
            prop_assert!((h.min(w) - h.max(w) * short / long).abs() <= 1.0);
        }
        prop_assert!(scales.is_sorted_by(|a, b| a.height <= b.height && a.width <= b.width));
    }
}
