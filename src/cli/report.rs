//! What is read at the end: the losses at the paper's iterations.

use impasto::config::Config;
use impasto::objective::Statistic;
use impasto::transfer::Step;
use serde::{Deserialize, Serialize};

/// The iterations the paper reports.
pub const MILESTONES: [u32; 4] = [1, 10, 30, 60];

/// The losses that a run has, by the names they are shown under.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    content: bool,
    style: bool,
    /// What is to grow, in place of a style.
    activation: bool,
}

impl Shown {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let activation = matches!(config.statistic, Statistic::Activation(_));
        Shown { content: !config.content_layers.is_empty(), style: config.compares_style(), activation }
    }

    /// Of content, style and variation those that there are, with the variation under the name `variation`.
    pub fn losses(self, losses: [f64; 3], variation: &'static str) -> Vec<(&'static str, f64)> {
        let [content, style, tv] = losses;
        let all = [
            ("content", content, self.content),
            ("style", style, self.style),
            ("activation", -style, self.activation),
            (variation, tv, true),
        ];
        all.into_iter().filter(|(.., shown)| *shown).map(|(name, loss, _)| (name, loss)).collect()
    }
}

/// The losses of a few iterations, as a table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Table(Vec<(String, [f64; 3])>);

impl Table {
    /// Takes the iteration in if the table shows it.
    pub fn step(&mut self, step: &Step<'_>) {
        if let Some(name) = row_name(step.iteration, step.last) {
            self.0.push((name, [step.content, step.style, step.tv]));
        }
    }

    /// The table's lines; none before the first iteration.
    pub fn lines(&self, shown: Shown) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let names = shown.losses([0.0; 3], "tv (denoise)").into_iter().map(|(name, _)| name.to_owned()).collect();
        let rows = self.0.iter().map(|(name, losses)| {
            let losses = shown.losses(*losses, "tv (denoise)").into_iter().map(|(_, loss)| significant(loss));
            (name.clone(), losses.collect::<Vec<_>>())
        });
        let line = |(name, cells): (String, Vec<String>)| {
            let cells: String = cells.iter().map(|cell| format!("  {cell:>11}")).collect();
            format!("{name:>9}{cells}\n")
        };
        std::iter::once(("iteration".to_owned(), names)).chain(rows).map(line).collect()
    }
}

fn row_name(iteration: u32, last: bool) -> Option<String> {
    if last { Some("end".into()) } else { MILESTONES.contains(&iteration).then(|| iteration.to_string()) }
}

/// A number with four significant digits.
pub fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size @ 1e-3..1e6 => {
            let decimals = (3 - size.log10().floor() as i32).max(0);
            format!("{value:.*}", decimals as usize)
        }
        _ => format!("{value:.3e}"),
    }
}

/// Seconds as a person says them: `0.4 s`, `2 min 5 s`, `1 h 2 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use impasto::config::Preset;
    use impasto::vgg::Layer;

    use super::*;

    #[test]
    fn losses_have_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1.000"),
            (0.012345, "0.01235"),
            (999_999.0, "999999"),
            (12.345, "12.35"),
            (1.2345e9, "1.234e9"),
            (2.5e-7, "2.500e-7"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn the_table_shows_the_papers_iterations_and_the_end() {
        let shown: Vec<u32> = (1..=100).filter(|&i| row_name(i, false).is_some()).collect();
        assert_eq!(shown, MILESTONES);
        assert_eq!(row_name(61, true).as_deref(), Some("end"));
        let table = Table(vec![("10".into(), [1.0, 2.5e7, 0.5])]);
        let all = Shown::of(&Config::default());
        let lines = table.lines(all);
        assert_eq!(lines.lines().next(), Some("iteration      content        style  tv (denoise)"));
        assert_eq!(lines.lines().nth(1), Some("       10        1.000      2.500e7       0.5000"));
        let texture = Shown::of(&Config::texture(Preset::Default));
        assert_eq!(table.lines(texture).lines().nth(1), Some("       10      2.500e7       0.5000"));
        let dream = Shown::of(&Config::dream(Layer::relu(4, 3), None, 64, (1, 1)));
        assert_eq!(table.lines(dream).lines().nth(1), Some("       10     -2.500e7       0.5000"));
        assert!(Table::default().lines(all).is_empty());
    }

    #[test]
    fn durations_are_said_in_few_words() {
        assert_eq!(duration(0.44), "0.4 s");
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(125.0), "2 min 5 s");
        assert_eq!(duration(3720.0), "1 h 2 min");
    }
}
