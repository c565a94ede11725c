//! The pictures that a few words mean: files, folders, patterns such as `photos/*.jpg`, and trees of folders.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::picture::{is_named_as_picture, pictures_in};

/// The pictures that a word means, in the order of their names: those of a folder, those that match a pattern with `*`,
/// `?` or `[…]`, `**` being any folders, or else a file, whether it is there or not.
///
/// # Errors
/// [`Error::Picture`] for a folder as [`pictures_in`]; [`Error::Usage`] for a pattern that cannot be understood, or is
/// that of no file.
pub fn pictures(word: &Path) -> Result<Vec<PathBuf>> {
    if word.is_dir() {
        return pictures_in(word);
    }
    let text = word.to_str().filter(|text| text.contains(['*', '?', '[']) && !word.exists());
    let Some(pattern) = text else { return Ok(vec![word.to_owned()]) };
    let usage = |cause: String| Error::Usage(format!("{pattern}: {cause}"));
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| usage(format!("is no pattern of names ({}); give one such as photos/*.jpg", error.msg)))?;
    // Folders that cannot be read are left out, as a shell leaves them.
    let mut pictures: Vec<_> = found.flatten().filter(|path| is_named_as_picture(path) && !path.is_dir()).collect();
    pictures.sort();
    if pictures.is_empty() {
        return Err(usage("no picture has such a name; give a folder, a file, or another pattern".into()));
    }
    Ok(pictures)
}

/// Every picture in a folder and the folders in it, seen from there, in the order of their names. Hidden ones are left out.
///
/// # Errors
/// [`Error::Picture`] if a folder cannot be read, or there is no picture in any.
pub fn tree(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    descend(folder, Path::new(""), &mut Vec::new(), &mut found)?;
    if found.is_empty() {
        return Err(Error::Picture {
            path: folder.to_owned(),
            cause: "no picture is in this folder or those in it; give one with files such as .jpg, .png or .tif".into(),
        });
    }
    found.sort();
    Ok(found)
}

/// Takes in the folder `inside` a tree; `above` are the folders it is in, for links may lead back to one.
fn descend(root: &Path, inside: &Path, above: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(inside);
    let unreadable = |error: std::io::Error| Error::Picture {
        path: folder.clone(),
        cause: format!("the folder cannot be read ({error}); check its permissions"),
    };
    let real = folder.canonicalize().map_err(unreadable)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let path = inside.join(&name);
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if root.join(&path).is_dir() {
            descend(root, &path, above, found)?;
        } else if is_named_as_picture(&path) {
            found.push(path);
        }
    }
    above.pop();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/1.png", "a/2.jpg", "b/c/3.PNG", "b/notes.txt", "b/.hidden.png", ".git/4.png", "5[x].png"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn folders_patterns_and_files_are_told_apart() {
        let folder = folder();
        let of = |word: &str| {
            let found = pictures(&folder.path().join(word)).map_err(|error| error.to_string())?;
            let name = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
            Ok::<_, String>(found.iter().map(name).collect::<Vec<_>>())
        };
        assert_eq!(of("a").unwrap(), ["a/1.png", "a/2.jpg"]);
        assert_eq!(of("a/*.png").unwrap(), ["a/1.png"]);
        assert_eq!(of("**/*.*").unwrap(), ["5[x].png", "a/1.png", "a/2.jpg", "b/c/3.PNG"]);
        assert_eq!(of("nowhere.png").unwrap(), ["nowhere.png"]);
        // A file's own name may have what patterns have.
        assert_eq!(of("5[x].png").unwrap(), ["5[x].png"]);
        assert!(of("*.bmp").unwrap_err().contains("no picture has such a name"));
        assert!(of("a/[").unwrap_err().contains("is no pattern of names"));
        assert!(of(".git/../b").unwrap_err().contains("no picture is in this folder"));
    }

    #[test]
    fn a_tree_is_seen_from_its_folder() {
        let folder = folder();
        let expected = ["5[x].png", "a/1.png", "a/2.jpg", "b/c/3.PNG"].map(PathBuf::from);
        assert_eq!(tree(folder.path()).unwrap(), expected);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path(), folder.path().join("b/round")).unwrap();
            assert_eq!(tree(folder.path()).unwrap(), expected);
        }
        let message = tree(&folder.path().join("nowhere")).unwrap_err().to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }
}
