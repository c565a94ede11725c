//! What `-v` tells: the resolved configuration, sizes, threads and memory.

use std::fmt::Display;

use impasto::limits::{self, Memory};
use impasto::transfer::Plan;

use super::report::bytes;
use super::work::Job;
use super::{presets, say};

/// Before the run.
pub fn before(job: &Job, plan: &Plan) {
    let [content, style] = job.inputs;
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
    let threads = rayon::current_num_threads();
    let Memory { free, total, .. } = Memory::detect(threads);
    fact("memory needed", format_args!("about {}", bytes(plan.memory.total())));
    fact("memory", format_args!("{} free of {}", bytes(free), bytes(total)));
}

/// After the run: the most memory it held at once, where the system tells.
pub fn after() {
    if let Some(peak) = limits::peak_memory() {
        fact("peak memory", bytes(peak));
    }
}

fn fact(name: &str, value: impl Display) {
    say::note(format_args!("{name:<16}{value}"));
}
