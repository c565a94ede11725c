//! Impasto.
pub mod autograd;
pub mod bench;
pub mod config;
pub mod error;
pub mod kernels;
pub mod objective;
pub mod ops;
pub mod optim;
pub mod picture;
pub mod tensor;
pub mod transfer;
pub mod vgg;
pub use config::{Config, Preset};
pub use error::{Error, Result};
pub use picture::Picture;
pub use transfer::stylize;
