//! Direct convolution for the network's ends, where one side has the picture's
//! three channels and Winograd would mostly transform.
//!
//! **Few channels read** (3→64). A window of k×k pixels is a row of a matrix
//! that need not be written down: three pieces of the bordered map, each three
//! pixels long, and the next pixel's row starts one pixel further.
//!
//! ```text
//!   bordered   · · · · · · ·        row of A for output pixel j:
//!   rows       · ┌─────┐ · ·          x[i, j..j+3], x[i+1, j..j+3], x[i+2, j..j+3]
//!              · │ 3×3 │ · ·        times B (9·in × out): a register tile of 14 pixels × 32 channels
//!              · └─────┘ · ·
//! ```
//!
//! **Few channels written** (64→3). The other way round: every pixel is
//! multiplied once by all nine taps, whose 27 results fill a panel, and an
//! output is the sum of nine of them. The map is read once, in order, and only
//! the last three rows of results are kept.
//!
//! ```text
//!   Z[pixel][tap][out] = x[pixel] · B (in × 9·out)        y[i, j] = Σ_{u,v} Z[i + u, j + v][u, v]
//! ```

use std::ops::Range;

use ndarray::Array4;

use super::epilogue::{Epilogue, bits, can_mask, for_each_part};
use super::{Direction, Into, Shape};
use crate::kernels::mask::Mask;
use crate::kernels::scratch::{self, Aligned};
use crate::kernels::simd::{Element, Isa, Kernel, Panels, Rows, Simd, gemm_block, gemm_segments, panel_width};
use crate::tensor::{Dtype, FeatureMap};

/// Channels of the picture's side, at most: those of a vector in every instruction set.
pub const FEW: usize = 4;

/// Output rows of a task, at most.
const BAND: usize = 16;

/// Pixels of a register tile, at most, in any instruction set.
const TILE: usize = 16;

/// Filters as panels: of (9·in × out), the row being (u, v, channel), or, where few channels are written, of
/// (in × 9·out), the column being (u, v, channel).
#[derive(Debug)]
pub struct Packed {
    isa: Isa,
    filters: Aligned,
    depth: usize,
    panels: usize,
}

/// Whether the results of all taps are computed for each pixel read, rather than for each pixel written.
fn by_pixel_read(in_channels: usize, out_channels: usize) -> bool {
    out_channels <= FEW && in_channels > FEW
}

/// Arranges weights (out × in × 3 × 3) for a direction: backward, they are rotated by 180° and
/// their channels exchanged.
#[must_use]
pub fn pack(weight: &Array4<f32>, direction: Direction, isa: Isa) -> Packed {
    let (input, out) = match direction {
        Direction::Forward => (weight.dim().1, weight.dim().0),
        Direction::BackwardInput => (weight.dim().0, weight.dim().1),
    };
    let filter = |tap: usize, c: usize, o: usize| match direction {
        Direction::Forward => weight[[o, c, tap / 3, tap % 3]],
        Direction::BackwardInput => weight[[c, o, 2 - tap / 3, 2 - tap % 3]],
    };
    let by_pixel_read = by_pixel_read(input, out);
    let (depth, columns) = if by_pixel_read { (input, 9 * out) } else { (9 * input, out) };
    let width = isa.panel_width();
    let panels = columns.div_ceil(width);
    let mut filters = Aligned::zeros(panels * depth * width);
    for k in 0..depth {
        for n in 0..columns {
            let value = if by_pixel_read { filter(n / out, k, n % out) } else { filter(k / input, k % input, n) };
            filters[(n / width * depth + k) * width + n % width] = value;
        }
    }
    Packed { isa, filters, depth, panels }
}

/// Whether [`run`] applies a mask while it reads: in the first kernel, rows of A overlap and are read as they are.
#[must_use]
pub fn fuses_mask(shape: &Shape) -> bool {
    by_pixel_read(shape.in_channels, shape.out_channels) && can_mask(shape.in_channels)
}

/// Runs a convolution of `shape` in the direction its filters were packed for, on x where the mask lets it through.
pub fn run<X: Element, Y: Element>(
    shape: &Shape,
    x: &FeatureMap<X>,
    mask: Option<&Mask>,
    packed: &Packed,
    into: Into<'_>,
    y: &mut FeatureMap<Y>,
) {
    let (height, row) = (shape.out_height(), shape.out_width() * shape.out_channels);
    let width = packed.isa.panel_width();
    let filters =
        Panels { data: &packed.filters, depth: packed.depth, count: packed.panels, stride: packed.depth * width };
    // The result does not depend on the rows of a task: each output is computed from its own window, in a fixed order.
    let rows = height.div_ceil(4 * rayon::current_num_threads()).clamp(1, BAND);
    for_each_part(into, y.as_mut_slice(), rows * row, |task, y, epilogue| {
        let rows = task * rows..task * rows + y.len() / row;
        let (x, mask) = (x.as_slice(), mask.map(Mask::bytes));
        if by_pixel_read(shape.in_channels, shape.out_channels) {
            let line = ReadTask::<X, Y>::line(shape, filters.count * width);
            let copied = if mask.is_some() || X::DTYPE != Dtype::F32 { shape.width * shape.in_channels } else { 0 };
            scratch::with(3 * line + copied + row + FEW, |scratch| {
                packed.isa.dispatch(ReadTask { shape, x, mask, copied, filters, epilogue, rows, line, scratch, y });
            });
        } else {
            assert!(mask.is_none(), "this kernel applies no mask");
            let line = (shape.width + 2 * shape.padding) * shape.in_channels;
            scratch::with((rows.len() + 2) * line + TILE * filters.count * width, |scratch| {
                packed.isa.dispatch(WriteTask { shape, x, filters, epilogue, rows, line, scratch, y });
            });
        }
    });
}

/// Row `i` of the map with its border, if it is one of the map's own.
#[inline(always)]
fn source<'a, X>(shape: &Shape, x: &'a [X], i: usize) -> Option<&'a [X]> {
    let row = i.checked_sub(shape.padding).filter(|&row| row < shape.height)?;
    Some(&x[row * shape.width * shape.in_channels..][..shape.width * shape.in_channels])
}

/// Some output rows, where a register tile holds pixels that are written.
struct WriteTask<'a, X, Y> {
    shape: &'a Shape,
    x: &'a [X],
    filters: Panels<'a>,
    epilogue: Epilogue<'a>,
    rows: Range<usize>,
    /// Elements of a bordered row.
    line: usize,
    scratch: &'a mut [f32],
    y: &'a mut [Y],
}

impl<X: Element, Y: Element> Kernel for WriteTask<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Shape { in_channels, out_channels, .. } = *self.shape;
        let (line, width) = (self.line, self.shape.out_width());
        let (bordered, tile) = self.scratch.split_at_mut((self.rows.len() + 2) * line);
        border(simd, self.shape, self.x, self.rows.start, bordered, line);
        let tile_row = self.filters.count * panel_width::<S>();
        for i in 0..self.rows.len() {
            for j in (0..width).step_by(S::TILE_ROWS) {
                let pixels = S::TILE_ROWS.min(width - j);
                let data = &bordered[i * line + j * in_channels..];
                let windows = Rows { data, stride: in_channels, segments: 3, segment_stride: line };
                gemm_segments(simd, pixels, windows, self.filters, (tile, tile_row), false);
                let first = (i * width + j) * out_channels;
                for (pixel, sums) in tile.chunks_exact(tile_row).enumerate().take(pixels) {
                    for c in (0..out_channels).step_by(S::LANES) {
                        let element = first + pixel * out_channels + c;
                        let y = &mut self.y[element..element + S::LANES.min(out_channels - c)];
                        self.epilogue.write(simd, simd.load(&sums[c..]), c, element, y);
                    }
                }
            }
        }
    }
}

/// Copies the rows that output rows from `first` on read, with zeros around the map.
#[inline(always)]
fn border<S: Simd, X: Element>(simd: S, shape: &Shape, x: &[X], first: usize, bordered: &mut [f32], line: usize) {
    let edge = shape.padding * shape.in_channels;
    for (i, to) in bordered.chunks_exact_mut(line).enumerate() {
        match source(shape, x, first + i) {
            Some(from) => {
                to[..edge].fill(0.0);
                copy(simd, from, &mut to[edge..line - edge]);
                to[line - edge..].fill(0.0);
            }
            None => to.fill(0.0),
        }
    }
}

/// Numbers as `f32`.
#[inline(always)]
fn copy<S: Simd, X: Element>(simd: S, from: &[X], to: &mut [f32]) {
    for (from, to) in from.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
        simd.store_partial(X::load_partial(simd, from), to);
    }
}

/// Some output rows, where a register tile holds pixels that are read.
struct ReadTask<'a, X, Y> {
    shape: &'a Shape,
    x: &'a [X],
    mask: Option<&'a [u8]>,
    /// Elements of scratch for a row that is masked or widened, if it is.
    copied: usize,
    filters: Panels<'a>,
    epilogue: Epilogue<'a>,
    rows: Range<usize>,
    /// Elements of a bordered row of Z.
    line: usize,
    scratch: &'a mut [f32],
    y: &'a mut [Y],
}

impl<X, Y> ReadTask<'_, X, Y> {
    /// Elements of a row of Z whose pixels have `z_pixel` elements.
    fn line(shape: &Shape, z_pixel: usize) -> usize {
        // Sums are read in fours: the last pixel's may reach beyond it.
        (shape.width + 2 * shape.padding) * z_pixel + TILE
    }
}

impl<X: Element, Y: Element> Kernel for ReadTask<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Shape { in_channels, out_channels, padding, .. } = *self.shape;
        let (line, row) = (self.line, self.shape.out_width() * out_channels);
        let z_pixel = self.filters.count * panel_width::<S>();
        let (ring, rest) = self.scratch.split_at_mut(3 * line);
        let (copied, sums) = rest.split_at_mut(self.copied);
        for z in ring.chunks_exact_mut(line) {
            z[..padding * z_pixel].fill(0.0);
            z[(padding + self.shape.width) * z_pixel..].fill(0.0);
        }
        // Z's row i is at i mod 3.
        for i in self.rows.start..self.rows.end + 2 {
            let z = &mut ring[i % 3 * line..][..line];
            match source(self.shape, self.x, i) {
                Some(x) => {
                    let x = match self.mask {
                        Some(mask) => {
                            let first = (i - padding) * self.shape.width * in_channels;
                            apply(simd, mask, first, x, copied);
                            &*copied
                        }
                        None => X::widen(simd, x, copied),
                    };
                    let z = &mut z[padding * z_pixel..];
                    gemm_block(simd, self.shape.width, (x, in_channels), self.filters, (z, z_pixel), false);
                }
                None => z.fill(0.0),
            }
            if let Some(i) = (i - self.rows.start).checked_sub(2) {
                let top = self.rows.start + i;
                let z = [0, 1, 2].map(|u| &ring[(top + u) % 3 * line..][..line]);
                add_taps(z, z_pixel, &self.epilogue, out_channels, sums);
                finish_row(&self.epilogue, &sums[..row], &mut self.y[i * row..][..row]);
            }
        }
    }
}

/// `y[j] = bias + Σ_{u,v} Z[u][j + v][u, v]` for a row; four channels at a time, of which the next pixel
/// overwrites those too many.
#[inline(always)]
fn add_taps(z: [&[f32]; 3], z_pixel: usize, epilogue: &Epilogue<'_>, channels: usize, sums: &mut [f32]) {
    let mut first = [0.0; FEW];
    if let Epilogue::Bias(bias) = epilogue {
        first[..channels].copy_from_slice(bias);
    }
    let pixels = (sums.len() - FEW) / channels;
    for j in 0..pixels {
        let mut sum = first;
        for (u, z) in z.iter().enumerate() {
            for v in 0..3 {
                let taps: &[f32; FEW] =
                    z[(j + v) * z_pixel + (3 * u + v) * channels..].first_chunk().expect("four sums");
                for (sum, tap) in sum.iter_mut().zip(taps) {
                    *sum += tap;
                }
            }
        }
        *sums[j * channels..].first_chunk_mut().expect("four sums") = sum;
    }
}

/// Moves a row of sums, which the bias is part of, to y. So few channels make no mask.
#[inline(always)]
fn finish_row<Y: Element>(epilogue: &Epilogue<'_>, sums: &[f32], y: &mut [Y]) {
    let pairs = y.iter_mut().zip(sums);
    match epilogue {
        Epilogue::Bias(_) | Epilogue::Scaled(0.0) => pairs.for_each(|(y, &sum)| *y = Y::from_f32(sum)),
        Epilogue::Scaled(beta) => pairs.for_each(|(y, &sum)| *y = Y::from_f32(beta * y.to_f32() + sum)),
        Epilogue::Relu(..) => unreachable!("an activation is fused where channels fill vectors"),
    }
}

/// A row of x, its first element being element `first` of the map, where the mask lets it through.
#[inline(always)]
fn apply<S: Simd, X: Element>(simd: S, mask: &[u8], first: usize, x: &[X], masked: &mut [f32]) {
    for (i, (x, masked)) in x.chunks_exact(S::LANES).zip(masked.chunks_exact_mut(S::LANES)).enumerate() {
        let bits = bits::<S>(mask, first + i * S::LANES);
        simd.store(simd.select(bits, X::load(simd, x)), masked);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, reference};
    use super::*;

    fn numbers(length: usize, step: usize) -> Vec<f32> {
        (0..length).map(|i| ((i * step + 7) % 1021) as f32 / 1021.0 - 0.5).collect()
    }

    /// Both ways of computing, on both sides of their limit, in tails of panels and of bands of rows.
    #[test]
    fn every_instruction_set_agrees_with_the_definition() {
        for ((input, out), padding) in [(3, 64), (4, 5), (1, 33), (64, 3), (5, 4), (70, 1), (9, 17)]
            .into_iter()
            .flat_map(|c| [0, 1, 2].map(|p| (c, p)))
        {
            let weight = Array4::from_shape_vec((out, input, 3, 3), numbers(9 * out * input, 613)).unwrap();
            let bias = numbers(out, 31);
            let x = FeatureMap::from_vec(19, 21, input, numbers(19 * 21 * input, 7919));
            let shape = Shape { height: 19, width: 21, in_channels: input, out_channels: out, padding };
            let mut exact = FeatureMap::zeros(shape.out_height(), shape.out_width(), out);
            reference::forward(&x, &weight, bias.as_slice(), padding, &mut exact);
            for isa in Isa::available() {
                let mut found = FeatureMap::zeros(shape.out_height(), shape.out_width(), out);
                let packed = pack(&weight, Direction::Forward, isa);
                run(&shape, &x, None, &packed, Into::Bias(&bias, Activation::None), &mut found);
                for (found, exact) in found.as_slice().iter().zip(exact.as_slice()) {
                    // Rounding of up to 630 products of at most ¼ each, summed in f32.
                    assert!(
                        (found - exact).abs() <= 1e-5 + 1e-5 * exact.abs(),
                        "{isa:?} {shape:?}: {found}, not {exact}"
                    );
                }
            }
        }
    }
}
