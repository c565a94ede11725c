//! The program as its users meet it: the built binary on small pictures.

mod augment;
mod batch;
mod checkpoints;
mod errors;
mod explain;
mod faults;
mod files;
mod interruption;
#[cfg(feature = "embedded-weights")]
mod machine;
mod memory;
mod purposes;
mod recipes;
mod refusals;
mod results;
mod styles;
mod support;
#[cfg(not(feature = "embedded-weights"))]
mod weightless;
mod words;
