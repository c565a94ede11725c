//! The style pictures: what was given, a file or a folder with a weight, and the files that it means.

use std::path::{Path, PathBuf};

use impasto::picture::pictures_in;
use impasto::transfer::sizes::usable;
use impasto::transfer::{Sizes, StyleSize};
use impasto::{Error, Result};
use serde::{Deserialize, Serialize};

/// A style picture, or a folder of them, with its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StyleFile {
    /// The file or folder.
    pub path: PathBuf,
    /// How much it counts beside the others, above 0.
    pub weight: f64,
}

impl StyleFile {
    /// One of weight 1.
    pub fn new(path: &Path) -> Self {
        StyleFile { path: path.to_owned(), weight: 1.0 }
    }

    /// `PICTURE` or `PICTURE:WEIGHT`. A name may have colons: what follows the last one is a weight if it is a number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = text.rsplit_once(':').and_then(|(path, weight)| Some((path, weight.trim().parse().ok()?)));
        let (path, weight) = named.unwrap_or((text, 1.0));
        if path.is_empty() {
            return Err("give a picture or a folder, and perhaps a weight: painting.jpg:0.7".into());
        }
        Ok(StyleFile { path: path.into(), weight })
    }

    /// As [`StyleFile::parse`] reads it, without the names of folders.
    pub fn to_words(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("--style {name}:{}", self.weight)
    }
}

/// Every file that is meant, in order: a folder's pictures share its weight.
///
/// # Errors
/// [`Error::Usage`] for a weight that is none, [`Error::Picture`] for a folder without pictures.
pub fn files(given: &[StyleFile]) -> Result<Vec<StyleFile>> {
    let mut files = Vec::new();
    for style in given {
        let StyleFile { path, weight } = style;
        if !usable(*weight) {
            return Err(Error::Usage(format!(
                "--style {}:{weight}: a style of weight {weight}; give a number above 0, or leave it out",
                path.display()
            )));
        }
        if path.is_dir() {
            let pictures = pictures_in(path)?;
            let weight = weight / pictures.len() as f64;
            files.extend(pictures.into_iter().map(|path| StyleFile { path, weight }));
        } else {
            files.push(style.clone());
        }
    }
    Ok(files)
}

/// Sizes of the pictures, as `size` finds them.
///
/// # Errors
/// Those of `size`.
pub fn sizes(
    content: (usize, usize),
    styles: &[StyleFile],
    size: impl Fn(&Path) -> Result<(usize, usize)>,
) -> Result<Sizes> {
    let style = |file: &StyleFile| Ok(StyleSize { size: size(&file.path)?, weight: file.weight });
    Ok(Sizes { content, styles: styles.iter().map(style).collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_what_follows_the_last_colon_if_it_is_a_number() {
        for (text, path, weight) in [
            ("a.jpg", "a.jpg", 1.0),
            ("a.jpg:0.7", "a.jpg", 0.7),
            ("a.jpg:2e-1", "a.jpg", 0.2),
            ("C:\\art\\a.jpg", "C:\\art\\a.jpg", 1.0),
            ("C:\\art\\a.jpg:3", "C:\\art\\a.jpg", 3.0),
            ("12:30.png", "12:30.png", 1.0),
            ("12:30:1", "12:30", 1.0),
            ("a.jpg:", "a.jpg:", 1.0),
            ("a.jpg:-1", "a.jpg", -1.0),
        ] {
            assert_eq!(StyleFile::parse(text), Ok(StyleFile { path: path.into(), weight }), "{text}");
        }
        assert!(StyleFile::parse("a.jpg:NaN").unwrap().weight.is_nan());
        assert!(StyleFile::parse("").is_err() && StyleFile::parse(":0.5").is_err());
    }

    #[test]
    fn the_pictures_of_a_folder_share_its_weight() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.png", "a.png", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let given = [StyleFile { path: folder.path().into(), weight: 3.0 }, StyleFile::new(Path::new("c.png"))];
        let found = files(&given).unwrap();
        let expected = [(folder.path().join("a.png"), 1.5), (folder.path().join("b.png"), 1.5), ("c.png".into(), 1.0)];
        assert_eq!(found, expected.map(|(path, weight)| StyleFile { path, weight }));
    }

    #[test]
    fn what_counts_for_nothing_is_refused() {
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = files(&[StyleFile { weight, ..StyleFile::new(Path::new("c.png")) }]).unwrap_err().to_string();
            assert!(message.contains(&format!("--style c.png:{weight}")) && message.contains("above 0"), "{message}");
        }
    }
}
