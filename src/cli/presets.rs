//! A configuration as people read it: the rows of help's table of presets, of
//! the defaults in each option's help, and of `-v`. All of them come from
//! [`Preset::config`], so none can say something else than the program does.

use impasto::config::{Config, Init, Preset, Pyramid};
use impasto::objective::LayerWeight;
use serde::Serialize;

/// Width of a preset's column in the table.
const COLUMN: usize = 24;

/// Every value of `config` with the name of its option; what has no option
/// belongs to the preset and is named in words.
pub fn rows(config: &Config) -> Vec<(&'static str, String)> {
    // Taken apart by name, so that a new field cannot be forgotten here.
    let Config {
        preset: _,
        size,
        style_size,
        iterations,
        pyramid,
        losses,
        content_layers,
        style_layers,
        content_weight,
        style_weight,
        tv_weight,
        learning_rate,
        beta1,
        beta2,
        epsilon,
        average,
        border,
        pooling,
        init,
        seed,
        max_pixels,
        threads,
        precision,
        conv_algorithm,
        weights,
        tone,
    } = config;
    vec![
        ("size", own_size(*size)),
        ("style-size", style_size.map_or("as --size".into(), own_size)),
        ("max-pixels", pixels(*max_pixels)),
        ("content-weight", number(*content_weight)),
        ("style-weight", number(*style_weight)),
        ("tv-weight", number(*tv_weight)),
        ("content-layer", layers(content_layers)),
        ("style-layer", layers(style_layers)),
        ("pooling", name(pooling)),
        ("tone", name(tone)),
        ("iterations", iterations.to_string()),
        ("learning-rate", number(*learning_rate)),
        ("init", start(init)),
        ("seed", seed.to_string()),
        ("threads", if *threads == 0 { "every core".into() } else { threads.to_string() }),
        ("precision", name(precision)),
        ("conv-algorithm", conv_algorithm.map_or("by shape".into(), |algorithm| algorithm.name().into())),
        ("weights", weights.as_ref().map_or("embedded".into(), |path| path.display().to_string())),
        ("scales", scales(pyramid)),
        ("loss formulas", name(losses)),
        ("border", name(border)),
        ("Adam's beta1", number(*beta1)),
        ("Adam's beta2", number(*beta2)),
        ("Adam's epsilon", number(*epsilon)),
        ("result", average.map_or("last iterate".into(), |decay| format!("average, decay {}", number(decay)))),
    ]
}

/// The presets side by side.
pub fn table() -> String {
    let columns: Vec<_> = Preset::ALL.iter().map(|preset| rows(&preset.config())).collect();
    let mut text = String::from("Presets (an option given explicitly wins, wherever it stands):\n");
    for preset in Preset::ALL {
        text += &format!("{}:\n  {}\n", preset.name(), preset.summary());
    }
    let headings: Vec<_> = Preset::ALL.iter().map(|preset| preset.name()).collect();
    text += &format!("\n{}", line("", &headings));
    for (i, (name, _)) in columns[0].iter().enumerate() {
        // A list of layers takes one line per layer.
        let cells: Vec<Vec<&str>> = columns.iter().map(|rows| rows[i].1.split(", relu").collect()).collect();
        for row in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let values: Vec<String> = cells.iter().map(|cell| cell_line(cell, row)).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            text += &line(if row == 0 { name } else { "" }, &values);
        }
    }
    text
}

fn cell_line(cell: &[&str], row: usize) -> String {
    match (cell.get(row), row) {
        (None, _) => String::new(),
        (Some(first), 0) => (*first).to_owned(),
        (Some(rest), _) => format!("relu{rest}"),
    }
}

fn line(name: &str, values: &[&str]) -> String {
    let cells: String = values.iter().map(|value| format!("{value:<COLUMN$}")).collect();
    format!("{}\n", format!("  {name:<18}{cells}").trim_end())
}

/// `help`, with the default of the option called `option` in each preset.
///
/// # Panics
/// If no row has that name; clap builds every help text, so any run would show it.
pub fn with_default(help: &str, option: &str) -> String {
    let value = |preset: Preset| {
        let rows = rows(&preset.config());
        rows.into_iter().find(|(name, _)| *name == option).map(|(_, value)| value).expect("a row of that name")
    };
    let usual = value(Preset::Default);
    let others: String = Preset::ALL
        .iter()
        .map(|&preset| (preset, value(preset)))
        .filter(|(_, value)| *value != usual)
        .map(|(preset, value)| format!("; {}: {value}", preset.name()))
        .collect();
    let gap = if help.ends_with('\n') { "" } else { " " };
    format!("{help}{gap}[default: {usual}{others}]")
}

/// The name of an enum's value in the trace, which is also its name on the command line.
pub fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a unit variant is serialised as its name, not as {other:?}"),
    }
}

fn own_size(size: u32) -> String {
    if size == 0 { "its own".into() } else { size.to_string() }
}

fn pixels(count: u64) -> String {
    if count > 0 && count.is_multiple_of(1_000_000) { format!("{}M", count / 1_000_000) } else { count.to_string() }
}

fn start(init: &Init) -> String {
    match init {
        Init::File(path) => path.display().to_string(),
        named => name(named),
    }
}

fn scales(pyramid: &Pyramid) -> String {
    match pyramid {
        Pyramid::Single => "one".into(),
        Pyramid::From { smallest } => format!("from {smallest} px by √2"),
    }
}

fn layers(layers: &[LayerWeight]) -> String {
    let all: Vec<String> = layers
        .iter()
        .map(|l| if l.weight == 1.0 { l.layer.to_string() } else { format!("{}:{}", l.layer, number(l.weight)) })
        .collect();
    all.join(", ")
}

/// A number in the shortest way, rounded to four significant digits.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-3..1e6).contains(&rounded.abs()) { format!("{rounded:e}") } else { rounded.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(256.0 / 341.0, "0.7507"), (1e-7, "1e-7"), (0.0, "0"), (2.0, "2"), (0.015, "0.015"), (1.5e7, "1.5e7")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_table_has_a_row_for_every_value_and_fits_80_columns() {
        let table = table();
        for (name, value) in Preset::ALL.iter().flat_map(|preset| rows(&preset.config())) {
            assert!(table.lines().any(|line| line.trim_start().starts_with(name)), "{name}");
            assert!(value.split(", ").all(|part| table.contains(&format!(" {part}"))), "{name} {value}");
            assert!(value.split(", relu").all(|part| part.chars().count() < COLUMN), "{name} {value}");
        }
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }

    #[test]
    fn a_default_names_the_presets_that_differ() {
        assert_eq!(with_default("Seed", "seed"), "Seed [default: 0]");
        let iterations = |preset: Preset| preset.config().iterations;
        assert_eq!(
            with_default("N", "iterations"),
            format!("N [default: {}; paper: {}]", iterations(Preset::Default), iterations(Preset::Paper))
        );
    }
}
