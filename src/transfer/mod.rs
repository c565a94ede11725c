//! The optimisation loop.

mod step;

pub use step::{End, Outcome, Step};
