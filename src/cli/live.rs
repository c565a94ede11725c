//! `--preview FILE`: the picture so far, for whoever looks at it while it is made.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use impasto::picture::{self, Picture, SaveOptions};
use impasto::transfer::Step;
use impasto::{Error, Result};

/// The shortest time between two pictures.
const SHORTEST: Duration = Duration::from_secs(2);

/// Of the time of a run no more than one part in so many goes into pictures.
const SHARE: u32 = 20;

/// Rewrites the file.
pub struct Live {
    path: PathBuf,
    due: Instant,
}

impl Live {
    /// One in `path`, from the first step on.
    pub fn new(path: PathBuf) -> Self {
        Live { path, due: Instant::now() }
    }

    /// Writes the picture if it is time.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn step(&mut self, step: &Step<'_>) -> Result<()> {
        let begun = Instant::now();
        if step.last || begun < self.due {
            return Ok(());
        }
        self.write(&step.picture())?;
        self.due = Instant::now() + SHORTEST.max(SHARE * begun.elapsed());
        Ok(())
    }

    /// Writes a picture.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn write(&self, picture: &Picture) -> Result<()> {
        picture::save(picture, &self.path, &SaveOptions::default()).map_err(|error| match error {
            Error::Output { path, cause } => {
                Error::Output { path, cause: format!("{cause}; there are no more previews") }
            }
            other => other,
        })
    }
}
