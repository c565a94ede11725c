//! `explain`: its numbers are those of the run, and its page works in a browser.

use std::io::Cursor;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use serde_json::Value;

use crate::support::{Folder, SMALL_RUN, impasto, misunderstood, picture, refused, trace};

/// Another run than the small one: two scales, on a pyramid, with Wasserstein's distance.
const TWO_SCALES: [&str; 2] = ["--preset=default", "--scales=32:2,48:3"];

/// What everything but the reconstructions takes a moment for.
const QUICK: &str = "--only=run,features,statistic,gradient,tape,optimizer,source";

/// The small run, or another one that `flags` say the scales of.
fn run(folder: &Folder, subcommand: &str, out: &str, flags: &[&str]) -> assert_cmd::Command {
    let mut command = impasto([subcommand]);
    command.arg(picture("rgb.png")).arg(picture("colour.bmp")).arg("-o").arg(folder.path(out));
    let scaled = flags.iter().any(|flag| flag.starts_with("--scales"));
    let own = |flag: &&&str| scaled && (flag.starts_with("--size") || flag.starts_with("--iterations"));
    command.args(SMALL_RUN.iter().filter(|flag| !own(flag))).args(flags).current_dir(folder.path(""));
    command
}

/// The report of a run of `explain`.
fn report(folder: &Folder, flags: &[&str]) -> Value {
    run(folder, "explain", "o.html", flags).args(["--data=d.json", "-q"]).assert().success();
    serde_json::from_slice(&std::fs::read(folder.path("d.json")).unwrap()).unwrap()
}

/// The picture that a data URI is.
fn decoded(image: &Value) -> RgbImage {
    let (_, bytes) = image["src"].as_str().unwrap().split_once(";base64,").unwrap();
    let bytes = STANDARD.decode(bytes).unwrap();
    image::ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap().decode().unwrap().to_rgb8()
}

#[test]
fn its_picture_and_its_losses_are_those_of_stylize() {
    for flags in [&[][..], &TWO_SCALES] {
        let folder = Folder::new();
        run(&folder, "stylize", "o.png", flags).args(["--trace=t", "-q"]).assert().success();
        let report = report(&folder, &[flags, &[QUICK]].concat());
        assert_eq!(decoded(&report["result"]), image::open(folder.path("o.png")).unwrap().to_rgb8());
        let (lines, steps) = (trace(&folder.path("t")), report["run"]["steps"].as_array().unwrap());
        assert_eq!(lines.len(), 1 + steps.len());
        for (line, step) in lines[1..].iter().zip(steps) {
            for name in ["iteration", "scale", "content", "style", "tv", "total"] {
                assert_eq!(line[name], step[name], "{name}");
            }
            let layers =
                report["goal"]["style_layers"].as_array().unwrap().iter().zip(step["layers"].as_array().unwrap());
            layers.for_each(|(layer, loss)| assert_eq!(line["layers"][layer["layer"].as_str().unwrap()], *loss));
        }
        assert!(report["command"].as_str().unwrap().starts_with("impasto stylize rgb.png colour.bmp "));
    }
}

#[test]
fn parts_make_the_whole() {
    let folder = Folder::new();
    let report = report(&folder, &[&TWO_SCALES[..], &[QUICK]].concat());
    let number = |value: &Value| value.as_f64().unwrap();
    // The terms' losses add up, and the last picture's are the trace's.
    let moments = report["gradient"]["moments"].as_array().unwrap();
    assert_eq!(moments.len(), 2);
    for moment in moments {
        let terms = moment["terms"].as_array().unwrap();
        let loss = |name: &str| number(&terms.iter().find(|term| term["name"] == name).unwrap()["loss"]);
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-4 * b.abs(), "{a} {b}");
        close(loss("content") + loss("style") + loss("tv"), loss("total"));
        let layers = report["goal"]["style_layers"].as_array().unwrap();
        close(layers.iter().map(|layer| loss(layer["layer"].as_str().unwrap())).sum(), loss("style"));
        let count = terms.len();
        let cosines = moment["cosines"].as_array().unwrap();
        assert!((0..count).all(|i| (number(&cosines[i * count + i]) - 1.0).abs() < 1e-6));
    }
    // The tape is in the order of recording, and every convolution of the network is timed.
    let tape = &report["tape"];
    let nodes = tape["nodes"].as_array().unwrap();
    for (id, node) in nodes.iter().enumerate() {
        assert_eq!(node["id"], id);
        let before = |list: &Value| list.as_array().unwrap().iter().all(|parent| number(parent) < id as f64);
        assert!(before(&node["parents"]) && before(&node["saves"]));
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(node["file"].as_str().unwrap());
        let source = std::fs::read_to_string(file).unwrap();
        let line = source.lines().nth(number(&node["line"]) as usize - 1).unwrap();
        assert!(["record(", "variable(", "constant(", "alias("].iter().any(|call| line.contains(call)), "{line}");
    }
    assert_eq!(nodes.last().unwrap()["label"], "total");
    assert_eq!(tape["convolutions"].as_array().unwrap().len(), report["features"]["layers"].as_array().unwrap().len());
    // Adam's step is what its formula makes of the moments that are told.
    let optimizer = &report["optimizer"];
    let moved = &optimizer["course"].as_array().unwrap()[1];
    let at = |name: &str, channel: usize| number(&moved[name][channel]);
    let adam = |name: &str| number(&optimizer["adam"][name]);
    let updates = 3.0;
    for channel in 0..3 {
        let mean = at("mean", channel) / (1.0 - adam("beta1").powf(updates));
        let square = at("square", channel) / (1.0 - adam("beta2").powf(updates));
        let rate = number(optimizer["rates"].as_array().unwrap().last().unwrap());
        let step = -rate * mean / (square.sqrt() + adam("epsilon"));
        // A picture that was clamped moved less.
        let clamped = [0.0, 1.0].contains(&at("color", channel));
        assert!(clamped || (step - at("step", channel)).abs() <= 1e-3 * step.abs() + 1e-6, "{step} {moved}");
    }
    // What is checked holds.
    let checks = report["source"]["checks"].as_array().unwrap();
    for check in checks {
        assert!(number(&check["error"]) <= number(&check["allowed"]), "{check}");
    }
    assert!(checks.iter().any(|check| check["name"] == "the total loss"));
}

#[test]
fn only_what_is_asked_for_is_there() {
    let folder = Folder::new();
    let report = report(&folder, &["--only=source,run"]);
    let there = |name: &str| !report[name].is_null();
    assert!(there("run") && there("source") && there("result"));
    assert!(
        ["features", "reconstructions", "statistic", "gradient", "tape", "optimizer"].iter().all(|name| !there(name))
    );
    let page = std::fs::read_to_string(folder.path("o.html")).unwrap();
    assert!(page.contains("id=\"run\"") && !page.contains("id=\"tape\""));
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let folder = Folder::new();
    let explain = |out: &str| folder.stylize_as("explain", "rgb.png", out);
    refused(explain("o.html").arg("--checkpoint=c").assert(), 2, &["--checkpoint", "stylize"]);
    refused(explain("o.html").arg("--json").assert(), 2, &["--json", "--data"]);
    refused(explain("missing/o.html").assert(), 2, &["missing", "folder"]);
    refused(explain("o.html").arg("--data=o.html").assert(), 2, &["o.html", "name of its own"]);
    let own = picture("rgb.png");
    refused(explain("o.html").arg("-o").arg(&own).assert(), 2, &["rgb.png", "name of its own"]);
    misunderstood(explain("o.html").arg("--only=everything").assert(), &["everything", "features", "tape"]);
    refused(explain("o.html").args(["--size=2048", "--max-memory=1G"]).assert(), 2, &["strips", "--size"]);
    assert!(folder.names().is_empty());
}

/// Chromium, where it is installed; `CHROMIUM` names another one, and has to be right.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    folders.iter().flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file())
}

#[test]
fn the_page_works_in_a_browser_and_fetches_nothing() {
    let Some(chromium) = chromium() else {
        eprintln!("not tried: no Chromium is installed, and CHROMIUM does not name one");
        return;
    };
    for flags in [&[][..], &TWO_SCALES] {
        let folder = Folder::new();
        run(&folder, "explain", "o.html", flags).arg("-q").assert().success();
        let page = std::fs::read_to_string(folder.path("o.html")).unwrap();
        assert!(page.len() < 15_000_000, "{} bytes", page.len());
        for width in ["1280", "500"] {
            let verdict = driven(&chromium, &folder, &page, width);
            assert_eq!(verdict["failures"], serde_json::json!([]), "{width} pixels wide");
            assert_eq!(verdict["errors"], serde_json::json!([]), "{width} pixels wide");
            assert_eq!(verdict["passed"], true);
            assert!(verdict["checks"].as_u64().unwrap() > 100, "{verdict}");
        }
    }
}

/// What a script finds that uses every control of the page.
fn driven(chromium: &std::path::Path, folder: &Folder, page: &str, width: &str) -> Value {
    let script = include_str!("../explain/check.js");
    let first: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix("//   ")).collect();
    let page = page.replacen("<head>", &format!("<head><script>{}</script>", first.join("\n")), 1);
    let at = page.rfind("</body>").unwrap();
    let path = folder.file("driven.html", format!("{}<script>{script}</script>{}", &page[..at], &page[at..]));
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", folder.path("browser").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .expect("Chromium starts");
    let dom = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = dom.split_once("id=\"verdict\"").unwrap_or_else(|| {
        panic!(
            "no verdict: {}",
            String::from_utf8_lossy(&output.stderr).lines().take(20).collect::<Vec<_>>().join("\n")
        )
    });
    let text = &rest[rest.find('>').unwrap() + 1..rest.find("</pre>").unwrap()];
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap()
}
