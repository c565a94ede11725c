//! Memory that starts on a cache line: a vector that straddles two costs two loads.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::simd::pages::prefer_huge;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// A fixed number of elements, the first on a cache line.
#[derive(Debug, Default)]
pub struct Aligned {
    buffer: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// `length` zeros.
    pub fn zeros(length: usize) -> Self {
        let buffer = vec![0.0; length + LINE / size_of::<f32>()];
        prefer_huge(bytemuck::cast_slice(&buffer));
        let start = buffer.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Aligned { buffer, start, length }
    }
}

impl Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.buffer[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..self.start + self.length]
    }
}

thread_local! {
    /// A buffer for each depth of nesting, the outermost last.
    static SCRATCH: RefCell<Vec<Aligned>> = RefCell::default();
}

/// Calls `work` with `length` elements of this thread's own, kept from call to call. Their contents are unspecified.
///
/// Calls nest: a thread that waits inside `work` for parallel tasks runs some of them itself.
pub fn with<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let kept = SCRATCH.with_borrow_mut(Vec::pop).filter(|buffer| buffer.len() >= length);
    let mut buffer = kept.unwrap_or_else(|| Aligned::zeros(length));
    let result = work(&mut buffer[..length]);
    SCRATCH.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

/// Gives up what the threads of this pool keep: to be called where the next work is of another size.
pub fn give_back() {
    rayon::broadcast(|_| SCRATCH.take());
}

/// Elements that this thread keeps.
#[cfg(test)]
pub fn kept() -> usize {
    SCRATCH.with_borrow(|buffers| buffers.iter().map(|buffer| buffer.len()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_calls_have_buffers_of_their_own() {
        let first = with(8, |outer| {
            outer.fill(1.0);
            with(4, |inner| inner.fill(2.0));
            assert_eq!(outer, [1.0; 8]);
            outer.as_ptr() as usize
        });
        assert_eq!(with(8, |again| again.as_ptr() as usize), first, "the outer buffer is kept");
    }

    #[test]
    fn every_thread_of_a_pool_gives_back_what_it_keeps() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.broadcast(|_| with(8, |_| {}));
        assert_eq!(pool.broadcast(|_| kept()), [8, 8]);
        pool.install(give_back);
        assert_eq!(pool.broadcast(|_| kept()), [0, 0]);
    }
}
