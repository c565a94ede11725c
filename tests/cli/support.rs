//! Short ways to start the program and to look at what it left behind.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use serde_json::Value;
use tempfile::TempDir;

/// The built program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_impasto");

/// The repository's weights.
pub const WEIGHTS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/weights/vgg16-imagenet.safetensors");

/// What a build without weights of its own is told in every run.
pub const WEIGHTS: &[&str] = &[
    #[cfg(not(feature = "embedded-weights"))]
    concat!("--weights=", env!("CARGO_MANIFEST_DIR"), "/weights/vgg16-imagenet.safetensors"),
];

/// A run that takes a fraction of a second on pictures of 32×24: the options
/// every test starts from.
pub const SMALL_RUN: &[&str] = &[
    "--preset=paper",
    "--size=0",
    "--style-size=0",
    "--iterations=2",
    "--seed=1",
    "--threads=1",
    "--tone=off",
    #[cfg(not(feature = "embedded-weights"))]
    WEIGHTS[0],
];

/// A small picture from the tests' data.
pub fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures").join(name)
}

/// The program with arguments.
pub fn impasto<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    command
}

/// A folder of its own for a test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A file with these bytes.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `stylize` from two pictures of the tests' data to `out` in this folder.
    pub fn stylize(&self, content: &str, out: &str) -> Command {
        self.stylize_as("stylize", content, out)
    }

    /// The same arguments for another subcommand.
    pub fn stylize_as(&self, subcommand: &str, content: &str, out: &str) -> Command {
        let mut command = impasto([subcommand]);
        command.arg(picture(content)).arg(picture("colour.bmp")).arg("-o").arg(self.path(out)).args(SMALL_RUN);
        command.current_dir(self.0.path());
        command
    }
}

/// Checks that the program ended with `code` and one line of error that has all of `words`: the cause, and the remedy.
pub fn refused(assert: Assert, code: i32, words: &[&str]) {
    let output = assert.code(code).get_output().clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: ") && message.trim_end().lines().count() == 1, "{message}");
    has_all(&message, words);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Checks that the parser refused the command line, on several lines, with all of `words`.
pub fn misunderstood(assert: Assert, words: &[&str]) {
    let output = assert.code(2).get_output().clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: ") && message.contains("try '--help'"), "{message}");
    has_all(&message, words);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn has_all(message: &str, words: &[&str]) {
    assert!(!words.is_empty(), "a refusal has a cause and a remedy to look for: {message}");
    for word in words {
        assert!(message.contains(word), "'{word}' is missing: {message}");
    }
}

/// Standard output of a run that succeeded.
pub fn printed(mut command: Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// The lines of a trace.
pub fn trace(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The program, heeding signals also where whoever runs the tests has them ignored, as `nohup` and jobs in the
/// background do. That takes the `env` of GNU.
#[cfg(unix)]
pub fn heeding() -> std::process::Command {
    let flag = "--default-signal=HUP,INT,TERM";
    let heeds = std::process::Command::new("env").args([flag, "true"]).stderr(std::process::Stdio::null()).status();
    if heeds.is_ok_and(|status| status.success()) {
        let mut command = std::process::Command::new("env");
        command.args([flag, PROGRAM]);
        return command;
    }
    std::process::Command::new(PROGRAM)
}

/// Sends a signal, by the name that `kill` knows.
#[cfg(unix)]
pub fn send(child: &std::process::Child, signal: &str) {
    let kill = format!("kill -{signal} {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// `stylize` on two small pictures, in `folder`, by a shell that does something else first.
#[cfg(target_os = "linux")]
pub fn stylize_after(first: &str, folder: &Folder, flags: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(format!("{first}; exec {PROGRAM} stylize \"$@\"")).arg("sh");
    command.args([picture("rgb.png"), picture("colour.bmp")]).args(SMALL_RUN).args(flags);
    command.current_dir(folder.path(""));
    command
}

/// Numbers that look random, the same in every run.
pub fn random() -> impl FnMut() -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    }
}
