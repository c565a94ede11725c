//! A network that remembers style pictures, so that many photographs in the manner of one painting look at it once a size.
//!
//! What is learned of a style picture depends on its values, its mask, the layers and the network, and not on how it is
//! cut. The network is the viewer's own; by the others what is known is found again. Two runs that come to a picture at once
//! both look at it, and see the same to the bit: neither waits for threads that may be its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::statistic::Sums;
use super::{LayerWeight, Sample};
use crate::vgg::Vgg;
use crate::vgg::layers::channels;

/// A network, and what it remembers of the style pictures that it has looked at: nothing, unless it is given room. Copies
/// share both.
#[derive(Clone)]
pub struct Viewer {
    vgg: Arc<Vgg>,
    memory: Arc<Mutex<Memory>>,
}

/// The sums of a style picture's features at each layer.
pub(super) type Learned = Arc<[(LayerWeight, Sums)]>;

/// The layers, and the digest of the picture and its mask.
type Key = (Vec<LayerWeight>, [u8; 32]);

#[derive(Default)]
struct Memory {
    /// What was wanted last comes last.
    kept: Vec<(Key, Learned)>,
    room: u64,
    looks: usize,
}

impl From<Arc<Vgg>> for Viewer {
    fn from(vgg: Arc<Vgg>) -> Self {
        Viewer { vgg, memory: Arc::default() }
    }
}

impl Viewer {
    /// The network.
    #[must_use]
    pub fn vgg(&self) -> &Arc<Vgg> {
        &self.vgg
    }

    /// Style pictures looked at so far.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.memory().looks
    }

    /// Lets it remember as much as has room in so many bytes. What was wanted least lately goes first.
    pub fn give_room(&self, bytes: u64) {
        let mut memory = self.memory();
        memory.room = bytes;
        memory.shrink();
    }

    /// What is known of a style picture; if nothing is, it is looked at, which may be cancelled.
    pub(super) fn learn(
        &self,
        layers: &[LayerWeight],
        style: &Sample,
        look: impl FnOnce(&Vgg) -> Option<Vec<(LayerWeight, Sums)>>,
    ) -> Option<Learned> {
        let remembers = self.memory().room > 0;
        let key = remembers.then(|| (layers.to_vec(), digest(style)));
        if let Some(known) = key.as_ref().and_then(|key| self.memory().find(key)) {
            return Some(known);
        }
        self.memory().looks += 1;
        let learned = Learned::from(look(&self.vgg)?);
        if let Some(key) = key {
            self.memory().keep(key, learned.clone());
        }
        Some(learned)
    }

    /// What is behind the lock is whole at any time.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn find(&mut self, key: &Key) -> Option<Learned> {
        let index = self.kept.iter().position(|(other, _)| other == key)?;
        let found = self.kept.remove(index);
        let learned = found.1.clone();
        self.kept.push(found);
        Some(learned)
    }

    fn keep(&mut self, key: Key, learned: Learned) {
        self.kept.retain(|(other, _)| *other != key);
        self.kept.push((key, learned));
        self.shrink();
    }

    fn shrink(&mut self) {
        let bytes = |((layers, _), _): &(Key, Learned)| learned_bytes(layers);
        let mut all: u64 = self.kept.iter().map(bytes).sum();
        let too_many = self.kept.iter().take_while(|kept| {
            let over = all > self.room;
            all -= bytes(kept);
            over
        });
        let too_many = too_many.count();
        self.kept.drain(..too_many);
    }
}

/// Bytes of what is learned of a style picture at these layers.
#[must_use]
pub fn learned_bytes(layers: &[LayerWeight]) -> u64 {
    layers.iter().map(|l| size_of::<f32>() * (channels(l.layer) + 1) * channels(l.layer)).sum::<usize>() as u64
}

fn digest(style: &Sample) -> [u8; 32] {
    let mut hash = Sha256::new();
    for map in std::iter::once(&style.picture).chain(&style.mask) {
        let (height, width, channels) = map.dim();
        [height, width, channels].iter().for_each(|&side| hash.update((side as u64).to_le_bytes()));
        hash.update(bytemuck::cast_slice(map.as_slice()));
    }
    hash.finalize().into()
}
