//! Which rows of which map come when: the order of a walk in strips, without the maps.
//!
//! A stage writes as many rows as what it reads allows, cut at the [`GRID`](crate::kernels::conv::GRID) of
//! convolutions; so deeper maps lag behind, and gradients, which come back through the same stages, lag behind once
//! more:
//!
//! ```text
//!              rows of the picture ──────────────────────────────▶
//!   picture    ████████████████████████████████████████████████  there whole
//!   relu1_2    ···················░░░░░░░░░░░░░░░░░░░░████
//!   relu2_2    ······················░░░░░░░░░░░░░████           ████ written in this strip
//!   relu3_3    ···························░░░░████               ░░░░ still read on the way back
//!   relu4_3    ······························████                ···· not needed any more
//! ```
//!
//! What comes back comes in rounds, none of which moves more rows than a strip has: so the last strip, after which all
//! is known, takes no more room than the others.

use std::ops::Range;

use super::super::Stage;
use super::super::network::{Border, Pooling, VggOptions};
use crate::kernels::conv::{GRID, Span};

/// How far a walk has come. Map 0 is the picture as the first stage reads it, map i + 1 what stage i writes.
#[derive(Clone, Debug)]
pub struct Course {
    stages: Vec<Step>,
    /// The map whose gradient is the first to be known; 0 if none comes back.
    turn: usize,
    /// Whether a pooling looks at the features it read on the way back.
    looks_back: bool,
    /// Rows of the picture.
    height: usize,
    /// Rows of each map.
    heights: Vec<usize>,
    /// How many of them have been written.
    there: Vec<usize>,
    /// How many of their gradients are known.
    known: Vec<usize>,
    /// How many of them one round on the way back makes known.
    most: Vec<usize>,
}

/// What of a stage decides which rows it reads.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Rows of zeros above and below.
    Convolution {
        padding: usize,
    },
    Pool,
}

/// Rows of each map that are there at the fullest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Features.
    pub features: usize,
    /// Where a ReLU let something through, or which of four a pooling took.
    pub passed: usize,
    /// What losses that look at the map make of its gradient.
    pub given: usize,
    /// The gradient, where it is known.
    pub gradient: usize,
}

/// Some rows that are computed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What is read, of the map before (on the way back: of the gradient of the map behind).
    pub reads: Span,
    /// What is written.
    pub writes: Range<usize>,
}

impl Course {
    /// Through `stages`, from a picture of `height` rows, in strips of `rows`. Gradients come back from map `turn`, if that
    /// is not the picture.
    #[must_use]
    pub fn new(stages: &[Stage], turn: usize, options: &VggOptions, height: usize, rows: usize) -> Self {
        let bordered = options.border == Border::Replicate;
        let mut heights = vec![height + 2 * usize::from(bordered)];
        let mut most = vec![rows];
        let steps = stages.iter().enumerate().map(|(i, stage)| match stage {
            Stage::Convolution { .. } => {
                let padding = usize::from(i > 0 || !bordered);
                heights.push((heights[i] + 2 * padding).saturating_sub(2));
                most.push(most[i]);
                Step::Convolution { padding }
            }
            Stage::Pool => {
                heights.push(heights[i] / 2);
                most.push((most[i] / 2).next_multiple_of(GRID));
                Step::Pool
            }
        });
        let stages: Vec<Step> = steps.collect();
        let mut there = vec![0; heights.len()];
        there[0] = heights[0];
        let looks_back = options.pooling == Pooling::L2;
        Course { known: vec![0; heights.len()], stages, turn, looks_back, height, there, heights, most }
    }

    /// The rows of the picture at which strips end.
    pub fn ends(&self) -> impl Iterator<Item = usize> + use<> {
        let (height, rows) = (self.height, self.most[0]);
        (0..height).step_by(rows).map(move |start| (start + rows).min(height))
    }

    /// What a walk holds of each map, the picture left out; `see` is shown every move, and whether it is one on the way
    /// back. Of the maps `late`, what is given comes from a walk of its own, see [`Course::wants`].
    pub fn survey(
        mut self,
        late: &[usize],
        mut again: Option<Course>,
        mut see: impl FnMut(usize, &Move, bool),
    ) -> Vec<Held> {
        let mut held = vec![Held::default(); self.stages.len()];
        let grow = |most: &mut usize, end: usize, first: usize| *most = (*most).max(end - first);
        let mut ends_again = self.ends();
        for end in self.ends() {
            for (stage, held) in held.iter_mut().enumerate() {
                let map = stage + 1;
                let (features, passed, given) = (self.features_from(map), self.pulled_from(map), self.known[map]);
                let Some(next) = self.forward(stage, end) else { continue };
                see(stage, &next, false);
                if map < self.stages.len() {
                    grow(&mut held.features, next.writes.end, features);
                }
                if map <= self.turn {
                    grow(&mut held.passed, next.writes.end, passed);
                }
                if map < self.turn && !late.contains(&map) {
                    grow(&mut held.given, next.writes.end, given);
                }
                if map == self.turn {
                    grow(&mut held.gradient, next.writes.end, passed);
                }
            }
            loop {
                while let Some(again) = again.as_mut().filter(|again| self.wants(late, again)) {
                    let end = ends_again.next().expect("there are rows left");
                    (0..again.stages.len()).for_each(|stage| _ = again.forward(stage, end));
                    late.iter().for_each(|&map| grow(&mut held[map - 1].given, again.there[map], self.known[map]));
                }
                let mut moved = false;
                for stage in (0..self.turn).rev() {
                    let Some(next) = self.backward(stage) else { continue };
                    moved = true;
                    see(stage, &next, true);
                    if stage > 0 {
                        grow(&mut held[stage - 1].gradient, next.writes.end, self.pulled_from(stage));
                    }
                }
                if !moved {
                    break;
                }
            }
        }
        held
    }

    /// Whether the next round on the way back needs more rows of the maps `late` than another walk has written of them.
    #[must_use]
    pub fn wants(&self, late: &[usize], again: &Course) -> bool {
        let mut ahead = self.clone();
        (0..ahead.turn).rev().for_each(|stage| _ = ahead.backward(stage));
        late.iter().any(|&map| ahead.known[map] > again.there[map])
    }

    /// How many stages there are.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.stages.len()
    }

    /// The map whose gradient is the first to be known; 0 if none comes back.
    #[must_use]
    pub fn turn(&self) -> usize {
        self.turn
    }

    /// The rows that a stage can write next. Nothing is written that rests on rows of the picture from `end` on, but for
    /// the few that a convolution sees.
    pub fn forward(&mut self, stage: usize, end: usize) -> Option<Move> {
        let (there, height) = (self.there[stage], self.heights[stage]);
        let mut reach = match self.stages[stage] {
            Step::Convolution { padding } => Span::reach(there, height, padding),
            Step::Pool => there / 2,
        };
        if stage == 0 {
            reach = reach.min(end);
        }
        let writes = self.there[stage + 1]..reach;
        (!writes.is_empty()).then(|| {
            self.there[stage + 1] = reach;
            Move { reads: self.reads(stage, &writes), writes }
        })
    }

    /// The first row of a map whose features somebody will read again.
    #[must_use]
    pub fn features_from(&self, map: usize) -> usize {
        let pooled = matches!(self.stages.get(map), Some(Step::Pool));
        let again = if pooled && self.looks_back && map < self.turn { self.known[map] } else { usize::MAX };
        self.read_from(map).min(again)
    }

    /// The first row of a map that [`Course::forward`] will read again.
    fn read_from(&self, map: usize) -> usize {
        let next = self.there.get(map + 1).copied().filter(|&next| next < self.heights[map + 1]);
        next.map_or(self.there[map], |next| self.reads(map, &(next..next + 1)).rows.start.min(self.there[map]))
    }

    /// The rows of the map before a stage whose gradient can be known next, in this round. The first one's is known wherever
    /// the map is.
    pub fn backward(&mut self, stage: usize) -> Option<Move> {
        if stage + 1 == self.turn {
            self.known[stage + 1] = self.there[stage + 1];
        }
        let (known, height) = (self.known[stage + 1], self.heights[stage + 1]);
        let reach = match self.stages[stage] {
            Step::Convolution { padding } => Span::reach(known, height, 2 - padding),
            // With its last, odd row.
            Step::Pool if known == height => self.heights[stage],
            Step::Pool => 2 * known,
        };
        let reach = reach.min(self.known[stage] + self.most[stage]);
        let writes = self.known[stage]..reach;
        (!writes.is_empty()).then(|| {
            self.known[stage] = reach;
            Move { reads: self.pulls(stage, &writes), writes }
        })
    }

    /// The first row of a map whose gradient [`Course::backward`] will read again.
    #[must_use]
    pub fn pulled_from(&self, map: usize) -> usize {
        let (next, before) = (self.known[map - 1], map - 1);
        let more = next < self.heights[before];
        if more { self.pulls(before, &(next..next + 1)).rows.start } else { self.heights[map] }
    }

    fn reads(&self, stage: usize, writes: &Range<usize>) -> Span {
        match self.stages[stage] {
            Step::Convolution { padding } => Span::new(writes, self.heights[stage], padding),
            Step::Pool => Span { rows: 2 * writes.start..2 * writes.end, beyond: [0, 0] },
        }
    }

    fn pulls(&self, stage: usize, writes: &Range<usize>) -> Span {
        match self.stages[stage] {
            Step::Convolution { padding } => Span::new(writes, self.heights[stage + 1], 2 - padding),
            Step::Pool => Span { rows: writes.start / 2..writes.end / 2, beyond: [0, 0] },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::Dtype;
    use crate::vgg::{Architecture, Layer};

    fn options(pooling: Pooling, border: Border) -> VggOptions {
        VggOptions { pooling, border, dtype: Dtype::F32, algorithm: None }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Every row comes once, in order, in both directions, and nothing is read that is not there or has been let go.
        #[test]
        fn every_row_comes_once_and_what_it_reads_is_there(
            height in 16usize..700,
            strip in (1usize..20).prop_map(|strip| 4 * strip),
            border in prop::sample::select(vec![Border::Zero, Border::Replicate]),
            pooling in prop::sample::select(vec![Pooling::Max, Pooling::L2]),
            deepest in 1u8..6,
            beyond in 0usize..4,
        ) {
            let stages = Architecture::Vgg16.stages_to(Layer::relu(deepest, 1)).unwrap();
            let turn = stages.len().saturating_sub(beyond);
            let mut course = Course::new(stages, turn, &options(pooling, border), height, strip);
            let (mut written, mut pulled) = (vec![0; stages.len() + 1], vec![0; stages.len() + 1]);
            written[0] = course.heights[0];
            let (mut released, mut gradients_released) = (vec![0; stages.len() + 1], vec![0; stages.len() + 1]);
            for end in course.ends() {
                for stage in 0..stages.len() {
                    if let Some(Move { reads, writes }) = course.forward(stage, end) {
                        prop_assert!(reads.rows.start >= released[stage] && reads.rows.end <= written[stage]);
                        prop_assert_eq!(writes.start, written[stage + 1]);
                        written[stage + 1] = writes.end;
                        released[stage] = course.features_from(stage);
                    }
                }
                // In as many rounds as there are stages and strips, all that can be known is.
                for stage in (0..2 * height).flat_map(|_| (0..turn).rev()) {
                    if let Some(Move { reads, writes }) = course.backward(stage) {
                        prop_assert!(writes.len() <= strip.max(GRID));
                        prop_assert!(reads.rows.start >= gradients_released[stage + 1]);
                        prop_assert!(reads.rows.end <= course.known[stage + 1] && course.known[stage + 1] <= written[stage + 1]);
                        prop_assert!(writes.end <= written[stage], "there is a gradient to add it to");
                        prop_assert_eq!(writes.start, pulled[stage]);
                        pulled[stage] = writes.end;
                        gradients_released[stage + 1] = course.pulled_from(stage + 1);
                    }
                }
            }
            for map in 0..=stages.len() {
                prop_assert_eq!(written[map], course.heights[map]);
                prop_assert!(map >= turn || pulled[map] == course.heights[map], "map {}", map);
            }
        }
    }

    /// What an evaluation in strips costs in memory is how far gradients lag behind: of relu4_3, 328 rows of the picture.
    #[test]
    fn gradients_lag_by_four_rows_for_each_convolution_there_and_back() {
        let stages = Architecture::Vgg16.stages_to(Layer::relu(4, 3)).unwrap();
        let mut course = Course::new(stages, stages.len(), &options(Pooling::Max, Border::Zero), 4096, 64);
        for end in (64..=2048).step_by(64) {
            (0..stages.len()).for_each(|stage| _ = course.forward(stage, end));
            (0..stages.len()).rev().for_each(|stage| _ = course.backward(stage));
        }
        assert_eq!(course.there[stages.len()], 2048 / 8 - 20);
        assert_eq!(course.known[0], 2048 - 328);
    }
}
