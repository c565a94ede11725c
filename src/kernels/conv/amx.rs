//! Convolution as a product of bf16 matrices on tiles, without copying patches.
//!
//! ```text
//!   bordered bf16 copy of some rows:        [block of 32 channels][row][column][32 channels]
//!   A tile: 16 neighbouring pixels × 32 channels = 1 KiB in one piece
//!   a filter's tap (u, v) only shifts it:   A(u, v) = A + u rows + v columns
//!
//!   y[16 pixels, 16 outs] = Σ over blocks of channels, Σ over taps  A(u, v) · B(block, u, v)
//! ```
//!
//! So a convolution is a product whose k-steps are (block of channels, tap), and
//! whose A lies in memory once. The copy is made band by band, in scratch memory
//! that stays in the core's cache, with zeros around the map and beyond its last
//! channel; the sums leave with bias or β added.
//!
//! Two precisions. With one bf16 per number, products are exact and their sums
//! are `f32`, but the operands are rounded to 2⁻⁸. With two, x = hi + lo and
//! w = hi + lo to 2⁻¹⁷, three of the four products are summed (lo·lo is below
//! the rounding): three times the work, and nearly the accuracy of `f32`.
//!
//! Sources: implicit GEMM is Chetlur et al. 2014, arXiv:1410.0759; the split is
//! Henry, Tang & Heinecke 2019, arXiv:1904.06376.

mod busy;
mod pack;

use std::fmt;
use std::sync::OnceLock;

use ndarray::Array4;

use super::{Direction, Epilogue, Fits, Input, Method, Scratch, Shape};
use crate::kernels::scratch;
use crate::kernels::simd::tiles::{BLOCK_SIDE, DEPTH, Missing, ModelTiles, Product, SIDE, TILE_ELEMENTS, TileUnit};
use crate::kernels::simd::{Element, Isa, Kernel, Simd, amx};
use crate::tensor::FeatureMap;
pub use busy::keep_busy;
pub use pack::Packed;
use pack::pack;

/// How many bf16 a number becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operands {
    /// One: relative errors of up to 2⁻⁸ per operand.
    Bf16,
    /// Two, high and low half: `f32`-grade.
    Split,
}

impl Operands {
    fn halves(self) -> usize {
        match self {
            Operands::Bf16 => 1,
            Operands::Split => 2,
        }
    }
}

/// Whether the CPU's tile unit is used, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The CPU has no AMX with BF16, the system does not save its state, or it is no Linux on x86-64.
    Absent,
    /// `IMPASTO_ISA` names a lesser instruction set.
    Disabled,
    /// The system refuses it to this process.
    NoPermission,
    /// Its results are not those of the model.
    SelfTestFailed,
    /// It is there, allowed, and computes what it should.
    Ready,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Absent => "absent",
            Status::Disabled => "disabled by IMPASTO_ISA",
            Status::NoPermission => "present, but the system refuses it to this process",
            Status::SelfTestFailed => "present, but not used: its results differ from the expected ones",
            Status::Ready => "ready",
        })
    }
}

/// Whether the tile unit is used, and if not, why. Found out once, with a small convolution as a test.
#[must_use]
pub fn status() -> Status {
    probe().0
}

/// Whether the tile unit is used.
#[must_use]
pub fn available() -> bool {
    status() == Status::Ready
}

fn probe() -> (Status, Option<amx::AmxTiles>) {
    static PROBED: OnceLock<(Status, Option<amx::AmxTiles>)> = OnceLock::new();
    // Tested outside of the cell: whoever waits for parallel tasks may be given one that asks, too.
    PROBED.get().copied().unwrap_or_else(|| {
        let found = if Isa::lesser_requested() { Err(Status::Disabled) } else { tested_unit() };
        *PROBED.get_or_init(|| found.map_or_else(|status| (status, None), |tiles| (Status::Ready, Some(tiles))))
    })
}

fn tested_unit() -> Result<amx::AmxTiles, Status> {
    match amx::AmxTiles::detect() {
        Err(Missing::Absent) => Err(Status::Absent),
        Err(Missing::NoPermission) => Err(Status::NoPermission),
        Ok(tiles) if self_test(tiles) => Ok(tiles),
        Ok(_) => Err(Status::SelfTestFailed),
    }
}

/// Whether a unit computes small convolutions in both precisions as the model does: several bands, pairs, passes and
/// blocks of channels.
fn self_test(unit: impl TileUnit) -> bool {
    const BIAS: [f32; 40] = [0.25; 40];
    let shape = Shape::new((7, 37), 70, 40, 1);
    // 251 numbers between −2 and 2, hardly any exact in one bf16, in an order in which a misplaced element shows.
    let number = |i: usize| (i * 7919 % 251) as f32 / 64.0 - 1.953;
    let x: Vec<f32> = (0..7 * 37 * 70).map(number).collect();
    let input = Input { shape: &shape, x: &x, mask: None };
    let weight = Array4::from_shape_fn((40, 70, 3, 3), |(o, c, u, v)| number(((o * 70 + c) * 3 + u) * 3 + v + 1));
    [Operands::Bf16, Operands::Split].into_iter().all(|operands| {
        let packed = pack(&weight, Direction::Forward, operands);
        let plan = Plan::new(&shape, operands, 3);
        let [mut found, mut expected] = [f32::NAN; 2].map(|nan| vec![nan; 7 * 37 * 40]);
        for (band, (found, expected)) in
            found.chunks_mut(plan.chunk()).zip(expected.chunks_mut(plan.chunk())).enumerate()
        {
            plan.band(unit, input, &packed, Epilogue::Bias(&BIAS), band, found);
            plan.band(ModelTiles, input, &packed, Epilogue::Bias(&BIAS), band, expected);
        }
        let squares = |f: &dyn Fn(f32, f32) -> f32| -> f64 {
            found.iter().zip(&expected).map(|(&a, &b)| f64::from(f(a, b)).powi(2)).sum()
        };
        // The same exact products, summed in f32 in what order ever: 630 of them, √630·2⁻²⁴ = 1.5e-6. NaN fails.
        squares(&|a, b| a - b) <= squares(&|_, b| b) * 3e-6f64.powi(2)
    })
}

/// The algorithm: on the CPU's tile unit if it is [`available`], or else, much more slowly and with the same rounding,
/// on a model of it.
#[derive(Clone, Copy, Debug)]
pub struct Amx(pub Operands);

impl Method for Amx {
    type Packed = Packed;

    fn fits(&self, shape: &Shape) -> Fits {
        Fits::in_vectors(shape)
    }

    fn pack(&self, weight: &Array4<f32>, direction: Direction) -> Packed {
        pack(weight, direction, self.0)
    }

    fn scratch(&self, shape: &Shape, threads: usize) -> Scratch {
        let plan = Plan::new(shape, self.0, Plan::rows(shape, self.0, threads));
        Scratch { own: plan.copied() + plan.pairs.len() * BLOCK_SIDE * BLOCK_SIDE, shared: 0 }
    }

    fn run<X: Element, Y: Element>(
        &self,
        input: Input<'_, X>,
        packed: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        match probe().1 {
            Some(tiles) => self.run_on(tiles, input, packed, epilogue, y),
            None => self.run_on(ModelTiles, input, packed, epilogue, y),
        }
    }
}

impl Amx {
    fn run_on<X: Element, Y: Element>(
        &self,
        unit: impl TileUnit,
        input: Input<'_, X>,
        packed: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        let plan = Plan::new(input.shape, self.0, Plan::rows(input.shape, self.0, rayon::current_num_threads()));
        epilogue.for_each_part(y.as_mut_slice(), plan.chunk(), |band, y, epilogue| {
            plan.band(unit, input, packed, epilogue, band, y);
        });
    }
}

/// How a shape is cut into bands of rows, and each band into tiles.
///
/// No number depends on it: an output is computed from its own row of A alone, its steps in one fixed order, and sums
/// are stored and loaded without loss.
struct Plan<'a> {
    shape: &'a Shape,
    operands: Operands,
    /// Output rows of a band.
    rows: usize,
    /// Columns of the bordered copy.
    pitch: usize,
    /// Elements of one half of the bordered copy.
    plane: usize,
    /// The first pixel of each tile of A, at tap (0, 0), counted along the bordered copy's rows.
    starts: Vec<usize>,
    /// The same two by two, in elements. Without a partner, a tile is its own.
    pairs: Vec<[usize; 2]>,
    /// Where the tiles of a block of channels and a tap lie, from those of the first.
    steps: Vec<usize>,
}

impl<'a> Plan<'a> {
    /// Bytes of the bordered copy: with a panel of filters it stays in a core's second cache of 2 MiB.
    const COPY_BYTES: usize = 1 << 20;
    /// Bytes of filters that all of a band's tiles meet in one pass: they stay in the first cache.
    const PASS_BYTES: usize = 24 << 10;

    fn new(shape: &'a Shape, operands: Operands, rows: usize) -> Self {
        let (width, pitch) = (shape.out_width(), shape.out_width() + 2);
        let row_of_tiles = width.div_ceil(SIDE);
        // Tiles start anew in every row, or run through the borders where that makes fewer of them.
        let starts: Vec<usize> = if row_of_tiles * SIDE <= pitch {
            (0..rows * row_of_tiles).map(|i| i / row_of_tiles * pitch + i % row_of_tiles * SIDE).collect()
        } else {
            (0..(rows - 1) * pitch + width).step_by(SIDE).collect()
        };
        let pairs = starts.chunks(2).map(|pair| [pair[0] * DEPTH, pair[pair.len() - 1] * DEPTH]).collect();
        let block = (rows + 2) * pitch;
        let blocks = shape.in_channels.div_ceil(DEPTH);
        let step = |k: usize| k / 9 * block + k / 3 % 3 * pitch + k % 3;
        Plan {
            shape,
            operands,
            rows,
            pitch,
            // The last tile may reach beyond the last pixel, by less than itself.
            plane: blocks * block * DEPTH + TILE_ELEMENTS,
            starts,
            pairs,
            steps: (0..blocks * 9).map(|k| step(k) * DEPTH).collect(),
        }
    }

    /// Rows of a band: as many as fit into the cache, few enough for every thread to have some.
    fn rows(shape: &Shape, operands: Operands, threads: usize) -> usize {
        let channels = shape.in_channels.next_multiple_of(DEPTH);
        let row = (shape.out_width() + 2) * channels * operands.halves() * size_of::<u16>();
        let fitting = (Self::COPY_BYTES / row.max(1)).saturating_sub(2).max(4);
        fitting.min(shape.out_height().div_ceil(2 * threads)).max(1)
    }

    /// Elements of scratch that the bordered copy takes, both halves.
    fn copied(&self) -> usize {
        let bytes = self.operands.halves() * self.plane * size_of::<u16>();
        bytes.div_ceil(size_of::<f32>()).next_multiple_of(SIDE)
    }

    /// Outputs of a band.
    fn chunk(&self) -> usize {
        self.rows * self.shape.out_width() * self.shape.out_channels
    }

    /// Computes the band with that number, or what there is of it.
    fn band<X: Element, Y: Element>(
        &self,
        unit: impl TileUnit,
        input: Input<'_, X>,
        packed: &Packed,
        mut epilogue: Epilogue<'_>,
        band: usize,
        y: &mut [Y],
    ) {
        let (isa, shape, halves) = (Isa::detect(), self.shape, self.operands.halves());
        let rows = y.len() / (shape.out_width() * shape.out_channels);
        let end = (rows - 1) * self.pitch + shape.out_width();
        let starts = &self.starts[..self.starts.partition_point(|&start| start < end)];
        let pairs = &self.pairs[..starts.len().div_ceil(2)];
        let (step, depth) = (halves * 2 * TILE_ELEMENTS, self.steps.len());
        let pass = Self::PASS_BYTES / (step * size_of::<u16>());
        let copied = self.copied();
        scratch::with(copied + pairs.len() * BLOCK_SIDE * BLOCK_SIDE, |scratch| {
            let (copy, sums) = scratch.split_at_mut(copied);
            let copy: &mut [u16] = bytemuck::cast_slice_mut(copy);
            isa.dispatch(CopyIn { plan: self, input, first_row: band * self.rows, rows, copy });
            for (block, filters) in packed.tiles().chunks_exact(depth * step).enumerate() {
                for first in (0..depth).step_by(pass) {
                    let count = pass.min(depth - first);
                    let product = Product {
                        a: copy,
                        pairs,
                        steps: &self.steps[first..first + count],
                        low: (self.operands == Operands::Split).then_some(self.plane),
                        b: &filters[first * step..(first + count) * step],
                        add: first > 0,
                    };
                    unit.multiply(&product, sums);
                }
                let epilogue = &mut epilogue;
                isa.dispatch(WriteOut { plan: self, starts, sums, first_out: block * BLOCK_SIDE, epilogue, y });
            }
        });
    }
}

/// Fills the bordered copy.
struct CopyIn<'a, X> {
    plan: &'a Plan<'a>,
    input: Input<'a, X>,
    first_row: usize,
    rows: usize,
    copy: &'a mut [u16],
}

impl<X: Element> Kernel for CopyIn<'_, X> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let CopyIn { plan, input, first_row, rows, copy } = self;
        let Shape { width, in_channels, padding, .. } = *plan.shape;
        let (high, low) = copy.split_at_mut(plan.plane);
        let line = plan.pitch * DEPTH;
        for row in 0..rows + 2 {
            let source = plan.shape.row(first_row + row);
            for first in (0..in_channels).step_by(DEPTH) {
                let channels = DEPTH.min(in_channels - first);
                let start = (first / DEPTH * (plan.rows + 2) + row) * line;
                let high = &mut high[start..start + line];
                let low: &mut [u16] = match plan.operands {
                    Operands::Bf16 => &mut [],
                    Operands::Split => &mut low[start..start + line],
                };
                let Some(source) = source else {
                    high.fill(0);
                    low.fill(0);
                    continue;
                };
                // What is not overwritten below: columns beside the map, channels beyond the last.
                for half in [&mut *high, &mut *low] {
                    if channels < DEPTH {
                        half.fill(0);
                    } else if !half.is_empty() {
                        half[..padding * DEPTH].fill(0);
                        half[(padding + width) * DEPTH..].fill(0);
                    }
                }
                for column in 0..width {
                    let start = (source * width + column) * in_channels + first;
                    let mut masked = [X::zeroed(); DEPTH];
                    let mut from = &input.x[start..start + channels];
                    if input.mask.is_some() {
                        input.copy(simd, start, &mut masked[..channels]);
                        from = &masked[..channels];
                    }
                    let at = (padding + column) * DEPTH;
                    let high = &mut high[at..at + channels];
                    match plan.operands {
                        Operands::Bf16 => round_all(from, high),
                        Operands::Split => split_all(from, high, &mut low[at..at + channels]),
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn round_all<X: Element>(from: &[X], to: &mut [u16]) {
    for (to, x) in to.iter_mut().zip(from) {
        *to = x.nearest();
    }
}

#[inline(always)]
fn split_all<X: Element>(from: &[X], high: &mut [u16], low: &mut [u16]) {
    for ((high, low), x) in high.iter_mut().zip(low).zip(from) {
        (*high, *low) = x.split();
    }
}

/// Writes the sums of up to 32 output channels to where they belong.
struct WriteOut<'a, 'e, Y> {
    plan: &'a Plan<'a>,
    starts: &'a [usize],
    sums: &'a [f32],
    first_out: usize,
    epilogue: &'a mut Epilogue<'e>,
    y: &'a mut [Y],
}

impl<Y: Element> Kernel for WriteOut<'_, '_, Y> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let WriteOut { plan, starts, sums, first_out, epilogue, y } = self;
        let (width, outs) = (plan.shape.out_width(), plan.shape.out_channels);
        let channels = BLOCK_SIDE.min(outs - first_out);
        let rows = y.len() / (width * outs);
        for (&start, sums) in starts.iter().zip(sums.chunks_exact(SIDE * BLOCK_SIDE)) {
            let (mut row, mut column) = (start / plan.pitch, start % plan.pitch);
            for sums in sums.chunks_exact(BLOCK_SIDE) {
                if column < width && row < rows {
                    let at = (row * width + column) * outs + first_out;
                    for c in (0..channels).step_by(S::LANES) {
                        let y = &mut y[at + c..at + channels.min(c + S::LANES)];
                        epilogue.write(simd, simd.load(&sums[c..]), first_out + c, at + c, y);
                    }
                }
                column += 1;
                if column == plan.pitch {
                    (row, column) = (row + 1, 0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
