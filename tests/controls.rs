//! Controls that other programs have: one knob from content to style.

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use common::{paintings, waves, weights_file};
use impasto::config::{Scales, Tone};
use impasto::{Config, Engine, Picture, Preset};

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
    for preset in [Preset::Default, Preset::Paper] {
        let ends = [0.0, 0.25, 0.5, 0.75, 1.0].map(|strength| made(&Config { strength, ..config(preset, 60) }).1);
        println!("{preset:?}: {ends:?}");
        for pair in ends.windows(2) {
            let [[content, style, _], [more_content, more_style, _]] = [pair[0], pair[1]];
            assert!(more_content > content, "{preset:?}: content is left: {ends:?}");
            assert!(more_style < style, "{preset:?}: style is approached: {ends:?}");
        }
    }
}

#[test]
fn half_the_strength_is_the_preset_to_the_bit_whatever_alpha_is() {
    for content_weight in [0.0, 1.0 / 3.0, 0.02, 5e-9, 1e300] {
        let config = Config { content_weight, ..Config::default() };
        assert_eq!(config.alpha().to_bits(), content_weight.to_bits());
    }
    let at = |strength| Config { content_weight: 3.0, strength, ..Config::default() }.alpha();
    for (strength, expected) in [(0.0, 300.0), (0.75, 0.3), (1.0, 0.03)] {
        // Two roundings.
        assert!((at(strength) / expected - 1.0f64).abs() < 1e-14, "{strength}");
    }
}
