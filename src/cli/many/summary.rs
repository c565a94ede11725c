//! What became of all of them, for people and for scripts.

use impasto::Result;
use impasto::batch::Shard;
use serde_json::{Value, json};

use super::{Options, Status, Task};
use crate::cli::report::duration;
use crate::cli::say;
use crate::cli::signals::Signal;

/// The end of a batch.
pub struct Ended<'a> {
    pub tasks: &'a [Task],
    pub statuses: &'a [Status],
    /// What stopped it.
    pub signal: Option<Signal>,
    pub seconds: f64,
}

impl Ended<'_> {
    /// That of the signal, or of the first failure, or 0.
    pub fn exit_code(&self) -> u8 {
        let failure = self.statuses.iter().find_map(|status| match status {
            Status::Failed(error) => Some(error.exit_code()),
            _ => None,
        });
        self.signal.map(Signal::exit_code).or(failure).unwrap_or(0)
    }

    fn count(&self, of: fn(&Status) -> bool) -> usize {
        self.statuses.iter().filter(|status| of(status)).count()
    }

    fn made(&self) -> usize {
        self.count(|status| matches!(status, Status::Made { .. }))
    }

    fn there(&self) -> usize {
        self.count(|status| matches!(status, Status::There))
    }

    fn failed(&self) -> usize {
        self.count(|status| matches!(status, Status::Failed(_)))
    }

    /// Every cause with the number of pictures that failed of it, in the order of the first.
    fn causes(&self) -> Vec<(String, usize)> {
        let mut causes: Vec<(String, usize)> = Vec::new();
        for status in self.statuses {
            let Status::Failed(error) = status else { continue };
            let error = error.to_string();
            match causes.iter_mut().find(|(cause, _)| *cause == error) {
                Some((_, count)) => *count += 1,
                None => causes.push((error, 1)),
            }
        }
        causes
    }

    /// `18 pictures: 12 made, 3 there already, 3 failed  42 s`, and the causes.
    fn lines(&self, shard: Shard) -> String {
        let [made, there, failed] = [self.made(), self.there(), self.failed()];
        let own = (0..self.tasks.len()).filter(|&number| shard.has(number)).count();
        let part = if shard.is_whole() { String::new() } else { format!(" in part {shard}") };
        let counts =
            [(made, "made"), (there, "there already"), (failed, "failed"), (own - made - there - failed, "left")];
        let counts = counts.into_iter().enumerate().filter(|(index, (count, _))| *index == 0 || *count > 0);
        let counts = counts.map(|(_, (count, what))| format!("{count} {what}")).collect::<Vec<_>>().join(", ");
        let mut lines = format!("{}{part}: {counts}  {}\n", plural(own), duration(self.seconds));
        for (cause, count) in self.causes() {
            let many = if count > 1 { format!("  ({})", plural(count)) } else { String::new() };
            lines += &format!("failed  {cause}{many}\n");
        }
        lines
    }

    /// One object on a line of its own.
    fn json(&self, (shard, jobs): (Shard, usize)) -> String {
        let result = |(number, status): (usize, &Status)| {
            let task = &self.tasks[number];
            let (what, seconds, error) = match status {
                Status::Left => ("left", None, None),
                Status::Made { seconds } => ("made", Some(*seconds), None),
                Status::There => ("there", None, None),
                Status::Failed(error) => ("failed", None, Some(error.to_string())),
            };
            json!({
                "output": task.output.to_string_lossy(),
                "content": task.content.to_string_lossy(),
                "style": task.style.to_string_lossy(),
                "status": what,
                "seconds": seconds,
                "error": error,
            })
        };
        let own = self.statuses.iter().enumerate().filter(|(number, _)| shard.has(*number));
        let results: Vec<Value> = own.map(result).collect();
        let summary = json!({
            "impasto": env!("CARGO_PKG_VERSION"),
            "pictures": results.len(),
            "made": self.made(),
            "there": self.there(),
            "failed": self.failed(),
            "left": results.len() - self.made() - self.there() - self.failed(),
            "signal": self.signal.map(Signal::name),
            "seconds": self.seconds,
            "jobs": jobs,
            "shard": shard.to_string(),
            "results": results,
        });
        format!("{summary}\n")
    }
}

/// Tells it as the options ask.
///
/// # Errors
/// Those of standard output.
pub fn tell(ended: &Ended<'_>, options: &Options, (shard, jobs): (Shard, usize)) -> Result<()> {
    if options.wants_json() {
        return say::text(ended.json((shard, jobs)));
    }
    if options.is_quiet() {
        return Ok(());
    }
    say::text(ended.lines(shard))?;
    if let Some(signal) = ended.signal {
        say::note(format_args!("stopped by {}; the same command goes on", signal.name()));
    }
    Ok(())
}

fn plural(pictures: usize) -> String {
    format!("{pictures} picture{}", if pictures == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use impasto::{Config, Error};

    use super::*;

    #[test]
    fn equal_causes_are_told_once() {
        let task =
            Task { content: "a.png".into(), style: "b.png".into(), output: "o.png".into(), config: Config::default() };
        let broken =
            || Status::Failed(Error::Picture { path: "a.png".into(), cause: "is broken; copy it again".into() });
        let statuses = [
            Status::Made { seconds: 1.0 },
            broken(),
            Status::There,
            broken(),
            Status::Failed(Error::Memory("x".into())),
        ];
        let tasks = vec![task; 6];
        let statuses: Vec<_> = statuses.into_iter().chain([Status::Left]).collect();
        let ended = Ended { tasks: &tasks, statuses: &statuses, signal: None, seconds: 2.0 };
        assert_eq!(
            ended.lines(Shard::WHOLE),
            "6 pictures: 1 made, 1 there already, 3 failed, 1 left  2.0 s\n\
             failed  a.png: is broken; copy it again  (2 pictures)\nfailed  x\n"
        );
        assert_eq!(ended.exit_code(), 3);
        let stopped = Ended { signal: Some(Signal::Interrupt), ..ended };
        assert_eq!(stopped.exit_code(), 130);
        let json: Value = serde_json::from_str(&stopped.json((Shard::WHOLE, 2))).unwrap();
        assert_eq!((&json["failed"], &json["results"][5]["status"]), (&json!(3), &json!("left")));
    }
}
