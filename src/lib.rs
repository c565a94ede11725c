//! Impasto repaints a photograph in the manner of a painting, and is written to
//! be read: neural style transfer from the file to the last gradient, with no
//! framework underneath.
//!
//! # The idea
//!
//! A network that was trained to *name* what is in photographs has learned to
//! *describe* pictures: its early layers answer to edges and colours, deeper ones
//! to textures, then to parts of things. At a layer, a picture of M pixels becomes
//! a matrix F, a row a pixel, a column one of N features. Two questions can be
//! asked of it:
//!
//! - **What is where?** F itself. Two pictures with close F show the same things
//!   in the same places, whatever their brushwork. This is *content*.
//! - **What goes with what?** The Gram matrix G = FᵀF, a sum over pixels, which
//!   knows that blue comes in short diagonal strokes and has forgotten where. This
//!   is *style*.
//!
//! Style transfer looks for a picture x whose F is the photograph's and whose G is
//! the painting's. There is no formula for such a picture, but there is a number
//! that says how far from it x is, and that number has a gradient. So the *pixels*
//! are moved downhill, while the network stays as it is: nothing is trained.
//!
//! # The pipeline
//!
//! ```text
//!  photograph ──▶ picture::load ──▶ VGG ──▶ P at relu4_2 ───────────┐
//!  painting   ──▶ picture::load ──▶ VGG ──▶ A = SᵀS at relu1_1 … ───┤  once a scale
//!                                                                   ▼
//!      ┌──▶ x ──▶ VGG ──┬──▶ F at relu4_2 ────────▶ content  (F − P)²  ┐
//!      │    │           └──▶ G = FᵀF at relu1_1 … ▶ style     G ~ A    ├─▶ α·content + β·style + γ·tv
//!      │    └─────────────────────────────────────▶ tv        |∇x|²    ┘             │
//!      │                                                                             │ backward
//!   decode θ, clamp ◀── Adam: θ ← θ − … ◀── d total / dθ ◀── d total / dx ◀──────────┘
//!                                                                    a few hundred times, small sizes first
//!  x ──▶ colours, calm, tone ──▶ picture::save ──▶ the result
//! ```
//!
//! θ, what is moved, is the picture itself or the coefficients of its Laplacian pyramid. Two means and covariances
//! can be compared in place of two Gram matrices. Which of all this a run does, its [`Preset`] says.
//!
//! Everything is decided before the first iteration, and followed after it:
//!
//! ```text
//!  Config, sizes, machine ──▶ transfer::Plan ──▶ transfer::Run: step, step, step … ──▶ result
//! ```
//!
//! ```
//! use std::ops::ControlFlow;
//! use impasto::{Config, Picture, Preset, stylize};
//!
//! // Any (H × W × 3) array of sRGB values in [0, 1] is a picture; `picture::load` reads one from a file.
//! let ramp = Picture::from_rgb(ndarray::Array3::from_shape_fn((24, 32, 3), |(y, _, _)| y as f32 / 24.0));
//! let stripes = Picture::from_rgb(ndarray::Array3::from_shape_fn((32, 32, 3), |(_, x, _)| (x / 4 % 2) as f32));
//!
//! let config = Config { size: 32, iterations: Some(3), ..Preset::Paper.config() };
//! let mut losses = Vec::new();
//! let outcome = stylize(&config, &ramp, &stripes, |step| {
//!     losses.push(step.total);
//!     ControlFlow::Continue(())
//! })?;
//! // One measurement before each update and one after the last: the way is downhill.
//! assert_eq!(losses.len(), 4);
//! assert!(losses[3] < losses[0]);
//! assert_eq!((outcome.picture.height(), outcome.picture.width()), (24, 32));
//! # Ok::<(), impasto::Error>(())
//! ```
//!
//! # A guided tour
//!
//! Bottom up, each module needs only those before it. To see the whole first,
//! begin at [`transfer`] and come back.
//!
//! 1. [`tensor`]: a feature map is (height × width × channels), channels innermost,
//!    so that it *is* the matrix F. *Look for* [`tensor::BufferPool`], which makes every
//!    step after the first allocate nothing large.
//! 2. [`kernels`]: the loops that take the time. *Look for* the plain twin of each
//!    fast one ([`kernels::conv::reference`]: what a convolution is;
//!    [`kernels::conv::im2col`]: the same as a matrix product;
//!    [`kernels::conv::winograd`]: the same with a quarter of the multiplications, which
//!    is what runs), and for partial sums merged in a fixed order, which is why every
//!    number of threads gives the same picture.
//! 3. [`autograd`]: a tape that remembers what was computed and reads itself
//!    backwards. *Look for* [`autograd::Tape::backward`], one loop, and
//!    [`autograd::gradcheck`], which distrusts it.
//! 4. [`ops`]: the rules of differentiation, one file each, the formula and its
//!    derivative side by side. *Look for* [`ops::gram`], forty lines in which style
//!    happens, and [`ops::conv2d`], whose backward pass is a convolution again.
//! 5. [`vgg`]: the network, a table of layers and thirteen filters' numbers. *Look
//!    for* the tap in [`vgg::Vgg::forward`]: losses are recorded while the network
//!    runs, so that features are met by their gradients on the way back; and, last of
//!    all, for [`vgg::strips`], the same numbers of pictures too large to be there whole.
//! 6. [`objective`]: content, style and total variation added up. *Look for* the
//!    division by M, which lets a painting of any size lend its style, and for
//!    [`objective::statistic`], where a new idea of what style is takes one file, and
//!    [`objective::Loss`], by which a loss of yours is added to these.
//! 7. [`optim`]: Adam in four lines of mathematics, and L-BFGS. *Look for*
//!    [`optim::Optimizer::tell`]: an optimiser is told, and never evaluates.
//! 8. [`transfer`]: the loop drawn above, over scales and iterations. *Look for*
//!    [`transfer::Plan`], everything that is decided beforehand as plain data;
//!    [`transfer::canvas`], the same picture as other variables; and
//!    [`transfer::detail`], what a larger size starts from.
//! 9. [`picture`]: what is needed so that a phone's photograph and a scanned
//!    painting are the same kind of thing, and the result a file that opens anywhere.
//! 10. [`config`]: every number that decides the picture, and the presets. *Look
//!     for* [`Preset::config`], and change one at a time; [`config::purposes`] makes
//!     textures, reconstructions and dreams of them.
//!
//! [`error`] says what can go wrong and how to put it right, [`files`] how what is
//! written is there whole or not at all, [`state`] what a run is made of when it is
//! put away, [`limits`] what the system lets a run take. An [`Engine`] is what many runs share, and [`batch`] what is
//! made of many pictures. The command line
//! (`src/main.rs`, `src/cli`) is another user of this library: it parses, calls
//! [`stylize`] and reports.
//!
//! Eight numbered programs to begin with are in `examples`, each about a page, from a tape in sixty lines
//! (`01_tape_by_hand`) to a loss of your own (`08_your_own_loss`). The book in `docs/book` explains what is here from
//! the ground up, with figures, exercises and their answers: `mdbook build docs/book`.
//!
//! # To read beside it
//!
//! - Gatys, Ecker & Bethge, *A Neural Algorithm of Artistic Style*, 2015,
//!   [arXiv:1508.06576](https://arxiv.org/abs/1508.06576): the idea.
//! - Simonyan & Zisserman, *Very Deep Convolutional Networks*, 2015,
//!   [arXiv:1409.1556](https://arxiv.org/abs/1409.1556): the network.
//! - Kingma & Ba, *Adam*, 2015, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980): the way down.

pub mod autograd;
pub mod batch;
pub mod bench;
pub mod config;
pub mod error;
pub mod explain;
pub mod files;
pub mod kernels;
pub mod limits;
pub mod objective;
pub mod ops;
pub mod optim;
pub mod picture;
pub mod state;
pub mod tensor;
pub mod transfer;
pub mod vgg;
pub use config::{Config, Preset};
pub use error::{Error, Result};
pub use picture::Picture;
pub use transfer::{Engine, Regions, Style, stylize, stylize_with};
