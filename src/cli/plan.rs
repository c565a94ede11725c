//! `impasto plan`: what a run would take, before it starts.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use impasto::config::Config;
use impasto::limits::amount;
use impasto::picture::{self, Pixels as _};
use impasto::transfer::{Plan, Scale, Sizes, StyleSize, plan};
use impasto::{Engine, Result};
use serde_json::{Map, Value, json};

use super::report::duration;
use super::request::say_fitted;
use super::styles::{Scene, StyleFile};
use super::{options, say, time};

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
    let size = |path: &Path| picture::open(path, config.max_pixels).map(|picture| picture.size());
    let content = size(&options.run.content)?;
    let scene = options.run.scene()?;
    let inputs = scene.sizes(content, size)?;
    let reading = begun.elapsed().as_secs_f64();
    let config = in_time(&options.run, config, &scene, &inputs, begun)?;
    let scales = plan::scales(&config, &inputs)?;
    let engine = Engine::new(config.weights.as_deref(), config.threads, NonZeroUsize::MIN)?;
    let (plan, seconds) = engine.share(|| {
        let plan = engine.plan_of(&config, scales, &inputs)?;
        let costs = engine.forecast(&config, &plan)?;
        let seconds = costs.iter().zip(&plan.scales).map(|(cost, scale)| cost.of(scale.iterations)).collect::<Vec<_>>();
        Ok::<_, impasto::Error>((plan, seconds))
    })?;
    let total = reading + seconds.iter().sum::<f64>();
    let text = if options.run.files.json {
        json(&options.run.content, &scene.styles, &inputs, &plan, &seconds, total)
    } else {
        table(&plan, &seconds, total)
    };
    say::text(text)?;
    Ok(0)
}

/// A configuration with so many iterations as fit, where a time is asked for.
///
/// # Errors
/// As [`time::fit`].
pub fn in_time(
    options: &options::Options,
    config: Config,
    scene: &Scene,
    sizes: &Sizes,
    start: Instant,
) -> Result<Config> {
    let Some(seconds) = options.finer.time else { return Ok(config) };
    let pictures: Vec<&Path> = std::iter::once(options.content.as_path()).chain(scene.files()).collect();
    let fitted = time::fit(&config, &pictures, sizes, seconds, start)?;
    say_fitted(options.quiet, seconds, &fitted);
    Ok(Config { iterations: Some(fitted.iterations), ..config })
}

/// How an evaluation is cut, in a word or two.
pub fn cut(rows: Option<usize>) -> String {
    rows.map_or("whole".into(), |rows| format!("{rows} rows"))
}

/// The sizes of the style pictures, the first of many.
pub fn styles(scale: &Scale) -> String {
    let size = |(height, width): &(usize, usize)| format!("{width}×{height}");
    match &*scale.styles {
        [first, others @ ..] if others.len() > 1 => format!("{} and {} more", size(first), others.len()),
        few => few.iter().map(size).collect::<Vec<_>>().join(" "),
    }
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
            styles(scale),
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

fn json(content: &Path, styles: &[StyleFile], inputs: &Sizes, plan: &Plan, seconds: &[f64], total: f64) -> String {
    let name = |path: &Path| path.to_string_lossy().into_owned();
    let style = |(file, style): (&StyleFile, &StyleSize)| {
        let (height, width) = style.size;
        json!({ "path": name(&file.path), "width": width, "height": height, "weight": style.weight })
    };
    let size = |&(height, width): &(usize, usize)| json!({ "width": width, "height": height });
    let scales = plan.scales.iter().zip(&plan.cuts).zip(plan.peaks.iter().zip(seconds));
    let scales = scales.map(|((scale, cut), (memory, seconds))| {
        json!({
            "width": scale.width,
            "height": scale.height,
            "styles": scale.styles.iter().map(size).collect::<Vec<_>>(),
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
        "content": { "path": name(content), "width": inputs.content.1, "height": inputs.content.0 },
        "styles": styles.iter().zip(&inputs.styles).map(style).collect::<Vec<_>>(),
        "precision": plan.network.dtype.name(),
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
