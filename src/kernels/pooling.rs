//! 2×2 pooling, stride 2, floor: a last odd row or column is left out, as in
//! PyTorch and in the network's training.
//!
//! ```text
//!   a b   right: is b > a in the upper row (d > c in the lower)     2 bits an output,
//!   c d   bottom: is max(c, d) > max(a, b)                          and x is not needed any more
//! ```
//!
//! A maximum's gradient goes to where the maximum was. Where that is, is known
//! when it is taken, and worth two bits; finding it again would keep the
//! largest maps of the network alive, and read them a second time. A root of
//! squares has a gradient everywhere, which needs x: it can be written over it.

use std::ops::Range;

use rayon::prelude::*;

use super::simd::{Element, Isa, Kernel, Simd};
use crate::tensor::{Buffer, BufferPool, FeatureMap};

/// Channels whose choices are one word of right bits and one of bottom bits.
const GROUP: usize = 16;

/// What a root of four squares is multiplied by, see [`l2_forward`].
pub const L2_FACTOR: f32 = 0.78;

/// Added to the squares: the root has a slope where all four are 0.
pub const L2_EPSILON: f32 = 1e-6;

/// (⌊H/2⌋, ⌊W/2⌋, C).
#[must_use]
pub fn pooled_dim((height, width, channels): (usize, usize, usize)) -> (usize, usize, usize) {
    (height / 2, width / 2, channels)
}

/// Which of its four pixels each output of a max-pooling was, in 2 bits: for every output pixel and every 16 channels,
/// 16 bits that say right and 16 that say bottom, lowest channel first. Of equals, the first in reading order.
#[derive(Debug)]
pub struct Choices {
    words: Buffer<u16>,
}

impl Choices {
    /// Bytes for each output pixel.
    #[must_use]
    pub const fn pixel_bytes(channels: usize) -> usize {
        Self::pixel_words(channels) * size_of::<u16>()
    }

    /// 16-bit words for each output pixel.
    #[must_use]
    pub const fn pixel_words(channels: usize) -> usize {
        2 * channels.div_ceil(GROUP)
    }

    /// Room for the choices of a map (H × W × C) that is written, unspecified.
    #[must_use]
    pub fn from_pool(pool: &mut BufferPool, (height, width, channels): (usize, usize, usize)) -> Self {
        Choices { words: pool.take(height * width * Self::pixel_words(channels)) }
    }

    /// The choices of some rows, each of whose pixels has [`Choices::pixel_words`].
    #[must_use]
    pub fn from_buffer(words: Buffer<u16>) -> Self {
        Choices { words }
    }

    /// The words in memory order.
    #[must_use]
    pub fn words(&self) -> &[u16] {
        &self.words
    }

    /// The buffer, for the pool.
    #[must_use]
    pub fn into_buffer(self) -> Buffer<u16> {
        self.words
    }
}

/// `y[i,j] = max` of the 2×2 block of x, and which of the four it is, if somebody will want to know.
///
/// # Panics
/// If the shapes do not fit.
pub fn max_forward<E: Element>(x: &FeatureMap<E>, y: &mut FeatureMap<E>, choices: Option<&mut Choices>) {
    let (isa, channels, row) = (Isa::detect(), x.channels(), x.width() * x.channels());
    let words = y.width() * Choices::pixel_words(channels);
    if let Some(rows) = row_pairs(x, y) {
        match choices {
            None => rows.for_each(|(x, y)| isa.dispatch(MaxForward { x, row, channels, y, choices: &mut [] })),
            Some(choices) => rows
                .zip_eq(choices.words.par_chunks_mut(words))
                .for_each(|((x, y), choices)| isa.dispatch(MaxForward { x, row, channels, y, choices })),
        }
    }
}

/// `y[i,j] = factor · mean` of the 2×2 block of x.
///
/// # Panics
/// If the shapes do not fit.
pub fn avg_forward<E: Element>(x: &FeatureMap<E>, factor: f32, y: &mut FeatureMap<E>) {
    let (isa, channels, row) = (Isa::detect(), x.channels(), x.width() * x.channels());
    if let Some(rows) = row_pairs(x, y) {
        rows.for_each(|(x, y)| isa.dispatch(AvgForward { x, row, channels, share: factor / 4.0, y }));
    }
}

/// `y[i,j] = 0.78 √(Σ x² + 1e-6)`, over the 2×2 block of x.
///
/// # Panics
/// If the shapes do not fit.
pub fn l2_forward<E: Element>(x: &FeatureMap<E>, y: &mut FeatureMap<E>) {
    let (isa, channels, row) = (Isa::detect(), x.channels(), x.width() * x.channels());
    if let Some(rows) = row_pairs(x, y) {
        rows.for_each(|(x, y)| isa.dispatch(L2Forward { x, row, channels, y }));
    }
}

/// `d_x ← β·d_x +` d_y where x was the first largest of its block, in reading order: one pass, which does not read
/// d_x where β is 0.
///
/// # Panics
/// If the shapes do not fit.
pub fn max_backward<E: Element>(d_y: &FeatureMap<E>, choices: &Choices, beta: f32, d_x: &mut FeatureMap<E>) {
    let (isa, channels, row) = (Isa::detect(), d_x.channels(), d_x.width() * d_x.channels());
    let words = d_y.width() * Choices::pixel_words(channels);
    assert_eq!(choices.words.len(), d_y.height() * words, "choices made for another map");
    each_row_pair(d_y, beta, d_x, |i, d_y, d_x| {
        let choices = &choices.words[i * words..][..words];
        isa.dispatch(MaxBackward { d_y, choices, channels, row, beta, d_x });
    });
}

/// `d_x ← β·d_x +` factor·d_y/4 on each of the block's four pixels, in one pass.
///
/// # Panics
/// If the shapes do not fit.
pub fn avg_backward<E: Element>(d_y: &FeatureMap<E>, factor: f32, beta: f32, d_x: &mut FeatureMap<E>) {
    let (isa, channels, row) = (Isa::detect(), d_x.channels(), d_x.width() * d_x.channels());
    let share = factor / 4.0;
    each_row_pair(d_y, beta, d_x, |_, d_y, d_x| isa.dispatch(AvgBackward { d_y, channels, row, share, beta, d_x }));
}

/// `d_x ← β·d_x + 0.78 d_y x / √(Σ x² + 1e-6)` on each of the block's four pixels, in one pass.
///
/// # Panics
/// If the shapes do not fit.
pub fn l2_backward<E: Element>(d_y: &FeatureMap<E>, x: &FeatureMap<E>, beta: f32, d_x: &mut FeatureMap<E>) {
    assert_eq!(x.dim(), d_x.dim(), "a map and its gradient");
    let (isa, channels, row) = (Isa::detect(), d_x.channels(), d_x.width() * d_x.channels());
    each_row_pair(d_y, beta, d_x, |i, d_y, d_x| {
        let x = Some(&x.as_slice()[2 * i * row..][..2 * row]);
        isa.dispatch(L2Backward { d_y, x, channels, row, beta, d_x });
    });
}

/// [`l2_backward`] with β = 0, written over x.
///
/// # Panics
/// If the shapes do not fit.
pub fn l2_backward_over<E: Element>(d_y: &FeatureMap<E>, x: &mut FeatureMap<E>) {
    let (isa, channels, row) = (Isa::detect(), x.channels(), x.width() * x.channels());
    each_row_pair(d_y, 0.0, x, |_, d_y, d_x| {
        isa.dispatch(L2Backward { d_y, x: None, channels, row, beta: 0.0, d_x });
    });
}

/// Every row of y with the two rows of x it is made of, in parallel; nothing if there is none.
fn row_pairs<'a, E: Element>(
    x: &'a FeatureMap<E>,
    y: &'a mut FeatureMap<E>,
) -> Option<impl IndexedParallelIterator<Item = (&'a [E], &'a mut [E])>> {
    assert_eq!(y.dim(), pooled_dim(x.dim()), "map written by a 2×2 pooling");
    let (row, y_row) = (x.width() * x.channels(), y.width() * y.channels());
    (!y.as_slice().is_empty())
        .then(|| x.as_slice().par_chunks_exact(2 * row).zip_eq(y.as_mut_slice().par_chunks_mut(y_row)))
}

/// Calls `op(i, row i of d_y, two rows of d_x)`, in parallel. A last odd row of d_x is only multiplied by β.
fn each_row_pair<E: Element>(
    d_y: &FeatureMap<E>,
    beta: f32,
    d_x: &mut FeatureMap<E>,
    op: impl Fn(usize, &[E], &mut [E]) + Sync,
) {
    assert_eq!(d_y.dim(), pooled_dim(d_x.dim()), "gradient read by a 2×2 pooling");
    let (row, d_y_row) = (d_x.width() * d_x.channels(), d_y.width() * d_y.channels());
    if row == 0 {
        return;
    }
    d_x.as_mut_slice().par_chunks_mut(2 * row).enumerate().for_each(|(i, d_x)| {
        if d_x.len() < 2 * row {
            return scale(beta, d_x);
        }
        op(i, &d_y.as_slice()[i * d_y_row..][..d_y_row], d_x);
    });
}

/// `d ← β·d`, of what no output depends on.
#[inline(always)]
fn scale<E: Element>(beta: f32, d: &mut [E]) {
    match beta {
        0.0 => d.fill(E::zeroed()),
        1.0 => (),
        beta => d.iter_mut().for_each(|d| *d = E::from_f32(beta * d.to_f32())),
    }
}

/// `to ← β·to + vector`.
#[inline(always)]
fn add<S: Simd, E: Element>(simd: S, vector: S::Vector, beta: f32, to: &mut [E]) {
    let sum = match beta {
        0.0 => vector,
        1.0 => simd.add(E::load_partial(simd, to), vector),
        beta => simd.add(simd.mul(simd.splat(beta), E::load_partial(simd, to)), vector),
    };
    E::store_partial(simd, sum, to);
}

/// The four pixels of the block that becomes a row's pixel `j`.
#[inline(always)]
fn block<E>(x: &[E], row: usize, channels: usize, j: usize) -> [&[E]; 4] {
    let (top, bottom) = x.split_at(row);
    let pair = 2 * j * channels..2 * (j + 1) * channels;
    let ((a, b), (c, d)) = (top[pair.clone()].split_at(channels), bottom[pair].split_at(channels));
    [a, b, c, d]
}

/// A vector of channels of each of a block's pixels. Spelled out: a closure would not be compiled for the instruction
/// set.
#[inline(always)]
fn load_each<S: Simd, E: Element>(simd: S, [a, b, c, d]: [&[E]; 4], channels: Range<usize>) -> [S::Vector; 4] {
    [
        E::load_partial(simd, &a[channels.clone()]),
        E::load_partial(simd, &b[channels.clone()]),
        E::load_partial(simd, &c[channels.clone()]),
        E::load_partial(simd, &d[channels]),
    ]
}

/// [`block`], to write.
#[inline(always)]
fn block_mut<E>(x: &mut [E], row: usize, channels: usize, j: usize) -> [&mut [E]; 4] {
    let (top, bottom) = x.split_at_mut(row);
    let pair = 2 * j * channels..2 * (j + 1) * channels;
    let ((a, b), (c, d)) = (top[pair.clone()].split_at_mut(channels), bottom[pair].split_at_mut(channels));
    [a, b, c, d]
}

/// Scales what lies to the right of the last block of two rows.
#[inline(always)]
fn scale_last_column<E: Element>(d_x: &mut [E], row: usize, blocks: usize, channels: usize, beta: f32) {
    let (top, bottom) = d_x.split_at_mut(row);
    scale(beta, &mut top[2 * blocks * channels..]);
    scale(beta, &mut bottom[2 * blocks * channels..]);
}

/// Two rows of x, a row of y, and the row's choices or no room for them.
struct MaxForward<'a, E> {
    x: &'a [E],
    row: usize,
    channels: usize,
    y: &'a mut [E],
    choices: &'a mut [u16],
}

impl<E: Element> Kernel for MaxForward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut words = self.choices.as_chunks_mut::<2>().0.iter_mut();
        for (j, y) in self.y.chunks_exact_mut(self.channels).enumerate() {
            let x = block(self.x, self.row, self.channels, j);
            for (group, y) in y.chunks_mut(GROUP).enumerate() {
                let (mut right, mut bottom) = (0, 0);
                for (i, y) in y.chunks_mut(S::LANES).enumerate() {
                    let first = group * GROUP + i * S::LANES;
                    let [a, b, c, d] = load_each(simd, x, first..first + y.len());
                    let (upper, lower) = (simd.max(a, b), simd.max(c, d));
                    E::store_partial(simd, simd.max(upper, lower), y);
                    let below = simd.positive(simd.sub(lower, upper));
                    let beside = below & simd.positive(simd.sub(d, c)) | !below & simd.positive(simd.sub(b, a));
                    bottom |= below << (i * S::LANES);
                    right |= beside << (i * S::LANES);
                }
                if let Some(words) = words.next() {
                    *words = [right as u16, bottom as u16];
                }
            }
        }
    }
}

/// Two rows of x, what each of four is multiplied by, and a row of y.
struct AvgForward<'a, E> {
    x: &'a [E],
    row: usize,
    channels: usize,
    share: f32,
    y: &'a mut [E],
}

impl<E: Element> Kernel for AvgForward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let share = simd.splat(self.share);
        for (j, y) in self.y.chunks_exact_mut(self.channels).enumerate() {
            let x = block(self.x, self.row, self.channels, j);
            for (i, y) in y.chunks_mut(S::LANES).enumerate() {
                let first = i * S::LANES;
                let [a, b, c, d] = load_each(simd, x, first..first + y.len());
                E::store_partial(simd, simd.mul(share, simd.add(simd.add(a, b), simd.add(c, d))), y);
            }
        }
    }
}

/// Two rows of x and a row of y.
struct L2Forward<'a, E> {
    x: &'a [E],
    row: usize,
    channels: usize,
    y: &'a mut [E],
}

impl<E: Element> Kernel for L2Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(L2_FACTOR);
        for (j, y) in self.y.chunks_exact_mut(self.channels).enumerate() {
            let x = block(self.x, self.row, self.channels, j);
            for (i, y) in y.chunks_mut(S::LANES).enumerate() {
                let first = i * S::LANES;
                let root = root(simd, load_each(simd, x, first..first + y.len()));
                E::store_partial(simd, simd.mul(factor, root), y);
            }
        }
    }
}

/// √(a² + b² + c² + d² + ε).
#[inline(always)]
fn root<S: Simd>(simd: S, [a, b, c, d]: [S::Vector; 4]) -> S::Vector {
    let (upper, lower) = (simd.fma(a, a, simd.mul(b, b)), simd.fma(c, c, simd.mul(d, d)));
    simd.sqrt(simd.add(simd.add(upper, lower), simd.splat(L2_EPSILON)))
}

/// A row of d_y, its choices, and the two rows of d_x they lead to.
struct MaxBackward<'a, E> {
    d_y: &'a [E],
    choices: &'a [u16],
    channels: usize,
    row: usize,
    beta: f32,
    d_x: &'a mut [E],
}

impl<E: Element> Kernel for MaxBackward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut words = self.choices.as_chunks::<2>().0.iter();
        for (j, d_y) in self.d_y.chunks_exact(self.channels).enumerate() {
            let [a, b, c, d] = block_mut(self.d_x, self.row, self.channels, j);
            for (group, d_y) in d_y.chunks(GROUP).enumerate() {
                let [right, bottom] = words.next().expect("two words for each group of channels").map(u32::from);
                for (i, d_y) in d_y.chunks(S::LANES).enumerate() {
                    let (right, bottom) = (right >> (i * S::LANES), bottom >> (i * S::LANES));
                    let gradient = E::load_partial(simd, d_y);
                    let first = group * GROUP + i * S::LANES;
                    let last = first + d_y.len();
                    add(simd, simd.select(!right & !bottom, gradient), self.beta, &mut a[first..last]);
                    add(simd, simd.select(right & !bottom, gradient), self.beta, &mut b[first..last]);
                    add(simd, simd.select(!right & bottom, gradient), self.beta, &mut c[first..last]);
                    add(simd, simd.select(right & bottom, gradient), self.beta, &mut d[first..last]);
                }
            }
        }
        let blocks = self.d_y.len() / self.channels;
        scale_last_column(self.d_x, self.row, blocks, self.channels, self.beta);
    }
}

/// A row of d_y, the share of it that each of four gets, and the two rows of d_x it is spread over.
struct AvgBackward<'a, E> {
    d_y: &'a [E],
    channels: usize,
    row: usize,
    share: f32,
    beta: f32,
    d_x: &'a mut [E],
}

impl<E: Element> Kernel for AvgBackward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let share = simd.splat(self.share);
        for (j, d_y) in self.d_y.chunks_exact(self.channels).enumerate() {
            let mut pixels = block_mut(self.d_x, self.row, self.channels, j);
            for (i, d_y) in d_y.chunks(S::LANES).enumerate() {
                let gradient = simd.mul(share, E::load_partial(simd, d_y));
                let first = i * S::LANES;
                for d in &mut pixels {
                    add(simd, gradient, self.beta, &mut d[first..first + d_y.len()]);
                }
            }
        }
        let blocks = self.d_y.len() / self.channels;
        scale_last_column(self.d_x, self.row, blocks, self.channels, self.beta);
    }
}

/// A row of d_y, and the two rows of x and of d_x it belongs to. Without x, it is in d_x and is written over.
struct L2Backward<'a, E> {
    d_y: &'a [E],
    x: Option<&'a [E]>,
    channels: usize,
    row: usize,
    beta: f32,
    d_x: &'a mut [E],
}

impl<E: Element> Kernel for L2Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(L2_FACTOR);
        for (j, d_y) in self.d_y.chunks_exact(self.channels).enumerate() {
            for (i, d_y) in d_y.chunks(S::LANES).enumerate() {
                let channels = i * S::LANES..i * S::LANES + d_y.len();
                let x = block(self.x.unwrap_or(self.d_x), self.row, self.channels, j);
                let x = load_each(simd, x, channels.clone());
                let d = simd.div(simd.mul(factor, E::load_partial(simd, d_y)), root(simd, x));
                let pixels = block_mut(self.d_x, self.row, self.channels, j);
                for (x, d_x) in x.into_iter().zip(pixels) {
                    add(simd, simd.mul(d, x), self.beta, &mut d_x[channels.clone()]);
                }
            }
        }
        let blocks = self.d_y.len() / self.channels;
        scale_last_column(self.d_x, self.row, blocks, self.channels, self.beta);
    }
}

#[cfg(test)]
mod tests;
