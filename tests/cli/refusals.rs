//! What cannot work is refused with one line, the right exit code, and nothing left behind.

use std::path::Path;

use crate::support::{Folder, SMALL_RUN, impasto, misunderstood, picture, refused};

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
    refused_content(&folder.file("letter.png", "Dear reader,"), &["not a picture", "give a JPEG, PNG"]);
    refused_content(&folder.file("empty.jpg", ""), &["empty", "copy it again"]);
}

#[test]
fn a_truncated_picture() {
    let words = ["truncated", "copy it again"];
    refused_content(&picture("truncated.jpg"), &words);
    let folder = Folder::new();
    for name in ["rgb.png", "lossless.webp", "lzw.tiff", "colour.bmp"] {
        let bytes = std::fs::read(picture(name)).unwrap();
        refused_content(&folder.file(name, &bytes[..bytes.len() * 2 / 3]), &words);
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
    refused_content(&picture("thin.png"), &["1 × 64", "at least 16", "larger picture or a larger --size"]);
}

#[test]
fn a_header_that_claims_an_absurd_size() {
    let folder = Folder::new();
    refused_content(&picture("absurd.png"), &["60000 × 60000", "limit of 100000000", "--max-pixels 3600000000"]);
    refused_content(&folder.file("huge.ppm", "P6 4000000000 4000000000 255\n"), &["too large", "convert it"]);
}

#[test]
fn a_picture_above_the_users_own_limit() {
    let folder = Folder::new();
    refused(
        folder.stylize("rgb.png", "o.png").arg("--max-pixels=767").assert(),
        3,
        &["rgb.png", "32 × 24", "limit of 767", "--max-pixels 768"],
    );
    folder.stylize("rgb.png", "o.png").arg("--max-pixels=768").assert().success();
}

#[test]
fn a_folder_and_a_missing_file_as_content() {
    let folder = Folder::new();
    refused_content(&folder.path(""), &["is a directory", "give a picture file"]);
    refused_content(&folder.path("nowhere/photo.jpg"), &["no such file", "check the path"]);
}

#[test]
fn a_style_or_start_that_is_not_a_picture() {
    let folder = Folder::new();
    let letter = folder.file("letter.png", "Dear reader,");
    let mut command = impasto(["stylize"]);
    command.arg(picture("rgb.png")).arg(&letter).arg("-o").arg(folder.path("o.png")).args(SMALL_RUN);
    let words = ["letter.png", "not a picture", "give a JPEG, PNG"];
    refused(command.assert(), 3, &words);
    refused(folder.stylize("rgb.png", "o.png").arg("--init").arg(&letter).assert(), 3, &words);
    assert_eq!(folder.names(), ["letter.png"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let folder = Folder::new();
    folder.file("file", "");
    for (name, cause, remedy) in [
        ("file/o.png", "no folder", "create it first"),
        ("nowhere/o.png", "no folder", "create it first"),
        ("/proc/o.png", "no file can be made in /proc", "choose another folder"),
        ("/proc", "no file can be made in /proc", "choose another folder"),
    ] {
        refused(folder.stylize("rgb.png", name).assert(), 2, &[name, cause, remedy]);
    }
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn an_output_whose_extension_names_no_format_or_cannot_hold_the_bits() {
    let folder = Folder::new();
    refused(folder.stylize("rgb.png", "o.xyz").assert(), 2, &["o.xyz", "must end in .png"]);
    refused(folder.stylize("rgb.png", "o").assert(), 2, &["o: ", "must end in .png"]);
    refused(folder.stylize("rgb.png", "o.jpg").arg("--bits=16").assert(), 2, &["o.jpg", "8 bits", "for 16", ".tiff"]);
    assert!(folder.names().is_empty());
}

#[test]
fn an_output_or_trace_that_is_an_input() {
    let folder = Folder::new();
    let bytes = std::fs::read(picture("rgb.png")).unwrap();
    let content = folder.file("c.png", &bytes);
    let run = |flags: &[&str], words: &[&str]| {
        let mut command = impasto(["stylize"]);
        command.current_dir(folder.path("")).arg(&content).arg(picture("colour.bmp")).args(SMALL_RUN).args(flags);
        refused(command.assert(), 2, words);
    };
    let input = ["c.png", "is the input picture", "choose another name"];
    run(&["-o", "./c.png"], &input);
    run(&["-o", "o.png", "--trace", "c.png"], &["--trace c.png", "an input", "a name of its own"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&content, folder.path("link.png")).unwrap();
        run(&["-o", "link.png"], &input);
        std::fs::remove_file(folder.path("link.png")).unwrap();
        std::fs::hard_link(&content, folder.path("hard.jsonl")).unwrap();
        run(&["-o", "o.png", "--trace", "hard.jsonl"], &["hard.jsonl", "an input", "a name of its own"]);
        std::fs::remove_file(folder.path("hard.jsonl")).unwrap();
    }
    assert_eq!(std::fs::read(&content).unwrap(), bytes);
    let flags = ["--trace", "o.png"];
    refused(
        folder.stylize("rgb.png", "o.png").args(flags).assert(),
        2,
        &["--trace o.png", "the output picture", "a name of its own"],
    );
    assert_eq!(folder.names(), ["c.png"]);
}

#[test]
fn a_picture_on_the_way_that_would_overwrite_an_input() {
    let folder = Folder::new();
    let content = folder.file("o-0002.png", std::fs::read(picture("rgb.png")).unwrap());
    let mut command = impasto(["stylize"]);
    command.arg(&content).arg(picture("colour.bmp")).arg("-o").arg(folder.path("o.png")).args(SMALL_RUN);
    refused(
        command.args(["--save-every=1", "--overwrite"]).assert(),
        2,
        &["--save-every", "o-0002.png", "an input", "with -o"],
    );
    assert_eq!(folder.names(), ["o-0002.png"]);
}

#[test]
fn what_the_name_or_format_of_a_result_cannot_do_is_known_before_the_work() {
    let folder = Folder::new();
    let mut run = folder.stylize("rgb.png", "o.webp");
    refused(run.arg("--size=20000").assert(), 2, &["o.webp", "20000", "16384", "write a .png"]);
    let long = "n".repeat(248) + ".png";
    refused(
        folder.stylize("rgb.png", &long).arg("--save-every=1").assert(),
        2,
        &["--save-every", "too long", "shorter name with -o"],
    );
    refused(folder.stylize("rgb.png", &("n".repeat(252) + ".png")).assert(), 2, &["too long", "another name"]);
    assert!(folder.names().is_empty());
}

#[test]
fn a_trace_that_cannot_be_created() {
    let folder = Folder::new();
    refused(
        folder.stylize("rgb.png", "o.png").arg("--trace=nowhere/t").assert(),
        2,
        &["--trace nowhere/t", "there is no folder nowhere", "create it first"],
    );
    assert!(folder.names().is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn a_trace_on_a_full_disk() {
    let folder = Folder::new();
    refused(
        folder.stylize("rgb.png", "o.png").arg("--trace=/dev/full").assert(),
        2,
        &["--trace", "No space", "with room"],
    );
    assert!(folder.names().is_empty());
}

#[test]
#[cfg(unix)]
fn a_pipe_that_nobody_reads_holds_nothing_up() {
    let folder = Folder::new();
    assert!(std::process::Command::new("mkfifo").arg(folder.path("pipe.png")).status().unwrap().success());
    refused(
        folder.stylize("rgb.png", "o.png").arg("--trace=pipe.png").assert(),
        2,
        &["--trace", "nobody reads", "name a file"],
    );
    refused(folder.stylize("rgb.png", "pipe.png").assert(), 2, &["pipe.png", "neither a file", "choose another"]);
    assert_eq!(folder.names(), ["pipe.png"]);
}

#[test]
fn weights_that_cannot_be_used() {
    let folder = Folder::new();
    let letter = folder.file("letter.safetensors", "Dear reader,");
    let missing = folder.path("missing.safetensors");
    for (file, cause) in [(&letter, "not a safetensors file"), (&missing, "no such file: check the path")] {
        let name = file.to_str().unwrap();
        let words = [name, cause, "VGG16 or VGG19"];
        refused(folder.stylize("rgb.png", "o.png").arg("--weights").arg(file).assert(), 4, &words);
        refused(impasto(["weights", "info", name]).assert(), 4, &words);
        refused(impasto(["weights", "verify", name]).assert(), 4, &words);
    }
    assert_eq!(folder.names(), ["letter.safetensors"]);
}

#[test]
fn a_layer_the_network_does_not_have() {
    let folder = Folder::new();
    let mut command = folder.stylize("rgb.png", "o.png");
    let words = ["relu3_4 is not a layer of VGG16", "choose a shallower layer", "VGG19's weights with --weights"];
    refused(command.arg("--style-layer=relu3_4").assert(), 2, &words);
    let words = ["'relu6_1'", "--style-layer", "VGG16 has relu1_1"];
    misunderstood(folder.stylize("rgb.png", "o.png").arg("--style-layer=relu6_1").assert(), &words);
    assert!(folder.names().is_empty());
}

#[test]
fn a_run_that_diverges_keeps_the_last_finite_picture() {
    let folder = Folder::new();
    // Beyond f32's range, so that the first gradient overflows.
    let mut command = folder.stylize("rgb.png", "o.png");
    let output = command.args(["--content-weight=1e300", "--quiet"]).assert().code(6).get_output().clone();
    let message = String::from_utf8(output.stderr).unwrap();
    for word in ["error: ", "diverged at iteration 1", "is not finite", "lower --learning-rate or the weight"] {
        assert!(message.contains(word), "'{word}' is missing: {message}");
    }
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
    assert!(folder.names().is_empty());
}

#[test]
fn a_command_line_that_cannot_be_understood_is_answered_with_what_would_be() {
    let folder = Folder::new();
    for (flag, words) in [
        ("--pooling=min", ["'min'", "--pooling", "possible values: max"]),
        ("--iterations=many", ["'many'", "--iterations", "invalid digit"]),
        ("--no-such-option", ["unexpected", "--no-such-option", "Usage: "]),
        ("--save-every=0", ["'0'", "--save-every", "not in 1.."]),
        ("--threads=99999", ["'99999'", "--threads", "not in 0..=4096"]),
        ("--verbose", ["--quiet", "--verbose", "cannot be used with"]),
    ] {
        misunderstood(folder.stylize("rgb.png", "o.png").args(["--quiet", flag]).assert(), &words);
    }
    misunderstood(impasto(["stylize", "only-one.png"]).assert(), &["not provided", "<STYLE>", "Usage: "]);
    let stylize = ["photo.jpg: not a command", "impasto stylize photo.jpg painting.jpg --size 64"];
    refused(impasto(["photo.jpg", "painting.jpg", "--size", "64"]).assert(), 2, &stylize);
    misunderstood(
        folder.stylize("rgb.png", "o.png").arg("--size=5k").assert(),
        &["'5k'", "pixels in full, 5000 or 5120"],
    );
    // Without a word, help.
    let help = impasto::<&str>([]).assert().code(2).get_output().stderr.clone();
    assert!(String::from_utf8(help).unwrap().contains("Usage: impasto <COMMAND>"));
    assert!(folder.names().is_empty());
}
