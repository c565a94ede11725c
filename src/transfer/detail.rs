//! The change of scale: an enlarged picture with what only the larger size can show.
//!
//! ```text
//!   x at the old size ────────────────────────────────┐
//!                                                     ├─ enlarged ─▶ + ─▶ clamp ─▶ x at the new size
//!   M at the new size ─ down to the old size ─ × −a ──┘              ▲
//!   └────────────────────────────────────────── × a ────────────────┘
//! ```
//!
//! An enlarged picture is soft, and the style's losses fill it with the style's own detail wherever they find none: a
//! face, lettering or a lattice would have to be found again by the content loss. M, the photograph in the style's
//! colours, has them already.

use super::canvas::resample;
use crate::kernels::resample::Interpolation;
use crate::kernels::variation::Edges;
use crate::tensor::FeatureMap;

/// `clamp(up(x) + amount · (M − up(down(M))))`, (H × W × 3) in [0, 1].
///
/// x (h × w × 3) is the picture so far, `matched` M (H × W × 3) the photograph at the new size. `up` is bicubic (A =
/// −0.75), `down` a triangle as wide as the old size's pixels, both around edges that are joined. `amount` is 1 for all of
/// the detail, 0 for none.
///
/// # Panics
/// If the maps have not 3 channels, or one is empty.
#[must_use]
pub fn enlarge(x: &FeatureMap, matched: &FeatureMap, amount: f32, edges: Edges) -> FeatureMap {
    // ANCHOR: enlarge
    let ((h, w, channels), (height, width, new_channels)) = (x.dim(), matched.dim());
    assert_eq!(channels, new_channels, "channels of the picture and of the photograph");
    let (old, new) = ((h, w), (height, width));
    let mut difference = vec![0.0; x.as_slice().len()];
    resample(edges, Interpolation::Antialiased, new, old).apply(matched.as_slice(), &mut difference);
    // Both pictures are enlarged alike, so their difference may be enlarged once.
    difference.iter_mut().zip(x.as_slice()).for_each(|(down, x)| *down = x - amount * *down);
    let mut enlarged = FeatureMap::zeros(height, width, channels);
    resample(edges, Interpolation::Bicubic, old, new).apply(&difference, enlarged.as_mut_slice());
    let pairs = enlarged.as_mut_slice().iter_mut().zip(matched.as_slice());
    pairs.for_each(|(x, matched)| *x = (*x + amount * matched).clamp(0.0, 1.0));
    enlarged
    // ANCHOR_END: enlarge
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::resample::Resample;

    fn picture(height: usize, width: usize, step: usize) -> FeatureMap {
        let numbers = (0..height * width * 3).map(|i| 0.2 + 0.6 * ((i * step) % 2039) as f32 / 2039.0);
        FeatureMap::from_vec(height, width, 3, numbers.collect())
    }

    fn differ(a: &FeatureMap, b: &FeatureMap) -> f32 {
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_shrunken_photograph_gets_all_of_its_detail_back() {
        let photograph = picture(13, 17, 613);
        let mut small = FeatureMap::zeros(8, 10, 3);
        Resample::new(Interpolation::Antialiased, (13, 17), (8, 10), 3)
            .apply(photograph.as_slice(), small.as_mut_slice());
        assert!(differ(&enlarge(&small, &photograph, 1.0, Edges::Open), &photograph) < 1e-6);
    }

    #[test]
    fn without_detail_the_picture_is_only_enlarged() {
        let (x, photograph) = (picture(4, 5, 613), picture(7, 9, 31));
        let mut expected = FeatureMap::zeros(7, 9, 3);
        Resample::new(Interpolation::Bicubic, (4, 5), (7, 9), 3).apply(x.as_slice(), expected.as_mut_slice());
        assert!(differ(&enlarge(&x, &photograph, 0.0, Edges::Open), &expected) < 1e-6);
    }

    #[test]
    fn the_result_stays_in_range() {
        let (x, photograph) = (picture(6, 5, 1021), picture(12, 10, 997));
        let enlarged = enlarge(&x, &photograph, 3.0, Edges::Open);
        assert!(enlarged.as_slice().iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(enlarged.as_slice().iter().any(|&v| v == 0.0 || v == 1.0), "something was cut off");
    }
}
