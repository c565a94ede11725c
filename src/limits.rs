//! What the system leaves this process: memory and processors.
//!
//! A machine's free memory is not what a process may take. Its control group, or any group above that one, may
//! have less, and so may the shell it was started from (`ulimit -v`). A program that knows only the machine is killed
//! in a container, and aborts under a shell's limit; one that asks here says so beforehand.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Where Linux shows control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// Address space that the C library sets aside for each thread that asks it for memory. It counts against
/// `ulimit -v`, used or not.
const ARENA: u64 = 128 << 20;

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What this process may still take. `u64::MAX` if nobody says.
    pub free: u64,
    /// What it could have if it was alone.
    pub total: u64,
    /// Who sets the limit.
    pub by: Limiter,
}

/// What sets the limit that is met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// There is no more in the machine.
    Machine,
    /// The control group that the process is in, or one above it.
    ControlGroup,
    /// The shell: `ulimit -v` or `-d`.
    Ulimit,
}

impl Limiter {
    /// In a few words, after "left by".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Limiter::Machine => "the machine",
            Limiter::ControlGroup => "the control group",
            Limiter::Ulimit => "ulimit",
        }
    }

    /// That there are so many bytes, as the end of a sentence.
    #[must_use]
    pub fn leaves(self, bytes: u64) -> String {
        match self {
            Limiter::Machine => format!("{} are free", amount(bytes)),
            by => format!("{} are left by {}", amount(bytes), by.name()),
        }
    }
}

impl Memory {
    /// Asks the system, for a process of so many threads.
    #[must_use]
    pub fn detect(threads: usize) -> Self {
        let limits = machine().into_iter().chain(control_group()).chain(ulimit(threads));
        let unlimited = Memory { free: u64::MAX, total: u64::MAX, by: Limiter::Machine };
        limits.min_by_key(|limit| limit.free).unwrap_or(unlimited)
    }
}

/// Refuses what needs more memory than this process may take. `what` begins the sentence, `remedy` ends it.
///
/// # Errors
/// [`Error::Memory`].
pub fn admit(needed: u64, threads: usize, what: impl Display, remedy: impl Display) -> Result<()> {
    let memory = Memory::detect(threads);
    if needed <= memory.free {
        return Ok(());
    }
    let there = memory.by.leaves(memory.free);
    Err(Error::Memory(format!("{what} needs about {} of memory and {there}; {remedy}", amount(needed))))
}

/// `1.5 GB`, `20 MB`: as storage and memory are sold, in powers of ten.
#[must_use]
pub fn amount(bytes: u64) -> String {
    let units = [(1e12, 1, "TB"), (1e9, 1, "GB"), (1e6, 0, "MB")];
    let bytes = bytes as f64;
    let (unit, digits, name) = units.into_iter().find(|(unit, ..)| bytes >= *unit).unwrap_or(units[2]);
    format!("{:.digits$} {name}", bytes / unit)
}

/// `1.5G`, `20M`: so many bytes or a few more, as an option takes them.
#[must_use]
pub fn short(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000_000);
    match (tenths / 10, tenths % 10) {
        (0, _) => format!("{}M", bytes.div_ceil(1_000_000)),
        (whole, 0) => format!("{whole}G"),
        (whole, tenths) => format!("{whole}.{tenths}G"),
    }
}

fn machine() -> Option<Memory> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    Some(Memory { free: system.available_memory(), total: system.total_memory(), by: Limiter::Machine })
}

/// The tightest of the limits on this process's control group and on those above it.
fn control_group() -> Option<Memory> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let version2 = folders(&groups, "", GROUPS).into_iter().filter_map(|folder| group_v2(Path::new(&folder)));
    let root = format!("{GROUPS}/memory");
    let version1 = folders(&groups, "memory", &root).into_iter().filter_map(|folder| group_v1(Path::new(&folder)));
    version2.chain(version1).min_by_key(|limit| limit.free)
}

/// The folders of this process's group of a controller (of version 2 if that is nameless) and of those above it, root
/// first. Inside a container some may not be visible, and cannot be read.
fn folders(groups: &str, controller: &str, root: &str) -> Vec<String> {
    let own = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    });
    let mut folders = vec![root.to_owned()];
    for part in own.unwrap_or_default().split('/').filter(|part| !part.is_empty()) {
        folders.push(format!("{}/{part}", folders[folders.len() - 1]));
    }
    folders
}

fn group_v2(folder: &Path) -> Option<Memory> {
    let read = |name| fs::read_to_string(folder.join(name)).ok();
    // Above `high` a group is slowed down until it hardly moves.
    let limits = ["memory.max", "memory.high"].map(|name| number(&read(name)?));
    let total = limits.into_iter().flatten().min()?;
    Some(of_group(total, number(&read("memory.current")?)?, &read("memory.stat").unwrap_or_default(), "inactive_file"))
}

fn group_v1(folder: &Path) -> Option<Memory> {
    let read = |name| fs::read_to_string(folder.join(name)).ok();
    let total = number(&read("memory.limit_in_bytes")?)?;
    let used = number(&read("memory.usage_in_bytes")?)?;
    Some(of_group(total, used, &read("memory.stat").unwrap_or_default(), "total_inactive_file"))
}

/// Of what a group uses, files that nobody has looked at for a while are given up first.
fn of_group(total: u64, used: u64, statistics: &str, files: &str) -> Memory {
    let files = statistics.lines().find_map(|line| number(line.strip_prefix(files)?)).unwrap_or(0);
    let used = used.saturating_sub(files);
    Memory { free: total.saturating_sub(used), total, by: Limiter::ControlGroup }
}

/// A number of a file of one; `max` is none.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(unix)]
fn ulimit(threads: usize) -> Option<Memory> {
    use rustix::process::{Resource, getrlimit};
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limit = |resource, used: &str, aside: u64| {
        let total = getrlimit(resource).current?;
        let used = status_bytes(&status, used).unwrap_or(0);
        Some(Memory { free: total.saturating_sub(used + aside), total, by: Limiter::Ulimit })
    };
    let space = limit(Resource::As, "VmSize:", threads as u64 * ARENA);
    let data = limit(Resource::Data, "VmData:", 0);
    space.into_iter().chain(data).min_by_key(|limit| limit.free)
}

#[cfg(not(unix))]
fn ulimit(_threads: usize) -> Option<Memory> {
    None
}

/// Whether memory can be refused to this process when it asks, in place of being promised and not given.
#[must_use]
pub fn may_be_refused() -> bool {
    ulimit(0).is_some()
}

/// The memory this process holds now; where the system tells.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    status_bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The most memory this process ever held, or since the last [`reset_peak_memory`]; where the system tells.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    status_bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Forgets the peak: the next one is that of what follows. Says whether the system did so.
pub fn reset_peak_memory() -> bool {
    // Linux: 5 resets VmHWM to what is held now.
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// `VmHWM:   1024 kB` in bytes.
fn status_bytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(1024 * kib)
}

/// The limit of this process's control group, or of one above it, in processors.
#[must_use]
pub fn processors() -> Option<f64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let version2 = folders(&groups, "", GROUPS)
        .into_iter()
        .filter_map(|folder| quota_v2(&fs::read_to_string(format!("{folder}/cpu.max")).ok()?));
    let version1 = || {
        let root = format!("{GROUPS}/cpu");
        let quotas = folders(&groups, "cpu", &root).into_iter().filter_map(|folder| {
            let number = |name| fs::read_to_string(format!("{folder}/cpu.cfs_{name}_us")).ok();
            quota_v1(&number("quota")?, &number("period")?)
        });
        quotas.min_by(f64::total_cmp)
    };
    version2.min_by(f64::total_cmp).or_else(version1)
}

/// `200000 100000` is 2 processors; `max 100000` is no limit.
fn quota_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota_v1(quota, period)
}

fn quota_v1(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_group_limits_by_its_quota() {
        assert_eq!(quota_v2("150000 100000\n"), Some(1.5));
        assert_eq!(quota_v2("max 100000\n"), None);
        assert_eq!(quota_v1("-1\n", "100000\n"), None);
        assert_eq!(quota_v1("200000\n", "100000\n"), Some(2.0));
    }

    #[test]
    fn the_groups_of_a_process_are_its_own_and_all_above_it() {
        let groups = "12:cpu,cpuacct:/a/b\n4:memory:/docker/1f\n0::/system.slice/x.service\n";
        assert_eq!(folders(groups, "", "/r"), ["/r", "/r/system.slice", "/r/system.slice/x.service"]);
        assert_eq!(folders(groups, "memory", "/m"), ["/m", "/m/docker", "/m/docker/1f"]);
        assert_eq!(folders(groups, "cpu", "/c"), ["/c", "/c/a", "/c/a/b"]);
        assert_eq!(folders("0::/\n", "memory", "/m"), ["/m"]);
        assert_eq!(folders("", "", "/r"), ["/r"]);
    }

    #[test]
    fn a_group_has_left_what_it_does_not_use_but_for_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(group_v2(folder.path()), None, "nothing to be read");
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(group_v2(folder.path()), None, "no limit");
        write("memory.max", "1000\n");
        write("memory.high", "max\n");
        write("memory.stat", "anon 400\ninactive_file 200\nactive_file 100\n");
        assert_eq!(group_v2(folder.path()), Some(Memory { free: 500, total: 1000, by: Limiter::ControlGroup }));
        write("memory.high", "600\n");
        assert_eq!(group_v2(folder.path()).unwrap().free, 100);
        write("memory.current", "5000\n");
        assert_eq!(group_v2(folder.path()).unwrap().free, 0);

        write("memory.limit_in_bytes", "3000\n");
        write("memory.usage_in_bytes", "1500\n");
        write("memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
        assert_eq!(group_v1(folder.path()), Some(Memory { free: 2000, total: 3000, by: Limiter::ControlGroup }));
    }

    #[test]
    fn amounts_have_the_unit_that_fits_them() {
        let expected = ["0 MB", "2 MB", "999 MB", "1.0 GB", "12.3 GB", "5.3 TB"];
        let bytes = [0, 1_500_001, 999_000_000, 1_000_000_000, 12_345_000_000, 5_300_000_000_000];
        assert_eq!(bytes.map(amount), expected);
        let options = [0, 1_500_001, 899_999_999, 900_000_001, 1_000_000_000, 12_345_000_000];
        assert_eq!(options.map(short), ["0M", "2M", "900M", "1G", "1G", "12.4G"]);
    }

    #[test]
    fn what_does_not_fit_says_what_there_is_and_what_to_do() {
        assert!(admit(1, 1, "a picture", "give less").is_ok());
        let error = admit(u64::MAX, 1, "a picture", "give less").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("a picture needs about 18446744.1 TB of memory and "), "{text}");
        assert!(text.ends_with("; give less") && error.exit_code() == 5, "{text}");
    }

    #[test]
    fn the_machine_has_memory_and_no_more_is_free_than_there_is() {
        let memory = Memory::detect(1);
        assert!(0 < memory.free && memory.free <= memory.total, "{memory:?}");
        assert_eq!(status_bytes("VmPeak:\t 5 kB\nVmHWM:\t  12 kB\n", "VmHWM:"), Some(12 * 1024));
        assert_eq!(status_bytes("VmHWM: lots\n", "VmHWM:"), None);
    }
}
