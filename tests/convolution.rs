//! Every convolution algorithm against the definition, in every direction.
//!
//! A new algorithm joins by its line in [`Algorithm::tolerance`]; everything else
//! follows from [`Algorithm::ALL`]. What shows no error of a unit that the machine
//! lacks is left to the tests of a model of that unit, where it is written.

mod common;

use common::{dirty_map, fast_algorithms, random, relative_rms};
use half::bf16;
use impasto::kernels::bit_mask::BitMask;
use impasto::kernels::conv::{self, Algorithm, Epilogue, Filter};
use impasto::kernels::simd::Element;
use impasto::kernels::simd::element::convert;
use impasto::tensor::{BufferPool, FeatureMap};
use ndarray::Array4;
use proptest::prelude::*;

/// One convolution: the forward map's height and width, its channels, and the padding; of random numbers, or of their
/// squares.
#[derive(Clone, Copy, Debug)]
struct Case {
    height: usize,
    width: usize,
    input: usize,
    output: usize,
    padding: usize,
    squared: bool,
}

impl Case {
    fn new([height, width, input, output, padding]: [usize; 5]) -> Self {
        Case { height, width, input, output, padding, squared: false }
    }

    fn numbers(&self, length: usize, seed: u64) -> Vec<f32> {
        let numbers = random(length, seed);
        if self.squared { numbers.into_iter().map(|number| number * number).collect() } else { numbers }
    }

    fn map(&self, (height, width, channels): (usize, usize, usize), seed: u64) -> FeatureMap {
        FeatureMap::from_vec(height, width, channels, self.numbers(height * width * channels, seed))
    }

    fn dim(&self) -> (usize, usize, usize) {
        (self.height, self.width, self.input)
    }

    fn out_dim(&self) -> (usize, usize, usize) {
        (self.height + 2 * self.padding - 2, self.width + 2 * self.padding - 2, self.output)
    }

    fn x(&self) -> FeatureMap {
        self.map(self.dim(), 1)
    }

    fn d_y(&self) -> FeatureMap {
        self.map(self.out_dim(), 2)
    }

    fn filter(&self, algorithm: Algorithm) -> Filter {
        let weight = self.numbers(9 * self.output * self.input, 3);
        Filter::new(Array4::from_shape_vec((self.output, self.input, 3, 3), weight).unwrap(), Some(algorithm))
    }

    fn bias(&self) -> Vec<f32> {
        self.numbers(self.output, 4)
    }

    /// What a gradient is added to.
    fn there(&self) -> FeatureMap {
        self.map(self.dim(), 5)
    }
}

/// Everything an algorithm computes, each into a buffer full of NaN where it must not read it.
struct Results {
    forward: FeatureMap,
    backward_input: FeatureMap,
    /// β = 1, onto the numbers of [`Case::there`].
    added: FeatureMap,
    backward_weight: Array4<f32>,
}

impl Results {
    fn of(case: &Case, algorithm: Algorithm) -> Self {
        let (x, d_y, filter) = (case.x(), case.d_y(), case.filter(algorithm));
        let mut forward = dirty_map(case.out_dim());
        conv::forward(&x, &filter, case.padding, Epilogue::Bias(&case.bias()), &mut forward);
        let mut backward_input = dirty_map(x.dim());
        conv::backward_input(&d_y, None, &filter, case.padding, 0.0, &mut backward_input);
        let mut added = case.there();
        conv::backward_input(&d_y, None, &filter, case.padding, 1.0, &mut added);
        let mut backward_weight = Array4::from_elem(filter.dim(), f32::NAN);
        conv::backward_weight(&x, &d_y, case.padding, algorithm, backward_weight.view_mut());
        Results { forward, backward_input, added, backward_weight }
    }

    fn parts(&self) -> [(&'static str, &[f32]); 4] {
        [
            ("forward", self.forward.as_slice()),
            ("backward_input", self.backward_input.as_slice()),
            ("backward_input, added to what is there", self.added.as_slice()),
            ("backward_weight", self.backward_weight.as_slice().unwrap()),
        ]
    }

    fn assert_near(&self, reference: &Results, case: &Case, algorithm: Algorithm) {
        let rounds_operands = matches!(algorithm, Algorithm::AmxBf16 | Algorithm::AmxSplit);
        let squares = rounds_operands.then(|| Results::of(&Case { squared: true, ..*case }, Algorithm::Reference));
        for (i, ((what, found), (_, expected))) in self.parts().into_iter().zip(reference.parts()).enumerate() {
            let cancelled = squares.as_ref().map_or(1.0, |squares| cancellation(expected, squares.parts()[i].1));
            let error = cancelled * relative_rms(found, expected);
            assert!(error <= algorithm.tolerance(), "{algorithm:?} {what} of {case:?}: relative error {error:.2e}");
        }
    }
}

/// How much smaller sums are than the root of the sum of their terms' squares; 1 at most.
///
/// Where operands are rounded, each product is wrong in proportion to itself, and a sum in proportion to that root,
/// however far it cancels. In sums as few and as short as some here, all may.
fn cancellation(sums: &[f32], squares: &[f32]) -> f64 {
    let square: f64 = sums.iter().map(|&y| f64::from(y).powi(2)).sum();
    (square / squares.iter().copied().map(f64::from).sum::<f64>()).sqrt().min(1.0)
}

fn check(cases: impl IntoIterator<Item = [usize; 5]>) {
    for case in cases.into_iter().map(Case::new) {
        let reference = Results::of(&case, Algorithm::Reference);
        for algorithm in fast_algorithms() {
            Results::of(&case, algorithm).assert_near(&reference, &case, algorithm);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[test]
fn single_pixels_rows_and_columns_are_all_border() {
    let maps = [[1, 1], [1, 2], [2, 1], [2, 2], [1, 9], [9, 1], [2, 7], [3, 3]];
    check(maps.into_iter().flat_map(|[h, w]| [[h, w, 3, 5, 1], [h, w, 7, 1, 1], [h, w, 1, 4, 2]]));
}

#[test]
fn every_padding_has_its_own_border() {
    check([0, 1, 2].into_iter().flat_map(|p| [[3, 3, 4, 6, p], [5, 8, 3, 2, p], [11, 4, 9, 13, p], [3, 40, 2, 33, p]]));
}

#[test]
fn pixels_beyond_the_last_whole_block_are_computed_too() {
    // Work is cut into runs of output pixels, 512 and powers of two near it being the natural choices.
    let maps = [[1, 511], [1, 512], [1, 513], [513, 1], [16, 32], [23, 23], [33, 31], [5, 205], [41, 51]];
    check(maps.into_iter().flat_map(|[h, w]| [[h, w, 3, 17, 1], [h, w, 20, 5, 1]]));
    check([[25, 23, 3, 8, 0], [22, 22, 3, 8, 2]]);
}

#[test]
fn channels_of_the_network_and_multiples_of_nothing() {
    check([
        [9, 13, 3, 64, 1],
        [7, 6, 64, 64, 1],
        [8, 9, 32, 32, 1],
        [5, 3, 31, 33, 1],
        [4, 7, 65, 127, 1],
        [3, 5, 100, 3, 1],
        [2, 3, 512, 512, 1],
        [1, 1, 512, 64, 1],
        [2, 2, 61, 512, 1],
        [5, 9, 256, 512, 1],
        [6, 6, 512, 256, 0],
    ]);
}

/// ⟨conv(x, w), d_y⟩ is linear in x and in w: it is ⟨x, backward_input⟩ and ⟨w, backward_weight⟩.
#[test]
fn both_gradients_are_adjoints_of_the_forward() {
    let cases = [[9, 13, 3, 64, 1], [23, 23, 20, 5, 1], [6, 5, 32, 48, 0], [4, 6, 33, 31, 2], [1, 9, 8, 8, 1]];
    for (case, algorithm) in cases.into_iter().flat_map(|c| Algorithm::ALL.map(|a| (Case::new(c), a))) {
        let (x, d_y, filter) = (case.x(), case.d_y(), case.filter(algorithm));
        let results = Results::of(&case, algorithm);
        let mut y = dirty_map(case.out_dim());
        conv::forward(&x, &filter, case.padding, Epilogue::Bias(&vec![0.0; case.output]), &mut y);
        let (y, d_y) = (y.as_slice(), d_y.as_slice());
        let product = dot(y, d_y);
        let by_input = dot(x.as_slice(), results.backward_input.as_slice());
        let by_weight = dot(filter.weight().as_slice().unwrap(), results.backward_weight.as_slice().unwrap());
        // Cauchy–Schwarz: errors of that relative size in y and in the gradient change the products by no more.
        let largest = 2.0 * algorithm.tolerance() * (dot(y, y) * dot(d_y, d_y)).sqrt();
        for (what, other) in [("x", by_input), ("w", by_weight)] {
            assert!((product - other).abs() <= largest, "{algorithm:?}, {what} of {case:?}: {product} and {other}");
        }
    }
}

#[test]
fn every_thread_count_gives_the_same_bytes() {
    let threads = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    let cases = [
        [61, 45, 32, 48, 1],
        [40, 37, 3, 64, 1],
        [13, 50, 70, 130, 1],
        [31, 33, 17, 19, 0],
        [1, 1, 3, 3, 1],
        [29, 36, 256, 256, 1],
    ];
    for (case, algorithm) in cases.into_iter().flat_map(|c| fast_algorithms().map(move |a| (Case::new(c), a))) {
        let alone = threads(1).install(|| Results::of(&case, algorithm));
        for count in [2, 3, 8] {
            let together = threads(count).install(|| Results::of(&case, algorithm));
            for ((what, a), (_, b)) in alone.parts().into_iter().zip(together.parts()) {
                let same = a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{algorithm:?} {what} of {case:?} with {count} threads");
            }
        }
    }
}

/// What bf16 computes and `f32` on the same numbers, each result rounded: forward with its mask, backward through a mask,
/// and backward onto what is there.
fn results_in<X: Element, Y: Element>(case: &Case, filter: &Filter) -> (Vec<bf16>, Vec<u8>) {
    let halves = |map: FeatureMap| -> FeatureMap<bf16> { convert(&map) };
    let x: FeatureMap<X> = convert(&halves(case.x()));
    let d_y: FeatureMap<Y> = convert(&halves(case.d_y()));
    let elements = d_y.as_slice().len();
    let mut mask = BitMask::from_pool(&mut BufferPool::new(), elements);
    let bias = case.bias();
    let mut y: FeatureMap<Y> = convert(&dirty_map(case.out_dim()));
    conv::forward(&x, filter, case.padding, Epilogue::Relu(&bias, Some(mask.bytes_mut())), &mut y);
    let mut d_x: FeatureMap<X> = convert(&dirty_map(x.dim()));
    conv::backward_input(&d_y, Some(&mask), filter, case.padding, 0.0, &mut d_x);
    let mut added: FeatureMap<X> = convert(&halves(case.there()));
    conv::backward_input(&d_y, Some(&mask), filter, case.padding, 1.0, &mut added);
    let maps: [FeatureMap<bf16>; 3] = [convert(&y), convert(&d_x), convert(&added)];
    (maps.iter().flat_map(|map| map.as_slice()).copied().collect(), mask.bytes().to_vec())
}

#[test]
fn in_bf16_every_result_is_that_of_f32_on_the_same_numbers_rounded_to_the_bit() {
    let cases = [
        [9, 13, 3, 64, 1],
        [6, 7, 64, 64, 1],
        [5, 11, 32, 48, 0],
        [4, 6, 33, 31, 2],
        [7, 5, 16, 40, 1],
        [3, 4, 5, 7, 1],
        [9, 9, 256, 256, 1],
        [1, 1, 512, 16, 1],
    ];
    for (case, algorithm) in cases.into_iter().flat_map(|c| Algorithm::ALL.map(|a| (Case::new(c), a))) {
        let filter = case.filter(algorithm);
        let expected = results_in::<f32, f32>(&case, &filter);
        for (found, types) in [
            (results_in::<bf16, bf16>(&case, &filter), "bf16 to bf16"),
            (results_in::<f32, bf16>(&case, &filter), "f32 to bf16"),
            (results_in::<bf16, f32>(&case, &filter), "bf16 to f32"),
        ] {
            assert!(found.1 == expected.1, "{algorithm:?}, {types}, {case:?}: the mask");
            let same = found.0.iter().zip(&expected.0).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{algorithm:?}, {types}, {case:?}");
        }
    }
}

/// The gate of bf16. Results rounded to 2⁻⁹ of themselves are 1.1e-3 off; where tiles round the weights as well, 2e-3.
#[test]
fn in_bf16_every_algorithm_agrees_with_the_definition_and_its_gradient_is_the_adjoint() {
    let cases = [[9, 13, 3, 64, 1], [13, 21, 64, 64, 1], [6, 5, 32, 48, 0], [14, 16, 33, 31, 2], [11, 9, 256, 256, 1]];
    for (case, algorithm) in cases.into_iter().flat_map(|c| Algorithm::ALL.map(|a| (Case::new(c), a))) {
        let (x, d_y): (FeatureMap<bf16>, FeatureMap<bf16>) = (convert(&case.x()), convert(&case.d_y()));
        let none = vec![0.0; case.output];
        let both = |algorithm| {
            let filter = case.filter(algorithm);
            let mut y: FeatureMap<bf16> = convert(&dirty_map(case.out_dim()));
            conv::forward(&x, &filter, case.padding, Epilogue::Bias(&none), &mut y);
            let mut d_x: FeatureMap<bf16> = convert(&dirty_map(x.dim()));
            conv::backward_input(&d_y, None, &filter, case.padding, 0.0, &mut d_x);
            [y, d_x].map(|map| bf16::widened(&map).into_owned())
        };
        let [y, d_x] = both(algorithm);
        let (x, d_y) = (bf16::widened(&x), bf16::widened(&d_y));
        let filter = case.filter(Algorithm::Reference);
        let (mut exact_y, mut exact_d_x) = (dirty_map(case.out_dim()), dirty_map(x.dim()));
        conv::forward(&x, &filter, case.padding, Epilogue::Bias(&none), &mut exact_y);
        conv::backward_input(&d_y, None, &filter, case.padding, 0.0, &mut exact_d_x);
        for (what, found, exact) in [("forward", &y, &exact_y), ("backward", &d_x, &exact_d_x)] {
            let error = relative_rms(found.as_slice(), exact.as_slice());
            assert!(error <= 5e-3, "{algorithm:?} {what} of {case:?}: relative error {error:.2e}");
        }
        let (by_output, by_input) = (dot(y.as_slice(), d_y.as_slice()), dot(x.as_slice(), d_x.as_slice()));
        // Cauchy–Schwarz, as above.
        let largest = 2.0 * 5e-3 * (dot(y.as_slice(), y.as_slice()) * dot(d_y.as_slice(), d_y.as_slice())).sqrt();
        assert!((by_output - by_input).abs() <= largest, "{algorithm:?} of {case:?}: {by_output} and {by_input}");
    }
}

#[test]
fn in_bf16_every_thread_count_gives_the_same_bytes() {
    let threads = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    let cases = [[61, 45, 32, 48, 1], [40, 37, 3, 64, 1], [31, 33, 17, 19, 0]];
    for (case, algorithm) in cases.into_iter().flat_map(|c| [Algorithm::Direct, Algorithm::Winograd].map(|a| (c, a))) {
        let case = Case::new(case);
        let filter = case.filter(algorithm);
        let alone = threads(1).install(|| results_in::<bf16, bf16>(&case, &filter));
        for count in [2, 3, 8] {
            let together = threads(count).install(|| results_in::<bf16, bf16>(&case, &filter));
            assert!(alone == together, "{algorithm:?} of {case:?} with {count} threads");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_agrees_with_the_definition(
        height in 1usize..34, width in 1usize..34, input in 1usize..36, output in 1usize..36, padding in 0usize..=2,
    ) {
        // Without padding, a map of fewer than three pixels has no output.
        let (height, width) = if padding == 0 { (height + 2, width + 2) } else { (height, width) };
        check([[height, width, input, output, padding]]);
    }

    #[test]
    fn any_shape_in_bf16_is_f32_rounded(
        height in 1usize..20, width in 1usize..20, input in 1usize..70, output in 1usize..70, padding in 0usize..=2,
    ) {
        let (height, width) = if padding == 0 { (height + 2, width + 2) } else { (height, width) };
        let case = Case::new([height, width, input, output, padding]);
        for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
            let filter = case.filter(algorithm);
            prop_assert!(
                results_in::<bf16, bf16>(&case, &filter) == results_in::<f32, f32>(&case, &filter),
                "{:?} {:?}", algorithm, case
            );
        }
    }
}
