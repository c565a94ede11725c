//! Maps at other sizes, and the exact adjoint: what a gradient at the new size is at the old one.
//!
//! ```text
//!   y = R · x · Cᵀ        x (h × w), y (H × W), per channel: R (H × h) mixes rows, C (W × w) columns
//!   dx = Rᵀ · dy · C      the adjoint: the same two loops over the transposed matrices
//! ```
//!
//! Both matrices are sparse, windows of a few weights: linear, cubic, or a triangle as wide as a pixel of the smaller
//! size. The numbers are those of PyTorch's `interpolate(…, align_corners=False)`.
//!
//! Work is cut into blocks of output rows. In a block the axis that makes less of the other's work comes first: a
//! picture that grows is stretched sideways while it has few rows, one that shrinks gathers its rows first. The adjoint
//! gathers too, where a scatter would have threads wait for each other: every number of threads gives the same bytes.

mod margin;
mod taps;

use rayon::prelude::*;
use serde::Serialize;

use super::scratch;
use super::simd::{Isa, Kernel, Simd};
use margin::Margin;
use taps::Taps;

/// Output rows per block.
const ROWS: usize = 16;

/// How values between samples are found. Sample i of an axis lies at i + ½, and both sizes cover the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Between the two nearest samples along each axis; the ends are repeated. Skips samples where it shrinks a map.
    Bilinear,
    /// As `Bilinear` where a map grows; where it shrinks, a triangle as wide as two pixels of the new size.
    Antialiased,
    /// Keys' cubic through four samples with A = −0.75; the ends are repeated. Overshoots.
    ///
    /// Source: Keys, *Cubic convolution interpolation for digital image processing*, 1981.
    Bicubic,
}

impl Interpolation {
    /// Every kind.
    pub const ALL: [Self; 3] = [Interpolation::Bilinear, Interpolation::Antialiased, Interpolation::Bicubic];
}

/// A linear map from maps (h × w × C) to maps (H × W × C), C alike and apart.
#[derive(Clone, Debug)]
pub struct Resample {
    forward: Separable,
    adjoint: Separable,
    /// Of maps whose opposite sides are joined: what is put around them.
    margin: Option<Margin>,
}

impl Resample {
    /// From `from` (h, w) to `to` (H, W), in pixels.
    ///
    /// # Panics
    /// If a side or the number of channels is 0.
    #[must_use]
    pub fn new(kind: Interpolation, from: (usize, usize), to: (usize, usize), channels: usize) -> Self {
        let sides = [from.0, from.1, to.0, to.1, channels];
        assert!(!sides.contains(&0), "nothing to resample: {from:?} to {to:?}, {channels} channels");
        Self::separable(Taps::new(kind, from.0, to.0), Taps::new(kind, from.1, to.1), channels)
    }

    /// The same of maps whose opposite sides are joined: nothing ends, and what moves around the map moves around its copy.
    ///
    /// # Panics
    /// If a side or the number of channels is 0.
    #[must_use]
    pub fn around(kind: Interpolation, from: (usize, usize), to: (usize, usize), channels: usize) -> Self {
        let sides = [from.0, from.1, to.0, to.1, channels];
        assert!(!sides.contains(&0), "nothing to resample: {from:?} to {to:?}, {channels} channels");
        let margin = [(from.0, to.0), (from.1, to.1)].map(|(from, to)| Taps::overhang(kind, from, to));
        let taps = |from, to| Taps::around(kind, from, to);
        let resample = Self::separable(taps(from.0, to.0), taps(from.1, to.1), channels);
        Resample { margin: Some(Margin { size: from, margin, channels }), ..resample }
    }

    /// [`Resample::blur`] of maps whose opposite sides are joined.
    ///
    /// # Panics
    /// If a side or the number of channels is 0.
    #[must_use]
    pub fn blur_around(size: (usize, usize), channels: usize, deviation: f64, radius: usize) -> Self {
        assert!(![size.0, size.1, channels].contains(&0), "nothing to blur: {size:?} × {channels}");
        let taps = |length| Taps::gaussian_around(length, deviation, radius);
        let resample = Self::separable(taps(size.0), taps(size.1), channels);
        Resample { margin: Some(Margin { size, margin: [radius; 2], channels }), ..resample }
    }

    /// A Gaussian blur of maps of one size: standard deviation in pixels, `2·radius + 1` taps along each axis that sum
    /// to 1, the border pixel repeated.
    ///
    /// # Panics
    /// If a side or the number of channels is 0.
    #[must_use]
    pub fn blur((height, width): (usize, usize), channels: usize, deviation: f64, radius: usize) -> Self {
        assert!(![height, width, channels].contains(&0), "nothing to blur: {height} × {width} × {channels}");
        let taps = |length| Taps::gaussian(length, deviation, radius);
        Self::separable(taps(height), taps(width), channels)
    }

    /// Means over the area of each new pixel along an axis that shrinks, linear interpolation along one that grows: what
    /// becomes of masks, of which nothing is to be lost.
    ///
    /// # Panics
    /// If a side or the number of channels is 0.
    #[must_use]
    pub fn area(from: (usize, usize), to: (usize, usize), channels: usize) -> Self {
        let sides = [from.0, from.1, to.0, to.1, channels];
        assert!(!sides.contains(&0), "nothing to resample: {from:?} to {to:?}, {channels} channels");
        Self::separable(Taps::area(from.0, to.0), Taps::area(from.1, to.1), channels)
    }

    fn separable(rows: Taps, columns: Taps, channels: usize) -> Self {
        let adjoint = Separable { rows: rows.transposed(), columns: columns.transposed(), channels };
        Resample { forward: Separable { rows, columns, channels }, adjoint, margin: None }
    }

    /// `y = A x`.
    ///
    /// # Panics
    /// If x is not (h × w × C) or y not (H × W × C).
    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        self.run(x, None, 0.0, y);
    }

    /// `y = A x + base`.
    ///
    /// # Panics
    /// If x is not (h × w × C), or `base` or y not (H × W × C).
    pub fn apply_add(&self, x: &[f32], base: &[f32], y: &mut [f32]) {
        self.run(x, Some(base), 1.0, y);
    }

    /// `d_x ← β·d_x + Aᵀ d_y`. With β = 0 d_x is not read.
    ///
    /// # Panics
    /// If d_y is not (H × W × C) or d_x not (h × w × C).
    pub fn adjoint(&self, d_y: &[f32], beta: f32, d_x: &mut [f32]) {
        match &self.margin {
            None => self.adjoint.run(d_y, None, beta, d_x),
            Some(margin) => scratch::with(margin.elements(), |wide| {
                self.adjoint.run(d_y, None, 0.0, wide);
                margin.fold(wide, beta, d_x);
            }),
        }
    }

    fn run(&self, x: &[f32], base: Option<&[f32]>, beta: f32, y: &mut [f32]) {
        match &self.margin {
            None => self.forward.run(x, base, beta, y),
            Some(margin) => scratch::with(margin.elements(), |wide| {
                margin.spread(x, wide);
                self.forward.run(wide, base, beta, y);
            }),
        }
    }
}

/// One direction: a matrix for each axis.
#[derive(Clone, Debug)]
struct Separable {
    rows: Taps,
    columns: Taps,
    channels: usize,
}

impl Separable {
    /// `y ← β·y + R x Cᵀ`, y set to `base` beforehand if there is one.
    fn run(&self, x: &[f32], base: Option<&[f32]>, beta: f32, y: &mut [f32]) {
        let (from, to) = (self.columns.inputs() * self.channels, self.columns.outputs() * self.channels);
        assert_eq!(x.len(), self.rows.inputs() * from, "elements of the map to resample");
        assert_eq!(y.len(), self.rows.outputs() * to, "elements of the resampled map");
        assert!(base.is_none_or(|base| base.len() == y.len()), "one element to add to each");
        let isa = Isa::detect();
        y.par_chunks_mut(ROWS * to).enumerate().for_each(|(block, y)| {
            if let Some(base) = base {
                y.copy_from_slice(&base[block * ROWS * to..][..y.len()]);
            }
            let first = block * ROWS;
            if self.rows.outputs() > self.rows.inputs() {
                let (low, high) = self.window(first, first + y.len() / to);
                let x = &x[low * from..];
                let stretched = (high - low) * to;
                scratch::with(stretched + 1, |scratch| {
                    isa.dispatch(ColumnsFirst { axes: self, first, low, x, stretched: scratch, beta, y });
                });
            } else {
                scratch::with(from + to + 2, |scratch| {
                    let (gathered, mixed) = scratch.split_at_mut(from + 1);
                    isa.dispatch(RowsFirst { axes: self, first, x, gathered, mixed, beta, y });
                });
            }
        });
    }

    /// The input rows that output rows `first` to `end` look at.
    fn window(&self, first: usize, end: usize) -> (usize, usize) {
        let firsts = (first..end).map(|i| self.rows.row(i).0);
        let (low, high) = firsts.fold((usize::MAX, 0), |(low, high), at| (low.min(at), high.max(at)));
        (low, high + self.rows.width())
    }
}

/// Every input row of a block stretched to the new width, then the output rows mixed from them.
struct ColumnsFirst<'a> {
    axes: &'a Separable,
    first: usize,
    /// The input row that `x` starts with.
    low: usize,
    x: &'a [f32],
    /// Those rows at the new width, and one element.
    stretched: &'a mut [f32],
    beta: f32,
    y: &'a mut [f32],
}

impl Kernel for ColumnsFirst<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Separable { rows, columns, channels } = self.axes;
        let (from, to) = (columns.inputs() * channels, columns.outputs() * channels);
        for row in 0..(self.stretched.len() - 1) / to {
            mix_columns(columns, *channels, &self.x[row * from..], from, &mut self.stretched[row * to..], to);
        }
        for (i, y) in self.y.chunks_exact_mut(to).enumerate() {
            let (first, weights) = rows.row(self.first + i);
            mix_rows(simd, weights, &self.stretched[(first - self.low) * to..], self.beta, y);
        }
    }
}

/// For each output row of a block its input rows mixed, then the columns of that one row.
struct RowsFirst<'a> {
    axes: &'a Separable,
    first: usize,
    x: &'a [f32],
    /// A row at the old width, and one element.
    gathered: &'a mut [f32],
    /// A row at the new width, and one element.
    mixed: &'a mut [f32],
    beta: f32,
    y: &'a mut [f32],
}

impl Kernel for RowsFirst<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Separable { rows, columns, channels } = self.axes;
        let (from, to) = (columns.inputs() * channels, columns.outputs() * channels);
        for (i, y) in self.y.chunks_exact_mut(to).enumerate() {
            let (first, weights) = rows.row(self.first + i);
            mix_rows(simd, weights, &self.x[first * from..], 0.0, &mut self.gathered[..from]);
            mix_columns(columns, *channels, self.gathered, from, self.mixed, to);
            mix_rows(simd, &[1.0], self.mixed, self.beta, y);
        }
    }
}

/// `y ← β·y + Σ_k weights[k] · (row k of x)`, rows as long as y.
#[inline(always)]
fn mix_rows<S: Simd>(simd: S, weights: &[f32], x: &[f32], beta: f32, y: &mut [f32]) {
    let row = y.len();
    for (i, y) in y.chunks_mut(S::LANES).enumerate() {
        let at = i * S::LANES;
        // What a fresh buffer holds is not read: it may be NaN.
        let mut sum = if beta == 0.0 { simd.splat(0.0) } else { simd.mul(simd.splat(beta), simd.load_partial(y)) };
        for (k, &weight) in weights.iter().enumerate() {
            sum = simd.fma(simd.splat(weight), simd.load_partial(&x[k * row + at..][..y.len()]), sum);
        }
        simd.store_partial(sum, y);
    }
}

/// One row: pixel j of y is the pixels of x in its window, weighted. Rows are `from` and `to` elements long; of what
/// lies beyond them, x may be read and y overwritten.
#[inline(always)]
fn mix_columns(columns: &Taps, channels: usize, x: &[f32], from: usize, y: &mut [f32], to: usize) {
    if channels != 3 {
        return mix_any_columns(columns, channels, &x[..from], &mut y[..to]);
    }
    // Four numbers a pixel make a vector: the fourth belongs to the next pixel, which is written later.
    for (j, (first, weights)) in columns.rows().enumerate() {
        let (start, length) = (3 * first, 3 * weights.len());
        if let (Some(x), Some(y)) = (x.get(start..start + length + 1), y.get_mut(3 * j..3 * j + 4)) {
            let mut sums = [0.0; 4];
            for (k, &weight) in weights.iter().enumerate() {
                for (sum, x) in sums.iter_mut().zip(&x[3 * k..3 * k + 4]) {
                    *sum += weight * x;
                }
            }
            y.copy_from_slice(&sums);
        } else {
            let mut sums = [0.0; 3];
            for (x, &weight) in x[start..start + length].chunks_exact(3).zip(weights) {
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
            }
            y[3 * j..3 * j + 3].copy_from_slice(&sums);
        }
    }
}

/// The same for any number of channels.
#[inline(always)]
fn mix_any_columns(columns: &Taps, channels: usize, x: &[f32], y: &mut [f32]) {
    for ((first, weights), y) in columns.rows().zip(y.chunks_exact_mut(channels)) {
        y.fill(0.0);
        for (x, &weight) in x[first * channels..].chunks_exact(channels).zip(weights) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += weight * x);
        }
    }
}

#[cfg(test)]
mod tests;
