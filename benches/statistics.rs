//! What each style statistic costs: a step of a run with it over a step of the same run with `gram`.
//!
//! `cargo bench --bench statistics [-- SIZE:STEPS …]`. Two runs of the preset `default` on the same pictures take steps
//! in turn, so that a busy neighbour slows both; shown are the medians of the steps, and the mean of the ratios of
//! neighbouring steps, which counts the steps that renew a transport at what they cost.

use std::sync::Arc;

use impasto::config::{Config, Preset, ScaleRule, Scales};
use impasto::objective::Statistic;
use impasto::picture::{self, Picture};
use impasto::transfer::{Inputs, Machine, Plan, Run};
use impasto::vgg::{Vgg, Weights};

/// Steps that are not counted: the first ones follow a picture that changes fast, and touch memory for the first time.
const WARM_UP: usize = 4;

struct Prepared {
    config: Config,
    plan: Plan,
    vgg: Arc<Vgg>,
}

fn prepared(statistic: Statistic, size: u32, steps: u32, pictures: &[Picture; 2]) -> Prepared {
    let scales = Scales::Given(vec![ScaleRule { size, iterations: steps }]);
    let config = Config { statistic, scales, ..Preset::Default.config() };
    let weights = Weights::load(None).expect("embedded");
    let [content, style] = pictures.each_ref().map(|picture| (picture.height(), picture.width()));
    let plan = Plan::new(&config, content, style, weights.architecture(), Machine::detect()).expect("a plan");
    let vgg = Arc::new(Vgg::planned(&weights, &plan.convolutions, plan.network).expect("a network"));
    Prepared { config, plan, vgg }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds of each step of two runs, made in turn.
fn in_turn(prepared: [&Prepared; 2], pictures: &[Picture; 2], steps: u32) -> Vec<[f64; 2]> {
    let mut runs = prepared.map(|Prepared { config, plan, vgg }| {
        Run::new(config, plan, vgg.clone(), Inputs::new(config, plan, &pictures[0], &pictures[1]))
            .expect("pictures without a file to start from")
    });
    let mut step = |run: usize| runs[run].step().expect("finite losses").expect("as many steps as planned").seconds;
    (0..steps).map(|_| [step(0), step(1)]).collect()
}

fn main() {
    let given: Vec<(u32, u32)> = std::env::args()
        .filter_map(|argument| argument.split_once(':').map(|(a, b)| (a.parse(), b.parse())))
        .filter_map(|pair| Some((pair.0.ok()?, pair.1.ok()?)))
        .collect();
    let sizes = if given.is_empty() { vec![(128, 150), (181, 120), (256, 80), (362, 40), (512, 20)] } else { given };
    let load = |name: &str| picture::load(format!("samples/{name}").as_ref(), 100_000_000).expect("a sample");
    let pictures = [load("astronaut.jpg"), load("great-wave.jpg")];
    println!("{:>5}  {:<14} {:>9} {:>9} {:>7}", "size", "statistic", "gram ms", "its ms", "ratio");
    for (size, steps) in sizes {
        let gram = prepared(Statistic::Gram, size, steps, &pictures);
        for statistic in [Statistic::Wasserstein, Statistic::Covariance, Statistic::MeanStd] {
            let other = prepared(statistic, size, steps, &pictures);
            let times = &in_turn([&gram, &other], &pictures, steps)[WARM_UP.min(steps as usize - 1)..];
            let [a, b] = [0, 1].map(|i| 1e3 * median(times.iter().map(|pair| pair[i])));
            let sums = times.iter().fold([0.0; 2], |[a, b], pair| [a + pair[0], b + pair[1]]);
            println!("{size:>5}  {:<14} {a:>9.1} {b:>9.1} {:>7.3}", statistic.name(), sums[1] / sums[0]);
        }
    }
}
