//! A run that is put away and taken up again makes the same bytes as one that was never interrupted: for every preset,
//! optimiser and statistic, wherever it is interrupted.

#![cfg(feature = "embedded-weights")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use impasto::config::{CanvasKind, Colors, Moments, OptimizerKind, Precision, ScaleRule, Scales};
use impasto::objective::Statistic;
use impasto::transfer::checkpoint::{Digests, Header, digest};
use impasto::transfer::{Checkpoint, Inputs, Plan, Run, Sizes, plan};
use impasto::vgg::{Border, Layer};
use impasto::{Config, Engine, Error, Picture, Preset};
use ndarray::Array3;

/// One for all tests, which take turns.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(None, 2, NonZeroUsize::MIN).unwrap());

/// A picture with something in it at every size.
fn picture(height: usize, width: usize, turn: f32) -> Picture {
    let value = |(y, x, c): (usize, usize, usize)| {
        let (y, x) = (y as f32, x as f32);
        0.5 + 0.3 * (0.31 * (x + turn * y) + c as f32).sin() + 0.2 * (0.07 * y * (1.0 + turn)).cos()
    };
    Picture::from_rgb(Array3::from_shape_fn((height, width, 3), value))
}

/// Two scales of three iterations, the second not of the first one's proportions to a power of two.
fn small(config: Config) -> Config {
    let scales = Scales::Given(vec![ScaleRule { size: 24, iterations: 3 }, ScaleRule { size: 37, iterations: 3 }]);
    Config { scales, size: 37, iterations: None, ..config }
}

fn steps(run: &mut Run<'_>, most: usize) -> usize {
    (0..most).take_while(|_| run.step().unwrap().is_some()).count()
}

fn digests(plan: &Plan, [content, style]: &[Picture; 2]) -> Digests {
    let weights = ENGINE.weights_digest().unwrap();
    Digests { content: digest(content), styles: vec![(plan.shares[0], digest(style))], masks: Vec::new(), weights }
}

/// Writes the run to a file and forgets it.
fn put_away(path: &Path, run: &Run<'_>, config: &Config, plan: &Plan, pictures: &[Picture; 2]) {
    // The weights' digest takes longer than all the rest.
    static DIGESTS: OnceLock<Digests> = OnceLock::new();
    let digests = DIGESTS.get_or_init(|| digests(plan, pictures));
    Checkpoint::write(path, &Header::new(run, config, plan, digests.clone()), "\"whatever\"".into(), run).unwrap();
    // What is known beforehand is enough; names and shapes take some more.
    let (file, expected) = (path.metadata().unwrap().len(), plan.checkpoint);
    assert!(file <= expected + (64 << 10), "{file} bytes, where {expected} were expected");
}

/// The result of a run that is put away after each of so many steps, and after the rest goes to its end.
fn interrupted(config: &Config, pictures: &[Picture; 2], pauses: &[usize]) -> (Picture, u32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let engine = &*ENGINE;
    engine.share(|| {
        let plan = engine.plan(config, &pictures[0], &pictures[1]).unwrap();
        let mut run = engine.begin(config, &plan, Inputs::new(config, &plan, &pictures[0], &pictures[1])).unwrap();
        for &pause in pauses {
            steps(&mut run, pause);
            put_away(&path, &run, config, &plan, pictures);
            let checkpoint = Checkpoint::read(&path).unwrap();
            assert_eq!((checkpoint.header.iteration, checkpoint.header.finished), (run.iterations(), run.finished()));
            run = engine
                .resume(&checkpoint, config, &plan, Inputs::new(config, &plan, &pictures[0], &pictures[1]))
                .unwrap();
        }
        steps(&mut run, usize::MAX);
        let made = run.iterations();
        (run.result(), made)
    })
}

fn is_the_same_wherever_it_is_interrupted(config: &Config, name: &str) {
    let pictures = [picture(60, 80, 0.4), picture(70, 50, -1.3)];
    let (whole, iterations) = interrupted(config, &pictures, &[]);
    // Before the first step, after every step, and where nothing was done since.
    let (parts, made) = interrupted(config, &pictures, &[0, 1, 1, 1, 0, 1, 1, 1, 1, 0]);
    assert_eq!(made, iterations, "{name}");
    let same = parts.rgb.iter().zip(&whole.rgb).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same, "{name}");
}

#[test]
fn every_preset() {
    for preset in Preset::ALL {
        is_the_same_wherever_it_is_interrupted(&small(preset.config()), preset.name());
    }
}

#[test]
fn every_statistic_and_optimizer() {
    for statistic in Statistic::ALL {
        for optimizer in [OptimizerKind::Adam, OptimizerKind::Lbfgs] {
            let config = Config { statistic, optimizer, ..small(Preset::Default.config()) };
            is_the_same_wherever_it_is_interrupted(&config, &format!("{} {optimizer:?}", statistic.name()));
        }
    }
}

#[test]
fn kept_colours_brightness_alone_textures_and_dreams() {
    let default = small(Preset::Default.config());
    let seamless = Scales::Given([(32, 3), (64, 3)].map(|(size, iterations)| ScaleRule { size, iterations }).to_vec());
    for (name, config) in [
        ("colours kept", Config { colors: Colors::Content, ..default.clone() }),
        ("colours matched", Config { colors: Colors::Match, ..default.clone() }),
        ("brightness alone", Config { luminance_only: true, ..default }),
        ("a texture", small(Config::texture(Preset::Default))),
        (
            "one that wraps",
            Config { border: Border::Wrap, scales: seamless, size: 64, ..Config::texture(Preset::Fast) },
        ),
        ("a reconstruction", small(Config::content_reconstruction(Layer::relu(2, 2)))),
        ("a dream", small(Config::dream(Layer::relu(3, 1), Some(7), 37, (2, 3)))),
    ] {
        is_the_same_wherever_it_is_interrupted(&config, name);
    }
}

#[test]
fn carried_moments_pixels_averages_and_bf16() {
    let default = small(Preset::Default.config());
    for (name, config) in [
        ("carried", Config { moments: Moments::Carried, ..default.clone() }),
        ("pixels", Config { canvas: CanvasKind::Pixels, ..default.clone() }),
        ("no average", Config { average: None, ..default.clone() }),
        ("refresh 3", Config { refresh: 3, ..default.clone() }),
        ("bf16", Config { precision: Precision::Bf16, ..default.clone() }),
        ("a short history", Config { optimizer: OptimizerKind::Lbfgs, lbfgs_history: 1, ..default }),
    ] {
        is_the_same_wherever_it_is_interrupted(&config, name);
    }
}

/// Settled after two means of ten at each scale: in the middle of both they are known from the file alone.
#[test]
fn scales_that_end_where_their_losses_have_settled() {
    let scales = Scales::Given([24, 37].map(|size| ScaleRule { size, iterations: 60 }).to_vec());
    for (name, optimizer) in [("adam", OptimizerKind::Adam), ("lbfgs", OptimizerKind::Lbfgs)] {
        let until = Some(0.9);
        let config = Config { optimizer, until, scales: scales.clone(), size: 37, ..Preset::Default.config() };
        let pictures = [picture(60, 80, 0.4), picture(70, 50, -1.3)];
        let (whole, iterations) = interrupted(&config, &pictures, &[]);
        // Trials of a line search come on top.
        assert!(
            (40..60).contains(&iterations) && (optimizer == OptimizerKind::Lbfgs || iterations == 40),
            "{iterations}"
        );
        let (parts, made) = interrupted(&config, &pictures, &[5, 10, 4, 1, 1, 12]);
        assert_eq!(made, iterations, "{name}");
        assert!(parts.rgb.iter().zip(&whole.rgb).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
    }
}

/// Large enough maps for transports in both forms, and renewals that follow each other.
#[test]
fn transports_of_maps_with_more_pixels_than_channels() {
    let scales = Scales::Given(vec![ScaleRule { size: 96, iterations: 6 }]);
    let config = Config { scales, size: 96, ..Preset::Default.config() };
    is_the_same_wherever_it_is_interrupted(&config, "96 pixels");
}

#[test]
fn a_finished_run_goes_further() {
    let config = small(Preset::Fast.config());
    let pictures = [picture(60, 80, 0.4), picture(70, 50, -1.3)];
    let engine = &*ENGINE;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    engine.share(|| {
        let plan = engine.plan(&config, &pictures[0], &pictures[1]).unwrap();
        let mut run = engine.begin(&config, &plan, Inputs::new(&config, &plan, &pictures[0], &pictures[1])).unwrap();
        assert_eq!(steps(&mut run, usize::MAX), 7);
        put_away(&path, &run, &config, &plan, &pictures);
        let checkpoint = Checkpoint::read(&path).unwrap();
        assert!(checkpoint.header.finished);
        let [content, style] = pictures.each_ref().map(|p| (p.height(), p.width()));
        let sizes = Sizes::new(content, style);
        let more = |size, iterations| plan::more_scales(&config, &checkpoint.header.scales, &sizes, (size, iterations));
        for (size, iterations, (height, width), made) in
            [(None, Some(4), (28, 37), 10), (Some(70), None, (53, 70), 12), (Some(70), Some(2), (53, 70), 14)]
        {
            let scales = more(size, iterations).unwrap();
            let plan = engine.plan_of(&config, scales, &sizes).unwrap();
            let mut run = engine
                .resume(&checkpoint, &config, &plan, Inputs::new(&config, &plan, &pictures[0], &pictures[1]))
                .unwrap();
            assert!(!run.finished());
            steps(&mut run, usize::MAX);
            assert_eq!(run.iterations(), made, "{size:?}");
            let result = run.result();
            assert_eq!((result.height(), result.width()), (height, width), "{size:?}");
        }
        assert!(matches!(more(Some(37), None), Err(Error::Usage(_))));
    });
}

#[test]
fn another_runs_checkpoint_is_refused() {
    let pictures = [picture(60, 80, 0.4), picture(70, 50, -1.3)];
    let engine = &*ENGINE;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let config = small(Preset::Default.config());
    engine.share(|| {
        let plan = engine.plan(&config, &pictures[0], &pictures[1]).unwrap();
        let run = engine.begin(&config, &plan, Inputs::new(&config, &plan, &pictures[0], &pictures[1])).unwrap();
        put_away(&path, &run, &config, &plan, &pictures);
        let checkpoint = Checkpoint::read(&path).unwrap();
        let other = Config { optimizer: OptimizerKind::Lbfgs, ..config.clone() };
        let plan = engine.plan(&other, &pictures[0], &pictures[1]).unwrap();
        let error = engine
            .resume(&checkpoint, &other, &plan, Inputs::new(&other, &plan, &pictures[0], &pictures[1]))
            .err()
            .unwrap();
        assert!(matches!(&error, Error::Checkpoint { cause, .. } if cause.contains("lbfgs")), "{error}");
        let mut changed = pictures.clone();
        changed[1].rgb[[0, 0, 0]] += 1e-3;
        let changed = digests(&plan, &changed);
        assert!(checkpoint.check(&changed).unwrap_err().to_string().contains("the style picture has changed"));
        checkpoint.check(&digests(&plan, &pictures)).unwrap();
    });
}
