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
//! a map and its gradient: see `strips/course.rs`. Of the shallow maps those would be the most, and they are cheap: so what losses
//! look at there is computed once more, when the gradient comes.

mod course;
mod survey;

use std::ops::Range;

use super::network::{Border, MEAN, Pooling, STD, Vgg};
use super::{Layer, Stage};
use crate::autograd::{Cancel, MapElement};
use crate::kernels::bit_mask::BitMask;
use crate::kernels::conv::{self, Direction, Epilogue, Shape, Span};
use crate::kernels::pooling::{self, Choices};
use crate::kernels::simd::Element;
use crate::ops::{normalize, pad_replicate};
use crate::tensor::{BufferPool, FeatureMap, Rows};
use course::{Course, Move};
use survey::Survey;
pub use survey::{Bytes, at_once, bytes};

/// Where a walk goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// The last layer.
    pub deepest: Layer,
    /// The layer from which gradients come back, if they do.
    pub turn: Option<Layer>,
    /// The layers up to that one whose gradient is given by losses that look at them.
    pub given: Vec<Layer>,
    /// Of these, those that are looked at again when their gradient comes.
    pub late: Vec<Layer>,
}

impl Route {
    /// There, and not back.
    #[must_use]
    pub fn there(deepest: Layer) -> Self {
        Route { deepest, turn: None, given: Vec::new(), late: Vec::new() }
    }
}

/// A walk through the network, of a picture that is there whole and maps that are not.
pub struct Strips<'a, E: MapElement> {
    vgg: &'a Vgg,
    picture: &'a FeatureMap,
    course: Course,
    /// Map i + 1 of the course.
    maps: Vec<Map<E>>,
    /// The maps that are looked at again, and the walk that does.
    late: Vec<usize>,
    again: Option<Again<'a, E>>,
}

/// A walk behind another, as far as that needs it.
struct Again<'a, E: MapElement> {
    strips: Box<Strips<'a, E>>,
    ends: Box<dyn Iterator<Item = usize>>,
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
    /// A walk before its first strip of `rows` rows, a multiple of [`conv::GRID`].
    #[must_use]
    pub fn new(vgg: &'a Vgg, route: &Route, picture: &'a FeatureMap, rows: usize, pool: &mut BufferPool) -> Self {
        let (height, width, _) = picture.dim();
        let survey = Survey::new::<E>(vgg.stages(), vgg.options(), (height, width), route, rows);
        Self::surveyed(vgg, survey, picture, pool)
    }

    fn surveyed(vgg: &'a Vgg, survey: Survey, picture: &'a FeatureMap, pool: &mut BufferPool) -> Self {
        let maps = survey.maps.into_iter().zip(vgg.stages()).map(|((row, held), stage)| {
            let elements = row.0 * row.1;
            let (mask, choices) = match stage {
                Stage::Convolution { .. } => (held.passed, 0),
                Stage::Pool if vgg.options().pooling == Pooling::Max => (0, held.passed),
                Stage::Pool => (0, 0),
            };
            Map {
                row,
                features: Rows::new(elements, held.features, pool),
                mask: Rows::new(elements / 8, mask, pool),
                choices: Rows::new(row.0 * Choices::pixel_words(row.1), choices, pool),
                given: (held.given > 0).then(|| Rows::new(elements, held.given, pool)),
                gradient: Rows::new(elements, held.gradient, pool),
            }
        });
        let maps = maps.collect();
        let again = survey.again.map(|survey| {
            let ends = Box::new(survey.course.ends());
            Again { strips: Box::new(Self::surveyed(vgg, *survey, picture, pool)), ends }
        });
        Strips { vgg, picture, maps, course: survey.course, late: survey.late, again }
    }

    /// The rows of the picture at which its strips end.
    pub fn ends(&self) -> impl Iterator<Item = usize> + use<E> {
        self.course.ends()
    }

    /// Goes on to row `end` of the picture (a multiple of [`conv::GRID`], or its height), unless that is cancelled.
    ///
    /// `tap` sees each ReLU's new rows, and may give the gradient of what it makes of them, up to the layer where gradients
    /// begin: for all rows of a layer, or for none; there, for all; for none of a layer that is looked at again.
    #[must_use]
    pub fn forward(
        &mut self,
        end: usize,
        pool: &mut BufferPool,
        cancel: &Cancel,
        mut tap: impl FnMut(Layer, Range<usize>, &FeatureMap<E>, &mut BufferPool) -> Option<FeatureMap<E>>,
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
                let turn = i + 1 == self.course.turn();
                let to = if turn { &mut map.gradient } else { map.given.as_mut().expect("a layer of the route's") };
                to.push(given.as_slice());
                pool.put(given.into_buffer());
            }
            if !last {
                map.features.push(y.as_slice());
            }
            pool.put(y.into_buffer());
        }
        Some(())
    }

    /// Lets gradients come back as far as what has been walked forth allows, and adds them to d_x (H × W × 3, zeros before
    /// the first strip): that of the normalised picture, see [`Strips::finish`].
    ///
    /// `give` gives the gradient of what losses make of the layers that are looked at again.
    #[must_use]
    pub fn backward(
        &mut self,
        d_x: &mut FeatureMap,
        pool: &mut BufferPool,
        cancel: &Cancel,
        mut give: impl FnMut(Layer, Range<usize>, &FeatureMap<E>, &mut BufferPool) -> FeatureMap<E>,
    ) -> Option<()> {
        loop {
            self.look_again(pool, cancel, &mut give)?;
            if !self.round(d_x, pool, cancel)? {
                return Some(());
            }
        }
    }

    /// Walks the shallow layers again as far as the next round needs them.
    fn look_again(
        &mut self,
        pool: &mut BufferPool,
        cancel: &Cancel,
        give: &mut impl FnMut(Layer, Range<usize>, &FeatureMap<E>, &mut BufferPool) -> FeatureMap<E>,
    ) -> Option<()> {
        let Strips { vgg, course, maps, late, again, .. } = self;
        let Some(Again { strips, ends }) = again else { return Some(()) };
        while course.wants(late, &strips.course) {
            let end = ends.next().expect("there are rows left");
            strips.forward(end, pool, cancel, |layer, rows, features, pool| {
                let map = late.iter().find(|&&map| vgg.stages()[map - 1].name() == Some(layer))?;
                let given = give(layer, rows, features, pool);
                maps[map - 1].given.as_mut().expect("a layer of the route's").push(given.as_slice());
                pool.put(given.into_buffer());
                None
            })?;
        }
        Some(())
    }

    /// One round on the way back; whether anything moved.
    fn round(&mut self, d_x: &mut FeatureMap, pool: &mut BufferPool, cancel: &Cancel) -> Option<bool> {
        let mut moved = false;
        for (i, stage) in self.vgg.stages().iter().enumerate().take(self.course.turn()).rev() {
            if cancel.is_cancelled() {
                return None;
            }
            let Some(Move { reads, writes }) = self.course.backward(i) else { continue };
            moved = true;
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
                    self.maps[i - 1].gradient.push(d.as_slice());
                    pool.put(d.into_buffer());
                }
                Stage::Pool => {
                    let (mut d, beta) = self.given(i, &writes, pool);
                    self.double(i, &reads, &d_y, (&writes, beta), &mut d, pool);
                    self.maps[i - 1].gradient.push(d.as_slice());
                    pool.put(d.into_buffer());
                }
            }
            pool.put(d_y.into_buffer());
            let (map, first) = (&mut self.maps[i], self.course.pulled_from(i + 1));
            map.gradient.release(first);
            map.mask.release(first);
            map.choices.release(first);
        }
        Some(moved)
    }

    /// After the last strip: makes the gradient that [`Strips::backward`] has gathered that of the picture, and gives back
    /// what the walk took.
    pub fn finish(self, d_x: Option<&mut FeatureMap>, pool: &mut BufferPool) {
        if let Some(d_x) = d_x {
            normalize::backward(d_x.as_mut_slice(), STD);
        }
        for map in self.maps {
            let rows = [Some(map.features), map.given, Some(map.gradient)];
            rows.into_iter().flatten().for_each(|rows| pool.put(rows.into_buffer()));
            pool.put(map.mask.into_buffer());
            pool.put(map.choices.into_buffer());
        }
        if let Some(again) = self.again {
            again.strips.finish(None, pool);
        }
    }

    /// Rows of the picture as the first stage reads it: normalised, and bordered if it is to be.
    fn input(&self, rows: &Range<usize>, pool: &mut BufferPool) -> FeatureMap {
        let (_, width, channels) = self.picture.dim();
        if self.vgg.options().border != Border::Replicate {
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
    fn read(&mut self, i: usize, rows: &Range<usize>, pool: &mut BufferPool) -> FeatureMap<E> {
        let map = &mut self.maps[i - 1];
        let x = FeatureMap::from_buffer(rows.len(), map.row.0, map.row.1, map.features.copy(rows.clone(), pool));
        map.features.release(self.course.features_from(i));
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
        pool: &mut BufferPool,
    ) -> FeatureMap<E> {
        let (filter, bias) = self.vgg.convolution(index);
        let map = &mut self.maps[i];
        let mut y = FeatureMap::from_pool(pool, rows, map.row.0, map.row.1);
        let mut mask = (i < self.course.turn()).then(|| BitMask::from_pool(pool, y.as_slice().len()));
        let shape = shape(&x, y.dim(), reads);
        let epilogue = Epilogue::Relu(bias, mask.as_mut().map(BitMask::bytes_mut));
        conv::run(Direction::Forward, &shape, (&x, None), filter, epilogue, &mut y);
        if let Some(mask) = mask {
            map.mask.push(mask.bytes());
            pool.put(mask.into_buffer());
        }
        pool.put(x.into_buffer());
        y
    }

    /// What a pooling makes of x.
    fn halve(&mut self, i: usize, x: FeatureMap<E>, rows: usize, pool: &mut BufferPool) -> FeatureMap<E> {
        let map = &mut self.maps[i];
        let mut y = FeatureMap::from_pool(pool, rows, map.row.0, map.row.1);
        match self.vgg.options().pooling {
            Pooling::Max => {
                let mut choices = (i < self.course.turn()).then(|| Choices::from_pool(pool, y.dim()));
                pooling::max_forward(&x, &mut y, choices.as_mut());
                if let Some(choices) = choices {
                    map.choices.push(choices.words());
                    pool.put(choices.into_buffer());
                }
            }
            Pooling::Avg => pooling::avg_forward(&x, 1.0, &mut y),
            Pooling::Avg2 => pooling::avg_forward(&x, 2.0, &mut y),
            Pooling::L2 => pooling::l2_forward(&x, &mut y),
        }
        pool.put(x.into_buffer());
        y
    }

    /// What losses have given for rows of the map before stage `i`, to be added to; or room for them, and β = 0.
    fn given(&mut self, i: usize, rows: &Range<usize>, pool: &mut BufferPool) -> (FeatureMap<E>, f32) {
        let Map { row: (width, channels), given, .. } = &mut self.maps[i - 1];
        match given {
            Some(given) => {
                let d = FeatureMap::from_buffer(rows.len(), *width, *channels, given.copy(rows.clone(), pool));
                given.release(rows.end);
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
        pool: &mut BufferPool,
    ) {
        let mask = BitMask::from_buffer(self.maps[i].mask.copy(reads.rows.clone(), pool), d_y.as_slice().len());
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
        pool: &mut BufferPool,
    ) {
        match self.vgg.options().pooling {
            Pooling::Max => {
                let choices = Choices::from_buffer(self.maps[i].choices.copy(reads.rows.clone(), pool));
                pooling::max_backward(d_y, &choices, beta, d);
                pool.put(choices.into_buffer());
            }
            Pooling::Avg => pooling::avg_backward(d_y, 1.0, beta, d),
            Pooling::Avg2 => pooling::avg_backward(d_y, 2.0, beta, d),
            Pooling::L2 => {
                let Map { row: (width, channels), features, .. } = &mut self.maps[i - 1];
                let x = features.copy(writes.clone(), pool);
                let x = FeatureMap::from_buffer(writes.len(), *width, *channels, x);
                pooling::l2_backward(d_y, &x, beta, d);
                pool.put(x.into_buffer());
                features.release(self.course.features_from(i));
            }
        }
    }
}

/// Of a convolution that reads the map x and writes one of (H × W × C), with so many rows of zeros beyond x.
fn shape<X: Element>(x: &FeatureMap<X>, (_, width, channels): (usize, usize, usize), reads: &Span) -> Shape {
    let padding = (width + 2 - x.width()) / 2;
    Shape { beyond: reads.beyond, ..Shape::new((x.height(), x.width()), x.channels(), channels, padding) }
}
