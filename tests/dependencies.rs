//! What the program is built from: licences that let it be passed on, and crates.io alone.
//!
//! The rules are those of `deny.toml`, of which `cargo deny check` is the whole; this much of it needs no network and
//! no other program. Advisories do: `docs/testing.md`.

mod common;

use std::process::{Command, Output};

use common::repository;
use serde_json::Value as Json;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The licences that `deny.toml` allows, a line each.
fn allowed() -> Vec<String> {
    let rules = std::fs::read_to_string(repository("deny.toml")).unwrap();
    let list = rules.lines().skip_while(|line| *line != "allow = [").skip(1).take_while(|line| *line != "]");
    let quoted = list.filter_map(|line| Some(line.trim().strip_prefix('"')?.split_once('"')?.0.to_owned()));
    quoted.collect()
}

/// Every crate of `Cargo.lock`, or, where only those for this kind of machine were downloaded, these.
fn packages() -> Vec<Json> {
    let metadata = |more: &[&str]| -> Output {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--offline", "--locked", "--all-features", "--format-version=1"]).args(more);
        cargo.current_dir(repository("")).output().unwrap()
    };
    let mut output = metadata(&[]);
    if !output.status.success() {
        output = metadata(&["--filter-platform=host-tuple"]);
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    found["packages"].as_array().unwrap().clone()
}

/// Whether an expression of licences can be met with those that are allowed: SPDX's, in which AND binds more tightly
/// than OR, and the older `/` for OR. An exception only ever allows more.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let Some(word) = words.next() else { return false };
    if word == "(" {
        return any(words, allowed) && words.next() == Some(")");
    }
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    allowed.iter().any(|licence| licence == word)
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "Zlib"].map(String::from);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND Zlib", true),
        ("(GPL-3.0 OR MIT) AND IJG", false),
        ("Zlib AND GPL-3.0 OR MIT", true),
        ("MIT OR Zlib AND GPL-3.0", true),
        ("GPL-3.0 WITH GCC-exception-3.1", false),
        ("MIT WITH LLVM-exception", true),
        ("", false),
        ("MIT Zlib", false),
        ("(MIT", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn every_licence_is_one_that_deny_toml_allows_and_each_of_these_is_needed() {
    let (allowed, packages) = (allowed(), packages());
    assert!(allowed.len() >= 3 && packages.len() > 100, "{allowed:?}, {} packages", packages.len());
    let offered = |package: &Json| package["license"].as_str().unwrap_or_default().to_owned();
    for package in &packages {
        let licence = offered(package);
        assert!(is_met(&licence, &allowed), "{} is under '{licence}', see deny.toml", package["name"]);
    }
    for licence in &allowed {
        let others: Vec<String> = allowed.iter().filter(|other| *other != licence).cloned().collect();
        assert!(packages.iter().any(|package| !is_met(&offered(package), &others)), "no crate needs {licence}");
    }
}

#[test]
fn every_crate_is_from_the_registry() {
    let lock = std::fs::read_to_string(repository("Cargo.lock")).unwrap();
    let sources: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert!(sources.len() > 100);
    assert!(sources.iter().all(|source| source.trim_matches('"') == REGISTRY));
    // What has no source is here: the program itself.
    assert_eq!(lock.matches("[[package]]").count(), sources.len() + 1);
}
