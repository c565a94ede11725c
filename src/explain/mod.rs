//! A run of style transfer, explained: what is collected of it, and the page that is drawn from that.

mod page;
pub mod report;

pub use page::page;
