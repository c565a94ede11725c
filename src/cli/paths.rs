//! Names of files, and whether two names mean the same file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use impasto::files;

/// Of more styles than this, a name has the first alone.
const MOST_STYLES: usize = 3;

/// `photo.jpg` and `painting.jpg` make `photo-painting.png`, beside the photo; with `other.jpg`, too, it is
/// `photo-painting-other.png`.
pub fn default_output<'a>(content: &Path, styles: impl Iterator<Item = &'a Path>) -> PathBuf {
    // A folder such as `.` has a name only where it lies.
    let named = |path: &Path| path.file_stem().map(OsString::from);
    let stem = |path: &Path| named(path).or_else(|| named(&path.canonicalize().ok()?)).unwrap_or_default();
    let styles: Vec<&Path> = styles.collect();
    let shown = if styles.len() > MOST_STYLES { 1 } else { styles.len() };
    let mut name = stem(content);
    for style in &styles[..shown] {
        name.push("-");
        name.push(stem(style));
    }
    if shown < styles.len() {
        name.push(format!("-and-{}-more", styles.len() - shown));
    }
    name.push(".png");
    content.with_file_name(name)
}

/// The path, or the first of `name-2.png`, `name-3.png` and so on of which nothing is there.
pub fn unused(path: PathBuf) -> PathBuf {
    let free = |path: &PathBuf| path.symlink_metadata().is_err();
    if free(&path) { path } else { names(&path).find(free).expect("a folder is not endless") }
}

/// `name-2.png`, `name-3.png` and so on.
pub fn names(path: &Path) -> impl Iterator<Item = PathBuf> {
    (2u32..).map(|i| with_suffix(path, &format!("-{i}")))
}

/// `out.png` and `-0010` make `out-0010.png`.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.file_stem().unwrap_or_default().to_owned();
    name.push(suffix);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// `out.png` after 10 iterations is `out-0010.png`.
pub fn numbered(output: &Path, iteration: u32) -> PathBuf {
    with_suffix(output, &format!("-{iteration:04}"))
}

/// The iteration of which `name` is the picture, if it is one of those named after `output`.
pub fn iteration_of(name: &Path, output: &Path) -> Option<u32> {
    let stem = name.file_stem()?.to_str()?;
    let iteration = stem.rsplit_once('-')?.1.parse().ok()?;
    (numbered(output, iteration).file_name() == name.file_name()).then_some(iteration)
}

/// Whether two paths name one file, be it there already, perhaps under several names, or not.
pub fn same_file(a: &Path, b: &Path) -> bool {
    a == b || files::same(a, b) || resolved(a).is_some_and(|a| resolved(b) == Some(a))
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
        let name = |content: &str, styles: &str| default_output(Path::new(content), styles.split(' ').map(Path::new));
        assert_eq!(name("a/photo.jpg", "b/painting.webp"), Path::new("a/photo-painting.png"));
        assert_eq!(name("photo", "painting.tar.gz"), Path::new("photo-painting.tar.png"));
        assert_eq!(name("photo", "a.jpg b/ c.png"), Path::new("photo-a-b-c.png"));
        assert_eq!(name("photo", "a.jpg b.jpg c.jpg d.jpg"), Path::new("photo-a-and-3-more.png"));
        assert!(name("photo", ".").as_os_str().len() > "photo-.png".len());
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(unused(path("a.png")), path("a.png"));
        std::fs::write(path("a.png"), "").unwrap();
        std::fs::create_dir(path("a-2.png")).unwrap();
        assert_eq!(unused(path("a.png")), path("a-3.png"));
    }

    #[test]
    fn a_preview_is_numbered_before_the_extension() {
        assert_eq!(numbered(Path::new("a/out.png"), 10), Path::new("a/out-0010.png"));
        assert_eq!(numbered(Path::new("out.b.jpg"), 12345), Path::new("out.b-12345.jpg"));
        let of = |name: &str| iteration_of(Path::new(name), Path::new("a/out.png"));
        assert_eq!((of("out-0010.png"), of("b/out-123456.png")), (Some(10), Some(123_456)));
        assert!(["out.png", "out-10.png", "out-0010.jpg", "in-0010.png", "out-.png"].iter().all(|n| of(n).is_none()));
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
        std::fs::hard_link(path("a"), path("hard")).unwrap();
        assert!(same_file(&path("a"), &path("hard")));
        assert!(!same_file(&path("nowhere/a"), &path("a")));
    }
}
