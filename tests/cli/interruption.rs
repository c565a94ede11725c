//! Ctrl-C and SIGTERM: the picture so far, and the exit code a shell expects.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Folder, SMALL_RUN, heeding, picture, send, stylize_after, trace};

/// Far beyond what a slow machine needs; only a hang gets here.
const CAP: Duration = Duration::from_secs(120);

/// A run that would take days.
fn start(folder: &Folder, flags: &[&str]) -> Child {
    heeding()
        .arg("stylize")
        .args([picture("rgb.png"), picture("colour.bmp")])
        .args(SMALL_RUN)
        .args(["--iterations=100000000", "--trace=t", "-oo.png"])
        .args(flags)
        .current_dir(folder.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_for_lines(path: &Path, lines: usize) {
    let start = Instant::now();
    while std::fs::read_to_string(path).unwrap_or_default().lines().count() < lines {
        assert!(start.elapsed() < CAP, "no iteration in {CAP:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn stops_with(signal: &str, name: &str, code: i32) {
    let folder = Folder::new();
    let child = start(&folder, &[]);
    wait_for_lines(&folder.path("t"), 2);
    send(&child, signal);
    let output = child.wait_with_output().unwrap();
    let (said, noted) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{noted}");
    assert!(noted.contains(&format!("stopped by {name} after")) && noted.contains("o.png"), "{noted}");
    assert!(said.contains("o.png  32×24"), "{said}");
    let pixels = |path: &Path| image::open(path).unwrap().to_rgb8();
    assert!(pixels(&folder.path("o.png")) != pixels(&picture("rgb.png")), "the start is not the picture so far");
    assert_eq!(folder.names(), ["o.png", "t"]);
    assert!(trace(&folder.path("t")).iter().all(|line| line.get("final").is_none()));
}

#[test]
fn ctrl_c_writes_the_picture_so_far_and_exits_130() {
    stops_with("INT", "Ctrl-C", 130);
}

#[test]
fn sigterm_writes_the_picture_so_far_and_exits_143() {
    stops_with("TERM", "SIGTERM", 143);
}

#[test]
fn a_closed_terminal_writes_the_picture_so_far_and_exits_129() {
    stops_with("HUP", "SIGHUP", 129);
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_is_to_outlive_its_terminal_does() {
    let folder = Folder::new();
    let flags = ["--iterations=100000000", "--trace=t", "-oo.png", "-q"];
    let mut child = stylize_after("trap '' HUP", &folder, &flags).spawn().unwrap();
    wait_for_lines(&folder.path("t"), 2);
    send(&child, "HUP");
    let lines = trace(&folder.path("t")).len();
    wait_for_lines(&folder.path("t"), lines + 2);
    send(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_beyond_the_size_that_is_allowed_is_an_error_where_it_is_written() {
    let folder = Folder::new();
    // In blocks of 512 bytes: the trace's header fits, its lines do not for long, and no picture does.
    let flags = ["--iterations=40", "--trace=t", "-oo.png"];
    let output = stylize_after("ulimit -f 8", &folder, &flags).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("the trace ends here"), "{message}");
}

#[test]
fn a_quiet_run_is_stopped_without_a_word() {
    let folder = Folder::new();
    let child = start(&folder, &["--quiet"]);
    wait_for_lines(&folder.path("t"), 2);
    send(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn a_second_signal_ends_the_iteration_and_one_at_once_is_the_first_again() {
    let folder = Folder::new();
    // Of one thread and by products of matrices, an iteration takes seconds on any machine, a layer much less.
    let mut child = heeding()
        .arg("stylize")
        .args([picture("rgb.png"), picture("colour.bmp")])
        .args(SMALL_RUN)
        .args(["--size=768", "--conv-algorithm=im2col", "--trace=t", "-oo.png"])
        .current_dir(folder.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let noted = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut noted = noted.map(|line| line.unwrap()).filter(|line| line.contains("stop"));
    // Until it listens, a signal would end it.
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
        caught.is_some_and(|caught| caught >> 1 & 1 == 1)
    };
    let start = Instant::now();
    while !listens() {
        assert!(start.elapsed() < CAP);
        std::thread::sleep(Duration::from_millis(5));
    }
    send(&child, "INT");
    assert_eq!(noted.next().unwrap(), "stopping after this step; again to stop at once");
    send(&child, "INT");
    std::thread::sleep(Duration::from_millis(1500));
    send(&child, "INT");
    assert_eq!(noted.next().unwrap(), "stopping; again to leave without the picture");
    assert!(
        noted.next().unwrap().contains("stopped by Ctrl-C after 0 of 2 iterations; the picture so far is in o.png")
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(image::image_dimensions(folder.path("o.png")).unwrap(), (768, 576));
}
