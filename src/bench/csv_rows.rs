//! A report's measurements, one a line, each of which can be read without the others.

use super::compare::{Change, changes};
use super::row::{Kind, Report, Row};

/// The columns of CSV: what was measured, its times, and all that is needed to read the row without the others.
pub const COLUMNS: [&str; 35] = [
    "kind",
    "name",
    "direction",
    "precision",
    "algorithm",
    "height",
    "width",
    "in_channels",
    "out_channels",
    "threads",
    "repeats",
    "median_s",
    "min_s",
    "max_s",
    "iqr_s",
    "work",
    "rate_per_s",
    "peak_per_s",
    "relative_error",
    "peak_memory_bytes",
    "vs_old",
    "forced",
    "version",
    "commit",
    "unix_time",
    "system",
    "cpu",
    "signature",
    "instruction_set",
    "cores",
    "memory_bytes",
    "caches",
    "numa_nodes",
    "governor",
    "load",
];

/// A report as comma-separated values.
#[must_use]
pub fn csv(report: &Report, old: Option<&Report>) -> String {
    let changes = old.map_or_else(|| vec![None; report.rows.len()], |old| changes(old, report));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |cells: &[String]| writer.write_record(cells).expect("memory takes it");
    write(&COLUMNS.map(str::to_owned));
    for (row, change) in report.rows.iter().zip(changes) {
        write(&csv_row(report, row, change));
    }
    String::from_utf8(writer.into_inner().expect("memory takes it")).expect("cells are text")
}

fn csv_row(report: &Report, row: &Row, change: Option<Change>) -> [String; COLUMNS.len()] {
    let (s, m) = (&row.seconds, &report.machine);
    // The peak of an instruction set is its own, and not that of the one that kernels use.
    let isa = if row.kind == Kind::Peak { &row.name } else { &m.instruction_set };
    [
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
        or_nothing(row.peak),
        or_nothing(row.error),
        or_nothing(row.memory),
        or_nothing(change.map(|change| change.ratio)),
        row.forced.to_string(),
        report.version.clone(),
        or_nothing(report.commit.as_ref()),
        report.time.to_string(),
        m.system.clone(),
        m.cpu.clone(),
        or_nothing(m.signature.as_ref()),
        isa.clone(),
        m.usable.to_string(),
        m.memory.to_string(),
        m.caches.join("; "),
        or_nothing(m.nodes),
        or_nothing(m.governor.as_ref()),
        or_nothing(m.load),
    ]
}

fn or_nothing(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::report;
    use super::*;

    #[test]
    fn every_line_of_csv_can_be_read_alone() {
        let mut report = report();
        report.machine.cpu = "Some CPU, of a kind".into();
        let text = csv(&report, None);
        assert!(text.contains("convolution,relu1_1,forward,f32,winograd,512,512,64,128,2,3,0.011,0.01,0.012,"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
        let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(lines.len(), report.rows.len());
        let told =
            ["0.1.0", "0123abc", "linux x86_64", "Some CPU, of a kind", "avx2", "L1d 48 KiB; L2 2 MiB", "performance"];
        for line in &lines {
            assert!(told.iter().all(|fact| line.iter().any(|cell| cell == *fact)), "{line:?}");
        }
    }
}
