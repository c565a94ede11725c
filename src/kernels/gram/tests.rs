use half::bf16;
use ndarray::s;

use super::*;
use crate::kernels::simd::element::convert;

fn map(height: usize, width: usize, channels: usize) -> FeatureMap {
    let data = (0..height * width * channels).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.25).collect();
    FeatureMap::from_vec(height, width, channels, data)
}

/// Heights, widths and channels: single pixels, tails of panels, of tiles, of 192 pixels and of blocks.
const SHAPES: [[usize; 3]; 12] = [
    [1, 1, 1],
    [1, 3, 2],
    [7, 5, 3],
    [9, 15, 12],
    [11, 12, 16],
    [3, 43, 31],
    [8, 16, 32],
    [5, 26, 33],
    [23, 29, 64],
    [31, 40, 65],
    [19, 70, 100],
    [13, 41, 130],
];

/// Rounding errors of f32 sums of 192, then of as many as there are in a block, grow like the square root
/// of their number; terms have both signs, so they are measured against the sum of absolute values.
fn near(found: f32, exact: f32, size: f32) -> bool {
    (found - exact).abs() <= 1e-6 * size + 1e-6 * exact.abs()
}

#[test]
fn every_instruction_set_agrees_with_the_definition_and_is_symmetric() {
    for ([h, w, n], isa) in SHAPES.into_iter().flat_map(|shape| Isa::available().into_iter().map(move |i| (shape, i))) {
        let map = map(h, w, n);
        let (g, exact) = (product::<_, true>(&map, isa), reference_gram(&map));
        assert!(product::<_, false>(&map, isa) == g.slice(s![..n, ..]), "{isa:?} ({h} × {w} × {n}), without sums");
        for (j, &sum) in g.row(n).iter().enumerate() {
            let column = map.as_matrix().column(j).mapv(f64::from);
            let (exact, size) = (column.sum() as f32, column.mapv(f64::abs).sum() as f32);
            assert!(near(sum, exact, size), "{isa:?} ({h} × {w} × {n}): ΣF[{j}] is {sum}, not {exact}");
        }
        let g = g.slice(s![..n, ..]);
        for ((i, j), &found) in g.indexed_iter() {
            let size = (exact[[i, i]] * exact[[j, j]]).sqrt();
            assert!(near(found, exact[[i, j]], size), "{isa:?} ({h} × {w} × {n}): G[{i}, {j}] is {found}");
            assert_eq!(found.to_bits(), g[[j, i]].to_bits(), "{isa:?} ({h} × {w} × {n}): G[{i}, {j}] and its mirror");
        }
    }
}

#[test]
fn every_instruction_set_has_the_gradient_of_the_definition() {
    for ([h, w, n], isa) in SHAPES.into_iter().flat_map(|shape| Isa::available().into_iter().map(move |i| (shape, i))) {
        let map = map(h, w, n);
        let s = Array2::from_shape_fn((n, n), |(i, j)| (((i + j) * 37 + i * j) % 23) as f32 / 23.0 - 0.4);
        let row: Vec<f32> = (0..n).map(|i| (i * 29 % 17) as f32 / 17.0 - 0.5).collect();
        let plain = Affine::linear(s.view());
        let affine = Affine { row: Some(&row), ..plain };
        for affine in [plain, affine] {
            let mut over = map.clone();
            product_backward(None, affine, 0.0, &mut over, isa);
            let mut beside = FeatureMap::zeros(h, w, n);
            product_backward(Some(&map), affine, 0.0, &mut beside, isa);
            assert!(over == beside, "{isa:?} ({h} × {w} × {n}), written over the features");
        }
        for (beta, affine) in [0.0, 1.0, -0.5].into_iter().flat_map(|beta| [(beta, plain), (beta, affine)]) {
            let before = if beta == 0.0 { vec![f32::NAN; h * w * n] } else { self::map(h, w, n).as_slice().to_vec() };
            let mut found = FeatureMap::from_vec(h, w, n, before.clone());
            let mut exact = FeatureMap::from_vec(h, w, n, before);
            product_backward(Some(&map), affine, beta, &mut found, isa);
            reference_backward(&map, affine, beta, &mut exact);
            for (at, (&found, &exact)) in found.as_slice().iter().zip(exact.as_slice()).enumerate() {
                let size = (n as f32).sqrt();
                assert!(
                    near(found, exact, size),
                    "{isa:?} ({h} × {w} × {n}), β = {beta}: {found} at {at}, not {exact}"
                );
            }
        }
    }
}

#[test]
fn bf16_gives_what_f32_gives_on_the_same_numbers_rounded() {
    for ([h, w, n], isa) in SHAPES.into_iter().flat_map(|shape| Isa::available().into_iter().map(move |i| (shape, i))) {
        let features: FeatureMap<bf16> = convert(&map(h, w, n));
        let wide: FeatureMap = convert(&features);
        let g = product::<_, true>(&features, isa);
        assert!(g == product::<_, true>(&wide, isa), "{isa:?} ({h} × {w} × {n})");
        let g = Affine { s: g.slice(s![..n, ..]), row: g.slice(s![n, ..]).to_slice() };
        let (mut over, mut wide_over) = (features.clone(), wide.clone());
        product_backward(None, g, 0.0, &mut over, isa);
        product_backward(None, g, 0.0, &mut wide_over, isa);
        assert!(over == convert(&wide_over), "{isa:?} ({h} × {w} × {n}), written over the features");
        for beta in [0.0, 1.0, -0.5] {
            let mut found: FeatureMap<bf16> = convert(&wide);
            let mut expected = wide.clone();
            product_backward(Some(&features), g, beta, &mut found, isa);
            product_backward(Some(&wide), g, beta, &mut expected, isa);
            assert!(found == convert(&expected), "{isa:?} ({h} × {w} × {n}), β = {beta}");
        }
    }
}

#[test]
fn every_thread_count_gives_the_same_bytes() {
    let threads = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    // Many blocks of few channels; few blocks, cut by panels; tails of both.
    for [h, w, n] in [[150, 150, 20], [25, 41, 260], [3, 5, 200]] {
        let map = map(h, w, n);
        let result = || {
            let g = moments(&map);
            let mut d = FeatureMap::zeros(h, w, n);
            let affine = Affine { s: g.slice(s![..n, ..]), row: g.slice(s![n, ..]).to_slice() };
            backward(&map, affine, 0.0, &mut d);
            (g, d)
        };
        let (g, d) = threads(1).install(result);
        for count in [2, 3, 8] {
            let (other_g, other_d) = threads(count).install(result);
            assert!(g == other_g && d.as_slice() == other_d.as_slice(), "({h} × {w} × {n}) with {count} threads");
        }
    }
}

/// Blocks are rows of the map: a strip of whole blocks has the sums of those blocks, whatever the map's height.
#[test]
fn blocks_do_not_depend_on_the_maps_height() {
    for (width, channels) in [(512, 64), (33, 64), (64, 512), (1, 3), (9000, 128)] {
        let block = block(width, channels);
        assert!(block.is_multiple_of(width) && block >= 4 * DEPTH, "{width} × {channels}: {block}");
    }
}

#[test]
fn panels_are_shared_out_completely_and_evenly() {
    for (panels, count) in [(1, 1), (2, 2), (16, 4), (16, 16), (17, 5)] {
        let triangle = Triangle { width: 1, panels };
        let runs: Vec<_> = triangle.split(count).collect();
        assert_eq!(runs.iter().cloned().flatten().collect::<Vec<_>>(), (0..panels).collect::<Vec<_>>());
        let largest = runs.iter().map(|run| triangle.start(run.end) - triangle.start(run.start)).max().unwrap();
        assert!(largest <= triangle.len() / count + 2 * panels, "{panels} panels in {count}: {runs:?}");
    }
}

/// Of any rows at a time: fewer than a block's, more, and what is left at the end.
#[test]
fn sums_of_some_rows_at_a_time_are_those_of_the_whole() {
    for ([h, w, n], step) in
        [[150, 30, 20], [61, 41, 70], [5, 900, 33]].into_iter().flat_map(|s| [(s, 1), (s, 7), (s, 60)])
    {
        let map = map(h, w, n);
        let narrow: FeatureMap<bf16> = convert(&map);
        for with_sums in [false, true] {
            let mut sums = Sums::new(w, n, with_sums);
            let mut narrow_sums = Sums::new(w, n, with_sums);
            map.as_slice().chunks(step * w * n).for_each(|rows| sums.add(rows));
            narrow.as_slice().chunks(step * w * n).for_each(|rows| narrow_sums.add(rows));
            let (whole, narrow_whole) =
                if with_sums { (moments(&map), moments(&narrow)) } else { (gram(&map), gram(&narrow)) };
            assert!(sums.finish() == whole && narrow_sums.finish() == narrow_whole, "({h} × {w} × {n}) by {step}");
        }
    }
}
