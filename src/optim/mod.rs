//! Optimisers: they see slices of `f32` and nothing else.

mod adam;

pub use adam::{Adam, AdamOptions};
