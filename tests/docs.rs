//! What the README and the documents say about the program is so: commands have the options that they are shown with, presets
//! are there, and links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// The README and everything in `docs`, with the text of each.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = folder.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let documents = documents.chain([root.join("README.md")]);
    documents.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Every `--option` in `text`.
fn options(text: &str) -> BTreeSet<String> {
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = text.split(|c: char| c.is_whitespace() || "`|,()[]=".contains(c));
    let options = words.filter_map(|word| word.strip_prefix("--"));
    let options = options.map(|rest| rest.chars().take_while(|&c| name(c)).collect::<String>());
    options.filter(|option| option.starts_with(|c: char| c.is_ascii_lowercase())).collect()
}

/// The options of a command and the values that it shows for them, as its help tells.
fn help(command: &str) -> String {
    let output = Command::cargo_bin("impasto").unwrap().args([command, "--help"]).output().unwrap();
    assert!(output.status.success(), "impasto {command} --help");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of shell examples that begin with `impasto COMMAND`, each without what is done with its output.
fn commands(text: &str) -> Vec<&str> {
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap().trim());
    let calls = lines.filter_map(|line| line.find("impasto ").map(|at| &line[at + "impasto ".len()..]));
    calls.map(|call| call.split([';', '|', '>']).next().unwrap().trim()).collect()
}

#[test]
fn commands_that_are_shown_have_the_options_that_they_are_shown_with() {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut seen = 0;
    for (path, text) in documents() {
        for call in commands(&text) {
            let Some(command) = call.split_whitespace().next().filter(|word| !word.starts_with('-')) else { continue };
            if matches!(command, "help" | "COMMAND") {
                continue;
            }
            let known = known.entry(command.to_owned()).or_insert_with(|| options(&help(command)));
            let unknown: Vec<_> = options(call).difference(known).cloned().collect();
            assert!(unknown.is_empty(), "{}: `impasto {call}`: there is no {unknown:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} commands");
}

#[test]
fn the_words_of_other_programs_are_led_to_options_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/coming-from.md")).unwrap();
    let known = options(&help("stylize"));
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{row}");
        let unknown: Vec<_> = options(cells[2]).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{row}: there is no {unknown:?}");
        assert!(!cells[2].is_empty() || !cells[3].is_empty(), "neither a counterpart nor a reason: {row}");
    }
}

#[test]
fn presets_that_are_named_are_there() {
    for (path, text) in documents() {
        for call in commands(&text) {
            let mut words = call.split_whitespace();
            while let Some(word) = words.next() {
                if word == "--preset" {
                    let name = words.next().unwrap_or_default();
                    let known = impasto::Preset::ALL.iter().any(|preset| preset.name() == name);
                    assert!(known || name.starts_with('$'), "{}: `impasto {call}`", path.display());
                }
            }
        }
    }
}

/// A heading's name in a link, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let lines = text.lines().filter(move |line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    lines.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_column_of_a_benchmark_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/performance.md")).unwrap();
    let rows = text
        .split_once("| columns | what they say |")
        .unwrap()
        .1
        .lines()
        .take_while(|line| !line.trim().starts_with('#'));
    let first: String = rows.filter_map(|row| row.split('|').nth(1)).collect();
    for column in impasto::bench::csv_rows::COLUMNS {
        assert!(first.contains(&format!("`{column}`")), "{column}");
    }
}

#[test]
fn links_lead_somewhere() {
    for (path, text) in documents() {
        let prose: String = text.split("```").step_by(2).collect();
        let markdown = prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        let html = ["src=\"", "href=\""].into_iter().flat_map(|attribute| {
            prose.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()).collect::<Vec<_>>()
        });
        for link in markdown.chain(html).filter(|link| !link.contains("://")) {
            let (file, place) = link.split_once('#').map_or((link, None), |(file, place)| (file, Some(place)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if let Some(place) = place {
                let text = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(place), "{}: {link}", path.display());
            }
        }
    }
}
