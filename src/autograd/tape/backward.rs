//! What a rule may do while the tape is differentiated, and what is left at the end.

use super::{Node, Slot, Var, filter, map, value};
use crate::autograd::{MapElement, Value};
use crate::kernels::bit_mask::BitMask;
use crate::kernels::conv::Filter;
use crate::kernels::pooling::Choices;
use crate::tensor::{BufferPool, FeatureMap};

/// What a rule sees of the tape while it is differentiated: the values, and
/// the store of gradients.
///
/// A rule asks for a parent's gradient buffer with [`Backward::gradient_of`],
/// writes into it (β = 0) or adds to it (β = 1), as in GEMM, and stores it; or
/// it passes on a whole gradient with [`Backward::give`].
pub struct Backward<'a> {
    pub(super) nodes: &'a mut [Node],
    pub(super) saves: &'a [Var],
    pub(super) gradients: &'a mut [Option<Value>],
    pub(super) pool: &'a mut BufferPool,
}

impl Backward<'_> {
    /// Whether anything wants this node's gradient.
    #[must_use]
    pub fn needs(&self, var: Var) -> bool {
        self.nodes[var.0].needs_gradient
    }

    /// The value of a node.
    ///
    /// # Panics
    /// If the rule has not named it in `saves`, and it is no constant: it may be there now, and gone in another tape.
    #[must_use]
    pub fn value(&self, var: Var) -> &Value {
        value(self.saved(var), var)
    }

    /// The value of a node that is a picture or a feature map in `f32`, as [`Backward::value`].
    #[must_use]
    pub fn map(&self, var: Var) -> &FeatureMap {
        map(self.saved(var), var)
    }

    /// The value of a node that is a feature map of some type, as [`Backward::value`].
    #[must_use]
    pub fn map_of<E: MapElement>(&self, var: Var) -> &FeatureMap<E> {
        map(self.saved(var), var)
    }

    /// The value of a node that is a filter, as [`Backward::value`].
    #[must_use]
    pub fn filter(&self, var: Var) -> &Filter {
        filter(self.saved(var), var)
    }

    /// The nodes, if the rule may read this one.
    fn saved(&self, var: Var) -> &[Node] {
        let may = self.saves.contains(&var) || matches!(self.nodes[var.0].value, Slot::Shared(_));
        assert!(may, "a rule reads node {}, which its op has not named in `saves`", var.0);
        self.nodes
    }

    /// Takes the gradient buffer of a node of shape `dim` out of the store: with β = 1 what has been
    /// gathered so far, to be added to; with β = 0 a fresh buffer of unspecified contents, to be
    /// overwritten. [`Backward::give`] it back when done.
    #[must_use]
    pub fn gradient_of<E: MapElement>(
        &mut self,
        var: Var,
        (height, width, channels): (usize, usize, usize),
    ) -> (FeatureMap<E>, f32) {
        match self.gradients[var.0].take() {
            Some(gathered) => {
                let map = E::gradient(gathered);
                assert_eq!(map.dim(), (height, width, channels), "gradient of node {}", var.0);
                (map, 1.0)
            }
            None => (FeatureMap::from_pool(self.pool, height, width, channels), 0.0),
        }
    }

    /// Takes a node's value, for its gradient to be written over it: where there is no gradient yet, and no rule that
    /// is still to run reads the value. [`Backward::give`] it back when done.
    ///
    /// A map and its gradient are of one size, and the largest things in memory.
    #[must_use]
    pub fn gradient_over<E: MapElement>(&mut self, var: Var) -> Option<FeatureMap<E>> {
        let node = &mut self.nodes[var.0];
        if node.readers > 0 || self.gradients[var.0].is_some() || !matches!(node.value, Slot::Owned(_)) {
            return None;
        }
        match std::mem::replace(&mut node.value, Slot::Gone) {
            Slot::Owned(value) => Some(E::gradient(value)),
            Slot::Shared(_) | Slot::Alias(_) | Slot::Gone => unreachable!("matched above"),
        }
    }

    /// Adds `gradient` to a node's gradient; the first one is stored as it is.
    pub fn give(&mut self, var: Var, gradient: Value) {
        match &mut self.gradients[var.0] {
            Some(sum) => {
                sum.add_assign(&gradient);
                gradient.recycle(self.pool);
            }
            empty => *empty = Some(gradient),
        }
    }

    /// Gives a spent mask's buffer back to the pool.
    pub fn recycle_mask(&mut self, spent: BitMask) {
        self.pool.put(spent.into_buffer());
    }

    /// Gives spent choices' buffer back to the pool.
    pub fn recycle_choices(&mut self, spent: Choices) {
        self.pool.put(spent.into_buffer());
    }

    /// Gives a spent gradient's buffer back to the pool.
    pub fn recycle(&mut self, spent: Value) {
        spent.recycle(self.pool);
    }
}

/// The gradients of a differentiated tape's variables.
pub struct Gradients {
    pub(super) gradients: Vec<Option<Value>>,
}

impl Gradients {
    /// Takes the gradient of a variable; `None` where the root does not depend on it.
    #[must_use]
    pub fn take(&mut self, var: Var) -> Option<Value> {
        self.gradients.get_mut(var.0)?.take()
    }

    /// Takes the gradient of a variable that is a feature map or a picture.
    ///
    /// # Panics
    /// If the root does not depend on it.
    #[must_use]
    pub fn take_map(&mut self, var: Var) -> FeatureMap {
        match self.take(var) {
            Some(Value::Map(map)) => map,
            other => panic!("node {} has no map for its gradient but {:?}", var.0, other.map(|v| v.shape())),
        }
    }
}
