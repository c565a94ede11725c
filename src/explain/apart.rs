//! Content and style apart: pictures made from what single layers know, the two rows of the first figure of Gatys, Ecker &
//! Bethge 2015.

use std::ops::ControlFlow;

use super::report::{Reconstruction, Reconstructions};
use super::{Asked, Progress, Seen, images};
use crate::config::purposes::{CONTENT_ROW, STYLE_ROW};
use crate::config::{Config, Preset, Scales};
use crate::error::Result;
use crate::transfer::{Engine, Inputs};
use crate::vgg::Layer;

/// The longest side, and the iterations of all reconstructions together.
pub const RECONSTRUCTED: (u32, u32) = (128, 10 * ITERATIONS);

/// Iterations of each.
const ITERATIONS: u32 = 80;

/// The third section; nothing if it is told to stop.
pub(super) fn apart(
    engine: &Engine,
    seen: &Seen<'_>,
    asked: &Asked<'_>,
    tell: &mut impl FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<Reconstructions>> {
    let mut all = Reconstructions { content: Vec::new(), style: Vec::new() };
    let [content, style] = [seen.inputs.content(), &seen.inputs.styles()[0]];
    let rows = CONTENT_ROW.map(|layer| (layer, false)).into_iter().chain(STYLE_ROW.map(|layer| (layer, true)));
    for (done, (layer, of_style)) in (0..).step_by(ITERATIONS as usize).zip(rows) {
        let (picture, config) = match of_style {
            false => (content, Config::content_reconstruction(layer)),
            true => (style, Config::style_reconstruction(Preset::Default, layer)),
        };
        let config = Config {
            size: RECONSTRUCTED.0.min(picture.height().max(picture.width()) as u32),
            scales: Scales::Single(ITERATIONS),
            weights: asked.config.weights.clone(),
            ..config
        };
        let plan = engine.plan(&config, picture, picture)?;
        let mut run = engine.begin(&config, &plan, Inputs::new(&config, &plan, picture, picture))?;
        while let Some(step) = run.step()? {
            if tell(Progress::Reconstruction(done + step.iteration.min(ITERATIONS))).is_break() {
                return Ok(None);
            }
        }
        let (row, words) = match of_style {
            false => (&mut all.content, ""),
            true => (&mut all.style, " --style"),
        };
        row.push(Reconstruction {
            layer: layer.to_string(),
            image: images::shown(&run.result()),
            command: command(&asked.names[usize::from(of_style)], words, layer),
        });
    }
    Ok(Some(all))
}

/// The command that makes one, but for the picture's size before.
fn command(name: &str, words: &str, layer: Layer) -> String {
    let (name, size) = (shlex::try_quote(name).unwrap_or_default(), RECONSTRUCTED.0);
    format!("impasto reconstruct {name}{words} --layer {layer} --size {size} --set scales={size}:{ITERATIONS}")
}
