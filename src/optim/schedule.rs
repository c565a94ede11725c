//! The course of the learning rate within a scale.
//!
//! Adam's steps are about as long as its learning rate, however close it is: it ends in a jitter around where it was
//! going. A rate that falls to a small share of itself lets the last iterations settle, and costs nothing.
//!
//! ```text
//!   factor(i, n) = end + (1 − end) · ½ (1 + cos(π i / n))        i = 0, …, n − 1
//! ```
//!
//! Source: Loshchilov & Hutter 2017, *SGDR*, [arXiv:1608.03983](https://arxiv.org/abs/1608.03983), equation 5, with
//! η_max = 1 and η_min = `end`; each scale is one of its restarts.

/// The share of the learning rate in iteration `i` (from 0) of `n`: 1 at first, then down half a cosine towards `end`,
/// which the iteration after the last would have. An `end` of 1 keeps the rate constant, exactly.
///
/// ```
/// use impasto::optim::schedule::cosine;
///
/// assert_eq!(cosine(0, 100, 0.1), 1.0);
/// assert!((cosine(50, 100, 0.1) - 0.55).abs() < 1e-12);
/// ```
#[must_use]
pub fn cosine(i: u32, n: u32, end: f64) -> f64 {
    let done = f64::from(i.min(n)) / f64::from(n.max(1));
    end + (1.0 - end) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_down_half_a_cosine() {
        // ½(1 + cos(π/4)) = (2 + √2)/4, and so on; a dozen roundings of numbers near 1.
        let root = 2f64.sqrt();
        let expected = [1.0, (2.0 + root) / 4.0, 0.5, (2.0 - root) / 4.0, 0.0];
        for (i, share) in (0..).zip(expected) {
            assert!((cosine(i, 4, 0.0) - share).abs() < 1e-15, "{i}");
            assert!((cosine(i, 4, 0.2) - (0.2 + 0.8 * share)).abs() < 1e-15, "{i}");
        }
    }

    #[test]
    fn is_constant_if_it_ends_where_it_begins() {
        assert!((0..=7).all(|i| cosine(i, 7, 1.0) == 1.0));
    }

    #[test]
    fn stays_at_its_end_and_needs_no_iteration() {
        assert_eq!(cosine(9, 4, 0.25), cosine(4, 4, 0.25));
        assert_eq!(cosine(0, 0, 0.25), 1.0);
    }
}
