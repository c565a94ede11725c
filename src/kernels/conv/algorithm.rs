//! Which algorithms there are, and which of them computes a convolution: [`choose`] is a pure function that can be
//! read, tested and overridden.

use serde::{Deserialize, Serialize};

use super::{Direction, Shape, amx, direct};
use crate::tensor::Dtype;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Seven plain loops with sums in `f64`: the definition, and the tests' oracle.
    Reference,
    /// Patches copied into the rows of a matrix, then a matrix product.
    Im2col,
    /// Winograd's F(4×4, 3×3): a quarter of the multiplications.
    Winograd,
    /// Windows multiplied where they are, without being copied: for few channels read or written.
    Direct,
    /// Tiles of bf16, one per number.
    #[serde(rename = "amx-bf16")]
    AmxBf16,
    /// Tiles of bf16, two per number and three products: `f32`-grade.
    #[serde(rename = "amx-split")]
    AmxSplit,
}

impl Algorithm {
    /// Every algorithm, the oracle first.
    pub const ALL: [Algorithm; 6] = [
        Algorithm::Reference,
        Algorithm::Im2col,
        Algorithm::Winograd,
        Algorithm::Direct,
        Algorithm::AmxBf16,
        Algorithm::AmxSplit,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Reference => "reference",
            Algorithm::Im2col => "im2col",
            Algorithm::Winograd => "winograd",
            Algorithm::Direct => "direct",
            Algorithm::AmxBf16 => "amx-bf16",
            Algorithm::AmxSplit => "amx-split",
        }
    }

    /// One line that says what it is.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Algorithm::Reference => "the definition in plain loops, very slow",
            Algorithm::Im2col => "patches as rows of a matrix, and a matrix product",
            Algorithm::Winograd => "F(4×4, 3×3): a quarter of the multiplications",
            Algorithm::Direct => "no matrix written down: for the picture's three channels",
            Algorithm::AmxBf16 => "tiles of bf16, on a CPU with AMX",
            Algorithm::AmxSplit => "tiles of bf16, two per number, as exact as f32, on a CPU with AMX",
        }
    }

    /// Whether this machine has what the algorithm is made for. Without it, results are the same, but slow.
    #[must_use]
    pub fn available(self) -> bool {
        !matches!(self, Algorithm::AmxBf16 | Algorithm::AmxSplit) || amx::available()
    }

    /// The root mean square error, relative to the result's, that rounding explains with up to 512 channels.
    /// More is a mistake in the kernel.
    #[must_use]
    pub const fn tolerance(self) -> f64 {
        match self {
            // The oracle itself: sums in f64, rounded once.
            Algorithm::Reference => 6e-8,
            // Sums of K ≤ 9·512 products in f32. Their rounding errors are independent, so they grow like √K:
            // 6e-8·√4608 = 4e-6 for one running sum, less for the several a SIMD kernel keeps.
            Algorithm::Im2col | Algorithm::Direct => 3e-6,
            // Transforms with constants up to 8 in front of sums over channels.
            Algorithm::Winograd => 1e-5,
            // Operands rounded to 2⁻⁸ of themselves at the worst: √2·2⁻⁸/√3 = 3.2e-3 of a product.
            Algorithm::AmxBf16 => 5e-3,
            // Rounded to 2⁻¹⁷, and the product of the low halves left out.
            Algorithm::AmxSplit => 1e-5,
        }
    }
}

/// What of the CPU decides between algorithms, vectors being a matter of each kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Whether its tile unit is used.
    pub amx: bool,
}

impl Cpu {
    /// This CPU, see [`amx::available`].
    #[must_use]
    pub fn detect() -> Self {
        Cpu { amx: amx::available() }
    }
}

/// Picks the algorithm for a shape and maps of a type, unless one is asked for; where a convolution reads one type and
/// writes the other, bf16 counts.
///
/// In bf16, tiles take what maps hold as it is. In `f32` they are not picked: nobody has measured yet where they are
/// faster.
#[must_use]
pub fn choose(shape: &Shape, _direction: Direction, dtype: Dtype, cpu: Cpu, requested: Option<Algorithm>) -> Algorithm {
    requested.unwrap_or(match shape.in_channels.min(shape.out_channels) {
        0..=direct::FEW => Algorithm::Direct,
        5..16 => Algorithm::Im2col,
        _ if dtype == Dtype::Bf16 && cpu.amx => Algorithm::AmxBf16,
        _ => Algorithm::Winograd,
    })
}

/// Why [`choose`] picks what it picks, in a few words.
#[must_use]
pub fn why(shape: &Shape, direction: Direction, dtype: Dtype, cpu: Cpu, requested: Option<Algorithm>) -> &'static str {
    if requested.is_some() {
        return "asked for";
    }
    match choose(shape, direction, dtype, cpu, None) {
        Algorithm::Reference => "the definition",
        Algorithm::Im2col => "under 16 channels on one side: transforming tiles would cost more than it saves",
        Algorithm::Winograd => "16 channels or more on both sides: a quarter of the multiplications",
        Algorithm::Direct => "the picture's channels on one side: nothing to transform or copy",
        Algorithm::AmxBf16 => "maps in bf16, 16 channels or more on both sides: made for the tile unit",
        Algorithm::AmxSplit => "tiles of bf16",
    }
}

/// The algorithm of each direction, chosen once for all maps: no choice depends on their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Choice {
    /// From input to output.
    pub forward: Algorithm,
    /// From the output's gradient to the input's.
    pub backward_input: Algorithm,
}

impl Choice {
    /// What [`choose`] picks for a convolution of (out, in) channels in both directions.
    #[must_use]
    pub fn new((out, input): (usize, usize), dtype: Dtype, cpu: Cpu, requested: Option<Algorithm>) -> Self {
        let forward = Shape::new((1, 1), input, out, 1);
        let choose = |shape, direction| choose(&shape, direction, dtype, cpu, requested);
        Choice {
            forward: choose(forward, Direction::Forward),
            backward_input: choose(forward.reversed(), Direction::BackwardInput),
        }
    }

    /// The one of a direction.
    #[must_use]
    pub fn of(self, direction: Direction) -> Algorithm {
        match direction {
            Direction::Forward => self.forward,
            Direction::BackwardInput => self.backward_input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_depends_on_channels_type_and_cpu_and_on_nothing_else() {
        let chosen = |in_channels, out_channels, dtype, amx| {
            let shape = Shape::new((8, 8), in_channels, out_channels, 1);
            choose(&shape, Direction::Forward, dtype, Cpu { amx }, None)
        };
        for (dtype, amx) in [(Dtype::F32, false), (Dtype::F32, true), (Dtype::Bf16, false), (Dtype::Bf16, true)] {
            let many = if dtype == Dtype::Bf16 && amx { Algorithm::AmxBf16 } else { Algorithm::Winograd };
            assert_eq!(chosen(64, 64, dtype, amx), many, "{dtype:?}, {amx}");
            assert_eq!(chosen(16, 512, dtype, amx), many, "{dtype:?}, {amx}");
            assert_eq!(chosen(3, 64, dtype, amx), Algorithm::Direct);
            assert_eq!(chosen(64, 3, dtype, amx), Algorithm::Direct);
            assert_eq!(chosen(8, 64, dtype, amx), Algorithm::Im2col);
        }
    }

    #[test]
    fn each_direction_has_its_choice() {
        let cpu = Cpu { amx: true };
        let choice = Choice::new((64, 3), Dtype::Bf16, cpu, None);
        assert_eq!([Direction::Forward, Direction::BackwardInput].map(|d| choice.of(d)), [Algorithm::Direct; 2]);
        assert_eq!(Choice::new((64, 128), Dtype::Bf16, cpu, None).backward_input, Algorithm::AmxBf16);
        assert_eq!(Choice::new((64, 128), Dtype::F32, cpu, Some(Algorithm::Im2col)).forward, Algorithm::Im2col);
    }

    #[test]
    fn what_is_asked_for_is_chosen_and_every_choice_has_its_reason() {
        let shape = Shape::new((8, 8), 64, 64, 1);
        for algorithm in Algorithm::ALL {
            let (dtype, cpu) = (Dtype::Bf16, Cpu { amx: true });
            assert_eq!(choose(&shape, Direction::Forward, dtype, cpu, Some(algorithm)), algorithm);
            assert_eq!(why(&shape, Direction::Forward, dtype, cpu, Some(algorithm)), "asked for");
        }
        // What fits beside a layer's name and shape on a line of 120.
        assert!(why(&shape, Direction::Forward, Dtype::Bf16, Cpu { amx: true }, None).len() <= 76);
        assert!(why(&shape, Direction::Forward, Dtype::Bf16, Cpu { amx: true }, None).contains("tile unit"));
        assert!(why(&shape, Direction::Forward, Dtype::Bf16, Cpu { amx: false }, None).contains("a quarter"));
    }
}
