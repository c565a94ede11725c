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

use std::ops::Range;

use super::super::Stage;
use crate::kernels::conv::Span;

/// How far a walk has come. Map 0 is the picture as the first stage reads it, map i + 1 what stage i writes.
#[derive(Clone, Debug)]
pub struct Course {
    stages: Vec<Step>,
    /// The map whose gradient is the first to be known; 0 if none comes back.
    turn: usize,
    /// Rows of each map.
    heights: Vec<usize>,
    /// How many of them have been written.
    there: Vec<usize>,
    /// How many of their gradients are known.
    known: Vec<usize>,
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

/// Some rows that are computed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What is read, of the map before (on the way back: of the gradient of the map behind).
    pub reads: Span,
    /// What is written.
    pub writes: Range<usize>,
}

impl Course {
    /// Through `stages`, from a picture of `height` rows; `bordered` if a row has been put above and below it. Gradients
    /// come back from the map that stage `turn` reads, if there is one before it.
    #[must_use]
    pub fn new(stages: &[Stage], turn: usize, height: usize, bordered: bool) -> Self {
        let mut heights = vec![height + 2 * usize::from(bordered)];
        let steps = stages.iter().enumerate().map(|(i, stage)| match stage {
            Stage::Convolution { .. } => {
                let padding = usize::from(i > 0 || !bordered);
                heights.push((heights[i] + 2 * padding).saturating_sub(2));
                Step::Convolution { padding }
            }
            Stage::Pool => {
                heights.push(heights[i] / 2);
                Step::Pool
            }
        });
        let stages: Vec<Step> = steps.collect();
        let mut there = vec![0; heights.len()];
        there[0] = heights[0];
        Course { known: vec![0; heights.len()], stages, turn, there, heights }
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

    /// Rows of a map.
    #[must_use]
    pub fn height(&self, map: usize) -> usize {
        self.heights[map]
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

    /// The first row of a map that [`Course::forward`] will read again.
    #[must_use]
    pub fn read_from(&self, map: usize) -> usize {
        let next = self.there.get(map + 1).copied().filter(|&next| next < self.heights[map + 1]);
        next.map_or(self.there[map], |next| self.reads(map, &(next..next + 1)).rows.start.min(self.there[map]))
    }

    /// The rows of the map before a stage whose gradient can be known next. The first one's is known wherever the map is.
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

    /// How many rows of a map have a gradient that is known.
    #[must_use]
    pub fn known(&self, map: usize) -> usize {
        self.known[map]
    }

    /// How many rows of a map have been written.
    #[must_use]
    pub fn there(&self, map: usize) -> usize {
        self.there[map]
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
    use crate::vgg::{Architecture, Layer};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Every row comes once, in order, in both directions, and nothing is read that is not there or has been let go.
        #[test]
        fn every_row_comes_once_and_what_it_reads_is_there(
            height in 16usize..700,
            strip in (1usize..20).prop_map(|strip| 4 * strip),
            bordered: bool,
            deepest in 1u8..6,
            beyond in 0usize..4,
        ) {
            let stages = Architecture::Vgg16.stages_to(Layer::relu(deepest, 1)).unwrap();
            let turn = stages.len().saturating_sub(beyond);
            let mut course = Course::new(stages, turn, height, bordered);
            let (mut written, mut pulled) = (vec![0; stages.len() + 1], vec![0; stages.len() + 1]);
            written[0] = course.height(0);
            let (mut released, mut gradients_released) = (vec![0; stages.len() + 1], vec![0; stages.len() + 1]);
            for end in (0..height).step_by(strip).map(|start| (start + strip).min(height)) {
                for stage in 0..stages.len() {
                    if let Some(Move { reads, writes }) = course.forward(stage, end) {
                        prop_assert!(reads.rows.start >= released[stage] && reads.rows.end <= written[stage]);
                        prop_assert_eq!(writes.start, written[stage + 1]);
                        written[stage + 1] = writes.end;
                        released[stage] = course.read_from(stage);
                    }
                }
                for stage in (0..turn).rev() {
                    if let Some(Move { reads, writes }) = course.backward(stage) {
                        prop_assert!(reads.rows.start >= gradients_released[stage + 1]);
                        prop_assert!(reads.rows.end <= course.known(stage + 1) && course.known(stage + 1) <= written[stage + 1]);
                        prop_assert!(writes.end <= written[stage], "there is a gradient to add it to");
                        prop_assert_eq!(writes.start, pulled[stage]);
                        pulled[stage] = writes.end;
                        gradients_released[stage + 1] = course.pulled_from(stage + 1);
                    }
                }
            }
            for map in 0..=stages.len() {
                prop_assert_eq!(written[map], course.height(map));
                prop_assert!(map >= turn || pulled[map] == course.height(map), "map {}", map);
            }
        }
    }

    /// What an evaluation in strips costs in memory is how far gradients lag behind: of relu4_3, 328 rows of the picture.
    #[test]
    fn gradients_lag_by_four_rows_for_each_convolution_there_and_back() {
        let stages = Architecture::Vgg16.stages_to(Layer::relu(4, 3)).unwrap();
        let mut course = Course::new(stages, stages.len(), 4096, false);
        for end in (64..=2048).step_by(64) {
            (0..stages.len()).for_each(|stage| _ = course.forward(stage, end));
            (0..stages.len()).rev().for_each(|stage| _ = course.backward(stage));
        }
        assert_eq!(course.there(stages.len()), 2048 / 8 - 20);
        assert_eq!(course.known(0), 2048 - 328);
    }
}
