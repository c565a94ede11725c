//! Other sizes of a picture.
//!
//! Lanczos (three lobes) where an axis shrinks, Catmull–Rom bicubic where it
//! grows, on the sRGB-encoded values: what image editors do, and without the
//! dark rims that Lanczos draws around highlights in linear light. Opacity is
//! multiplied in beforehand and divided out afterwards, so that the colours
//! nobody sees do not bleed into the ones around them.

use std::ops::Range;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use ndarray::{Array2, Array3, Axis, Zip};
use rayon::prelude::*;

use super::Picture;
use super::color::unit;
use super::pixels::{Pixels, band};

/// The size of a picture of `height` × `width` brought to `longest` pixels on its longer side: (height, width).
///
/// The other side keeps the aspect, rounded to the nearest pixel (halves up), at least 1. `longest`
/// 0 stands for the picture's own size.
///
/// ```
/// assert_eq!(impasto::picture::fit(512, 3000, 4000), (384, 512));
/// assert_eq!(impasto::picture::fit(0, 3000, 4000), (3000, 4000));
/// ```
#[must_use]
pub fn fit(longest: u32, height: usize, width: usize) -> (usize, usize) {
    let (long, target) = (height.max(width) as u128, u128::from(longest));
    if target == 0 || long == 0 {
        return (height, width);
    }
    let scaled = |side: usize| ((2 * side as u128 * target + long) / (2 * long)).max(1) as usize;
    (scaled(height), scaled(width))
}

impl Picture {
    /// This picture at another size, clamped to [0, 1]; the same size is an exact copy.
    ///
    /// # Panics
    /// If `height` or `width` is 0 or beyond 32 bits.
    #[must_use]
    pub fn resize(&self, height: usize, width: usize) -> Picture {
        resized(self, height, width)
    }
}

/// A picture at another size, as [`Picture::resize`], of rows from anywhere.
///
/// # Panics
/// As there.
#[must_use]
pub fn resized(source: &dyn Pixels, height: usize, width: usize) -> Picture {
    if (height, width) == source.size() {
        return source.rows(0..height);
    }
    let size = (height, width);
    let mut rgb = resample(source, size, |rows| rows.rgb);
    rgb.mapv_inplace(unit);
    let alpha = resized_alpha(source, height, width);
    if let Some(opacity) = &alpha {
        // Where nothing is seen the colours stay: the network looks there all the same. One colour after the other: a large
        // picture has no room for a second of all.
        for (c, mut colour) in rgb.axis_iter_mut(Axis(2)).enumerate() {
            let seen = resample(source, size, |rows| {
                let seen = &rows.rgb.index_axis(Axis(2), c) * rows.alpha.as_ref().expect("it has opacity");
                seen.insert_axis(Axis(2))
            });
            Zip::from(&mut colour).and(&seen.remove_axis(Axis(2))).and(opacity).for_each(|colour, &seen, &a| {
                if a > FAINTEST {
                    *colour = unit(seen / a);
                }
            });
        }
    }
    Picture { rgb, alpha }
}

/// The opacity alone of a picture at another size (H × W), if it has any.
#[must_use]
pub fn resized_alpha(source: &dyn Pixels, height: usize, width: usize) -> Option<Array2<f32>> {
    let plane = |rows: Picture| rows.alpha.expect("it has opacity").insert_axis(Axis(2));
    source.has_alpha().then(|| resample(source, (height, width), plane).remove_axis(Axis(2)).mapv_into(unit))
}

/// Opacity below which a colour cannot be divided out again: half a step of 8 bits.
const FAINTEST: f32 = 0.5 / 255.0;

/// What `of` makes of each band of rows (rows × W × 1 or 3), at another size: first each row, then each column, with the
/// filter for the one and the other.
fn resample(
    source: &dyn Pixels,
    (height, width): (usize, usize),
    of: impl Fn(Picture) -> Array3<f32> + Sync,
) -> Array3<f32> {
    let (from_height, from_width) = source.size();
    let filter = |from, to| if to < from { FilterType::Lanczos3 } else { FilterType::CatmullRom };
    let rows_of = |rows: Range<usize>| {
        let (count, map) = (rows.len(), of(source.rows(rows)));
        if width == from_width { map } else { convolve(&map, count, width, filter(from_width, width)) }
    };
    let channels = of(source.rows(0..1)).dim().2;
    let mut wide = Array3::zeros((from_height, width, channels));
    let band = band(from_width);
    let parts: Vec<_> = wide.axis_chunks_iter_mut(Axis(0), band).collect();
    parts.into_par_iter().enumerate().for_each(|(i, mut part)| {
        let top = i * band;
        part.assign(&rows_of(top..(top + band).min(from_height)));
    });
    if height == from_height { wide } else { convolve(&wide, height, width, filter(from_height, height)) }
}

/// (H × W × 1 or 3) → (`height` × `width` × same).
fn convolve(map: &Array3<f32>, height: usize, width: usize, filter: FilterType) -> Array3<f32> {
    assert!(height > 0 && width > 0, "cannot resize to {height} × {width}");
    match map.dim().2 {
        3 => convolve_pixels::<F32x3>(map, height, width, filter),
        1 => convolve_pixels::<F32>(map, height, width, filter),
        _ => panic!("a map to resize has 1 or 3 channels, not {:?}", map.dim()),
    }
}

/// [`convolve`] for one type of pixel: naming it keeps the code for all others out of the program.
fn convolve_pixels<P: PixelTrait>(map: &Array3<f32>, height: usize, width: usize, filter: FilterType) -> Array3<f32> {
    let (from_height, from_width, channels) = map.dim();
    let side = |length: usize| u32::try_from(length).expect("sides of a picture fit 32 bits");
    let source = map.as_standard_layout();
    let bytes = bytemuck::cast_slice(source.as_slice().expect("standard layout is contiguous"));
    let source = TypedImageRef::<P>::from_buffer(side(from_width), side(from_height), bytes);
    let source = source.expect("the buffer fits its size");
    let mut resized = Array3::zeros((height, width, channels));
    let bytes = bytemuck::cast_slice_mut(resized.as_slice_mut().expect("a new array is contiguous"));
    let mut target = TypedImage::<P>::from_buffer(side(width), side(height), bytes).expect("the buffer fits its size");
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    Resizer::new().resize_typed(&source, &mut target, &options).expect("both sides are whole pictures");
    resized
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ramp(height: usize, width: usize) -> Array3<f32> {
        Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
            0.2 + 0.3 * (y as f32 + 0.5) / height as f32 + 0.2 * (x as f32 + 0.5) / width as f32 + 0.1 * c as f32
        })
    }

    #[test]
    fn fit_scales_the_longest_side_and_rounds_the_other() {
        assert_eq!(fit(512, 600, 800), (384, 512));
        assert_eq!(fit(512, 800, 600), (512, 384));
        assert_eq!(fit(100, 3, 8), (38, 100), "37.5 rounds up");
        assert_eq!(fit(10, 1, 4000), (1, 10), "no side vanishes");
        assert_eq!(fit(0, 7, 9), (7, 9));
        assert_eq!(fit(9, 7, 9), (7, 9));
    }

    proptest! {
        #[test]
        fn fit_reaches_the_longest_side_and_keeps_the_aspect(
            longest in 1u32..100_000, height in 1usize..100_000, width in 1usize..100_000,
        ) {
            let (h, w) = fit(longest, height, width);
            prop_assert_eq!(h.max(w), longest as usize);
            let scale = f64::from(longest) / height.max(width) as f64;
            for (fitted, side) in [(h, height), (w, width)] {
                let exact = (side as f64 * scale).max(1.0);
                prop_assert!((fitted as f64 - exact).abs() <= 0.5 + 1e-6, "{} for {}", fitted, exact);
            }
        }

        #[test]
        fn a_resized_picture_stays_in_range_and_a_flat_one_stays_flat(
            from in (1usize..40, 1usize..40),
            to in (1usize..40, 1usize..40),
            level in 0.0f32..=1.0,
            seed in any::<u32>(),
        ) {
            let noise = Array3::from_shape_fn((from.0, from.1, 3), |(y, x, c)| {
                let hash = (seed ^ (y * 977 + x * 31 + c) as u32).wrapping_mul(2_654_435_761);
                (hash >> 31) as f32
            });
            let resized = Picture::from_rgb(noise).resize(to.0, to.1);
            prop_assert_eq!(resized.rgb.dim(), (to.0, to.1, 3));
            prop_assert!(resized.rgb.iter().all(|v| (0.0..=1.0).contains(v)));

            let flat = Picture::from_rgb(Array3::from_elem((from.0, from.1, 3), level)).resize(to.0, to.1);
            // The filters' weights sum to 1 up to rounding.
            prop_assert!(flat.rgb.iter().all(|v| (v - level).abs() <= 1e-5));
        }
    }

    #[test]
    fn a_ramp_resized_is_the_ramp_sampled_elsewhere() {
        for (height, width) in [(20, 24), (80, 96), (20, 96), (80, 24), (40, 24), (20, 48)] {
            let resized = Picture::from_rgb(ramp(40, 48)).resize(height, width);
            let expected = ramp(height, width);
            // Away from the edges, where the filters' windows are cut.
            for y in height / 5..height * 4 / 5 {
                for x in width / 5..width * 4 / 5 {
                    let off = (resized.rgb[[y, x, 1]] - expected[[y, x, 1]]).abs();
                    assert!(off < 2e-3, "{height} × {width} at {y}, {x}: off by {off}");
                }
            }
        }
    }

    #[test]
    fn a_picture_resized_in_bands_is_to_the_bit_what_it_is_in_one() {
        // More than one band of rows, the last one lower.
        for (height, width) in [(300, 260), (70_000, 17), (20, 40_000)] {
            let picture = Picture::from_rgb(ramp(height, width));
            assert!(band(width) < height);
            for to in [(37, 53), (height, 53), (37, width), (height + 3, 64)] {
                let filter = |from, to| if to < from { FilterType::Lanczos3 } else { FilterType::CatmullRom };
                let whole = match (filter(height, to.0), filter(width, to.1)) {
                    (vertical, horizontal) if vertical == horizontal || to.0 == height || to.1 == width => {
                        convolve(&picture.rgb, to.0, to.1, if to.1 == width { vertical } else { horizontal })
                    }
                    _ => continue,
                };
                assert!(picture.resize(to.0, to.1).rgb == whole.mapv_into(unit), "{height} × {width} to {to:?}");
            }
        }
    }

    #[test]
    fn hidden_colours_do_not_bleed_into_visible_ones() {
        // Left half opaque blue, right half fully transparent red.
        let mut picture = Picture::from_rgb(Array3::zeros((32, 32, 3)));
        let mut alpha = Array2::zeros((32, 32));
        for ((y, x), a) in alpha.indexed_iter_mut() {
            *a = if x < 16 { 1.0 } else { 0.0 };
            picture.rgb[[y, x, if x < 16 { 2 } else { 0 }]] = 1.0;
        }
        picture.alpha = Some(alpha);
        for size in [16, 24, 77] {
            let resized = picture.resize(size, size);
            let alpha = resized.alpha.as_ref().unwrap();
            assert_eq!(alpha.dim(), (size, size));
            for ((y, x), &a) in alpha.indexed_iter() {
                assert!((0.0..=1.0).contains(&a));
                let red = resized.rgb[[y, x, 0]];
                assert!(a <= FAINTEST || red < 1e-3, "red {red} shows at opacity {a}, size {size}");
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = Picture { rgb: ramp(17, 19), alpha: Some(Array2::from_elem((17, 19), 0.5)) };
        assert_eq!(picture.resize(17, 19), picture);
    }
}
