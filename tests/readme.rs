//! The README says what the program says: its presets, options and exit codes
//! are compared with `--help`, which is made from the configuration itself.

use std::collections::BTreeSet;

use assert_cmd::Command;

const README: &str = include_str!("../README.md");

fn help() -> String {
    let output = Command::cargo_bin("impasto").unwrap().args(["stylize", "--help"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// What stands in `text` from `start` up to `end`, its white space at both ends left out.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("no '{start}' in\n{text}"));
    let rest = &text[from..];
    rest[..rest.find(end).unwrap_or_else(|| panic!("no '{end}' after '{start}'"))].trim()
}

/// Every `--option` in `text`.
fn options(text: &str) -> BTreeSet<&str> {
    let name = |c: char| c.is_ascii_lowercase() || c == '-';
    let cut = |rest: &'_ str| rest.len() - rest.trim_start_matches(name).len();
    text.split("--")
        .skip(1)
        .map(|rest| &rest[..cut(rest)])
        .filter(|o| o.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

#[test]
fn the_readme_spells_the_presets_out_as_help_does() {
    let help = help();
    assert_eq!(between(README, "Presets (", "```"), between(&help, "Presets (", "Exit codes:"));
}

#[test]
fn the_readme_lists_every_option_of_help_and_no_other() {
    let help = help();
    let mut known = options(between(&help, "Arguments:", "Presets ("));
    known.remove("help");
    let table = between(README, "| option |", "\n\n");
    assert_eq!(options(table), known);
}

#[test]
fn the_readme_lists_every_exit_code() {
    let help = help();
    let code = |line: &str| line.split_whitespace().next().and_then(|word| word.parse::<u8>().ok());
    let codes: BTreeSet<u8> = between(&help, "Exit codes:", "\n\n").lines().filter_map(code).collect();
    let table = between(README, "| code |", "\n\n");
    let listed = table.lines().flat_map(|line| line.split('|').nth(1).unwrap_or("").split(','));
    assert_eq!(listed.filter_map(code).collect::<BTreeSet<_>>(), codes);
}
