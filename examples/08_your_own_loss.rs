//! A loss of your own, beside those of the library.
//!
//! `cargo run --release --example 08_your_own_loss` adds δ · Σ sin²(4πx) to the losses of the preset `paper`: it is 0
//! where every colour value is 0, ¼, ½, ¾ or 1, so the picture, `poster.png`, wants few colours. It is an op of
//! [`posterize`] and a line in the loop. Another file, and another size than 192 pixels: `… -- out.png 256`.

use std::f32::consts::PI;
use std::sync::Arc;

use impasto::Preset;
use impasto::autograd::{Tape, Value, Var};
use impasto::objective::Objective;
use impasto::optim::{Adam, AdamOptions};
use impasto::picture::{self, Picture};
use impasto::tensor::{BufferPool, Dtype, FeatureMap};
use impasto::vgg::{Border, Pooling, Vgg, VggOptions, Weights};

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
/// The loss at a picture, and its gradient.
fn own_loss(x: &FeatureMap, pool: &mut BufferPool) -> (f64, FeatureMap) {
    let mut tape = Tape::new(pool);
    let x = tape.variable(Value::Map(x.clone()));
    let y = posterize(&mut tape, x);
    (tape.scalar(y), tape.backward(y).take_map(x))
}
// ANCHOR_END: own_loss

// ANCHOR: check
/// What d y / dx says of a step along the gradient, and what the step does.
fn check(x: &FeatureMap, pool: &mut BufferPool) -> (f64, f64) {
    let gradient = own_loss(x, pool).1;
    let mut moved = |by: f32| {
        let mut x = x.clone();
        x.as_mut_slice().iter_mut().zip(gradient.as_slice()).for_each(|(x, d)| *x += by * d);
        own_loss(&x, pool).0
    };
    let step = 1e-4;
    let difference = (moved(step) - moved(-step)) / f64::from(2.0 * step);
    (gradient.as_slice().iter().map(|&d| f64::from(d).powi(2)).sum(), difference)
}
// ANCHOR_END: check

/// δ.
const WEIGHT: f32 = 2e-4;

fn main() -> impasto::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "poster.png".into());
    let size = arguments.next().map_or(192, |size| size.parse().expect("a size in pixels"));
    let config = Preset::Paper.config();
    let load = |file: &str| -> impasto::Result<FeatureMap> {
        let picture = picture::load(file.as_ref(), config.max_pixels)?;
        let (height, width) = picture::fit(size, picture.height(), picture.width());
        Ok(FeatureMap::from_array(picture.resize(height, width).rgb))
    };
    let (content, style) = (load("samples/astronaut.jpg")?, load("samples/great-wave.jpg")?);
    let options = VggOptions { pooling: Pooling::Max, border: Border::Zero, dtype: Dtype::F32, algorithm: None };
    let vgg = Vgg::new(&Weights::embedded()?, config.goal().deepest_layer(), options)?;
    let mut objective = Objective::new(Arc::new(vgg), config.goal(), &content, &style);

    let (mut x, mut pool) = (content, BufferPool::new());
    let (said, done) = check(&x, &mut pool);
    println!("along its gradient our loss grows by {done:.0}, and its gradient says {said:.0}");
    assert!((said - done).abs() < 1e-2 * said);

    let constants = AdamOptions { learning_rate: 0.02, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let mut adam = Adam::new(constants, x.as_slice().len());
    // ANCHOR: loop
    for iteration in 0..30 {
        let evaluation = objective.evaluate(&x, &mut pool);
        let mut gradient = evaluation.gradient.expect("it was asked for");
        // The gradient of a sum is the sum of gradients.
        let (own, own_gradient) = own_loss(&x, &mut pool);
        gradient.as_mut_slice().iter_mut().zip(own_gradient.as_slice()).for_each(|(d, own)| *d += WEIGHT * own);
        println!("{iteration:3}  theirs {:.4}  ours {:.4}", evaluation.total, f64::from(WEIGHT) * own);
        adam.step(x.as_mut_slice(), gradient.as_slice());
        x.as_mut_slice().iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
    }
    // ANCHOR_END: loop
    picture::save(&Picture::from_rgb(x.into_array()), file.as_ref(), &Default::default())
}
