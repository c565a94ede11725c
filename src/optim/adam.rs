/// Adam's constants.
#[derive(Clone, Copy, Debug, PartialEq)]
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
#[derive(Clone, Debug)]
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

    /// One update of x along −g.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(&mut self, x: &mut [f32], g: &[f32]) {
        assert_eq!((x.len(), g.len()), (self.m.len(), self.m.len()), "one moment per element");
        self.steps += 1;
        let AdamOptions { learning_rate, beta1, beta2, epsilon } = self.options;
        let steps = f64::from(self.steps);
        let rate = (learning_rate / (1.0 - beta1.powf(steps))) as f32;
        let root = (1.0 - beta2.powf(steps)).sqrt() as f32;
        let (b1, c1) = (beta1 as f32, (1.0 - beta1) as f32);
        let (b2, c2) = (beta2 as f32, (1.0 - beta2) as f32);
        let epsilon = epsilon as f32;
        for (((x, &g), m), v) in x.iter_mut().zip(g).zip(&mut self.m).zip(&mut self.v) {
            *m = b1 * *m + c1 * g;
            *v = b2 * *v + c2 * g * g;
            *x -= rate * *m / (v.sqrt() / root + epsilon);
        }
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
}
