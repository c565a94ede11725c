//! Styles and strengths drawn at random for data augmentation: new looks of a picture that still is of what it is of.
//!
//! The paper's use of style transfer for training data. What is drawn for a picture depends on the seed, on the picture's
//! place in its folder, on how many styles there are, and on nothing else: the same on every machine, in whatever order
//! pictures are made, and beside whatever others. More for each picture begins with what fewer would have been.

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

/// The least and the most [`strength`](crate::Config::strength): four times α, and a quarter of it. Labels are to stay true:
/// with so much of the style things are still to be told, and with so little the manner is still to be seen.
pub const STRENGTHS: (f64, f64) = (0.33, 0.67);

/// What was drawn for a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// The number of the style, from 0.
    pub style: usize,
    /// From [`STRENGTHS`], evenly distributed.
    pub strength: f64,
}

/// Draws for the picture at `place`, its path within its folder with `/` between names, `count` of `styles` styles and
/// their strengths. No style comes again before every other has come.
///
/// # Panics
/// If there is no style.
#[must_use]
pub fn draws(seed: u64, place: &str, styles: usize, count: usize) -> Vec<Draw> {
    assert!(styles > 0, "a style is drawn from at least one");
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(place);
    let mut rng = ChaCha8Rng::from_seed(hash.finalize().into());
    let mut order: Vec<usize> = (0..styles).collect();
    let (least, most) = STRENGTHS;
    (0..count)
        .map(|number| {
            if number % styles == 0 {
                order.shuffle(&mut rng);
            }
            // To three digits, as it is written down.
            let strength = (1e3 * rng.random_range(least..=most)).round() / 1e3;
            Draw { style: order[number % styles], strength }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn draws_depend_on_seed_and_place_alone() {
        let drawn = draws(1, "cats/a.png", 5, 7);
        assert_eq!(drawn, draws(1, "cats/a.png", 5, 7));
        assert_eq!(drawn[..3], draws(1, "cats/a.png", 5, 3));
        assert_ne!(drawn, draws(2, "cats/a.png", 5, 7));
        assert_ne!(drawn, draws(1, "dogs/a.png", 5, 7));
    }

    #[test]
    fn every_style_comes_before_one_comes_again() {
        let drawn = draws(3, "a.png", 4, 12);
        for round in drawn.chunks(4) {
            assert_eq!(round.iter().map(|draw| draw.style).collect::<BTreeSet<_>>().len(), 4);
        }
    }

    #[test]
    fn strengths_fill_their_range_evenly() {
        let drawn: Vec<_> = (0..2000).flat_map(|i| draws(0, &i.to_string(), 2, 1)).collect();
        assert!(drawn.iter().all(|draw| (STRENGTHS.0..=STRENGTHS.1).contains(&draw.strength)));
        // As many weaker as stronger; four standard deviations of a fair coin are 179 of 2000.
        let weaker = drawn.iter().filter(|draw| draw.strength < 0.5).count();
        assert!((910..=1090).contains(&weaker), "{weaker}");
        let first = drawn.iter().filter(|draw| draw.style == 0).count();
        assert!((910..=1090).contains(&first), "{first}");
    }
}
