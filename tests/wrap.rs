//! Pictures that wrap around: to the network, the canvas and the losses no pixel is at an edge.

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use common::{random, relative_rms, weights_file};
use impasto::config::{CanvasKind, Config, Preset, ScaleRule, Scales};
use impasto::kernels::variation::Edges;
use impasto::objective::{Objective, Statistic};
use impasto::tensor::{BufferPool, FeatureMap};
use impasto::transfer::canvas::Canvas;
use impasto::transfer::{Machine, Plan};
use impasto::vgg::{Architecture, Border, Layer, Vgg, VggOptions, Weights};
use impasto::{Engine, Error, Picture};
use ndarray::Array3;

fn shifted(map: &FeatureMap, (down, right): (usize, usize)) -> FeatureMap {
    let (height, width, channels) = map.dim();
    let mut shifted = FeatureMap::zeros(height, width, channels);
    for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
        let (from, to) = ((i * width + j) * channels, ((i + down) % height * width + (j + right) % width) * channels);
        shifted.as_mut_slice()[to..to + channels].copy_from_slice(&map.as_slice()[from..from + channels]);
    }
    shifted
}

fn picture(height: usize, width: usize, seed: u64) -> FeatureMap {
    let numbers = random(height * width * 3, seed).into_iter().map(|v| 0.5 + 0.4 * v).collect();
    FeatureMap::from_vec(height, width, 3, numbers)
}

#[test]
fn losses_do_not_know_where_the_edges_are_and_gradients_move_with_the_picture() {
    let weights = Weights::open(weights_file()).unwrap();
    let config = Config { statistic: Statistic::GramMean, ..Preset::Default.config() };
    let options =
        VggOptions { pooling: config.pooling, border: Border::Wrap, dtype: config.precision.dtype(), algorithm: None };
    let vgg = Arc::new(Vgg::new(&weights, Layer::relu(5, 1), options).unwrap());
    let (style, x) = (picture(40, 56, 1), picture(48, 32, 2));
    let evaluate = |shift: (usize, usize)| {
        let content = shifted(&picture(48, 32, 3), shift);
        let mut objective = Objective::new(vgg.clone(), config.goal(), &content, &style);
        objective.evaluate(&shifted(&x, shift), &mut BufferPool::new())
    };
    let plain = evaluate((0, 0));
    // By what the poolings halve: then every number is computed from the same numbers.
    for shift in [(16, 0), (0, 16), (32, 16)] {
        let moved = evaluate(shift);
        // Sums are added in another order.
        assert!((moved.total / plain.total - 1.0).abs() < 1e-5, "{shift:?}: {} {}", moved.total, plain.total);
        let expected = shifted(plain.gradient.as_ref().unwrap(), shift);
        let error = relative_rms(moved.gradient.unwrap().as_slice(), expected.as_slice());
        assert!(error < 1e-4, "{shift:?}: {error}");
    }
}

#[test]
fn a_canvas_without_edges_decodes_what_it_encoded_and_has_none() {
    let canvas = Canvas::with_edges(CanvasKind::Pyramid, Edges::Joined, 48, 32);
    assert!(canvas.levels().len() > 3);
    let x = picture(48, 32, 4);
    let theta = canvas.encode(&x);
    let mut decoded = FeatureMap::zeros(48, 32, 3);
    canvas.decode(&theta, &mut decoded);
    assert!(relative_rms(decoded.as_slice(), x.as_slice()) < 1e-6);
    // The coarsest level's pixels are as many of the picture's apart.
    let coarsest = canvas.levels().last().unwrap();
    let shift = (48 / coarsest.height, 32 / coarsest.width);
    for (level, moved) in canvas.levels().iter().map(|level| {
        let of = |theta: &[f32]| FeatureMap::from_vec(level.height, level.width, 3, theta[level.range()].to_vec());
        let by = (shift.0 * level.height / 48, shift.1 * level.width / 32);
        (shifted(&of(&theta), by), of(&canvas.encode(&shifted(&x, shift))))
    }) {
        let pairs = level.as_slice().iter().zip(moved.as_slice());
        assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-5);
    }
}

fn painting() -> Picture {
    Picture::from_rgb(Array3::from_shape_fn((72, 96, 3), |(y, x, c)| {
        let brick = if (y / 6 + x / 10) % 2 == 0 { 0.7 } else { 0.35 };
        let grain = ((y * 31 + x * 17 + c * 7) % 13) as f32 / 60.0;
        (brick + grain - 0.1 * c as f32).clamp(0.0, 1.0)
    }))
}

fn texture(border: Border) -> (Config, Picture) {
    let scales = [(32, 30), (64, 40)].map(|(size, iterations)| ScaleRule { size, iterations });
    let config = Config {
        size: 64,
        scales: Scales::Given(scales.to_vec()),
        border,
        threads: 2,
        ..Config::texture(Preset::Default)
    };
    let engine = Engine::new(Some(&weights_file()), 2, NonZeroUsize::MIN).unwrap();
    let outcome = engine.stylize(&config, &Picture::flat(48, 64), &painting(), |_| ControlFlow::Continue(()));
    (config, outcome.unwrap().picture)
}

/// Mean square of the steps between rows i and i + 1, for every i, the last being that to the first row; the same of
/// columns.
fn steps(picture: &Picture) -> [Vec<f64>; 2] {
    let (height, width) = (picture.height(), picture.width());
    let step = |a: (usize, usize), b: (usize, usize)| -> f64 {
        (0..3).map(|c| f64::from(picture.rgb[[a.0, a.1, c]] - picture.rgb[[b.0, b.1, c]]).powi(2)).sum()
    };
    let rows = (0..height).map(|i| (0..width).map(|j| step((i, j), ((i + 1) % height, j))).sum::<f64>() / width as f64);
    let columns =
        (0..width).map(|j| (0..height).map(|i| step((i, j), (i, (j + 1) % width))).sum::<f64>() / height as f64);
    [rows.collect(), columns.collect()]
}

#[test]
fn a_wrapped_edge_is_like_any_other_place() {
    let excess = |border| {
        steps(&texture(border).1).map(|steps| {
            let (edge, inside) = (steps[steps.len() - 1], &steps[..steps.len() - 1]);
            let mean = inside.iter().sum::<f64>() / inside.len() as f64;
            let deviation = (inside.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / inside.len() as f64).sqrt();
            (edge - mean) / deviation
        })
    };
    let (wrapped, open) = (excess(Border::Wrap), excess(Border::Replicate));
    println!("deviations of the edge from the mean of all rows, all columns: {wrapped:?}; not wrapped {open:?}");
    // Of 48 rows and 64 columns one in a hundred is further off.
    assert!(wrapped.iter().all(|excess| excess.abs() < 2.6), "{wrapped:?}");
    assert!(open.iter().all(|excess| *excess > 2.6), "what is not joined shows: {open:?}");
}

#[test]
fn sides_that_leave_a_rest_are_refused_and_scales_have_none() {
    let machine = Machine { memory: 1 << 40, ..Machine::detect() };
    let plan = |size, config: &Config| {
        let config = Config { border: Border::Wrap, size, ..config.clone() };
        Plan::new(&config, (3 * size as usize / 4, size as usize), (300, 400), Architecture::Vgg16, machine)
    };
    let config = Config::texture(Preset::Default);
    let sizes = |plan: &Plan| plan.scales.iter().map(|s| (s.height, s.width)).collect::<Vec<_>>();
    let scales = sizes(&plan(256, &config).unwrap());
    assert_eq!(scales.last(), Some(&(192, 256)));
    assert!(scales.len() > 2 && scales.iter().all(|(h, w)| h % 16 == 0 && w % 16 == 0), "{scales:?}");
    let Err(Error::Usage(message)) = plan(260, &config) else { panic!("260 is 16 times 16.25") };
    assert!(message.contains("260×195") && message.contains("256x192"), "{message}");
    // What does not fit is refused, and not cut.
    let config = Config { max_memory: Some(1), ..config };
    assert!(plan(256, &config).unwrap().cuts.iter().all(|cut| cut.picture.is_none() && cut.style.is_none()));
}
