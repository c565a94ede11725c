//! How much memory a run needs, known before it starts: an operator would
//! rather read one line now than find the process killed in an hour.

use super::Scale;
use super::schedule::style_size;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::vgg::{Architecture, Vgg};

/// Everything that does not grow with the picture: the program and its embedded weights,
/// patches, packed panels and Gram matrices of each thread.
const FIXED: u64 = 100 << 20;

/// Bytes a run needs at its largest scale, to within about a tenth.
///
/// The maps of one evaluation, twice the largest of them for gradients (64 channels at full
/// size, which the backward pass holds side by side), the weights three times (as loaded, and
/// packed for each direction), and the pictures themselves.
#[must_use]
pub fn estimate(config: &Config, vgg: &Vgg, scales: &[Scale], style: &Picture) -> u64 {
    let last = scales.last().expect("there is always one scale");
    let (style_height, style_width) = style_size(config, style.height(), style.width(), last, last);
    let step = |height: usize, width: usize| {
        vgg.activation_bytes(height, width) + 2 * 4 * 64 * (height * width) as u64 + 40 * 3 * (height * width) as u64
    };
    let forward = vgg.activation_bytes(style_height, style_width);
    step(last.height, last.width).max(forward) + 3 * Architecture::weight_bytes(vgg.stages()) + FIXED
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
