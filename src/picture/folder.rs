//! The pictures of a folder.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How names of files that [`load`](super::load) reads end, in lower case.
const EXTENSIONS: [&str; 16] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "bmp", "gif", "qoi", "pbm", "pgm", "ppm", "pnm", "pam",
];

/// The pictures that lie in a folder itself, by their extensions, in the order of their names. Hidden files are left out.
///
/// # Errors
/// [`Error::Picture`] if the folder cannot be read, or there is none in it.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |cause: String| Error::Picture { path: folder.to_owned(), cause };
    let unreadable =
        |error: std::io::Error| wrong(format!("the folder cannot be read ({error}); check its permissions"));
    let mut pictures = Vec::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if is_named_as_picture(&path) && !path.is_dir() {
            pictures.push(path);
        }
    }
    pictures.sort();
    if pictures.is_empty() {
        return Err(wrong("no picture is in this folder; give one with files such as .jpg, .png or .tif in it".into()));
    }
    Ok(pictures)
}

/// Whether a file is called as a picture is, and not hidden.
#[must_use]
pub fn is_named_as_picture(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    !hidden && extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_in_the_order_of_their_names_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b.JPG", "a.png", "c.tiff", "notes.txt", "Thumbs.db", ".hidden.png", "png"] {
            std::fs::write(path(name), "").unwrap();
        }
        std::fs::create_dir(path("d.png")).unwrap();
        assert_eq!(pictures_in(folder.path()).unwrap(), ["a.png", "b.JPG", "c.tiff"].map(path));
    }

    #[test]
    fn an_empty_folder_and_one_that_is_not_there_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let message = |folder: &Path| pictures_in(folder).unwrap_err().to_string();
        assert!(message(folder.path()).contains("no picture is in this folder; give"));
        assert!(message(&folder.path().join("nowhere")).contains("cannot be read"));
    }
}
