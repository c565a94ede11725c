//! `--save-every N`: the picture after each N iterations, beside the output.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use impasto::picture::{self, SaveOptions};
use impasto::transfer::Step;
use impasto::{Error, Result};

use super::paths::{iteration_of, names, numbered, same_file};

/// Writes the numbered pictures.
pub struct Previews {
    every: NonZeroU32,
    /// What they are named after: the output, or that with a number where pictures of an earlier run are.
    output: PathBuf,
}

impl Previews {
    /// Pictures every `every` iterations, named after `output`.
    ///
    /// # Errors
    /// [`Error::Usage`] if one of the `iterations` would overwrite a file the run reads.
    pub fn new(every: NonZeroU32, iterations: u32, output: &Path, inputs: &[&Path], overwrite: bool) -> Result<Self> {
        let step = every.get();
        // The folder is looked through, not the names of all iterations.
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let there: Vec<_> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        let due = |i: u32| i > 0 && i <= iterations && i.is_multiple_of(step);
        let taken =
            |output: &Path| there.iter().find(|path| iteration_of(path, output).is_some_and(due) && !path.is_dir());
        let output = match taken(output) {
            None => output.to_owned(),
            Some(_) if !overwrite => names(output).find(|name| taken(name).is_none()).expect("a folder is not endless"),
            Some(_) => output.to_owned(),
        };
        let mut ours = there.iter().filter(|path| iteration_of(path, &output).is_some_and(due));
        if let Some(clash) = ours.find(|path| inputs.iter().any(|input| same_file(path, input))) {
            return Err(Error::Usage(format!(
                "--save-every {step}: {} is an input picture; give another name with -o",
                clash.display()
            )));
        }
        let last = numbered(&output, iterations);
        if let Err(error) = last.symlink_metadata().map(drop).or_else(absent_is_well) {
            return Err(Error::Usage(format!(
                "--save-every {step}: {}: {error}; give a shorter name with -o",
                last.display()
            )));
        }
        Ok(Previews { every, output })
    }

    /// Goes on with the pictures of a run that was interrupted.
    pub fn resume(every: NonZeroU32, output: PathBuf) -> Self {
        Previews { every, output }
    }

    /// What they are named after.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Writes the picture if it is this iteration's turn, as that iteration's.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn step(&self, step: &Step<'_>, options: impl FnOnce(u32) -> SaveOptions) -> Result<()> {
        if step.last || !step.iteration.is_multiple_of(self.every.get()) {
            return Ok(());
        }
        picture::save(&step.picture(), &numbered(&self.output, step.iteration), &options(step.iteration))
    }
}

fn absent_is_well(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
