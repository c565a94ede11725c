//! The program as its users meet it: the built binary on small pictures.

mod checkpoints;
mod errors;
mod faults;
mod interruption;
mod machine;
mod memory;
mod refusals;
mod results;
mod support;
mod words;
