//! The tape: recording and differentiating, and who holds a map until when.
//!
//! Maps are the largest things there are. A node owns its value, until nobody is left to read it: `readers` counts the
//! rules still to run that named it in `saves`. And a gradient, of the map's own size, is written over the map if it can
//! be. This is the way of F, a map that a style loss and the next convolution look at:
//!
//! ```text
// ANCHOR: holder
//!                                              readers   F's buffer
//!   forward    the convolution that makes F      0      F
//!              the next one, which reads F       0      F: its rule needs bits alone
//!              a loss: gram of F, saves F        1      F
//!              release(F)                        1      F; the pool's, if no loss looks
//!   backward   gram's rule: gradient_over        0      dF, written over F
//!              the next one's: gradient_of       0      dF, added to: β = 1
//!              F's own rule is handed dF                the pool's
// ANCHOR_END: holder
//! ```
//!
//! The loss waits for the next convolution because of the two lines after gram's: what is recorded last is
//! differentiated first, and F can be overwritten only while it has no gradient. Where it has one, or another rule is
//! still to read F, [`Backward::gradient_over`] gives nothing, and dF takes a buffer beside F.

mod backward;

use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ndarray::ArrayD;

use super::log::{self, Log, Logged};
use super::{Cancel, MapElement, Value};
use crate::kernels::bit_mask::BitMask;
use crate::kernels::conv::Filter;
use crate::kernels::pooling::Choices;
use crate::tensor::{BufferPool, Dtype, FeatureMap};

pub use backward::{Backward, Gradients};

/// A node of a [`Tape`], by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(usize);

/// Turns the gradient of a node's output into gradients of its parents.
type Rule = Box<dyn FnOnce(Value, &mut Backward<'_>)>;

enum Slot {
    Owned(Value),
    Shared(Arc<Value>),
    /// That of an earlier node.
    Alias(Var),
    /// Released: no rule asked for it, and whoever recorded it has no more use for it.
    Gone,
}

struct Node {
    value: Slot,
    needs_gradient: bool,
    /// Rules that will read the value: [`Tape::release`] keeps it for them.
    readers: usize,
    /// The values that this node's rule will read.
    saves: Vec<Var>,
    rule: Option<Rule>,
}

/// A recorded computation.
///
/// The tape borrows a [`BufferPool`] for as long as it lives; what it allocated goes
/// back there, whether it is differentiated or dropped.
pub struct Tape<'p> {
    nodes: Vec<Node>,
    pool: &'p mut BufferPool,
    cancel: Cancel,
    log: Option<Arc<Mutex<Log>>>,
}

impl<'p> Tape<'p> {
    /// An empty tape.
    #[must_use]
    pub fn new(pool: &'p mut BufferPool) -> Self {
        Tape::heeding(pool, Cancel::default())
    }

    /// An empty tape that stops where it is when it is cancelled: what is computed after that is of no use.
    #[must_use]
    pub fn heeding(pool: &'p mut BufferPool, cancel: Cancel) -> Self {
        Tape { nodes: Vec::new(), pool, cancel, log: None }
    }

    /// The tape, with a log of what it does, if there is to be one.
    ///
    /// # Panics
    /// If something has been recorded.
    #[must_use]
    pub fn logged(mut self, log: Option<Arc<Mutex<Log>>>) -> Self {
        assert!(self.nodes.is_empty(), "a log begins with the tape");
        self.log = log;
        self
    }

    /// Says what a node is, in a log.
    pub fn label(&self, var: Var, label: impl ToString) {
        if let Some(log) = &self.log {
            lock(log).nodes[var.0].label = label.to_string();
        }
    }

    /// Whether it has been cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Records a leaf that is differentiated.
    #[track_caller]
    pub fn variable(&mut self, value: Value) -> Var {
        let var = self.push(Slot::Owned(value), true, None);
        self.note("variable", var, &[]);
        var
    }

    /// Records a leaf that is not differentiated. It is shared, never copied, and costs nothing in the backward pass.
    #[track_caller]
    pub fn constant(&mut self, value: Arc<Value>) -> Var {
        let var = self.push(Slot::Shared(value), false, None);
        self.note("constant", var, &[]);
        var
    }

    /// Records the result of an op on `parents`. The rule is kept only if one of them needs a gradient; the
    /// rule may read the values named in `saves`, and no others.
    #[track_caller]
    pub fn record(
        &mut self,
        value: Value,
        parents: &[Var],
        saves: &[Var],
        rule: impl FnOnce(Value, &mut Backward<'_>) + 'static,
    ) -> Var {
        let var = if self.needs_gradient(parents) {
            saves.iter().for_each(|var| self.nodes[var.0].readers += 1);
            let var = self.push(Slot::Owned(value), true, Some(Box::new(rule)));
            self.nodes[var.0].saves = saves.to_vec();
            var
        } else {
            self.push(Slot::Owned(value), false, None)
        };
        self.note(log::op(Location::caller()), var, parents);
        var
    }

    /// Records another name of a node: its value is there once, and whoever reads it by this name gives a gradient of its
    /// own, which the rule hands on. A node that needs no gradient is returned as it is.
    #[track_caller]
    pub fn alias(&mut self, of: Var, rule: impl FnOnce(Value, &mut Backward<'_>) + 'static) -> Var {
        if !self.needs_gradient(&[of]) {
            return of;
        }
        // Its readers read the other node's value.
        self.nodes[of.0].readers += 1;
        let var = self.push(Slot::Alias(of), true, Some(Box::new(rule)));
        self.nodes[var.0].saves = vec![of];
        self.note(log::op(Location::caller()), var, &[of]);
        var
    }

    /// Tells the log, if there is one, of a node that has just been recorded.
    #[track_caller]
    fn note(&self, op: &'static str, var: Var, parents: &[Var]) {
        let Some(mut log) = self.log.as_ref().map(lock) else { return };
        let (node, value) = (&self.nodes[var.0], self.value(var));
        let indices = |vars: &[Var]| vars.iter().map(|var| var.0).collect();
        let logged = Logged {
            op,
            at: Location::caller(),
            label: String::new(),
            shape: value.shape(),
            bytes: log::bytes(value),
            kept: false,
            differentiated: node.needs_gradient,
            forward: log.lap(),
            backward: None,
            parents: indices(parents),
            saves: indices(&node.saves),
        };
        log.nodes.push(logged);
        log.alive(var.0, false, owned(&self.nodes), 0);
    }

    fn push(&mut self, value: Slot, needs_gradient: bool, rule: Option<Rule>) -> Var {
        self.nodes.push(Node { value, needs_gradient, readers: 0, saves: Vec::new(), rule });
        Var(self.nodes.len() - 1)
    }

    /// The value of a node.
    #[must_use]
    pub fn value(&self, var: Var) -> &Value {
        value(&self.nodes, var)
    }

    /// The value of a node that is a picture or a feature map in `f32`.
    #[must_use]
    pub fn map(&self, var: Var) -> &FeatureMap {
        map(&self.nodes, var)
    }

    /// The value of a node that is a feature map of some type.
    #[must_use]
    pub fn map_of<E: MapElement>(&self, var: Var) -> &FeatureMap<E> {
        map(&self.nodes, var)
    }

    /// (H, W, C) of a node that is a feature map of any type.
    #[must_use]
    pub fn dim(&self, var: Var) -> (usize, usize, usize) {
        let value = self.value(var);
        value.dim().unwrap_or_else(|| panic!("node {} is {:?}, not a feature map", var.0, value.shape()))
    }

    /// The type of the elements of a node that is a feature map: an op picks its kernel by it.
    #[must_use]
    pub fn dtype(&self, var: Var) -> Dtype {
        let value = self.value(var);
        value.dtype().unwrap_or_else(|| panic!("node {} is {:?}, not a feature map", var.0, value.shape()))
    }

    /// The value of a node that is a small tensor.
    #[must_use]
    pub fn tensor(&self, var: Var) -> &ArrayD<f32> {
        match self.value(var) {
            Value::Tensor(tensor) => tensor,
            other => panic!("node {} is {:?}, not a tensor", var.0, other.shape()),
        }
    }

    /// The value of a node that is a filter.
    #[must_use]
    pub fn filter(&self, var: Var) -> &Filter {
        filter(&self.nodes, var)
    }

    /// The value of a node that is a scalar.
    #[must_use]
    pub fn scalar(&self, var: Var) -> f64 {
        match self.value(var) {
            Value::Scalar(scalar) => *scalar,
            other => panic!("node {} is {:?}, not a scalar", var.0, other.shape()),
        }
    }

    /// A map with a buffer of the pool, its contents unspecified.
    #[must_use]
    pub fn allocate<E: MapElement>(&mut self, height: usize, width: usize, channels: usize) -> FeatureMap<E> {
        FeatureMap::from_pool(self.pool, height, width, channels)
    }

    /// A bit mask with a buffer of the pool, its contents unspecified.
    #[must_use]
    pub fn allocate_mask(&mut self, elements: usize) -> BitMask {
        BitMask::from_pool(self.pool, elements)
    }

    /// Room for a max-pooling's choices, `dim` being the shape of the map it writes.
    #[must_use]
    pub fn allocate_choices(&mut self, dim: (usize, usize, usize)) -> Choices {
        Choices::from_pool(self.pool, dim)
    }

    /// Whether anything computed from these nodes would have to be differentiated.
    #[must_use]
    pub fn needs_gradient(&self, vars: &[Var]) -> bool {
        vars.iter().any(|var| self.nodes[var.0].needs_gradient)
    }

    /// Declares that nothing will read this node's value again but the rules that asked for it. If none did, its
    /// buffer goes back to the pool at once.
    pub fn release(&mut self, var: Var) {
        let node = &mut self.nodes[var.0];
        if node.readers == 0 && matches!(node.value, Slot::Owned(_)) {
            let value = std::mem::replace(&mut node.value, Slot::Gone);
            recycle(value, self.pool);
        }
    }

    /// Differentiates the scalar `root` with respect to every variable.
    ///
    /// Walks the nodes from last to first. A node's value is given back to the pool:
    /// whoever read it came later on the tape. Its gradient is taken out of the store
    /// and handed to its rule.
    #[must_use]
    pub fn backward(self, root: Var) -> Gradients {
        assert!(matches!(self.value(root), Value::Scalar(_)), "backward starts at a scalar; seed others explicitly");
        self.backward_from(root, Value::Scalar(1.0))
    }

    /// [`Tape::backward`] from a node of any shape, given the gradient `d_root` of some later scalar.
    #[must_use]
    pub fn backward_from(mut self, root: Var, d_root: Value) -> Gradients {
        assert_eq!(self.value(root).shape(), d_root.shape(), "the upstream gradient has the node's shape");
        let mut gradients: Vec<Option<Value>> = (0..=root.0).map(|_| None).collect();
        gradients[root.0] = Some(d_root);
        for later in self.nodes.drain(root.0 + 1..) {
            recycle(later.value, self.pool);
        }
        if let Some(mut log) = self.log.as_ref().map(lock) {
            let kept = self.nodes.iter().map(|node| node.readers > 0 && !matches!(node.value, Slot::Gone));
            log.nodes.iter_mut().zip(kept).for_each(|(logged, kept)| logged.kept = kept);
            log.lap();
        }
        // ANCHOR: backward
        for index in (0..=root.0).rev() {
            let node = self.nodes.pop().expect("one node per index");
            // No rule reads its own node's value, and no rule that is still to run can read it.
            recycle(node.value, self.pool);
            let Some(rule) = node.rule else { continue };
            if self.cancel.is_cancelled() {
                continue;
            }
            // What is read after this is read by others.
            node.saves.iter().for_each(|var| self.nodes[var.0].readers -= 1);
            if let Some(d_out) = gradients[index].take() {
                let saves = &node.saves;
                rule(
                    d_out,
                    &mut Backward { nodes: &mut self.nodes, saves, gradients: &mut gradients, pool: self.pool },
                );
                self.note_backward(index, &gradients);
            }
        }
        // ANCHOR_END: backward
        Gradients { gradients }
    }

    /// Tells the log, if there is one, that a node's rule has been followed.
    fn note_backward(&self, index: usize, gradients: &[Option<Value>]) {
        let Some(mut log) = self.log.as_ref().map(lock) else { return };
        let seconds = log.lap();
        log.nodes[index].backward = Some(seconds);
        log.alive(index, true, owned(&self.nodes), gradients.iter().flatten().map(log::bytes).sum());
    }
}

fn lock(log: &Arc<Mutex<Log>>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of the values that nodes have for themselves.
fn owned(nodes: &[Node]) -> usize {
    let own = |node: &Node| if let Slot::Owned(value) = &node.value { log::bytes(value) } else { 0 };
    nodes.iter().map(own).sum()
}

impl Drop for Tape<'_> {
    fn drop(&mut self) {
        for node in self.nodes.drain(..) {
            recycle(node.value, self.pool);
        }
    }
}

fn recycle(value: Slot, pool: &mut BufferPool) {
    if let Slot::Owned(value) = value {
        value.recycle(pool);
    }
}

fn value(nodes: &[Node], var: Var) -> &Value {
    match &nodes[var.0].value {
        Slot::Owned(value) => value,
        Slot::Shared(value) => value,
        Slot::Alias(of) => value(nodes, *of),
        Slot::Gone => panic!("node {} was released; an op whose rule reads it must say so in `saves`", var.0),
    }
}

fn map<E: MapElement>(nodes: &[Node], var: Var) -> &FeatureMap<E> {
    let value = value(nodes, var);
    let name = E::DTYPE.name();
    E::map(value).unwrap_or_else(|| panic!("node {} is {:?}, not a feature map in {name}", var.0, value.shape()))
}

fn filter(nodes: &[Node], var: Var) -> &Filter {
    match value(nodes, var) {
        Value::Filter(filter) => filter,
        other => panic!("node {} is {:?}, not a filter", var.0, other.shape()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a rule reads node 0, which its op has not named in `saves`")]
    fn a_rule_reads_only_what_its_op_has_named() {
        let mut pool = BufferPool::new();
        let mut tape = Tape::new(&mut pool);
        let x = tape.variable(Value::Scalar(3.0));
        let square = tape.record(Value::Scalar(9.0), &[x], &[], move |_, back| {
            let Value::Scalar(x) = back.value(x) else { unreachable!("x is a scalar") };
            let _ = x;
        });
        let _ = tape.backward(square);
    }

    #[test]
    fn a_log_tells_what_was_recorded_where_and_what_was_alive() {
        let mut pool = BufferPool::new();
        let log = Arc::default();
        let mut tape = Tape::new(&mut pool).logged(Some(Arc::clone(&log)));
        let x = tape.variable(Value::Map(FeatureMap::zeros(2, 3, 4)));
        let y = tape.record(Value::Map(FeatureMap::zeros(2, 3, 5)), &[x], &[x], move |d_y, back| {
            assert_eq!(d_y.dim(), Some((2, 3, 5)));
            back.give(x, Value::Map(FeatureMap::zeros(2, 3, 4)));
        });
        tape.label(y, "relu1_1");
        let z = tape.record(Value::Scalar(1.0), &[y], &[], move |_, back| {
            back.give(y, Value::Map(FeatureMap::zeros(2, 3, 5)));
        });
        tape.release(y);
        let _ = tape.backward(z);
        let log = Arc::into_inner(log).unwrap().into_inner().unwrap();
        let [x, y, z] = &log.nodes[..] else { panic!("three nodes") };
        assert_eq!((x.op, y.op, y.label.as_str()), ("variable", "tape", "relu1_1"));
        assert!(y.at.file().ends_with("src/autograd/tape.rs") && y.at.line() < z.at.line());
        assert_eq!((&y.parents, &y.saves, &z.parents, &z.saves), (&vec![0], &vec![0], &vec![1], &vec![]));
        assert_eq!((&y.shape[..], y.bytes, z.bytes), (&[2, 3, 5][..], 120, 8));
        assert!(x.kept && !y.kept && !z.kept, "only what a rule reads");
        assert!(x.backward.is_none() && y.backward.is_some() && z.backward.is_some());
        let alive: Vec<_> = log.memory.iter().map(|at| (at.node, at.backward, at.values, at.gradients)).collect();
        assert_eq!(
            alive,
            [(0, false, 96, 0), (1, false, 216, 0), (2, false, 224, 0), (2, true, 96, 120), (1, true, 96, 96)]
        );
    }
}
