//! `--preview FILE`: the picture so far, for whoever looks at it while it is made; `--preview -` shows it in the terminal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use impasto::picture::{self, Picture, SaveOptions, is_standard};
use impasto::transfer::Step;
use impasto::{Error, Result};

use super::inline::Inline;

/// The shortest time between two pictures.
const SHORTEST: Duration = Duration::from_secs(2);

/// The same in a terminal, which keeps them all.
const SHORTEST_INLINE: Duration = Duration::from_secs(10);

/// Of the time of a run no more than one part in so many goes into pictures.
const SHARE: u32 = 20;

/// Shows the picture.
pub struct Live {
    place: Place,
    due: Instant,
}

/// Where it is shown.
enum Place {
    /// In a file that is rewritten.
    File(PathBuf),
    Terminal(Inline),
}

impl Live {
    /// One in `path`, from the first step on; none in a terminal that shows no pictures.
    pub fn new(path: PathBuf) -> Option<Self> {
        let place = if is_standard(&path) { Place::Terminal(Inline::detect()?) } else { Place::File(path) };
        Some(Live { place, due: Instant::now() })
    }

    /// Whether it is time for the next picture.
    pub fn is_due(&self, step: &Step<'_>) -> bool {
        !step.last && Instant::now() >= self.due
    }

    /// Shows the picture as it is.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn step(&mut self, step: &Step<'_>) -> Result<()> {
        let begun = Instant::now();
        self.write(&step.picture())?;
        let shortest = if matches!(self.place, Place::File(_)) { SHORTEST } else { SHORTEST_INLINE };
        self.due = Instant::now() + shortest.max(SHARE * begun.elapsed());
        Ok(())
    }

    /// Shows a picture.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn write(&self, picture: &Picture) -> Result<()> {
        let written = match &self.place {
            Place::File(path) => picture::save(picture, path, &SaveOptions::default()),
            Place::Terminal(inline) => inline.show(picture),
        };
        written.map_err(|error| match error {
            Error::Output { path, cause } => {
                Error::Output { path, cause: format!("{cause}; there are no more previews") }
            }
            other => other,
        })
    }
}
