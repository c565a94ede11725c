//! Pipes, summaries for scripts, previews, and what files say beside their pixels.

use serde_json::Value;

use crate::support::{Folder, SMALL_RUN, impasto, picture, printed};

/// `stylize` with content from standard input, or the other way round.
fn piped(content: &str, style: &str, out: &str, flags: &[&str], input: &str) -> assert_cmd::assert::Assert {
    let mut command = impasto(["stylize", content, style, "-o", out]);
    command.args(SMALL_RUN).args(flags).write_stdin(std::fs::read(picture(input)).unwrap()).assert()
}

#[test]
fn a_picture_may_come_and_go_through_pipes() {
    let (rgb, bmp) = (picture("rgb.png"), picture("colour.bmp"));
    let (rgb, bmp) = (rgb.to_str().unwrap(), bmp.to_str().unwrap());
    for (format, start) in
        [(None, &b"\x89PNG"[..]), (Some("jpg"), b"\xff\xd8"), (Some("tif"), b"II*\0"), (Some("webp"), b"RIFF")]
    {
        let format = format.map(|format| format!("--format={format}"));
        let flags: Vec<&str> = format.iter().map(String::as_str).collect();
        let output = piped("-", bmp, "-", &flags, "rgb.png").success().get_output().clone();
        assert!(output.stdout.starts_with(start), "{format:?}");
        // The table and the closing line are for people, and elsewhere.
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("2 iterations") && said.contains("iteration  "), "{said}");
        let other = piped(rgb, "-", "-", &[&flags[..], &["-q"]].concat(), "colour.bmp").success();
        let folder = Folder::new();
        let pixels = |bytes: &[u8]| {
            let path = folder.file("a", bytes);
            impasto::picture::load(&path, 10_000).unwrap()
        };
        assert!(pixels(&other.get_output().stdout) == pixels(&output.stdout), "the same pictures");
    }
}

#[test]
fn what_comes_through_a_pipe_makes_the_picture_of_the_file() {
    let folder = Folder::new();
    let out = folder.path("o.png");
    piped("-", picture("colour.bmp").to_str().unwrap(), out.to_str().unwrap(), &["--no-metadata"], "rgb.png").success();
    folder.stylize("rgb.png", "f.png").arg("--no-metadata").assert().success();
    assert!(std::fs::read(out).unwrap() == std::fs::read(folder.path("f.png")).unwrap());
}

#[test]
fn a_summary_is_one_object_for_scripts() {
    let folder = Folder::new();
    let mut command = folder.stylize("rgb.png", "o.png");
    command.args(["--json", "--checkpoint=c"]);
    let summary: Value = serde_json::from_str(&printed(command)).unwrap();
    for (name, value) in [
        ("width", Value::from(32)),
        ("height", 24.into()),
        ("end", "finished".into()),
        ("iterations", 2.into()),
        ("planned_iterations", 2.into()),
        ("checkpoint", "c".into()),
        ("error", Value::Null),
    ] {
        assert_eq!(summary[name], value, "{name}");
    }
    assert!(summary["output"].as_str().unwrap().ends_with("o.png"));
    assert!(summary["losses"]["total"].as_f64().unwrap() > 0.0 && summary["seconds"].as_f64().unwrap() >= 0.0);
    assert_eq!(summary["recipe"]["inputs"][0]["name"], "rgb.png");
    assert_eq!(summary["recipe"]["config"]["preset"], "paper");
    let mut further = impasto(["resume", "c", "--iterations=1", "--json", "-q"]);
    further.current_dir(folder.path(""));
    let summary: Value = serde_json::from_str(&printed(further)).unwrap();
    assert_eq!((&summary["iterations"], &summary["scales"][1]["iterations"]), (&3.into(), &1.into()));
    // Nothing but it, and it says how a run ended.
    let mut diverges = folder.stylize("rgb.png", "d.png");
    let output = diverges.args(["--json", "--content-weight=1e300", "-q"]).assert().code(6).get_output().clone();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["end"], &summary["iterations"]), (&"diverged".into(), &0.into()));
}

#[test]
fn a_preview_is_a_whole_picture_and_in_the_end_the_result() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "o.png").args(["--preview=p.jpg", "--no-metadata"]).assert().success();
    assert_eq!(folder.names(), ["o.png", "p.jpg"]);
    assert_eq!(image::image_dimensions(folder.path("p.jpg")).unwrap(), (32, 24));
    folder.stylize("rgb.png", "o.png").args(["--preview=p.png", "--no-metadata"]).assert().success();
    assert!(std::fs::read(folder.path("p.png")).unwrap() == std::fs::read(folder.path("o.png")).unwrap());
}

#[test]
fn a_preview_that_cannot_be_written_costs_the_exit_code_but_not_the_result() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("d")).unwrap();
    // Names that look like an earlier file are checked; what is there when it is written is another matter.
    let mut command = folder.stylize("rgb.png", "o.png");
    command.args(["--preview=d/p.png", "--trace=t"]);
    let mut child = std::process::Command::new(crate::support::PROGRAM);
    child.args(command.get_args()).args(["--iterations=100000000"]).current_dir(folder.path(""));
    let mut child = child.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    while std::fs::read_to_string(folder.path("t")).unwrap_or_default().lines().count() < 3 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    std::fs::remove_dir_all(folder.path("d")).unwrap();
    let kill = format!("kill -TERM {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("d/p.png: cannot be written"), "{message}");
    image::open(folder.path("o.png")).unwrap();
}

#[test]
fn quality_makes_a_jpeg_smaller() {
    let folder = Folder::new();
    let size = |flags: &[&str]| {
        folder.stylize("rgb.png", "o.jpg").args(flags).arg("--no-metadata").assert().success();
        std::fs::metadata(folder.path("o.jpg")).unwrap().len()
    };
    assert!(size(&["--quality=20"]) < size(&[]) && size(&[]) == size(&["--quality=95"]));
}

#[test]
fn dots_per_inch_are_the_photographs_unless_told() {
    let folder = Folder::new();
    let photo = impasto::picture::load(&picture("rgb.png"), 10_000).unwrap();
    let dpi = |name: &str| impasto::picture::metadata(&folder.path(name), 10_000).unwrap().dpi;
    for (name, out) in [("p.png", "o.jpg"), ("p.jpg", "o.webp"), ("p.webp", "o.tif"), ("p.tif", "o.png")] {
        let options = impasto::picture::SaveOptions { dpi: Some(240.0), ..Default::default() };
        impasto::picture::save(&photo, &folder.path(name), &options).unwrap();
        let run = |flags: &[&str]| {
            let mut command = impasto(["stylize", name]);
            command.arg(picture("colour.bmp")).args(["-o", out, "-q"]).args(SMALL_RUN).args(flags);
            command.current_dir(folder.path("")).assert().success();
            dpi(out)
        };
        assert_eq!((run(&[]), run(&["--dpi=300"])), (Some(240.0), Some(300.0)), "{name} {out}");
    }
    folder.stylize("rgb.png", "n.jpg").assert().success();
    assert_eq!(dpi("n.jpg"), None);
}
