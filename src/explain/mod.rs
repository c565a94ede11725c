//! A run, explained: everything of it that can be seen, gathered while it is made and after it.
//!
//! ```text
//!   Plan, Inputs ──▶ Run: step, step, … ──▶ film.rs      1 what happened, 7 how the optimiser moves
//!                          │
//!                          ├─▶ features.rs    2 what the network sees
//!                          ├─▶ apart.rs       3 content and style apart
//!                          ├─▶ matrices.rs    4 what style is
//!                          ├─▶ pulls.rs       5 where the gradient comes from
//!                          ├─▶ computed.rs    6 how it is computed
//!                          └─▶ source.rs      8 do it yourself
//!                                   │
//!                               Report ──▶ page.rs: one file that any browser opens
//! ```
//!
//! The run is not disturbed: its picture is the one that it makes by itself.

mod apart;
mod computed;
mod features;
mod film;
mod images;
mod matrices;
mod page;
mod pulls;
pub mod report;
mod source;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::autograd::Cancel;
use crate::bench::Machine;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::objective::{LayerWeight, Listener, Viewer};
use crate::picture::Picture;
use crate::tensor::FeatureMap;
use crate::transfer::{End, Engine, Inputs, Outcome, Plan, Run, Step};

pub use apart::RECONSTRUCTED;
use film::Film;
pub use page::page;
use report::{Goal, Report, Weighted};

/// A section of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// What happened.
    Run,
    /// What the network sees.
    Features,
    /// Content and style apart.
    Reconstructions,
    /// What style is.
    Statistic,
    /// Where the gradient comes from.
    Gradient,
    /// How it is computed.
    Tape,
    /// How the optimiser moves.
    Optimizer,
    /// Do it yourself.
    Source,
}

impl Section {
    /// All, in the order of the page.
    pub const ALL: [Section; 8] = [
        Section::Run,
        Section::Features,
        Section::Reconstructions,
        Section::Statistic,
        Section::Gradient,
        Section::Tape,
        Section::Optimizer,
        Section::Source,
    ];

    /// Its name, as `--only` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Section::Run => "run",
            Section::Features => "features",
            Section::Reconstructions => "reconstructions",
            Section::Statistic => "statistic",
            Section::Gradient => "gradient",
            Section::Tape => "tape",
            Section::Optimizer => "optimizer",
            Section::Source => "source",
        }
    }
}

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// What it was made with.
    pub config: &'a Config,
    /// Which sections.
    pub sections: &'a [Section],
    /// The command that makes the picture.
    pub command: String,
    /// The preset's name.
    pub preset: String,
    /// The names of the content and the first style picture, for commands.
    pub names: [String; 2],
}

/// How far it is.
pub enum Progress<'a> {
    /// An iteration has been made.
    Step(&'a Step<'a>),
    /// A section is begun.
    Section(Section),
    /// So many iterations of all reconstructions have been made.
    Reconstruction(u32),
}

/// Makes a run and explains it, in a [share](Engine::share) of the engine's threads. A run that is told to stop is explained
/// as far as it went, without reconstructions.
///
/// # Errors
/// Those of a run; [`Error::Usage`] for one that is evaluated in strips: it has no tape to be shown.
pub fn explain(
    engine: &Engine,
    plan: &Plan,
    inputs: Inputs,
    asked: &Asked<'_>,
    cancel: Cancel,
    mut tell: impl FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<(Report, Outcome)> {
    if plan.cuts.iter().any(|cut| cut.picture.is_some()) {
        return Err(Error::Usage("a run in strips has no tape to be shown; choose a smaller --size".into()));
    }
    let seen = Seen { plan, viewer: engine.network(plan)?, inputs: inputs.clone() };
    let mut run = engine.begin(asked.config, plan, inputs)?;
    run.heed(Listener { cancel, ..Listener::default() });
    let mut film = Film::new(asked.config, plan, &run);
    let end = shoot(&mut run, &mut film, &mut tell);
    let (first, point, iterations) = (film.first.clone(), run.point().clone(), run.iterations());
    let outcome = Outcome { iterations, picture: run.result(), end };

    let finished = matches!(outcome.end, End::Finished);
    let mut has = |section: Section| {
        let asked = asked.sections.contains(&section);
        if asked {
            let _ = tell(Progress::Section(section));
        }
        asked
    };
    let features = has(Section::Features).then(|| features::features(&seen, &point));
    let statistic = has(Section::Statistic).then(|| matrices::statistic(&seen, &first, &point));
    let gradient = has(Section::Gradient).then(|| pulls::gradient(&seen, &film, (iterations, &point)));
    let tape = has(Section::Tape).then(|| computed::tape(&seen, &point));
    let source = has(Section::Source).then(|| source::source(&seen));
    let reconstructed = finished && has(Section::Reconstructions);
    let reconstructions = reconstructed.then(|| apart::apart(engine, &seen, asked, &mut tell));
    let machine = Machine::detect();
    let styles = seen.inputs.styles();
    let report = Report {
        program: format!("impasto {}", env!("CARGO_PKG_VERSION")),
        command: asked.command.clone(),
        preset: asked.preset.clone(),
        machine: report::Machine {
            processor: machine.cpu,
            isa: machine.instruction_set,
            threads: rayon::current_num_threads(),
        },
        goal: goal(plan, asked.config),
        content: images::whole(seen.inputs.content()),
        style: images::whole(&styles[0]),
        result: images::lossless(&outcome.picture),
        optimizer: asked.sections.contains(&Section::Optimizer).then(|| film.optimizer()),
        run: asked.sections.contains(&Section::Run).then(|| film.run()),
        features,
        reconstructions: reconstructions.transpose()?.flatten(),
        statistic,
        gradient,
        tape: tape.transpose()?,
        source,
    };
    Ok((report, outcome))
}

/// What everything after the run looks at.
struct Seen<'a> {
    plan: &'a Plan,
    viewer: Viewer,
    /// As they were before the run.
    inputs: Inputs,
}

impl Seen<'_> {
    fn content(&self) -> FeatureMap {
        map(self.inputs.content())
    }

    /// The first of the style pictures.
    fn style(&self) -> FeatureMap {
        map(&self.inputs.styles()[0])
    }
}

fn map(picture: &Picture) -> FeatureMap {
    FeatureMap::from_array(picture.rgb.clone())
}

/// Makes the run, and takes everything down.
fn shoot(run: &mut Run<'_>, film: &mut Film<'_>, tell: &mut impl FnMut(Progress<'_>) -> ControlFlow<()>) -> End {
    loop {
        let stopped = match run.step() {
            Ok(Some(step)) => {
                film.step(&step);
                tell(Progress::Step(&step)).is_break() && !step.last
            }
            Ok(None) => return End::Finished,
            Err(Error::Cancelled) => return End::Stopped,
            Err(error) => return End::Diverged(error),
        };
        film.moved(run);
        if stopped {
            return End::Stopped;
        }
    }
}

fn goal(plan: &Plan, config: &Config) -> Goal {
    let goal = &plan.goal;
    let weighted = |layers: &[LayerWeight]| {
        layers.iter().map(|l| Weighted { layer: l.layer.to_string(), weight: l.weight }).collect()
    };
    Goal {
        content_loss: word(&goal.content_loss),
        content_layers: weighted(&goal.content_layers),
        statistic: word(&goal.statistic),
        style_layers: weighted(&by_depth(&goal.style_layers)),
        variation: word(&goal.variation),
        content_weight: config.content_weight,
        style_weight: goal.style_weight,
        tv_weight: goal.tv_weight,
    }
}

/// As an evaluation tells them: in the network's order.
fn by_depth(layers: &[LayerWeight]) -> Vec<LayerWeight> {
    let mut layers = layers.to_vec();
    layers.sort_by_key(|layer| layer.layer);
    layers
}

/// The name of an option's value.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a value has a name, not {other:?}"),
    }
}
