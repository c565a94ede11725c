//! A minute of bad luck: one run that is killed, stopped and left without room on its disk, again and again, and resumed.
//!
//! The disk is a file system of 24 megabytes in memory, which an ordinary user may mount for himself in a namespace of
//! his own. Where a system forbids that, the disk is as large as any, and only kills and stops are left.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Folder, PROGRAM, SMALL_RUN, picture, random, send};

/// Where the test that is started inside finds the disk.
const DISK: &str = "IMPASTO_TEST_DISK";

/// Misfortunes.
const ROUNDS: usize = 36;

#[test]
fn a_minute_of_kills_and_full_disks_and_the_same_bytes() {
    let folder = Folder::new();
    let disk = folder.path("disk");
    fs::create_dir(&disk).unwrap();
    let own = std::env::current_exe().unwrap();
    let inside = "exec \"$1\" --exact faults::on_a_small_disk --include-ignored --nocapture";
    let mounted = format!("mount -t tmpfs -o size=24m none \"$0\" && {inside}");
    let namespace = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    let mut command = if namespace.is_ok_and(|status| status.success()) {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &mounted]);
        command
    } else {
        println!("no disk of 24 megabytes here: only kills");
        let mut command = Command::new("sh");
        command.args(["-c", inside]);
        command
    };
    let output = command.arg(&disk).arg(&own).env(DISK, &disk).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    println!("{text}");
}

#[test]
#[ignore = "started by the test above, with a disk of its own"]
fn on_a_small_disk() {
    let disk = PathBuf::from(std::env::var_os(DISK).expect("started by the test above"));
    let folder = Folder::new();
    for name in ["rgb.png", "colour.bmp"] {
        fs::copy(picture(name), folder.path(name)).unwrap();
    }
    let flags = ["--preset=default", "--iterations=150", "--scales=24:1,32:2", "-q"];
    let start = |output: &Path, keep: &[&str]| {
        let small = SMALL_RUN.iter().filter(|flag| !flag.starts_with("--size"));
        let mut command = Command::new(PROGRAM);
        command.args(["stylize", "rgb.png", "colour.bmp"]).args(small).args(flags).arg("-o").arg(output).args(keep);
        command.current_dir(folder.path("")).stderr(Stdio::piped()).spawn().unwrap()
    };
    assert!(start(&folder.path("alone.png"), &[]).wait().unwrap().success());

    let (checkpoint, result) = (disk.join("c"), disk.join("o.png"));
    let keep = ["--checkpoint", checkpoint.to_str().unwrap(), "--checkpoint-every=0"];
    let resume = || {
        let command = &mut Command::new(PROGRAM);
        command.arg("resume").arg(&checkpoint).arg("-q").stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut child = start(&result, &keep);
    while !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ends without a checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut random = random();
    let (mut full, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        std::thread::sleep(Duration::from_micros(random() % 1_000_000));
        let fills = random().is_multiple_of(3);
        if fills {
            fill(&disk);
            full += 1;
            std::thread::sleep(Duration::from_micros(random() % 300_000));
        }
        end(&mut child, random().is_multiple_of(4));
        if fills && random().is_multiple_of(2) {
            // A resumed run asks for room beforehand, and says that there is none.
            let output = resume().wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            refused += usize::from(output.status.code() == Some(2) && text.contains("make room"));
        }
        let _ = fs::remove_file(disk.join("filler"));
        child = resume();
    }
    child.wait().unwrap();
    // It may have ended without room for its picture.
    assert!(resume().wait().unwrap().success());
    assert!(fs::read(&result).unwrap() == fs::read(folder.path("alone.png")).unwrap(), "other bytes");
    println!("{ROUNDS} rounds, {full} times full, {refused} refusals");
}

/// Ends a run, by SIGKILL or as a supervisor would.
fn end(child: &mut Child, gently: bool) {
    if child.try_wait().unwrap().is_none() {
        if gently { send(child, "TERM") } else { child.kill().unwrap() }
    }
    child.wait().unwrap();
}

/// Takes all the room there is, if it is little.
fn fill(disk: &Path) {
    let mut file = fs::File::create(disk.join("filler")).unwrap();
    for block in [1 << 20, 64 << 10, 4 << 10] {
        for _ in 0..64 {
            if file.write_all(&vec![7; block]).is_err() {
                break;
            }
        }
    }
}
