//! The commands beside `stylize` that make a picture: textures, reconstructions, dreams.

use std::path::Path;

use assert_cmd::Command;
use image::{GenericImageView, RgbImage};

use crate::support::{Folder, WEIGHTS, impasto, misunderstood, picture, printed, refused, trace};

/// The command on a picture in a folder of its own, in a fraction of a second.
fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = impasto(arguments);
    command.args(["--threads=1", "--seed=1"]).args(WEIGHTS).current_dir(folder.path(""));
    command
}

fn folder() -> Folder {
    let folder = Folder::new();
    for (name, from) in [("photo.png", "rgb.png"), ("style.bmp", "colour.bmp"), ("alpha.png", "alpha.png")] {
        folder.file(name, std::fs::read(picture(from)).unwrap());
    }
    folder
}

fn pixels(path: &Path) -> RgbImage {
    image::open(path).unwrap().to_rgb8()
}

/// The description in a PNG.
fn description(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let info = reader.info();
    let latin = info.uncompressed_latin1_text.iter().map(|chunk| chunk.text.clone());
    let utf8 = info.utf8_text.iter().map(|chunk| chunk.get_text().unwrap());
    latin.chain(utf8).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_texture_has_the_size_it_is_asked_for_and_says_how_it_was_made() {
    let folder = folder();
    let run = ["texture", "style.bmp", "--size=48x32", "--iterations=3"];
    let said = printed(command(&folder, &run));
    assert!(said.contains("style") && !said.contains("content"), "{said}");
    let plain = folder.path("style-texture.png");
    assert_eq!(image::open(&plain).unwrap().dimensions(), (48, 32));
    let description = description(&plain);
    assert!(description.contains("texture style.bmp --size 48x32 {"), "{description}");
    command(&folder, &[&run[..], &["--tileable"]].concat()).assert().success();
    assert_ne!(pixels(&plain), pixels(&folder.path("style-texture-2.png")));
    command(&folder, &[&run[..], &["--threads=2", "-o", "again.png"]].concat()).assert().success();
    assert_eq!(pixels(&plain), pixels(&folder.path("again.png")));
}

#[test]
fn a_reconstruction_comes_nearer_to_what_the_layer_saw() {
    let folder = folder();
    let run = ["reconstruct", "photo.png", "--layer=relu1_1", "--size=0", "--iterations=25", "--trace=t"];
    command(&folder, &run).assert().success();
    assert!(folder.path("photo-relu1_1.png").exists());
    let lines = trace(&folder.path("t"));
    let content = |i: usize| lines[i]["content"].as_f64().unwrap();
    assert!(content(26) < 0.3 * content(1), "{} {}", content(1), content(26));
    assert!(lines[0].get("content").is_some() && lines[0]["styles"].as_array().unwrap().is_empty());
    command(&folder, &["reconstruct", "photo.png", "--style", "--layer=relu2_1", "--size=32", "--iterations=2"])
        .assert()
        .success();
    assert!(description(&folder.path("photo-style-relu2_1.png")).contains("--layer relu2_1 --style --size 32 {"));
}

#[test]
fn a_row_of_layers_is_one_picture() {
    let folder = folder();
    for (flags, name, panels) in [
        (vec!["--layers=relu1_1,relu2_1"], "photo-layers.png", 2),
        (vec!["--layers", "--style"], "photo-style-layers.png", 5),
    ] {
        let run = ["reconstruct", "photo.png", "--size=32", "--iterations=2"];
        let said = command(&folder, &[&run[..], &flags].concat()).assert().success().get_output().stderr.clone();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(&format!("{panels} of {panels}")), "{said}");
        let row = image::open(folder.path(name)).unwrap();
        // Between them is a thirty-second part of 24 pixels, which is none.
        assert_eq!(row.dimensions(), (32 * panels, 24), "{name}");
    }
}

#[test]
fn a_dream_sees_more_of_what_it_sees_and_keeps_opacity() {
    let folder = folder();
    let run = ["dream", "alpha.png", "--layer=relu2_1:5", "--size=32", "--octaves=2", "--iterations=12", "--trace=t"];
    let said = printed(command(&folder, &run));
    assert!(said.contains("activation"), "{said}");
    let lines = trace(&folder.path("t"));
    // What grows is minus the loss.
    let seen = |i: usize| -lines[i]["style"].as_f64().unwrap();
    assert!(seen(13) > 1.2 * seen(1), "{} {}", seen(1), seen(13));
    let alpha = |path| image::open(path).unwrap().to_rgba8().pixels().map(|p| p.0[3]).collect::<Vec<_>>();
    assert_eq!(alpha(folder.path("alpha-dream.png")), alpha(picture("alpha.png")));
    command(&folder, &[&run[..6], &["-o", "strips.png", "--max-memory=90M", "-q"]].concat()).assert().success();
    command(&folder, &[&run[..6], &["-o", "whole.png", "-q"]].concat()).assert().success();
    assert_eq!(pixels(&folder.path("strips.png")), pixels(&folder.path("whole.png")));
}

#[test]
fn a_run_that_has_one_picture_goes_on_from_its_checkpoint() {
    let folder = folder();
    for (name, arguments) in [
        ("texture.png", ["texture", "style.bmp", "--size=32x32"]),
        ("dream.png", ["dream", "photo.png", "--size=32"]),
        ("reconstruction.png", ["reconstruct", "photo.png", "--size=32"]),
    ] {
        let file = format!("{name}.run");
        let flags = ["--iterations=4", "-q", "-o", name, "--checkpoint", &file];
        command(&folder, &[&arguments[..], &flags].concat()).assert().success();
        let before = pixels(&folder.path(name));
        impasto(["resume", &file, "--iterations=2", "-q"]).current_dir(folder.path("")).assert().success();
        assert_ne!(before, pixels(&folder.path(name)), "{name}");
    }
}

#[test]
fn every_command_writes_a_recipe_that_is_shown_and_followed() {
    let folder = folder();
    let cases: [(&str, &[&str], &str); 5] = [
        (
            "texture.jpg",
            &["texture", "style.bmp", "--size=32x48", "--tileable", "--preset=fast", "--set=tv-weight=7"],
            "texture style.bmp -o texture.jpg --size 32x48 --tileable --preset fast --set 'tv-weight=7'",
        ),
        (
            "two.png",
            &[
                "texture",
                "--style=style.bmp:2",
                "--style=photo.png",
                "--size=32",
                "--style-size=24",
                "--set=init=style-stats",
            ],
            "--style photo.png:1 -o two.png --size 32x32 --style-size 24 --set 'init=style-stats'",
        ),
        ("row.png", &["reconstruct", "photo.png", "--layers=relu1_1,relu2_1", "--size=24"], "--layers=relu1_1,relu2_1"),
        (
            "style.png",
            &["reconstruct", "photo.png", "--style", "--layer=relu2_1", "--size=24"],
            "--layer relu2_1 --style",
        ),
        ("dream.webp", &["dream", "photo.png", "--layer=relu2_1:5", "--size=32", "--jitter=3"], "relu2_1:5 --size 32"),
    ];
    for (out, arguments, words) in cases {
        command(&folder, &[arguments, &["--iterations=2", "-q", "-o", out]].concat()).assert().success();
        let in_folder = |words: &[&str]| {
            let mut command = impasto(words);
            command.current_dir(folder.path(""));
            command
        };
        let shown = printed(in_folder(&["show", out]));
        assert!(shown.contains(words), "{shown}");
        let weights = WEIGHTS.iter().map(|flag| flag.replace("--weights=", "")).collect::<Vec<_>>();
        let mut reproduce = in_folder(&["reproduce", out]);
        weights.iter().for_each(|path| {
            reproduce.args(["--weights", path]);
        });
        assert!(printed(reproduce).contains("every byte is the same"), "{out}");
    }
    // A dream's picture is its own model, and is named once.
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    std::fs::rename(folder.path("photo.png"), folder.path("elsewhere/p.png")).unwrap();
    let mut reproduce = impasto(["reproduce", "dream.webp", "--content=elsewhere/p.png", "-q"]);
    reproduce.args(WEIGHTS).current_dir(folder.path("")).assert().success();
}

#[test]
fn a_summary_is_json_values_come_from_a_file_and_flags_win() {
    let folder = folder();
    folder.file("mine.toml", b"preset = 'fast'\nseed = 5\niterations = 9\ntv-weight = 4\n");
    let run =
        ["texture", "style.bmp", "--size=32", "--config=mine.toml", "--iterations=2", "--json", "--preview=p.png"];
    let summary: serde_json::Value = serde_json::from_str(&printed(command(&folder, &run))).unwrap();
    let config = &summary["recipe"]["config"];
    assert_eq!((config["preset"].as_str(), config["tv_weight"].as_f64()), (Some("fast"), Some(4.0)));
    assert_eq!((config["seed"].as_u64(), summary["iterations"].as_u64()), (Some(1), Some(2)));
    assert_eq!(pixels(&folder.path("p.png")), pixels(&folder.path("style-texture.png")));
    let row = ["reconstruct", "photo.png", "--layers=relu1_1,relu2_1", "--size=24", "--iterations=2", "--json"];
    let summary: serde_json::Value = serde_json::from_str(&printed(command(&folder, &row))).unwrap();
    assert_eq!((summary["iterations"].as_u64(), summary["planned_iterations"].as_u64()), (Some(4), Some(4)));
    refused(command(&folder, &["dream", "photo.png", "--set=tv=3"]).assert(), 2, &["--set tv=3", "tv-"]);
    refused(command(&folder, &["dream", "photo.png", "--set=seed"]).assert(), 2, &["--set seed", "NAME=VALUE"]);
}

#[test]
fn what_does_not_fit_or_is_not_there_is_refused_before_the_work() {
    let folder = folder();
    let check = |arguments: &[&str], code, words: &[&str]| refused(command(&folder, arguments).assert(), code, words);
    check(&["texture", "style.bmp", "--size=60000", "--tileable", "--max-memory=1G"], 5, &["of memory", "would fit"]);
    check(&["dream", "photo.png", "--size=60000"], 5, &["of memory", "use smaller pictures"]);
    check(
        &["reconstruct", "photo.png", "--layer=relu3_4"],
        2,
        &["relu3_4 is not a layer of VGG16", "a shallower layer"],
    );
    assert_eq!(folder.names(), ["alpha.png", "photo.png", "style.bmp"]);
}

#[test]
fn what_the_parser_refuses_says_what_would_do() {
    let dream = |layer: &str| impasto(["dream", "photo.png", "--layer", layer]);
    misunderstood(dream("relu4_3:512").assert(), &["'512' is no channel of relu4_3", "from 0 to 511"]);
    misunderstood(dream("fc7").assert(), &["'fc7' is not a layer", "relu5_3"]);
    misunderstood(impasto(["texture", "a.png", "--size=big"]).assert(), &["--size", "1024x768"]);
    misunderstood(
        impasto(["reconstruct", "a.png", "--layer=relu1_1", "--layers"]).assert(),
        &["--layer", "cannot be used with"],
    );
    for subcommand in ["texture", "reconstruct", "dream"] {
        let help = printed(impasto([subcommand, "-h"]));
        assert!(help.contains("Examples:") && help.contains("--seed"), "{help}");
    }
}
