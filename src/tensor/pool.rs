//! Buffers that outlive the step that filled them.
//!
//! Every step of a run computes maps of the same few sizes. Asking the system
//! for that memory each time costs page faults by the hundred thousand; taking
//! last step's buffers costs nothing.

use std::collections::HashMap;

/// Free buffers by length.
#[derive(Debug, Default)]
pub struct Pool {
    free: HashMap<usize, Vec<Vec<f32>>>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `length` elements. Its contents are unspecified: whoever takes it writes all of it.
    #[must_use]
    pub fn take(&mut self, length: usize) -> Vec<f32> {
        self.free.get_mut(&length).and_then(Vec::pop).unwrap_or_else(|| vec![0.0; length])
    }

    /// Gives a buffer back.
    pub fn put(&mut self, buffer: Vec<f32>) {
        self.free.entry(buffer.len()).or_default().push(buffer);
    }

    /// Elements in all free buffers.
    #[must_use]
    pub fn free_elements(&self) -> usize {
        self.free.iter().map(|(length, buffers)| length * buffers.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_taken_again_for_its_own_length_only() {
        let mut pool = Pool::new();
        let mut buffer = pool.take(12);
        buffer[3] = 7.0;
        pool.put(buffer);
        assert_eq!(pool.take(11), [0.0; 11]);
        assert_eq!(pool.free_elements(), 12);
        assert_eq!(pool.take(12)[3], 7.0);
        assert_eq!(pool.free_elements(), 0);
    }
}
