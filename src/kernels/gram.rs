//! FᵀF, with or without ΣF, and their gradient.
//!
//! A Gram matrix sums over hundreds of thousands of pixels. It is summed in
//! `f32` over 192 pixels, those sums in `f32` over a block of pixels, and the
//! blocks' in `f64`, in order: more exact than one long `f32` sum, and the same
//! for every thread count. A block is some whole rows of the map, and how many
//! depends on their length alone: so a strip of a map has the sums that the map
//! has there.
//!
//! ```text
//!                    panels of channels                G
//!              ┌────┬────┬────┬────┐         ┌────┬────┬────┬────┐
//!  192 pixels  │ 0  │ 1  │ 2  │ 3  │         │ 00 │ 01 │ 02 │ 03 │
//!              └────┴────┴────┴────┘         ├────┼────┼────┼────┤
//!     packed: each panel is contiguous       │    │ 11 │ 12 │ 13 │
//!                                            ├────┼────┼────┼────┤   panel 2 of the sums:
//!     square ij += panel iᵀ · panel j        │    │    │ 22 │ 23 │   squares 02, 12, 22
//!                                            ├────┼────┼────┼────┤
//!                                            │    │    │    │ 33 │
//!                                            └────┴────┴────┴────┘
//! ```
//!
//! Only the squares on and above the diagonal are computed; the others are
//! their mirror images. A task is one block of pixels and some panels.

mod sums;

use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::matmul::pack;
use super::scratch;
use super::simd::{Element, Isa, Kernel, Panels, Simd, gemm_block, gemm_panels_transposed, panel_width};
use crate::tensor::{Dtype, FeatureMap};

pub use sums::Sums;

/// Pixels packed and multiplied at a time: two panels of them fit a first-level cache.
const DEPTH: usize = 192;

/// Elements between packed panels: a cache line keeps them from competing for the same places.
const GAP: usize = 16;

/// Pixels whose sums stay in `f32`, whole rows of a map so wide: few enough that many threads find work, enough that the
/// N² sums of a block are small beside its pixels.
fn block(width: usize, channels: usize) -> usize {
    let wanted = (channels * channels / 16).clamp(4 * DEPTH, 8192);
    width * wanted.div_ceil(width.max(1))
}

/// `G = FᵀF` (N × N), F (M × N); symmetric to the last bit.
#[must_use]
pub fn gram<E: Element>(features: &FeatureMap<E>) -> Array2<f32> {
    product::<E, false>(features, Isa::detect())
}

/// `[F 1]ᵀF` (N+1 × N): the Gram matrix, and below it the sums ΣF of the channels. F (M × N).
#[must_use]
pub fn moments<E: Element>(features: &FeatureMap<E>) -> Array2<f32> {
    product::<E, true>(features, Isa::detect())
}

/// What a gradient of sums over pixels does to each of them: f ↦ f·S + r.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// S = dG + dGᵀ (N × N).
    pub s: ArrayView2<'a, f32>,
    /// r = dΣ (N), if the sums have a gradient.
    pub row: Option<&'a [f32]>,
}

impl<'a> Affine<'a> {
    /// f ↦ f·S.
    #[must_use]
    pub fn linear(s: ArrayView2<'a, f32>) -> Self {
        Affine { s, row: None }
    }
}

/// `d_F ← β·d_F + F·S + 1·r`. Sums are in `f32`; a d_F of bf16 is rounded once.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward<E: Element>(features: &FeatureMap<E>, map: Affine<'_>, beta: f32, d_features: &mut FeatureMap<E>) {
    assert_eq!(features.dim(), d_features.dim(), "d_F has F's shape");
    product_backward(Some(features), map, beta, d_features, Isa::detect());
}

/// `d_F ← F·S + 1·r` where F was: [`backward`] with β = 0 in half the memory.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward_over<E: Element>(features: &mut FeatureMap<E>, map: Affine<'_>) {
    product_backward(None, map, 0.0, features, Isa::detect());
}

/// [`gram`] by its definition, in `f64`.
#[must_use]
pub fn reference_gram(features: &FeatureMap) -> Array2<f32> {
    let n = features.channels();
    let mut sums = Array2::<f64>::zeros((n, n));
    for pixel in features.as_matrix().rows() {
        for ((i, j), sum) in sums.indexed_iter_mut() {
            *sum += f64::from(pixel[i]) * f64::from(pixel[j]);
        }
    }
    sums.mapv(|sum| sum as f32)
}

/// [`backward`] by its definition, in `f64`.
pub fn reference_backward(features: &FeatureMap, map: Affine<'_>, beta: f32, d_features: &mut FeatureMap) {
    let (n, s) = (features.channels(), map.s);
    for (pixel, d_pixel) in features.as_slice().chunks(n).zip(d_features.as_mut_slice().chunks_mut(n)) {
        for (j, d) in d_pixel.iter_mut().enumerate() {
            let sum: f64 = pixel.iter().zip(s.column(j)).map(|(&f, &s)| f64::from(f) * f64::from(s)).sum();
            let sum = sum + map.row.map_or(0.0, |row| f64::from(row[j]));
            // With β = 0 the buffer's contents are unspecified and must not be read: 0·NaN is NaN.
            *d = if beta == 0.0 { sum } else { sum + f64::from(beta * *d) } as f32;
        }
    }
}

/// How the squares of G on and above the diagonal lie in memory: panel by panel of columns, from the top down.
#[derive(Clone, Copy, Debug)]
struct Triangle {
    /// Rows and columns of a square.
    width: usize,
    /// Panels, the last perhaps partly of zeros.
    panels: usize,
}

impl Triangle {
    /// Elements before a panel.
    fn start(&self, panel: usize) -> usize {
        panel * (panel + 1) / 2 * self.width * self.width
    }

    fn len(&self) -> usize {
        self.start(self.panels)
    }

    /// Row `i` of G: a column as far as the diagonal, for G is symmetric, then a piece of each panel.
    fn copy_row(&self, squares: &[f64], i: usize, row: &mut [f32]) {
        let own = i / self.width;
        let column = squares[self.start(own) + i % self.width..].iter().step_by(self.width);
        row[..i].iter_mut().zip(column).for_each(|(g, mirrored)| *g = *mirrored as f32);
        for panel in own..self.panels {
            let (first, end) = (i.max(panel * self.width), row.len().min((panel + 1) * self.width));
            let from = self.start(panel) + i * self.width + first % self.width;
            row[first..end].iter_mut().zip(&squares[from..]).for_each(|(g, &square)| *g = square as f32);
        }
    }

    /// Cuts the panels into `count` runs of nearly equal work.
    fn split(&self, count: usize) -> impl Iterator<Item = Range<usize>> {
        let (panels, all) = (self.panels, self.panels * (self.panels + 1));
        let bound = move |i: usize| (0..panels).find(|&p| p * (p + 1) * count >= i * all).unwrap_or(panels);
        (0..count).map(move |i| bound(i)..bound(i + 1)).filter(|run| !run.is_empty())
    }
}

/// FᵀF, and below it ΣF if `SUMS`.
fn product<E: Element, const SUMS: bool>(features: &FeatureMap<E>, isa: Isa) -> Array2<f32> {
    let layout = Layout::new(features.width(), features.channels(), SUMS, isa);
    // Twice as many, for they are doubles.
    scratch::with(2 * layout.used(), |totals| {
        let totals: &mut [f64] = bytemuck::cast_slice_mut(totals);
        totals.fill(NOTHING);
        layout.add(features.as_slice(), totals);
        layout.finish(totals)
    })
}

/// What can be added to anything without a trace: −0 + 0 is 0, but 0 + −0 is not −0.
const NOTHING: f64 = -0.0;

/// How the sums of a map of some width are blocked, and lie in memory: the triangle, then those of the channels.
#[derive(Clone, Copy, Debug)]
struct Layout {
    isa: Isa,
    triangle: Triangle,
    channels: usize,
    /// Pixels of a block.
    block: usize,
    /// Whether those of the channels are wanted.
    sums: bool,
}

impl Layout {
    fn new(width: usize, channels: usize, sums: bool, isa: Isa) -> Self {
        let triangle = Triangle { width: isa.panel_width(), panels: channels.div_ceil(isa.panel_width()) };
        Layout { isa, triangle, channels, block: block(width, channels), sums }
    }

    /// Elements of a block's sums.
    fn all(&self) -> usize {
        self.triangle.len() + self.triangle.panels * self.triangle.width
    }

    /// Those that are wanted.
    fn used(&self) -> usize {
        if self.sums { self.all() } else { self.triangle.len() }
    }

    /// Adds whole blocks of F, or those that end it, to the totals.
    fn add<E: Element>(&self, features: &[E], totals: &mut [f64]) {
        let blocks = features.len().div_ceil((self.block * self.channels).max(1));
        scratch::with(blocks * self.all(), |sums| {
            self.sum(features, sums, false);
            self.merge(sums, totals);
        });
    }

    /// The sums of some blocks, one after the other; added to what is there of a block that has `begun` with whole chunks.
    fn sum<E: Element>(&self, features: &[E], sums: &mut [f32], begun: bool) {
        if self.sums {
            self.sum_blocks::<E, true>(features, sums, begun);
        } else {
            self.sum_blocks::<E, false>(features, sums, begun);
        }
    }

    fn sum_blocks<E: Element, const SUMS: bool>(&self, features: &[E], sums: &mut [f32], begun: bool) {
        let Layout { isa, triangle, channels: n, block, .. } = *self;
        let blocks = sums.len() / self.all().max(1);
        // The result does not depend on how panels are shared out: only blocks are added up.
        let runs = (4 * rayon::current_num_threads()).div_ceil(blocks.max(1)).clamp(1, triangle.panels.max(1));
        let mut tasks = Vec::with_capacity(blocks * runs);
        for (features, sums) in features.chunks((block * n).max(1)).zip(sums.chunks_mut(self.all().max(1))) {
            let (mut squares, mut columns) = sums.split_at_mut(triangle.len());
            for panels in triangle.split(runs) {
                let length = triangle.start(panels.end) - triangle.start(panels.start);
                let own = squares.split_off_mut(..length).expect("squares of every panel");
                let own_columns = columns.split_off_mut(..panels.len() * triangle.width).expect("sums of every panel");
                tasks.push((features, panels, own, own_columns));
            }
        }
        tasks.into_par_iter().for_each(|(features, panels, sums, columns)| {
            scratch::with(panels.end * (DEPTH * triangle.width + GAP), |packed| {
                isa.dispatch(Block::<E, SUMS> { features, channels: n, panels, packed, sums, columns, begun });
            });
        });
    }

    /// Adds the sums of blocks to the totals, in order.
    fn merge(&self, sums: &[f32], totals: &mut [f64]) {
        totals.par_chunks_mut(MERGED).enumerate().for_each(|(chunk, totals)| {
            self.isa.dispatch(Merge { start: chunk * MERGED, stride: self.all(), totals, sums });
        });
    }

    /// The matrix that the totals are.
    fn finish(&self, totals: &[f64]) -> Array2<f32> {
        let n = self.channels;
        let mut g = Array2::zeros((n + usize::from(self.sums), n));
        let rows = g.as_slice_mut().expect("a new matrix is contiguous").par_chunks_mut(n.max(1));
        rows.enumerate().for_each(|(i, row)| match i.checked_sub(n) {
            None => self.triangle.copy_row(totals, i, row),
            Some(_) => row.iter_mut().zip(&totals[self.triangle.len()..]).for_each(|(r, &sum)| *r = sum as f32),
        });
        g
    }
}

/// The sums over one block of pixels, of some panels of G.
struct Block<'a, E, const SUMS: bool> {
    features: &'a [E],
    channels: usize,
    panels: Range<usize>,
    packed: &'a mut [f32],
    sums: &'a mut [f32],
    /// The sums of those panels' channels.
    columns: &'a mut [f32],
    /// Whether there are sums already, which these are added to.
    begun: bool,
}

impl<E: Element, const SUMS: bool> Kernel for Block<'_, E, SUMS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = panel_width::<S>();
        let stride = DEPTH * width + GAP;
        for (chunk, pixels) in self.features.chunks(DEPTH * self.channels).enumerate() {
            let depth = pixels.len() / self.channels;
            for (k, pixel) in pixels.chunks_exact(self.channels).enumerate() {
                pack_row(simd, pixel, self.panels.end, &mut self.packed[k * width..], stride);
            }
            let mut squares = self.sums.chunks_exact_mut(width * width);
            for (column, sums) in self.panels.clone().zip(self.columns.chunks_exact_mut(width)) {
                if SUMS {
                    add_rows(simd, &self.packed[column * stride..][..depth * width], sums, self.begun || chunk > 0);
                }
                for row in 0..=column {
                    let (a, b) = (&self.packed[row * stride..], &self.packed[column * stride..]);
                    let square = squares.next().expect("a square for every pair of panels");
                    gemm_panels_transposed(simd, depth, a, b, square, self.begun || chunk > 0);
                }
            }
        }
    }
}

/// The sum of the rows of a panel, added to what is there if `accumulate`.
#[inline(always)]
fn add_rows<S: Simd>(simd: S, panel: &[f32], sums: &mut [f32], accumulate: bool) {
    let width = sums.len();
    for (v, sums) in sums.chunks_exact_mut(S::LANES).enumerate() {
        let mut sum = if accumulate { simd.load(sums) } else { simd.splat(0.0) };
        for row in panel.chunks_exact(width) {
            sum = simd.add(sum, simd.load(&row[v * S::LANES..]));
        }
        simd.store(sum, sums);
    }
}

/// Cuts a row of a matrix into its pieces in `count` panels, zeros to the right of the last element.
#[inline(always)]
fn pack_row<S: Simd, E: Element>(simd: S, row: &[E], count: usize, packed: &mut [f32], stride: usize) {
    let width = panel_width::<S>();
    for panel in 0..count {
        let to = &mut packed[panel * stride..][..width];
        let from = &row[panel * width..];
        for (v, to) in to.chunks_exact_mut(S::LANES).enumerate() {
            simd.store(E::load_partial(simd, from.get(v * S::LANES..).unwrap_or_default()), to);
        }
    }
}

/// Totals that a task adds to.
const MERGED: usize = 1024;

/// Adds to the totals, in order, what lies `stride` elements apart.
struct Merge<'a> {
    start: usize,
    stride: usize,
    totals: &'a mut [f64],
    sums: &'a [f32],
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for sums in self.sums.chunks_exact(self.stride) {
            for (total, &sum) in self.totals.iter_mut().zip(&sums[self.start..]) {
                *total += f64::from(sum);
            }
        }
    }
}

/// Without features, they are what d_features holds.
fn product_backward<E: Element>(
    features: Option<&FeatureMap<E>>,
    Affine { s, row }: Affine<'_>,
    beta: f32,
    d_features: &mut FeatureMap<E>,
    isa: Isa,
) {
    let n = d_features.channels();
    assert_eq!(s.dim(), (n, n), "S is (N × N)");
    assert!(row.is_none_or(|row| row.len() == n), "r has N elements");
    let (width, count) = (isa.panel_width(), n.div_ceil(isa.panel_width()));
    // Whole tiles of 14, 6 and 4 rows. The result does not depend on it.
    let rows = ((1 << 15) / n).next_multiple_of(84);
    scratch::with(count * width * n, |packed| {
        let s = pack(s, isa, packed);
        let d_blocks = d_features.as_mut_slice().par_chunks_mut(rows * n).enumerate();
        d_blocks.for_each(|(block, d_features)| {
            let features = features.map(|f| &f.as_slice()[block * rows * n..][..d_features.len()]);
            let plain = E::DTYPE == Dtype::F32;
            let sums = if plain && n.is_multiple_of(width) { 0 } else { rows * count * width };
            let widened = if plain && features.is_some() { 0 } else { d_features.len() };
            scratch::with(sums + widened, |scratch| {
                let (sums, widened) = scratch.split_at_mut(sums);
                isa.dispatch(Backward { features, s, row, beta, sums, widened, d_features });
            });
        });
    });
}

/// Some pixels of d_F.
struct Backward<'a, E> {
    /// Without them, they are what d_features holds.
    features: Option<&'a [E]>,
    s: Panels<'a>,
    /// Added to every pixel.
    row: Option<&'a [f32]>,
    beta: f32,
    /// Room for sums where N is no whole number of panels, or they have to be rounded.
    sums: &'a mut [f32],
    /// Room for features where they have to be widened, or are overwritten.
    widened: &'a mut [f32],
    d_features: &'a mut [E],
}

impl<E: Element> Kernel for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Backward { features, s, row, beta, sums, widened, d_features } = self;
        let (n, width) = (s.depth, s.count * panel_width::<S>());
        let rows = d_features.len() / n;
        let features = match features {
            Some(features) => E::widen(simd, features, widened),
            None => {
                for (from, to) in d_features.chunks(S::LANES).zip(widened.chunks_mut(S::LANES)) {
                    simd.store_partial(E::load_partial(simd, from), to);
                }
                widened
            }
        };
        if let Some(d_features) = E::as_f32(d_features).filter(|_| n == width) {
            if beta != 0.0 && beta != 1.0 {
                d_features.iter_mut().for_each(|d| *d *= beta);
            }
            if let Some(row) = row {
                d_features.chunks_exact_mut(n).for_each(|pixel| match beta {
                    0.0 => pixel.copy_from_slice(row),
                    _ => pixel.iter_mut().zip(row).for_each(|(d, r)| *d += r),
                });
            }
            gemm_block(simd, rows, (features, n), s, (d_features, n), beta != 0.0 || row.is_some());
            return;
        }
        gemm_block(simd, rows, (features, n), s, (sums, width), false);
        let beta_of_all = simd.splat(beta);
        for (d_pixel, sums) in d_features.chunks_exact_mut(n).zip(sums.chunks_exact(width)) {
            for (v, (d, sum)) in d_pixel.chunks_mut(S::LANES).zip(sums.chunks_exact(S::LANES)).enumerate() {
                let mut sum = simd.load(sum);
                if let Some(row) = row {
                    sum = simd.add(sum, simd.load_partial(&row[v * S::LANES..][..d.len()]));
                }
                let sum =
                    if beta == 0.0 { sum } else { simd.add(simd.mul(beta_of_all, E::load_partial(simd, d)), sum) };
                E::store_partial(simd, sum, d);
            }
        }
    }
}

#[cfg(test)]
mod tests;
