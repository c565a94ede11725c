//! What `-v` tells: the resolved configuration, sizes, threads and memory.

use std::fmt::Display;

use sysinfo::System;

use super::report::bytes;
use super::work::Job;
use super::{presets, say};

/// Before the run.
pub fn before(job: &Job) {
    let (content, style) = (job.content.rgb.dim(), job.style.rgb.dim());
    fact("content", format_args!("{} {}×{}", job.asked.content.display(), content.1, content.0));
    fact("style", format_args!("{} {}×{}", job.asked.style.display(), style.1, style.0));
    fact("preset", job.config.preset.name());
    for (name, value) in presets::rows(&job.config) {
        fact(name, value);
    }
    fact("maps stored in", job.config.precision.dtype().name());
    for (i, scale) in job.scales.iter().enumerate() {
        let name = format!("scale {}", i + 1);
        fact(
            &name,
            format_args!(
                "{}×{}, {} iterations, style {}×{}",
                scale.width, scale.height, scale.iterations, scale.style.1, scale.style.0
            ),
        );
    }
    fact("cores", std::thread::available_parallelism().map_or(1, usize::from));
    if let Some((free, total)) = memory() {
        fact("memory", format_args!("{} free of {}", bytes(free), bytes(total)));
    }
}

/// After the run: the most memory it held at once, where the system tells.
pub fn after() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    if let Some(kib) = peak.and_then(|kib| kib.trim().parse::<u64>().ok()) {
        fact("peak memory", bytes(kib * 1024));
    }
}

fn fact(name: &str, value: impl Display) {
    say::note(format_args!("{name:<16}{value}"));
}

/// Free and total memory of the machine, or of the container where that has less.
fn memory() -> Option<(u64, u64)> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let (free, total) = (system.available_memory(), system.total_memory());
    let container = system.cgroup_limits().filter(|limits| limits.total_memory > 0);
    Some(container.map_or((free, total), |limits| (free.min(limits.free_memory), total.min(limits.total_memory))))
}
