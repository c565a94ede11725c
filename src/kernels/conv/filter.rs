//! Weights, and the forms in which kernels want them.

use std::sync::{Arc, OnceLock};

use ndarray::Array4;

use super::{Algorithm, Cpu, Direction, Shape, amx, choose, direct, im2col, winograd};
use crate::kernels::simd::Isa;
use crate::tensor::Dtype;

/// A convolution's weights, with what the kernels made of them.
///
/// Packing depends on the weights alone, so it is done once, by whoever needs it
/// first, or for a network that is only looked through, at the start.
#[derive(Clone, Debug)]
pub struct Filter {
    /// (out, in).
    channels: (usize, usize),
    /// None once nothing needs them any more.
    weight: Option<Array4<f32>>,
    algorithm: Option<Algorithm>,
    packed: Arc<Packed>,
}

#[derive(Debug, Default)]
struct Packed {
    im2col: [OnceLock<im2col::Packed>; 2],
    winograd: [OnceLock<winograd::Packed>; 2],
    direct: [OnceLock<direct::Packed>; 2],
    amx_bf16: [OnceLock<amx::Packed>; 2],
    amx_split: [OnceLock<amx::Packed>; 2],
}

impl Filter {
    /// Wraps weights (out × in × 3 × 3); `algorithm` overrides [`choose`].
    ///
    /// # Panics
    /// If the last two axes are not 3 × 3.
    #[must_use]
    pub fn new(weight: Array4<f32>, algorithm: Option<Algorithm>) -> Self {
        assert_eq!(weight.shape()[2..], [3, 3], "filters are (out × in × 3 × 3)");
        let (out, input, ..) = weight.dim();
        let weight = if weight.is_standard_layout() { weight } else { weight.as_standard_layout().into_owned() };
        Filter { channels: (out, input), weight: Some(weight), algorithm, packed: Arc::default() }
    }

    /// [`Filter::new`], packed for both directions and maps of `dtype`. The weights themselves are given up: what kernels
    /// made of them is several times as large already.
    ///
    /// # Panics
    /// If the last two axes are not 3 × 3.
    #[must_use]
    pub fn frozen(weight: Array4<f32>, algorithm: Option<Algorithm>, dtype: Dtype) -> Self {
        let mut filter = Filter::new(weight, algorithm);
        let mut needed = false;
        for direction in [Direction::Forward, Direction::BackwardInput] {
            // The choice does not depend on the map's size.
            let shape = filter.shape(direction, 3, 3, 1);
            match choose(&shape, direction, dtype, Cpu::detect(), algorithm) {
                Algorithm::Reference => needed = true,
                Algorithm::Im2col => _ = filter.im2col(direction),
                Algorithm::Winograd => _ = filter.winograd(direction),
                Algorithm::Direct => _ = filter.direct(direction),
                tiles @ (Algorithm::AmxBf16 | Algorithm::AmxSplit) => {
                    _ = filter.amx(direction, amx::Precision::of(tiles));
                }
            }
        }
        filter.weight.take_if(|_| !needed);
        filter
    }

    /// The weights (out × in × 3 × 3).
    ///
    /// # Panics
    /// If the filter is [`frozen`](Filter::frozen).
    #[must_use]
    pub fn weight(&self) -> &Array4<f32> {
        self.weight.as_ref().expect("a frozen filter has given up its weights")
    }

    /// (out, in, 3, 3).
    #[must_use]
    pub fn dim(&self) -> (usize, usize, usize, usize) {
        (self.channels.0, self.channels.1, 3, 3)
    }

    /// The algorithm asked for, if any.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The shape of this convolution on a map of `height` × `width`, seen in `direction`, `padding` being the forward's.
    #[must_use]
    pub fn shape(&self, direction: Direction, height: usize, width: usize, padding: usize) -> Shape {
        let (out, input) = self.channels;
        match direction {
            Direction::Forward => Shape { height, width, in_channels: input, out_channels: out, padding },
            Direction::BackwardInput => {
                Shape { height, width, in_channels: out, out_channels: input, padding: 2 - padding }
            }
        }
    }

    pub(super) fn winograd(&self, direction: Direction) -> &winograd::Packed {
        self.packed.winograd[direction as usize].get_or_init(|| {
            let (out, input) = self.channels;
            let isa = Isa::detect();
            if direction == Direction::BackwardInput && winograd::shares(out, input, isa) {
                return self.winograd(Direction::Forward).transposed();
            }
            winograd::pack(self.weight(), direction, isa)
        })
    }

    pub(super) fn direct(&self, direction: Direction) -> &direct::Packed {
        self.packed.direct[direction as usize].get_or_init(|| direct::pack(self.weight(), direction, Isa::detect()))
    }

    pub(super) fn amx(&self, direction: Direction, precision: amx::Precision) -> &amx::Packed {
        let packed = match precision {
            amx::Precision::Bf16 => &self.packed.amx_bf16,
            amx::Precision::Split => &self.packed.amx_split,
        };
        packed[direction as usize].get_or_init(|| amx::pack(self.weight(), direction, precision))
    }

    pub(super) fn im2col(&self, direction: Direction) -> &im2col::Packed {
        self.packed.im2col[direction as usize].get_or_init(|| im2col::pack(self.weight(), direction))
    }
}
