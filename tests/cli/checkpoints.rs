//! `--checkpoint` and `resume`: a run that is killed, stopped or left without a disk, and goes on.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Folder, PROGRAM, SMALL_RUN, impasto, misunderstood, picture, random, refused, send, stylize_after, trace,
};

/// Far beyond what a slow machine needs; only a hang gets here.
const CAP: Duration = Duration::from_secs(120);

fn program(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stylize(folder: &Folder, flags: &[&str]) -> Command {
    let mut command = program(folder, &["stylize"]);
    // --scales says the size itself.
    let scales = flags.iter().any(|flag| flag.starts_with("--scales"));
    let small = SMALL_RUN.iter().filter(|flag| !(scales && flag.starts_with("--size")));
    command.args([picture("rgb.png"), picture("colour.bmp")]).args(small).args(flags);
    command
}

fn succeeded(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A trace but for what takes time.
fn losses(path: &Path) -> Vec<Value> {
    let mut lines = trace(path);
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        ["seconds", "output"].iter().for_each(|name| drop(line.remove(*name)));
    }
    lines
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < CAP, "no {what} in {CAP:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One run is left alone; another is killed twenty times, wherever it happens to be, and resumed each time.
fn survives_twenty_kills(flags: &[&str]) {
    let alone = Folder::new();
    let flags: Vec<&str> = flags.iter().copied().chain(["--trace=t", "-oo.png", "--save-every=50"]).collect();
    succeeded(stylize(&alone, &flags));

    let folder = Folder::new();
    let mut random = random();
    let keep = ["--checkpoint=c", "--checkpoint-every=0"];
    let mut child = stylize(&folder, &flags).args(keep).spawn().unwrap();
    wait_until("checkpoint", || folder.path("c").exists());
    for _ in 0..20 {
        std::thread::sleep(Duration::from_micros(random() % 1_200_000));
        child.kill().unwrap();
        child.wait().unwrap();
        child = program(&folder, &["resume", "c", "-q"]).spawn().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in alone.names().iter().filter(|name| name.ends_with(".png")) {
        assert!(std::fs::read(alone.path(name)).unwrap() == std::fs::read(folder.path(name)).unwrap(), "{name}");
    }
    assert_eq!(losses(&folder.path("t")), losses(&alone.path("t")));
}

#[test]
fn twenty_kills_and_the_same_bytes() {
    survives_twenty_kills(&["--preset=default", "--iterations=150", "--scales=24:1,32:2"]);
}

#[test]
fn twenty_kills_in_line_searches_and_the_same_bytes() {
    survives_twenty_kills(&["--optimizer=lbfgs", "--iterations=300", "--lbfgs-history=5"]);
}

#[test]
fn a_run_that_is_stopped_says_how_it_goes_on_and_does() {
    let alone = Folder::new();
    succeeded(stylize(&alone, &["--iterations=300", "--trace=t", "-oo.png"]));
    let folder = Folder::new();
    let flags = ["--iterations=300", "--trace=t", "-oo.png", "--checkpoint=c"];
    let child = stylize(&folder, &flags).spawn().unwrap();
    wait_until("iteration", || std::fs::read_to_string(folder.path("t")).unwrap_or_default().lines().count() > 3);
    send(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let noted = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{noted}");
    assert!(noted.contains("impasto resume c goes on"), "{noted}");
    assert_eq!(folder.names(), ["c", "o.png", "t"]);
    // From anywhere: what the run reads and writes is known by whole paths.
    let output = succeeded(program(&alone, &["resume", folder.path("c").to_str().unwrap()]));
    let said = String::from_utf8_lossy(&output.stdout);
    // The table has the iterations before the stop, too.
    for word in ["        1 ", "       60 ", "      end ", "300 iterations"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(std::fs::read(alone.path("o.png")).unwrap() == std::fs::read(folder.path("o.png")).unwrap());
    assert_eq!(losses(&folder.path("t")), losses(&alone.path("t")));
}

#[test]
fn a_finished_run_says_so_and_goes_further_if_asked() {
    let folder = Folder::new();
    succeeded(stylize(&folder, &["-oo.png", "--checkpoint=c", "--trace=t"]));
    let picture = std::fs::read(folder.path("o.png")).unwrap();
    let output = succeeded(program(&folder, &["resume", "c"]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("c: the run is finished"));
    assert!(succeeded(program(&folder, &["resume", "c", "-q"])).stdout.is_empty());
    // Its picture is made again where it has gone.
    std::fs::remove_file(folder.path("o.png")).unwrap();
    succeeded(program(&folder, &["resume", "c"]));
    assert!(std::fs::read(folder.path("o.png")).unwrap() == picture);
    succeeded(program(&folder, &["resume", "c", "--iterations=3"]));
    let lines = trace(&folder.path("t"));
    // A header, two iterations, three more, and the last measurement.
    assert_eq!(lines.len(), 7);
    assert_eq!((&lines[5]["iteration"], &lines[6]["final"]), (&5.into(), &true.into()));
    succeeded(program(&folder, &["resume", "c", "--size=48"]));
    assert_eq!(image::image_dimensions(folder.path("o.png")).unwrap(), (48, 36));
    let resume = |flag: &str| impasto(["resume", "c", flag]).current_dir(folder.path("")).assert();
    refused(resume("--size=48"), 2, &["--size 48", "48 pixels already"]);
    misunderstood(resume("--iterations=0"), &["'0'", "--iterations", "not in 1.."]);
}

#[test]
fn a_checkpoint_replaces_nothing_that_is_not_its_own() {
    let folder = Folder::new();
    std::fs::copy(picture("rgb.png"), folder.path("in.png")).unwrap();
    std::fs::hard_link(folder.path("in.png"), folder.path("link")).unwrap();
    let run = |flags: &[&str]| {
        let mut command = impasto(["stylize", "in.png"]);
        command.arg(picture("colour.bmp")).args(SMALL_RUN).args(flags).current_dir(folder.path(""));
        command.assert()
    };
    for name in ["o.png", "t", "in.png", "link"] {
        let flag = format!("--checkpoint={name}");
        refused(run(&["-oo.png", "--trace=t", &flag, "--overwrite"]), 2, &["--checkpoint", "a name of its own"]);
    }
    refused(run(&["-oo.png", "--checkpoint=nowhere/c"]), 2, &["--checkpoint", "no folder nowhere", "create it first"]);
    refused(run(&["-oo.png", "--checkpoint=/dev/null"]), 2, &["--checkpoint", "neither a file", "choose another"]);
    misunderstood(run(&["-oo.png", "--checkpoint-every=5"]), &["not provided", "--checkpoint <FILE>"]);
    run(&["-oo.png", "--checkpoint=c"]).success();
    refused(run(&["-oo.png", "--checkpoint=c"]), 2, &["is there already", "impasto resume c", "--overwrite"]);
    run(&["-oo.png", "--checkpoint=c", "--overwrite"]).success();
    assert_eq!(folder.names(), ["c", "in.png", "link", "o.png"]);
}

#[test]
fn what_is_no_checkpoint_or_of_another_run_is_refused() {
    let folder = Folder::new();
    std::fs::copy(picture("rgb.png"), folder.path("in.png")).unwrap();
    let mut command = program(&folder, &["stylize", "in.png"]);
    command.arg(picture("colour.bmp")).args(SMALL_RUN).args(["-oo.png", "--checkpoint=c"]);
    succeeded(command);
    let whole = std::fs::read(folder.path("c")).unwrap();
    let resume = |file: &str| impasto(["resume", file, "--iterations=1"]).current_dir(folder.path("")).assert();
    folder.file("cut", &whole[..whole.len() - 1]);
    refused(resume("cut"), 7, &["cut", "cut short", "begin anew"]);
    let mut edited = whole.clone();
    *edited.last_mut().unwrap() ^= 1;
    folder.file("edited", edited);
    refused(resume("edited"), 7, &["edited", "changed", "begin anew"]);
    folder.file("empty", "");
    refused(resume("empty"), 7, &["empty", "not a checkpoint", "begin anew"]);
    refused(resume("in.png"), 7, &["in.png", "not a checkpoint", "begin anew"]);
    refused(resume("nowhere"), 7, &["nowhere", "No such file", "a file that --checkpoint wrote"]);
    refused(resume("."), 7, &["not a file", "give one that --checkpoint wrote"]);
    std::fs::copy(picture("grey.png"), folder.path("in.png")).unwrap();
    refused(resume("c"), 7, &["the content picture has changed", "bring the earlier file back"]);
    std::fs::copy(picture("rgb.png"), folder.path("in.png")).unwrap();
    let mut elsewhere = impasto(["resume", "c", "--iterations=1"]);
    elsewhere.current_dir(folder.path("")).env("IMPASTO_ISA", "scalar");
    refused(elsewhere.assert(), 7, &["instructions", "go on with --anyway"]);
    elsewhere.arg("--anyway").assert().success();
}

#[test]
fn a_checkpoint_that_can_no_longer_be_written_is_a_warning_and_an_error_in_the_end() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("d")).unwrap();
    let flags = ["--iterations=100", "--trace=t", "-oo.png", "--checkpoint=d/c", "--checkpoint-every=0"];
    let child = stylize(&folder, &flags).spawn().unwrap();
    wait_until("iteration", || std::fs::read_to_string(folder.path("t")).unwrap_or_default().lines().count() > 3);
    std::fs::rename(folder.path("d"), folder.path("gone")).unwrap();
    let output = child.wait_with_output().unwrap();
    let noted = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{noted}");
    assert!(noted.contains("warning: d/c") && noted.contains("the run goes on"), "{noted}");
    image::open(folder.path("o.png")).unwrap();
    // What was written before is whole.
    let gone = folder.path("gone/c");
    succeeded(program(&folder, &["resume", gone.to_str().unwrap()]));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_found_before_the_work() {
    let folder = Folder::new();
    // In blocks of 512 bytes.
    let flags = ["-oo.png", "--checkpoint=c"];
    let output = stylize_after("ulimit -f 8", &folder, &flags).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("c: cannot be written"), "{message}");
    assert!(folder.names().is_empty());
}
