//! Whose colours a result has, in whole runs on small pictures.

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use common::weights_file;
use impasto::config::{Colors, Config, Init, OptimizerKind, Preset, Scales, Tone};
use impasto::picture::{Mask, Picture, oklab};
use impasto::transfer::{Regions, Style};
use impasto::{Engine, config::ScaleRule};
use ndarray::{Array2, Array3, Axis};

fn photograph() -> Picture {
    Picture::from_rgb(Array3::from_shape_fn((48, 64, 3), |(y, x, c)| {
        let hill = (0.15 * x as f32).sin() + (0.12 * y as f32 + 0.8 * c as f32).cos();
        0.5 + 0.12 * hill + 0.06 * ((x / 6 + y / 5) % 2) as f32
    }))
}

fn painting() -> Picture {
    Picture::from_rgb(Array3::from_shape_fn((56, 48, 3), |(y, x, c)| {
        let stroke = ((x + 2 * y) as f32 * 0.5 + c as f32).sin() + (0.7 * x as f32 - 1.3 * c as f32).cos();
        [0.7, 0.5, 0.3][c] + [0.07, 0.1, 0.06][c] * stroke
    }))
}

fn config() -> Config {
    let scales = [(32, 4), (64, 3)].map(|(size, iterations)| ScaleRule { size, iterations });
    Config { size: 64, scales: Scales::Given(scales.to_vec()), threads: 2, ..Preset::Default.config() }
}

/// The result, and every picture on the way.
fn run(config: &Config, content: &Picture, style: &Picture) -> (Picture, Vec<Picture>) {
    let engine = Engine::new(Some(&weights_file()), config.threads, NonZeroUsize::MIN).unwrap();
    let mut way = Vec::new();
    let outcome = engine.stylize(config, content, style, |step| {
        way.push(step.picture());
        ControlFlow::Continue(())
    });
    (outcome.unwrap().picture, way)
}

fn lab(picture: &Picture) -> Vec<[f32; 3]> {
    picture.rgb.lanes(Axis(2)).into_iter().map(|c| oklab::from_srgb([c[0], c[1], c[2]])).collect()
}

/// Mean of a component of OkLab, and its deviation.
fn spread(picture: &Picture, component: usize) -> [f64; 2] {
    let values: Vec<f64> = lab(picture).iter().map(|lab| f64::from(lab[component])).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    [mean, squares.sqrt()]
}

fn is_grey(picture: &Picture, tolerance: f32) -> bool {
    lab(picture).iter().all(|lab| lab[1].abs().max(lab[2].abs()) < tolerance)
}

/// A and b are the photograph's, in mean and deviation: to what filtering them takes of their spread.
fn has_colour_of(result: &Picture, photograph: &Picture) {
    for component in [1, 2] {
        let ([mean, deviation], [wanted, spread]) = (spread(result, component), spread(photograph, component));
        assert!((mean - wanted).abs() < 0.005, "{mean} {wanted}");
        assert!((deviation / spread - 1.0).abs() < 0.15, "{deviation} {spread}");
    }
}

#[test]
fn the_contents_colour_is_kept_and_the_lightness_is_that_of_the_run() {
    let plain = run(&config(), &photograph(), &painting()).0;
    let kept = run(&Config { colors: Colors::Content, ..config() }, &photograph(), &painting()).0;
    has_colour_of(&kept, &photograph());
    // What sRGB lacks at some lightness keeps that.
    assert!(lab(&kept).iter().zip(lab(&plain)).all(|(a, b)| (a[0] - b[0]).abs() < 5e-3));
}

#[test]
fn a_matched_style_leaves_the_photographs_mean_and_spread() {
    let matched = run(&Config { colors: Colors::Match, ..config() }, &photograph(), &painting()).0;
    for component in 0..3 {
        let ([mean, deviation], [wanted, spread]) = (spread(&matched, component), spread(&photograph(), component));
        // The result is matched to the style's colours, those of its size, which are the photograph's as it was read.
        assert!((mean - wanted).abs() < 0.01, "{component}: {mean} {wanted}");
        assert!((deviation / spread - 1.0).abs() < 0.25, "{component}: {deviation} {spread}");
    }
}

#[test]
fn with_luminance_alone_every_picture_on_the_way_is_grey_and_the_result_has_the_photographs_colour() {
    let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    impasto::picture::save(&painting(), file.path(), &Default::default()).unwrap();
    for (init, optimizer) in [
        (Init::Matched, OptimizerKind::Adam),
        (Init::Noise, OptimizerKind::Adam),
        (Init::File(file.path().to_owned()), OptimizerKind::Lbfgs),
    ] {
        let config = Config { luminance_only: true, init, optimizer, ..config() };
        let (result, way) = run(&config, &photograph(), &painting());
        assert!(way.iter().all(|picture| is_grey(picture, 1e-3)), "{:?}", config.init);
        has_colour_of(&result, &photograph());
        assert!(spread(&result, 0)[1] > 0.01, "there is something to be seen");
    }
}

#[test]
fn a_grey_photograph_stays_grey_where_its_colours_count() {
    let mut grey = photograph();
    for mut colour in grey.rgb.lanes_mut(Axis(2)) {
        let level = colour[0];
        colour.fill(level);
    }
    for config in [
        Config { colors: Colors::Content, ..config() },
        Config { luminance_only: true, ..config() },
        Config { luminance_only: true, colors: Colors::Match, tone: Tone::Content, ..config() },
        Config { luminance_only: true, tone: Tone::Style, ..config() },
    ] {
        assert!(is_grey(&run(&config, &grey, &painting()).0, 2e-3));
    }
    // A painting has no colours that a grey photograph's palette could be.
    let matched = run(&Config { colors: Colors::Match, ..config() }, &grey, &painting()).0;
    assert!(is_grey(&matched, 0.03), "{:?}", [spread(&matched, 1), spread(&matched, 2)]);
}

#[test]
fn opacity_is_kept_and_what_is_not_seen_changes_no_colour_that_is() {
    let hidden = |level: f32| {
        let mut picture = photograph();
        picture.alpha = Some(Array2::from_shape_fn((48, 64), |(_, x)| if x < 40 { 1.0 } else { 0.0 }));
        picture.rgb.slice_mut(ndarray::s![.., 40.., 2]).fill(level);
        picture
    };
    let config = Config { colors: Colors::Content, ..config() };
    let result = run(&config, &hidden(1.0), &painting()).0;
    assert_eq!(result.alpha, hidden(1.0).alpha);
    let far = |picture: &Picture| Picture::from_rgb(picture.rgb.slice(ndarray::s![.., ..24, ..]).to_owned());
    let (found, wanted) = (spread(&far(&result), 2), spread(&far(&photograph()), 2));
    assert!((found[0] - wanted[0]).abs() < 0.01, "{found:?} {wanted:?}");
}

#[test]
fn several_styles_and_masks_leave_the_photographs_colours_where_those_count() {
    let engine = Engine::new(Some(&weights_file()), 2, NonZeroUsize::MIN).unwrap();
    let mut reddish = painting();
    reddish.rgb.slice_mut(ndarray::s![.., .., 2]).mapv_inplace(|blue| 0.5 * blue);
    let upper = Mask::new(Array2::from_shape_fn((48, 64), |(y, _)| if y < 24 { 1.0 } else { 0.0 }));
    let keep = Mask::new(Array2::from_shape_fn((48, 64), |(_, x)| if x < 12 { 1.0 } else { 0.0 }));
    for masked in [false, true] {
        let region = masked.then_some(0);
        let styles = [Style { region, weight: 0.7, ..Style::new(painting()) }, Style::new(reddish.clone())];
        let regions = Regions { masks: region.iter().map(|_| upper.clone()).collect(), keep: Some(keep.clone()) };
        let run = |config: &Config| {
            let made = engine.stylize_with(config, &photograph(), &styles, &regions, |_| ControlFlow::Continue(()));
            made.unwrap().picture
        };
        for config in [
            Config { colors: Colors::Content, ..config() },
            Config { luminance_only: true, ..config() },
            Config { colors: Colors::Match, ..config() },
        ] {
            let result = run(&config);
            for component in [1, 2] {
                let ([mean, _], [wanted, _]) = (spread(&result, component), spread(&photograph(), component));
                assert!((mean - wanted).abs() < 0.015, "{masked} {:?}: {mean} {wanted}", config.colors);
            }
            let kept = ndarray::s![.., ..10, ..];
            assert!(result.rgb.slice(kept) == photograph().rgb.slice(kept), "{masked} {:?}", config.colors);
        }
    }
}

#[test]
fn every_number_of_threads_makes_the_same_bytes() {
    for config in [
        Config { colors: Colors::Content, ..config() },
        Config { luminance_only: true, ..config() },
        Config { colors: Colors::Match, ..config() },
    ] {
        let expected = run(&config, &photograph(), &painting()).0;
        let one = run(&Config { threads: 1, ..config.clone() }, &photograph(), &painting()).0;
        assert!(one == expected, "{:?}", config.colors);
    }
}
