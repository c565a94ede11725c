//! A report as a person or a program reads it.

use super::compare::{Change, changes, differences};
use super::row::{Kind, Report, Row};
use super::sample::NOISY;
use super::table::{Table, numbers, words};
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
    /// One line per measurement.
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
            let notes = notes(report, old).into_iter().map(|note| wrapped(&note, 80));
            let all: Vec<String> = [machine(report)].into_iter().chain(parts).chain(notes).collect();
            all.join("\n")
        }
        Format::Markdown => {
            let machine = machine(report).lines().map(|line| format!("- {}\n", line.trim())).collect::<String>();
            let parts = tables(report, old).into_iter().map(|table| table.markdown());
            let notes = notes(report, old).into_iter().map(|note| format!("{note}\n"));
            let all: Vec<String> = [machine].into_iter().chain(parts).chain(notes).collect();
            all.join("\n")
        }
    }
}

/// The machine in a few lines.
fn machine(report: &Report) -> String {
    let m = &report.machine;
    let signature = m.signature.as_ref().map_or(String::new(), |signature| format!(" ({signature})"));
    let limit = m.cgroup_cpus.map_or(String::new(), |cpus| format!(", limited to {cpus} by the control group"));
    let mut text = format!("Impasto {}, {}\n", report.version, m.system);
    text += &format!("Processor: {}{signature}\n", m.cpu);
    text += &format!("Instruction sets: {}; used: {}\n", m.instruction_sets.join(", "), m.instruction_set);
    text += &format!("Cores: {} of {} usable{limit}\n", m.usable, m.processors);
    text += &format!("Memory: {}, {} free\n", amount(m.memory), amount(m.memory_free));
    text
}

/// A row with its change.
type Pair<'a> = (&'a Row, Option<Change>);

fn tables(report: &Report, old: Option<&Report>) -> Vec<Table> {
    let changes = old.map_or_else(|| vec![None; report.rows.len()], |old| changes(old, report));
    let pairs: Vec<Pair<'_>> = report.rows.iter().zip(changes).collect();
    let of =
        |kinds: &[Kind]| -> Vec<Pair<'_>> { pairs.iter().filter(|(r, _)| kinds.contains(&r.kind)).copied().collect() };
    let mut tables = vec![limits(&of(&[Kind::Peak, Kind::Memory]))];
    tables.extend(by_group(&of(&[Kind::Convolution])).map(|rows| layers("Convolutions", &rows)));
    tables.extend(by_group(&of(&[Kind::Gram])).map(|rows| layers("Gram matrices", &rows)));
    tables.push(steps(&of(&[Kind::Step])));
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

/// Rows with the same precision and threads, and the same algorithm if it was asked for, together.
fn by_group<'a>(pairs: &[Pair<'a>]) -> impl Iterator<Item = Vec<Pair<'a>>> {
    let mut groups: Vec<Vec<Pair<'a>>> = Vec::new();
    let key = |row: &Row| (row.precision.clone(), row.threads, row.forced.then(|| row.algorithm.clone()));
    for &pair in pairs {
        match groups.iter_mut().find(|group| key(group[0].0) == key(pair.0)) {
            Some(group) => group.push(pair),
            None => groups.push(vec![pair]),
        }
    }
    groups.into_iter()
}

fn limits(pairs: &[Pair<'_>]) -> Table {
    let cells = |&(row, change): &Pair<'_>| {
        let (what, unit) = match row.kind {
            Kind::Peak if row.name == "amx" => ("amx multiply-add, bf16, operands in L1".into(), "GFLOP/s"),
            Kind::Peak => (format!("{} multiply-add, {}", row.name, row.precision), "GFLOP/s"),
            _ => (format!("memory, {}", row.name), "GB/s"),
        };
        let rate = format!("{:.1} {unit}", row.rate() / 1e9);
        vec![what, row.threads.to_string(), rate, spread(row), changed(change)]
    };
    Table {
        title: "Limits, best of the repeats".into(),
        columns: vec![words("of"), numbers("threads"), numbers("rate"), numbers("spread")],
        rows: pairs.iter().map(cells).collect(),
        totals: Vec::new(),
    }
}

fn layers(title: &str, pairs: &[Pair<'_>]) -> Table {
    let cells = |&(row, change): &Pair<'_>| {
        vec![
            row.name.clone(),
            format!("{}²", row.map[0]),
            format!("{}→{}", row.channels[0], row.channels[1]),
            row.direction.clone(),
            row.algorithm.clone(),
            milliseconds(row.seconds.median),
            spread(row),
            format!("{:.0}", row.rate() / 1e9),
            percent(row.efficiency()),
            changed(change),
        ]
    };
    let (first, _) = pairs[0];
    let forced = if first.forced { format!(", {} asked for", first.algorithm) } else { String::new() };
    Table {
        title: format!("{title}, {}, {}{forced}", first.precision, threads(first.threads)),
        columns: vec![
            words("layer"),
            numbers("map"),
            numbers("channels"),
            words("direction"),
            words("algorithm"),
            numbers("ms"),
            numbers("spread"),
            numbers("GFLOP/s"),
            numbers("% peak"),
        ],
        rows: pairs.iter().map(cells).collect(),
        totals: ["forward", "backward"].iter().filter_map(|direction| total(pairs, direction)).collect(),
    }
}

/// All layers of a direction together: times and operations add up, the peak is their times' mean.
fn total(pairs: &[Pair<'_>], direction: &str) -> Option<Vec<String>> {
    let rows: Vec<&Row> = pairs.iter().map(|(row, _)| *row).filter(|row| row.direction == direction).collect();
    let seconds: f64 = rows.iter().map(|row| row.seconds.median).sum();
    let work: f64 = rows.iter().map(|row| row.work as f64).sum();
    let possible: f64 = rows.iter().map(|row| row.peak.unwrap_or(f64::NAN) * row.seconds.median).sum();
    (rows.len() > 1).then(|| {
        let [layer, rate] = ["all".to_owned(), format!("{:.0}", work / seconds / 1e9)];
        let empty = String::new;
        let share = percent(Some(work / possible));
        vec![layer, empty(), empty(), direction.into(), empty(), milliseconds(seconds), empty(), rate, share, empty()]
    })
}

fn steps(pairs: &[Pair<'_>]) -> Table {
    let cells = |&(row, change): &Pair<'_>| {
        // The same step on the fewest threads that were measured.
        let same = |other: &&Row| other.same_thing(&Row { threads: other.threads, ..row.clone() });
        let slowest = pairs.iter().map(|(row, _)| *row).filter(same).min_by_key(|other| other.threads).unwrap_or(row);
        vec![
            format!("{}²", row.map[0]),
            row.precision.clone(),
            row.algorithm.clone(),
            row.threads.to_string(),
            format!("{:.3}", row.seconds.median),
            format!("{:.3}–{:.3}", row.seconds.min, row.seconds.max),
            spread(row),
            format!("{:.2}×", slowest.seconds.median / row.seconds.median),
            format!("{:.0}", row.rate() / 1e9),
            percent(row.efficiency()),
            row.memory.map_or_else(|| "–".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6)),
            changed(change),
        ]
    };
    Table {
        title: "Whole steps of the preset paper: losses, gradient, Adam".into(),
        columns: vec![
            numbers("size"),
            words("type"),
            words("convs"),
            numbers("threads"),
            numbers("s/step"),
            numbers("range"),
            numbers("spread"),
            numbers("scaling"),
            numbers("GFLOP/s"),
            numbers("% peak"),
            numbers("MB"),
        ],
        rows: pairs.iter().map(cells).collect(),
        totals: Vec::new(),
    }
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

fn csv(report: &Report, old: Option<&Report>) -> String {
    let mut text = "kind,name,direction,precision,algorithm,height,width,in_channels,out_channels,threads,repeats,\
                    median_s,min_s,max_s,iqr_s,work,rate_per_s,peak_per_s,relative_error,peak_memory_bytes,vs_old\n"
        .to_owned();
    let changes = old.map_or_else(|| vec![None; report.rows.len()], |old| changes(old, report));
    for (row, change) in report.rows.iter().zip(changes) {
        let s = &row.seconds;
        let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let cells = [
            row.kind.name().to_owned(),
            row.name.clone(),
            row.direction.clone(),
            row.precision.clone(),
            row.algorithm.clone(),
            row.map[0].to_string(),
            row.map[1].to_string(),
            row.channels[0].to_string(),
            row.channels[1].to_string(),
            row.threads.to_string(),
            s.all.len().to_string(),
            s.median.to_string(),
            s.min.to_string(),
            s.max.to_string(),
            s.iqr.to_string(),
            row.work.to_string(),
            row.rate().to_string(),
            optional(row.peak),
            optional(row.error),
            row.memory.map_or_else(String::new, |bytes| bytes.to_string()),
            optional(change.map(|change| change.ratio)),
        ];
        text += &(cells.join(",") + "\n");
    }
    text
}

fn threads(count: usize) -> String {
    format!("{count} thread{}", if count == 1 { "" } else { "s" })
}

/// Four significant digits, at most three of them behind the point.
fn milliseconds(seconds: f64) -> String {
    let ms = 1e3 * seconds;
    let decimals = if ms < 10.0 { 3 } else { usize::from(ms < 1000.0) + usize::from(ms < 100.0) };
    format!("{ms:.decimals$}")
}

/// The distance of the quartiles as a part of the median.
fn spread(row: &Row) -> String {
    let mark = if row.seconds.noisy() { "!" } else { "" };
    format!("{mark}{:.1}%", 100.0 * row.seconds.iqr / row.seconds.median)
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

/// Lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            *line += if line.is_empty() { "" } else { " " };
            *line += word;
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::report;
    use super::super::sample::Sample;
    use super::*;

    #[test]
    fn a_table_has_every_measurement_and_fits_a_terminal() {
        let (mut old, new) = (report(), report());
        old.machine.cpu = "Old CPU".into();
        for old in [None, Some(&old)] {
            let text = render(&new, old, Format::Table);
            for part in
                ["Some CPU", "limited to 2 by", "avx2 multiply-add", "relu1_1", "forward", "64→128", "1.125–1.250"]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
            assert_eq!(text.contains("the processor was Old CPU"), old.is_some());
        }
    }

    #[test]
    fn the_tile_units_peak_is_told_from_the_vectors() {
        let mut report = report();
        report.rows.insert(1, Row { name: "amx".into(), precision: "bf16".into(), ..report.rows[0].clone() });
        let text = render(&report, None, Format::Table);
        assert!(text.contains("avx2 multiply-add, f32 ") && text.contains("amx multiply-add, bf16, operands in L1 "));
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
        assert!(all.contains("forward") && all.contains("20.00") && all.contains("200"), "{all}");
    }

    #[test]
    fn noise_is_marked_and_warned_of() {
        let text = render(&report(), None, Format::Table);
        assert!(text.contains("!50.0%") && text.contains("1 of 5 measurements are noisy"), "{text}");
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
    fn csv_has_a_line_for_each_measurement_and_as_many_cells_as_names() {
        let text = render(&report(), None, Format::Csv);
        let cells: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(cells, vec![21; 6]);
        assert!(text.contains("convolution,relu1_1,forward,f32,winograd,512,512,64,128,2,3,0.011,0.01,0.012,"));
    }

    #[test]
    fn json_is_what_compare_reads() {
        let json = render(&report(), None, Format::Json);
        assert_eq!(super::super::compare::read("a", json.as_bytes()).unwrap(), report());
    }

    #[test]
    fn scaling_is_relative_to_the_fewest_threads() {
        let mut report = report();
        let step = report.rows.pop().unwrap();
        let alone = Row { threads: 1, seconds: Sample::new(vec![2.25]), ..step.clone() };
        report.rows = vec![alone, step];
        let text = render(&report, None, Format::Table);
        assert!(text.contains("1.00×") && text.contains("2.00×"), "{text}");
    }

    #[test]
    fn times_have_four_digits_and_long_notes_are_wrapped() {
        assert_eq!([0.000_123_4, 0.012_34, 0.1234, 1.5].map(milliseconds), ["0.123", "12.34", "123.4", "1500"]);
        assert_eq!(wrapped("aa bb cc", 5), "aa bb\ncc\n");
    }
}
