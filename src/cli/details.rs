//! What `-v` tells: the resolved configuration, sizes, threads and memory.

use std::fmt::Display;

use impasto::limits::{self, Memory, amount};
use impasto::transfer::Plan;

use super::job::Job;
use super::{presets, say};

/// Before the run.
pub fn before(job: &Job, plan: &Plan) {
    if let Some(path) = &job.asked.content {
        let (height, width) = job.inputs.content;
        fact("content", format_args!("{} {width}×{height}", path.display()));
    }
    for ((file, style), share) in job.asked.scene.styles.iter().zip(&job.inputs.styles).zip(&plan.shares) {
        let weight = if plan.shares.len() > 1 { format!(", {:.1} %", 100.0 * share) } else { String::new() };
        let region = file.region.as_ref().map_or_else(String::new, |mask| format!(", painted by {}", mask.to_words()));
        let part = file.mask.as_ref().map_or_else(String::new, |mask| format!(", learned by {}", mask.display()));
        let (height, width) = style.size;
        fact("style", format_args!("{} {width}×{height}{weight}{region}{part}", file.path.display()));
    }
    if let Some(keep) = &job.asked.scene.keep {
        fact("kept by", keep.to_words());
    }
    fact("preset", job.config.preset.name());
    for (name, value) in presets::rows(&job.config) {
        fact(name, value);
    }
    fact("maps stored in", job.config.precision.dtype().name());
    for (i, scale) in plan.scales.iter().enumerate() {
        let name = format!("scale {}", i + 1);
        let (width, height, iterations) = (scale.width, scale.height, scale.iterations);
        let (styles, cut) = (super::plan::styles(scale), super::plan::cut(plan.cuts[i].picture));
        let memory = amount(plan.peaks[i].total());
        fact(&name, format_args!("{width}×{height}, {iterations} iterations, style {styles}, {cut}, {memory}"));
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
