//! What `-v` tells: the resolved configuration, sizes, threads and memory.

use std::fmt::Display;

use impasto::limits::{self, Memory, amount};
use impasto::transfer::Plan;

use super::work::Job;
use super::{presets, say};

/// Before the run.
pub fn before(job: &Job, plan: &Plan) {
    let pictures = [("content", &job.asked.content), ("style", &job.asked.style)];
    for ((role, path), (height, width)) in pictures.into_iter().zip(job.inputs) {
        if let Some(path) = path {
            fact(role, format_args!("{} {width}×{height}", path.display()));
        }
    }
    fact("preset", job.config.preset.name());
    for (name, value) in presets::rows(&job.config) {
        fact(name, value);
    }
    fact("maps stored in", job.config.precision.dtype().name());
    for (i, scale) in plan.scales.iter().enumerate() {
        let name = format!("scale {}", i + 1);
        let (width, height, iterations) = (scale.width, scale.height, scale.iterations);
        let ((style_height, style_width), cut) = (scale.style, super::plan::cut(plan.cuts[i].picture));
        let memory = amount(plan.peaks[i].total());
        fact(
            &name,
            format_args!(
                "{width}×{height}, {iterations} iterations, style {style_width}×{style_height}, {cut}, {memory}"
            ),
        );
    }
    fact("cores", std::thread::available_parallelism().map_or(1, usize::from));
    let Memory { free, total, .. } = Memory::detect(rayon::current_num_threads());
    let parts = plan.memory.parts().map(|(name, bytes)| format!("{name} {}", amount(bytes)));
    fact("memory needed", format_args!("about {}: {}", amount(plan.memory.total()), parts.join(", ")));
    fact("memory", format_args!("{} free of {}, up to {} for this", amount(free), amount(total), amount(plan.budget)));
}

/// After the run: the most memory it held at once, where the system tells.
pub fn after() {
    if let Some(peak) = limits::peak_memory() {
        fact("peak memory", amount(peak));
    }
}

fn fact(name: &str, value: impl Display) {
    say::note(format_args!("{name:<16}{value}"));
}
