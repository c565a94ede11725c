//! What cannot work is refused with one line, the right exit code, and nothing left behind.

use std::path::Path;

use crate::support::{Folder, SMALL_RUN, impasto, picture, refused};

/// Runs on `content`, which must be refused as an input picture.
fn refused_content(content: &Path, words: &[&str]) {
    let folder = Folder::new();
    let mut command = impasto(["stylize"]);
    command.arg(content).arg(picture("colour.bmp")).arg("-o").arg(folder.path("o.png")).args(SMALL_RUN);
    refused(command.assert(), 3, &[&[content.to_str().unwrap()], words].concat());
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn a_file_that_is_not_a_picture() {
    let folder = Folder::new();
    refused_content(&folder.file("letter.png", "Dear reader,"), &[]);
    refused_content(&folder.file("empty.jpg", ""), &[]);
}

#[test]
fn a_truncated_picture() {
    refused_content(&picture("truncated.jpg"), &[]);
    let folder = Folder::new();
    for name in ["rgb.png", "lossless.webp", "lzw.tiff", "colour.bmp"] {
        let bytes = std::fs::read(picture(name)).unwrap();
        refused_content(&folder.file(name, &bytes[..bytes.len() * 2 / 3]), &[]);
    }
}

#[test]
fn a_picture_of_a_kind_that_cannot_be_read() {
    refused_content(&picture("arithmetic.jpg"), &["arithmetic-coded", "convert it to PNG"]);
}

#[test]
fn a_tiff_with_a_text_of_absurd_length() {
    // A library that is asked for such a text prints a line of its own.
    refused_content(&picture("text-for-width.tiff"), &["damaged"]);
    let folder = Folder::new();
    folder.stylize("text-for-profile.tiff", "o.png").arg("--quiet").assert().success().stderr("").stdout("");
}

#[test]
fn a_picture_one_pixel_wide() {
    refused_content(&picture("thin.png"), &["16"]);
}

#[test]
fn a_header_that_claims_an_absurd_size() {
    let folder = Folder::new();
    refused_content(&picture("absurd.png"), &["--max-pixels"]);
    refused_content(&folder.file("huge.ppm", "P6 4000000000 4000000000 255\n"), &[]);
}

#[test]
fn a_picture_above_the_users_own_limit() {
    let folder = Folder::new();
    refused(folder.stylize("rgb.png", "o.png").arg("--max-pixels=767").assert(), 3, &["rgb.png", "--max-pixels"]);
    folder.stylize("rgb.png", "o.png").arg("--max-pixels=768").assert().success();
}

#[test]
fn a_folder_and_a_missing_file_as_content() {
    let folder = Folder::new();
    refused_content(&folder.path(""), &[]);
    refused_content(&folder.path("nowhere/photo.jpg"), &[]);
}

#[test]
fn a_style_or_start_that_is_not_a_picture() {
    let folder = Folder::new();
    let letter = folder.file("letter.png", "Dear reader,");
    let mut command = impasto(["stylize"]);
    command.arg(picture("rgb.png")).arg(&letter).arg("-o").arg(folder.path("o.png")).args(SMALL_RUN);
    refused(command.assert(), 3, &["letter.png"]);
    refused(folder.stylize("rgb.png", "o.png").arg("--init").arg(&letter).assert(), 3, &["letter.png"]);
    assert_eq!(folder.names(), ["letter.png"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let folder = Folder::new();
    folder.file("file", "");
    for name in ["file/o.png", "nowhere/o.png", "/proc/o.png", "/proc"] {
        refused(folder.stylize("rgb.png", name).assert(), 2, &[]);
    }
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn an_output_whose_extension_names_no_format_or_cannot_hold_the_bits() {
    let folder = Folder::new();
    refused(folder.stylize("rgb.png", "o.xyz").assert(), 2, &["o.xyz", "png"]);
    refused(folder.stylize("rgb.png", "o").assert(), 2, &["png"]);
    refused(folder.stylize("rgb.png", "o.jpg").arg("--bits=16").assert(), 2, &["o.jpg", "16"]);
    assert!(folder.names().is_empty());
}

#[test]
fn an_output_or_trace_that_is_an_input() {
    let folder = Folder::new();
    let bytes = std::fs::read(picture("rgb.png")).unwrap();
    let content = folder.file("c.png", &bytes);
    let run = |flags: &[&str]| {
        let mut command = impasto(["stylize"]);
        command.current_dir(folder.path("")).arg(&content).arg(picture("colour.bmp")).args(SMALL_RUN).args(flags);
        refused(command.assert(), 2, &["c.png"]);
    };
    run(&["-o", "./c.png"]);
    run(&["-o", "o.png", "--trace", "c.png"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&content, folder.path("link.png")).unwrap();
        run(&["-o", "link.png"]);
        std::fs::remove_file(folder.path("link.png")).unwrap();
        std::fs::hard_link(&content, folder.path("hard.jsonl")).unwrap();
        let mut command = impasto(["stylize"]);
        command.current_dir(folder.path("")).arg(&content).arg(picture("colour.bmp")).args(SMALL_RUN);
        refused(command.args(["-o", "o.png", "--trace", "hard.jsonl"]).assert(), 2, &["hard.jsonl", "an input"]);
        std::fs::remove_file(folder.path("hard.jsonl")).unwrap();
    }
    assert_eq!(std::fs::read(&content).unwrap(), bytes);
    let flags = ["--trace", "o.png"];
    refused(folder.stylize("rgb.png", "o.png").args(flags).assert(), 2, &["--trace", "the output picture"]);
    assert_eq!(folder.names(), ["c.png"]);
}

#[test]
fn a_picture_on_the_way_that_would_overwrite_an_input() {
    let folder = Folder::new();
    let content = folder.file("o-0002.png", std::fs::read(picture("rgb.png")).unwrap());
    let mut command = impasto(["stylize"]);
    command.arg(&content).arg(picture("colour.bmp")).arg("-o").arg(folder.path("o.png")).args(SMALL_RUN);
    refused(command.args(["--save-every=1", "--overwrite"]).assert(), 2, &["--save-every", "o-0002.png"]);
    assert_eq!(folder.names(), ["o-0002.png"]);
}

#[test]
fn what_the_name_or_format_of_a_result_cannot_do_is_known_before_the_work() {
    let folder = Folder::new();
    let mut run = folder.stylize("rgb.png", "o.webp");
    refused(run.arg("--size=20000").assert(), 2, &["o.webp", "20000", "16384", ".png"]);
    let long = "n".repeat(248) + ".png";
    refused(folder.stylize("rgb.png", &long).arg("--save-every=1").assert(), 2, &["--save-every", "shorter"]);
    refused(folder.stylize("rgb.png", &("n".repeat(252) + ".png")).assert(), 2, &["name"]);
    assert!(folder.names().is_empty());
}

#[test]
fn a_trace_that_cannot_be_created() {
    let folder = Folder::new();
    refused(folder.stylize("rgb.png", "o.png").arg("--trace=nowhere/t").assert(), 2, &["--trace", "nowhere/t"]);
    assert!(folder.names().is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn a_trace_on_a_full_disk() {
    let folder = Folder::new();
    refused(folder.stylize("rgb.png", "o.png").arg("--trace=/dev/full").assert(), 2, &["--trace"]);
    assert!(folder.names().is_empty());
}

#[test]
#[cfg(unix)]
fn a_pipe_that_nobody_reads_holds_nothing_up() {
    let folder = Folder::new();
    assert!(std::process::Command::new("mkfifo").arg(folder.path("pipe.png")).status().unwrap().success());
    refused(folder.stylize("rgb.png", "o.png").arg("--trace=pipe.png").assert(), 2, &["--trace", "pipe.png"]);
    refused(folder.stylize("rgb.png", "pipe.png").assert(), 2, &["pipe.png", "neither a file"]);
    assert_eq!(folder.names(), ["pipe.png"]);
}

#[test]
fn weights_that_cannot_be_used() {
    let folder = Folder::new();
    let letter = folder.file("letter.safetensors", "Dear reader,");
    let missing = folder.path("missing.safetensors");
    for file in [&letter, &missing] {
        let name = file.to_str().unwrap();
        refused(folder.stylize("rgb.png", "o.png").arg("--weights").arg(file).assert(), 4, &[name]);
        refused(impasto(["weights", "info", name]).assert(), 4, &[name]);
        refused(impasto(["weights", "verify", name]).assert(), 4, &[name]);
    }
    assert_eq!(folder.names(), ["letter.safetensors"]);
}

#[test]
fn a_layer_the_network_does_not_have() {
    let folder = Folder::new();
    let assert = folder.stylize("rgb.png", "o.png").arg("--style-layer=relu3_4").assert();
    let message = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(!assert.get_output().status.success() && message.contains("relu3_4"), "{message}");
}

#[test]
fn a_run_that_does_not_fit_in_memory() {
    let folder = Folder::new();
    let mut run = folder.stylize("rgb.png", "o.png");
    refused(run.args(["--size=60000", "--trace=t"]).assert(), 5, &["memory", "--size"]);
    assert!(folder.names().is_empty());
    // Nor is an earlier trace taken away.
    folder.file("t", "earlier");
    refused(run.assert(), 5, &["memory"]);
    assert_eq!(std::fs::read_to_string(folder.path("t")).unwrap(), "earlier");
    assert_eq!(folder.names(), ["t"]);
}

#[test]
fn a_run_that_diverges_keeps_the_last_finite_picture() {
    let folder = Folder::new();
    // Beyond f32's range, so that the first gradient overflows.
    let mut command = folder.stylize("rgb.png", "o.png");
    let output = command.args(["--content-weight=1e300", "--quiet"]).assert().code(6).get_output().clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: ") && message.contains("diverged"), "{message}");
    image::open(folder.path("o.png")).unwrap();
    assert_eq!(folder.names(), ["o.png"]);
}

#[test]
fn values_that_make_no_sense_name_their_option() {
    let folder = Folder::new();
    for (flag, remedy) in [
        ("--size=5", "16"),
        ("--iterations=0", "at least 1"),
        ("--learning-rate=0", "above 0"),
        ("--style-weight=-1", "at least 0"),
        ("--tv-weight=NaN", "at least 0"),
        ("--style-layer=relu1_1:0", "above 0"),
    ] {
        let name = flag.split_once('=').unwrap().0;
        refused(folder.stylize("rgb.png", "o.png").arg(flag).assert(), 2, &[name, remedy]);
    }
    for flag in ["--pooling=min", "--iterations=many", "--no-such-option", "--save-every=0", "--threads=99999"] {
        folder.stylize("rgb.png", "o.png").arg(flag).assert().code(2);
    }
    folder.stylize("rgb.png", "o.png").args(["--quiet", "--verbose"]).assert().code(2);
    impasto(["stylize", "only-one.png"]).assert().code(2);
    impasto::<&str>([]).assert().code(2);
    assert!(folder.names().is_empty());
}
