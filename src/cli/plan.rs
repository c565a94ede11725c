//! `impasto plan`: what a run would take, before it starts.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use impasto::limits::amount;
use impasto::picture;
use impasto::transfer::{Plan, Scale, plan};
use impasto::{Engine, Result};
use serde_json::{Map, Value, json};

use super::report::duration;
use super::{options, say, stylize};

/// Show what a run would take, memory and time, without making it.
///
/// Put `plan` in the place of `stylize`: every option is the same, --json prints the plan, and nothing is written. Time is estimated from a few
/// iterations of small pictures on this machine.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    run: options::Options,
}

pub fn run(options: &Options) -> Result<u8> {
    let begun = Instant::now();
    let config = options.run.config()?;
    let size = |path: &Path| picture::load(path, config.max_pixels).map(|picture| (picture.height(), picture.width()));
    let inputs = [size(&options.run.content)?, size(&options.run.style)?];
    let reading = begun.elapsed().as_secs_f64();
    let config = stylize::in_time(&options.run, config, inputs, begun)?;
    let scales = plan::scales(&config, inputs[0], inputs[1])?;
    let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
    let (plan, seconds) = engine.share(|| {
        let plan = engine.plan_of(&config, scales, inputs)?;
        let costs = engine.forecast(&config, &plan)?;
        let seconds = costs.iter().zip(&plan.scales).map(|(cost, scale)| cost.of(scale.iterations)).collect::<Vec<_>>();
        Ok::<_, impasto::Error>((plan, seconds))
    })?;
    let total = reading + seconds.iter().sum::<f64>();
    let text =
        if options.run.json { json(options, inputs, &plan, &seconds, total) } else { table(&plan, &seconds, total) };
    say::text(text)?;
    Ok(0)
}

/// How an evaluation is cut, in a word or two.
pub fn cut(rows: Option<usize>) -> String {
    rows.map_or("whole".into(), |rows| format!("{rows} rows"))
}

fn size(scale: &Scale) -> String {
    format!("{}×{}", scale.width, scale.height)
}

fn table(plan: &Plan, seconds: &[f64], total: f64) -> String {
    let mut rows = vec![["scale", "picture", "style", "iterations", "evaluated", "memory", "time"].map(String::from)];
    for (i, scale) in plan.scales.iter().enumerate() {
        rows.push([
            (i + 1).to_string(),
            size(scale),
            format!("{}×{}", scale.style.1, scale.style.0),
            scale.iterations.to_string(),
            cut(plan.cuts[i].picture),
            amount(plan.peaks[i].total()),
            duration(seconds[i]),
        ]);
    }
    let iterations = plan.iterations().to_string();
    let all = ["all", "", "", &iterations, "", &amount(plan.memory.total()), &duration(total)].map(String::from);
    rows.push(all);
    let widths: [usize; 7] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  "))
    };
    let mut text: String = rows.iter().map(line).collect();
    text += &format!("\nat its fullest {} of {} that it may have:\n", amount(plan.memory.total()), amount(plan.budget));
    for (name, bytes) in plan.memory.parts() {
        text += &format!("  {:>8}  {}\n", amount(bytes), described(name));
    }
    text + &format!("outside the network {} bytes a pixel\n", plan.bytes_a_pixel)
}

/// What a part of the memory is for.
fn described(part: &str) -> &str {
    match part {
        "maps" => "feature maps",
        "targets" => "what content and style are compared with",
        "weights" => "the network's weights",
        "canvas" => "the picture, its gradient, the optimiser's memory of them",
        "pictures" => "content and style at the sizes to come",
        "program" => "the program and what its threads work with",
        other => other,
    }
}

fn json(options: &Options, inputs: [(usize, usize); 2], plan: &Plan, seconds: &[f64], total: f64) -> String {
    let picture = |path: &Path, (height, width)| json!({ "path": path, "width": width, "height": height });
    let scales = plan.scales.iter().zip(&plan.cuts).zip(plan.peaks.iter().zip(seconds));
    let scales = scales.map(|((scale, cut), (memory, seconds))| {
        json!({
            "width": scale.width,
            "height": scale.height,
            "style": { "width": scale.style.1, "height": scale.style.0 },
            "iterations": scale.iterations,
            "rows": cut.picture,
            "style_rows": cut.style,
            "bytes": memory.total(),
            "seconds": seconds,
        })
    });
    let parts: Map<String, Value> =
        plan.memory.parts().map(|(name, bytes)| (name.into(), bytes.into())).into_iter().collect();
    let all = json!({
        "content": picture(&options.run.content, inputs[0]),
        "style": picture(&options.run.style, inputs[1]),
        "precision": plan.network.precision.name(),
        "threads": rayon::current_num_threads(),
        "scales": scales.collect::<Vec<_>>(),
        "iterations": plan.iterations(),
        "peak_bytes": plan.memory.total(),
        "peak_bytes_of": parts,
        "bytes_a_pixel": plan.bytes_a_pixel,
        "budget_bytes": plan.budget,
        "checkpoint_bytes": plan.checkpoint,
        "seconds": total,
    });
    format!("{all:#}\n")
}
