//! Names of files, and whether two names mean the same file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `photo.jpg` and `painting.jpg` make `photo-painting.png`, beside the photo.
pub fn default_output(content: &Path, style: &Path) -> PathBuf {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_owned();
    let mut name = stem(content);
    name.push("-");
    name.push(stem(style));
    name.push(".png");
    content.with_file_name(name)
}

/// `out.png` after 10 iterations is `out-0010.png`.
pub fn numbered(output: &Path, iteration: u32) -> PathBuf {
    let mut name: OsString = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{iteration:04}"));
    if let Some(extension) = output.extension() {
        name.push(".");
        name.push(extension);
    }
    output.with_file_name(name)
}

/// Whether two paths name one file, be it there already or not.
pub fn same_file(a: &Path, b: &Path) -> bool {
    a == b || resolved(a).is_some_and(|a| resolved(b) == Some(a))
}

/// The path without links and dots; of a file yet to be made, that of its folder and its name.
fn resolved(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_without_a_name_lies_beside_the_content() {
        let name = |content: &str, style: &str| default_output(Path::new(content), Path::new(style));
        assert_eq!(name("a/photo.jpg", "b/painting.webp"), Path::new("a/photo-painting.png"));
        assert_eq!(name("photo", "painting.tar.gz"), Path::new("photo-painting.tar.png"));
    }

    #[test]
    fn a_preview_is_numbered_before_the_extension() {
        assert_eq!(numbered(Path::new("a/out.png"), 10), Path::new("a/out-0010.png"));
        assert_eq!(numbered(Path::new("out.b.jpg"), 12345), Path::new("out.b-12345.jpg"));
    }

    #[test]
    fn a_file_is_recognised_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("d")).unwrap();
        std::fs::write(path("a"), "").unwrap();
        assert!(same_file(&path("a"), &path("d/../a")));
        assert!(same_file(&path("new"), &path("d/../new")));
        assert!(!same_file(&path("a"), &path("new")));
        assert!(!same_file(&path("nowhere/a"), &path("a")));
    }
}
