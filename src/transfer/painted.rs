//! What is painted where, at one size: masks become each region's part of every pixel.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array2, Array3, Axis};

use super::sizes::Sizes;
use crate::error::{Error, Result};
use crate::picture::mask::BLACK;
use crate::picture::{Picture, Pixels};
use crate::tensor::FeatureMap;

/// A region: the styles that are painted there, and how much they count in all.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Which mask it has; `None` is what the others leave.
    pub region: Option<usize>,
    /// The styles by their numbers, each with its share in the region.
    pub styles: Vec<(usize, f64)>,
    /// Its share among regions where masks overlap.
    pub share: f64,
}

/// The regions of styles with such shares, in the order in which they are first named.
pub fn groups(sizes: &Sizes, shares: &[f64]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, (style, &share)) in sizes.styles.iter().zip(shares).enumerate() {
        let known = groups.iter().position(|group| group.region == style.region);
        let at = known.unwrap_or_else(|| {
            groups.push(Group { region: style.region, styles: Vec::new(), share: 0.0 });
            groups.len() - 1
        });
        groups[at].styles.push((index, share));
        groups[at].share += share;
    }
    for group in &mut groups {
        let Group { styles, share, .. } = group;
        styles.iter_mut().for_each(|(_, own)| *own /= *share);
    }
    groups
}

/// Each group's part of every pixel (H × W × 1), of the regions' masks and of what is kept, all of one size: by shares
/// where masks overlap, and nothing of what is kept. `None` if there are no masks.
pub fn parts(groups: &[Group], masks: &[FeatureMap], keep: Option<&FeatureMap>) -> Option<Vec<FeatureMap>> {
    let (height, width, _) = masks.iter().chain(keep).next().map(FeatureMap::dim)?;
    let mut parts: Vec<_> = groups.iter().map(|_| FeatureMap::zeros(height, width, 1)).collect();
    let mut weights = vec![0.0; groups.len()];
    for pixel in 0..height * width {
        let rest = 1.0 - masks.iter().map(|mask| mask.as_slice()[pixel]).sum::<f32>();
        let of = |group: &Group| group.region.map_or(rest.max(0.0), |region| masks[region].as_slice()[pixel]);
        let painted = 1.0 - keep.map_or(0.0, |keep| keep.as_slice()[pixel]);
        weights.iter_mut().zip(groups).for_each(|(weight, group)| *weight = group.share as f32 * of(group));
        let sum: f32 = weights.iter().sum();
        let factor = if sum > 0.0 { painted / sum } else { 0.0 };
        parts.iter_mut().zip(&weights).for_each(|(part, weight)| part.as_mut_slice()[pixel] = factor * weight);
    }
    Some(parts)
}

/// Checks the parts that such masks have made.
///
/// # Errors
/// [`Error::Usage`] if something is in no region and not kept, or a region has nothing.
pub fn check(groups: &[Group], masks: &[FeatureMap], keep: Option<&FeatureMap>, parts: &[FeatureMap]) -> Result<()> {
    let others = groups.iter().any(|group| group.region.is_none());
    let pixels = parts[0].pixels();
    let uncovered = |&pixel: &usize| {
        let painted = 1.0 - keep.map_or(0.0, |keep| keep.as_slice()[pixel]);
        let covered: f32 = masks.iter().map(|mask| mask.as_slice()[pixel]).sum();
        !others && covered <= BLACK && painted > BLACK
    };
    let uncovered = (0..pixels).filter(uncovered).count();
    if uncovered > 0 {
        let percent = 100.0 * uncovered as f64 / pixels as f64;
        return Err(Error::Usage(format!(
            "{percent:.1} % of the picture is black in the masks of all styles; give a style without a mask for the rest, or \
             --keep it"
        )));
    }
    let empty = |part: &&FeatureMap| part.as_slice().iter().all(|&v| v <= BLACK);
    if parts.iter().all(|part| empty(&part)) {
        return Err(Error::Usage("--keep leaves nothing to paint; paint something black in its mask".into()));
    }
    if let Some(at) = parts.iter().position(|part| empty(&part)) {
        let what = match groups[at].region {
            Some(_) => format!("the mask of style {} leaves nothing of the picture to it", groups[at].styles[0].0 + 1),
            None => format!("the masks of the others leave nothing to style {}", groups[at].styles[0].0 + 1),
        };
        return Err(Error::Usage(format!("{what}; leave that style out, or make room for it")));
    }
    Ok(())
}

/// What `make` makes of a picture for each region, each by its part of every pixel. Where there is no part of any, the
/// picture stays. `make` is shown a region by the opacity.
pub fn by_region(picture: &mut Picture, parts: &[FeatureMap], mut make: impl FnMut(usize, &mut Picture)) {
    let alpha = picture.alpha.take();
    let (mut sums, mut weights) = (Array3::<f32>::zeros(picture.rgb.dim()), Array2::<f32>::zeros(seen(picture)));
    for (index, part) in parts.iter().enumerate() {
        let part = Array2::from_shape_vec(seen(picture), part.as_slice().to_vec()).expect("a number for each pixel");
        let opacity = alpha.as_ref().map_or_else(|| part.clone(), |alpha| &part * alpha);
        let mut made = Picture { rgb: picture.rgb.clone(), alpha: Some(opacity) };
        make(index, &mut made);
        for ((mut sum, made), &part) in sums.lanes_mut(Axis(2)).into_iter().zip(made.rgb.lanes(Axis(2))).zip(&part) {
            sum.iter_mut().zip(made).for_each(|(sum, made)| *sum += part * made);
        }
        weights += &part;
    }
    for ((mut colour, sum), &weight) in
        picture.rgb.lanes_mut(Axis(2)).into_iter().zip(sums.lanes(Axis(2))).zip(&weights)
    {
        if weight > 0.0 {
            colour.iter_mut().zip(sum).for_each(|(colour, sum)| *colour = (sum / weight).clamp(0.0, 1.0));
        }
    }
    picture.alpha = alpha;
}

/// A picture of which so much is seen as a mask of its size shows.
pub fn seen_through<'a>(picture: &'a Picture, mask: Option<&FeatureMap>) -> Cow<'a, Picture> {
    let Some(through) = mask else { return Cow::Borrowed(picture) };
    Cow::Owned(Seen { picture, through }.rows(0..picture.height()))
}

/// The same of a picture that need not be there whole.
pub struct Seen<'a> {
    pub picture: &'a dyn Pixels,
    pub through: &'a FeatureMap,
}

impl Pixels for Seen<'_> {
    fn size(&self) -> (usize, usize) {
        self.picture.size()
    }

    fn has_alpha(&self) -> bool {
        true
    }

    fn rows(&self, rows: Range<usize>) -> Picture {
        let (width, shape) = (self.size().1, (rows.len(), self.size().1));
        let mask = self.through.as_slice()[rows.start * width..rows.end * width].to_vec();
        let mask = Array2::from_shape_vec(shape, mask).expect("a number for each pixel");
        let Picture { rgb, alpha } = self.picture.rows(rows);
        let alpha = alpha.map_or_else(|| mask.clone(), |alpha| &mask * &alpha);
        Picture { rgb, alpha: Some(alpha) }
    }
}

fn seen(picture: &Picture) -> (usize, usize) {
    (picture.height(), picture.width())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sizes::StyleSize;
    use super::*;

    fn plane(values: &[f32]) -> FeatureMap {
        FeatureMap::from_vec(1, values.len(), 1, values.to_vec())
    }

    fn group(region: Option<usize>, share: f64) -> Group {
        Group { region, styles: vec![(0, 1.0)], share }
    }

    fn close(part: &FeatureMap, expected: [f32; 4]) {
        assert!(part.as_slice().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", part.as_slice());
    }

    #[test]
    fn overlaps_are_shared_by_weight_and_the_rest_goes_to_whoever_has_no_mask() {
        let masks = [plane(&[1.0, 0.0, 0.5, 1.0]), plane(&[0.0, 1.0, 0.0, 1.0])];
        let groups = [group(Some(0), 0.5), group(Some(1), 0.25), group(None, 0.25)];
        let found = parts(&groups, &masks, None).unwrap();
        let expected = [[1.0, 0.0, 2.0 / 3.0, 2.0 / 3.0], [0.0, 1.0, 0.0, 1.0 / 3.0], [0.0, 0.0, 1.0 / 3.0, 0.0]];
        found.iter().zip(expected).for_each(|(part, expected)| close(part, expected));
        check(&groups, &masks, None, &found).unwrap();
        // What is kept is nobody's.
        let found = parts(&groups, &masks, Some(&plane(&[0.5, 0.0, 0.0, 1.0]))).unwrap();
        let expected = [[0.5, 0.0, 2.0 / 3.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0 / 3.0, 0.0]];
        found.iter().zip(expected).for_each(|(part, expected)| close(part, expected));
        assert!(parts(&groups[2..], &[], None).is_none());
    }

    #[test]
    fn styles_are_grouped_by_their_regions() {
        let mut sizes = Sizes::new((20, 30), (20, 30));
        let style = |region| StyleSize { region, ..StyleSize::new((20, 30)) };
        sizes.styles = [Some(1), None, Some(1), Some(0)].map(style).to_vec();
        let found = groups(&sizes, &[0.125, 0.25, 0.375, 0.25]);
        let expected = [
            Group { region: Some(1), styles: vec![(0, 0.25), (2, 0.75)], share: 0.5 },
            Group { region: None, styles: vec![(1, 1.0)], share: 0.25 },
            Group { region: Some(0), styles: vec![(3, 1.0)], share: 0.25 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_picture_is_made_region_by_region_and_stays_where_none_is() {
        let grey = |value| Picture::from_rgb(Array3::from_elem((1, 4, 3), value));
        let mut picture = grey(0.5);
        picture.alpha = Some(Array2::from_elem((1, 4), 0.25));
        let mut shown = Vec::new();
        by_region(&mut picture, &[plane(&[1.0, 0.75, 0.0, 0.0]), plane(&[0.0, 0.25, 0.5, 0.0])], |region, made| {
            shown.push(made.alpha.clone().unwrap().into_raw_vec_and_offset().0);
            made.rgb.fill([0.0, 1.0][region]);
        });
        let found: Vec<f32> = picture.rgb.lanes(Axis(2)).into_iter().map(|colour| colour[0]).collect();
        assert_eq!(found, [0.0, 0.25, 1.0, 0.5]);
        assert_eq!(shown, [[0.25, 0.1875, 0.0, 0.0], [0.0, 0.0625, 0.125, 0.0]]);
        assert_eq!(picture.alpha, Some(Array2::from_elem((1, 4), 0.25)));
    }

    proptest! {
        #[test]
        fn parts_are_what_is_painted_whatever_the_masks(
            values in prop::collection::vec((0.0f32..=1.0, 0.0f32..=1.0, 0.0f32..=1.0), 1..40),
            rest in any::<bool>(),
        ) {
            let masks = [values.iter().map(|v| v.0).collect::<Vec<_>>(), values.iter().map(|v| v.1).collect()];
            let masks = masks.map(|mask| plane(&mask));
            let keep = plane(&values.iter().map(|v| v.2).collect::<Vec<_>>());
            let mut groups = vec![group(Some(0), 0.3), group(Some(1), 0.2)];
            groups.extend(rest.then(|| group(None, 0.5)));
            let parts = parts(&groups, &masks, Some(&keep)).unwrap();
            for (pixel, value) in values.iter().enumerate() {
                let sum: f32 = parts.iter().map(|part| part.as_slice()[pixel]).sum();
                let painted = if rest || value.0 + value.1 > 0.0 { 1.0 - value.2 } else { 0.0 };
                prop_assert!((sum - painted).abs() < 1e-5, "{sum} of {painted}");
                prop_assert!(parts.iter().all(|part| part.as_slice()[pixel] >= 0.0));
            }
        }
    }
}
