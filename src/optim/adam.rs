//! Adam: gradient descent with a step size for each element.
//!
//! A style loss has gradients that differ by orders of magnitude from pixel to pixel and from layer to layer.
//! Adam divides each element's by its own recent size, so that all of them move, and none further than about the
//! learning rate: one number that means the same at every picture size, with no line search.
//!
//! Seven numbers pass through memory for each element, and a few dozen operations are done on them: it is memory that
//! limits the speed. The elements know nothing of each other, so blocks may be worked on in any order.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kernels::reduce::BLOCK;
use crate::kernels::simd::{Isa, Kernel, Simd};
use crate::state::{Found, Saved};

/// Adam's constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamOptions {
    /// Step size, in units of x.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

/// Adam, gradient descent with a step size per element.
///
/// ```text
/// m ← β₁m + (1 − β₁)g         first moment: where to
/// v ← β₂v + (1 − β₂)g²        second moment: how sure
/// x ← x − η · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)
/// ```
///
/// Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with its bias correction.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    options: AdamOptions,
    steps: u32,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl Adam {
    /// A fresh optimiser of `length` elements.
    #[must_use]
    pub fn new(options: AdamOptions, length: usize) -> Self {
        Adam { options, steps: 0, m: vec![0.0; length], v: vec![0.0; length] }
    }

    /// Keeps both moments and the step count.
    pub fn save<'a>(&'a self, saved: &mut Saved<'a>) {
        saved.array("adam.m", &[self.len()], &self.m);
        saved.array("adam.v", &[self.len()], &self.v);
        saved.small("adam.steps", &self.steps);
    }

    /// What was kept, of `length` elements.
    ///
    /// # Errors
    /// If it is not there.
    pub fn load(options: AdamOptions, length: usize, found: &Found) -> Result<Self, String> {
        let [m, v] = ["adam.m", "adam.v"].map(|name| found.array(name, &[length]));
        Ok(Adam { options, steps: found.small("adam.steps")?, m: m?, v: v? })
    }

    /// One update of x along −g.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(&mut self, x: &mut [f32], g: &[f32]) {
        self.step_by(x, g, 1.0);
    }

    /// One update of x along −g, with `rate` times the learning rate η.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step_by(&mut self, x: &mut [f32], g: &[f32], rate: f64) {
        assert_eq!((x.len(), g.len()), (self.m.len(), self.m.len()), "one moment per element");
        self.steps += 1;
        let AdamOptions { learning_rate, beta1, beta2, epsilon } = self.options;
        let steps = f64::from(self.steps);
        let constants = Constants {
            rate: (rate * learning_rate / (1.0 - beta1.powf(steps))) as f32,
            root: (1.0 - beta2.powf(steps)).sqrt() as f32,
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            epsilon: epsilon as f32,
        };
        let isa = Isa::detect();
        let moments = self.m.par_chunks_mut(BLOCK).zip(self.v.par_chunks_mut(BLOCK));
        let blocks = x.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK)).zip(moments);
        blocks.for_each(|((x, g), (m, v))| isa.dispatch(Update { constants, x, g, m, v }));
    }

    /// m and v, the first and the second moment of each element.
    #[must_use]
    pub fn moments(&self) -> (&[f32], &[f32]) {
        (&self.m, &self.v)
    }

    /// Elements.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "never empty in use")]
    pub fn len(&self) -> usize {
        self.m.len()
    }

    /// Bytes of both moments of `length` elements.
    #[must_use]
    pub fn bytes(length: usize) -> u64 {
        2 * size_of::<f32>() as u64 * length as u64
    }

    /// The same optimiser with no memory, for `length` elements: the moments are 0, and so is the step count.
    #[must_use]
    pub fn cold(self, length: usize) -> Self {
        Adam::new(self.options, length)
    }

    /// The same optimiser on another grid: `moment` maps the first (false) and the second (true) moment
    /// to the new length. The step count is kept. Second moments are clamped at 0.
    #[must_use]
    pub fn resampled(self, mut moment: impl FnMut(Vec<f32>, bool) -> Vec<f32>) -> Self {
        let m = moment(self.m, false);
        let mut v = moment(self.v, true);
        v.iter_mut().for_each(|v| *v = v.max(0.0));
        assert_eq!(m.len(), v.len(), "both moments are resampled alike");
        Adam { options: self.options, steps: self.steps, m, v }
    }
}

/// One step's factors, with the bias corrections in them.
#[derive(Clone, Copy)]
struct Constants {
    /// η/(1 − β₁ᵗ).
    rate: f32,
    /// √(1 − β₂ᵗ).
    root: f32,
    /// β₁, 1 − β₁.
    first: [f32; 2],
    /// β₂, 1 − β₂.
    second: [f32; 2],
    epsilon: f32,
}

/// One block's update. Root and quotient are exactly rounded on every instruction set, and no two operations are
/// merged into one: every machine computes the same bytes.
struct Update<'a> {
    constants: Constants,
    x: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl Kernel for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Constants { rate, root, first, second, epsilon } = self.constants;
        // ANCHOR: update
        for (((x, &g), m), v) in self.x.iter_mut().zip(self.g).zip(self.m).zip(self.v) {
            *m = first[0] * *m + first[1] * g;
            *v = second[0] * *v + second[1] * g * g;
            *x -= rate * *m / (v.sqrt() / root + epsilon);
        }
        // ANCHOR_END: update
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: AdamOptions = AdamOptions { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    #[test]
    fn the_first_step_is_the_learning_rate_whatever_the_gradients_size() {
        let mut x = [1.0, 1.0, 1.0];
        Adam::new(OPTIONS, 3).step(&mut x, &[1e-4, -30.0, 0.0]);
        for (x, expected) in x.into_iter().zip([0.9, 1.1, 1.0]) {
            // ε against the gradient of 1e-4: a relative change of 1e-4 in the step.
            assert!((x - expected).abs() < 2e-5, "{x}");
        }
    }

    /// Two steps worked out by hand from the algorithm.
    #[test]
    fn the_second_step_remembers_the_first() {
        let mut x = [0.0];
        let mut adam = Adam::new(OPTIONS, 1);
        adam.step(&mut x, &[1.0]);
        adam.step(&mut x, &[-0.5]);
        let m: f64 = (0.9 * 0.1 - 0.1 * 0.5) / (1.0 - 0.81);
        let v: f64 = (0.999 * 0.001 + 0.001 * 0.25) / (1.0 - 0.999f64.powi(2));
        let expected = -0.1 - 0.1 * m / (v.sqrt() + 1e-8);
        assert!((f64::from(x[0]) - expected).abs() < 1e-6, "{} {expected}", x[0]);
    }

    #[test]
    fn finds_the_bottom_of_a_bowl() {
        let mut x = [3.0f32, -2.0];
        let mut adam = Adam::new(OPTIONS, 2);
        for _ in 0..500 {
            let g = [2.0 * (x[0] - 1.0), 20.0 * (x[1] - 0.5)];
            adam.step(&mut x, &g);
        }
        assert!((x[0] - 1.0).abs() < 1e-2 && (x[1] - 0.5).abs() < 1e-2, "{x:?}");
    }

    #[test]
    fn resampling_keeps_the_step_count_and_no_negative_variance() {
        let mut adam = Adam::new(OPTIONS, 1);
        adam.step(&mut [0.0], &[1.0]);
        let adam = adam.resampled(|moment, second| vec![if second { -1.0 } else { moment[0] }; 4]);
        assert_eq!((adam.steps, adam.m.len(), adam.v), (1, 4, vec![0.0; 4]));
    }

    #[test]
    fn half_the_rate_is_half_the_step() {
        let (mut whole, mut half) = ([0.0; 3], [0.0; 3]);
        let g = [1.0, -2.0, 0.25];
        Adam::new(OPTIONS, 3).step(&mut whole, &g);
        Adam::new(OPTIONS, 3).step_by(&mut half, &g, 0.5);
        assert_eq!(whole.map(|x| 0.5 * x), half);
    }

    #[test]
    fn a_cold_one_is_as_new() {
        let mut adam = Adam::new(OPTIONS, 2);
        adam.step(&mut [0.0; 2], &[1.0, -3.0]);
        assert_eq!(adam.cold(5), Adam::new(OPTIONS, 5));
    }

    #[test]
    fn every_number_of_threads_gives_the_same_bytes() {
        let length = 3 * BLOCK + 77;
        let g: Vec<f32> = (0..length).map(|i| ((i * 7919 % 1021) as f32 - 510.0) * 1e-3).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut x, mut adam) = (vec![0.5; length], Adam::new(OPTIONS, length));
            pool.install(|| (0..3).for_each(|_| adam.step(&mut x, &g)));
            (x, adam)
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3));
    }
}
