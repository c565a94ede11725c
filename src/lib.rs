//! Impasto.
pub mod config;
pub mod error;
pub mod picture;
pub use error::{Error, Result};
