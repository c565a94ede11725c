//! Some rows of a convolution, where a map is too large to be there whole.
//!
//! ```text
//!   rows that are read                     rows that are written
//!   ┌──────────────┐ 3 ─ the row above
//!   │              │ 4 ┐               ┌ 4 ┌──────────────┐
//!   │   a..b       │   │  p = 1: two   │   │   4k .. 4m   │
//!   │              │   │  rows more    │   │              │
//!   └──────────────┘ 8 ┘─ one below    └ 7 └──────────────┘
//! ```
//!
//! Winograd's algorithm rounds sixteen outputs together: what is outside of the four rows of a tile touches their
//! last bits. So rows are cut where the tiles of the whole map are.

use std::ops::Range;

/// Rows are cut at multiples of it: the outputs of one of Winograd's tiles.
pub const GRID: usize = super::winograd::TILE;

/// What is read for some rows of a convolution's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Rows of the map that is read.
    pub rows: Range<usize>,
    /// Rows of zeros above and below them, see [`Shape::beyond`](super::Shape::beyond).
    pub beyond: [usize; 2],
}

impl Span {
    /// For the rows `wanted`, of a map of `height` rows with `padding` rows of zeros above and below.
    #[must_use]
    pub fn new(wanted: &Range<usize>, height: usize, padding: usize) -> Self {
        // Counted with the zeros, output row i reads rows i..i + 3.
        let (start, end) = (wanted.start, wanted.end + 2);
        let rows = start.saturating_sub(padding).min(height)..end.saturating_sub(padding).min(height);
        let beyond = [padding.saturating_sub(start), end.saturating_sub(height + padding)];
        Span { rows, beyond }
    }

    /// How many rows can be written once the first `there` are there to be read, of `height`.
    #[must_use]
    pub fn reach(there: usize, height: usize, padding: usize) -> usize {
        if there == height {
            return (height + 2 * padding).saturating_sub(2);
        }
        (there + padding).saturating_sub(2) / GRID * GRID
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use ndarray::Array4;
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::bit_mask::BitMask;
    use crate::kernels::conv::{self, Algorithm, Choice, Cpu, Direction, Epilogue, Filter, Shape};
    use crate::kernels::simd::Element;
    use crate::tensor::{BufferPool, Dtype, FeatureMap};

    fn numbers<E: Element>(length: usize, step: usize) -> Vec<E> {
        (0..length).map(|i| E::from_f32(((i * step + 7) % 1021) as f32 / 1021.0 - 0.5)).collect()
    }

    fn rows_of<E: Element>(map: &FeatureMap<E>, rows: &Range<usize>) -> FeatureMap<E> {
        let row = map.width() * map.channels();
        let data = map.as_slice()[rows.start * row..rows.end * row].to_vec();
        FeatureMap::from_vec(rows.len(), map.width(), map.channels(), data)
    }

    /// A convolution whole, and by rows cut at `cuts`, each as soon as what it reads is there: y, and its mask.
    #[allow(clippy::too_many_arguments)]
    fn whole_and_cut<E: Element>(
        filter: &Filter,
        direction: Direction,
        shape: &Shape,
        relu: bool,
        steps: &[usize],
    ) -> [(Vec<f32>, Vec<u8>); 2] {
        let Shape { height, width, in_channels, out_channels, padding, .. } = *shape;
        let x = FeatureMap::from_vec(height, width, in_channels, numbers::<E>(height * width * in_channels, 7919));
        let bias: Vec<f32> = numbers(out_channels, 31);
        let wide = |map: &FeatureMap<E>| map.as_slice().iter().map(|x| x.to_f32()).collect::<Vec<_>>();
        // Backward, what is read is masked, and what is written is added to what is there.
        let run = |span: &Span, wanted: &Range<usize>| {
            let shape = Shape { height: span.rows.len(), beyond: span.beyond, ..*shape };
            let x = rows_of(&x, &span.rows);
            let size = wanted.len() * width_of(width, padding) * out_channels;
            let from = wanted.start * width_of(width, padding) * out_channels;
            let data = numbers::<E>(from + size, 17)[from..].to_vec();
            let mut y = FeatureMap::from_vec(wanted.len(), width_of(width, padding), out_channels, data);
            let mut mask = BitMask::from_pool(&mut BufferPool::new(), y.as_slice().len());
            let mut through = BitMask::from_pool(&mut BufferPool::new(), x.as_slice().len());
            through.set(x.as_slice());
            let (epilogue, through) = match (direction, relu) {
                (Direction::Forward, true) => (Epilogue::Relu(&bias, Some(mask.bytes_mut())), None),
                (Direction::Forward, false) => (Epilogue::Bias(&bias), None),
                (Direction::BackwardInput, _) => (Epilogue::Scaled(1.0), Some(&through)),
            };
            conv::run(direction, &shape, (&x, through), filter, epilogue, &mut y);
            let made = direction == Direction::Forward && relu;
            (wide(&y), if made { mask.bytes().to_vec() } else { Vec::new() })
        };
        let out_height = shape.out_height();
        let whole = run(&Span::new(&(0..out_height), height, padding), &(0..out_height));
        let (mut cut, mut done, mut there) = ((Vec::new(), Vec::new()), 0, 0);
        for step in steps.iter().cycle() {
            there = (there + step).min(height);
            let wanted = done..Span::reach(there, height, padding);
            if !wanted.is_empty() {
                let span = Span::new(&wanted, height, padding);
                assert!(span.rows.end <= there, "{span:?} reads what is not there yet");
                let (y, mask) = run(&span, &wanted);
                cut.0.extend(y);
                cut.1.extend(mask);
                done = wanted.end;
            }
            if there == height {
                break;
            }
        }
        [whole, cut]
    }

    fn width_of(width: usize, padding: usize) -> usize {
        width + 2 * padding - 2
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// Every algorithm, in both directions and types, with every padding.
        #[test]
        fn rows_are_to_the_byte_what_they_are_in_the_whole(
            (height, width) in (3usize..40, 3usize..24),
            channels in prop::sample::select(vec![(3, 64), (64, 3), (16, 32), (64, 64), (48, 16)]),
            steps in prop::collection::vec(1usize..12, 1..4),
            padding in 0usize..3,
            relu: bool,
        ) {
            let (input, out) = channels;
            for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.available()) {
                for direction in [Direction::Forward, Direction::BackwardInput] {
                    let (written, read) = if direction == Direction::Forward { (out, input) } else { (input, out) };
                    let weight = Array4::from_shape_vec((written, read, 3, 3), numbers(9 * out * input, 613)).unwrap();
                    let choice = Choice::new((written, read), Dtype::F32, Cpu::detect(), Some(algorithm));
                    let filter = Filter::frozen(weight, choice);
                    let shape = Shape::new((height, width), input, out, padding);
                    // A row of a mask is a number of bytes in the network, where a ReLU has 64 channels or more.
                    let relu = relu && out % 8 == 0;
                    for [whole, cut] in [
                        whole_and_cut::<f32>(&filter, direction, &shape, relu, &steps),
                        whole_and_cut::<bf16>(&filter, direction, &shape, relu, &steps),
                    ] {
                        prop_assert!(whole == cut, "{:?} {:?} {:?}", algorithm, direction, shape);
                    }
                }
            }
        }
    }
}
