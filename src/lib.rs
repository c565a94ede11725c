//! Impasto.
pub mod config;
pub mod error;
pub mod picture;
pub mod transfer;
pub mod vgg;
pub use error::{Error, Result};
