//! Pictures as data URIs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder as _};
use ndarray::Array3;

use super::report::Image;
use crate::kernels::resample::Resample;
use crate::picture::{OutputFormat, Picture, SaveOptions, encoded, fit};
use crate::tensor::FeatureMap;

/// The longest side of what is only looked at.
const SHOWN: usize = 320;

/// The same of gradients, which are as good as noise: a file of them is large.
const NOISY: usize = 256;

/// Of what is only looked at: so much of JPEG's quality that brushwork stays brushwork.
const QUALITY: u8 = 85;

/// A picture as `stylize` writes it.
pub(super) fn lossless(picture: &Picture) -> Image {
    image(picture, OutputFormat::Png, "image/png", &SaveOptions::default())
}

/// A picture at its own size, lossless if that is small.
pub(super) fn whole(picture: &Picture) -> Image {
    if picture.height().max(picture.width()) <= SHOWN { lossless(picture) } else { jpeg(picture) }
}

/// A picture that is only looked at, made smaller if it is large.
pub(super) fn shown(picture: &Picture) -> Image {
    within(SHOWN, picture)
}

fn within(longest: usize, picture: &Picture) -> Image {
    let (height, width) = (picture.height(), picture.width());
    if height.max(width) <= longest {
        return jpeg(picture);
    }
    let (height, width) = fit(longest as u32, height, width);
    jpeg(&picture.resize(height, width))
}

fn jpeg(picture: &Picture) -> Image {
    let options = SaveOptions { quality: Some(QUALITY), ..SaveOptions::default() };
    image(picture, OutputFormat::Jpeg, "image/jpeg", &options)
}

/// The same of the optimiser's picture (H × W × 3).
pub(super) fn shown_map(map: &FeatureMap) -> Image {
    shown(&Picture::from_rgb(map.clone().into_array()))
}

/// Which colours would become more, and which less, if a gradient (H × W × 3) were followed: 0.5 stays, `most` away is white
/// or black.
pub(super) fn followed(gradient: &FeatureMap, most: f64) -> Image {
    let scale = if most > 0.0 { 0.5 / most } else { 0.0 };
    let rgb: Array3<f32> = gradient.view().mapv(|g| (0.5 - scale * f64::from(g)).clamp(0.0, 1.0) as f32);
    within(NOISY, &Picture::from_rgb(rgb))
}

/// A map of one channel in grey, made smaller if it is large; `most` is white.
pub(super) fn shown_grey(map: &FeatureMap, most: f32) -> Image {
    let (height, width, _) = map.dim();
    if height.max(width) <= SHOWN {
        return grey(width, height, map.as_slice().iter().copied(), most);
    }
    let size = fit(SHOWN as u32, height, width);
    let mut small = vec![0.0; size.0 * size.1];
    Resample::area((height, width), size, 1).apply(map.as_slice(), &mut small);
    grey(size.1, size.0, small.into_iter(), most)
}

/// Values in a grey picture, of which `most` is white.
pub(super) fn grey(width: usize, height: usize, values: impl Iterator<Item = f32>, most: f32) -> Image {
    let scale = if most > 0.0 { 255.0 / most } else { 0.0 };
    let bytes: Vec<u8> = values.map(|value| (scale * value).round().clamp(0.0, 255.0) as u8).collect();
    let mut file = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder
        .write_image(&bytes, width as u32, height as u32, ExtendedColorType::L8)
        .expect("memory takes a picture of its size");
    Image { src: uri("image/png", &file), width, height }
}

fn image(picture: &Picture, format: OutputFormat, kind: &str, options: &SaveOptions) -> Image {
    let file = encoded(picture, format, options).expect("memory takes a picture");
    Image { src: uri(kind, &file), width: picture.width(), height: picture.height() }
}

fn uri(kind: &str, file: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(file))
}
