//! What a picture's file tells of how it was made, what can be made of that, and presets in files.

use std::path::Path;

use impasto::config::Preset;
use serde_json::Value;

use crate::support::{Folder, SMALL_RUN, WEIGHTS, impasto, misunderstood, picture, printed, refused, trace};

/// Two pictures in a folder of their own, and a run on them.
fn made(folder: &Folder, out: &str, flags: &[&str]) {
    for (name, from) in [("photo one.png", "rgb.png"), ("painting.bmp", "colour.bmp")] {
        folder.file(name, std::fs::read(picture(from)).unwrap());
    }
    let mut command = impasto(["stylize", "photo one.png", "painting.bmp", "-q", "-o", out]);
    let given = |small: &&&str| !flags.iter().any(|flag| flag.split('=').next() == small.split('=').next());
    command.args(SMALL_RUN.iter().filter(given)).args(flags).current_dir(folder.path("")).assert().success();
}

fn in_folder(folder: &Folder, words: &[&str]) -> assert_cmd::Command {
    let mut command = impasto(words);
    command.current_dir(folder.path(""));
    command
}

#[test]
fn a_picture_is_made_again_to_the_byte_by_the_recipe_in_each_format() {
    for (out, flags) in [
        ("o.png", &["--bits=16", "--dpi=300"][..]),
        ("o.jpg", &["--quality=80", "--preset=default", "--size=48"]),
        ("o.webp", &["--init=blend:0.3", "--style-layer=relu1_1:0.3,relu2_1:0.7"]),
        ("o.tif", &["--optimizer=lbfgs", "--until=1%", "--tv-loss=absolute", "--init=style-stats"]),
        ("o.picture", &["--format=jpg", "--strength=0.7", "--normalize-gradients", "--init=grey"]),
    ] {
        let folder = Folder::new();
        made(&folder, out, flags);
        let said = printed(in_folder(&folder, &["reproduce", out]));
        assert!(said.contains(&format!("{out}: every byte is the same")), "{said}");
        in_folder(&folder, &["reproduce", out, "-q", "--threads=2", "-o", "again"]).assert().success().stdout("");
        assert!(std::fs::read(folder.path("again")).unwrap() == std::fs::read(folder.path(out)).unwrap());
    }
}

#[test]
fn png_and_jpeg_tell_the_same_recipe() {
    let folder = Folder::new();
    let recipe = |out: &str| {
        made(&folder, out, &[]);
        let mut recipe: Value = serde_json::from_str(&printed(in_folder(&folder, &["show", out, "--json"]))).unwrap();
        recipe.as_object_mut().unwrap().remove("save");
        recipe
    };
    assert_eq!(recipe("o.png"), recipe("o.jpg"));
}

#[test]
fn show_prints_a_command_that_makes_the_picture() {
    let folder = Folder::new();
    made(&folder, "o.jpg", &["--seed=9", "--init=noise", "--quality=70", "--content-weight=1e-7"]);
    let said = printed(in_folder(&folder, &["show", "o.jpg"]));
    let command = said.lines().next().unwrap();
    assert!(command.starts_with("impasto stylize 'photo one.png' painting.bmp -o o.jpg --preset paper"), "{command}");
    for part in ["--seed 9", "--init noise", "--quality 70", "--content-weight 1e-7", "--iterations 2"] {
        assert!(command.contains(part), "{part}: {command}");
    }
    assert!(said.contains("# content ") && said.contains("photo one.png") && said.contains("# by Impasto"), "{said}");
    // As a shell would take it apart.
    let words = shlex::split(command).unwrap();
    let before = std::fs::read(folder.path("o.jpg")).unwrap();
    std::fs::remove_file(folder.path("o.jpg")).unwrap();
    let mut again = impasto(&words[1..]);
    again.args(WEIGHTS).current_dir(folder.path("")).assert().success();
    assert!(std::fs::read(folder.path("o.jpg")).unwrap() == before);
}

#[test]
fn files_are_told_by_their_digest_wherever_they_are() {
    let folder = Folder::new();
    made(&folder, "o.png", &[]);
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    std::fs::rename(folder.path("photo one.png"), folder.path("elsewhere/p.png")).unwrap();
    folder.file("photo one.png", std::fs::read(picture("grey.png")).unwrap());
    let words = ["photo one.png: is not the content that o.png was made of", "SHA-256", "--content"];
    refused(in_folder(&folder, &["reproduce", "o.png"]).assert(), 3, &words);
    in_folder(&folder, &["reproduce", "o.png", "--content=elsewhere/p.png", "-q"]).assert().success();
}

#[test]
fn a_picture_that_was_changed_is_not_the_one_that_its_recipe_makes() {
    let folder = Folder::new();
    made(&folder, "o.png", &[]);
    let loaded = impasto::picture::load(&folder.path("o.png"), 10_000).unwrap();
    let said = impasto::picture::metadata(&folder.path("o.png"), 10_000).unwrap();
    let save = |picture: &impasto::Picture, dpi: Option<f64>| {
        let options =
            impasto::picture::SaveOptions { description: said.description.clone(), dpi, ..Default::default() };
        impasto::picture::save(picture, &folder.path("o.png"), &options).unwrap();
    };
    save(&loaded, Some(72.0));
    let reproduce = || in_folder(&folder, &["reproduce", "o.png", "-q"]).assert();
    refused(reproduce(), 1, &["o.png: is not what its recipe makes", "every pixel is the same", "another program"]);
    let mut changed = loaded;
    changed.rgb[[3, 4, 1]] = if changed.rgb[[3, 4, 1]] < 0.5 { 1.0 } else { 0.0 };
    save(&changed, None);
    refused(reproduce(), 1, &["1 of 2304 values differ", "it has been changed since"]);
}

#[test]
#[cfg(unix)]
fn a_run_that_went_further_or_was_stopped_is_made_again() {
    let folder = Folder::new();
    made(&folder, "o.png", &["--checkpoint=c"]);
    for further in ["--iterations=2", "--size=40", "--iterations=1"] {
        in_folder(&folder, &["resume", "c", "-q", further]).assert().success();
    }
    in_folder(&folder, &["reproduce", "o.png", "-q"]).assert().success();
    let said = printed(in_folder(&folder, &["show", "o.png"]));
    let resumed: Vec<_> = said.lines().filter(|line| line.starts_with("impasto resume")).collect();
    assert_eq!(resumed.len(), 3, "{said}");
    assert!(resumed[1].ends_with("--size 40") && said.contains("--checkpoint run.safetensors"), "{said}");

    let mut run = std::process::Command::new(crate::support::PROGRAM);
    run.args(["stylize", "photo one.png", "painting.bmp", "-q", "-o", "s.png"]).args(SMALL_RUN);
    run.args(["--iterations=100000000", "--trace=t"]).current_dir(folder.path(""));
    let mut run = run.spawn().unwrap();
    while std::fs::read_to_string(folder.path("t")).unwrap_or_default().lines().count() < 4 {
        assert!(run.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    crate::support::send(&run, "TERM");
    assert_eq!(run.wait().unwrap().code(), Some(143));
    assert!(printed(in_folder(&folder, &["show", "s.png"])).contains("# stopped after"));
    in_folder(&folder, &["reproduce", "s.png", "-q"]).assert().success();
}

#[test]
fn a_picture_on_the_way_says_that_it_is_one() {
    let folder = Folder::new();
    made(&folder, "o.png", &["--save-every=1"]);
    let said = printed(in_folder(&folder, &["show", "o-0001.png"]));
    assert!(said.contains("# a picture on the way, after 1 iterations"), "{said}");
    let words = ["o-0001.png: is a picture on the way", "give the result"];
    refused(in_folder(&folder, &["reproduce", "o-0001.png"]).assert(), 2, &words);
}

#[test]
fn without_metadata_a_file_tells_nothing() {
    let folder = Folder::new();
    for out in ["o.png", "o.jpg", "o.webp", "o.tif"] {
        made(&folder, out, &["--no-metadata"]);
        let bytes = std::fs::read(folder.path(out)).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"impasto"), "{out}");
        refused(in_folder(&folder, &["show", out]).assert(), 3, &["holds no recipe", "--no-metadata was given"]);
    }
}

#[test]
fn every_preset_is_printed_as_a_file_that_says_the_same() {
    let folder = Folder::new();
    for preset in Preset::ALL {
        let text = printed(impasto(["presets", preset.name(), "--toml"]));
        assert!(text.contains("# ") && text.contains("\ncontent-weight = "), "{text}");
        folder.file("p.toml", &text);
        let config = |flags: &[&str]| {
            let mut command = folder.stylize_as("stylize", "rgb.png", "o.png");
            // What the small run is told is the same in both.
            command.args(flags).args(["--overwrite", "--trace=t", "--preset", preset.name()]).assert().success();
            trace(&folder.path("t"))[0]["config"].clone()
        };
        if preset == Preset::Paper {
            assert_eq!(config(&["--config=p.toml"]), config(&[]));
        }
        let file = impasto::config::File::read(&folder.path("p.toml")).unwrap();
        let mut read = file.preset().unwrap().config();
        file.apply(&mut read).unwrap();
        assert_eq!(read, preset.config());
    }
    misunderstood(impasto(["presets", "--toml"]).assert(), &["not provided", "<NAME>"]);
}

#[test]
fn what_a_file_says_counts_unless_an_option_says_otherwise() {
    let folder = Folder::new();
    folder.file("p.toml", "preset = 'paper'\niterations = 3\nseed = 4\ninit = 'noise'\n");
    let mut command =
        impasto(["stylize", "--size=0", "--style-size=0", "--config=p.toml", "--seed=5", "--trace=t", "-q"]);
    command.args(WEIGHTS).arg(picture("rgb.png")).arg(picture("colour.bmp")).args(["-o", "o.png"]);
    command.current_dir(folder.path("")).assert().success();
    let config = &trace(&folder.path("t"))[0]["config"];
    let expected = [("preset", "paper".into()), ("iterations", 3.into()), ("seed", 5.into()), ("init", "noise".into())];
    expected.iter().for_each(|(name, value): &(_, Value)| assert_eq!(config[name], *value));
    assert!(Path::new(&folder.path("o.png")).is_file());
    // What is read is not written to.
    let mut command = folder.stylize("rgb.png", "x.png");
    refused(command.args(["--config=p.toml", "--trace=p.toml"]).assert(), 2, &["--trace p.toml", "an input"]);
}
