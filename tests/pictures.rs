//! Picture files, in and out, through the library's public face.
//!
//! `tests/data/pictures` holds one tiny file for each thing a format can do, made
//! by `tools/make_test_pictures.py`, and in `expected.json` what Pillow (for
//! profiles, LittleCMS) sees in each.

use std::fs;
use std::path::{Path, PathBuf};

use impasto::config::DEFAULT_MAX_PIXELS;
use impasto::picture::{self, Picture, Pixels as _, SaveOptions};
use impasto::transfer::checkpoint::digest;
use impasto::{Error, Result};
use ndarray::{Array2, Array3};
use proptest::prelude::*;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures").join(name)
}

fn load(path: &Path) -> Result<Picture> {
    picture::load(path, DEFAULT_MAX_PIXELS)
}

/// The reason why `path` is refused.
fn refusal(path: &Path) -> String {
    match load(path) {
        Err(Error::Picture { path: named, cause }) => {
            assert_eq!(named, path);
            cause
        }
        other => panic!("{} should be refused, not {other:?}", path.display()),
    }
}

/// The largest difference, in steps of 8 bits, from what is expected at the recorded points.
fn largest_difference(picture: &Picture, points: &[serde_json::Value]) -> f64 {
    let mut largest = 0.0_f64;
    for point in points {
        let point: Vec<f64> = point.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let (y, x) = (point[0] as usize, point[1] as usize);
        for (c, &expected) in point[2..].iter().enumerate() {
            let opacity = || picture.alpha.as_ref().map_or(1.0, |a| a[[y, x]]);
            let value = if c < 3 { picture.rgb[[y, x, c]] } else { opacity() };
            largest = largest.max((f64::from(value) * 255.0 - expected).abs());
        }
    }
    largest
}

#[test]
fn every_kind_of_file_looks_as_pillow_and_littlecms_see_it() {
    let expected: serde_json::Value = serde_json::from_slice(&fs::read(data("expected.json")).unwrap()).unwrap();
    let expected = expected.as_object().unwrap();
    assert!(expected.len() >= 30, "the record is whole");
    let mut wrong = Vec::new();
    for (name, expected) in expected {
        let picture = load(&data(name)).unwrap_or_else(|error| panic!("{error}"));
        let size = (expected["height"].as_u64().unwrap() as usize, expected["width"].as_u64().unwrap() as usize);
        assert_eq!((picture.height(), picture.width()), size, "{name}");
        let points = expected["points"].as_array().unwrap();
        assert_eq!(picture.alpha.is_some(), points[0].as_array().unwrap().len() == 6, "opacity of {name}");
        let (off, within) = (largest_difference(&picture, points), expected["within"].as_f64().unwrap());
        println!("{name}: off by {off:.3} of {within}");
        if off > within {
            wrong.push(format!("{name}: off by {off:.2} steps of 8 bits, not within {within}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_original_gives_what_the_picture_made_of_it_gives() {
    let expected: serde_json::Value = serde_json::from_slice(&fs::read(data("expected.json")).unwrap()).unwrap();
    for name in expected.as_object().unwrap().keys() {
        let (picture, original) = (load(&data(name)).unwrap(), picture::open(&data(name), DEFAULT_MAX_PIXELS).unwrap());
        let (height, width) = original.size();
        assert_eq!((height, width), picture.size(), "{name}");
        assert_eq!(original.has_alpha(), picture.alpha.is_some(), "{name}");
        for rows in [0..height, 3..7, height - 1..height] {
            assert!(original.rows(rows.clone()) == picture.rows(rows), "{name}");
        }
        for (height, width) in [(height, width), (19, 21), (height, 40), (40, width)] {
            assert!(picture::resized(&original, height, width) == picture.resize(height, width), "{name}");
        }
        assert_eq!(digest(&original), digest(&picture), "{name}");
    }
}

#[test]
fn sixteen_bits_are_more_than_eight() {
    let picture = load(&data("sixteen.png")).unwrap();
    let between = picture.rgb.iter().filter(|v| (*v * 255.0 - (*v * 255.0).round()).abs() > 0.1).count();
    assert!(between > 0);
}

#[test]
fn a_bad_input_is_refused_with_its_cause_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let holds = |path: &Path, cause: &str, remedy: &str| {
        let message = refusal(path);
        assert!(message.contains(cause) && message.contains(remedy), "{}: {message}", path.display());
    };
    holds(&folder.path().join("none.png"), "no such file", "path");
    holds(folder.path(), "directory", "give");
    holds(&file("empty.png", b""), "empty", "copy");
    holds(&file("text.jpg", b"This is a letter, not a picture."), "not a picture", "PNG");
    holds(&file("photo.heic", b"\0\0\0\x20ftypheic\0\0\0\0mif1heic"), "is HEIC", "convert it by heif-convert");
    holds(&file("icon.png", &[0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0, 32, 0, 0, 0]), "Ico", "convert");
    holds(&data("truncated.jpg"), "truncated", "copy");
    holds(&data("arithmetic.jpg"), "arithmetic-coded JPEG", "convert it to PNG");
    holds(&data("thin.png"), "1 × 64", "larger");
    holds(&data("absurd.png"), "60000 × 60000", "--max-pixels 3600000000");
    holds(&data("absurd.tiff"), "60000 × 60000", "--max-pixels 3600000000");
    holds(&data("absurd-tile.tiff"), "larger than the picture", "copy");
    holds(&data("text-for-width.tiff"), "no size", "copy");
    let over = picture::load(&data("rgb.png"), 32 * 24 - 1).unwrap_err().to_string();
    assert!(over.contains("--max-pixels 768"), "{over}");
    assert!(picture::load(&data("rgb.png"), 32 * 24).is_ok());
}

#[test]
fn the_header_says_how_large_a_picture_is() {
    let mut turned = 0;
    for entry in fs::read_dir(data("")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(picture) = load(&path) else { continue };
        let size = picture::size(&path, DEFAULT_MAX_PIXELS).unwrap();
        assert_eq!(size, (picture.height(), picture.width()), "{}", path.display());
        turned += usize::from(picture.height() > picture.width());
    }
    assert!(turned > 0, "some are upright");
    let refused = picture::size(&data("rgb.png"), 32 * 24 - 1).unwrap_err().to_string();
    assert!(refused.contains("--max-pixels 768"), "{refused}");
}

#[test]
fn the_content_decides_the_format_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really-a-png.jpg");
    fs::copy(data("rgb.png"), &path).unwrap();
    assert_eq!(load(&path).unwrap(), load(&data("rgb.png")).unwrap());
}

#[test]
fn a_file_cut_in_half_is_refused_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    // BMP, PNM and TIFF store rows plainly; the others pack these flat squares so small that half is header.
    for name in [
        "rgb.png",
        "grey.jpg",
        "cmyk.jpg",
        "lossless.webp",
        "lzw.tiff",
        "planar.tiff",
        "bigtiff.tiff",
        "packbits.tiff",
        "fill-order-2-group4.tiff",
        "ycbcr-jpeg.tiff",
        "colour.bmp",
        "colour.ppm",
        "animated.gif",
    ] {
        let whole = fs::read(data(name)).unwrap();
        let length = if name == "animated.gif" { whole.len() / 4 } else { whole.len() / 2 };
        let path = folder.path().join(name);
        fs::write(&path, &whole[..length]).unwrap();
        let message = refusal(&path);
        assert!(message.contains("truncated"), "{name}: {message}");
    }
}

#[test]
fn hostile_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile");
    for entry in fs::read_dir(data("")).unwrap() {
        let whole = fs::read(entry.unwrap().path()).unwrap();
        let step = (whole.len() / 16).max(1);
        for at in (4..whole.len()).step_by(step) {
            for damage in [0x00, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = damage;
                fs::write(&path, bytes).unwrap();
                let size = picture::size(&path, 1 << 20);
                match picture::load(&path, 1 << 20) {
                    Ok(picture) => {
                        assert!(picture.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
                        assert_eq!(size.unwrap(), (picture.height(), picture.width()));
                    }
                    Err(error) => assert!(matches!(error, Error::Picture { .. }), "{error}"),
                }
            }
        }
    }
}

/// A picture of noise, its values on `levels` steps.
fn noise(height: usize, width: usize, seed: u32, levels: u32, alpha: bool) -> Picture {
    let value = |y: usize, x: usize, c: usize| {
        let mixed = (seed ^ (y * 7919 + x * 104_729 + c * 31) as u32).wrapping_mul(2_654_435_761).rotate_left(13);
        (mixed.wrapping_mul(0x9e37_79b9) % (levels + 1)) as f32 / levels as f32
    };
    Picture {
        rgb: Array3::from_shape_fn((height, width, 3), |(y, x, c)| value(y, x, c)),
        alpha: alpha.then(|| Array2::from_shape_fn((height, width), |(y, x)| value(y, x, 3))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_saved_losslessly_comes_back_bit_for_bit(
        height in 16usize..40, width in 16usize..40, seed in any::<u32>(), alpha in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (name, sixteen_bit) in
            [("a.png", false), ("b.png", true), ("c.tiff", false), ("d.tif", true), ("e.webp", false)]
        {
            let path = folder.path().join(name);
            let saved = noise(height, width, seed, if sixteen_bit { 65_535 } else { 255 }, alpha);
            picture::save(&saved, &path, &SaveOptions { sixteen_bit, ..SaveOptions::default() }).unwrap();
            prop_assert_eq!(load(&path).unwrap(), saved, "{}", name);
        }
    }
}

#[test]
fn a_jpeg_comes_back_nearly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let smooth = Picture::from_rgb(Array3::from_shape_fn((40, 50, 3), |(y, x, c)| {
        (y as f32 / 80.0 + x as f32 / 100.0) * (1.0 - 0.2 * c as f32)
    }));
    picture::save(&smooth, &path, &SaveOptions::default()).unwrap();
    let loaded = load(&path).unwrap();
    let off = loaded.rgb.iter().zip(&smooth.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Quality 95 quantises the lowest frequencies in steps of one or two.
    assert!(off < 6.0 / 255.0, "off by {off}");
}
