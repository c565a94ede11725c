//! The network on a picture so large that its maps cannot be there whole: strip by strip, forth and back.
//!
//! ```text
//!        strip 1           strip 2           strip 3
//!   ┌───────────────┬─────────────────┬───────────────┐
//!   │ x ─▶ maps ─▶ losses' gradients  │               │     forth: each map some rows further
//!   │        dx ◀─ maps               │               │     back: as far as what is there allows
//!   └───────────────┴─────────────────┴───────────────┘
//! ```
//!
//! Nothing is computed twice, and nothing at the cuts differs from what it is elsewhere: a map's rows stay until
//! everybody has read them, those that the next strip reads again included, so every number is computed from the same
//! numbers in the same order as in the whole, and is the same to the bit. What that takes is memory for the rows between
//! a map and its gradient: see [`Course`].

mod course;

use std::ops::Range;

use super::network::{Border, MEAN, Pooling, STD, Vgg};
use super::{Layer, Stage};
use crate::autograd::{Cancel, MapElement};
use crate::kernels::conv::{self, Direction, Epilogue, Shape, Span};
use crate::kernels::mask::Mask;
use crate::kernels::pool::{self, Choices};
use crate::kernels::simd::Element;
use crate::ops::{normalize, pad_replicate};
use crate::tensor::{FeatureMap, Pool, Rows};
pub use course::{Course, Move};

/// A walk through the network, of a picture that is there whole and maps that are not.
pub struct Strips<'a, E: MapElement> {
    vgg: &'a Vgg,
    picture: &'a FeatureMap,
    course: Course,
    /// Map i + 1 of the course.
    maps: Vec<Map<E>>,
}

/// What is there of a map that a stage writes.
struct Map<E: MapElement> {
    /// (W, C).
    row: (usize, usize),
    features: Rows<E>,
    /// Where its ReLU let something through.
    mask: Rows<u8>,
    /// Which of four a max-pooling took.
    choices: Rows<u16>,
    /// What losses that look at it make of its gradient, if there are any.
    given: Option<Rows<E>>,
    /// Its gradient, where that is complete.
    gradient: Rows<E>,
}

impl<'a, E: MapElement> Strips<'a, E> {
    /// A walk down to the layer `deepest`, before its first strip; gradients come back from the layer `turn`, if any.
    #[must_use]
    pub fn new(vgg: &'a Vgg, deepest: Layer, turn: Option<Layer>, picture: &'a FeatureMap) -> Self {
        let to = |layer| {
            let end = vgg.stages().iter().position(|stage| stage.name() == Some(layer));
            end.map_or(vgg.stages().len(), |end| end + 1)
        };
        let (stages, turn) = (&vgg.stages()[..to(deepest)], turn.map_or(0, to));
        let (height, mut width, mut channels) = picture.dim();
        let maps = stages.iter().map(|stage| {
            match stage {
                Stage::Convolution { out_channels, .. } => channels = *out_channels,
                Stage::Pool => width /= 2,
            }
            Map {
                row: (width, channels),
                features: Rows::new(width * channels),
                mask: Rows::new(width * channels / 8),
                choices: Rows::new(width * Choices::pixel_words(channels)),
                given: None,
                gradient: Rows::new(width * channels),
            }
        });
        let bordered = vgg.options().border == Border::Replicate;
        Strips { vgg, picture, maps: maps.collect(), course: Course::new(stages, turn, height, bordered) }
    }

    /// Goes on to row `end` of the picture (a multiple of [`conv::GRID`], or its height), unless that is cancelled.
    ///
    /// `tap` sees each ReLU's new rows, and may give the gradient of what it makes of them, up to the layer where gradients
    /// begin: for all rows of a layer, or for none; there, for all.
    #[must_use]
    pub fn forward(
        &mut self,
        end: usize,
        pool: &mut Pool,
        cancel: &Cancel,
        mut tap: impl FnMut(Layer, Range<usize>, &FeatureMap<E>, &mut Pool) -> Option<FeatureMap<E>>,
    ) -> Option<()> {
        for (i, stage) in self.vgg.stages().iter().enumerate().take(self.maps.len()) {
            if cancel.is_cancelled() {
                return None;
            }
            let Some(Move { reads, writes }) = self.course.forward(i, end) else { continue };
            let y = match *stage {
                Stage::Convolution { index, .. } if i == 0 => {
                    let x = self.input(&reads.rows, pool);
                    self.convolve(i, index, &reads, x, writes.len(), pool)
                }
                Stage::Convolution { index, .. } => {
                    let x = self.read(i, &reads.rows, pool);
                    self.convolve(i, index, &reads, x, writes.len(), pool)
                }
                Stage::Pool => {
                    let x = self.read(i, &reads.rows, pool);
                    self.halve(i, x, writes.len(), pool)
                }
            };
            let (map, last) = (&mut self.maps[i], i + 1 == self.course.stages());
            if let Some(given) = stage.name().and_then(|name| tap(name, writes, &y, pool)) {
                // Nothing is added to it where the way back begins.
                let rows = map.row.0 * map.row.1;
                let to = if i + 1 == self.course.turn() {
                    &mut map.gradient
                } else {
                    map.given.get_or_insert_with(|| Rows::new(rows))
                };
                to.push(given.into_buffer());
            }
            map.features.push(y.into_buffer());
            if last {
                map.features.clear(pool);
            }
        }
        Some(())
    }

    /// Lets gradients come back as far as what has been walked forth allows, and adds them to d_x (H × W × 3, zeros before
    /// the first strip): that of the normalised picture, see [`Strips::finish`].
    #[must_use]
    pub fn backward(&mut self, d_x: &mut FeatureMap, pool: &mut Pool, cancel: &Cancel) -> Option<()> {
        for (i, stage) in self.vgg.stages().iter().enumerate().take(self.course.turn()).rev() {
            if cancel.is_cancelled() {
                return None;
            }
            let Some(Move { reads, writes }) = self.course.backward(i) else { continue };
            let (width, channels) = self.maps[i].row;
            let rows = self.maps[i].gradient.copy(reads.rows.clone(), pool);
            let d_y = FeatureMap::from_buffer(reads.rows.len(), width, channels, rows);
            match *stage {
                Stage::Convolution { index, .. } if i == 0 => {
                    let border = usize::from(self.vgg.options().border == Border::Replicate);
                    let (width, channels) = (self.picture.width() + 2 * border, self.picture.channels());
                    let mut d: FeatureMap = FeatureMap::from_pool(pool, writes.len(), width, channels);
                    self.pull(i, index, &reads, &d_y, 0.0, &mut d, pool);
                    if border > 0 {
                        pad_replicate::backward(d.as_slice(), writes, d_x);
                    } else {
                        let row = width * channels;
                        d_x.as_mut_slice()[writes.start * row..writes.end * row].copy_from_slice(d.as_slice());
                    }
                    pool.put(d.into_buffer());
                }
                Stage::Convolution { index, .. } => {
                    let (mut d, beta) = self.given(i, &writes, pool);
                    self.pull(i, index, &reads, &d_y, beta, &mut d, pool);
                    self.maps[i - 1].gradient.push(d.into_buffer());
                }
                Stage::Pool => {
                    let (mut d, beta) = self.given(i, &writes, pool);
                    self.double(i, &reads, &d_y, (&writes, beta), &mut d, pool);
                    self.maps[i - 1].gradient.push(d.into_buffer());
                }
            }
            pool.put(d_y.into_buffer());
            let (map, first) = (&mut self.maps[i], self.course.pulled_from(i + 1));
            map.gradient.release(first, pool);
            map.mask.release(first, pool);
            map.choices.release(first, pool);
        }
        Some(())
    }

    /// Makes the gradient that [`Strips::backward`] has gathered that of the picture, after the last strip.
    pub fn finish(d_x: &mut FeatureMap) {
        normalize::backward(d_x.as_mut_slice(), STD);
    }

    /// Rows of the picture as the first stage reads it: normalised, and bordered if it is to be.
    fn input(&self, rows: &Range<usize>, pool: &mut Pool) -> FeatureMap {
        let (_, width, channels) = self.picture.dim();
        if self.vgg.options().border == Border::Zero {
            let mut x = FeatureMap::from_pool(pool, rows.len(), width, channels);
            let row = width * channels;
            normalize::forward(&self.picture.as_slice()[rows.start * row..rows.end * row], MEAN, STD, x.as_mut_slice());
            return x;
        }
        let mut bordered: FeatureMap = FeatureMap::from_pool(pool, rows.len(), width + 2, channels);
        pad_replicate::forward(self.picture, rows.clone(), bordered.as_mut_slice());
        let mut x = FeatureMap::from_pool(pool, rows.len(), width + 2, channels);
        normalize::forward(bordered.as_slice(), MEAN, STD, x.as_mut_slice());
        pool.put(bordered.into_buffer());
        x
    }

    /// Rows of the map before stage `i`. Those that nobody will read again are given up.
    fn read(&mut self, i: usize, rows: &Range<usize>, pool: &mut Pool) -> FeatureMap<E> {
        let map = &mut self.maps[i - 1];
        let x = FeatureMap::from_buffer(rows.len(), map.row.0, map.row.1, map.features.copy(rows.clone(), pool));
        let looks_back = self.vgg.stages()[i] == Stage::Pool && self.vgg.options().pooling == Pooling::L2;
        if !(i < self.course.turn() && looks_back) {
            map.features.release(self.course.read_from(i), pool);
        }
        x
    }

    /// What a convolution and its ReLU make of x.
    fn convolve<X: Element>(
        &mut self,
        i: usize,
        index: usize,
        reads: &Span,
        x: FeatureMap<X>,
        rows: usize,
        pool: &mut Pool,
    ) -> FeatureMap<E> {
        let (filter, bias) = self.vgg.convolution(index);
        let map = &mut self.maps[i];
        let mut y = FeatureMap::from_pool(pool, rows, map.row.0, map.row.1);
        let mut mask = (i < self.course.turn()).then(|| Mask::from_pool(pool, y.as_slice().len()));
        let shape = shape(&x, y.dim(), reads);
        let epilogue = Epilogue::Relu(bias, mask.as_mut().map(Mask::bytes_mut));
        conv::run(Direction::Forward, &shape, (&x, None), filter, epilogue, &mut y);
        mask.into_iter().for_each(|mask| map.mask.push(mask.into_buffer()));
        pool.put(x.into_buffer());
        y
    }

    /// What a pooling makes of x.
    fn halve(&mut self, i: usize, x: FeatureMap<E>, rows: usize, pool: &mut Pool) -> FeatureMap<E> {
        let map = &mut self.maps[i];
        let mut y = FeatureMap::from_pool(pool, rows, map.row.0, map.row.1);
        match self.vgg.options().pooling {
            Pooling::Max => {
                let mut choices = (i < self.course.turn()).then(|| Choices::from_pool(pool, y.dim()));
                pool::max_forward(&x, &mut y, choices.as_mut());
                choices.into_iter().for_each(|choices| map.choices.push(choices.into_buffer()));
            }
            Pooling::Avg => pool::avg_forward(&x, 1.0, &mut y),
            Pooling::Avg2 => pool::avg_forward(&x, 2.0, &mut y),
            Pooling::L2 => pool::l2_forward(&x, &mut y),
        }
        pool.put(x.into_buffer());
        y
    }

    /// What losses have given for rows of the map before stage `i`, to be added to; or room for them, and β = 0.
    fn given(&mut self, i: usize, rows: &Range<usize>, pool: &mut Pool) -> (FeatureMap<E>, f32) {
        let Map { row: (width, channels), given, .. } = &mut self.maps[i - 1];
        match given {
            Some(given) => {
                let d = FeatureMap::from_buffer(rows.len(), *width, *channels, given.copy(rows.clone(), pool));
                given.release(rows.end, pool);
                (d, 1.0)
            }
            None => (FeatureMap::from_pool(pool, rows.len(), *width, *channels), 0.0),
        }
    }

    /// `d ← β·d +` what comes back through a ReLU and its convolution.
    #[allow(clippy::too_many_arguments)]
    fn pull<X: Element>(
        &self,
        i: usize,
        index: usize,
        reads: &Span,
        d_y: &FeatureMap<E>,
        beta: f32,
        d: &mut FeatureMap<X>,
        pool: &mut Pool,
    ) {
        let mask = Mask::from_buffer(self.maps[i].mask.copy(reads.rows.clone(), pool), d_y.as_slice().len());
        let filter = self.vgg.convolution(index).0;
        let shape = shape(d_y, d.dim(), reads);
        conv::run(Direction::BackwardInput, &shape, (d_y, Some(&mask)), filter, Epilogue::Scaled(beta), d);
        pool.put(mask.into_buffer());
    }

    /// `d ← β·d +` what comes back through a pooling.
    fn double(
        &mut self,
        i: usize,
        reads: &Span,
        d_y: &FeatureMap<E>,
        (writes, beta): (&Range<usize>, f32),
        d: &mut FeatureMap<E>,
        pool: &mut Pool,
    ) {
        match self.vgg.options().pooling {
            Pooling::Max => {
                let choices = Choices::from_buffer(self.maps[i].choices.copy(reads.rows.clone(), pool));
                pool::max_backward(d_y, &choices, beta, d);
                pool.put(choices.into_buffer());
            }
            Pooling::Avg => pool::avg_backward(d_y, 1.0, beta, d),
            Pooling::Avg2 => pool::avg_backward(d_y, 2.0, beta, d),
            Pooling::L2 => {
                let Map { row: (width, channels), features, .. } = &mut self.maps[i - 1];
                let x = features.copy(writes.clone(), pool);
                let x = FeatureMap::from_buffer(writes.len(), *width, *channels, x);
                pool::l2_backward(d_y, &x, beta, d);
                pool.put(x.into_buffer());
                features.release(writes.end.min(self.course.read_from(i)), pool);
            }
        }
    }
}

/// Of a convolution that reads the map x and writes one of (H × W × C), with so many rows of zeros beyond x.
fn shape<X: Element>(x: &FeatureMap<X>, (_, width, channels): (usize, usize, usize), reads: &Span) -> Shape {
    let padding = (width + 2 - x.width()) / 2;
    Shape { beyond: reads.beyond, ..Shape::new((x.height(), x.width()), x.channels(), channels, padding) }
}
