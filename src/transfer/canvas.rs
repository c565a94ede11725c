//! What the optimiser moves, and how it becomes a picture.
//!
//! ```text
//!   x ─halve─▶ x₁ ─halve─▶ x₂        encode   θ₀ = x − up(x₁)   θ₁ = x₁ − up(x₂)   θ₂ = x₂
//!   │          │           │
//!   θ₀         θ₁          θ₂        decode   x = θ₀ + up(θ₁ + up(θ₂))
//!   fine ───────────────▶ coarse     adjoint  d_θ₀ = d_x   d_θ₁ = upᵀ d_θ₀   d_θ₂ = upᵀ d_θ₁
//! ```
//!
//! Adam moves every variable by about its learning rate, whatever the gradient's size. Moved pixel by pixel, a sky
//! that should be brighter takes as many steps as there are greys to cross, and its grain is moved as readily. In a
//! Laplacian pyramid one coefficient lifts the whole sky: tones are right within a few steps, and the finest level,
//! one variable among many for each pixel, stays calm.
//!
//! Decoding is linear, so a gradient comes back through the transposed interpolations, exactly.

use std::ops::Range;

use crate::config::CanvasKind;
use crate::kernels::reduce::BLOCK;
use crate::kernels::resample::{Interpolation, Resample};
use crate::kernels::scratch;
use crate::kernels::variation::Edges;
use crate::tensor::FeatureMap;
use rayon::prelude::*;

/// Colours of a picture.
const CHANNELS: usize = 3;

/// The most levels of a pyramid: eight halve 512 pixels to 4.
const LEVELS: usize = 8;

/// A level whose shorter side is below this is not divided any more.
const SMALLEST: usize = 4;

/// The way from variables θ to a picture (H × W × 3) of one size: the levels of a Laplacian pyramid one after the
/// other, the finest first, each (H_l × W_l × 3). Pixels are a pyramid of one level.
///
/// Each level has half the sides of the one before, rounded down; up to eight, until the shorter side is below 4.
///
/// Source: Burt & Adelson, *The Laplacian Pyramid as a Compact Image Code*, 1983, with a triangle (twice the new pixel
/// wide) for their generating kernel, and linear interpolation on the way back.
#[derive(Clone, Debug)]
pub struct Canvas {
    levels: Vec<Level>,
    /// From level l + 1 to level l.
    enlarge: Vec<Resample>,
    edges: Edges,
}

/// One level of a pyramid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Where in θ its coefficients begin.
    pub start: usize,
}

impl Level {
    /// (H_l, W_l).
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Its coefficients in θ, (H_l × W_l × 3).
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + CHANNELS * self.height * self.width
    }
}

impl Canvas {
    /// A canvas for pictures of `height` × `width` pixels.
    ///
    /// # Panics
    /// If a side is 0.
    #[must_use]
    pub fn new(kind: CanvasKind, height: usize, width: usize) -> Self {
        Self::with_edges(kind, Edges::Open, height, width)
    }

    /// The same for pictures whose opposite sides may be joined: then a level is divided only where nothing is left over,
    /// and a coefficient at an edge reaches around it.
    ///
    /// # Panics
    /// If a side is 0.
    #[must_use]
    pub fn with_edges(kind: CanvasKind, edges: Edges, height: usize, width: usize) -> Self {
        let most = match kind {
            CanvasKind::Pixels => 1,
            CanvasKind::Pyramid => LEVELS,
        };
        Self::build(most, edges, height, width)
    }

    /// A pyramid of up to `most` levels, at least one.
    ///
    /// # Panics
    /// If a side is 0.
    #[must_use]
    pub fn with_levels(most: usize, height: usize, width: usize) -> Self {
        Self::build(most, Edges::Open, height, width)
    }

    /// [`Canvas::with_levels`] with edges.
    ///
    /// # Panics
    /// If a side is 0.
    #[must_use]
    pub fn build(most: usize, edges: Edges, height: usize, width: usize) -> Self {
        assert!(height > 0 && width > 0, "a canvas of {height} × {width}");
        let mut levels = vec![Level { height, width, start: 0 }];
        let divided = |last: &Level| {
            let (shorter, odd) = (last.height.min(last.width), last.height % 2 + last.width % 2);
            shorter >= SMALLEST && (edges == Edges::Open || odd == 0)
        };
        while let Some(last) = levels.last().filter(|last| levels.len() < most && divided(last)) {
            let next = Level { height: last.height / 2, width: last.width / 2, start: last.range().end };
            levels.push(next);
        }
        let enlarge =
            levels.windows(2).map(|pair| resample(edges, Interpolation::Bilinear, pair[1].size(), pair[0].size()));
        Canvas { enlarge: enlarge.collect(), levels, edges }
    }

    /// Whether opposite sides are joined.
    #[must_use]
    pub fn edges(&self) -> Edges {
        self.edges
    }

    /// Elements of θ.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.levels.last().expect("at least one level").range().end
    }

    /// The levels, the finest first.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// θ of the picture x (H × W × 3): what decodes to it, but for rounding.
    ///
    /// # Panics
    /// If x has another size.
    #[must_use]
    pub fn encode(&self, x: &FeatureMap) -> Vec<f32> {
        self.check(x);
        let mut theta = vec![0.0; self.variables()];
        theta[self.levels[0].range()].copy_from_slice(x.as_slice());
        for (pair, enlarge) in self.levels.windows(2).zip(&self.enlarge) {
            let (fine, coarse) = theta.split_at_mut(pair[1].start);
            let (fine, coarse) = (&mut fine[pair[0].start..], &mut coarse[..pair[1].range().len()]);
            resample(self.edges, Interpolation::Antialiased, pair[0].size(), pair[1].size()).apply(fine, coarse);
            let mut blurred = vec![0.0; fine.len()];
            enlarge.apply(coarse, &mut blurred);
            fine.iter_mut().zip(&blurred).for_each(|(x, blurred)| *x -= blurred);
        }
        theta
    }

    /// The picture (H × W × 3) of variables θ, not clamped. Linear in θ.
    ///
    /// # Panics
    /// If θ is not [`Canvas::variables`] long, or x has another size.
    pub fn decode(&self, theta: &[f32], x: &mut FeatureMap) {
        self.check(x);
        assert_eq!(theta.len(), self.variables(), "one variable for each coefficient");
        let Some((first, others)) = self.enlarge.split_first() else {
            return x.as_mut_slice().copy_from_slice(theta);
        };
        let (finest, rest) = theta.split_at(self.levels[1].start);
        // The pictures of the coarser levels, each where its coefficients are in `rest`.
        scratch::with(rest.len(), |pictures| {
            let at = |level: &Level| level.start - finest.len()..level.range().end - finest.len();
            let coarsest = at(&self.levels[self.levels.len() - 1]);
            pictures[coarsest.clone()].copy_from_slice(&rest[coarsest]);
            // ANCHOR: decode
            for (pair, enlarge) in self.levels[1..].windows(2).zip(others).rev() {
                let (fine, coarse) = (at(&pair[0]), at(&pair[1]));
                let (fines, coarses) = pictures.split_at_mut(coarse.start);
                enlarge.apply_add(&coarses[..coarse.len()], &rest[fine.clone()], &mut fines[fine]);
            }
            // ANCHOR_END: decode
            first.apply_add(&pictures[at(&self.levels[1])], finest, x.as_mut_slice());
        });
    }

    /// Decodes θ with every value cut to [0, 1].
    ///
    /// # Panics
    /// As [`Canvas::decode`].
    pub fn show(&self, theta: &[f32], x: &mut FeatureMap) {
        self.decode(theta, x);
        clamp(x);
    }

    /// A map for the picture's gradient, with room behind it for the coarser levels': see [`Canvas::pull_back`].
    ///
    /// Its elements are those of `room`, where that is an earlier gradient.
    #[must_use]
    pub fn gradient(&self, mut room: Vec<f32>) -> FeatureMap {
        room.reserve_exact(self.variables().saturating_sub(room.len()));
        room.resize(self.levels[0].range().len(), 0.0);
        FeatureMap::from_vec(self.levels[0].height, self.levels[0].width, CHANNELS, room)
    }

    /// The gradient with respect to θ from the one with respect to the picture: the adjoint of [`Canvas::decode`].
    ///
    /// What is given for the finest level is its gradient: it stays where it is if there is room, as
    /// [`Canvas::gradient`] leaves it, for the others.
    ///
    /// # Panics
    /// If d_x has another size.
    #[must_use]
    pub fn pull_back(&self, d_x: FeatureMap) -> Vec<f32> {
        self.check(&d_x);
        let mut d_theta = d_x.into_buffer().into_vec();
        d_theta.resize(self.variables(), 0.0);
        for (pair, enlarge) in self.levels.windows(2).zip(&self.enlarge) {
            let (fine, coarse) = d_theta.split_at_mut(pair[1].start);
            enlarge.adjoint(&fine[pair[0].start..], 0.0, &mut coarse[..pair[1].range().len()]);
        }
        d_theta
    }

    /// Decodes θ with every value cut to [0, 1], and takes what was cut off out of θ's finest level, so that θ decodes
    /// to x but for rounding.
    ///
    /// # Panics
    /// If θ is not [`Canvas::variables`] long, or x has another size.
    pub fn clamp(&self, theta: &mut [f32], x: &mut FeatureMap) {
        self.decode(theta, x);
        let finest = theta[self.levels[0].range()].par_chunks_mut(BLOCK);
        finest.zip(x.as_mut_slice().par_chunks_mut(BLOCK)).for_each(|(finest, x)| {
            for (coefficient, x) in finest.iter_mut().zip(x) {
                let inside = x.clamp(0.0, 1.0);
                *coefficient -= *x - inside;
                *x = inside;
            }
        });
    }

    /// Variables of this canvas, such as an optimiser's moments, for a canvas of another size: level by level, counted
    /// from the finest. Levels that this canvas lacks are 0; levels that `to` lacks are left out.
    ///
    /// # Panics
    /// If there are not [`Canvas::variables`] of them.
    #[must_use]
    pub fn resize(&self, variables: Vec<f32>, to: &Canvas, interpolation: Interpolation) -> Vec<f32> {
        assert_eq!(variables.len(), self.variables(), "one variable for each coefficient");
        if self.levels[0].size() == to.levels[0].size() && self.levels.len() == to.levels.len() {
            return variables;
        }
        let mut resized = vec![0.0; to.variables()];
        for (from, to) in self.levels.iter().zip(&to.levels) {
            let resample = resample(self.edges, interpolation, from.size(), to.size());
            resample.apply(&variables[from.range()], &mut resized[to.range()]);
        }
        resized
    }

    /// Whether variables are pixels.
    fn is_picture(&self) -> bool {
        self.levels.len() == 1
    }

    fn check(&self, x: &FeatureMap) {
        let (height, width) = self.levels[0].size();
        assert_eq!(x.dim(), (height, width, CHANNELS), "the picture of this canvas");
    }
}

/// A resampling of pictures, around their edges if those are joined.
pub(super) fn resample(
    edges: Edges,
    interpolation: Interpolation,
    from: (usize, usize),
    to: (usize, usize),
) -> Resample {
    match edges {
        Edges::Open => Resample::new(interpolation, from, to, CHANNELS),
        Edges::Joined => Resample::around(interpolation, from, to, CHANNELS),
    }
}

/// Variables and the picture they stand for: the same numbers, there once, where a canvas has one level.
#[derive(Clone, Debug)]
pub struct Point {
    /// None of their own for pixels.
    theta: Vec<f32>,
    picture: FeatureMap,
}

impl Point {
    /// The variables of a picture, and that picture with every value in [0, 1].
    ///
    /// # Panics
    /// If it has not the canvas's size.
    #[must_use]
    pub fn new(canvas: &Canvas, picture: FeatureMap) -> Self {
        let theta = if canvas.is_picture() { Vec::new() } else { canvas.encode(&picture) };
        let mut point = Point { theta, picture };
        point.settle(canvas);
        point
    }

    /// The two as they were kept.
    ///
    /// # Panics
    /// If they have not the canvas's size.
    #[must_use]
    pub fn of(canvas: &Canvas, theta: Vec<f32>, picture: FeatureMap) -> Self {
        canvas.check(&picture);
        assert_eq!(theta.len(), canvas.variables(), "one variable for each coefficient");
        Point { theta: if canvas.is_picture() { Vec::new() } else { theta }, picture }
    }

    /// θ.
    #[must_use]
    pub fn variables(&self) -> &[f32] {
        if self.theta.is_empty() { self.picture.as_slice() } else { &self.theta }
    }

    /// θ, to move: until it settles the picture is an earlier one.
    pub fn variables_mut(&mut self) -> &mut [f32] {
        if self.theta.is_empty() { self.picture.as_mut_slice() } else { &mut self.theta }
    }

    /// The picture (H × W × 3).
    #[must_use]
    pub fn picture(&self) -> &FeatureMap {
        &self.picture
    }

    /// Makes the picture that of the variables, and both lie in [0, 1]: see [`Canvas::clamp`].
    pub fn settle(&mut self, canvas: &Canvas) {
        if self.theta.is_empty() {
            clamp(&mut self.picture);
        } else {
            canvas.clamp(&mut self.theta, &mut self.picture);
        }
    }

    /// Makes the picture that of these variables, or of its own, with every value in [0, 1].
    pub fn show(&mut self, canvas: &Canvas, theta: Option<&[f32]>) {
        match theta {
            None if self.theta.is_empty() => clamp(&mut self.picture),
            theta => canvas.show(theta.unwrap_or(&self.theta), &mut self.picture),
        }
    }

    /// The elements of the picture that was evaluated before the variables moved, these being the variables it had.
    #[must_use]
    pub fn evaluated<'a>(&'a self, theta: Option<&'a [f32]>) -> &'a [f32] {
        if self.theta.is_empty() { theta.expect("what was evaluated") } else { self.picture.as_slice() }
    }

    /// The picture alone.
    #[must_use]
    pub fn into_picture(self) -> FeatureMap {
        self.picture
    }
}

fn clamp(picture: &mut FeatureMap) {
    picture.as_mut_slice().par_chunks_mut(BLOCK).for_each(|x| x.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0)));
}

#[cfg(test)]
mod tests;
