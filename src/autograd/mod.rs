//! Reverse-mode automatic differentiation, small enough to read in one sitting.
//!
//! Computing is *recording*: an op computes its value and appends a node to the
//! [`Tape`], with a rule that knows how to turn the gradient of its output into
//! the gradients of its inputs. Because a node can only refer to earlier nodes,
//! the tape read backwards is a topological order, and differentiating is one
//! loop ([`Tape::backward`]).
//!
//! ```text
//!   recording   x ──normalize──▶ · ──conv2d──▶ · ──relu──▶ F ──gram──▶ G ──▶ loss
//!   backward    dx ◀─────────── · ◀────────── · ◀──────── dF ◀─────── dG ◀── 1
//! ```
//!
//! Three places to read: [`Tape`] records and differentiates, the files of
//! [`crate::ops`] hold one rule each, [`gradcheck`] compares any of them with a
//! finite difference.

mod cancel;
pub mod gradcheck;
pub mod log;
mod tape;
mod value;

pub use cancel::Cancel;
pub use log::Log;
pub use tape::{Backward, Gradients, Tape, Var};
pub use value::{MapElement, Value};
