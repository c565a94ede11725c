//! Many pictures: which are read, what each is called, and which machine makes it.
//!
//! Nothing here makes a picture. What is made of many is decided beforehand, from names and lists alone, so that every
//! machine that is told the same comes to the same, and each does its own part:
//!
//! ```text
//!  folders, globs ── sources ──┐
//!  CSV, JSON Lines ── list ────┼── names ── shard ──▶ the pictures that are made here
//!  a folder of folders ── draw ┘
//! ```

pub mod draw;
pub mod list;
pub mod names;
pub mod shard;
pub mod sources;

pub use draw::{Draw, STRENGTHS, draws};
pub use list::{Entry, List};
pub use names::Pattern;
pub use shard::Shard;
