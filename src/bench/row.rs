//! What a benchmark run leaves behind: one row per thing measured, whatever it was.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::sample::Sample;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Multiply-adds, f32 on registers or bf16 on tiles: the limit of a unit.
    Peak,
    /// Memory bandwidth.
    Memory,
    /// A convolution of the network.
    Convolution,
    /// A Gram matrix.
    Gram,
    /// One iteration of the optimisation.
    Step,
    /// A whole run, from nothing to a picture.
    Picture,
}

impl Kind {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Peak => "peak",
            Kind::Memory => "memory",
            Kind::Convolution => "convolution",
            Kind::Gram => "gram",
            Kind::Step => "step",
            Kind::Picture => "picture",
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub kind: Kind,
    /// Which: an instruction set, a layer, a preset.
    pub name: String,
    /// `forward`, `backward`, or nothing where there are not two.
    pub direction: String,
    /// Height and width of the map that is written.
    pub map: [usize; 2],
    /// Channels read and written.
    pub channels: [usize; 2],
    /// How it was computed.
    pub algorithm: String,
    /// Whether the algorithm was asked for rather than chosen.
    pub forced: bool,
    /// Arithmetic.
    pub precision: String,
    /// Threads.
    pub threads: usize,
    /// Floating-point operations of the direct computation; bytes, for memory; 1, for a picture.
    pub work: u64,
    /// Time of one call.
    pub seconds: Sample,
    /// f32 FMA peak of the same threads, measured between the repeats, in operations a second.
    pub peak: Option<f64>,
    /// Root mean square error relative to the definition's result: of a convolution in windows of the map, of a Gram matrix
    /// on a small one.
    pub error: Option<f64>,
    /// The most bytes the process held.
    pub memory: Option<u64>,
    /// Losses of the first two steps, before each one's update.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Losses>,
}

/// The losses of one step, unweighted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// ½ Σ (F − P)².
    pub content: f64,
    /// Σ_l w_l · loss_l.
    pub style: f64,
    /// Σ |∇x|².
    pub tv: f64,
    /// The weighted sum.
    pub total: f64,
}

impl Row {
    /// Operations, bytes or pictures a second: the median's, but a limit's is the best that was seen, since whatever
    /// slows a repeat down is not the unit.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = match self.kind {
            Kind::Peak | Kind::Memory => self.seconds.min,
            Kind::Convolution | Kind::Gram | Kind::Step | Kind::Picture => self.seconds.median,
        };
        self.work as f64 / seconds
    }

    /// The rate over the peak's.
    #[must_use]
    pub fn efficiency(&self) -> Option<f64> {
        self.peak.map(|peak| self.rate() / peak)
    }

    /// Whether `other` measured the same thing. The algorithm counts only if it was asked for, so that a
    /// better choice shows as a gain.
    #[must_use]
    pub fn same_thing(&self, other: &Row) -> bool {
        let key = |row: &Row| {
            let algorithm = row.forced.then(|| row.algorithm.clone());
            (row.kind, row.name.clone(), row.direction.clone(), row.map, row.precision.clone(), row.threads, algorithm)
        };
        key(self) == key(other)
    }
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// The commit it was built from, if it knows.
    #[serde(default)]
    pub commit: Option<String>,
    /// When it began, in seconds since 1970.
    pub time: u64,
    /// What it ran on.
    pub machine: Machine,
    /// Repeats of each measurement.
    pub repeats: usize,
    /// α, β, γ of the step, so that another program can compute the same losses.
    pub weights: [f64; 3],
    /// The measurements in the order they were taken.
    pub rows: Vec<Row>,
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A convolution that took these seconds.
    pub fn row(name: &str, direction: &str, seconds: &[f64]) -> Row {
        Row {
            kind: Kind::Convolution,
            name: name.into(),
            direction: direction.into(),
            map: [512, 512],
            channels: [64, 128],
            algorithm: "winograd".into(),
            forced: false,
            precision: "f32".into(),
            threads: 2,
            work: 2_000_000_000,
            seconds: Sample::new(seconds.to_vec()),
            peak: Some(100e9),
            error: Some(1.5e-6),
            memory: None,
            losses: Vec::new(),
        }
    }

    /// A report of two limits, two convolutions, a step and a picture.
    pub fn report() -> Report {
        let peak = Row {
            kind: Kind::Peak,
            name: "avx2".into(),
            map: [0, 0],
            channels: [0, 0],
            algorithm: String::new(),
            peak: None,
            error: None,
            ..row("", "", &[0.01])
        };
        let memory = Row { kind: Kind::Memory, name: "read".into(), precision: String::new(), ..peak.clone() };
        let step = Row {
            kind: Kind::Step,
            name: "paper".into(),
            error: None,
            memory: Some(400 << 20),
            losses: vec![Losses { content: 0.0, style: 2.0, tv: 3.0, total: 4.5 }],
            // Few binary digits: JSON's reader may be off by the last of many.
            ..row("", "", &[1.125, 1.125, 1.25])
        };
        let picture = Row {
            kind: Kind::Picture,
            name: "fast".into(),
            map: [256, 256],
            algorithm: "chosen".into(),
            work: 1,
            seconds: Sample::new(vec![8.0, 8.25, 8.5]),
            peak: None,
            losses: Vec::new(),
            ..step.clone()
        };
        let rows = vec![
            peak,
            memory,
            row("relu1_1", "forward", &[0.010, 0.011, 0.012]),
            row("relu1_1", "backward", &[0.010, 0.020, 0.030]),
            step,
            picture,
        ];
        Report {
            version: "0.1.0".into(),
            commit: Some("0123abc".into()),
            time: 1_700_000_000,
            machine: Machine {
                cpu: "Some CPU".into(),
                signature: None,
                extensions: vec!["avx2".into()],
                instruction_sets: vec!["avx2".into(), "scalar".into()],
                instruction_set: "avx2".into(),
                processors: 4,
                usable: 2,
                cgroup_cpus: Some(2.0),
                memory: 8 << 30,
                memory_free: 4 << 30,
                system: "linux x86_64".into(),
                governor: Some("performance".into()),
                load: Some(0.25),
                caches: vec!["L1d 48 KiB".into(), "L2 2 MiB".into()],
                nodes: Some(1),
            },
            repeats: 3,
            weights: [1.0, 2.0, 3.0],
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::row;
    use super::*;

    #[test]
    fn rate_and_efficiency_come_from_the_median() {
        let row = row("relu1_1", "forward", &[0.01, 0.02, 0.9]);
        assert_eq!(row.rate(), 100e9);
        assert_eq!(row.efficiency(), Some(1.0));
    }

    #[test]
    fn a_limit_is_the_best_repeat() {
        let limit = Row { kind: Kind::Peak, ..row("avx2", "", &[0.01, 0.02, 0.9]) };
        assert_eq!(limit.rate(), 200e9);
    }

    #[test]
    fn another_choice_of_algorithm_is_the_same_thing_but_another_request_is_not() {
        let chosen = row("relu1_1", "forward", &[1.0]);
        let better = Row { algorithm: "im2col".into(), ..chosen.clone() };
        assert!(chosen.same_thing(&better));
        let (forced, other) = (Row { forced: true, ..chosen.clone() }, Row { forced: true, ..better });
        assert!(forced.same_thing(&forced.clone()) && !forced.same_thing(&other) && !chosen.same_thing(&forced));
        assert!(!chosen.same_thing(&row("relu1_1", "backward", &[1.0])));
        assert!(!chosen.same_thing(&Row { threads: 1, ..chosen.clone() }));
    }
}
