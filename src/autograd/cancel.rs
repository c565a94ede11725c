//! A word that ends a computation from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says, to whoever looks, that the result is no longer wanted. Copies say the same; it is never taken back.
///
/// A [`Tape`](super::Tape) that was told to heed it looks between the network's layers, in both directions: at a large
/// size a whole step takes minutes, a layer hardly ever a second.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Says it.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has been said.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
