//! A convolution three times: as its definition, as a matrix product, and by the library.
//!
//! `cargo run --release --example 02_convolution` convolves a picture of 4 × 4 numbers with a filter of 3 × 3, and
//! writes `edges.png`: the astronaut, and how strongly two such filters answer to her. Another file:
//! `… --example 02_convolution -- FILE`.

use impasto::Picture;
use impasto::config::DEFAULT_MAX_PIXELS;
use impasto::kernels::conv::{self, Epilogue, Filter};
use impasto::picture;
use impasto::tensor::FeatureMap;
use ndarray::{Array2, Array3, Array4, arr2};

/// y[i, j] = Σ x[i + u − 1, j + v − 1] · w[u, v], with zeros around x.
fn definition(x: &Array2<f32>, w: &Array2<f32>) -> Array2<f32> {
    Array2::from_shape_fn(x.dim(), |(i, j)| {
        let tap = |u: usize, v: usize| {
            let row = (i + u).checked_sub(1).filter(|&row| row < x.nrows());
            let column = (j + v).checked_sub(1).filter(|&column| column < x.ncols());
            row.zip(column).map_or(0.0, |at| x[at]) * w[[u, v]]
        };
        (0..9).map(|k| tap(k / 3, k % 3)).sum()
    })
}

// ANCHOR: matrix_product
/// The same: a matrix with a row for each pixel, the nine numbers it sees, times the filter as a column.
fn matrix_product(x: &Array2<f32>, w: &Array2<f32>) -> Array2<f32> {
    let (height, width) = x.dim();
    let mut bordered = Array2::zeros((height + 2, width + 2));
    bordered.slice_mut(ndarray::s![1..=height, 1..=width]).assign(x);
    let patches = Array2::from_shape_fn((height * width, 9), |(pixel, tap)| {
        bordered[[pixel / width + tap / 3, pixel % width + tap % 3]]
    });
    let column = w.to_shape((9, 1)).expect("nine taps");
    patches.dot(&column).into_shape_with_order((height, width)).expect("a number for each pixel")
}
// ANCHOR_END: matrix_product

/// The same, by the library: a map of one channel, a filter of one output.
fn library(x: &Array2<f32>, w: &Array2<f32>) -> Array2<f32> {
    let (height, width) = x.dim();
    let map = FeatureMap::from_vec(height, width, 1, x.iter().copied().collect());
    let filter = Filter::new(Array4::from_shape_fn((1, 1, 3, 3), |(_, _, u, v)| w[[u, v]]), None);
    let mut y = FeatureMap::zeros(height, width, 1);
    conv::forward(&map, &filter, 1, Epilogue::Bias(&[0.0]), &mut y);
    Array2::from_shape_vec((height, width), y.as_slice().to_vec()).expect("a number for each pixel")
}

fn main() -> impasto::Result<()> {
    let x = arr2(&[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]);
    let across = arr2(&[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]);
    let y = definition(&x, &across);
    println!("x\n{x}\n\nw\n{across}\n\ny\n{y}");
    assert_eq!(y, matrix_product(&x, &across));
    assert_eq!(y, library(&x, &across));

    let photograph = picture::load("samples/astronaut.jpg".as_ref(), DEFAULT_MAX_PIXELS)?.resize(192, 192);
    let grey = photograph.rgb.mean_axis(ndarray::Axis(2)).expect("three colours");
    // Grey where nothing changes, white where it becomes brighter to the right (or below), black where darker.
    let seen = |filter: &Array2<f32>| {
        let answer = library(&grey, filter);
        Picture::from_rgb(Array3::from_shape_fn((192, 192, 3), |(i, j, _)| {
            (0.5 + answer[[i, j]] / 4.0).clamp(0.0, 1.0)
        }))
    };
    let down = across.t().to_owned();
    let row = picture::row(&[photograph.clone(), seen(&across), seen(&down)], 8);
    let file = std::env::args().nth(1).unwrap_or_else(|| "edges.png".into());
    picture::save(&row, file.as_ref(), &Default::default())
}
