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

use super::method::seen;
use super::{Direction, Epilogue, Fits, Input, Method, Scratch, Shape};
use crate::kernels::scratch::{self, Aligned};
use crate::kernels::simd::{Element, Isa, Kernel, Panels, Rows, Simd, gemm_block, gemm_segments, panel_width};
use crate::tensor::{Dtype, FeatureMap};

/// Channels of the picture's side, at most: those of a vector in every instruction set.
pub const FEW: usize = 4;

/// Output rows of a task, at most.
const BAND: usize = 16;

/// Pixels of a register tile, at most, in any instruction set.
const TILE_PIXELS: usize = 16;

/// Filters as panels: of (9·in × out), the row being (u, v, channel), or, where few channels are written, of
/// (in × 9·out), the column being (u, v, channel).
#[derive(Debug)]
pub struct Packed {
    filters: Aligned,
    depth: usize,
    panels: usize,
}

/// Whether the results of all taps are computed for each pixel read, rather than for each pixel written.
fn by_pixel_read(in_channels: usize, out_channels: usize) -> bool {
    out_channels <= FEW && in_channels > FEW
}

/// Output rows of a task. The result does not depend on them: each output is computed from its own window, in a fixed
/// order.
fn rows(shape: &Shape, threads: usize) -> usize {
    shape.out_height().div_ceil(4 * threads).clamp(1, BAND)
}

/// Elements of a row of Z whose pixels have `z_pixel` elements.
fn read_line(shape: &Shape, z_pixel: usize) -> usize {
    // Sums are read in fours: the last pixel's may reach beyond it.
    (shape.width + 2 * shape.padding) * z_pixel + TILE_PIXELS
}

/// Elements of a bordered row of the map that is read.
fn written_line(shape: &Shape) -> usize {
    (shape.width + 2 * shape.padding) * shape.in_channels
}

/// The algorithm, on vectors of some instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Direct(pub Isa);

impl Method for Direct {
    type Packed = Packed;

    fn fits(&self, shape: &Shape) -> Fits {
        Fits::in_vectors(shape)
    }

    fn pack(&self, weight: &Array4<f32>, direction: Direction) -> Packed {
        let weight = seen(weight, direction);
        let (out, input, ..) = weight.dim();
        let by_pixel_read = by_pixel_read(input, out);
        let (depth, columns) = if by_pixel_read { (input, 9 * out) } else { (9 * input, out) };
        let width = self.0.panel_width();
        let panels = columns.div_ceil(width);
        let mut filters = Aligned::zeros(panels * depth * width);
        for k in 0..depth {
            for n in 0..columns {
                let (tap, c, o) = if by_pixel_read { (n / out, k, n % out) } else { (k / input, k % input, n) };
                filters[(n / width * depth + k) * width + n % width] = weight[[o, c, tap / 3, tap % 3]];
            }
        }
        Packed { filters, depth, panels }
    }

    fn scratch(&self, shape: &Shape, threads: usize) -> Scratch {
        let width = self.0.panel_width();
        let own = if by_pixel_read(shape.in_channels, shape.out_channels) {
            let z_pixel = (9 * shape.out_channels).next_multiple_of(width);
            let copied = shape.width * shape.in_channels;
            3 * read_line(shape, z_pixel) + copied + shape.out_width() * shape.out_channels + FEW
        } else {
            let columns = shape.out_channels.next_multiple_of(width);
            (rows(shape, threads) + 2) * written_line(shape) + TILE_PIXELS * columns
        };
        Scratch { own, shared: 0 }
    }

    fn run<X: Element, Y: Element>(
        &self,
        input: Input<'_, X>,
        packed: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        let (shape, isa) = (input.shape, self.0);
        let row = shape.out_width() * shape.out_channels;
        let width = isa.panel_width();
        let Packed { filters: ref data, depth, panels: count } = *packed;
        let filters = Panels { data, depth, count, stride: depth * width };
        let rows = rows(shape, rayon::current_num_threads());
        epilogue.for_each_part(y.as_mut_slice(), rows * row, |task, y, epilogue| {
            let rows = task * rows..task * rows + y.len() / row;
            if by_pixel_read(shape.in_channels, shape.out_channels) {
                let line = read_line(shape, count * width);
                let as_it_is = input.mask.is_none() && X::DTYPE == Dtype::F32;
                let copied = if as_it_is { 0 } else { shape.width * shape.in_channels };
                scratch::with(3 * line + copied + row + FEW, |scratch| {
                    isa.dispatch(ReadTask { input, copied, filters, epilogue, rows, line, scratch, y });
                });
            } else {
                let line = written_line(shape);
                scratch::with((rows.len() + 2) * line + TILE_PIXELS * count * width, |scratch| {
                    isa.dispatch(WriteTask { input, filters, epilogue, rows, line, scratch, y });
                });
            }
        });
    }
}

/// Some output rows, where a register tile holds pixels that are written.
struct WriteTask<'a, X, Y> {
    input: Input<'a, X>,
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
        let Shape { in_channels, out_channels, .. } = *self.input.shape;
        let (line, width) = (self.line, self.input.shape.out_width());
        let (bordered, tile) = self.scratch.split_at_mut((self.rows.len() + 2) * line);
        border(simd, &self.input, self.rows.start, bordered, line);
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
fn border<S: Simd, X: Element>(simd: S, input: &Input<'_, X>, first: usize, bordered: &mut [f32], line: usize) {
    let Shape { width, in_channels, padding, .. } = *input.shape;
    let edge = padding * in_channels;
    for (i, to) in (first..).zip(bordered.chunks_exact_mut(line)) {
        match input.shape.row(i) {
            Some(row) => {
                to[..edge].fill(0.0);
                input.copy(simd, row * width * in_channels, &mut to[edge..line - edge]);
                to[line - edge..].fill(0.0);
            }
            None => to.fill(0.0),
        }
    }
}

/// Some output rows, where a register tile holds pixels that are read.
struct ReadTask<'a, X, Y> {
    input: Input<'a, X>,
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

impl<X: Element, Y: Element> Kernel for ReadTask<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (input, shape) = (self.input, self.input.shape);
        let Shape { width, in_channels, out_channels, padding, .. } = *shape;
        let (line, row) = (self.line, shape.out_width() * out_channels);
        let z_pixel = self.filters.count * panel_width::<S>();
        let (ring, rest) = self.scratch.split_at_mut(3 * line);
        let (copied, sums) = rest.split_at_mut(self.copied);
        for z in ring.chunks_exact_mut(line) {
            z[..padding * z_pixel].fill(0.0);
            z[(padding + width) * z_pixel..].fill(0.0);
        }
        // Z's row i is at i mod 3.
        for i in self.rows.start..self.rows.end + 2 {
            let z = &mut ring[i % 3 * line..][..line];
            match shape.row(i) {
                Some(source) => {
                    let (start, length) = (source * width * in_channels, width * in_channels);
                    let x = if input.mask.is_some() {
                        input.copy(simd, start, &mut *copied);
                        &*copied
                    } else {
                        X::widen(simd, &input.x[start..][..length], copied)
                    };
                    let z = &mut z[padding * z_pixel..];
                    gemm_block(simd, width, (x, in_channels), self.filters, (z, z_pixel), false);
                }
                None => z.fill(0.0),
            }
            if let Some(i) = (i - self.rows.start).checked_sub(2) {
                let top = self.rows.start + i;
                let z = [0, 1, 2].map(|u| &ring[(top + u) % 3 * line..][..line]);
                add_taps(z, z_pixel, &self.epilogue, out_channels, sums);
                finish_row(simd, &self.epilogue, &sums[..row], &mut self.y[i * row..][..row]);
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
fn finish_row<S: Simd, Y: Element>(simd: S, epilogue: &Epilogue<'_>, sums: &[f32], y: &mut [Y]) {
    let mut rest = Epilogue::Scaled(match epilogue {
        Epilogue::Bias(_) => 0.0,
        Epilogue::Relu(..) => unreachable!("an activation is fused where channels fill vectors"),
        Epilogue::Scaled(beta) => *beta,
    });
    for (sums, y) in sums.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
        rest.write(simd, simd.load_partial(sums), 0, 0, y);
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::Reference;
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
            let shape = Shape::new((19, 21), input, out, padding);
            let input = Input { shape: &shape, x: x.as_slice(), mask: None };
            let zeros = || FeatureMap::zeros(shape.out_height(), shape.out_width(), out);
            let (mut exact, definition) = (zeros(), Reference.pack(&weight, Direction::Forward));
            Reference.run(input, &definition, Epilogue::Bias(&bias), &mut exact);
            for isa in Isa::available() {
                let (mut found, packed) = (zeros(), Direct(isa).pack(&weight, Direction::Forward));
                Direct(isa).run(input, &packed, Epilogue::Bias(&bias), &mut found);
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
