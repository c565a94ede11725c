//! When a scale has settled: `--until`.
//!
//! ```text
//!   losses of a scale    …  ● ● ● ● ● ● ● ● ● ●  ○ ○ ○ ○ ○ ○ ○ ○ ○ ○
//!                           └─ mean before ───┘  └─ mean now ──────┘    settled if before − now < until · before
//! ```
//!
//! Adam's losses go up and down from one iteration to the next, and a new transport moves them, so two means of ten are
//! compared, and never two losses. Of a line search its iterates count, and not its trials. The losses are what the run
//! computes in any case: every number of threads, every budget of memory and every resumed run settles at the same one.

use crate::state::{Found, Saved};

/// Losses in each mean.
const WINDOW: usize = 10;

/// The last losses of a scale.
#[derive(Clone, Debug)]
pub struct Settling {
    until: f64,
    /// At most twice [`WINDOW`], the latest last.
    losses: Vec<f64>,
}

impl Settling {
    /// At the beginning of a scale; `until` is the part that it must still fall by.
    pub fn new(until: f64) -> Self {
        Settling { until, losses: Vec::new() }
    }

    /// Keeps the losses.
    pub fn save(&self, saved: &mut Saved<'_>) {
        saved.small("settling.losses", &self.losses);
    }

    /// What was kept.
    pub fn load(until: f64, found: &Found) -> Result<Self, String> {
        let losses: Vec<f64> = found.small("settling.losses")?;
        if losses.len() > 2 * WINDOW {
            return Err("settling.losses has more than are looked at".into());
        }
        Ok(Settling { until, losses })
    }

    /// Takes in the loss of an iterate.
    pub fn add(&mut self, loss: f64) {
        if self.losses.len() == 2 * WINDOW {
            self.losses.remove(0);
        }
        self.losses.push(loss);
    }

    /// Whether the scale has settled: not before two windows of it.
    pub fn settled(&self) -> bool {
        if self.losses.len() < 2 * WINDOW {
            return false;
        }
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / WINDOW as f64;
        let (before, now) = (mean(&self.losses[..WINDOW]), mean(&self.losses[WINDOW..]));
        before - now < self.until * before.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many losses a scale of them has settled.
    fn after(until: f64, mut loss: impl FnMut(i32) -> f64) -> Option<i32> {
        let mut settling = Settling::new(until);
        (1..10_000).find(|&i| {
            settling.add(loss(i));
            settling.settled()
        })
    }

    #[test]
    fn a_loss_that_falls_by_a_percent_an_iteration_falls_by_a_tenth_in_ten() {
        // 1 − 0.99¹⁰ = 0.0956.
        assert_eq!(after(0.0957, |i| 0.99f64.powi(i)), Some(20));
        assert_eq!(after(0.0955, |i| 0.99f64.powi(i)), None);
    }

    #[test]
    fn a_loss_that_goes_up_and_down_has_not_settled_while_its_mean_falls() {
        // By 1 in ten, between neighbours that differ by 20: 0.5 % of 200, and less of what is above.
        assert_eq!(after(0.005, |i| 300.0 - 0.1 * f64::from(i) + f64::from(i % 2) * 20.0), Some(20));
        let falling = |i: i32| if i <= 500 { 100.0 - 0.1 * f64::from(i) + f64::from(i % 2) * 20.0 } else { 50.0 };
        assert!(after(0.005, falling).is_some_and(|i| i > 500));
        assert_eq!(after(0.001, |i| f64::from(i % 2)), Some(20));
    }

    #[test]
    fn one_over_i_settles_where_arithmetic_says() {
        // With means over ten of 1/i the fall from one to the next is near 10/i: 1 % of it near i = 1000.
        let at = after(0.01, |i| 1.0 / f64::from(i)).unwrap();
        assert!((950..1050).contains(&at), "{at}");
    }
}
