use super::*;
use crate::kernels::bf16;
use crate::kernels::bit_mask::BitMask;
use crate::kernels::conv::Algorithm;
use crate::kernels::conv::reference::Reference;
use crate::kernels::simd::tiles::tests::random;
use crate::tensor::BufferPool;

const OPERANDS: [Operands; 2] = [Operands::Bf16, Operands::Split];

/// The relative root mean square error against sums in `f64`.
fn gate(operands: Operands) -> f64 {
    match operands {
        Operands::Bf16 => Algorithm::AmxBf16.tolerance(),
        Operands::Split => Algorithm::AmxSplit.tolerance(),
    }
}

fn random_map(height: usize, width: usize, channels: usize, seed: u32) -> FeatureMap {
    FeatureMap::from_vec(height, width, channels, random(height * width * channels, seed))
}

fn random_weight(out: usize, input: usize) -> Array4<f32> {
    Array4::from_shape_vec((out, input, 3, 3), random(9 * out * input, 3)).unwrap()
}

fn relative_rms(found: &[f32], expected: &[f32]) -> f64 {
    let squares = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        found.iter().zip(expected).map(|(&a, &b)| f(f64::from(a), f64::from(b)).powi(2)).sum()
    };
    (squares(&|a, b| a - b) / squares(&|_, b| b)).sqrt()
}

/// The scratch of every thread full of NaN, of `u16`s and of `f32`s.
fn dirty_scratch() {
    rayon::broadcast(|_| scratch::with(1 << 20, |scratch| scratch.fill(f32::from_bits(0x7fff_7fff))));
}

/// A map that no mask covers.
fn whole<'a>(shape: &'a Shape, x: &'a FeatureMap) -> Input<'a, f32> {
    Input { shape, x: x.as_slice(), mask: None }
}

/// Forward, backward, and backward with β = ½ onto a map of numbers, with one kind of operands.
fn results(unit: impl TileUnit, case: [usize; 5], operands: Operands) -> [FeatureMap; 3] {
    let [height, width, input, output, padding] = case;
    let (amx, weight) = (Amx(operands), random_weight(output, input));
    let forward = Shape::new((height, width), input, output, padding);
    let (out_height, out_width, backward) = (forward.out_height(), forward.out_width(), forward.reversed());
    let bias = random(output, 4);
    let (x, d_y) = (random_map(height, width, input, 1), random_map(out_height, out_width, output, 2));
    let nan = |height, width, channels| {
        FeatureMap::from_vec(height, width, channels, vec![f32::NAN; height * width * channels])
    };
    let mut y = nan(out_height, out_width, output);
    let mut d_x = [nan(height, width, input), random_map(height, width, input, 5)];
    dirty_scratch();
    let packed = amx.pack(&weight, Direction::Forward);
    amx.run_on(unit, whole(&forward, &x), &packed, Epilogue::Bias(&bias), &mut y);
    let packed = amx.pack(&weight, Direction::BackwardInput);
    amx.run_on(unit, whole(&backward, &d_y), &packed, Epilogue::Scaled(0.0), &mut d_x[0]);
    amx.run_on(unit, whole(&backward, &d_y), &packed, Epilogue::Scaled(0.5), &mut d_x[1]);
    let [d_x, added] = d_x;
    [y, d_x, added]
}

fn expected([height, width, input, output, padding]: [usize; 5]) -> [FeatureMap; 3] {
    let weight = random_weight(output, input);
    let (x, bias) = (random_map(height, width, input, 1), random(output, 4));
    let forward = Shape::new((height, width), input, output, padding);
    let mut y = random_map(forward.out_height(), forward.out_width(), output, 2);
    let mut d_x = [random_map(height, width, input, 5), random_map(height, width, input, 5)];
    let packed = Reference.pack(&weight, Direction::BackwardInput);
    for (d_x, beta) in d_x.iter_mut().zip([0.0, 0.5]) {
        Reference.run(whole(&forward.reversed(), &y), &packed, Epilogue::Scaled(beta), d_x);
    }
    let packed = Reference.pack(&weight, Direction::Forward);
    Reference.run(whole(&forward, &x), &packed, Epilogue::Bias(&bias), &mut y);
    let [d_x, added] = d_x;
    [y, d_x, added]
}

fn check(cases: impl IntoIterator<Item = [usize; 5]>) {
    for case in cases {
        let expected = expected(case);
        for operands in OPERANDS {
            let found = results(ModelTiles, case, operands);
            for ((found, expected), what) in found.iter().zip(&expected).zip(["forward", "backward", "added"]) {
                let error = relative_rms(found.as_slice(), expected.as_slice());
                assert!(error <= gate(operands), "{operands:?} {what} of {case:?}: relative error {error:.2e}");
            }
        }
    }
}

#[test]
fn every_padding_and_single_pixels_agree_with_the_definition() {
    // Enough sums of enough products each that they do not all cancel: a rounding is relative to the products.
    check([[1, 1, 33, 40, 1], [2, 1, 40, 33, 1], [1, 9, 33, 7, 1], [1, 1, 40, 33, 2], [3, 3, 40, 33, 0]]);
    check([[5, 18, 3, 32, 0], [5, 7, 32, 33, 2], [3, 40, 2, 33, 2]]);
}

#[test]
fn maps_that_are_no_multiple_of_a_tile_agree_with_the_definition() {
    // Around one and two tiles of 16 pixels, and where tiles run through the borders.
    let widths = [13, 14, 15, 16, 17, 30, 31, 32, 33, 37, 49];
    check(widths.map(|width| [5, width, 3, 5, 1]));
    check([[31, 19, 33, 5, 1], [64, 1, 5, 3, 1]]);
}

#[test]
fn channels_that_are_no_multiple_of_a_tile_agree_with_the_definition() {
    check([3, 32, 33, 64, 100].map(|channels| [4, 6, channels, 3, 1]));
    check([3, 16, 32, 33, 64, 100].map(|channels| [3, 5, 7, channels, 1]));
    check([[9, 13, 64, 64, 1], [2, 3, 512, 40, 1]]);
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let threads = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    for (case, operands) in [([37, 21, 40, 35, 1], Operands::Bf16), ([19, 16, 33, 3, 2], Operands::Split)] {
        let alone = threads(1).install(|| results(ModelTiles, case, operands));
        for count in [2, 5] {
            let together = threads(count).install(|| results(ModelTiles, case, operands));
            assert!(alone == together, "{operands:?} of {case:?} with {count} threads");
        }
    }
}

#[test]
fn fused_activations_and_masks_are_the_passes_they_replace() {
    for (channels, outs) in [(48, 80), (32, 16)] {
        let shape = Shape::new((6, 19), channels, outs, 1);
        let (x, bias) = (random_map(6, 19, channels, 1), random(outs, 4));
        let mut masks = [channels, outs, outs].map(|c| BitMask::from_pool(&mut BufferPool::new(), 6 * 19 * c));
        masks[0].set(random_map(6, 19, channels, 7).as_slice());
        let [applied, made, expected] = &mut masks;
        let mut masked = x.clone();
        applied.apply(masked.as_mut_slice());
        for operands in OPERANDS {
            let amx = Amx(operands);
            let packed = amx.pack(&random_weight(outs, channels), Direction::Forward);
            let [mut fused, mut apart] = [9, 10].map(|seed| random_map(6, 19, outs, seed));
            let input = Input { mask: Some(applied.bytes()), ..whole(&shape, &x) };
            let epilogue = Epilogue::Relu(&bias, Some(made.bytes_mut()));
            amx.run_on(ModelTiles, input, &packed, epilogue, &mut fused);
            amx.run_on(ModelTiles, whole(&shape, &masked), &packed, Epilogue::Bias(&bias), &mut apart);
            crate::kernels::conv::relu(apart.as_mut_slice());
            expected.set(apart.as_slice());
            assert!(fused == apart && made.bytes() == expected.bytes(), "{operands:?}, {channels} to {outs}");
        }
    }
}

#[test]
fn filters_are_packed_by_pairs_of_channels_and_tiles_of_outputs() {
    let (out, input) = (40, 70);
    let weight = random_weight(out, input);
    for operands in OPERANDS {
        for direction in [Direction::Forward, Direction::BackwardInput] {
            let packed = pack(&weight, direction, operands);
            let (depth, columns) = if direction == Direction::Forward { (input, out) } else { (out, input) };
            let mut tiles = packed.tiles().iter();
            // The layout's axes from the outermost to the innermost.
            for n in 0..columns.div_ceil(32) {
                for k in 0..depth.div_ceil(32) {
                    for (tap, half) in (0..9).flat_map(|tap| (0..operands.halves()).map(move |half| (tap, half))) {
                        for at in 0..1024 {
                            let (n, k) = (n * 32 + at / 512 * 16 + at / 2 % 16, k * 32 + at % 512 / 32 * 2 + at % 2);
                            let (u, v) = (tap / 3, tap % 3);
                            let w = match direction {
                                _ if n >= columns || k >= depth => 0.0,
                                Direction::Forward => weight[[n, k, u, v]],
                                Direction::BackwardInput => weight[[k, n, 2 - u, 2 - v]],
                            };
                            let expected = if half == 0 { bf16::round(w) } else { bf16::split(w).1 };
                            assert_eq!(*tiles.next().unwrap(), expected, "{direction:?}, {k} to {n}, tap {tap}");
                        }
                    }
                }
            }
            assert!(tiles.next().is_none());
        }
    }
}

/// A unit with a fault.
#[derive(Clone, Copy)]
struct Faulty(fn(&Product<'_>, &mut [f32]));

impl TileUnit for Faulty {
    fn multiply(self, product: &Product<'_>, c: &mut [f32]) {
        (self.0)(product, c);
    }
}

#[test]
fn the_self_test_passes_the_model_and_fails_a_faulty_unit() {
    assert!(self_test(ModelTiles));
    assert!(!self_test(Faulty(|_, _| ())), "does nothing");
    assert!(!self_test(Faulty(|_, c| c.fill(0.0))), "computes zeros");
    assert!(!self_test(Faulty(|product, c| ModelTiles.multiply(&Product { add: false, ..*product }, c))), "forgets");
    let exchanged = |product: &Product<'_>, c: &mut [f32]| {
        let pairs: Vec<_> = product.pairs.iter().map(|&[a, b]| [b, a]).collect();
        ModelTiles.multiply(&Product { pairs: &pairs, ..*product }, c);
    };
    assert!(!self_test(Faulty(exchanged)), "exchanges A0 and A1");
    let one_sum = |product: &Product<'_>, c: &mut [f32]| {
        ModelTiles.multiply(product, c);
        c[5] *= 1.001;
    };
    assert!(!self_test(Faulty(one_sum)), "is wrong in one sum by a thousandth");
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn the_units_own_instructions_pass_the_self_test() {
    assert!(self_test(amx::emulator::emulated()));
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn the_units_own_instructions_agree_with_the_model() {
    use amx::emulator::emulated;
    for (case, operands) in [([5, 19, 33, 40, 1], Operands::Bf16), ([3, 33, 20, 33, 2], Operands::Split)] {
        let (found, expected) = (results(emulated(), case, operands), results(ModelTiles, case, operands));
        for (found, expected) in found.iter().zip(&expected) {
            // The same bytes from the emulator; from a unit, sums of a few hundred products each rounded to 2⁻²⁴.
            assert!(relative_rms(found.as_slice(), expected.as_slice()) <= 1e-6, "{operands:?} of {case:?}");
        }
    }
}

#[test]
fn the_status_is_found_out_once_and_says_what_is_the_matter() {
    assert_eq!(status(), status());
    assert_eq!(available(), status() == Status::Ready);
    assert!(Status::NoPermission.to_string().contains("refuses"));
    println!("AMX: {}", status());
}
