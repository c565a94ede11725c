//! `batch`: many pictures at once, each as `stylize` makes it.

use std::path::Path;

use serde_json::Value;

use crate::support::{Folder, SMALL_RUN, WEIGHTS, impasto, misunderstood, picture, printed, refused};

/// What makes the small run of the other tests of these commands.
pub const SMALL: &[&str] =
    &["--preset=paper", "--size=0", "--style-size=0", "--iterations=2", "--seed=1", "--set=tone=off"];

/// Contents that differ, one of which is broken.
const CONTENTS: [&str; 6] = ["rgb.png", "grey.png", "alpha.png", "orientation-6.png", "sixteen.png", "broken.png"];

const STYLES: [&str; 3] = ["colour.bmp", "lossless.webp", "palette.png"];

/// Six pictures, one of them broken, and three styles.
pub fn fill(folder: &Folder, contents: &str, styles: &str) {
    for (place, names) in [(contents, &CONTENTS[..]), (styles, &STYLES)] {
        std::fs::create_dir_all(folder.path(place)).unwrap();
        for name in names {
            let bytes = std::fs::read(picture(if *name == "broken.png" { "rgb.png" } else { name })).unwrap();
            let length = if *name == "broken.png" { bytes.len() / 2 } else { bytes.len() };
            folder.file(&format!("{place}/{name}"), &bytes[..length]);
        }
    }
}

pub fn in_folder(folder: &Folder, words: &[&str]) -> assert_cmd::Command {
    let mut command = impasto(words);
    command.args(SMALL).args(WEIGHTS).current_dir(folder.path(""));
    command
}

fn batch(folder: &Folder, words: &[&str]) -> assert_cmd::Command {
    let mut command = in_folder(folder, &["batch", "photos", "--styles", "art", "-o", "out"]);
    command.args(words);
    command
}

/// The object that a command prints, and its exit code.
pub fn json(mut command: assert_cmd::Command) -> (Value, i32) {
    let output = command.arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}")), output.status.code().unwrap())
}

/// Names in a folder and those in it, with the bytes of each file.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true => found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes))),
            false => found.push((name, std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn one_broken_picture_of_six_is_told_and_the_others_are_made() {
    let folder = Folder::new();
    fill(&folder, "photos", "art");
    let output = batch(&folder, &["--threads=2"]).output().unwrap();
    let (said, noted) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(3), "{noted}");
    assert!(said.starts_with("18 pictures: 15 made, 3 failed  "), "{said}");
    assert!(
        said.contains("\nfailed  photos/broken.png: the PNG file is damaged") && said.contains("(3 pictures)"),
        "{said}"
    );
    assert_eq!(noted.matches("is not made: photos/broken.png").count(), 3, "{noted}");
    assert!(noted.contains("18/18 pictures, 3 failed  0:00 left"), "{noted}");
    assert_eq!(files(&folder.path("out")).len(), 15);
    // Every one is what stylize makes of the two.
    for (content, style) in [("alpha", "palette.png"), ("rgb", "colour.bmp")] {
        let (stem, _) = style.split_once('.').unwrap();
        let mut alone =
            impasto(["stylize", &format!("photos/{content}.png"), &format!("art/{style}"), "-q", "-o", "alone.png"]);
        alone.args(SMALL_RUN).current_dir(folder.path("")).assert().success();
        let made = std::fs::read(folder.path(&format!("out/{content}-{stem}.png"))).unwrap();
        assert!(made == std::fs::read(folder.path("alone.png")).unwrap(), "{content} {style}");
    }
    // The same again makes nothing, but for what failed.
    folder.file("photos/broken.png", std::fs::read(picture("thin.png")).unwrap());
    let (summary, code) = json(batch(&folder, &["-q"]));
    assert_eq!((&summary["made"], &summary["there"], &summary["failed"], code), (&0.into(), &15.into(), &3.into(), 3));
    folder.file("photos/broken.png", std::fs::read(picture("rgb.png")).unwrap());
    let (summary, code) = json(batch(&folder, &["-q"]));
    assert_eq!((&summary["made"], &summary["there"], &summary["failed"], code), (&3.into(), &15.into(), &0.into(), 0));
}

#[test]
fn every_number_of_jobs_and_any_shards_make_the_same_bytes() {
    let folder = Folder::new();
    fill(&folder, "photos", "art");
    std::fs::remove_file(folder.path("photos/broken.png")).unwrap();
    let of = |out: &str| {
        let found = files(&folder.path(out));
        std::fs::remove_dir_all(folder.path(out)).unwrap();
        found
    };
    let (summary, code) = json(batch(&folder, &["--jobs=1", "--threads=1"]));
    assert_eq!((&summary["jobs"], &summary["made"], code), (&1.into(), &15.into(), 0));
    let one = of("out");
    let (summary, _) = json(batch(&folder, &["--jobs=3", "--threads=4"]));
    assert_eq!(summary["jobs"], 3);
    assert!(one == of("out"));
    let (first, _) = json(batch(&folder, &["--shard=1/2"]));
    let mut second = batch(&folder, &["--shard=auto"]);
    second.env("SLURM_ARRAY_TASK_ID", "4").env("SLURM_ARRAY_TASK_MIN", "3").env("SLURM_ARRAY_TASK_COUNT", "2");
    let (second, _) = json(second);
    assert_eq!((&first["made"], &second["made"], &second["shard"]), (&8.into(), &7.into(), &"2/2".into()));
    assert!(one == of("out"));
}

#[test]
fn what_is_there_and_is_something_else_is_left_unless_told_otherwise() {
    let folder = Folder::new();
    fill(&folder, "photos", "art");
    let one = |words: &[&str]| {
        let mut command = in_folder(&folder, &["batch", "photos/rgb.png", "--styles", "art/colour.bmp", "-o", "out"]);
        command.args(words);
        command
    };
    std::fs::create_dir(folder.path("out")).unwrap();
    let other = folder.file("out/rgb-colour.png", std::fs::read(picture("grey.png")).unwrap());
    let words = ["out/rgb-colour.png", "holds no recipe", "--overwrite to replace it"];
    refused(one(&["-q"]).assert(), 2, &words);
    assert!(std::fs::read(&other).unwrap() == std::fs::read(picture("grey.png")).unwrap());
    one(&["--overwrite", "-q"]).assert().success();
    let made = std::fs::read(&other).unwrap();
    // Another option makes another picture of it, and so does another content.
    refused(one(&["-q", "--seed=2"]).assert(), 2, &["was made with other options", "--overwrite"]);
    let rgb = std::fs::read(folder.path("photos/rgb.png")).unwrap();
    folder.file("photos/rgb.png", std::fs::read(picture("grey.png")).unwrap());
    refused(one(&["-q"]).assert(), 2, &["was made of other pictures", "--overwrite"]);
    folder.file("photos/rgb.png", rgb);
    assert!(std::fs::read(&other).unwrap() == made);
    // Even so, what is as it should be is not made again.
    let (summary, _) = json(one(&["--overwrite"]));
    assert_eq!(summary["there"], 1);
}

#[test]
fn a_list_says_what_to_make_line_by_line() {
    let folder = Folder::new();
    fill(&folder, "in/photos", "in/art");
    let csv = "content,style,output,content-weight,iterations\nphotos/rgb.png,art/colour.bmp,,,\n\
               photos/rgb.png,art/colour.bmp,x/y,2.5,3\nphotos/grey.png,art,blend.jpg,,\n";
    folder.file("in/l.csv", csv);
    in_folder(&folder, &["batch", "--list", "in/l.csv", "-o", "out", "-q"]).assert().success();
    let names: Vec<_> = files(&folder.path("out")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["blend.jpg", "rgb-colour.png", "x/y.png"]);
    let shown = |name: &str| printed(impasto(["show".into(), folder.path(&format!("out/{name}"))]));
    let shown_line = shown("x/y.png");
    assert!(shown_line.contains("--content-weight 2.5") && shown_line.contains("--iterations 3"), "{shown_line}");
    assert!(shown("blend.jpg").matches("--style ").count() == 3);
    let jsonl = "{\"content\": \"photos/rgb.png\", \"style\": \"art/colour.bmp\", \"output\": \"j.png\", \
                 \"content-weight\": 2.5, \"iterations\": 3}\n";
    folder.file("in/l.jsonl", jsonl);
    in_folder(&folder, &["batch", "--list", "in/l.jsonl", "-o", "out", "-q"]).assert().success();
    assert!(std::fs::read(folder.path("out/j.png")).unwrap() == std::fs::read(folder.path("out/x/y.png")).unwrap());
}

#[test]
fn names_are_made_by_a_pattern() {
    let folder = Folder::new();
    fill(&folder, "photos", "art");
    let words = [
        "batch",
        "photos/[gr]*.png",
        "--styles=art/colour.bmp",
        "-o=out",
        "-q",
        "--name={style}/{number}-{content}.jpg",
    ];
    in_folder(&folder, &words).assert().success();
    let names: Vec<_> = files(&folder.path("out")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["colour/1-grey.jpg", "colour/2-rgb.jpg"]);
}

#[test]
fn nonsense_is_refused_where_it_is_read() {
    let folder = Folder::new();
    for (flag, words) in [
        ("--name={photo}", "there is no {photo}; give one of {content}, {style}, {number}"),
        ("--name=../{content}", "give one without .. and a leading /"),
        ("--shard=0/5", "parts are counted from 1"),
        ("--shard=6/5", "there is no part 6 of 5"),
        ("--shard=five", "give i/n, such as 2/5, auto, or auto/n"),
        ("--jobs=0", "give a number from 1"),
        ("--list=l.csv", "cannot be used with"),
    ] {
        misunderstood(batch(&folder, &[flag]).assert(), &[words]);
    }
    assert!(folder.names().is_empty());
}

#[cfg(unix)]
mod stopped {
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::support::{heeding, send};

    /// Far beyond what a slow machine needs; only a hang gets here.
    const CAP: Duration = Duration::from_secs(120);

    /// A batch of which some pictures are made quickly and the last would take days.
    fn start(folder: &Folder) -> Child {
        let lines = |content: &str, count: &str| format!("photos/{content}.png,art/colour.bmp,{count}\n");
        let list = format!("content,style,iterations\n{}{}", lines("rgb", "2"), lines("grey", "100000000"));
        folder.file("l.csv", list);
        let mut command = heeding();
        command.args(["batch", "--list", "l.csv", "-o", "out", "--jobs=1"]).args(SMALL).args(WEIGHTS);
        command.current_dir(folder.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let start = Instant::now();
        while !folder.path("out/rgb-colour.png").is_file() {
            assert!(start.elapsed() < CAP, "no picture in {CAP:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }

    #[test]
    fn signals_keep_what_is_done_and_a_killed_batch_goes_on() {
        for (signal, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
            let folder = Folder::new();
            fill(&folder, "photos", "art");
            let child = start(&folder);
            send(&child, signal);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), code, "{signal}");
            if code.is_some() {
                let said = String::from_utf8(output.stdout).unwrap();
                assert!(said.starts_with("2 pictures: 1 made, 1 left  "), "{said}");
                let names: Vec<_> = files(&folder.path("out")).into_iter().map(|(name, _)| name).collect();
                assert_eq!(names, ["rgb-colour.png"]);
            }
            let list = std::fs::read_to_string(folder.path("l.csv")).unwrap().replace("100000000", "2");
            folder.file("l.csv", list);
            let (summary, code) = json(in_folder(&folder, &["batch", "--list", "l.csv", "-o", "out"]));
            assert_eq!((&summary["made"], &summary["there"], code), (&1.into(), &1.into(), 0), "{signal}");
        }
    }
}
