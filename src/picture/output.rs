//! Where a result goes.
//!
//! A run can take an hour, so everything that could keep its result from being
//! written is looked for first ([`check_output`]). And a result replaces what
//! was there in one step ([`save`]): it is written beside its place and renamed,
//! so that nobody ever sees half a picture, and a failure leaves the old one.

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Picture;
use super::encode::{self, OutputFormat, SaveOptions};
use crate::error::{Error, Result};

/// Checks, before any work is done, that a picture can be written to `path`:
/// its name ends in a known extension, the format can do what `options` ask,
/// the folder exists and takes files, and neither a folder nor one of `inputs`
/// (under whatever name or link) would be overwritten.
///
/// # Errors
/// [`Error::Usage`] with what stands in the way.
pub fn check_output(path: &Path, options: &SaveOptions, inputs: &[&Path]) -> Result<()> {
    let usage = |cause: String| Err(Error::Usage(format!("{}: {cause}", path.display())));
    check_depth(path, OutputFormat::from_path(path)?, options)?;
    if path.is_dir() {
        return usage("is a directory: name a file for the result".into());
    }
    if let Some(input) = inputs.iter().find(|input| same_file::is_same_file(path, input).unwrap_or(false)) {
        return usage(format!("is the input picture {}: choose another name for the result", input.display()));
    }
    if fs::metadata(path).is_ok_and(|existing| existing.permissions().readonly()) {
        return usage("exists and is write-protected: choose another name for the result".into());
    }
    let folder = folder(&target(path));
    if !folder.is_dir() {
        return usage(format!("there is no folder {}: create it first", folder.display()));
    }
    match temporary(&folder) {
        Ok(_) => Ok(()),
        Err(error) => usage(format!("no file can be made in {} ({error}): choose another folder", folder.display())),
    }
}

/// Writes `picture` to `path` in the format its extension names, in one step:
/// whoever looks sees the old file or the whole new one.
///
/// A new file has the permissions any new file has, a replaced one keeps its
/// own, and a symbolic link goes on pointing at what it pointed at. JPEG shows
/// transparent pixels as white; the other formats keep opacity.
///
/// # Errors
/// [`Error::Usage`] for an unknown extension or sixteen bits in a format of
/// eight, [`Error::Output`] where writing fails; nothing is left behind.
pub fn save(picture: &Picture, path: &Path, options: &SaveOptions) -> Result<()> {
    let format = OutputFormat::from_path(path)?;
    check_depth(path, format, options)?;
    let wrap = |cause: String| Error::Output { path: path.to_owned(), cause };
    let longest = picture.height().max(picture.width());
    if longest > format.longest_side() {
        let most = format.longest_side();
        return Err(wrap(format!("a side of {longest} pixels is beyond the format's {most}: write a .png or .tiff")));
    }
    write_whole(&target(path), |out| encode::write(picture, format, options, out)).map_err(wrap)
}

fn check_depth(path: &Path, format: OutputFormat, options: &SaveOptions) -> Result<()> {
    if options.sixteen_bit && !format.holds_sixteen_bits() {
        let path = path.display();
        return Err(Error::Usage(format!(
            "{path}: {format:?} holds 8 bits per channel: for 16, write a .png or .tiff"
        )));
    }
    Ok(())
}

/// The file that `path` means: what a symbolic link points at, since a renamed file would replace the link.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A file that vanishes when dropped, with the permissions of any new file.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".impasto-").suffix(".part");
    // tempfile's own default keeps everybody else out; the umask is the user's say in this.
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut fs::File>) -> Result<(), String>,
) -> Result<(), String> {
    let reason = |error: io::Error| error.to_string();
    let mut file = temporary(&folder(path)).map_err(reason)?;
    let mut out = BufWriter::new(file.as_file_mut());
    write(&mut out)?;
    out.flush().map_err(reason)?;
    drop(out);
    if let Ok(existing) = fs::metadata(path) {
        file.as_file().set_permissions(existing.permissions()).map_err(reason)?;
    }
    // On disk before the rename, or a power cut could leave an empty file under the final name.
    file.as_file().sync_all().map_err(reason)?;
    file.persist(path).map(drop).map_err(|failed| reason(failed.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn grey() -> Picture {
        Picture::from_rgb(Array3::from_elem((16, 16, 3), 0.5))
    }

    fn refusal(path: &Path, options: &SaveOptions, inputs: &[&Path]) -> String {
        match check_output(path, options, inputs) {
            Err(Error::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_result_that_cannot_be_written_is_known_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let plain = SaveOptions::default();
        fs::create_dir(at("folder.png")).unwrap();
        fs::write(at("input.png"), b"in").unwrap();
        fs::write(at("protected.png"), b"in").unwrap();
        let mut protected = fs::metadata(at("protected.png")).unwrap().permissions();
        protected.set_readonly(true);
        fs::set_permissions(at("protected.png"), protected).unwrap();

        assert!(check_output(&at("new.png"), &plain, &[&at("input.png")]).is_ok());
        assert!(refusal(&at("new.xyz"), &plain, &[]).contains(".tiff"));
        assert!(refusal(&at("folder.png"), &plain, &[]).contains("directory"));
        assert!(refusal(&at("protected.png"), &plain, &[]).contains("write-protected"));
        assert!(refusal(&at("missing/new.png"), &plain, &[]).contains("no folder"));
        assert!(refusal(&at("input.png/new.png"), &plain, &[]).contains("no folder"));
        assert!(refusal(&at("input.png"), &plain, &[&at("./input.png")]).contains("input picture"));
        let deep = SaveOptions { sixteen_bit: true, ..plain };
        assert!(refusal(&at("new.jpg"), &deep, &[]).contains("16"));
        assert!(check_output(&at("new.tiff"), &deep, &[]).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "checking leaves nothing behind");
    }

    #[cfg(unix)]
    #[test]
    fn an_input_is_recognised_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("input.png"), b"in").unwrap();
        fs::hard_link(at("input.png"), at("hard.png")).unwrap();
        std::os::unix::fs::symlink(at("input.png"), at("soft.png")).unwrap();
        for name in ["hard.png", "soft.png"] {
            assert!(refusal(&at(name), &SaveOptions::default(), &[&at("input.png")]).contains("input picture"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_result_has_a_files_usual_permissions_and_a_replaced_one_its_own() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("usual"), b"").unwrap();
        fs::write(at("old.png"), b"").unwrap();
        fs::set_permissions(at("old.png"), Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(at("old.png"), at("link.png")).unwrap();

        save(&grey(), &at("new.png"), &SaveOptions::default()).unwrap();
        save(&grey(), &at("link.png"), &SaveOptions::default()).unwrap();

        let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o777;
        assert_eq!(mode("new.png"), mode("usual"));
        assert_eq!(mode("old.png"), 0o640);
        assert!(fs::symlink_metadata(at("link.png")).unwrap().is_symlink());
        assert_eq!(fs::read(at("old.png")).unwrap(), fs::read(at("new.png")).unwrap());
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.png");
        fs::write(&path, b"old").unwrap();
        let failed = write_whole(&path, |out| {
            out.write_all(b"half a pict").unwrap();
            Err("the disk is full".into())
        });
        assert_eq!(failed, Err("the disk is full".into()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        let wide = Picture::from_rgb(Array3::zeros((1, 16_385, 3)));
        let error = save(&wide, &folder.path().join("wide.webp"), &SaveOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Output { .. }) && error.to_string().contains("16385"), "{error}");
        let error = save(&grey(), &folder.path().join("nowhere/new.png"), &SaveOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
