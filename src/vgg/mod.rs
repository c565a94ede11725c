//! VGG, the frozen eye that compares pictures: which convolutions follow each
//! other, and the numbers in them.
//!
//! A classifier trained on a million photographs has learned, on its way from
//! pixels to names, to describe a picture by edges, then textures, then parts of
//! things. Style transfer needs those descriptions and not the names, so only the
//! convolutions are here, and only down to the deepest layer a run looks at.
//!
//! ```text
//! picture ─ conv1_1 ─ conv1_2 ─ pool ─ conv2_1 ─ conv2_2 ─ pool ─ conv3_1 …
//!              │         │                │         │                │
//!           relu1_1   relu1_2          relu2_1   relu2_2          relu3_1     names as in the literature
//!
//! H × W         64 channels   H/2 × W/2   128      H/4 × W/4   256 …
//! ```
//!
//! Reading order: [`Layer`] names a layer, [`layers`] is the shape of the network, [`weights`] its numbers,
//! [`network`] its evaluation, [`strips`] that of pictures too large for it.

mod layer;
pub mod layers;
pub mod network;
pub mod strips;
pub mod weights;

pub use layer::Layer;
pub use layers::{Architecture, SEAMLESS, SMALLEST_SIDE, Stage};
pub use network::{Border, Pooling, Vgg, VggOptions};
pub use weights::Weights;
