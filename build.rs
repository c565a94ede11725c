//! Tells the program which commit it was built from, for the head of `impasto bench` and `impasto doctor`.
//!
//! In release builds alone, which are the ones that are measured: elsewhere, the whole library would be compiled
//! anew after every commit. A source without its repository, such as a packed one, has no commit to tell.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A repository around this one knows nothing of it: its commits are not ours.
    if std::env::var("PROFILE").as_deref() != Ok("release")
        || git(&["rev-parse", "--show-prefix"]).as_deref() != Some("")
    {
        return;
    }
    if let Some(commit) = git(&["describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]) {
        println!("cargo::rustc-env=IMPASTO_COMMIT={commit}");
    }
    // What a checkout and what a commit changes. Whether something is not committed is up to the sources.
    let watched = ["HEAD", "logs/HEAD"].into_iter().filter_map(|name| git(&["rev-parse", "--git-path", name]));
    for path in watched.filter(|path| std::fs::exists(path).unwrap_or(false)) {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-changed=src");
}

/// What git says, if there is one and it has something to say.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
