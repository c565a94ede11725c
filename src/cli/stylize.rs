//! `impasto stylize`: refuses what cannot work before the work.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use impasto::Result;
use impasto::config::{Config, Init};
use impasto::picture::{self, SaveOptions};
use impasto::transfer::plan;

use super::keeper::{self, Asked};
use super::options::Options;
use super::previews::Previews;
use super::report::Table;
use super::trace::Trace;
use super::work::{self, Job};

/// Seconds between checkpoints unless told otherwise.
const CHECKPOINT_EVERY: f64 = 60.0;

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    work::run(prepare(options)?, None, start)
}

/// Reads what is to be read and refuses what would fail later.
fn prepare(options: &Options) -> Result<Job> {
    let config = options.config()?;
    // First the inputs: without an output's name its place is the content picture's, which may not exist.
    let size = |path: &Path| picture::size(path, config.max_pixels);
    let sizes = [size(&options.content)?, size(&options.style)?];
    let scales = plan::scales(&config, sizes[0], sizes[1])?;
    let description = description(&config, &options.content, &options.style);
    let save = SaveOptions {
        sixteen_bit: options.bits == Some(16),
        description: Some(description.clone()),
        ..SaveOptions::default()
    };
    let (output, mut inputs) = (options.output(), options.inputs(&config));
    picture::check_output(&output, &save, &inputs)?;
    let longest = scales.iter().map(|scale| scale.height.max(scale.width)).max().unwrap_or_default();
    picture::check_side(&output, &save, longest)?;
    if let Some(path) = &options.trace {
        Trace::check(path, &output, &inputs)?;
        inputs.push(path);
    }
    if let Some(path) = &options.checkpoint {
        let others: Vec<_> = inputs.iter().copied().chain([output.as_path()]).collect();
        keeper::check(path, &others, options.overwrite)?;
        inputs.push(path);
    }
    let iterations = scales.iter().map(|scale| scale.iterations).sum();
    let previews = options.save_every.and_then(NonZeroU32::new);
    let previews = previews.map(|every| {
        let previews = Previews::new(every, iterations, &output, save.clone(), &inputs, options.overwrite)?;
        Ok((every.get(), previews.output().to_owned()))
    });
    let asked = Asked {
        content: options.content.clone(),
        style: options.style.clone(),
        sixteen_bit: save.sixteen_bit,
        description,
        trace: options.trace.clone(),
        previews: previews.transpose()?,
        seconds: options.checkpoint_every.unwrap_or(CHECKPOINT_EVERY),
        table: Table::default(),
        output,
    };
    Ok(Job {
        asked,
        config,
        save,
        inputs: sizes,
        scales,
        checkpoint: options.checkpoint.clone(),
        quiet: options.quiet,
        verbose: options.verbose,
    })
}

/// The recipe that goes into the file: enough to make the picture again. Names
/// of folders, which are nobody's business, and what does not change the
/// picture are left out.
fn description(config: &Config, content: &Path, style: &Path) -> String {
    let [content, style] = [content, style].map(name);
    recipe(&format!("impasto {} stylize {content} {style}", env!("CARGO_PKG_VERSION")), config)
}

/// Some words and the configuration.
pub fn recipe(words: &str, config: &Config) -> String {
    let changes_nothing = Config::default();
    let mut recipe = Config {
        threads: changes_nothing.threads,
        max_pixels: changes_nothing.max_pixels,
        max_memory: changes_nothing.max_memory,
        ..config.clone()
    };
    recipe.weights = recipe.weights.map(|path| name(&path).into());
    if let Init::File(path) = &mut recipe.init {
        *path = name(path).into();
    }
    format!("{words} {}", serde_json::to_string(&recipe).expect("a configuration with Unicode names is JSON"))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_in_the_file_does_not_depend_on_threads_or_folders() {
        let text = |threads, folder: &str| {
            let config =
                Config { threads, weights: Some(format!("{folder}/w.safetensors").into()), ..Config::default() };
            description(&config, &Path::new(folder).join("c.jpg"), Path::new("s.jpg"))
        };
        assert_eq!(text(1, "/home/someone"), text(2, "."));
        assert!(text(1, ".").contains("stylize c.jpg s.jpg {\"preset\":\"default\""), "{}", text(1, "."));
    }
}
