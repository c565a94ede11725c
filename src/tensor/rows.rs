//! Some rows of something too large to be there whole: the last come at one end, the first go at the other.

use std::collections::VecDeque;
use std::ops::Range;

use bytemuck::Pod;
use rayon::prelude::*;

use super::{Buffer, Pool};

/// Elements copied by one task.
const BLOCK: usize = 1 << 16;

/// A queue of rows, each of so many elements, numbered from the first that ever came.
#[derive(Debug)]
pub struct Rows<T: Pod> {
    /// Elements of a row.
    length: usize,
    /// Rows that came together, with the first one's number.
    pieces: VecDeque<(usize, Buffer<T>)>,
    /// The number of the next row to come.
    end: usize,
}

impl<T: Pod + Send + Sync> Rows<T> {
    /// None yet.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Rows { length, pieces: VecDeque::new(), end: 0 }
    }

    /// Takes the next rows.
    ///
    /// # Panics
    /// If they are not whole.
    pub fn push(&mut self, rows: Buffer<T>) {
        assert!(rows.len().is_multiple_of(self.length), "{} elements in rows of {}", rows.len(), self.length);
        let first = self.end;
        self.end += rows.len() / self.length;
        self.pieces.push_back((first, rows));
    }

    /// A copy of some of them.
    ///
    /// # Panics
    /// If they are not all there.
    #[must_use]
    pub fn copy(&self, wanted: Range<usize>, pool: &mut Pool) -> Buffer<T> {
        let mut copy = pool.take(wanted.len() * self.length);
        let mut next = wanted.start;
        for (first, piece) in &self.pieces {
            let there = *first..first + piece.len() / self.length;
            if there.contains(&next) && next < wanted.end {
                let end = there.end.min(wanted.end);
                let from = &piece[(next - first) * self.length..(end - first) * self.length];
                let to = &mut copy[(next - wanted.start) * self.length..][..from.len()];
                to.par_chunks_mut(BLOCK).zip(from.par_chunks(BLOCK)).for_each(|(to, from)| to.copy_from_slice(from));
                next = end;
            }
        }
        assert_eq!(next, wanted.end, "rows {wanted:?} of {}", self.end);
        copy
    }

    /// Gives up the rows before `first`. Where that is more than half of those that came together, the others move, so
    /// that what is kept is never more than twice what is asked for.
    pub fn release(&mut self, first: usize, pool: &mut Pool) {
        while let Some((begins, piece)) = self.pieces.front() {
            let rows = piece.len() / self.length;
            let gone = first.saturating_sub(*begins).min(rows);
            if 2 * gone <= rows && rows > 0 {
                return;
            }
            let (begins, piece) = self.pieces.pop_front().expect("looked at above");
            if gone < rows {
                let mut kept = pool.take((rows - gone) * self.length);
                kept.copy_from_slice(&piece[gone * self.length..]);
                self.pieces.push_front((begins + gone, kept));
                pool.put(piece);
                return;
            }
            pool.put(piece);
        }
    }

    /// Gives up all of them.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.pieces.drain(..).for_each(|(_, piece)| pool.put(piece));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever comes and goes, the rows between are what they were, and hardly more than asked for is kept.
        #[test]
        fn rows_that_are_there_are_what_they_were(steps in proptest::collection::vec((0usize..9, 0usize..9), 1..20)) {
            let (mut pool, mut rows, mut first) = (Pool::new(), Rows::<u32>::new(3), 0);
            for (come, go) in steps {
                let mut piece = pool.take(3 * come);
                (3 * rows.end..).zip(piece.iter_mut()).for_each(|(number, element)| *element = number as u32);
                rows.push(piece);
                first = (first + go).min(rows.end);
                rows.release(first, &mut pool);
                let copy = rows.copy(first..rows.end, &mut pool);
                prop_assert!((3 * first..3 * rows.end).map(|number| number as u32).eq(copy.iter().copied()));
                pool.put(copy);
                let kept: usize = rows.pieces.iter().map(|(_, piece)| piece.len() / 3).sum();
                prop_assert!(kept <= 2 * (rows.end - first));
            }
        }
    }
}
