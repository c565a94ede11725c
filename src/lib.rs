//! Impasto.
pub mod autograd;
pub mod config;
pub mod error;
pub mod kernels;
pub mod ops;
pub mod objective;
pub mod optim;
pub mod picture;
pub mod tensor;
pub mod transfer;
pub mod vgg;
pub use error::{Error, Result};
