//! `docs/options.md` is the help of every command, made from it: `BLESS=1 cargo test --test options` writes it anew.

use std::path::Path;

use assert_cmd::Command;

const HEAD: &str = "# Options\n\n\
    Every command with its arguments and options, in the words of its own `--help`; `-h` is shorter. Presets and exit codes\n\
    are at the end.\n";

/// What a command prints.
fn printed(arguments: &[&str]) -> String {
    let output = Command::cargo_bin("impasto").unwrap().args(arguments).env_remove("COLUMNS").output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The names of all commands but `help` itself, as help lists them.
fn commands(help: &str) -> Vec<&str> {
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let entries = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    entries.filter_map(|line| line.split_whitespace().next()).filter(|&name| name != "help").collect()
}

/// What stands before `end`, if that is there.
fn up_to<'a>(text: &'a str, end: &str) -> &'a str {
    text.split(end).next().unwrap_or_default()
}

fn document() -> String {
    let all = printed(&["--help"]);
    let mut text = HEAD.to_owned();
    let mut section = |title: &str, body: &str| text += &format!("\n## {title}\n\n```text\n{}\n```\n", body.trim());
    for name in commands(&all) {
        let help = printed(&[name, "--help"]);
        let help = up_to(up_to(&help, "Exit codes:"), "Presets (");
        // Its options are those of stylize, once more.
        let help = if name == "plan" { up_to(help, "Arguments:") } else { help };
        section(name, help);
    }
    let stylize = printed(&["stylize", "--help"]);
    let presets = stylize.split_once("Presets (").expect("a table of presets").1;
    section("Presets", &format!("Presets ({}", up_to(presets, "Exit codes:")));
    section("Exit codes", all.split_once("Exit codes:\n").expect("a list of exit codes").1);
    text
}

#[test]
fn the_list_of_options_is_what_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    let document = document();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = document.lines().zip(written.lines()).find(|(new, old)| new != old);
    assert!(
        document == written,
        "docs/options.md is not what help says; `BLESS=1 cargo test --test options` writes it. First: {differs:?}"
    );
}
