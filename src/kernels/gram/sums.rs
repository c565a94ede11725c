//! [`gram`](super::gram) or [`moments`](super::moments) of a map that is not there whole.
//!
//! A block of pixels is many rows, and a strip brings a few: waiting for whole blocks would take a map of features for each
//! layer, 17 MB at relu4_1. So a block may be open. What waits then are its sums so far, and the pixels that do not make
//! a chunk: sums go on where they were, in the same order, and are the same to the bit.

use ndarray::Array2;

use super::{DEPTH, Layout, NOTHING};
use crate::kernels::simd::{Element, Isa};

/// Sums over the rows of a map, which come in order, some at a time.
#[derive(Debug)]
pub struct Sums<E> {
    layout: Layout,
    totals: Vec<f64>,
    /// Those of the open block's chunks, and how many pixels they are.
    open: Vec<f32>,
    pixels: usize,
    /// The open block's pixels that do not yet make a chunk.
    rest: Vec<E>,
}

impl<E: Element> Sums<E> {
    /// Of maps of so many columns and channels, FᵀF alone or with ΣF below it.
    #[must_use]
    pub fn new(width: usize, channels: usize, with_sums: bool) -> Self {
        let layout = Layout::new(width, channels, with_sums, Isa::detect());
        Sums { totals: vec![NOTHING; layout.used()], open: Vec::new(), pixels: 0, rest: Vec::new(), layout }
    }

    /// Takes the next rows of F in.
    pub fn add(&mut self, mut rows: &[E]) {
        let block = self.layout.block * self.layout.channels;
        while !rows.is_empty() {
            let open = self.pixels * self.layout.channels + self.rest.len();
            if open == 0 && rows.len() >= block {
                let (blocks, others) = rows.split_at(rows.len() / block * block);
                self.layout.add(blocks, &mut self.totals);
                rows = others;
            } else {
                let (filling, others) = rows.split_at(rows.len().min(block - open));
                self.fill(filling);
                if filling.len() == block - open {
                    self.close();
                }
                rows = others;
            }
        }
    }

    /// The sums (N × N, or N+1 × N), after the last row.
    #[must_use]
    pub fn finish(mut self) -> Array2<f32> {
        self.close();
        self.layout.finish(&self.totals)
    }

    /// Takes pixels into the open block.
    fn fill(&mut self, mut pixels: &[E]) {
        let chunk = DEPTH * self.layout.channels;
        if !self.rest.is_empty() {
            let (filling, others) = pixels.split_at(pixels.len().min(chunk - self.rest.len()));
            self.rest.extend_from_slice(filling);
            pixels = others;
            if self.rest.len() == chunk {
                self.sum_rest();
            }
        }
        let (chunks, rest) = pixels.split_at(pixels.len() / chunk * chunk);
        self.sum(chunks);
        self.rest.extend_from_slice(rest);
    }

    /// Adds the open block, if there is one, to the totals.
    fn close(&mut self) {
        self.sum_rest();
        if self.pixels > 0 {
            self.layout.merge(&self.open, &mut self.totals);
            self.pixels = 0;
        }
    }

    fn sum_rest(&mut self) {
        let mut rest = std::mem::take(&mut self.rest);
        self.sum(&rest);
        rest.clear();
        self.rest = rest;
    }

    /// Takes whole chunks, or what ends the open block, into its sums.
    fn sum(&mut self, pixels: &[E]) {
        if !pixels.is_empty() {
            self.open.resize(self.layout.all(), 0.0);
            self.layout.sum(pixels, &mut self.open, self.pixels > 0);
            self.pixels += pixels.len() / self.layout.channels;
        }
    }
}
