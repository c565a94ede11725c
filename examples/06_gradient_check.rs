//! The autograd on a toy: how brightly a small picture shines after one convolution.
//!
//! `cargo run --release --example 06_gradient_check` records the loss
//!
//! ```text
//! x ──conv2d──▶ a ──relu──▶ F ──squared_error(·, 0)──▶ Σ F²
//! ```
//!
//! on a tape, differentiates it, and compares d loss/dx, pixel by pixel, with
//! what moving that pixel a little up and down does to the loss.

use impasto::autograd::{Tape, Value};
use impasto::kernels::conv::Filter;
use impasto::ops::{conv2d, relu, squared_error};
use impasto::tensor::{BufferPool, FeatureMap};
use ndarray::{Array4, ArrayD};

const SIDE: usize = 4;

/// The loss at the picture x (4 × 4 × 1), and its gradient of the same shape.
fn loss(x: &FeatureMap) -> (f64, FeatureMap) {
    let mut pool = BufferPool::new();
    let mut tape = Tape::new(&mut pool);
    // Leaves: x is what we differentiate by; the filter, its bias and the target are constants.
    let x = tape.variable(Value::Map(x.clone()));
    let edges = Array4::from_shape_vec((1, 1, 3, 3), vec![-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0]);
    let w = tape.constant(Value::Filter(Filter::new(edges.expect("nine numbers"), None)).into());
    let b = tape.constant(Value::Tensor(ArrayD::from_elem(vec![1], 0.1)).into());
    let dark = tape.constant(Value::Map(FeatureMap::zeros(SIDE, SIDE, 1)).into());
    // Computing is recording.
    let a = conv2d(&mut tape, x, w, b, 1);
    let f = relu(&mut tape, a);
    let y = squared_error(&mut tape, f, dark);
    let value = tape.scalar(y);
    // Backward reads the tape from its end to its start.
    (value, tape.backward(y).take_map(x))
}

fn main() {
    let picture: Vec<f32> = (0..SIDE * SIDE).map(|i| (i * i % 7) as f32 / 7.0).collect();
    let x = FeatureMap::from_vec(SIDE, SIDE, 1, picture);
    let (value, gradient) = loss(&x);
    println!("loss {value:.4}\n");
    println!("pixel      x     backward   finite difference");
    let step = 1.0 / 256.0;
    for i in 0..SIDE * SIDE {
        let moved = |by: f32| {
            let mut x = x.clone();
            x.as_mut_slice()[i] += by;
            loss(&x).0
        };
        let difference = (moved(step) - moved(-step)) / f64::from(2.0 * step);
        let (pixel, slope) = (x.as_slice()[i], gradient.as_slice()[i]);
        println!("({}, {})  {pixel:.3}  {slope:>+11.5}  {difference:>+18.5}", i / SIDE, i % SIDE);
    }
}
