use half::bf16;

use super::*;
use crate::kernels::simd::element::convert;

/// Heights, widths and channels: odd edges, maps without an output, tails of groups and vectors.
const SHAPES: [[usize; 3]; 9] =
    [[1, 1, 3], [1, 4, 16], [4, 1, 16], [2, 2, 1], [5, 7, 3], [4, 6, 16], [3, 5, 17], [7, 4, 40], [6, 8, 64]];

/// Few different numbers, so that there are ties.
fn map(height: usize, width: usize, channels: usize, step: usize) -> FeatureMap<bf16> {
    let number = |i: usize| bf16::from_f32((i * step % 7) as f32 - 3.0);
    FeatureMap::from_vec(height, width, channels, (0..height * width * channels).map(number).collect())
}

/// What β·d_x is before, or room for it.
fn before<E: Element>([height, width, channels]: [usize; 3], beta: f32) -> FeatureMap<E> {
    if beta == 0.0 { nan((height, width, channels)) } else { convert(&map(height, width, channels, 11)) }
}

fn nan<E: Element>((h, w, c): (usize, usize, usize)) -> FeatureMap<E> {
    FeatureMap::from_vec(h, w, c, vec![E::from_f32(f32::NAN); h * w * c])
}

/// A map x, and a gradient of what a pooling makes of it.
fn inputs<E: Element>([height, width, channels]: [usize; 3]) -> (FeatureMap<E>, FeatureMap<E>) {
    let (h, w, c) = pooled_dim((height, width, channels));
    (convert(&map(height, width, channels, 5)), convert(&map(h, w, c, 3)))
}

/// Maxima, means and their double, and the gradients of each.
fn results<E: Element>(shape: [usize; 3], beta: f32) -> [FeatureMap<E>; 6] {
    let (x, d_y) = inputs(shape);
    let [mut max, mut avg, mut avg2] = [(); 3].map(|()| nan(d_y.dim()));
    let [mut d_max, mut d_avg, mut d_avg2] = [(); 3].map(|()| before(shape, beta));
    let mut choices = Choices::from_pool(&mut BufferPool::new(), d_y.dim());
    choices.words.fill(0xffff);
    max_forward(&x, &mut max, Some(&mut choices));
    max_backward(&d_y, &choices, beta, &mut d_max);
    for (factor, y, d_x) in [(1.0, &mut avg, &mut d_avg), (2.0, &mut avg2, &mut d_avg2)] {
        avg_forward(&x, factor, y);
        avg_backward(&d_y, factor, beta, d_x);
    }
    let mut alone = nan(d_y.dim());
    max_forward(&x, &mut alone, None);
    assert_eq!(alone, max, "with and without choices");
    [max, avg, avg2, d_max, d_avg, d_avg2]
}

/// Roots of squares, their gradient beside x, and over it.
fn l2_results<E: Element>(shape: [usize; 3], beta: f32) -> [FeatureMap<E>; 3] {
    let (x, d_y) = inputs(shape);
    let (mut y, mut d_x, mut over) = (nan(d_y.dim()), before(shape, beta), x.clone());
    l2_forward(&x, &mut y);
    l2_backward(&d_y, &x, beta, &mut d_x);
    l2_backward_over(&d_y, &mut over);
    [y, d_x, over]
}

/// By the definition, one block at a time: calls `block(places in x, place in y)`.
fn each_block([height, width, channels]: [usize; 3], mut block: impl FnMut([usize; 4], usize)) {
    let (h, w, c) = pooled_dim((height, width, channels));
    for at in 0..h * w * c {
        let (i, j, c) = (at / c / w, at / c % w, at % c);
        block([(0, 0), (0, 1), (1, 0), (1, 1)].map(|(u, v)| ((2 * i + u) * width + 2 * j + v) * channels + c), at);
    }
}

/// β·d_x.
fn scaled(shape: [usize; 3], beta: f32) -> Vec<f32> {
    let [height, width, channels] = shape;
    map(height, width, channels, 11).as_slice().iter().map(|d| beta * d.to_f32()).collect()
}

fn expected(shape: [usize; 3], beta: f32) -> [Vec<f32>; 6] {
    let (x, d_y) = inputs::<f32>(shape);
    let [mut max, mut avg, mut avg2] = [(); 3].map(|()| vec![0.0; d_y.as_slice().len()]);
    let [mut d_max, mut d_avg, mut d_avg2] = [(); 3].map(|()| scaled(shape, beta));
    each_block(shape, |places, at| {
        let (values, d) = (places.map(|place| x.as_slice()[place]), d_y.as_slice()[at]);
        max[at] = values.into_iter().fold(f32::NEG_INFINITY, f32::max);
        avg[at] = values.iter().sum::<f32>() / 4.0;
        avg2[at] = values.iter().sum::<f32>() / 2.0;
        d_max[places[values.iter().position(|&v| v == max[at]).unwrap()]] += d;
        for place in places {
            d_avg[place] += d / 4.0;
            d_avg2[place] += d / 2.0;
        }
    });
    [max, avg, avg2, d_max, d_avg, d_avg2]
}

fn cases() -> impl Iterator<Item = ([usize; 3], f32)> {
    SHAPES.into_iter().flat_map(|shape| [0.0, 1.0, 0.5].map(|beta| (shape, beta)))
}

#[test]
fn maxima_and_means_and_their_gradients_are_those_of_the_definition_in_both_types() {
    for (shape, beta) in cases() {
        let exact = expected(shape, beta);
        let (found, half) = (results::<f32>(shape, beta), results::<bf16>(shape, beta));
        // Sums of a few small integers and quarters: exact in f32.
        for ((exact, found), half) in exact.iter().zip(&found).zip(&half) {
            assert_eq!(found.as_slice(), exact, "{shape:?}, β = {beta}");
            assert_eq!(half, &convert::<f32, bf16>(found), "bf16, {shape:?}, β = {beta}");
        }
    }
}

#[test]
fn roots_of_squares_and_their_gradient_are_those_of_the_definition_in_both_types() {
    for (shape, beta) in cases() {
        let (x, d_y) = inputs::<f32>(shape);
        let (mut y, mut d_x) = (vec![0.0; d_y.as_slice().len()], scaled(shape, beta));
        let mut alone = vec![0.0; d_x.len()];
        each_block(shape, |places, at| {
            let squares: f64 = places.iter().map(|&place| f64::from(x.as_slice()[place]).powi(2)).sum();
            let root = (squares + 1e-6).sqrt();
            y[at] = (0.78 * root) as f32;
            for place in places {
                let d = (0.78 * f64::from(d_y.as_slice()[at] * x.as_slice()[place]) / root) as f32;
                d_x[place] += d;
                alone[place] = d;
            }
        });
        let found = l2_results::<f32>(shape, beta);
        for (found, exact) in found.iter().zip([&y, &d_x, &alone]) {
            // A sum, a root, a quotient and two products, of numbers up to 6: each rounds by at most 6e-8.
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 + 5e-7 * b.abs();
            assert!(found.as_slice().iter().zip(exact).all(near), "{shape:?}, β = {beta}");
        }
        assert_eq!(l2_results::<bf16>(shape, beta), found.each_ref().map(convert::<f32, bf16>), "{shape:?}, {beta}");
    }
}

#[test]
fn a_choice_is_two_bits() {
    assert_eq!(Choices::pixel_bytes(64) * 8, 2 * 64);
    assert_eq!(Choices::pixel_bytes(3) * 8, 2 * 16);
}
