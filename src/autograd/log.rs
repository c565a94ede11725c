//! What a tape did, for whoever wants to see it: every node, who recorded it where, how long it took, what was alive.
//!
//! A tape writes one only if it is given one. A node's time is what passed since the node before was recorded: ops
//! compute, then record.

use std::panic::Location;
use std::time::Instant;

use super::Value;

/// A tape's nodes in the order of recording, and the memory that they took.
#[derive(Clone, Debug)]
pub struct Log {
    /// The nodes, by position.
    pub nodes: Vec<Logged>,
    /// After each node was recorded, then after each was differentiated.
    pub memory: Vec<Alive>,
    begun: Instant,
    before: Instant,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The op's name, which is its file's; `variable` or `constant` for a leaf.
    pub op: &'static str,
    /// Where it was recorded.
    pub at: &'static Location<'static>,
    /// What it is to whoever recorded it.
    pub label: String,
    /// Of its value.
    pub shape: Vec<usize>,
    /// Of its value, which may be another node's, or everybody's.
    pub bytes: usize,
    /// Whether its value was there when the way back began, because a rule will read it.
    pub kept: bool,
    /// Whether it has a gradient.
    pub differentiated: bool,
    /// Seconds that its value took.
    pub forward: f64,
    /// Seconds that its rule took.
    pub backward: Option<f64>,
    /// What it was computed from.
    pub parents: Vec<usize>,
    /// Whose values its rule reads.
    pub saves: Vec<usize>,
}

/// What was alive at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Alive {
    /// Since the log was begun.
    pub seconds: f64,
    /// Bytes of the tape's own values: constants are everybody's.
    pub values: usize,
    /// Bytes of gradients that wait for their rules.
    pub gradients: usize,
    /// The node that had just been recorded, or differentiated.
    pub node: usize,
    /// Whether it was differentiated.
    pub backward: bool,
}

impl Default for Log {
    fn default() -> Self {
        let now = Instant::now();
        Log { nodes: Vec::new(), memory: Vec::new(), begun: now, before: now }
    }
}

impl Log {
    /// Seconds since the last time this was asked.
    pub(super) fn lap(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.before, Instant::now());
        (self.before - before).as_secs_f64()
    }

    /// Takes note of what is alive.
    pub(super) fn alive(&mut self, node: usize, backward: bool, values: usize, gradients: usize) {
        let seconds = (self.before - self.begun).as_secs_f64();
        self.memory.push(Alive { seconds, values, gradients, node, backward });
    }
}

/// The name of the op in whose file something is.
pub(super) fn op(at: &'static Location<'static>) -> &'static str {
    let file = at.file().rsplit(['/', '\\']).next().unwrap_or_default();
    file.strip_suffix(".rs").unwrap_or(file)
}

/// Bytes of a value's elements.
pub(super) fn bytes(value: &Value) -> usize {
    let elements: usize = value.shape().iter().product();
    match value {
        Value::MapBf16(_) => 2 * elements,
        Value::Scalar(_) => size_of::<f64>(),
        Value::Map(_) | Value::Tensor(_) | Value::Filter(_) => 4 * elements,
    }
}
