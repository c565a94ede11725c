//! Pictures some rows at a time.
//!
//! A photograph of 100 megapixels is 300 MB as its file has it, and 1.2 GB in colours of four bytes. What a run wants of
//! it, other sizes, its brightness, a digest, can be made of a band of rows after the other, so that it need not be there
//! as the latter. Who makes it asks for [`Pixels`], and does not care who has them: an [`Original`], or a [`Picture`].

use std::ops::Range;

use ndarray::{Array2, Array3, Axis, s};
use rayon::prelude::*;

use super::Picture;
use super::color::{Model, ToSrgb};
use super::raster::{Raster, Samples, buffer};

/// Pixels that are colours of four bytes at a time, for each thread.
const BAND: usize = 1 << 16;

/// Where the rows of a picture come from.
pub trait Pixels: Sync {
    /// (H, W).
    fn size(&self) -> (usize, usize);

    /// Whether it has opacity.
    fn has_alpha(&self) -> bool;

    /// Some rows as a picture of their own, which has opacity if the whole has.
    fn rows(&self, rows: Range<usize>) -> Picture;
}

impl Pixels for Picture {
    fn size(&self) -> (usize, usize) {
        (self.height(), self.width())
    }

    fn has_alpha(&self) -> bool {
        self.alpha.is_some()
    }

    fn rows(&self, rows: Range<usize>) -> Picture {
        Picture {
            rgb: self.rgb.slice(s![rows.clone(), .., ..]).to_owned(),
            alpha: self.alpha.as_ref().map(|alpha| alpha.slice(s![rows, ..]).to_owned()),
        }
    }
}

/// Rows in a band.
pub(super) fn band(width: usize) -> usize {
    (BAND / width).max(1)
}

/// One band after the other, from the top down.
pub(crate) fn bands(source: &dyn Pixels) -> impl Iterator<Item = Picture> {
    let (height, width) = source.size();
    let band = band(width);
    (0..height).step_by(band).map(move |top| source.rows(top..(top + band).min(height)))
}

/// A picture as its file has it, in bytes of the file's own kind, but upright.
pub struct Original {
    height: usize,
    width: usize,
    model: Model,
    to_srgb: ToSrgb,
    /// Whether each pixel's colour is followed by its opacity.
    followed: bool,
    /// Whether that is ever less than 1.
    has_alpha: bool,
    samples: Samples,
}

impl Original {
    /// Of what a decoder delivered.
    pub(super) fn new(raster: Raster) -> Self {
        let Raster { model, has_alpha: followed, .. } = raster;
        let to_srgb = ToSrgb::new(model, raster.icc.as_deref());
        let ((height, width), samples) = raster.upright();
        let mut original = Original { height, width, model, to_srgb, followed, has_alpha: false, samples };
        let channels = original.channels();
        let seen_through = |y| original.row(y).chunks_exact(channels).any(|pixel| pixel[channels - 1] < 1.0);
        original.has_alpha = followed && (0..height).into_par_iter().any(seen_through);
        original
    }

    /// All of it.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn picture(&self) -> Result<Picture, String> {
        let pixels = (self.height * self.width) as u64;
        let mut rgb = buffer(3 * pixels)?;
        let mut alpha = buffer(if self.has_alpha { pixels } else { 0 })?;
        rgb.par_chunks_exact_mut(3 * self.width).enumerate().for_each(|(y, rgb)| self.colours(&self.row(y), rgb));
        // Without opacity this buffer is empty and has no rows.
        let rows = alpha.par_chunks_exact_mut(self.width).enumerate();
        rows.for_each(|(y, alpha)| self.opacity(&self.row(y), alpha));
        let rgb = Array3::from_shape_vec((self.height, self.width, 3), rgb).map_err(|e| e.to_string())?;
        let alpha = self.has_alpha.then(|| Array2::from_shape_vec((self.height, self.width), alpha));
        Ok(Picture { rgb, alpha: alpha.transpose().map_err(|e| e.to_string())? })
    }

    /// Samples of a pixel.
    fn channels(&self) -> usize {
        self.model.channels() + usize::from(self.followed)
    }

    /// The samples of a row, in [0, 1].
    fn row(&self, y: usize) -> Vec<f32> {
        self.samples.row(y, self.channels() * self.width)
    }

    /// Colours (W × 3) of a row of samples.
    fn colours(&self, row: &[f32], rgb: &mut [f32]) {
        if self.followed {
            let colours = row.chunks_exact(self.channels()).flat_map(|pixel| &pixel[..self.model.channels()]);
            self.to_srgb.row(&colours.copied().collect::<Vec<f32>>(), rgb);
        } else {
            self.to_srgb.row(row, rgb);
        }
    }

    /// Opacity (W) of a row of samples that have it.
    fn opacity(&self, row: &[f32], alpha: &mut [f32]) {
        alpha.iter_mut().zip(row.chunks_exact(self.channels())).for_each(|(a, pixel)| *a = pixel[pixel.len() - 1]);
    }
}

impl Pixels for Original {
    fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    fn has_alpha(&self) -> bool {
        self.has_alpha
    }

    fn rows(&self, rows: Range<usize>) -> Picture {
        let mut rgb = Array3::zeros((rows.len(), self.width, 3));
        let mut alpha = self.has_alpha.then(|| Array2::zeros((rows.len(), self.width)));
        for (i, mut rgb) in rgb.axis_iter_mut(Axis(0)).enumerate() {
            let row = self.row(rows.start + i);
            self.colours(&row, rgb.as_slice_mut().expect("a row of a new array is contiguous"));
            if let Some(alpha) = &mut alpha {
                let mut alpha = alpha.row_mut(i);
                self.opacity(&row, alpha.as_slice_mut().expect("a row of a new array is contiguous"));
            }
        }
        Picture { rgb, alpha }
    }
}
