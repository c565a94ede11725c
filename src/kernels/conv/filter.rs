//! Weights, and the forms in which kernels want them.

use std::sync::{Arc, OnceLock};

use ndarray::Array4;

use super::amx::{Amx, Operands};
use super::direct::Direct;
use super::im2col::Im2col;
use super::method::{Method as _, Ready, Scratch};
use super::reference::Reference;
use super::winograd::Winograd;
use super::{Algorithm, Choice, Cpu, Direction, Epilogue, Shape};
use crate::kernels::bit_mask::BitMask;
use crate::kernels::simd::{Element, Isa};
use crate::tensor::{Dtype, FeatureMap};

/// A convolution's weights, the algorithm of each direction, and what that has made of them.
///
/// Packing depends on the weights alone, so it is done once, by whoever needs it
/// first, or for a network that is only looked through, at the start.
#[derive(Clone, Debug)]
pub struct Filter {
    /// (out, in).
    channels: (usize, usize),
    /// None once nothing needs them any more.
    weight: Option<Array4<f32>>,
    choice: Choice,
    packed: Arc<[OnceLock<Packed>; 2]>,
}

/// The filters of one direction, ready to be run.
#[derive(Debug)]
enum Packed {
    Reference(Ready<Reference>),
    Im2col(Ready<Im2col>),
    Winograd(Ready<Winograd>),
    Direct(Ready<Direct>),
    Amx(Ready<Amx>),
}

impl Packed {
    fn new(algorithm: Algorithm, weight: &Array4<f32>, direction: Direction) -> Self {
        let isa = Isa::detect();
        match algorithm {
            Algorithm::Reference => Packed::Reference(Ready::new(Reference, weight, direction)),
            Algorithm::Im2col => Packed::Im2col(Ready::new(Im2col, weight, direction)),
            Algorithm::Winograd => Packed::Winograd(Ready::new(Winograd(isa), weight, direction)),
            Algorithm::Direct => Packed::Direct(Ready::new(Direct(isa), weight, direction)),
            Algorithm::AmxBf16 => Packed::Amx(Ready::new(Amx(Operands::Bf16), weight, direction)),
            Algorithm::AmxSplit => Packed::Amx(Ready::new(Amx(Operands::Split), weight, direction)),
        }
    }

    /// The other direction's, where one set of filters serves both.
    fn reversed(&self) -> Option<Self> {
        match self {
            Packed::Winograd(Ready { method, packed }) => {
                Some(Packed::Winograd(Ready { method: *method, packed: packed.reversed()? }))
            }
            _ => None,
        }
    }
}

/// Scratch memory that an algorithm takes for maps of a shape, with so many threads.
#[must_use]
pub fn scratch(algorithm: Algorithm, shape: &Shape, threads: usize) -> Scratch {
    let isa = Isa::detect();
    match algorithm {
        Algorithm::Reference => Reference.scratch(shape, threads),
        Algorithm::Im2col => Im2col.scratch(shape, threads),
        Algorithm::Winograd => Winograd(isa).scratch(shape, threads),
        Algorithm::Direct => Direct(isa).scratch(shape, threads),
        Algorithm::AmxBf16 => Amx(Operands::Bf16).scratch(shape, threads),
        Algorithm::AmxSplit => Amx(Operands::Split).scratch(shape, threads),
    }
}

impl Filter {
    /// Wraps weights (out × in × 3 × 3) for maps of `f32`; `algorithm` overrides [`choose`](super::choose).
    ///
    /// # Panics
    /// If the last two axes are not 3 × 3.
    #[must_use]
    pub fn new(weight: Array4<f32>, algorithm: Option<Algorithm>) -> Self {
        let (out, input, ..) = weight.dim();
        Filter::with(weight, Choice::new((out, input), Dtype::F32, Cpu::detect(), algorithm))
    }

    /// Wraps weights (out × in × 3 × 3) and packs them for both directions. The weights themselves are given up: what
    /// kernels made of them is several times as large already.
    ///
    /// # Panics
    /// If the last two axes are not 3 × 3.
    #[must_use]
    pub fn frozen(weight: Array4<f32>, choice: Choice) -> Self {
        let mut filter = Filter::with(weight, choice);
        for direction in [Direction::Forward, Direction::BackwardInput] {
            filter.packed(direction);
        }
        filter.weight = None;
        filter
    }

    fn with(weight: Array4<f32>, choice: Choice) -> Self {
        assert_eq!(weight.shape()[2..], [3, 3], "filters are (out × in × 3 × 3)");
        let (out, input, ..) = weight.dim();
        let weight = if weight.is_standard_layout() { weight } else { weight.as_standard_layout().into_owned() };
        Filter { channels: (out, input), weight: Some(weight), choice, packed: Arc::default() }
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

    /// The algorithm of each direction.
    #[must_use]
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// The shape of this convolution on a map of `height` × `width`, in the forward direction.
    #[must_use]
    pub fn shape(&self, height: usize, width: usize, padding: usize) -> Shape {
        let (out_channels, in_channels) = self.channels;
        Shape::new((height, width), in_channels, out_channels, padding)
    }

    /// `y ← epilogue(conv(x where the mask lets it through))`, all of it of `shape`.
    pub(super) fn run<X: Element, Y: Element>(
        &self,
        direction: Direction,
        shape: &Shape,
        input: (&FeatureMap<X>, Option<&BitMask>),
        epilogue: Epilogue<'_>,
        y: &mut FeatureMap<Y>,
    ) {
        match self.packed(direction) {
            Packed::Reference(ready) => ready.run(shape, input, epilogue, y),
            Packed::Im2col(ready) => ready.run(shape, input, epilogue, y),
            Packed::Winograd(ready) => ready.run(shape, input, epilogue, y),
            Packed::Direct(ready) => ready.run(shape, input, epilogue, y),
            Packed::Amx(ready) => ready.run(shape, input, epilogue, y),
        }
    }

    fn packed(&self, direction: Direction) -> &Packed {
        let [this, other] = match direction {
            Direction::Forward => [0, 1],
            Direction::BackwardInput => [1, 0],
        };
        if let Some(packed) = self.packed[this].get() {
            return packed;
        }
        // Packed outside of the cell: while it waits for parallel tasks, a thread may be given one that wants the same.
        let algorithm = self.choice.of(direction);
        let same = self.choice.forward == self.choice.backward_input;
        let shared = self.packed[other].get().filter(|_| same).and_then(Packed::reversed);
        let packed = shared.unwrap_or_else(|| Packed::new(algorithm, self.weight(), direction));
        self.packed[this].get_or_init(|| packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels;

    fn weight(out: usize, input: usize) -> Array4<f32> {
        Array4::from_shape_fn((out, input, 3, 3), |(o, c, u, v)| ((o * 7 + c * 5 + u * 3 + v) % 17) as f32 / 17.0 - 0.5)
    }

    /// Forward and backward on a small map.
    fn results(filter: &Filter, directions: [Direction; 2]) -> [FeatureMap; 2] {
        let (out, input, ..) = filter.dim();
        let numbers = |channels| (0..5 * 6 * channels).map(|i| (i * 31 % 97) as f32 / 97.0 - 0.5).collect();
        let [x, d_y] = [input, out].map(|channels| FeatureMap::from_vec(5, 6, channels, numbers(channels)));
        let [mut y, mut d_x] = [out, input].map(|channels| FeatureMap::zeros(5, 6, channels));
        for direction in directions {
            match direction {
                Direction::Forward => super::super::forward(&x, filter, 1, Epilogue::Scaled(0.0), &mut y),
                Direction::BackwardInput => super::super::backward_input(&d_y, None, filter, 1, 0.0, &mut d_x),
            }
        }
        [y, d_x]
    }

    #[test]
    fn no_number_depends_on_when_and_by_whom_filters_are_packed() {
        let there_and_back = [Direction::Forward, Direction::BackwardInput];
        let back_and_there = [Direction::BackwardInput, Direction::Forward];
        // With channels enough for one set of filters to serve both directions, and without.
        for (algorithm, (out, input)) in
            Algorithm::ALL.into_iter().flat_map(|a| [(256, 256), (16, 48)].map(|channels| (a, channels)))
        {
            let filter = || Filter::new(weight(out, input), Some(algorithm));
            let expected = results(&filter(), there_and_back);
            assert!(results(&filter(), back_and_there) == expected, "{algorithm:?}");
            let choice = Choice::new((out, input), Dtype::F32, Cpu::detect(), Some(algorithm));
            assert!(results(&Filter::frozen(weight(out, input), choice), there_and_back) == expected, "{algorithm:?}");
        }
    }

    /// Threads that wait while they pack are given tasks that want the same filters.
    #[test]
    fn a_filter_can_be_packed_by_all_threads_at_once() {
        use rayon::prelude::*;
        let filter = Filter::new(weight(256, 256), Some(Algorithm::Winograd));
        let packed = (0..64).into_par_iter().map(|_| std::ptr::from_ref(filter.packed(Direction::Forward)) as usize);
        assert!(packed.collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]), "one of them is kept");
    }

    #[test]
    fn scratch_is_what_was_planned() {
        let shapes = [(9, 200, 3, 64), (40, 30, 64, 64), (17, 70, 16, 48), (20, 20, 256, 256), (64, 60, 256, 512)];
        for (algorithm, (height, width, input, out)) in Algorithm::ALL.into_iter().flat_map(|a| shapes.map(|s| (a, s)))
        {
            if algorithm == Algorithm::Reference || !algorithm.available() {
                continue;
            }
            for threads in [1, 3] {
                let filter = Filter::new(weight(out, input), Some(algorithm));
                let [x, d_y] = [input, out].map(|channels| FeatureMap::zeros(height, width, channels));
                let [mut y, mut d_x] = [out, input].map(|channels| FeatureMap::<f32>::zeros(height, width, channels));
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    super::super::forward(&x, &filter, 1, Epilogue::Scaled(0.0), &mut y);
                    super::super::backward_input::<f32, f32>(&d_y, None, &filter, 1, 0.0, &mut d_x);
                });
                let shape = filter.shape(height, width, 1);
                let planned = [shape, shape.reversed()].map(|shape| scratch(algorithm, &shape, threads));
                let planned = planned[0].max(planned[1]);
                let kept: usize = pool.broadcast(|_| kernels::scratch::kept()).into_iter().sum();
                let most = planned.own * threads + planned.shared;
                // A thread may have come too late, and only what is masked, or bf16, is copied.
                assert!(
                    kept <= most && 2 * kept >= planned.own,
                    "{algorithm:?} {shape:?} {threads}: {kept} of {planned:?}"
                );
            }
        }
    }

    #[test]
    fn one_set_of_transformed_filters_serves_both_directions_where_they_are_many() {
        let shared = |out, input| {
            let filter = Filter::new(weight(out, input), Some(Algorithm::Winograd));
            filter.packed(Direction::Forward).reversed().is_some()
        };
        assert!(shared(256, 512) && !shared(256, 128) && !shared(257, 256));
    }
}
