//! `--json`: what became of a run, for scripts.

use impasto::limits;
use impasto::transfer::{End, Outcome, Step};
use serde_json::{Map, Value, json};

use super::job::Job;
use super::signals::Signal;

/// The losses that were measured last.
#[derive(Clone, Debug, Default)]
pub struct Losses(Option<Value>);

impl Losses {
    /// Takes in a step.
    pub fn step(&mut self, step: &Step<'_>) {
        let layers: Map<_, _> = step.layers.iter().map(|(layer, loss)| (layer.to_string(), json!(loss))).collect();
        self.0 = Some(json!({
            "content": step.content, "style": step.style, "tv": step.tv, "total": step.total, "layers": layers,
        }));
    }
}

/// One object on a line of its own, of a run of so many iterations.
pub fn json(
    (job, all): (&Job, u32),
    outcome: &Outcome,
    losses: &Losses,
    signal: Option<Signal>,
    seconds: f64,
) -> String {
    let (height, width, _) = outcome.picture.rgb.dim();
    let (end, error) = match &outcome.end {
        End::Finished => ("finished", None),
        End::Stopped => ("stopped", None),
        End::Diverged(error) => ("diverged", Some(error.to_string())),
    };
    let scales = job
        .scales
        .iter()
        .map(|scale| json!({ "width": scale.width, "height": scale.height, "iterations": scale.iterations }));
    let summary = json!({
        "impasto": env!("CARGO_PKG_VERSION"),
        "output": job.asked.output.to_string_lossy(),
        "width": width,
        "height": height,
        "end": end,
        "signal": signal.map(Signal::name),
        "error": error,
        "iterations": outcome.iterations,
        "planned_iterations": all,
        "scales": scales.collect::<Vec<_>>(),
        "seconds": seconds,
        "losses": losses.0,
        "peak_bytes": limits::peak_memory(),
        "checkpoint": job.checkpoint.as_ref().map(|path| path.to_string_lossy()),
        "recipe": job.asked.recipe,
    });
    format!("{summary}\n")
}
