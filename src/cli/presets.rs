//! A configuration as people read it: the rows of the tables of presets, of
//! the defaults in each option's help, and of `-v`. All of them come from
//! [`Preset::config`], so none can say something else than the program does.
//!
//! `impasto presets` shows all of them, `impasto presets NAME` one, and `impasto presets NAME --toml` writes it as a file.

use impasto::Result;
use impasto::config::{Config, Init, Preset, ScaleRule, Scales, Schedule, file};
use impasto::objective::LayerWeight;
use serde::Serialize;

use super::{say, values};

/// Show the presets: a value for every option of stylize
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The preset to show; all of them without it
    #[arg(value_name = "NAME", value_parser = values::preset(), hide_possible_values = true)]
    name: Option<Preset>,

    /// Print NAME as a file for --config, to change and to use
    #[arg(long, requires = "name")]
    toml: bool,
}

/// Prints them.
pub fn run(options: &Options) -> Result<u8> {
    match options.name {
        Some(preset) if options.toml => say::text(toml(preset))?,
        Some(preset) => say::text(table(&[preset]))?,
        None => {
            let published: Vec<Preset> = Preset::ALL.into_iter().filter(|p| p.differs().is_some()).collect();
            say::text(format!("{}\n{}", table(&Preset::OWN), table(&published)))?;
        }
    }
    Ok(0)
}

/// A preset as a file, with what each option's help says before its value.
fn toml(preset: Preset) -> String {
    let command = super::command();
    let stylize = command.find_subcommand("stylize").expect("declared beside this one");
    let words = |name: &str| {
        let option = stylize.get_arguments().find(|option| option.get_long() == Some(name))?;
        let help = option.get_long_help().or(option.get_help())?.to_string();
        let first = help.split(" [default").next().unwrap_or_default().lines().next().unwrap_or_default();
        Some(first.trim_end_matches(':').to_owned())
    };
    let head = format!(
        "# Impasto's preset {}: {}.\n# impasto stylize photo.jpg painting.jpg --config FILE; options given there win over \
         this file.\n# A line that is left out is as in the preset named here.\n\n",
        preset.name(),
        preset.summary()
    );
    head + &file::toml(&preset.config(), words)
}

/// Every value of `config` with the name of its option.
pub fn rows(config: &Config) -> Vec<(&'static str, String)> {
    // Taken apart by name, so that a new field cannot be forgotten here.
    let Config {
        preset: _,
        size,
        style_size,
        style_scale,
        scales,
        iterations,
        until,
        content_loss,
        content_layers,
        content_weight,
        enlarged_weighs_more,
        statistic,
        refresh,
        style_layers,
        style_weight,
        variation,
        tv_weight,
        strength,
        normalize_gradients,
        canvas,
        optimizer,
        learning_rate,
        schedule,
        beta1,
        beta2,
        epsilon,
        moments,
        lbfgs_history,
        average,
        border,
        pooling,
        init,
        jitter,
        detail,
        colors,
        luminance_only,
        match_result,
        calm,
        largest_gain,
        seed,
        max_pixels,
        max_memory,
        threads,
        precision,
        conv_algorithm,
        weights,
        tone,
    } = config;
    let (scales, rule) = scales_of(scales);
    vec![
        ("size", own_size(*size)),
        ("style-size", style_size.map_or("as --size".into(), own_size)),
        ("style-scale", number(*style_scale)),
        ("max-pixels", pixels(*max_pixels)),
        ("content-weight", number(*content_weight)),
        ("style-weight", number(*style_weight)),
        ("tv-weight", number(*tv_weight)),
        ("strength", number(*strength)),
        ("content-layer", layers(content_layers)),
        ("style-layer", layers(style_layers)),
        ("content-loss", name(content_loss)),
        ("enlarged-weighs-more", on(*enlarged_weighs_more)),
        ("tv-loss", name(variation)),
        ("normalize-gradients", on(*normalize_gradients)),
        ("statistic", name(statistic)),
        ("refresh", refresh.to_string()),
        ("pooling", name(pooling)),
        ("border", name(border)),
        ("init", start(init)),
        ("jitter", jitter.to_string()),
        ("detail", number(*detail)),
        ("colors", name(colors)),
        ("luminance-only", on(*luminance_only)),
        ("match-result", on(*match_result)),
        ("calm", calm.to_string()),
        ("largest-gain", number(*largest_gain)),
        ("tone", name(tone)),
        ("scales", scales),
        ("scale-rule", rule),
        ("iterations", iterations.map_or("by scale-rule".into(), |count| count.to_string())),
        ("until", until.map_or("off".into(), |share| format!("{}%", number(100.0 * share)))),
        ("canvas", name(canvas)),
        ("optimizer", name(optimizer)),
        ("learning-rate", number(*learning_rate)),
        ("schedule", course(*schedule)),
        ("beta1", number(*beta1)),
        ("beta2", number(*beta2)),
        ("epsilon", number(*epsilon)),
        ("moments", name(moments)),
        ("lbfgs-history", lbfgs_history.to_string()),
        ("average", average.map_or("0".into(), number)),
        ("seed", seed.to_string()),
        ("max-memory", max_memory.map_or("four fifths".into(), memory)),
        ("threads", if *threads == 0 { "every core".into() } else { threads.to_string() }),
        ("precision", name(precision)),
        ("conv-algorithm", conv_algorithm.map_or("by shape".into(), |algorithm| algorithm.name().into())),
        ("weights", weights.as_ref().map_or("embedded".into(), |path| path.display().to_string())),
    ]
}

/// Some presets side by side, with what each is for.
pub fn table(presets: &[Preset]) -> String {
    let columns: Vec<_> = presets.iter().map(|preset| rows(&preset.config())).collect();
    let mut text = String::from("Presets (an option given explicitly wins, wherever it stands):\n");
    for preset in presets {
        text += &format!("{}:\n  {}\n", preset.name(), preset.summary());
        if let Some(differs) = preset.differs() {
            text += &format!("  differs in: {differs}\n");
        }
    }
    // A list takes one line per element.
    let cells = |row: usize| columns.iter().map(move |rows| rows[row].1.split(", ").collect::<Vec<&str>>());
    let all = (0..columns[0].len()).flat_map(cells).flatten().map(|cell| cell.chars().count());
    let width = all.chain(presets.iter().map(|preset| preset.name().len())).max().unwrap_or(0) + 2;
    let headings: Vec<_> = presets.iter().map(|preset| preset.name()).collect();
    text += &format!("\n{}", line("", &headings, width));
    for (i, (name, _)) in columns[0].iter().enumerate() {
        let cells: Vec<Vec<&str>> = cells(i).collect();
        for row in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let values: Vec<&str> = cells.iter().map(|cell| cell.get(row).copied().unwrap_or_default()).collect();
            text += &line(if row == 0 { name } else { "" }, &values, width);
        }
    }
    text
}

fn line(name: &str, values: &[&str], width: usize) -> String {
    let cells: String = values.iter().map(|value| format!("{value:<width$}")).collect();
    format!("{}\n", format!("  {name:<22}{cells}").trim_end())
}

/// `help`, with the default of the option called `option` in each of our own presets.
///
/// # Panics
/// If no row has that name; clap builds every help text, so any run would show it.
pub fn with_default(help: &str, option: &str) -> String {
    let value = |preset: Preset| {
        let rows = rows(&preset.config());
        rows.into_iter().find(|(name, _)| *name == option).map(|(_, value)| value).expect("a row of that name")
    };
    let usual = value(Preset::Default);
    let others: String = Preset::OWN
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

/// As `--max-memory` takes it: whole millions and thousands of millions by their letters.
fn memory(bytes: u64) -> String {
    match (bytes % 1_000_000_000, bytes % 1_000_000) {
        (0, _) => format!("{}G", bytes / 1_000_000_000),
        (_, 0) => format!("{}M", bytes / 1_000_000),
        _ => bytes.to_string(),
    }
}

fn start(init: &Init) -> String {
    match init {
        Init::File(path) => path.display().to_string(),
        Init::Blend(noise) => format!("blend:{}", number(*noise)),
        named => name(named),
    }
}

fn on(on: bool) -> String {
    if on { "on".into() } else { "off".into() }
}

/// What `--scales` and `--scale-rule` would have to say.
fn scales_of(scales: &Scales) -> (String, String) {
    let list = |rules: &[ScaleRule]| rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match scales {
        Scales::Single(iterations) => ("by scale-rule".into(), iterations.to_string()),
        Scales::Grown(rule) => ("by scale-rule".into(), list(rule)),
        Scales::Given(rule) => (list(rule), "as scales".into()),
    }
}

/// As `--schedule` takes it.
fn course(schedule: Schedule) -> String {
    match schedule {
        Schedule::CONSTANT => "1".into(),
        Schedule { end, last } if end == last => number(end),
        Schedule { end, last } => format!("{}:{}", number(end), number(last)),
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
    fn the_tables_have_a_row_for_every_value_and_help_s_fits_80_columns() {
        for preset in Preset::ALL {
            let table = table(&[preset]);
            for (name, value) in rows(&preset.config()) {
                assert!(table.lines().any(|line| line.trim_start().starts_with(name)), "{name}");
                assert!(value.split(", ").all(|part| table.contains(&format!(" {part}"))), "{name} {value}");
            }
            assert!(table.contains(preset.differs().unwrap_or_default()));
        }
        assert!(table(&Preset::OWN).lines().all(|line| line.chars().count() <= 80), "{}", table(&Preset::OWN));
    }

    #[test]
    fn a_default_names_the_presets_that_differ() {
        assert_eq!(with_default("Seed", "seed"), "Seed [default: 0]");
        let weight = |preset: Preset| number(preset.config().content_weight);
        let (fast, usual) = (weight(Preset::Fast), weight(Preset::Default));
        assert_eq!(with_default("W", "content-weight"), format!("W [default: {usual}; fast: {fast}]"));
    }
}
