//! Some rows of something too large to be there whole: the last come at one end, the first go at the other.

use std::ops::Range;

use bytemuck::Pod;
use rayon::prelude::*;

use super::{Buffer, BufferPool};

/// Elements copied by one task.
const TASK: usize = 1 << 16;

/// A queue of rows, each of so many elements, numbered from the first that ever came: a ring, so that what it takes is
/// known beforehand.
#[derive(Debug)]
pub struct Rows<T: Pod> {
    /// Elements of a row.
    length: usize,
    /// Rows that there is room for.
    room: usize,
    /// Row `n` is at `n % room`.
    ring: Buffer<T>,
    /// The numbers of those that are there.
    there: Range<usize>,
}

impl<T: Pod + Send + Sync> Rows<T> {
    /// None yet, with room for so many.
    #[must_use]
    pub fn new(length: usize, room: usize, pool: &mut BufferPool) -> Self {
        let ring = if room == 0 { Vec::new().into() } else { pool.take(length * room) };
        Rows { length, room, ring, there: 0..0 }
    }

    /// Takes the next rows.
    ///
    /// # Panics
    /// If they are not whole, or there is no room for them.
    pub fn push(&mut self, rows: &[T]) {
        assert!(rows.len().is_multiple_of(self.length), "{} elements in rows of {}", rows.len(), self.length);
        let new = self.there.end..self.there.end + rows.len() / self.length;
        assert!(new.end - self.there.start <= self.room, "{new:?} beside {:?} of {}", self.there, self.room);
        let mut rest = rows;
        for part in parts(new.clone(), self.room) {
            let (now, later) = rest.split_at(part.len() * self.length);
            copy(now, &mut self.ring[part.start * self.length..part.end * self.length]);
            rest = later;
        }
        self.there.end = new.end;
    }

    /// A copy of some of them.
    ///
    /// # Panics
    /// If they are not all there.
    #[must_use]
    pub fn copy(&self, wanted: Range<usize>, pool: &mut BufferPool) -> Buffer<T> {
        assert!(self.there.start <= wanted.start && wanted.end <= self.there.end, "{wanted:?} of {:?}", self.there);
        let mut all = pool.take(wanted.len() * self.length);
        let mut rest = &mut all[..];
        for part in parts(wanted, self.room) {
            let (now, later) = rest.split_at_mut(part.len() * self.length);
            copy(&self.ring[part.start * self.length..part.end * self.length], now);
            rest = later;
        }
        all
    }

    /// Gives up the rows before `first`.
    pub fn release(&mut self, first: usize) {
        self.there.start = first.clamp(self.there.start, self.there.end);
    }

    /// The ring, for the pool.
    #[must_use]
    pub fn into_buffer(self) -> Buffer<T> {
        self.ring
    }
}

/// Where rows of these numbers lie in a ring: in one part, or in two.
fn parts(numbers: Range<usize>, room: usize) -> impl Iterator<Item = Range<usize>> {
    let start = if room == 0 { 0 } else { numbers.start % room };
    let end = start + numbers.len();
    [start..end.min(room), 0..end.saturating_sub(room)].into_iter().filter(|part| !part.is_empty())
}

fn copy<T: Pod + Send + Sync>(from: &[T], to: &mut [T]) {
    to.par_chunks_mut(TASK).zip(from.par_chunks(TASK)).for_each(|(to, from)| to.copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever comes and goes, the rows between are what they were.
        #[test]
        fn rows_that_are_there_are_what_they_were(
            steps in proptest::collection::vec((0usize..9, 0usize..9), 1..20),
            spare in 0usize..3,
        ) {
            // As much room as is needed at the fullest.
            let (mut first, mut end, mut most) = (0, 0, 0);
            for &(come, go) in &steps {
                end += come;
                most = most.max(end - first);
                first = (first + go).min(end);
            }
            let (mut pool, mut first) = (BufferPool::new(), 0);
            let mut rows = Rows::<u32>::new(3, most + spare, &mut pool);
            for (come, go) in steps {
                let begin = 3 * rows.there.end;
                rows.push(&(begin..begin + 3 * come).map(|number| number as u32).collect::<Vec<_>>());
                let copy = rows.copy(first..rows.there.end, &mut pool);
                prop_assert!((3 * first..3 * rows.there.end).map(|number| number as u32).eq(copy.iter().copied()));
                pool.put(copy);
                first = (first + go).min(rows.there.end);
                rows.release(first);
            }
        }
    }

    #[test]
    #[should_panic(expected = "beside")]
    fn there_is_no_more_room_than_was_asked_for() {
        let mut rows = Rows::<u8>::new(2, 3, &mut BufferPool::new());
        rows.push(&[0; 4]);
        rows.push(&[0; 4]);
    }
}
