//! Memory that starts on a cache line: a vector that straddles two costs two loads.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

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
    static SCRATCH: RefCell<Aligned> = RefCell::default();
}

/// Calls `work` with `length` elements of this thread's own, kept from call to call. Their contents are unspecified.
///
/// # Panics
/// If called from inside `work`.
pub fn with<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < length {
            *scratch = Aligned::zeros(length);
        }
        work(&mut scratch[..length])
    })
}
