//! A report as a person or a program reads it.

use super::compare::{Change, changes, differences};
use super::csv_rows::csv;
use super::row::{Kind, Report, Row};
use super::sample::NOISY;
use super::table::{Table, numbers, words, wrapped};
use crate::limits::amount;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a terminal.
    Table,
    /// Tables for a document.
    Markdown,
    /// Everything, every single repeat included; what `--compare` reads.
    Json,
    /// One line per measurement, with [what it was made on](super::csv_rows::COLUMNS).
    Csv,
}

/// What the rates mean, below the tables.
const RATES: &str = "GFLOP/s count the operations of a direct convolution, 18·H·W·in·out, whatever the algorithm saves: \
                     Winograd's may exceed 100 % of the peak. The peak is f32 multiply-adds on the same threads, \
                     measured between the repeats; also that of layers in bf16 or on tiles (amx).";

/// Writes a report, with changes since `old` if there is one.
#[must_use]
pub fn render(report: &Report, old: Option<&Report>, format: Format) -> String {
    match format {
        Format::Json => serde_json::to_string_pretty(report).expect("a report is JSON") + "\n",
        Format::Csv => csv(report, old),
        Format::Table => {
            let parts = tables(report, old).into_iter().map(|table| table.text());
            let notes = notes(report, old).into_iter().map(|note| wrapped("", &note));
            let head = head(report).into_iter().map(|(name, value)| wrapped(&name, &value)).collect::<String>();
            let all: Vec<String> = [head].into_iter().chain(parts).chain(notes).collect();
            all.join("\n")
        }
        Format::Markdown => {
            let machine =
                head(report).into_iter().map(|(name, value)| format!("- {name}{value}\n")).collect::<String>();
            let parts = tables(report, old).into_iter().map(|table| table.markdown());
            let notes = notes(report, old).into_iter().map(|note| format!("{note}\n"));
            let all: Vec<String> = [machine].into_iter().chain(parts).chain(notes).collect();
            all.join("\n")
        }
    }
}

/// The program and the machine in a few lines, each a name and what follows it.
fn head(report: &Report) -> Vec<(String, String)> {
    let m = &report.machine;
    let commit = report.commit.as_ref().map(|commit| format!("commit {commit}"));
    let program = [Some(report.version.clone()), commit, Some(m.system.clone())];
    let signature = m.signature.as_ref().map_or(String::new(), |signature| format!(" ({signature})"));
    let limit = m.cgroup_cpus.map_or(String::new(), |cpus| format!(", limited to {cpus} by the control group"));
    let nodes = m.nodes.map_or(String::new(), |nodes| format!(", {nodes} NUMA node{}", plural(nodes)));
    let mut lines = vec![
        ("Impasto ".into(), program.into_iter().flatten().collect::<Vec<_>>().join(", ")),
        ("Processor: ".into(), format!("{}{signature}", m.cpu)),
        ("Instruction sets: ".into(), format!("{}; used: {}", m.instruction_sets.join(", "), m.instruction_set)),
        ("Cores: ".into(), format!("{} of {} usable{limit}", m.usable, m.processors)),
        ("Memory: ".into(), format!("{}, {} free{nodes}", amount(m.memory), amount(m.memory_free))),
    ];
    if !m.caches.is_empty() {
        lines.push(("Caches: ".into(), m.caches.join(", ")));
    }
    lines.extend(m.governor.iter().map(|governor| ("Governor: ".into(), governor.clone())));
    lines.extend(m.load.map(|load| ("Load before: ".into(), format!("{load:.2} on average of a minute"))));
    lines
}

/// A row with its change.
type Pair<'a> = (&'a Row, Option<Change>);

fn tables(report: &Report, old: Option<&Report>) -> Vec<Table> {
    let changes = old.map_or_else(|| vec![None; report.rows.len()], |old| changes(old, report));
    let pairs: Vec<Pair<'_>> = report.rows.iter().zip(changes).collect();
    let of =
        |kinds: &[Kind]| -> Vec<Pair<'_>> { pairs.iter().filter(|(r, _)| kinds.contains(&r.kind)).copied().collect() };
    let mut tables = vec![limits(&of(&[Kind::Peak, Kind::Memory]))];
    tables.extend(by_title(&of(&[Kind::Convolution]), layers_title).map(layers));
    tables.extend(by_title(&of(&[Kind::Gram]), layers_title).map(layers));
    tables.extend(by_title(&of(&[Kind::Step]), steps_title).map(steps));
    tables.extend(by_title(&of(&[Kind::Picture]), pictures_title).map(pictures));
    tables.retain(|table| !table.rows.is_empty());
    if old.is_some() {
        // Every table's rows were given their change as a last cell.
        tables.iter_mut().for_each(|table| table.columns.push(numbers("vs old")));
    } else {
        tables.iter_mut().for_each(|table| {
            table.rows.iter_mut().chain(&mut table.totals).for_each(|row| drop(row.pop()));
        });
    }
    tables
}

/// Rows that a title is true of, together.
fn by_title<'a>(pairs: &[Pair<'a>], title: impl Fn(&Row) -> String) -> impl Iterator<Item = (String, Vec<Pair<'a>>)> {
    let mut groups: Vec<(String, Vec<Pair<'a>>)> = Vec::new();
    for &pair in pairs {
        let title = title(pair.0);
        match groups.iter_mut().find(|(known, _)| *known == title) {
            Some((_, group)) => group.push(pair),
            None => groups.push((title, vec![pair])),
        }
    }
    groups.into_iter()
}

fn layers_title(row: &Row) -> String {
    let what = if row.kind == Kind::Gram { "Gram matrices" } else { "Convolutions" };
    let threads = format!("{} thread{}", row.threads, plural(row.threads));
    format!("{what}, {}, {}, {threads}{}", row.direction, row.precision, asked_for(row))
}

fn steps_title(row: &Row) -> String {
    format!("Whole steps of the preset {}, {}{}", row.name, row.precision, asked_for(row))
}

fn pictures_title(row: &Row) -> String {
    format!("Whole pictures, {}{}", row.precision, asked_for(row))
}

fn asked_for(row: &Row) -> String {
    if row.forced { format!(", {} asked for", row.algorithm) } else { String::new() }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn limits(pairs: &[Pair<'_>]) -> Table {
    let cells = |&(row, change): &Pair<'_>| {
        let (what, unit) = match row.kind {
            Kind::Peak if row.name == "amx" => ("amx, bf16 in L1".into(), "GFLOP/s"),
            Kind::Peak => (format!("{}, {}", row.name, row.precision), "GFLOP/s"),
            _ => (format!("memory, {}", row.name), "GB/s"),
        };
        let rate = format!("{:.1} {unit}", row.rate() / 1e9);
        vec![what, row.threads.to_string(), rate, spread(row), changed(change)]
    };
    Table {
        title: "Limits: multiply-adds and memory, best of the repeats".into(),
        columns: vec![words("of"), numbers("threads"), numbers("rate"), numbers("spread")],
        rows: pairs.iter().map(cells).collect(),
        totals: Vec::new(),
    }
}

fn layers((title, pairs): (String, Vec<Pair<'_>>)) -> Table {
    let cells = |&(row, change): &Pair<'_>| {
        vec![
            row.name.clone(),
            format!("{}²", row.map[0]),
            format!("{}→{}", row.channels[0], row.channels[1]),
            row.algorithm.clone(),
            milliseconds(row.seconds.median),
            spread(row),
            format!("{:.0}", row.rate() / 1e9),
            percent(row.efficiency()),
            changed(change),
        ]
    };
    Table {
        title,
        columns: vec![
            words("layer"),
            numbers("map").spare(2),
            numbers("channels").spare(3),
            words("algorithm"),
            numbers("ms"),
            numbers("spread"),
            numbers("GFLOP/s").spare(1),
            numbers("% peak"),
        ],
        rows: pairs.iter().map(cells).collect(),
        totals: total(&pairs).into_iter().collect(),
    }
}

/// All layers together: times and operations add up, the peak is their times' mean.
fn total(pairs: &[Pair<'_>]) -> Option<Vec<String>> {
    let rows = || pairs.iter().map(|(row, _)| *row);
    let seconds: f64 = rows().map(|row| row.seconds.median).sum();
    let work: f64 = rows().map(|row| row.work as f64).sum();
    let possible: f64 = rows().map(|row| row.peak.unwrap_or(f64::NAN) * row.seconds.median).sum();
    (pairs.len() > 1).then(|| {
        let [layer, rate] = ["all".to_owned(), format!("{:.0}", work / seconds / 1e9)];
        let empty = String::new;
        let share = percent(Some(work / possible));
        vec![layer, empty(), empty(), empty(), milliseconds(seconds), empty(), rate, share, empty()]
    })
}

fn steps((title, pairs): (String, Vec<Pair<'_>>)) -> Table {
    let cells = |&(row, change): &Pair<'_>| {
        vec![
            format!("{}²", row.map[0]),
            row.threads.to_string(),
            format!("{:.3}", row.seconds.median),
            format!("{:.3}–{:.3}", row.seconds.min, row.seconds.max),
            spread(row),
            scaling(row, &pairs),
            format!("{:.0}", row.rate() / 1e9),
            percent(row.efficiency()),
            megabytes(row),
            changed(change),
        ]
    };
    Table {
        title,
        columns: vec![
            numbers("size"),
            numbers("threads"),
            numbers("s/step"),
            numbers("range").spare(3),
            numbers("spread"),
            numbers("scaling").spare(1),
            numbers("GFLOP/s").spare(2),
            numbers("% peak"),
            numbers("MB"),
        ],
        rows: pairs.iter().map(cells).collect(),
        totals: Vec::new(),
    }
}

fn pictures((title, pairs): (String, Vec<Pair<'_>>)) -> Table {
    let cells = |&(row, change): &Pair<'_>| {
        vec![
            row.name.clone(),
            format!("{}²", row.map[0]),
            row.threads.to_string(),
            format!("{:.1}", row.seconds.median),
            format!("{:.1}–{:.1}", row.seconds.min, row.seconds.max),
            spread(row),
            row.seconds.all.len().to_string(),
            scaling(row, &pairs),
            megabytes(row),
            changed(change),
        ]
    };
    Table {
        title,
        columns: vec![
            words("preset"),
            numbers("size"),
            numbers("threads"),
            numbers("s"),
            numbers("range").spare(1),
            numbers("spread"),
            numbers("runs"),
            numbers("scaling").spare(2),
            numbers("MB"),
        ],
        rows: pairs.iter().map(cells).collect(),
        totals: Vec::new(),
    }
}

/// How many times as fast as on the fewest threads that were measured.
fn scaling(row: &Row, pairs: &[Pair<'_>]) -> String {
    let same = |other: &&Row| other.same_thing(&Row { threads: other.threads, ..row.clone() });
    let slowest = pairs.iter().map(|(row, _)| *row).filter(same).min_by_key(|other| other.threads).unwrap_or(row);
    format!("{:.2}×", slowest.seconds.median / row.seconds.median)
}

/// The most memory, as a number.
fn megabytes(row: &Row) -> String {
    row.memory.map_or_else(|| "–".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6))
}

/// What has to be known to read the tables.
fn notes(report: &Report, old: Option<&Report>) -> Vec<String> {
    let mut notes = Vec::new();
    if report.rows.iter().any(|row| row.peak.is_some()) {
        notes.push(RATES.to_owned());
    }
    let errors = report.rows.iter().filter_map(|row| row.error);
    if let Some(worst) = errors.max_by(f64::total_cmp) {
        notes.push(format!("Every kernel was verified before it was timed: relative RMS error at most {worst:.1e}."));
    }
    let noisy = report.rows.iter().filter(|row| row.seconds.noisy()).count();
    if noisy > 0 {
        notes.push(format!(
            "Warning: {noisy} of {} measurements are noisy (marked !): their quartiles lie more than {:.0} % of the \
             median apart. Stop other programs, or give more --repeats.",
            report.rows.len(),
            100.0 * NOISY
        ));
    }
    if let Some(old) = old {
        let meaning = "vs old: new rate over old rate, above 1 is faster now; ~ where the ranges of both overlap.";
        notes.push(meaning.to_owned());
        for line in differences(old, report) {
            notes.push(format!("Warning: {line}."));
        }
    }
    notes
}

/// Four significant digits, at most three of them behind the point.
fn milliseconds(seconds: f64) -> String {
    let ms = 1e3 * seconds;
    let decimals = if ms < 10.0 { 3 } else { usize::from(ms < 1000.0) + usize::from(ms < 100.0) };
    format!("{ms:.decimals$}")
}

/// The distance of the quartiles as a part of the median.
fn spread(row: &Row) -> String {
    let part = 100.0 * row.seconds.iqr / row.seconds.median;
    if row.seconds.noisy() { format!("!{part:.0}%") } else { format!("{part:.1}%") }
}

fn percent(part: Option<f64>) -> String {
    part.map_or_else(|| "–".into(), |part| format!("{:.0}", 100.0 * part))
}

fn changed(change: Option<Change>) -> String {
    change.map_or_else(
        || "–".into(),
        |change| format!("{}{:.2}×", if change.within_noise { "~" } else { "" }, change.ratio),
    )
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::report;
    use super::super::sample::Sample;
    use super::super::table::WIDTH;
    use super::*;

    #[test]
    fn a_table_has_every_measurement_and_says_what_it_was_made_on() {
        let (mut old, new) = (report(), report());
        old.machine.cpu = "Old CPU".into();
        for old in [None, Some(&old)] {
            let text = render(&new, old, Format::Table);
            let head =
                ["commit 0123abc", "Some CPU", "limited to 2 by", "1 NUMA node", "L2 2 MiB", "performance", "0.25"];
            let rows = ["avx2, f32", "Convolutions, forward", "relu1_1", "1.125", "Whole pictures, f32", "fast", "8.2"];
            for part in head.iter().chain(&rows) {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert_eq!(text.contains("the processor was Old CPU"), old.is_some());
        }
    }

    #[test]
    fn lines_have_sixty_characters_at_most() {
        let mut report = report();
        report.machine.cpu = "Genuine Example(R) Xeon(R) Platinum 8581C CPU with a long name @ 2.10GHz".into();
        report.machine.signature = Some("family 6 model 207 stepping 2".into());
        report.machine.caches =
            ["L1d 48 KiB", "L2 2 MiB", "L3 260 MiB", "L4 1024 MiB", "L5 2048 MiB"].map(Into::into).into();
        for row in &mut report.rows {
            row.threads = 128;
            row.algorithm = "amx-split".into();
            row.precision = "bf16".into();
            row.forced = true;
            row.map = row.map.map(|side| 8 * side);
            row.memory = row.memory.map(|bytes| 100 * bytes);
            row.seconds = Sample::new(row.seconds.all.iter().map(|s| 10.0 * s).collect());
            row.work *= 10_000;
        }
        report.rows.insert(1, Row { name: "amx".into(), ..report.rows[0].clone() });
        for old in [None, Some(&report)] {
            let text = render(&report, old, Format::Table);
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        }
    }

    #[test]
    fn the_tile_units_peak_is_told_from_the_vectors() {
        let mut report = report();
        report.rows.insert(1, Row { name: "amx".into(), precision: "bf16".into(), ..report.rows[0].clone() });
        let text = render(&report, None, Format::Table);
        assert!(text.contains("avx2, f32 ") && text.contains("amx, bf16 in L1 "), "{text}");
    }

    #[test]
    fn directions_are_summed_up_where_there_are_several_layers() {
        let mut report = report();
        assert!(!render(&report, None, Format::Table).contains("all "));
        let mut second = report.rows[2].clone();
        second.name = "relu1_2".into();
        second.seconds = Sample::new(vec![0.009]);
        report.rows.insert(3, second);
        let text = render(&report, None, Format::Table);
        // 4 GFLOP in 20 ms.
        let all = text.lines().find(|line| line.trim_start().starts_with("all")).unwrap();
        assert!(all.contains("20.00") && all.contains("200"), "{all}");
    }

    #[test]
    fn noise_is_marked_and_warned_of() {
        let text = render(&report(), None, Format::Table);
        assert!(text.contains("!50%") && text.contains("1 of 6 measurements are noisy"), "{text}");
        let mut quiet = report();
        quiet.rows.retain(|row| !row.seconds.noisy());
        assert!(!render(&quiet, None, Format::Table).contains('!'));
    }

    #[test]
    fn markdown_tables_have_as_many_cells_in_every_line() {
        let markdown = render(&report(), Some(&report()), Format::Markdown);
        for table in markdown.split("### ").skip(1) {
            let bars: Vec<usize> =
                table.lines().filter(|l| l.starts_with('|')).map(|l| l.matches('|').count()).collect();
            assert!(bars.len() >= 3 && bars.iter().all(|&count| count == bars[0]), "{table}");
        }
        assert!(markdown.contains("~1.00×"));
    }

    #[test]
    fn json_is_what_compare_reads() {
        let json = render(&report(), None, Format::Json);
        assert_eq!(super::super::compare::read("a", json.as_bytes()).unwrap(), report());
    }

    #[test]
    fn scaling_is_relative_to_the_fewest_threads() {
        let mut report = report();
        let step = report.rows.remove(4);
        let alone = Row { threads: 1, seconds: Sample::new(vec![2.25]), ..step.clone() };
        report.rows = vec![alone, step];
        let text = render(&report, None, Format::Table);
        assert!(text.contains("1.00×") && text.contains("2.00×"), "{text}");
    }

    #[test]
    fn times_have_four_digits() {
        assert_eq!([0.000_123_4, 0.012_34, 0.1234, 1.5].map(milliseconds), ["0.123", "12.34", "123.4", "1500"]);
    }
}
