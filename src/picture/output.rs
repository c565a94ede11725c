//! Where a result goes.
//!
//! A run can take an hour, so everything that could keep its result from being
//! written is looked for first ([`check_output`]). And a result replaces what
//! was there in one step ([`save`]): it is written beside its place and renamed,
//! so that nobody ever sees half a picture, and a failure leaves the old one.

use std::io::{self, Cursor, IsTerminal as _, Write as _};
use std::path::Path;

use super::encode::{self, OutputFormat, SaveOptions};
use super::{Picture, is_standard};
use crate::error::{Error, Result};
use crate::files::{check_place, same, target, write_whole};

/// Checks, before any work is done, that a picture can be written to `path`:
/// its name ends in a known extension, the format can do what `options` ask,
/// the folder exists and takes files, and neither a folder nor one of `inputs`
/// (under whatever name or link) would be overwritten.
///
/// # Errors
/// [`Error::Usage`] with what stands in the way.
pub fn check_output(path: &Path, options: &SaveOptions, inputs: &[&Path]) -> Result<()> {
    let usage = |cause: String| Error::Usage(format!("{}: {cause}", path.display()));
    check_options(path, options)?;
    if is_standard(path) {
        if io::stdout().is_terminal() {
            return Err(usage(
                "a terminal shows no picture: send standard output to a file or a program, or name a file".into(),
            ));
        }
        return Ok(());
    }
    if let Some(input) = inputs.iter().find(|input| same(path, input)) {
        return Err(usage(format!("is the input picture {}: choose another name for the result", input.display())));
    }
    check_place(path).map_err(usage)
}

/// Checks that the format of a picture at `path` holds pictures whose longer side is so many pixels.
///
/// # Errors
/// [`Error::Usage`] if it does not.
pub fn check_side(path: &Path, options: &SaveOptions, longest: usize) -> Result<()> {
    let most = OutputFormat::of(path, options)?.longest_side();
    if longest <= most {
        return Ok(());
    }
    let path = path.display();
    Err(Error::Usage(format!(
        "{path}: a side of {longest} pixels is beyond the format's {most}: write a .png or .tiff"
    )))
}

/// Writes `picture` to `path` in the format that the options or its extension name, in one step:
/// whoever looks sees the old file or the whole new one.
///
/// A new file has the permissions any new file has, a replaced one keeps its
/// own, and a symbolic link goes on pointing at what it pointed at. JPEG shows
/// transparent pixels as white; the other formats keep opacity. `-` is standard output.
///
/// # Errors
/// [`Error::Usage`] for an unknown extension or sixteen bits in a format of
/// eight, [`Error::Output`] where writing fails; nothing is left behind.
pub fn save(picture: &Picture, path: &Path, options: &SaveOptions) -> Result<()> {
    let format = OutputFormat::of(path, options)?;
    check_options(path, options)?;
    let wrap = |cause: String| Error::Output { path: path.to_owned(), cause };
    check_side(path, options, picture.height().max(picture.width()))?;
    if is_standard(path) {
        // Standard output cannot go back, as some formats do.
        let file = encoded(picture, format, options).map_err(wrap)?;
        let mut out = io::stdout().lock();
        let written = out.write_all(&file).and_then(|()| out.flush());
        return written.map_err(|error| Error::Output { path: "standard output".into(), cause: error.to_string() });
    }
    write_whole(&target(path), |out| encode::write(picture, format, options, out)).map_err(wrap)
}

/// The bytes of the file that [`save`] writes in a format.
///
/// # Errors
/// What the format cannot do.
pub fn encoded(picture: &Picture, format: OutputFormat, options: &SaveOptions) -> Result<Vec<u8>, String> {
    let mut file = Cursor::new(Vec::new());
    encode::write(picture, format, options, &mut file)?;
    Ok(file.into_inner())
}

/// Checks that the format of a picture at `path` can do what `options` ask.
///
/// # Errors
/// [`Error::Usage`] for an unknown extension, or what the format cannot do.
pub fn check_options(path: &Path, options: &SaveOptions) -> Result<()> {
    let format = OutputFormat::of(path, options)?;
    if let Some(quality) = options.quality.filter(|_| format != OutputFormat::Jpeg) {
        let path = path.display();
        return Err(Error::Usage(format!(
            "{path}: --quality {quality} is for JPEG, and {format:?} loses nothing: leave it out, or write a .jpg"
        )));
    }
    if options.sixteen_bit && !format.holds_sixteen_bits() {
        let path = path.display();
        return Err(Error::Usage(format!(
            "{path}: {format:?} holds 8 bits per channel: for 16, write a .png or .tiff"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ndarray::Array3;

    use super::*;

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
        assert!(refusal(&at(&("long".repeat(100) + ".png")), &plain, &[]).contains("name"));
        let deep = SaveOptions { sixteen_bit: true, ..plain };
        assert!(refusal(&at("new.jpg"), &deep, &[]).contains("16"));
        assert!(check_output(&at("new.tiff"), &deep, &[]).is_ok());
        let named = SaveOptions { format: Some(OutputFormat::Jpeg), quality: Some(80), ..SaveOptions::default() };
        assert!(check_output(&at("new"), &named, &[]).is_ok());
        let lossy = SaveOptions { quality: Some(80), ..SaveOptions::default() };
        assert!(refusal(&at("new.png"), &lossy, &[]).contains("--quality 80 is for JPEG"));
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
    fn only_files_are_replaced_and_links_to_none_stay_links() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let plain = SaveOptions::default();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket.png")).unwrap();
        for (name, to) in [("device.png", "/dev/null"), ("link.png", "socket.png")] {
            symlink(to, at(name)).unwrap();
        }
        for name in ["socket.png", "device.png", "link.png"] {
            assert!(refusal(&at(name), &plain, &[]).contains("neither a file"), "{name}");
        }
        symlink("round.png", at("round.png")).unwrap();
        assert!(refusal(&at("round.png"), &plain, &[]).contains("name"));

        symlink("new.png", at("dangling.png")).unwrap();
        check_output(&at("dangling.png"), &plain, &[]).unwrap();
        save(&grey(), &at("dangling.png"), &plain).unwrap();
        assert!(fs::symlink_metadata(at("dangling.png")).unwrap().is_symlink());
        assert!(fs::symlink_metadata(at("new.png")).unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_result_has_a_files_usual_permissions_and_a_replaced_one_its_own() {
        use std::fs::Permissions;
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
    fn what_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let wide = Picture::from_rgb(Array3::zeros((1, 16_385, 3)));
        let error = save(&wide, &folder.path().join("wide.webp"), &SaveOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("16385"), "{error}");
        let side = |name: &str, side: usize| check_side(Path::new(name), &SaveOptions::default(), side);
        assert!(side("a.webp", 16_383).is_ok() && side("a.tiff", 100_000).is_ok());
        let error = save(&grey(), &folder.path().join("nowhere/new.png"), &SaveOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
