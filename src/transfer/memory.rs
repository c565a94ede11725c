//! How much memory a run needs, known before it starts: an operator would
//! rather read one line now than find the process killed in an hour.

use super::Scale;
use super::schedule::style_size;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::vgg::layers::{channels, stride};
use crate::vgg::{Layer, Vgg};

/// Everything that does not grow with the picture: the program and its embedded weights,
/// patches, packed panels and Gram matrices of each thread.
const FIXED: u64 = 100 << 20;

/// Bytes for each pixel of the picture, its gradient, its average, Adam's two moments, and copies while they are
/// resized and written: ten arrays of three `f32`.
const PICTURES: u64 = 10 * 3 * 4;

/// Bytes a run needs at its largest scale, to within about a tenth: the maps of an evaluation, the content
/// picture's features, the weights, and the pictures with Adam's moments.
#[must_use]
pub fn estimate(config: &Config, vgg: &Vgg, scales: &[Scale], style: &Picture) -> u64 {
    let last = scales.last().expect("there is always one scale");
    let (style_height, style_width) = style_size(config, style.height(), style.width(), last, last);
    let looked_at = |layer| config.content_layers.iter().chain(&config.style_layers).any(|l| l.layer == layer);
    let (pixels, style_pixels) = ((last.height * last.width) as u64, (style_height * style_width) as u64);
    let element = vgg.precision().bytes() as u64;
    let content: u64 = config.content_layers.iter().map(|l| element * pixels * features(l.layer)).sum();
    // The style picture is evaluated before there is a gradient, and nothing is kept of it.
    let maps = vgg.map_bytes(last.height, last.width, looked_at).max(2 * element * 64 * style_pixels);
    // The pool's parts do not fill their regions.
    maps + maps / 10 + content + vgg.weight_bytes() + PICTURES * pixels + FIXED
}

/// Features of a layer for each pixel of the picture, rounded up.
fn features(layer: Layer) -> u64 {
    (channels(layer) as u64).div_ceil((stride(layer) * stride(layer)) as u64)
}

/// Refuses a run that the machine, or the container it is in, has no room for.
pub fn check(config: &Config, vgg: &Vgg, scales: &[Scale], style: &Picture) -> Result<()> {
    let needed = estimate(config, vgg, scales, style);
    let available = available();
    if needed <= available {
        return Ok(());
    }
    let last = scales.last().expect("there is always one scale");
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    Err(Error::Memory(format!(
        "a {}×{} picture needs about {:.1} GB of memory and {:.1} GB are free; \
         give a smaller --size (and --style-size)",
        last.width,
        last.height,
        gigabytes(needed),
        gigabytes(available)
    )))
}

/// Bytes this process may still take: the machine's, or its control group's if that is less. A system
/// that does not say has no limit.
fn available() -> u64 {
    let Ok(mut system) = sysinfo::System::new() else { return u64::MAX };
    system.refresh_memory();
    let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(group)
}
