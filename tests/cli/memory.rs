//! What does not fit is refused from what is known beforehand: the header of a picture, the plan of a run.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Folder, PROGRAM, impasto, picture, refused, send, stylize_after};

/// The output of a command that must succeed.
fn succeeded(command: &mut assert_cmd::Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The program behind a shell that may take so many kB of address space.
fn limited(kilobytes: u64, folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -v {kilobytes}; exec {PROGRAM} \"$@\"")).arg("sh").args(arguments);
    command.current_dir(folder.path("")).stdin(Stdio::null()).output().unwrap()
}

/// A GIF of one pixel whose header says that it is on a canvas of so many.
fn boasting_gif(folder: &Folder, side: u16) {
    let mut bytes = Vec::new();
    let pixel = image::RgbaImage::from_pixel(1, 1, image::Rgba([9, 9, 9, 255]));
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    encoder.encode_frame(image::Frame::new(pixel)).unwrap();
    drop(encoder);
    bytes[6..8].copy_from_slice(&side.to_le_bytes());
    bytes[8..10].copy_from_slice(&side.to_le_bytes());
    folder.file("boasting.gif", bytes);
}

#[test]
#[cfg(target_os = "linux")]
fn a_header_that_promises_more_than_there_is_memory_for_is_refused_before_it_is_decoded() {
    let folder = Folder::new();
    boasting_gif(&folder, 10_000);
    let style = picture("colour.bmp");
    // Half of what it would take, whatever that limit is made of.
    let output = limited(1_000_000, &folder, &["stylize", "boasting.gif", style.to_str().unwrap(), "-o", "o.png"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{message}");
    assert!(message.starts_with("error: boasting.gif: reading 10000 × 10000 pixels needs about 1.2 GB"), "{message}");
    assert!(message.trim_end().ends_with("left by ulimit; use a smaller picture"), "{message}");
    assert_eq!(folder.names(), ["boasting.gif"]);
}

#[test]
#[cfg(target_os = "linux")]
fn under_ulimit_a_run_is_made_or_refused_and_never_aborted() {
    let folder = Folder::new();
    let pictures = ["rgb.png", "colour.bmp"].map(picture);
    let mut codes = Vec::new();
    // From hardly more than the program itself to more than the run needs.
    for kilobytes in [120_000, 200_000, 400_000, 700_000, 1_000_000, 2_000_000, 4_000_000] {
        let [content, style] = pictures.each_ref().map(|path| path.to_str().unwrap());
        let flags =
            ["--preset=paper", "--size=256", "--iterations=1", "--threads=2", "-o", "o.png", "--overwrite", "-q"];
        let output = limited(kilobytes, &folder, &[&["stylize", content, style], &flags[..]].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => assert!(message.is_empty(), "{message}"),
            Some(5) => assert!(message.contains("memory"), "{kilobytes}: {message}"),
            code => panic!("{kilobytes} kB: {code:?} {message}"),
        }
        codes.push(output.status.code());
    }
    assert_eq!(codes.last(), Some(&Some(0)));
    assert!(codes.contains(&Some(5)), "{codes:?}");
}

/// What a plan did not foresee ends in the runtime's abort, which no program can turn into an error: but into its code.
#[test]
#[cfg(target_os = "linux")]
fn an_abort_under_ulimit_has_the_exit_code_of_a_run_that_does_not_fit() {
    let folder = Folder::new();
    let flags = ["-oo.png", "--iterations=100000", "--trace=t", "-q"];
    let mut child = stylize_after("ulimit -v 6000000", &folder, &flags).spawn().unwrap();
    while !folder.path("t").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it has begun");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    send(&child, "ABRT");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

/// What `impasto plan` says of a run with these options.
fn plan(folder: &Folder, options: &[&str]) -> Value {
    let mut command = folder.stylize_as("plan", "rgb.png", "o.png");
    let output = succeeded(command.args(["--size=400", "--style-size=200", "--json"]).args(options));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn in_any_budget_a_picture_is_the_same_and_the_plan_knows_how() {
    let folder = Folder::new();
    let free = plan(&folder, &["--max-memory=100G"]);
    let bytes = |plan: &Value| plan["peak_bytes"].as_u64().unwrap();
    assert_eq!(free["scales"][0]["rows"], Value::Null);
    let budget = format!("--max-memory={}", bytes(&free) * 19 / 20);
    let tight = plan(&folder, &[&budget]);
    assert!(tight["scales"][0]["rows"].as_u64().is_some_and(|rows| rows >= 8), "{tight}");
    assert!(bytes(&tight) <= tight["budget_bytes"].as_u64().unwrap() && bytes(&tight) < bytes(&free), "{tight}");
    let parts = tight["peak_bytes_of"].as_object().unwrap().values().map(|part| part.as_u64().unwrap());
    assert_eq!(parts.sum::<u64>(), bytes(&tight));
    assert!(tight["seconds"].as_f64().unwrap() > 0.0 && tight["bytes_a_pixel"] == 60, "{tight}");
    assert!(folder.names().is_empty(), "a plan writes nothing");

    let made = |budget: &str, name: &str, flags: &[&str]| {
        let mut run = folder.stylize("rgb.png", name);
        succeeded(run.args(["--size=400", "--style-size=200", budget]).args(flags));
        std::fs::read(folder.path(name)).unwrap()
    };
    let whole = made("--max-memory=100G", "whole.png", &["--iterations=3"]);
    assert!(whole == made(&budget, "strips.png", &["--iterations=3"]));
    // A run that goes on may have another.
    assert!(whole != made(&budget, "first.png", &["--checkpoint=c"]));
    for budget in [&budget, "--max-memory=100G"] {
        std::fs::copy(folder.path("c"), folder.path("d")).unwrap();
        succeeded(impasto(["resume", "d", "--iterations=1", budget]).current_dir(folder.path("")));
        std::fs::rename(folder.path("first.png"), folder.path(&budget[13..])).unwrap();
    }
    let of = |budget: &str| std::fs::read(folder.path(&budget[13..])).unwrap();
    assert!(of(&budget) == of("--max-memory=100G"));
}

#[test]
fn a_plan_is_a_table_too() {
    let folder = Folder::new();
    let output = succeeded(&mut folder.stylize_as("plan", "rgb.png", "o.png"));
    let text = String::from_utf8(output.stdout).unwrap();
    for words in ["32×24", "whole", "all", "at its fullest", "60 bytes a pixel"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert!(folder.names().is_empty());
}

#[test]
fn a_refusal_says_what_would_fit() {
    let folder = Folder::new();
    let mut run = folder.stylize("rgb.png", "o.png");
    let refusal = run.args(["--size=2000", "--max-memory=400M", "-q"]).output().unwrap();
    assert_eq!(refusal.status.code(), Some(5));
    let message = String::from_utf8(refusal.stderr).unwrap();
    let after = |words: &str| message.split(words).nth(1).and_then(|rest| rest.split([' ', ',', ';']).next()).unwrap();
    let (size, memory) = (after("; --size "), after(", or --max-memory "));
    let fits = |flag: String| {
        succeeded(folder.stylize_as("plan", "rgb.png", "o.png").args(["--json", "--size=2000"]).arg(flag))
    };
    fits(format!("--max-memory={memory}"));
    let size: usize = size.parse().unwrap();
    let plan = |size: usize| {
        let flags = ["--json".into(), "--max-memory=400M".into(), format!("--size={size}")];
        folder.stylize_as("plan", "rgb.png", "o.png").args(flags).output().unwrap().status.code()
    };
    assert_eq!((plan(size), plan(size + 16)), (Some(0), Some(5)));
}

#[test]
fn a_benchmark_that_does_not_fit_is_refused() {
    let words = ["needs about", "of memory", "give a smaller"];
    refused(impasto(["bench", "--only=step", "--size=256,60000"]).assert(), 5, &words);
    refused(impasto(["bench", "--only=layers", "--layer-size=60000"]).assert(), 5, &words);
}

#[test]
fn a_run_that_does_not_fit_in_memory() {
    let folder = Folder::new();
    let mut run = folder.stylize("rgb.png", "o.png");
    refused(
        run.args(["--size=60000", "--trace=t", "--max-memory=2G"]).assert(),
        5,
        &["60000×45000 picture", "of memory, more than --max-memory 2G", "; --size 4", " would fit"],
    );
    assert!(folder.names().is_empty());
    // Nor is an earlier trace taken away.
    folder.file("t", "earlier");
    refused(run.assert(), 5, &["memory"]);
    assert_eq!(std::fs::read_to_string(folder.path("t")).unwrap(), "earlier");
    assert_eq!(folder.names(), ["t"]);
}
