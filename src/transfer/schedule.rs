//! Scales and iterations of a run, decided before it starts.
//!
//! A network's filters see a few dozen pixels. Growing the picture from a small
//! size lets them first arrange large strokes, then refine them: the result is
//! more painterly, and most iterations are cheap.

use crate::config::{Config, Pyramid};
use crate::picture::fit;
use crate::vgg::SMALLEST_SIDE;

/// Each scale's share of the iterations, against the next smaller one's.
const SHARE: f64 = 0.75;

/// One scale of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Height of the picture, in pixels.
    pub height: usize,
    /// Width of the picture, in pixels.
    pub width: usize,
    /// Iterations at this size.
    pub iterations: u32,
}

/// The scales of a run on a content picture of (height × width), small to large. The last has the
/// result's size; each has at least one iteration, and together they have all of them.
#[must_use]
pub fn scales(config: &Config, height: usize, width: usize) -> Vec<Scale> {
    let (height, width) = fit(config.size, height, width);
    let mut sizes = vec![(height, width)];
    if let Pyramid::From { smallest } = config.pyramid {
        let longest = height.max(width) as f64;
        for halvings in 1.. {
            let factor = 0.5f64.sqrt().powi(halvings);
            let (h, w) = scaled(factor, height, width);
            let enough = longest * factor >= f64::from(smallest) - 0.5 && h.min(w) >= SMALLEST_SIDE;
            if !enough || sizes.len() == config.iterations as usize {
                break;
            }
            sizes.push((h, w));
        }
    }
    sizes.reverse();
    let counts = shares(config.iterations, sizes.len());
    sizes.into_iter().zip(counts).map(|((height, width), iterations)| Scale { height, width, iterations }).collect()
}

/// Size of the style picture at `scale`, when it has its full size at `end`.
#[must_use]
pub fn style_size(config: &Config, height: usize, width: usize, scale: &Scale, end: &Scale) -> (usize, usize) {
    let (height, width) = fit(config.style_size.unwrap_or(config.size), height, width);
    let longest = |s: &Scale| s.height.max(s.width) as f64;
    if scale == end {
        return (height, width);
    }
    let (h, w) = scaled(longest(scale) / longest(end), height, width);
    (h.max(SMALLEST_SIDE), w.max(SMALLEST_SIDE))
}

fn scaled(factor: f64, height: usize, width: usize) -> (usize, usize) {
    let side = |side: usize| (side as f64 * factor).round() as usize;
    (side(height), side(width))
}

/// `total` iterations in `count` decreasing shares, at least one each.
fn shares(total: u32, count: usize) -> Vec<u32> {
    let weights: Vec<f64> = (0..count as i32).map(|i| SHARE.powi(i)).collect();
    let sum: f64 = weights.iter().sum();
    let spare = total - count as u32;
    let mut shares: Vec<u32> = weights.iter().map(|w| 1 + (w / sum * f64::from(spare)).floor() as u32).collect();
    shares[0] += total - shares.iter().sum::<u32>();
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Preset;

    #[test]
    fn the_paper_has_one_scale_with_every_iteration() {
        let scales = scales(&Preset::Paper.config(), 600, 800);
        assert_eq!(scales, [Scale { height: 384, width: 512, iterations: 60 }]);
    }

    #[test]
    fn the_default_grows_by_the_root_of_two_from_128() {
        let scales = scales(&Preset::Default.config(), 1000, 1000);
        assert_eq!(scales.iter().map(|s| s.width).collect::<Vec<_>>(), [128, 181, 256, 362, 512]);
        assert!(scales.is_sorted_by(|a, b| a.iterations > b.iterations));
    }

    #[test]
    fn the_style_picture_shrinks_with_the_content() {
        let config = Config { size: 512, style_size: Some(1024), ..Config::default() };
        let scales = scales(&config, 512, 512);
        let end = scales.last().unwrap();
        assert_eq!(style_size(&config, 2000, 1000, end, end), (1024, 512));
        assert_eq!(style_size(&config, 2000, 1000, &scales[0], end), (256, 128));
    }

    proptest! {
        #[test]
        fn every_iteration_is_made_at_some_usable_size(
            height in 16usize..3000, width in 16usize..3000, size in prop_oneof![Just(0u32), 16u32..2000], iterations in 1u32..700
        ) {
            let config = Config { size, iterations, ..Config::default() };
            let (h, w) = fit(size, height, width);
            let scales = scales(&config, height, width);
            prop_assert_eq!(scales.iter().map(|s| s.iterations).sum::<u32>(), iterations);
            prop_assert!(scales.iter().all(|s| s.iterations >= 1));
            prop_assert_eq!((scales.last().unwrap().height, scales.last().unwrap().width), (h, w));
            prop_assert!(scales.iter().rev().skip(1).all(|s| s.height.min(s.width) >= SMALLEST_SIDE));
            prop_assert!(scales.is_sorted_by(|a, b| a.height <= b.height && a.width <= b.width));
        }
    }
}
