//! When will it be done? An iteration's cost is proportional to its pixels, so
//! the work left is counted in pixels: 100 iterations left at 724 px are not
//! 100 iterations like those behind at 128 px.

use std::collections::VecDeque;

/// One scale of the run: how large, how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Pixels of the picture at this scale.
    pub pixels: u64,
    /// Iterations at this scale.
    pub iterations: u32,
}

/// Pixels visited by the first `done` iterations of `plan`.
pub fn work_done(plan: &[Work], done: u32) -> u64 {
    let mut left = done;
    plan.iter()
        .map(|scale| {
            let here = left.min(scale.iterations);
            left -= here;
            scale.pixels * u64::from(here)
        })
        .sum()
}

/// Pixels visited by all of `plan`.
pub fn work_total(plan: &[Work]) -> u64 {
    work_done(plan, u32::MAX)
}

/// Seconds left after `done` iterations, at `seconds_per_pixel`.
pub fn seconds_left(plan: &[Work], done: u32, seconds_per_pixel: f64) -> f64 {
    (work_total(plan) - work_done(plan, done)) as f64 * seconds_per_pixel
}

/// Measures the speed over the last iterations of one scale.
#[derive(Debug, Default)]
pub struct Speed {
    scale: u32,
    /// Seconds per pixel of the last iterations.
    recent: VecDeque<f64>,
    /// Whether the oldest of `recent` is a scale's first iteration, which also
    /// allocates and touches its memory for the first time.
    warming_up: bool,
}

impl Speed {
    /// Over so many iterations the speed is averaged.
    const WINDOW: usize = 10;

    /// Takes in an iteration at `scale` over `pixels`.
    pub fn record(&mut self, scale: u32, pixels: u64, seconds: f64) {
        let first = scale != self.scale;
        if first || self.warming_up {
            self.recent.clear();
        }
        (self.scale, self.warming_up) = (scale, first);
        if self.recent.len() == Self::WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(seconds / pixels.max(1) as f64);
    }

    /// Seconds per pixel and iteration; 0 before the first.
    pub fn seconds_per_pixel(&self) -> f64 {
        self.recent.iter().sum::<f64>() / self.recent.len().max(1) as f64
    }
}

/// A duration as a clock shows it: `0:07`, `12:30`, `1:02:03`.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: [Work; 2] = [Work { pixels: 100, iterations: 30 }, Work { pixels: 400, iterations: 10 }];

    #[test]
    fn work_is_counted_in_pixels() {
        assert_eq!(work_total(&PLAN), 7000);
        assert_eq!(work_done(&PLAN, 0), 0);
        assert_eq!(work_done(&PLAN, 30), 3000);
        assert_eq!(work_done(&PLAN, 31), 3400);
        assert_eq!(work_done(&PLAN, 41), 7000);
    }

    #[test]
    fn three_quarters_of_the_iterations_are_not_three_quarters_of_the_time() {
        assert_eq!(seconds_left(&PLAN, 30, 0.01), 40.0);
        assert_eq!(seconds_left(&PLAN, 40, 0.01), 0.0);
    }

    #[test]
    fn the_estimate_is_exact_where_the_cost_is_proportional_to_pixels() {
        let mut speed = Speed::default();
        let mut left = seconds_left(&PLAN, 0, 0.25);
        for done in 1..=40 {
            let (scale, pixels) = if done <= 30 { (1, 100) } else { (2, 400) };
            let seconds = 0.25 * pixels as f64;
            speed.record(scale, pixels, seconds);
            left -= seconds;
            assert_eq!(seconds_left(&PLAN, done, speed.seconds_per_pixel()), left);
        }
    }

    #[test]
    fn a_slow_first_iteration_is_forgotten_with_the_second() {
        let mut speed = Speed::default();
        assert_eq!(speed.seconds_per_pixel(), 0.0);
        speed.record(1, 10, 100.0);
        assert_eq!(speed.seconds_per_pixel(), 10.0);
        speed.record(1, 10, 20.0);
        assert_eq!(speed.seconds_per_pixel(), 2.0);
        speed.record(1, 10, 40.0);
        assert_eq!(speed.seconds_per_pixel(), 3.0);
        speed.record(2, 100, 500.0);
        assert_eq!(speed.seconds_per_pixel(), 5.0);
    }

    #[test]
    fn only_the_last_iterations_count() {
        let mut speed = Speed::default();
        (0..50).for_each(|_| speed.record(1, 1, 9.0));
        (0..10).for_each(|_| speed.record(1, 1, 1.0));
        assert_eq!(speed.seconds_per_pixel(), 1.0);
    }

    #[test]
    fn a_clock_shows_hours_only_when_there_are_some() {
        assert_eq!(clock(0.4), "0:00");
        assert_eq!(clock(59.6), "1:00");
        assert_eq!(clock(750.0), "12:30");
        assert_eq!(clock(3723.0), "1:02:03");
    }
}
