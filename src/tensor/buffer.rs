//! Buffers that outlive the step that filled them.
//!
//! Every step of a run asks for the same maps in the same order. Asking the
//! system for that memory each time costs page faults by the hundred thousand;
//! keeping every map of a step costs twice the memory that is needed at any one
//! moment. So a pool owns a few large regions, lends parts of them, and joins
//! what comes back with its neighbours:
//!
//! ```text
//!   region   │ relu1_2, lent │ relu2_2, lent │      free      │ d_relu3_1, lent │ free │
//!                                             ▲ the smallest free part that is large enough is lent
//! ```
//!
//! A part starts on a cache line, as vectors like it. What it holds is
//! unspecified.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use bytes::BytesMut;

/// Bytes of a cache line: parts begin and end on one.
const LINE: usize = 64;

/// A number of elements, of its own or lent by a [`BufferPool`].
pub struct Buffer<E = f32> {
    storage: Storage<E>,
}

enum Storage<E> {
    Own(Vec<E>),
    Lent { part: BytesMut, region: usize, length: usize },
}

impl<E> From<Vec<E>> for Buffer<E> {
    fn from(elements: Vec<E>) -> Self {
        Buffer { storage: Storage::Own(elements) }
    }
}

impl<E: Pod> Buffer<E> {
    /// The elements as a vector, copied if they were lent.
    #[must_use]
    pub fn into_vec(self) -> Vec<E> {
        match self.storage {
            Storage::Own(elements) => elements,
            Storage::Lent { .. } => self.to_vec(),
        }
    }
}

impl<E: Pod> Deref for Buffer<E> {
    type Target = [E];
    fn deref(&self) -> &[E] {
        match &self.storage {
            Storage::Own(elements) => elements,
            Storage::Lent { part, length, .. } => &bytemuck::cast_slice(&part[..length * size_of::<E>()])[..*length],
        }
    }
}

impl<E: Pod> DerefMut for Buffer<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        match &mut self.storage {
            Storage::Own(elements) => elements,
            Storage::Lent { part, length, .. } => bytemuck::cast_slice_mut(&mut part[..*length * size_of::<E>()]),
        }
    }
}

impl<E: Pod> Clone for Buffer<E> {
    fn clone(&self) -> Self {
        self.to_vec().into()
    }
}

impl<E: Pod> fmt::Debug for Buffer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} elements]", self.len())
    }
}

/// Regions of memory, and their free parts.
#[derive(Debug, Default)]
pub struct BufferPool {
    /// Sorted by region, then by address.
    free: Vec<(usize, BytesMut)>,
    regions: usize,
    bytes: usize,
    /// Told of each new region before it is used.
    advise: Option<fn(&[u8])>,
}

impl BufferPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty pool that tells `advise` of each new region before it is used: how the system should back it, say.
    #[must_use]
    pub fn advised(advise: fn(&[u8])) -> Self {
        BufferPool { advise: Some(advise), ..Self::default() }
    }

    /// A buffer of `length` elements. Its contents are unspecified: whoever takes it writes all of it.
    #[must_use]
    pub fn take<E: Pod>(&mut self, length: usize) -> Buffer<E> {
        let bytes = (length * size_of::<E>()).next_multiple_of(LINE);
        let fits = self.free.iter().enumerate().filter(|(_, (_, part))| part.len() >= bytes);
        let best = fits.min_by_key(|(_, (_, part))| part.len()).map(|(index, _)| index);
        let index = best.unwrap_or_else(|| self.grow(bytes));
        let (region, part) = &mut self.free[index];
        let (region, lent) = (*region, part.split_to(bytes));
        if part.is_empty() {
            self.free.remove(index);
        }
        Buffer { storage: Storage::Lent { part: lent, region, length } }
    }

    /// Gives a buffer back. One that was not lent by a pool is freed.
    pub fn put<E>(&mut self, buffer: Buffer<E>) {
        let Storage::Lent { part, region, .. } = buffer.storage else { return };
        let key = (region, part.as_ptr());
        let index = self.free.partition_point(|(region, free)| (*region, free.as_ptr()) < key);
        self.free.insert(index, (region, part));
        self.join(index);
        if index > 0 {
            self.join(index - 1);
        }
    }

    /// Makes sure that a buffer of `bytes` could be lent at once. What is lent of it and comes back is lent again whole.
    pub fn reserve(&mut self, bytes: usize) {
        let bytes = bytes.next_multiple_of(LINE);
        if self.free.iter().all(|(_, part)| part.len() < bytes) {
            // What nobody has is too small.
            let all = std::mem::take(&mut self.free);
            let freed: usize = all.iter().map(|(_, part)| part.len()).sum();
            self.bytes -= freed;
            self.grow(bytes);
        }
    }

    /// Bytes of all regions, lent and free.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a region with room for `bytes`; the index of its free part.
    fn grow(&mut self, bytes: usize) -> usize {
        let mut region = BytesMut::zeroed(bytes + LINE);
        if let Some(advise) = self.advise {
            advise(&region);
        }
        let skip = region.as_ptr().align_offset(LINE).min(LINE);
        drop(region.split_to(skip));
        region.truncate(bytes);
        self.regions += 1;
        self.bytes += bytes;
        self.free.push((self.regions, region));
        self.free.len() - 1
    }

    /// Joins a free part with the next one if they touch.
    fn join(&mut self, index: usize) {
        let [(region, part), (next_region, next), ..] = &self.free[index..] else { return };
        if region == next_region && part.as_ptr_range().end == next.as_ptr() {
            let (_, next) = self.free.remove(index + 1);
            self.free[index].1.unsplit(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_back_is_joined_and_lent_again() {
        let mut pool = BufferPool::new();
        let whole = pool.take::<f32>(1024);
        let address = whole.as_ptr();
        pool.put(whole);
        let parts: Vec<Buffer> = (0..4).map(|_| pool.take(256)).collect();
        assert_eq!(parts[0].as_ptr(), address);
        parts.into_iter().rev().for_each(|part| pool.put(part));
        assert_eq!(pool.take::<f32>(1024).as_ptr(), address);
        assert_eq!(pool.bytes(), 4096);
    }

    #[test]
    fn advice_is_given_once_for_every_region() {
        static ADVISED: AtomicUsize = AtomicUsize::new(0);
        let mut pool = BufferPool::advised(|region| _ = ADVISED.fetch_add(region.len(), Ordering::Relaxed));
        let whole = pool.take::<f32>(1024);
        pool.put(whole);
        let (part, other) = (pool.take::<f32>(512), pool.take::<f32>(512));
        assert_eq!(ADVISED.load(Ordering::Relaxed), 4096 + LINE);
        drop((part, other));
    }

    #[test]
    fn parts_start_on_a_cache_line_whatever_their_length() {
        let mut pool = BufferPool::new();
        for length in [1, 17, 1000, 3] {
            let buffer = pool.take::<f32>(length);
            assert_eq!((buffer.len(), buffer.as_ptr().align_offset(LINE)), (length, 0));
            pool.put(buffer);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Lent buffers never overlap: each keeps what was written into it; and a second round of the same
        /// requests takes no new memory if all came back.
        #[test]
        fn buffers_keep_their_contents(lengths in proptest::collection::vec((1usize..300, any::<bool>()), 1..40)) {
            let mut pool = BufferPool::new();
            let mut lent: Vec<(u32, Buffer<u32>)> = Vec::new();
            for (tag, (length, give_back)) in lengths.into_iter().enumerate() {
                let mut buffer = pool.take::<u32>(length);
                buffer.fill(tag as u32);
                lent.push((tag as u32, buffer));
                if give_back {
                    let (tag, buffer) = lent.swap_remove(tag % lent.len());
                    prop_assert!(buffer.iter().all(|&x| x == tag));
                    pool.put(buffer);
                }
            }
            prop_assert!(lent.iter().all(|(tag, buffer)| buffer.iter().all(|x| x == tag)));
            lent.into_iter().for_each(|(_, buffer)| pool.put(buffer));
            prop_assert_eq!(pool.free.iter().map(|(_, part)| part.len()).sum::<usize>(), pool.bytes());
            prop_assert_eq!(pool.free.len(), pool.regions);
        }
    }
}
