use serde_json::Value as Json;

use super::*;
use crate::explain::report::{self, *};
use crate::objective::{ContentLoss, Statistic, Variation};

fn image(width: usize, height: usize) -> Image {
    let src = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
    Image { src: src.to_owned(), width, height }
}

fn three<T>(mut make: impl FnMut() -> T) -> OfThree<T> {
    OfThree { content: make(), style: make(), result: make() }
}

fn named<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

/// A small run with everything that can be told of one.
fn report() -> Report {
    let weighted = |layer: &str| Weighted { layer: layer.to_owned(), weight: 1.0 };
    let goal = Goal {
        content_loss: named(&ContentLoss::Mean),
        content_layers: vec![weighted("relu4_2")],
        statistic: named(&Statistic::Wasserstein),
        style_layers: vec![weighted("relu1_1")],
        variation: named(&Variation::Mean),
        content_weight: 0.02,
        style_weight: 1.0,
        tv_weight: 2.0,
    };
    Report {
        program: "impasto 0.1.0".to_owned(),
        command: "impasto stylize a.jpg b.jpg".to_owned(),
        preset: "default".to_owned(),
        machine: Machine { processor: "a processor".to_owned(), isa: "AVX2".to_owned(), threads: 2 },
        goal,
        content: image(8, 8),
        style: image(8, 8),
        result: image(8, 8),
        run: Some(run()),
        features: Some(Features { layers: vec![layer()] }),
        reconstructions: Some(Reconstructions { content: vec![reconstruction()], style: vec![reconstruction()] }),
        statistic: Some(report::Statistic { of: "covariance".to_owned(), layers: vec![matrices()] }),
        gradient: Some(Gradient { moments: vec![moment(0), moment(2)] }),
        tape: Some(tape()),
        optimizer: Some(optimizer()),
        source: Some(source()),
    }
}

fn run() -> Run {
    let step = |iteration| Step {
        iteration,
        scale: 1,
        content: 1.0,
        style: 0.5,
        tv: f64::NAN,
        total: 0.6,
        layers: vec![0.5],
        seconds: 0.1,
    };
    Run {
        scales: vec![Scale { width: 8, height: 8, iterations: 2, content_weight: 0.02 }],
        steps: (1..=3).map(step).collect(),
        frames: vec![Frame { iteration: 0, image: image(8, 8) }, Frame { iteration: 2, image: image(8, 8) }],
        table: vec![1, 3],
    }
}

fn layer() -> Layer {
    let patch = Patch { x: 0, y: 0, width: 3, height: 3, value: 1.0 };
    Layer {
        name: "relu1_1".to_owned(),
        height: 1,
        width: 1,
        channels: 1,
        stride: 1,
        receptive_field: 3,
        zeros: three(|| 0.5),
        maps: three(|| Sprites { image: image(1, 1), columns: 1, width: 1, height: 1 }),
        most: vec![1.0],
        strongest: vec![0],
        patches: vec![vec![patch]],
    }
}

fn reconstruction() -> Reconstruction {
    Reconstruction { layer: "relu1_1".to_owned(), image: image(8, 8), command: "impasto reconstruct a.jpg".to_owned() }
}

fn matrices() -> Matrices {
    Matrices {
        layer: "relu1_1".to_owned(),
        channels: 2,
        shown: vec![0, 1],
        style: vec![1.0, 0.5, 0.5, 1.0],
        start: vec![2.0, -0.5, -0.5, 1.0],
        end: vec![1.0, 0.4, 0.4, 1.0],
        pair: Pair { channels: [0, 1], agreement: 0.5, places: three(|| image(8, 8)) },
    }
}

fn moment(iteration: u32) -> Moment {
    let term = |name: &str| Term {
        name: name.to_owned(),
        loss: 0.1,
        norm: 1.0,
        image: image(8, 8),
        most: 1.0,
        size: image(8, 8),
    };
    Moment { iteration, image: image(8, 8), terms: vec![term("total"), term("content")], cosines: vec![1.0; 4] }
}

fn tape() -> Tape {
    let node = |id: usize, op: &str| Node {
        id,
        op: op.to_owned(),
        file: "src/ops/relu.rs".to_owned(),
        line: 1,
        label: "relu1_1".to_owned(),
        shape: vec![8, 8, 1],
        bytes: 256,
        kept: true,
        differentiated: true,
        forward: 1e-3,
        backward: (id > 0).then_some(2e-3),
        parents: (0..id).collect(),
        saves: Vec::new(),
    };
    let speed = || Speed { algorithm: "winograd".to_owned(), seconds: 1e-3, flops: 1e9 };
    let alive = |seconds, pass| Alive { seconds, values: 256, gradients: 0, node: 1, pass };
    Tape {
        nodes: vec![node(0, "variable"), node(1, "relu")],
        memory: vec![alive(0.0, "forward"), alive(1e-3, "backward")],
        convolutions: vec![Convolution { layer: "relu1_1".to_owned(), node: 1, forward: speed(), backward: speed() }],
        peak: 2e9,
        seconds: 3e-3,
        height: 8,
        width: 8,
    }
}

fn optimizer() -> Optimizer {
    let moved = |iteration| Moved {
        iteration,
        color: [0.5; 3],
        gradient: [0.1; 3],
        mean: Some([0.1; 3]),
        square: Some([0.01; 3]),
        step: [-0.01; 3],
    };
    Optimizer {
        method: "adam".to_owned(),
        canvas: "pyramid".to_owned(),
        x: 4,
        y: 4,
        course: vec![moved(1), moved(2)],
        rates: vec![0.01, 0.005],
        lengths: vec![0.01, 0.005],
        histograms: vec![Histogram { iteration: 1, edges: vec![0.0, 0.1, 0.2], counts: vec![3, 4] }],
        adam: Some(Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }),
    }
}

fn source() -> Source {
    Source {
        excerpts: vec![Excerpt {
            name: "relu".to_owned(),
            title: "Rectification".to_owned(),
            file: "src/ops/relu.rs".to_owned(),
            line: 12,
            text: "/// `y < 0`\nfn relu() {}\n".to_owned(),
        }],
        checks: vec![Check {
            name: "relu".to_owned(),
            reverse: 1.0,
            difference: 1.0,
            step: 0.01,
            error: 0.0,
            allowed: 1e-3,
        }],
        unchecked: None,
    }
}

fn told(page: &str) -> Json {
    let data = page.split_once(r#"id="report">"#).unwrap().1.split_once("</script>").unwrap().0;
    serde_json::from_str(data).unwrap()
}

fn ids(text: &str) -> Vec<&str> {
    text.split(" id=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect()
}

#[test]
fn every_formula_is_read() {
    let made = formulas(TEMPLATE);
    assert!(!made.contains("merror"), "{}", &made[made.find("<merror").unwrap()..][..200]);
    assert!(!made.contains("&amp;nbsp;") && !made.contains(r"\(") && !made.contains(r"\["));
    assert!(made.matches("<math").count() > 40);
}

#[test]
fn every_loss_has_its_formula() {
    for content in [ContentLoss::Sum, ContentLoss::Mean] {
        for statistic in Statistic::ALL {
            for variation in [Variation::Sum, Variation::Mean, Variation::Absolute] {
                let names = [
                    format!("content:{}", named(&content)),
                    format!("statistic:{}", named(&statistic)),
                    format!("variation:{}", named(&variation)),
                ];
                let kept = keep(TEMPLATE, &names.into());
                for formula in [r"\[ \text{content} =", r"\[ \text{style}_l =", r"\[ \text{tv} ="] {
                    assert_eq!(
                        kept.matches(formula).count(),
                        1,
                        "{formula} of {content:?}, {statistic:?}, {variation:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_page_tells_the_report_and_asks_for_nothing() {
    let report = report();
    let page = page(&report);
    let same: Json = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(told(&page), same);
    assert!(told(&page)["run"]["steps"][0]["tv"].is_null());
    let asked = |attribute: &str| -> Vec<String> {
        page.split(attribute).skip(1).map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
    };
    assert!(asked(" href=\"").iter().all(|to| to.starts_with('#') || to.starts_with("data:")));
    assert!(asked(" src=\"").is_empty() && !page.contains("url(") && !page.contains("@import"));
}

#[test]
fn what_is_not_told_has_no_heading() {
    type Forget = fn(&mut Report);
    let sections: [(&str, Forget); 8] = [
        ("run", |report| report.run = None),
        ("features", |report| report.features = None),
        ("reconstructions", |report| report.reconstructions = None),
        ("statistic", |report| report.statistic = None),
        ("gradient", |report| report.gradient = None),
        ("tape", |report| report.tape = None),
        ("optimizer", |report| report.optimizer = None),
        ("source", |report| report.source = None),
    ];
    for (name, forget) in sections {
        let (section, link) = (format!("<section id=\"{name}\""), format!("<li><a href=\"#{name}\">"));
        let mut report = report();
        let whole = page(&report);
        assert!(whole.contains(&section) && whole.matches(&link).count() == 1, "{name}");
        forget(&mut report);
        let less = page(&report);
        assert!(!less.contains(&section) && !less.contains(&link), "{name}");
        assert_eq!(less.matches("<section").count(), 7);
    }
}

#[test]
fn without_moments_it_is_not_adams_page() {
    let mut report = report();
    assert!(page(&report).contains("<h2 id=\"optimizer-title\">Adam</h2>"));
    let optimizer = report.optimizer.as_mut().unwrap();
    (optimizer.adam, optimizer.rates) = (None, Vec::new());
    let page = page(&report);
    assert!(page.contains("<h2 id=\"optimizer-title\">L-BFGS</h2>") && !page.contains("id=\"rates\""));
}

#[test]
fn no_word_of_the_report_ends_its_element() {
    let mut report = report();
    report.command = "</script><!-- <script> {{style}} --!>".to_owned();
    let page = page(&report);
    assert_eq!(page.matches("</script>").count(), 2);
    assert_eq!(told(&page)["command"], report.command);
}

#[test]
fn what_the_script_looks_for_is_there_once() {
    let mut found = ids(TEMPLATE);
    let script = SCRIPT.concat();
    for wanted in script.split("byId(\"").skip(1).map(|rest| rest.split_once('"').unwrap().0) {
        assert!(found.contains(&wanted), "no {wanted}");
    }
    found.sort_unstable();
    let repeated: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    // One heading of two stays.
    assert_eq!(repeated, ["optimizer-title"]);
}
