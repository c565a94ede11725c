//! A walk before it begins: which maps there will be, how much of them, and the bytes that takes.

use super::Route;
use super::course::{Course, Held};
use crate::autograd::MapElement;
use crate::kernels::pooling::Choices;
use crate::vgg::network::{Border, Pooling, VggOptions};
use crate::vgg::{Layer, Stage};

/// A walk before it begins: which maps there are, and how much of them.
pub(super) struct Survey {
    pub course: Course,
    /// Map i + 1: (W, C), and rows.
    pub maps: Vec<((usize, usize), Held)>,
    /// Bytes of what a stage works with, at the fullest.
    working: usize,
    /// The maps that are looked at again, and the walk that does.
    pub late: Vec<usize>,
    pub again: Option<Box<Survey>>,
}

impl Survey {
    pub fn new<E: MapElement>(
        stages: &[Stage],
        options: &VggOptions,
        (height, width): (usize, usize),
        route: &Route,
        rows: usize,
    ) -> Self {
        let to = |layer| {
            let end = stages.iter().position(|stage| stage.name() == Some(layer));
            end.map_or(stages.len(), |end| end + 1)
        };
        let late: Vec<usize> = route.late.iter().copied().map(to).collect();
        let again = route.late.iter().max().map(|&deepest| {
            let route = Route::there(deepest);
            Box::new(Survey::new::<E>(stages, options, (height, width), &route, rows))
        });
        let (stages, turn) = (&stages[..to(route.deepest)], route.turn.map_or(0, to));
        let course = Course::new(stages, turn, options, height, rows);
        let bordered = width + 2 * usize::from(options.border == Border::Replicate);
        let mut row = (width, 3);
        let extents = stages.iter().map(|stage| {
            match stage {
                Stage::Convolution { out_channels, .. } => row.1 = *out_channels,
                Stage::Pool => row.0 /= 2,
            }
            row
        });
        let extents: Vec<_> = extents.collect();
        let mut working = 0;
        let course_again = again.as_ref().map(|again| again.course.clone());
        let held = course.clone().survey(&late, course_again, |stage, step, back| {
            let (read, write) = if back {
                (step.writes.len(), step.reads.rows.len())
            } else {
                (step.reads.rows.len(), step.writes.len())
            };
            let (width, channels) = extents[stage];
            let passed = write * passed_bytes(stages[stage], extents[stage], options);
            // The features, or their gradient, and what is given of it.
            let copies = if !back && given(stages[stage], route) { 2 } else { 1 };
            let behind = copies * write * width * channels * size_of::<E>();
            let before = match stage.checked_sub(1) {
                // Normalised, and beforehand bordered.
                None => 2 * read * bordered * 3 * size_of::<f32>(),
                Some(before) => read * extents[before].0 * extents[before].1 * size_of::<E>(),
            };
            // On the way back a root of squares looks at its features.
            let looks_back = back && stages[stage] == Stage::Pool && options.pooling == Pooling::L2;
            let again = if looks_back { before } else { 0 };
            working = working.max(before + again + behind + passed);
        });
        let held = held.into_iter().zip(stages).map(|(held, stage)| {
            let given = if given(*stage, route) { held.given } else { 0 };
            Held { given, ..held }
        });
        let maps = extents.iter().copied().zip(held).collect();
        // What is given of a late map is there beside its features.
        let working_again = again.as_ref().map_or(0, |again| 2 * again.working);
        Survey { course, maps, working: working.max(working_again), late, again }
    }

    /// Bytes of all that a walk holds.
    fn bytes<E: MapElement>(&self, stages: &[Stage], options: &VggOptions) -> Bytes {
        let rings = self.maps.iter().zip(stages).map(|((row, held), stage)| {
            let features = row.0 * row.1 * size_of::<E>();
            let rings = [
                features * held.features,
                features * held.given,
                features * held.gradient,
                passed_bytes(*stage, *row, options) * held.passed,
            ];
            rings.map(|bytes| bytes.next_multiple_of(LINE)).iter().sum::<usize>()
        });
        let again = self.again.as_ref().map_or(0, |again| again.bytes::<E>(stages, options).held);
        Bytes { held: rings.sum::<usize>() + again, working: self.working + WORKED_WITH * LINE }
    }
}

/// Bytes that a walk takes of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// From its beginning to its end.
    pub held: usize,
    /// While it moves.
    pub working: usize,
}

/// Bytes of a row (W, C) of what a stage notes for the way back.
fn passed_bytes(stage: Stage, (width, channels): (usize, usize), options: &VggOptions) -> usize {
    match stage {
        Stage::Convolution { .. } => width * channels / 8,
        Stage::Pool if options.pooling == Pooling::Max => width * Choices::pixel_bytes(channels),
        Stage::Pool => 0,
    }
}

/// Whether losses give a gradient of what a stage writes.
fn given(stage: Stage, route: &Route) -> bool {
    stage.name().is_some_and(|name| route.given.contains(&name))
}

/// Buffers begin on lines of so many bytes.
const LINE: usize = 64;

/// Buffers that a stage works with, at most.
const WORKED_WITH: usize = 8;

/// Bytes that a walk in strips of `rows` rows takes, over a picture of (H, W) and stages of the network.
#[must_use]
pub fn bytes<E: MapElement>(
    stages: &[Stage],
    options: &VggOptions,
    size: (usize, usize),
    route: &Route,
    rows: usize,
) -> Bytes {
    Survey::new::<E>(stages, options, size, route, rows).bytes::<E>(stages, options)
}

/// Rows of a layer that one strip writes, at most, of a picture of `height` rows in strips of `rows`.
#[must_use]
pub fn at_once(stages: &[Stage], options: &VggOptions, height: usize, layer: Layer, rows: usize) -> usize {
    let Some(stage) = stages.iter().position(|stage| stage.name() == Some(layer)) else { return 0 };
    let mut most = 0;
    Course::new(&stages[..=stage], 0, options, height, rows).survey(&[], None, |at, step, _| {
        most = most.max(if at == stage { step.writes.len() } else { 0 });
    });
    most
}
