//! What a run promises whatever its losses look like: the same bytes from the
//! same configuration, and a picture at the end of every run.

mod common;

use std::ops::ControlFlow;

use common::{random, repository, weights_file};
use impasto::config::{Config, Init, Precision, Preset, ScaleRule, Scales, Tone};
use impasto::transfer::{End, Outcome, Step};
use impasto::{Error, Picture, stylize};
use ndarray::Array3;

/// Smooth waves with some grain: flat parts, edges and noise, (height × width).
fn picture(height: usize, width: usize, seed: u64) -> Picture {
    let grain = random(height * width * 3, seed);
    Picture::from_rgb(Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        let phase = seed as f32 + 1.3 * c as f32;
        let wave = (0.31 * y as f32 + phase).sin() * (0.17 * x as f32 - phase).cos();
        (0.5 + 0.4 * wave + 0.08 * grain[(y * width + x) * 3 + c]).clamp(0.0, 1.0)
    }))
}

fn content() -> Picture {
    picture(40, 33, 1)
}

fn style() -> Picture {
    picture(35, 47, 2)
}

fn config(preset: Preset) -> Config {
    Config { size: 0, style_size: Some(0), iterations: Some(4), weights: Some(weights_file()), ..preset.config() }
}

/// The preset `default` over three scales: 20 × 17, 28 × 23 and 40 × 33.
fn three_scales() -> Config {
    Config {
        scales: Scales::Grown(vec![ScaleRule { size: 20, iterations: 3 }, ScaleRule { size: 40, iterations: 2 }]),
        iterations: Some(7),
        ..config(Preset::Default)
    }
}

fn run(config: &Config) -> Outcome {
    run_until(config, |_| false)
}

fn run_until(config: &Config, mut stop: impl FnMut(&Step<'_>) -> bool + Send) -> Outcome {
    let callback = |step: &Step<'_>| if stop(step) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    stylize(config, &content(), &style(), callback).unwrap()
}

/// Equality of every bit, NaN and −0 included.
fn bits(picture: &Picture) -> Vec<u32> {
    picture.rgb.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn one_two_and_three_threads_give_the_same_bytes_in_every_preset_and_precision() {
    let presets = [config(Preset::Paper), three_scales()];
    let precisions = [Precision::F32, Precision::Bf16];
    for config in precisions.into_iter().flat_map(|p| presets.clone().map(|config| Config { precision: p, ..config })) {
        let alone = run(&Config { threads: 1, ..config.clone() });
        assert!(matches!(alone.end, End::Finished));
        for threads in [2, 3] {
            let together = run(&Config { threads, ..config.clone() });
            assert!(
                bits(&alone.picture) == bits(&together.picture),
                "{:?} in {:?}, {threads} threads",
                config.preset,
                config.precision
            );
        }
    }
}

/// Maps in bf16 are rounded by up to 2⁻⁹ of each number. What that does to a run: its losses end where those of `f32` do,
/// as near as those of `f32` end to each other when they are summed in another order, 0.7 %.
#[test]
fn a_hundred_iterations_in_bf16_end_within_two_per_cent_of_f32() {
    let load = |name: &str| impasto::picture::load(&repository("samples").join(name), 1 << 30).unwrap();
    let (content, style) = (load("astronaut.jpg"), load("village-street-in-auvers.jpg"));
    for preset in [Preset::Paper, Preset::Default] {
        let curve = |precision| {
            let scales = Scales::Single(100);
            let single = Config { size: 64, style_size: None, scales, iterations: None, ..config(preset) };
            let mut losses = Vec::new();
            let outcome = stylize(&Config { precision, ..single }, &content, &style, |step| {
                losses.push(step.total);
                ControlFlow::Continue(())
            });
            assert!(matches!(outcome.unwrap().end, End::Finished));
            losses
        };
        let (single, half) = (curve(Precision::F32), curve(Precision::Bf16));
        assert_eq!((single.len(), half.len()), (101, 101));
        assert!(single[100] < 0.5 * single[0], "{preset:?}: the run goes somewhere");
        assert_ne!(single[0], half[0], "{preset:?}: bf16 is another arithmetic");
        for i in [0, 100] {
            let (single, half) = (single[i], half[i]);
            assert!((half - single).abs() <= 0.02 * single, "{preset:?}, {i}: {single} in f32, {half} in bf16");
        }
    }
}

#[test]
fn three_scales_are_what_their_name_says() {
    let mut sizes = Vec::new();
    run_until(&three_scales(), |step| {
        sizes.push((step.height, step.width));
        false
    });
    assert_eq!(sizes.len(), 8, "seven iterations and the measurement after them");
    sizes.dedup();
    assert_eq!(sizes, [(20, 17), (28, 23), (40, 33)]);
}

#[test]
fn a_run_stopped_after_two_steps_is_a_run_of_two_steps() {
    let short = run(&Config { iterations: Some(2), ..config(Preset::Paper) });
    let stopped = run_until(&config(Preset::Paper), |step| step.iteration == 2);
    assert!(matches!((short.end, stopped.end), (End::Finished, End::Stopped)));
    assert_eq!((short.iterations, stopped.iterations), (2, 2));
    assert!(bits(&short.picture) == bits(&stopped.picture));
}

#[test]
fn a_run_stopped_at_a_small_scale_returns_that_picture_at_the_results_size() {
    let mut seen = None;
    // Without what is done to every finished picture.
    let unfinished = Config { match_result: false, calm: 0, ..three_scales() };
    let stopped = run_until(&unfinished, |step| {
        seen = Some(step.picture());
        step.scale == 2
    });
    assert!(matches!(stopped.end, End::Stopped));
    let seen = seen.unwrap();
    assert_eq!((seen.height(), seen.width()), (28, 23));
    assert!(bits(&stopped.picture) == bits(&seen.resize(40, 33)));
}

#[test]
fn noise_depends_on_the_seed_and_on_nothing_else() {
    let noise = Config { init: Init::Noise, content_weight: 0.0, iterations: Some(1), ..config(Preset::Paper) };
    let from = |seed: u64, content: &Picture| {
        let config = Config { seed, ..noise.clone() };
        bits(&stylize(&config, content, &style(), |_| ControlFlow::Continue(())).unwrap().picture)
    };
    let first = from(7, &content());
    assert!(first == from(7, &content()), "the same seed");
    assert!(first == from(7, &picture(40, 33, 9)), "another content picture, which has no weight");
    assert!(first != from(8, &content()), "another seed");
}

#[test]
fn a_seed_changes_nothing_where_nothing_is_random() {
    let with_seed = |seed| bits(&run(&Config { seed, ..config(Preset::Paper) }).picture);
    assert!(with_seed(1) == with_seed(2));
}

/// Each configuration overflows somewhere else: the total, the gradient, its square in Adam's second moment.
#[test]
fn a_run_that_diverges_says_so_and_keeps_the_last_finite_picture() {
    for style_weight in [f64::MAX, 1e300, 1e38, 1e25] {
        let outcome = run(&Config { style_weight, tone: Tone::Off, ..config(Preset::Paper) });
        let End::Diverged(error) = outcome.end else { panic!("{style_weight} ends with {:?}", outcome.end) };
        assert!(matches!(error, Error::Diverged { iteration: 1, .. }), "{style_weight}: {error:?}");
        assert_eq!(error.exit_code(), 6);
        assert_eq!(outcome.iterations, 0);
        assert!(bits(&outcome.picture) == bits(&content()), "nothing was updated, at {style_weight}");
    }
}

#[test]
fn the_largest_step_size_keeps_every_value_a_colour() {
    // Without style and TV the first gradient is exactly 0: a step size that overflows would make it NaN.
    for style_weight in [0.0, 1.0] {
        let config = Config { learning_rate: 1.0, style_weight, tv_weight: 0.0, ..config(Preset::Paper) };
        let picture = run(&config).picture;
        assert!(picture.rgb.iter().all(|v| (0.0..=1.0).contains(v)), "style weight {style_weight}");
    }
    let larger = Config { learning_rate: 1e39, ..config(Preset::Paper) };
    let refused = stylize(&larger, &content(), &style(), |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(Error::Usage(_))));
}
