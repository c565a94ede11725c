//! `impasto bench` and `impasto doctor`. No test depends on how fast anything was.

use impasto::kernels::conv::Algorithm;
use impasto::kernels::simd::Isa;
use serde_json::Value;

use crate::support::{Folder, impasto, misunderstood, printed, refused};

/// Content, style and tv of steps 1 and 2 as PyTorch computes them: `tools/bench_pytorch.py --size 64 --json
/// --content-weight 1e-7 --style-weight 2 --tv-weight 1e-6`.
const PYTORCH: [[f64; 3]; 2] = [[0.0, 47.609_222, 25.129_591], [301_773.31, 47.829_247, 40.064_571]];

/// The two shallowest layers of a small picture, each measured once.
const SMALL_LAYERS: [&str; 7] =
    ["bench", "--only=layers", "--layer-size=64", "--deepest=relu1_2", "--repeats=1", "--threads=1", "--precision=f32"];

fn json(arguments: &[&str]) -> Value {
    let mut command = impasto(arguments);
    command.arg("--format=json");
    serde_json::from_str(&printed(command)).unwrap()
}

fn rows<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    report["rows"].as_array().unwrap().iter().filter(|row| row["kind"] == kind).collect()
}

#[test]
fn bench_measures_each_layer_both_ways_after_verifying_it() {
    let report = json(&SMALL_LAYERS);
    let convolutions = rows(&report, "convolution");
    let named: Vec<_> = convolutions.iter().map(|row| (&row["name"], &row["direction"])).collect();
    let expected = ["forward", "backward"].iter().flat_map(|d| ["relu1_1", "relu1_2"].map(|n| (n, *d)));
    assert!(named.iter().zip(expected).all(|((n, d), (name, direction))| **n == name && **d == direction), "{named:?}");
    assert_eq!((convolutions.len(), rows(&report, "gram").len()), (4, 2));
    for row in rows(&report, "convolution").iter().chain(&rows(&report, "gram")) {
        assert!(row["error"].as_f64().unwrap() <= 1e-5, "{row}");
        assert!(row["seconds"]["median"].as_f64().unwrap() > 0.0 && row["peak"].as_f64().unwrap() > 0.0, "{row}");
    }
    assert_eq!(report["machine"]["instruction_set"], Isa::detect().name());
}

#[test]
fn bench_times_the_step_that_pytorch_times() {
    let report = json(&["bench", "--only=step", "--size=64", "--repeats=1", "--precision=f32"]);
    let steps = rows(&report, "step");
    assert_eq!(steps.len(), 1);
    let losses = steps[0]["losses"].as_array().unwrap();
    assert_eq!(losses.len(), PYTORCH.len());
    for (losses, expected) in losses.iter().zip(PYTORCH) {
        for (name, expected) in ["content", "style", "tv"].into_iter().zip(expected) {
            let loss = losses[name].as_f64().unwrap();
            // Between the steps stands Adam's first, ±0.02 by the gradient's sign, which may differ in
            // the few places where it is near 0.
            assert!((loss - expected).abs() <= 1e-3 * expected, "{name}: {loss} is not {expected}");
        }
    }
}

#[test]
fn bench_measures_layers_and_steps_in_bf16_too() {
    let arguments = ["bench", "--only=layers,step", "--size=64", "--layer-size=64", "--deepest=relu1_2", "--repeats=1"];
    let report = json(&[&arguments[..], &["--precision=f32,bf16"]].concat());
    let in_bf16 =
        |kind| -> Vec<_> { rows(&report, kind).into_iter().filter(|row| row["precision"] == "bf16").collect() };
    assert_eq!([in_bf16("convolution").len(), in_bf16("gram").len(), in_bf16("step").len()], [4, 2, 1]);
    for row in in_bf16("convolution").iter().chain(&in_bf16("gram")) {
        assert!(row["error"].as_f64().unwrap() <= 5e-3, "{row}");
    }
    // What is written is rounded.
    assert!(in_bf16("convolution").iter().any(|row| row["error"].as_f64().unwrap() > 1e-4));
    let style: Vec<f64> = rows(&report, "step").iter().map(|row| row["losses"][0]["style"].as_f64().unwrap()).collect();
    assert!((style[0] - style[1]).abs() <= 0.02 * style[0], "{style:?}");
}

#[test]
fn bench_compares_with_its_own_earlier_report() {
    let folder = Folder::new();
    let mut before = impasto(SMALL_LAYERS);
    before.arg("--format=json");
    let old = folder.file("old.json", printed(before));
    let mut after = impasto(SMALL_LAYERS);
    after.arg("--compare").arg(&old);
    let table = printed(after);
    assert!(table.contains("vs old") && table.lines().any(|l| l.contains("relu1_2") && l.ends_with('×')), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
}

#[test]
fn bench_forces_algorithms_one_after_the_other() {
    let algorithms: Vec<&str> = Algorithm::ALL.iter().map(|a| a.name()).filter(|&name| name != "reference").collect();
    let list = format!("--conv-algorithm={}", algorithms.join(","));
    let mut command = impasto(SMALL_LAYERS);
    command.args([&list, "--format=csv"]);
    let csv = printed(command);
    for algorithm in algorithms {
        let lines = csv.lines().filter(|line| line.starts_with("convolution,") && line.contains(algorithm));
        assert_eq!(lines.count(), 4, "{algorithm}: {csv}");
    }
}

#[test]
fn bench_refuses_what_it_cannot_measure_before_measuring() {
    refused(impasto(["bench", "--size=8"]).assert(), 2, &["--size 8", "at least 16"]);
    refused(
        impasto(["bench", "--deepest=relu3_4"]).assert(),
        2,
        &["relu3_4 is not a layer", "choose a shallower layer"],
    );
    refused(
        impasto(["bench", "--compare=nowhere.json"]).assert(),
        2,
        &["nowhere.json", "No such file", "--format json"],
    );
    let folder = Folder::new();
    let file = folder.file("other.json", "{}");
    refused(impasto(["bench", "--compare"]).arg(file).assert(), 2, &["other.json", "no report", "--format json"]);
    misunderstood(impasto(["bench", "--conv-algorithm=fft"]).assert(), &["'fft'", "possible values: reference"]);
}

#[test]
fn the_environment_overrides_the_algorithm_and_an_option_overrides_the_environment() {
    let doctor = |arguments: &[&str]| {
        let mut command = impasto(["doctor"]);
        command.args(arguments).env("IMPASTO_CONV_ALGORITHM", "im2col");
        printed(command)
    };
    let text = doctor(&[]);
    assert!(text.contains("im2col") && text.contains("asked for") && !text.contains("winograd"), "{text}");
    let text = doctor(&["--conv-algorithm", "direct"]);
    assert!(text.contains("direct") && !text.contains("im2col"), "{text}");
    let mut wrong = impasto(["doctor"]);
    misunderstood(wrong.env("IMPASTO_CONV_ALGORITHM", "fft").assert(), &["'fft'", "possible values: reference"]);
}

#[test]
fn doctor_describes_the_machine_the_choices_and_the_weights() {
    let text = printed(impasto(["doctor"]));
    for word in ["processor", "kernels for", "control group", "threads", "memory", "relu5_3", "backward", "VGG16"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let used = text.lines().find(|line| line.starts_with("used ")).unwrap();
    assert!(used.ends_with(Isa::available()[0].name()), "{used}");
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused_by_name() {
    for arguments in [["doctor"].as_slice(), &["stylize", "absent.jpg", "absent.jpg"], &["bench", "--only", "step"]] {
        let refused = impasto(arguments).env("IMPASTO_ISA", "mmx").assert().code(2).get_output().stderr.clone();
        let refused = String::from_utf8(refused).unwrap();
        assert!(refused.contains("IMPASTO_ISA=mmx: this CPU has") && refused.contains("scalar; name one"), "{refused}");
    }
    let mut command = impasto(["doctor"]);
    command.env("IMPASTO_ISA", "scalar");
    assert!(printed(command).contains("scalar, as asked for"));
    let mut command = impasto(["doctor"]);
    command.env("IMPASTO_ISA", "");
    assert!(!printed(command).contains("IMPASTO_ISA"));
}
