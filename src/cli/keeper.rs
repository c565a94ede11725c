//! `--checkpoint FILE`: the run in a file, now and then, from which `impasto resume` goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use impasto::config::{Config, Init};
use impasto::files;
use impasto::picture::{SaveOptions, is_standard};
use impasto::transfer::checkpoint::{Digests, Header};
use impasto::transfer::{Checkpoint, Plan, Run};
use impasto::{Error, Result};
use serde::{Deserialize, Serialize};

use super::paths::same_file;
use super::recipe::Recipe;
use super::report::Table;
use super::styles::Scene;

/// What a run was asked for, apart from its configuration. All paths are absolute: it may go on from another folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Some runs have no content picture.
    pub content: Option<PathBuf>,
    /// Some have no style pictures.
    pub scene: Scene,
    pub output: PathBuf,
    /// How it is written.
    pub save: SaveOptions,
    /// How the picture is made.
    pub recipe: Recipe,
    /// Whether its file tells.
    pub metadata: bool,
    pub trace: Option<PathBuf>,
    /// Every so many iterations a picture, named after a path.
    pub previews: Option<(u32, PathBuf)>,
    /// The picture so far.
    pub live: Option<PathBuf>,
    /// Seconds between checkpoints.
    pub seconds: f64,
    /// The losses that are shown at the end, as far as they are known.
    pub table: Table,
}

impl Asked {
    /// The pictures and masks that it reads.
    pub fn files(&self) -> Vec<&Path> {
        self.content.iter().map(PathBuf::as_path).chain(self.scene.files()).collect()
    }

    /// How the result is written, with its recipe; `stopped` is after how many iterations, if before it was done.
    pub fn described(&self, stopped: Option<u32>) -> SaveOptions {
        let recipe = Recipe { stopped, ..self.recipe.clone() };
        SaveOptions { description: self.metadata.then(|| recipe.text()), ..self.save.clone() }
    }

    /// The same of a picture on the way.
    pub fn on_the_way(&self, iteration: u32) -> SaveOptions {
        let recipe = Recipe { stopped: Some(iteration), on_the_way: true, ..self.recipe.clone() };
        SaveOptions { description: self.metadata.then(|| recipe.text()), ..self.save.clone() }
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
        paths.extend(asked.content.as_mut());
        paths.extend(asked.scene.named_files_mut().map(|(_, path)| path));
        paths.extend(asked.trace.as_mut());
        paths.extend(asked.live.as_mut().filter(|path| !is_standard(path)));
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
