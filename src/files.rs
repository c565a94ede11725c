//! Files that are there whole or not at all, be they pictures, traces or checkpoints.
//!
//! What is not finished lies under a name of its own, locked as long as its program runs: where that was killed, the next
//! one that writes there takes it away.

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// How the name of an unfinished file begins and ends.
const UNFINISHED: [&str; 2] = [".impasto-", ".part"];

/// A file younger than this may be about to be locked.
const YOUNG: Duration = Duration::from_secs(10);

/// The file that `path` means: what a symbolic link points at, be it there or not, since a renamed file would replace the
/// link.
#[must_use]
pub fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many links as Linux follows. What goes in a circle cannot be looked at, which is found out elsewhere.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(to) => path = folder(&path).join(to),
            Err(_) => break,
        }
    }
    path
}

/// The folder a path's last name is in.
#[must_use]
pub fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether two paths name one file that is there, under whatever name or link. Neither is opened: a pipe would wait.
#[must_use]
pub fn same(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |path: &Path| fs::metadata(path).map(|there| (there.dev(), there.ino())).ok();
        id(a).is_some_and(|a| id(b) == Some(a))
    }
    #[cfg(not(unix))]
    {
        same_file::is_same_file(a, b).unwrap_or(false)
    }
}

/// SHA-256 of a file, in hexadecimal, as `sha256sum` prints it.
///
/// # Errors
/// The system's.
pub fn sha256(path: &Path) -> io::Result<String> {
    let (mut hash, mut file, mut part) = (Sha256::new(), fs::File::open(path)?, vec![0; 1 << 16]);
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(length) => hash.update(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file that vanishes when dropped, with the permissions of any new file.
///
/// # Errors
/// The system's, where no file can be made.
pub fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED[0]).suffix(UNFINISHED[1]);
    // tempfile's own default keeps everybody else out; the umask is the user's say in this.
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    // A file system without locks keeps what is left there for its user to remove.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Removes the unfinished files of programs that no longer run.
pub fn remove_abandoned(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let unfinished = |name: &str| name.starts_with(UNFINISHED[0]) && name.ends_with(UNFINISHED[1]);
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(unfinished)) {
        let is_old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > YOUNG);
        let old_file = entry.metadata().is_ok_and(|there| there.is_file() && there.modified().is_ok_and(is_old));
        if old_file && fs::File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The folder that a file at `path`, or where its links lead, would be in.
///
/// # Errors
/// That there is none.
pub fn check_folder(path: &Path) -> Result<PathBuf, String> {
    let folder = folder(&target(path));
    if folder.is_dir() { Ok(folder) } else { Err(format!("there is no folder {}: create it first", folder.display())) }
}

/// Checks, before any work is done, that a file can be written to `path`: its folder exists and takes files, and what is
/// there, if anything is, is a file that may be replaced. What dead programs left in the folder is removed.
///
/// # Errors
/// What stands in the way, and what to do about it.
pub fn check_place(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err("is a directory: name a file".into());
    }
    let target = target(path);
    let folder = check_folder(path)?;
    match fs::metadata(&target) {
        Ok(existing) if !existing.is_file() => {
            return Err("is neither a file nor a link to one: choose another name".into());
        }
        Ok(existing) if existing.permissions().readonly() => {
            return Err("exists and is write-protected: choose another name".into());
        }
        Ok(existing) if !replaceable(&existing, &folder) => {
            return Err("is somebody else's in a folder where only they may replace it: choose another name".into());
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(format!("cannot be a file's name ({error}): choose another name"));
        }
        _ => {}
    }
    remove_abandoned(&folder);
    match temporary(&folder) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("no file can be made in {} ({error}): choose another folder", folder.display())),
    }
}

/// Checks that the disk has room for a file of so many bytes at `path`. A system that does not say has.
///
/// # Errors
/// How much there is, and what to do about it.
pub fn check_room(path: &Path, bytes: u64) -> Result<(), String> {
    let folder = folder(&target(path));
    match room(&folder) {
        Some(free) if free < bytes => Err(format!(
            "the disk of {} has {:.1} MB free, and {:.1} MB may be needed: make room, or choose another folder",
            folder.display(),
            free as f64 / 1e6,
            bytes as f64 / 1e6
        )),
        _ => Ok(()),
    }
}

/// Bytes that whoever runs this may still write in a folder.
#[cfg(unix)]
fn room(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn room(_: &Path) -> Option<u64> {
    None
}

/// Whether `user` may rename another file over one of `owner` in a folder: a sticky one, as `/tmp` is, keeps what is
/// somebody else's.
#[cfg(unix)]
fn may_replace(user: u32, owner: u32, folder_owner: u32, folder_mode: u32) -> bool {
    const STICKY: u32 = 0o1000;
    folder_mode & STICKY == 0 || [0, owner, folder_owner].contains(&user)
}

/// [`may_replace`], of what is there and whoever runs this.
#[cfg(unix)]
fn replaceable(existing: &fs::Metadata, folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(user), Ok(folder)) = (fs::metadata("/proc/self"), fs::metadata(folder)) else { return true };
    may_replace(user.uid(), existing.uid(), folder.uid(), folder.mode())
}

#[cfg(not(unix))]
fn replaceable(_: &fs::Metadata, _: &Path) -> bool {
    true
}

/// Writes a file in one step: whoever looks sees the old one or the whole new one, with the old one's permissions.
///
/// # Errors
/// The system's reason, or that of `write`; nothing is left behind.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut fs::File>) -> Result<(), String>,
) -> Result<(), String> {
    replace(path, |file| {
        let mut out = BufWriter::new(file.as_file_mut());
        write(&mut out)?;
        out.flush().map_err(|error| error.to_string())
    })
}

/// [`write_whole`] for those who write to a file by its name.
///
/// # Errors
/// The system's reason, or that of `fill`; nothing is left behind.
pub fn replace(path: &Path, fill: impl FnOnce(&mut NamedTempFile) -> Result<(), String>) -> Result<(), String> {
    let reason = |error: io::Error| error.to_string();
    let path = &target(path);
    let mut file = temporary(&folder(path)).map_err(reason)?;
    fill(&mut file)?;
    if let Ok(existing) = fs::metadata(path) {
        file.as_file().set_permissions(existing.permissions()).map_err(reason)?;
    }
    // On disk before the rename, or a power cut could leave an empty file under the final name.
    file.as_file().sync_all().map_err(reason)?;
    file.persist(path).map_err(|failed| reason(failed.error))?;
    // And so should the name be; a file system that cannot is left to its own ways.
    #[cfg(unix)]
    let _ = fs::File::open(folder(path)).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_program_left_is_removed_and_what_a_running_one_needs_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let running = temporary(folder.path()).unwrap();
        let old = |name: &str| {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
        };
        running.as_file().set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
        [".impasto-dead.part", ".impasto-notes", "other.part"].iter().for_each(|name| old(name));
        fs::write(folder.path().join(".impasto-young.part"), "").unwrap();
        remove_abandoned(folder.path());
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !running.path().ends_with(name)).collect();
        names.sort();
        assert_eq!(names, [".impasto-notes", ".impasto-young.part", "other.part"]);
        assert!(running.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_a_disk_has_no_room_for_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        check_room(&path, 1).unwrap();
        assert!(check_room(&path, u64::MAX).unwrap_err().contains("make room"));
    }

    #[cfg(unix)]
    #[test]
    fn a_sticky_folder_keeps_other_peoples_files() {
        assert!(may_replace(7, 8, 9, 0o777) && !may_replace(7, 8, 9, 0o1777));
        assert!(may_replace(7, 7, 9, 0o1777) && may_replace(7, 8, 7, 0o1777) && may_replace(0, 8, 9, 0o1777));
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
    }
}
