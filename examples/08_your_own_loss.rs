//! A loss of your own, beside those of the library.
//!
//! `cargo run --release --example 08_your_own_loss` adds δ · Σ sin²(4πx) to the losses of the preset `paper`: it is 0
//! where every colour value is 0, ¼, ½, ¾ or 1, so the picture, `poster.png`, wants few colours. It is an op,
//! [`posterize`], a [`Loss`] that records it, and a line to add it to a run. Another file, and another size than 192 pixels:
//! `… -- out.png 256`.

use std::f32::consts::PI;
use std::num::NonZeroUsize;

use impasto::autograd::{Tape, Value, Var};
use impasto::config::{Scales, Tone};
use impasto::objective::Loss;
use impasto::tensor::{BufferPool, FeatureMap};
use impasto::transfer::Inputs;
use impasto::{Config, Engine, Preset, picture};

// ANCHOR: op
/// `y = Σ sin²(4πx)`: value and rule side by side. Saves x. Backward: `dx += 4π sin(8πx) d_y`.
fn posterize(tape: &mut Tape<'_>, x: Var) -> Var {
    let sum = tape.map(x).as_slice().iter().map(|&x| f64::from((4.0 * PI * x).sin()).powi(2)).sum();
    tape.record(Value::Scalar(sum), &[x], &[x], move |d_out, back| {
        let Value::Scalar(d_y) = d_out else { panic!("the gradient of a scalar is a scalar") };
        let mut d_x = back.map(x).clone();
        d_x.as_mut_slice().iter_mut().for_each(|x| *x = d_y as f32 * 4.0 * PI * (8.0 * PI * *x).sin());
        back.give(x, Value::Map(d_x));
    })
}
// ANCHOR_END: op

// ANCHOR: own_loss
struct FewColours;

impl Loss for FewColours {
    fn of_picture(&self, tape: &mut Tape<'_>, picture: Var) -> Option<Var> {
        Some(posterize(tape, picture))
    }
}
// ANCHOR_END: own_loss

/// δ.
const WEIGHT: f64 = 2e-4;

// ANCHOR: check
/// What d y / dx says of a step along the gradient, and what the step does.
fn check(x: &FeatureMap) -> (f64, f64) {
    let at = |x: FeatureMap| {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(Value::Map(x));
        let y = posterize(&mut tape, x);
        (tape.scalar(y), tape.backward(y).take_map(x))
    };
    let gradient = at(x.clone()).1;
    let moved = |by: f32| {
        let mut x = x.clone();
        x.as_mut_slice().iter_mut().zip(gradient.as_slice()).for_each(|(x, d)| *x += by * d);
        at(x).0
    };
    let step = 1e-4;
    let difference = (moved(step) - moved(-step)) / f64::from(2.0 * step);
    (gradient.as_slice().iter().map(|&d| f64::from(d).powi(2)).sum(), difference)
}
// ANCHOR_END: check

fn main() -> impasto::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "poster.png".into());
    let size = arguments.next().map_or(192, |size| size.parse().expect("a size in pixels"));
    let config = Config { size, scales: Scales::Single(30), tone: Tone::Off, ..Preset::Paper.config() };
    let load = |file: &str| picture::load(file.as_ref(), config.max_pixels);
    let (content, style) = (load("samples/astronaut.jpg")?, load("samples/great-wave.jpg")?);

    let (height, width) = picture::fit(size, content.height(), content.width());
    let (said, done) = check(&FeatureMap::from_array(content.resize(height, width).rgb));
    println!("along its gradient our loss grows by {done:.0}, and its gradient says {said:.0}");
    assert!((said - done).abs() < 1e-2 * said);

    let engine = Engine::new(None, 0, NonZeroUsize::MIN)?;
    engine.share(|| {
        // ANCHOR: run
        let plan = engine.plan(&config, &content, &style)?;
        let mut run = engine.begin(&config, &plan, Inputs::new(&config, &plan, &content, &style))?;
        run.add(WEIGHT, FewColours)?;
        while let Some(step) = run.step()? {
            let ours = WEIGHT * step.added[0];
            println!("{:3}  theirs {:.4}  ours {ours:.4}", step.iteration, step.total - ours);
        }
        picture::save(&run.result(), file.as_ref(), &Default::default())
        // ANCHOR_END: run
    })
}
