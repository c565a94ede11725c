//! What pictures are made of and finished with, against PyTorch: `canvas.safetensors`, made by
//! `tools/make_canvas_fixtures.py`.
//!
//! PyTorch computed these numbers in `f64` from inputs that `f32` holds exactly, so what is measured is this engine's
//! own rounding. One rounding of an `f32` is at most 2⁻²⁴ = 6e-8 of the number.

mod common;

use common::{Fixtures, Tolerance};
use impasto::Picture;
use impasto::config::CanvasKind;
use impasto::kernels::resample::{Interpolation, Resample};
use impasto::kernels::variation::Edges;
use impasto::picture::palette;
use impasto::tensor::FeatureMap;
use impasto::transfer::calm::Stillness;
use impasto::transfer::canvas::Canvas;
use impasto::transfer::detail;

/// Sums of up to 12 × 12 products of a normal number (below 5) and two weights that were rounded to `f32` themselves:
/// four or five roundings of numbers up to 5.
const RESAMPLED: Tolerance = Tolerance { atol: 1e-6, rtol: 5e-7 };

/// Differences of numbers in [0, 1], each interpolated up to seven times.
const COEFFICIENTS: Tolerance = Tolerance { atol: 5e-7, rtol: 5e-7 };

/// Computed in `f64`, then rounded once in [0, 1].
const ROUNDED: Tolerance = Tolerance { atol: 6e-8, rtol: 0.0 };

fn open() -> Fixtures {
    Fixtures::open("canvas")
}

fn picture(file: &Fixtures, name: &str) -> Picture {
    Picture::from_rgb(file.map(&format!("picture.{name}")).into_array())
}

fn check(what: &str, tolerance: Tolerance, file: &Fixtures, found: &Picture) {
    tolerance.check(what, found.rgb.as_slice().unwrap(), &file.elements(what));
}

#[test]
fn every_interpolation_and_its_adjoint_agree_at_every_size() {
    let file = open();
    let kinds = Interpolation::ALL.into_iter().zip(["bilinear", "antialiased", "bicubic"]);
    let sizes = ["9x11-18x23", "21x25-10x12", "23x16-7x5", "1x4-3x7", "5x1-2x3", "12x7-9x13", "6x8-6x8"];
    for ((kind, name), size) in kinds.flat_map(|kind| sizes.map(|size| (kind, size))) {
        let case = format!("resample.{name}.{size}");
        let map = |what: &str| file.map(&format!("{case}.{what}"));
        let (x, d_y) = (map("x"), map("d_y"));
        let resample = Resample::new(kind, (x.height(), x.width()), (d_y.height(), d_y.width()), 3);
        let mut y = vec![f32::NAN; d_y.as_slice().len()];
        resample.apply(x.as_slice(), &mut y);
        RESAMPLED.check(&case, &y, map("y").as_slice());
        let mut d_x = vec![f32::NAN; x.as_slice().len()];
        resample.adjoint(d_y.as_slice(), 0.0, &mut d_x);
        RESAMPLED.check(&format!("{case} d_x"), &d_x, map("d_x").as_slice());
    }
}

#[test]
fn a_picture_has_the_same_coefficients_and_they_the_same_picture() {
    let file = open();
    for (height, width) in [(37, 45), (48, 64)] {
        let case = format!("pyramid.{height}x{width}");
        let (x, theta) = (file.map(&format!("{case}.x")), file.elements(&format!("{case}.theta")));
        let canvas = Canvas::new(CanvasKind::Pyramid, height, width);
        COEFFICIENTS.check(&case, &canvas.encode(&x), &theta);
        let mut decoded = FeatureMap::zeros(height, width, 3);
        canvas.decode(&theta, &mut decoded);
        COEFFICIENTS.check(&format!("{case} decoded"), decoded.as_slice(), x.as_slice());
    }
}

#[test]
fn a_gradient_comes_back_to_every_coefficient() {
    let file = open();
    let (d_x, expected) = (file.map("gradient.d_x"), file.elements("gradient.d_theta"));
    let d_theta = Canvas::new(CanvasKind::Pyramid, d_x.height(), d_x.width()).pull_back(d_x);
    // Sums over up to 14 × 14 pixels of normal numbers, each rounded.
    Tolerance { atol: 3e-6, rtol: 1e-6 }.check("gradient", &d_theta, &expected);
}

#[test]
fn colours_are_matched_alike_whatever_their_ranks() {
    let file = open();
    for name in ["small", "grey", "dull", "flat"] {
        let found = palette::matched(&picture(&file, name), &picture(&file, "painting"), palette::LARGEST_GAIN);
        check(&format!("matched.{name}.painting"), ROUNDED, &file, &found);
    }
}

#[test]
fn flats_are_calmed_alike() {
    let file = open();
    for (name, style) in [("photograph", "painting"), ("painting", "small"), ("strip", "flat"), ("flat", "strip")] {
        let mut found = picture(&file, name);
        Stillness::of(&picture(&file, style), 2).calm(&mut found, Edges::Open);
        // A rank is a ratio of differences between neighbouring quantiles, which are close: an amplitude's error of
        // 1e-7 may be 1e-4 of their distance, and moves a coefficient by as much of the step between two gains.
        check(&format!("calm.{name}.{style}"), Tolerance { atol: 2e-6, rtol: 0.0 }, &file, &found);
    }
}

#[test]
fn a_change_of_scale_adds_the_same_detail() {
    let file = open();
    let map = |name: &str| file.map(&format!("picture.{name}"));
    let found = detail::enlarge(&map("early"), &map("photograph"), 1.0, Edges::Open);
    // Numbers up to 2, four times interpolated or added.
    Tolerance { atol: 5e-7, rtol: 0.0 }.check("detail", found.as_slice(), &file.elements("detail"));
}
