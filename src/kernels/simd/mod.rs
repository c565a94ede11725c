//! Vectors of `f32` in whatever width the CPU has: every `unsafe` line of the
//! project is below this module.
//!
//! ```text
//!   Isa::detect ──▶ a token, Avx512 | Avx2 | Neon | Scalar ──▶ Kernel::run::<token>
//! ```
//!
//! A kernel is written once, generic over [`Simd`]. A value of a token type can
//! only be had by asking the CPU, so holding one proves that its instructions
//! may be executed, and the methods are safe. [`Isa::dispatch`] enters the
//! kernel through a function compiled for those instructions, into which
//! everything is inlined.
//!
//! `IMPASTO_ISA=scalar|avx2|avx512|neon` asks for a lesser set than the CPU has; `amx`, as no name at all, for
//! everything it has, the tile unit included.

#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux")), path = "no_amx.rs")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod element;
mod gemm;
#[cfg(target_arch = "aarch64")]
mod neon;
pub mod pages;
mod scalar;
mod strided;
pub mod tiles;

use std::fmt;
use std::sync::OnceLock;

use half::bf16;

use crate::error::{Error, Result};

pub use element::Element;
pub use gemm::{Panels, Rows, gemm_block, gemm_panels_transposed, gemm_segments, panel_width};
pub use strided::{load_strided, store_strided};

/// Vectors of `f32` of one instruction set. A value of the type proves that the CPU has it.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Elements in a vector.
    const LANES: usize;
    /// Rows of the matrix product's register tile.
    const TILE_ROWS: usize;
    /// Vectors in a row of the register tile. TILE_ROWS × TILE_VECTORS accumulators, the row's
    /// vectors and a broadcast fill the register file.
    const TILE_VECTORS: usize;
    /// The vector.
    type Vector: Copy;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::Vector;
    /// The first [`Simd::LANES`] elements. Panics if there are fewer.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// Writes [`Simd::LANES`] elements. Panics if there is no room.
    fn store(self, vector: Self::Vector, to: &mut [f32]);
    /// The first [`Simd::LANES`] elements, widened. Panics if there are fewer.
    fn load_bf16(self, from: &[bf16]) -> Self::Vector;
    /// Writes [`Simd::LANES`] elements, rounded as by [`round`](crate::kernels::bf16::round). Panics if there is no room.
    fn store_bf16(self, vector: Self::Vector, to: &mut [bf16]);
    /// The elements whose bit is set, 0 elsewhere. Lane i is bit i.
    fn select(self, bits: u32, vector: Self::Vector) -> Self::Vector;
    /// Bit i is set where lane i is above 0.
    fn positive(self, vector: Self::Vector) -> u32;
    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a − b.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a / b.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// √a.
    fn sqrt(self, a: Self::Vector) -> Self::Vector;
    /// a · b + c, rounded once where the hardware does so.
    fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a > b ? a : b`, in every instruction set: b where one of the two is no number. So `max(0, x)` keeps what is
    /// no number, and a run that diverges is noticed where it does.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Loads LANES elements.
    ///
    /// # Safety
    /// All of them can be read.
    #[allow(unsafe_code)]
    unsafe fn load_from(self, from: *const f32) -> Self::Vector;
    /// Stores LANES elements.
    ///
    /// # Safety
    /// All of them can be written.
    #[allow(unsafe_code)]
    unsafe fn store_to(self, vector: Self::Vector, to: *mut f32);
    /// Asks for the cache line of an address that will be used soon, or of none that the program may use.
    #[inline(always)]
    fn prefetch(self, _address: *const f32) {}

    /// Writes a square of [`Simd::LANES`] rows and columns with the two exchanged. Rows start a stride apart.
    ///
    /// # Panics
    /// If a slice is too short.
    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        for i in 0..Self::LANES {
            for (j, value) in from[i * from_stride..][..Self::LANES].iter().enumerate() {
                to[j * to_stride + i] = *value;
            }
        }
    }

    /// Calls the register-tile product of `rows` ≤ [`Simd::TILE_ROWS`] rows, see [`gemm_block`] and, if
    /// `TRANSPOSED`, [`gemm_panels_transposed`].
    ///
    /// # Safety
    /// As for `gemm::tile`.
    #[allow(unsafe_code)]
    unsafe fn tile<const TRANSPOSED: bool>(self, rows: usize, operands: gemm::Operands);

    /// The elements of `from`, at most [`Simd::LANES`], and zeros.
    #[inline(always)]
    fn load_partial(self, from: &[f32]) -> Self::Vector {
        if from.len() >= Self::LANES {
            return self.load(from);
        }
        let mut buffer = [0.0; 16];
        buffer[..from.len()].copy_from_slice(from);
        self.load(&buffer)
    }

    /// Fills `to`, at most [`Simd::LANES`] elements.
    #[inline(always)]
    fn store_partial(self, vector: Self::Vector, to: &mut [f32]) {
        if to.len() >= Self::LANES {
            return self.store(vector, to);
        }
        let mut buffer = [0.0; 16];
        self.store(vector, &mut buffer);
        to.copy_from_slice(&buffer[..to.len()]);
    }

    /// The sum of the lanes, always in the same order.
    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> f32 {
        let mut lanes = [0.0; 16];
        self.store(vector, &mut lanes);
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
        }
        lanes[0]
    }
}

/// Elements from the start of the first of some pieces, `stride` apart and `length` long each, to the end of the last;
/// `usize::MAX`, which no slice has, where that is too large to count.
#[inline(always)]
const fn extent(pieces: usize, stride: usize, length: usize) -> usize {
    match pieces {
        0 => 0,
        _ => (pieces - 1).saturating_mul(stride).saturating_add(length),
    }
}

/// Work that is generic over the instruction set.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// Does it. Must be `#[inline(always)]`, or it is compiled for the least common CPU.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// An instruction set that this CPU has.
#[derive(Clone, Copy)]
pub enum Isa {
    /// Plain Rust, which the compiler vectorises as far as the target's baseline goes.
    Scalar(scalar::Scalar),
    /// x86-64 with AVX2 and FMA: vectors of 8.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// x86-64 with AVX-512: vectors of 16.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    /// aarch64: vectors of 4.
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
}

impl Isa {
    /// Every set this CPU has, best first.
    #[must_use]
    pub fn available() -> Vec<Isa> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            sets.extend(avx512::Avx512::detect().map(Isa::Avx512));
            sets.extend(avx2::Avx2::detect().map(Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        sets.extend(neon::Neon::detect().map(Isa::Neon));
        sets.push(Isa::Scalar(scalar::Scalar));
        sets
    }

    /// The set that kernels use: what `IMPASTO_ISA` names, or the best one. Asked once.
    #[must_use]
    pub fn detect() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Isa::requested().ok().flatten().unwrap_or(Isa::available()[0]))
    }

    /// The set that `IMPASTO_ISA` names; none if it is unset, empty, or `amx`.
    ///
    /// # Errors
    /// [`Error::Usage`] if it names anything else than a set of this CPU. [`Isa::detect`] uses the best one then.
    pub fn requested() -> Result<Option<Isa>> {
        match std::env::var_os("IMPASTO_ISA") {
            Some(name) => Isa::named(&name.to_string_lossy()),
            None => Ok(None),
        }
    }

    fn named(name: &str) -> Result<Option<Isa>> {
        if matches!(name, "" | "amx") {
            return Ok(None);
        }
        let here = Isa::available();
        here.iter().find(|isa| isa.name() == name).map(|&isa| Some(isa)).ok_or_else(|| {
            let names: Vec<_> = here.iter().map(|isa| isa.name()).collect();
            Error::Usage(format!("IMPASTO_ISA={name}: this CPU has {}; name one, or unset it", names.join(", ")))
        })
    }

    /// Whether `IMPASTO_ISA` names one of these sets: then the tile unit, which comes on top of them all, is not wanted.
    #[must_use]
    pub fn lesser_requested() -> bool {
        Isa::requested().is_ok_and(|isa| isa.is_some())
    }

    /// Its name, as `IMPASTO_ISA` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar(_) => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => "neon",
        }
    }

    /// Elements in a vector.
    #[must_use]
    pub fn lanes(self) -> usize {
        self.dispatch(Sizes).0
    }

    /// Columns of a panel of B, see [`Panels`].
    #[must_use]
    pub fn panel_width(self) -> usize {
        self.dispatch(Sizes).1
    }

    /// Runs a kernel compiled for this set.
    pub fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Isa::Scalar(token) => kernel.run(token),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.enter(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(token) => token.enter(kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => token.enter(kernel),
        }
    }
}

struct Sizes;

impl Kernel for Sizes {
    type Output = (usize, usize);
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> (usize, usize) {
        (S::LANES, panel_width::<S>())
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_sets_this_cpu_has_are_taken() {
        for isa in Isa::available() {
            assert_eq!(Isa::named(isa.name()).unwrap().map(Isa::name), Some(isa.name()));
        }
        assert!(["", "amx"].iter().all(|name| Isa::named(name).unwrap().is_none()));
        for name in ["mmx", "AVX2", " scalar"] {
            let message = Isa::named(name).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("scalar; name one"), "{message}");
        }
    }

    struct Max([f32; 16], [f32; 16]);

    impl Kernel for Max {
        type Output = Vec<f32>;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Vec<f32> {
            let mut found = self.0;
            for (a, b) in found.chunks_exact_mut(S::LANES).zip(self.1.chunks_exact(S::LANES)) {
                simd.store(simd.max(simd.load(a), simd.load(b)), a);
            }
            found.to_vec()
        }
    }

    #[test]
    fn a_maximum_is_the_same_in_every_instruction_set_and_keeps_what_is_no_number() {
        let [nan, infinity] = [f32::NAN, f32::INFINITY];
        let pairs = [(1.0, 2.0), (2.0, 1.0), (0.0, nan), (nan, 1.0), (nan, nan), (0.0, -0.0), (-0.0, 0.0)];
        let more = [(infinity, 0.0), (0.0, -infinity), (-3.0, -2.0)];
        let pair = |i: usize| *pairs.iter().chain(&more).cycle().nth(i).unwrap();
        let (a, b) = (std::array::from_fn(|i| pair(i).0), std::array::from_fn(|i| pair(i).1));
        for isa in Isa::available() {
            let found = isa.dispatch(Max(a, b));
            for (i, found) in found.into_iter().enumerate() {
                let expected = if a[i] > b[i] { a[i] } else { b[i] };
                assert_eq!(found.to_bits(), expected.to_bits(), "{isa:?}: {} and {}", a[i], b[i]);
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be_counted_are_longer_than_any_slice() {
        assert_eq!((extent(0, 7, 5), extent(1, 7, 5), extent(3, 7, 5)), (0, 5, 19));
        // Wrapped around, this would be 8.
        assert_eq!(extent(3, usize::MAX / 2 + 1, 8), usize::MAX);
        struct Far;
        impl Kernel for Far {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) {
                let [a, b] = [[0.0; 64]; 2];
                let b = Panels { data: &b, depth: 1, count: 1, stride: 0 };
                gemm_block(simd, 3, (&a, usize::MAX / 2 + 1), b, (&mut [0.0; 256], 64), false);
            }
        }
        for isa in Isa::available() {
            assert!(std::panic::catch_unwind(|| isa.dispatch(Far)).is_err(), "{isa:?}");
        }
    }
}
