//! A report against an earlier one, row by row.

use super::row::{Report, Row};
use crate::error::{Error, Result};

/// How a row changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Old time over new time: above 1 is faster now.
    pub ratio: f64,
    /// Whether the ranges of both overlap, so that the change may be chance.
    pub within_noise: bool,
}

/// Reads a report that `--format json` wrote.
///
/// # Errors
/// [`Error::Usage`] with the reason, `name` being what the user called it.
pub fn read(name: &str, json: &[u8]) -> Result<Report> {
    serde_json::from_slice(json).map_err(|cause| {
        Error::Usage(format!("{name} is no report: {cause}; give a file that `impasto bench --format json` wrote"))
    })
}

/// For each row of `new` its change, if `old` measured the same thing.
#[must_use]
pub fn changes(old: &Report, new: &Report) -> Vec<Option<Change>> {
    let change = |new: &Row| {
        let old = old.rows.iter().find(|old| old.same_thing(new))?;
        // Not the times themselves: a burst of the peak is as long as the machine is fast.
        let ratio = new.rate() / old.rate();
        let within_noise = new.work == old.work && new.seconds.overlaps(&old.seconds);
        Some(Change { ratio, within_noise })
    };
    new.rows.iter().map(change).collect()
}

/// What differs between the machines, so that ratios are read with care.
#[must_use]
pub fn differences(old: &Report, new: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let mut differs = |what: &str, old: &str, new: &str| {
        if old != new {
            lines.push(format!("{what} was {old}, is {new}"));
        }
    };
    differs("the processor", &old.machine.cpu, &new.machine.cpu);
    differs("the instruction set", &old.machine.instruction_set, &new.machine.instruction_set);
    differs("the number of usable cores", &old.machine.usable.to_string(), &new.machine.usable.to_string());
    lines
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::report;
    use super::super::sample::Sample;
    use super::*;

    #[test]
    fn faster_is_above_one_and_overlapping_ranges_are_noise() {
        let (old, mut new) = (report(), report());
        new.rows[2].seconds = Sample::new(vec![0.005, 0.0055, 0.006]);
        new.rows[3].seconds = Sample::new(vec![0.030, 0.040, 0.050]);
        let changes = changes(&old, &new);
        assert_eq!(changes[2], Some(Change { ratio: 2.0, within_noise: false }));
        assert_eq!(changes[3], Some(Change { ratio: 0.5, within_noise: true }));
    }

    #[test]
    fn what_was_not_measured_before_has_no_change() {
        let (mut old, new) = (report(), report());
        old.rows.remove(2);
        let changes = changes(&old, &new);
        assert!(changes[2].is_none() && changes[3].is_some());
    }

    #[test]
    fn a_longer_burst_of_the_same_peak_is_no_change() {
        let (old, mut new) = (report(), report());
        new.rows[0].work *= 2;
        new.rows[0].seconds = Sample::new(vec![0.02]);
        assert_eq!(changes(&old, &new)[0].unwrap().ratio, 1.0);
    }

    #[test]
    fn another_machine_is_named() {
        let (old, mut new) = (report(), report());
        assert!(differences(&old, &new).is_empty());
        new.machine.cpu = "Other CPU".into();
        assert_eq!(differences(&old, &new), ["the processor was Some CPU, is Other CPU"]);
    }

    #[test]
    fn a_report_survives_its_file_and_anything_else_is_refused() {
        let old = report();
        assert_eq!(read("old.json", &serde_json::to_vec(&old).unwrap()).unwrap(), old);
        let refused = read("old.json", b"{}").unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("old.json") && refused.to_string().contains("--format json"));
    }
}
