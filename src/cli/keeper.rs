//! `--checkpoint FILE`: the run in a file, now and then, from which `impasto resume` goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use impasto::config::{Config, Init};
use impasto::files;
use impasto::transfer::checkpoint::{Digests, Header};
use impasto::transfer::{Checkpoint, Plan, Run};
use impasto::{Error, Result};
use serde::{Deserialize, Serialize};

use super::paths::same_file;
use super::report::Table;

/// What a run was asked for, apart from its configuration. All paths are absolute: it may go on from another folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Some runs have no content picture, and some no style picture.
    pub content: Option<PathBuf>,
    pub style: Option<PathBuf>,
    pub output: PathBuf,
    pub sixteen_bit: bool,
    /// The recipe that goes into the picture's file.
    pub description: String,
    pub trace: Option<PathBuf>,
    /// Every so many iterations a picture, named after a path.
    pub previews: Option<(u32, PathBuf)>,
    /// Seconds between checkpoints.
    pub seconds: f64,
    /// The losses that are shown at the end, as far as they are known.
    pub table: Table,
}

impl Asked {
    /// The pictures that it reads.
    pub fn pictures(&self) -> impl Iterator<Item = &Path> {
        [&self.content, &self.style].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The same with paths that mean the same everywhere, and with such a configuration.
    ///
    /// # Errors
    /// [`Error::Usage`] if a path cannot be written down: checkpoints are Unicode.
    pub fn anywhere(&self, config: &Config) -> Result<(Self, Config)> {
        let mut asked = self.clone();
        let mut config = config.clone();
        let start = if let Init::File(path) = &mut config.init { Some(path) } else { None };
        let mut paths = vec![&mut asked.output];
        paths.extend(asked.content.iter_mut().chain(asked.style.iter_mut()));
        paths.extend(asked.trace.as_mut());
        paths.extend(asked.previews.as_mut().map(|(_, path)| path));
        paths.extend(config.weights.as_mut());
        paths.extend(start);
        for path in paths {
            if path.to_str().is_none() {
                return Err(Error::Usage(format!(
                    "--checkpoint: the name {} is not Unicode, and cannot be written down; rename it",
                    path.display()
                )));
            }
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
        Ok((asked, config))
    }
}

/// Refuses a checkpoint that would overwrite another file of the run, or the checkpoint of another run.
///
/// # Errors
/// [`Error::Usage`].
pub fn check(path: &Path, others: &[&Path], overwrite: bool) -> Result<()> {
    let usage = |cause: String| Err(Error::Usage(format!("--checkpoint {}: {cause}", path.display())));
    if let Some(other) = others.iter().find(|other| same_file(path, other)) {
        return usage(format!("this is {}, too; give the checkpoint a name of its own", other.display()));
    }
    files::check_place(path).or_else(usage)?;
    if path.exists() && !overwrite {
        return usage(format!(
            "is there already; go on with that run by impasto resume {}, or begin anew with --overwrite",
            path.display()
        ));
    }
    Ok(())
}

/// Writes the checkpoints.
pub struct Keeper<'a> {
    path: PathBuf,
    asked: Asked,
    config: Config,
    plan: &'a Plan,
    digests: Digests,
    last: Instant,
}

impl<'a> Keeper<'a> {
    /// Checkpoints in `path`.
    ///
    /// # Errors
    /// As [`Asked::anywhere`].
    pub fn new(path: &Path, asked: &Asked, config: &Config, plan: &'a Plan, digests: Digests) -> Result<Self> {
        let (asked, config) = asked.anywhere(config)?;
        Ok(Keeper { path: path.to_owned(), asked, config, plan, digests, last: Instant::now() })
    }

    /// Writes a checkpoint if it is time.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn step(&mut self, run: &Run<'_>, table: &Table) -> Result<()> {
        let due = Duration::try_from_secs_f64(self.asked.seconds).unwrap_or(Duration::MAX);
        if self.last.elapsed() < due { Ok(()) } else { self.write(run, table) }
    }

    /// Writes a checkpoint.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn write(&mut self, run: &Run<'_>, table: &Table) -> Result<()> {
        self.asked.table = table.clone();
        let asked = serde_json::to_string(&self.asked).expect("names that are Unicode");
        let header = Header::new(run, &self.config, self.plan, self.digests.clone());
        let written = Checkpoint::write(&self.path, &header, asked, run);
        // What cannot be written is tried again as late as what can.
        self.last = Instant::now();
        written
    }
}
