use std::path::Path;

use clap::Parser;
use impasto::config::settings;
use impasto::objective::{ContentLoss, Variation};
use impasto::vgg::{Border, Layer};

use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn parsed(flags: &[&str]) -> Result<Options, clap::Error> {
    let words = ["impasto", "content.jpg", "style.jpg"].iter().chain(flags);
    Program::try_parse_from(words).map(|program| program.options)
}

fn config(flags: &[&str]) -> Config {
    parsed(flags).unwrap().config().unwrap()
}

#[test]
fn without_options_every_value_is_the_presets() {
    assert_eq!(config(&[]), Preset::Default.config());
    assert_eq!(config(&["--preset", "paper"]), Preset::Paper.config());
}

#[test]
fn an_explicit_option_wins_wherever_it_stands() {
    let before = config(&["--iterations", "7", "--tone", "off", "--preset", "paper"]);
    let after = config(&["--preset", "paper", "--tone", "off", "--iterations", "7"]);
    assert_eq!(before, after);
    assert_eq!((before.iterations, before.tone), (Some(7), Tone::Off));
    assert_eq!(before.style_layers, Preset::Paper.config().style_layers);
}

#[test]
fn every_option_reaches_its_value() {
    let all = config(&[
        "--size=64",
        "--style-size=0",
        "--style-scale=1.5",
        "--max-pixels=2M",
        "--max-memory=2G",
        "--content-weight=3",
        "--style-weight=4",
        "--tv-weight=5",
        "--strength=0.75",
        "--content-layer=relu4_1",
        "--style-layer=relu1_1:0.5,relu2_1",
        "--pooling=avg",
        "--tone=style",
        "--iterations=9",
        "--learning-rate=0.5",
        "--init=noise",
        "--seed=11",
        "--threads=3",
        "--precision=f32",
        "--conv-algorithm=im2col",
        "--weights=w.safetensors",
        "--statistic=gram-mean",
        "--refresh=3",
        "--detail=0.5",
        "--jitter=4",
        "--colors=match",
        "--luminance-only",
        "--match-result=off",
        "--calm=1",
        "--largest-gain=4",
        "--canvas=pixels",
        "--optimizer=lbfgs",
        "--schedule=0.2:0.1",
        "--moments=carried",
        "--lbfgs-history=7",
        "--average=0",
        "--content-loss=sum",
        "--tv-loss=absolute",
        "--enlarged-weighs-more=off",
        "--border=zero",
        "--scale-rule=64:9,128:5",
        "--until=2%",
        "--beta1=0.5",
        "--beta2=0.6",
        "--epsilon=1e-3",
    ]);
    let layer = |block, weight| LayerWeight { layer: Layer::relu(block, 1), weight };
    let expected = Config {
        size: 64,
        style_size: Some(0),
        style_scale: 1.5,
        max_pixels: 2_000_000,
        max_memory: Some(2_000_000_000),
        content_weight: 3.0,
        style_weight: 4.0,
        tv_weight: 5.0,
        strength: 0.75,
        content_layers: vec![layer(4, 1.0)],
        style_layers: vec![layer(1, 0.5), layer(2, 1.0)],
        pooling: Pooling::Avg,
        tone: Tone::Style,
        iterations: Some(9),
        learning_rate: 0.5,
        init: Init::Noise,
        seed: 11,
        threads: 3,
        precision: Precision::F32,
        conv_algorithm: Some(Algorithm::Im2col),
        weights: Some("w.safetensors".into()),
        statistic: Statistic::GramMean,
        refresh: 3,
        detail: 0.5,
        jitter: 4,
        colors: Colors::Match,
        luminance_only: true,
        match_result: false,
        calm: 1,
        largest_gain: 4.0,
        canvas: CanvasKind::Pixels,
        optimizer: OptimizerKind::Lbfgs,
        schedule: Schedule { end: 0.2, last: 0.1 },
        moments: Moments::Carried,
        lbfgs_history: 7,
        average: None,
        content_loss: ContentLoss::Sum,
        variation: Variation::Absolute,
        enlarged_weighs_more: false,
        border: Border::Zero,
        scales: Scales::Grown([(64, 9), (128, 5)].map(|(size, iterations)| ScaleRule { size, iterations }).to_vec()),
        until: Some(0.02),
        beta1: 0.5,
        beta2: 0.6,
        epsilon: 1e-3,
        ..Config::default()
    };
    assert_eq!(all, expected);
    let scales = [ScaleRule { size: 64, iterations: 3 }, ScaleRule { size: 96, iterations: 2 }];
    let given = config(&["--scales=64:3,96:2"]);
    assert_eq!((given.scales, given.size), (Scales::Given(scales.to_vec()), 96));
}

#[test]
fn every_setting_of_a_file_is_an_option_and_a_row_of_the_tables() {
    let rows: Vec<_> = presets::rows(&Config::default()).into_iter().map(|(name, _)| name).collect();
    let command = <Program as clap::CommandFactory>::command();
    let options: Vec<_> = command.get_arguments().filter_map(|option| option.get_long()).collect();
    for setting in settings::ALL {
        assert!(options.contains(&setting.name) && rows.contains(&setting.name), "{}", setting.name);
    }
    assert_eq!(rows.len(), settings::ALL.len());
}

#[test]
fn an_option_takes_the_text_of_a_setting() {
    for preset in Preset::ALL {
        let texts = settings::ALL.iter().filter_map(|s| Some(format!("--{}={}", s.name, s.text(&preset.config())?)));
        let texts: Vec<String> = texts.collect();
        // From a preset that differs in nearly everything.
        let other = if preset == Preset::Paper { "best" } else { "paper" };
        let mut flags = vec!["--preset", other];
        flags.extend(texts.iter().map(String::as_str));
        assert_eq!(config(&flags), Config { preset: config(&["--preset", other]).preset, ..preset.config() });
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_preset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "preset = 'fast'\nscales = '32:3,64:2'\ncontent-weight = 7\nseed = 5\ninit = 'start.png'\n")
        .unwrap();
    let file = format!("--config={}", path.display());
    let read = config(&[&file]);
    assert_eq!((read.preset, read.size, read.content_weight, read.seed), (Preset::Fast, 64, 7.0, 5));
    assert_eq!(read.schedule, Preset::Fast.config().schedule);
    let flags = config(&["--seed=6", &file, "--preset=best", "--size=128"]);
    assert_eq!((flags.preset, flags.seed, flags.content_weight, flags.size), (Preset::Best, 6, 7.0, 128));
    // Sizes that do not end at this one are a rule for it.
    assert!(matches!(&flags.scales, Scales::Grown(rule) if rule.len() == 2));
    assert_eq!(config(&["--scale-rule=9", &file]).scales, Scales::Single(9));
    assert_eq!(read.init, Init::File("start.png".into()));
}

#[test]
fn the_last_of_repeated_options_counts() {
    assert_eq!(config(&["--size", "64", "--size", "96"]).size, 96);
}

#[test]
fn styles_come_in_the_order_in_which_they_are_given() {
    let parse = |words: &[&str]| Program::try_parse_from(words).map(|program| program.options);
    let both = parse(&["impasto", "c.jpg", "--style", "b.jpg:0.5", "a.jpg", "--style", "C:/d.jpg"]).unwrap();
    let weighing = |path: &str, weight| StyleFile { weight, ..StyleFile::new(Path::new(path)) };
    let scene = both.scene().unwrap();
    assert_eq!(scene.styles, [weighing("a.jpg", 1.0), weighing("b.jpg", 0.5), weighing("C:/d.jpg", 1.0)]);
    assert_eq!(scene.files(), ["a.jpg", "b.jpg", "C:/d.jpg"].map(Path::new));
    let flag = parse(&["impasto", "c.jpg", "--style=b.jpg"]).unwrap();
    assert_eq!(flag.scene().unwrap().styles, [weighing("b.jpg", 1.0)]);
    assert!(parse(&["impasto", "c.jpg"]).unwrap_err().to_string().contains("STYLE"));
}

#[test]
fn a_start_that_is_neither_content_nor_noise_is_a_file() {
    let options = parsed(&["--init", "./noise"]).unwrap();
    assert_eq!(options.init, Some(Init::File("./noise".into())));
}

#[test]
fn a_wrong_value_names_its_option_and_what_would_do() {
    for (flags, option, remedy) in [
        (["--pooling", "min"], "--pooling", "max"),
        (["--preset", "papyrus"], "--preset", "paper"),
        (["--bits", "12"], "--bits", "16"),
        (["--max-pixels", "many"], "--max-pixels", "100M"),
        (["--max-memory", "most"], "--max-memory", "2G"),
        (["--style-layer", "relu9_1"], "--style-layer", "relu5_1"),
        (["--size", "big"], "--size", "such as 512"),
        (["--size", "5k"], "--size", "5000 or 5120"),
        (["--init", "blend:x"], "--init", "blend:SHARE"),
        (["--until", "soon"], "--until", "0.1%"),
        (["--time", "soon"], "--time", "60s"),
        (["--quality", "0"], "--quality", "1..=100"),
        (["--dpi", "0"], "--dpi", "such as 300"),
        (["--iterations", "-5"], "--iterations", "0..="),
        (["--save-every", "0"], "--save-every", "1.."),
    ] {
        let message = parsed(&flags).unwrap_err().to_string();
        assert!(message.contains(option) && message.contains(remedy), "{message}");
    }
    let message = parsed(&["--learning-rate", "-1"]).unwrap().config().unwrap_err().to_string();
    assert!(message.contains("--learning-rate -1"), "{message}");
}
