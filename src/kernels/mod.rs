//! The loops that do the work. They know shapes and slices, no tape.
//!
//! Every fast kernel has a plain twin that tests hold it against. Work is cut
//! into blocks whose size depends on the shapes alone, never on the number of
//! threads, and partial sums are merged in block order, so that every thread
//! count gives the same bytes.

pub mod bf16;
pub mod bit_mask;
pub mod conv;
pub mod eigen;
pub mod gemm;
pub mod gram;
pub mod masked;
pub mod matmul;
pub mod pooling;
pub mod reduce;
pub mod resample;
pub(crate) mod scratch;
pub mod simd;
pub mod variation;
