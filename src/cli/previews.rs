//! `--save-every N`: the picture after each N iterations, beside the output.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use impasto::picture::{self, SaveOptions};
use impasto::transfer::Step;
use impasto::{Error, Result};

use super::paths::{numbered, same_file};

/// Writes the numbered pictures.
pub struct Previews {
    every: NonZeroU32,
    output: PathBuf,
    options: SaveOptions,
}

impl Previews {
    /// Pictures every `every` iterations, named after `output`.
    ///
    /// # Errors
    /// [`Error::Usage`] if one of the `iterations` would overwrite a file the run reads.
    pub fn new(
        every: NonZeroU32,
        iterations: u32,
        output: &Path,
        options: SaveOptions,
        inputs: &[&Path],
    ) -> Result<Self> {
        let step = every.get();
        let mut names = (1..=iterations / step).map(|i| numbered(output, i * step));
        if let Some(clash) = names.find(|name| inputs.iter().any(|input| same_file(name, input))) {
            return Err(Error::Usage(format!(
                "--save-every {step}: {} is an input picture; give another name with -o",
                clash.display()
            )));
        }
        Ok(Previews { every, output: output.to_owned(), options })
    }

    /// Writes the picture if it is this iteration's turn.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn step(&self, step: &Step<'_>) -> Result<()> {
        if step.last || !step.iteration.is_multiple_of(self.every.get()) {
            return Ok(());
        }
        picture::save(&step.picture(), &numbered(&self.output, step.iteration), &self.options)
    }
}
