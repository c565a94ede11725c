//! The gradient checker: one line in the test of any op.
//!
//! For a function f, a random upstream gradient u and a random direction v, the
//! reverse mode must satisfy ⟨v, vjp(u)⟩ = ⟨u, (f(x + hv) − f(x − hv))/2h⟩. One
//! number checks every element at once, because an error in any of them would
//! have to be orthogonal to both random vectors.

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Tape, Value, Var};
use crate::kernels::conv::Filter;
use crate::tensor::BufferPool;

/// How far x is moved each way. Every op here is linear or quadratic between
/// its kinks, where a central difference has no truncation error, so the step is
/// as large as the inputs' distance from their kinks allows.
const STEP: f32 = 1.0 / 64.0;

/// Rounding of the f32 forwards, divided by the step: 6e-8 · 64 per element, and room for sums.
const RELATIVE: f64 = 1e-3;

/// Checks the gradient of `op` with respect to each of `inputs` in turn, the others being constant,
/// and with respect to all at once.
///
/// # Panics
/// If a gradient is missing or differs from the finite difference by more than 1e-3 of the
/// larger of it and its expected size.
pub fn check(inputs: &[Value], op: impl Fn(&mut Tape<'_>, &[Var]) -> Var) {
    let mut rng = ChaCha8Rng::seed_from_u64(0x1A57);
    for chosen in 0..=inputs.len() {
        let varies = |index: usize| chosen == inputs.len() || chosen == index;
        let directions: Vec<Value> = inputs
            .iter()
            .enumerate()
            .map(|(i, x)| random_like(x, &mut rng, if varies(i) { 1.0 } else { 0.0 }))
            .collect();
        let Compared { analytic, numeric, magnitude } =
            compare_along(inputs, &directions, varies, &op, (STEP, &mut rng));
        assert!(
            (analytic - numeric).abs() <= RELATIVE * (magnitude + numeric.abs()),
            "reverse mode says {analytic}, finite difference {numeric} (|gradient| {magnitude})"
        );
    }
}

/// A derivative along a direction, found in two ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// By the tape: ⟨v, vjp(u)⟩.
    pub analytic: f64,
    /// By a central difference.
    pub numeric: f64,
    /// ‖vjp(u)‖, of all inputs together.
    pub magnitude: f64,
}

/// Compares both ways for an op on one input, which is moved by `step` along a random direction v. An op with kinks, such as
/// a ReLU, is to be moved by little, or what is between two kinks is compared with what is beyond.
pub fn compare(input: &Value, step: f32, op: impl Fn(&mut Tape<'_>, Var) -> Var) -> Compared {
    let mut rng = ChaCha8Rng::seed_from_u64(0x1A57);
    let direction = random_like(input, &mut rng, 1.0);
    let inputs = (std::slice::from_ref(input), std::slice::from_ref(&direction));
    compare_along(inputs.0, inputs.1, |_| true, &|tape: &mut Tape<'_>, x: &[Var]| op(tape, x[0]), (step, &mut rng))
}

fn compare_along(
    inputs: &[Value],
    directions: &[Value],
    varies: impl Fn(usize) -> bool,
    op: &impl Fn(&mut Tape<'_>, &[Var]) -> Var,
    (step, rng): (f32, &mut ChaCha8Rng),
) -> Compared {
    let mut pool = BufferPool::new();
    let mut tape = Tape::new(&mut pool);
    let vars: Vec<Var> = inputs
        .iter()
        .enumerate()
        .map(|(i, x)| if varies(i) { tape.variable(x.clone()) } else { tape.constant(x.clone().into()) })
        .collect();
    let out = op(&mut tape, &vars);
    let upstream = random_like(tape.value(out), rng, 1.0);
    let mut gradients = tape.backward_from(out, upstream.clone());

    let (mut analytic, mut magnitude) = (0.0, 0.0);
    for (i, (&var, direction)) in vars.iter().zip(directions).enumerate() {
        let gradient = gradients.take(var);
        assert_eq!(gradient.is_some(), varies(i), "input {i}: gradients are for variables only");
        if let Some(gradient) = gradient {
            assert_eq!(gradient.shape(), direction.shape(), "input {i}: a gradient has its input's shape");
            analytic += dot(&gradient, direction);
            magnitude += (dot(&gradient, &gradient)).sqrt();
        }
    }
    let moved = |sign: f32| {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let vars: Vec<Var> =
            inputs.iter().zip(directions).map(|(x, v)| tape.constant(moved_by(x, v, sign * step).into())).collect();
        let out = op(&mut tape, &vars);
        dot(tape.value(out), &upstream)
    };
    let numeric = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(step));
    Compared { analytic, numeric, magnitude }
}

/// Values of the same shape, uniform in ±`scale`.
fn random_like(value: &Value, rng: &mut impl Rng, scale: f32) -> Value {
    match value {
        Value::Scalar(_) => Value::Scalar(f64::from(scale) * rng.random_range(-1.0..=1.0)),
        other => with_elements(other, other.as_slice().iter().map(|_| scale * rng.random_range(-1.0..=1.0)).collect()),
    }
}

fn moved_by(x: &Value, direction: &Value, h: f32) -> Value {
    match (x, direction) {
        (Value::Scalar(x), Value::Scalar(v)) => Value::Scalar(x + f64::from(h) * v),
        (x, v) => with_elements(x, x.as_slice().iter().zip(v.as_slice()).map(|(x, v)| x + h * v).collect()),
    }
}

fn with_elements(like: &Value, elements: Vec<f32>) -> Value {
    match like {
        Value::Map(map) => {
            let (height, width, channels) = map.dim();
            Value::Map(crate::tensor::FeatureMap::from_vec(height, width, channels, elements))
        }
        Value::Tensor(tensor) => {
            Value::Tensor(ndarray::ArrayD::from_shape_vec(tensor.shape(), elements).expect("same shape"))
        }
        Value::Filter(filter) => {
            let weight = ndarray::Array4::from_shape_vec(filter.dim(), elements).expect("same shape");
            Value::Filter(Filter::new(weight, Some(filter.choice().forward)))
        }
        Value::MapBf16(_) => unreachable!("bf16 keeps too few bits for finite differences"),
        Value::Scalar(_) => unreachable!("scalars are handled by the callers"),
    }
}

fn dot(a: &Value, b: &Value) -> f64 {
    match (a, b) {
        (Value::Scalar(a), Value::Scalar(b)) => a * b,
        (a, b) => a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum(),
    }
}
