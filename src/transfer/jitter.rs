//! The picture a little aside, in each iteration by another way.
//!
//! A network halves its maps where it halves them, and a picture that is moved for its sake shows a grid of sixteen pixels.
//! Looked at a few pixels aside each time, no pixel is the one beside a cut: what is left is what does not depend on it.
//!
//! ```text
//!   x ──shift──▶ x′ ──▶ loss ──▶ dx′ ──shift back──▶ dx        what leaves on one side comes in on the other
//! ```
//!
//! Source: the jitter of Google's DeepDream, A. Mordvintsev, 2015.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::config::Config;
use crate::tensor::FeatureMap;

/// Rows down and columns to the right by which the picture is shifted in an iteration, counted from 0; it depends on seed
/// and iteration alone, so that a run that goes on shifts as one that was never interrupted.
pub fn shift(config: &Config, iteration: u32) -> Option<(usize, usize)> {
    if config.jitter == 0 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(1 + u64::from(iteration));
    let mut side = || rng.random_range(0..=2 * config.jitter) as usize;
    Some((side(), side()))
}

/// Writes the picture x (H × W × C) shifted by (rows, columns).
pub fn shift_into(x: &FeatureMap, (down, right): (usize, usize), shifted: &mut FeatureMap) {
    let (height, width, channels) = x.dim();
    let (row, first) = (width * channels, right % width * channels);
    shifted.as_mut_slice().par_chunks_exact_mut(row).enumerate().for_each(|(i, shifted)| {
        let x = &x.as_slice()[(i + height - down % height) % height * row..][..row];
        shifted[first..].copy_from_slice(&x[..row - first]);
        shifted[..first].copy_from_slice(&x[row - first..]);
    });
}

/// Shifts a map back to where it was; `room` is of its size, and what is in it is lost.
pub fn shift_back(map: &mut FeatureMap, (down, right): (usize, usize), room: &mut FeatureMap) {
    let (height, width, _) = map.dim();
    shift_into(map, (height - down % height, width - right % width), room);
    map.as_mut_slice().copy_from_slice(room.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_on_one_side_comes_in_on_the_other_and_goes_back() {
        let map = FeatureMap::from_vec(2, 3, 1, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let mut shifted = FeatureMap::zeros(2, 3, 1);
        shift_into(&map, (1, 1), &mut shifted);
        assert_eq!(shifted.as_slice(), [6.0, 4.0, 5.0, 3.0, 1.0, 2.0]);
        let mut room = FeatureMap::zeros(2, 3, 1);
        for shift in [(0, 0), (1, 1), (2, 3), (7, 11)] {
            shift_into(&map, shift, &mut shifted);
            shift_back(&mut shifted, shift, &mut room);
            assert_eq!(shifted, map);
        }
    }

    #[test]
    fn every_iteration_has_a_shift_of_its_own_within_its_bounds() {
        let config = Config { jitter: 8, ..Config::default() };
        let shifts: Vec<_> = (0..50).map(|i| shift(&config, i).unwrap()).collect();
        assert_eq!(shifts, (0..50).map(|i| shift(&config, i).unwrap()).collect::<Vec<_>>());
        assert!(shifts.iter().all(|&(down, right)| down <= 16 && right <= 16));
        let different = shifts.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert!(different > 30, "{different}");
        assert_eq!(shift(&Config { jitter: 0, ..config }, 3), None);
    }
}
