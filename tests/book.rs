//! The book says what is there: links, files, anchors, options and programs that it names exist, its parts are all
//! there, and the examples that it takes its code from run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// Pages with a picture, a paper and three exercises; the others are recipes, the introduction and the answers.
const CHAPTERS: usize = 12;

/// Bytes of a figure at most: the repository is cloned by people on trains.
const LARGEST_FIGURE: u64 = 100_000;

/// Characters in a line of plain text at most: more would have to be scrolled beside the table of contents.
const WIDEST: usize = 84;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> PathBuf {
    root().join("docs/book/src")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files of a folder, by name.
fn files(folder: impl AsRef<Path>) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let entries = entries.filter(|entry| entry.file_type().unwrap().is_file());
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Files of a folder and all folders in it.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { tree(&path) } else { vec![path] }).collect()
}

/// What stands between `open` and `close`, each time.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(inside, _)| inside).collect()
}

/// The page names that the summary links to, in its order.
fn listed() -> Vec<String> {
    between(&read(pages().join("SUMMARY.md")), "](", ")").into_iter().map(str::to_owned).collect()
}

/// Each page's name and text.
fn texts() -> Vec<(String, String)> {
    listed().into_iter().map(|name| (name.clone(), read(pages().join(name)))).collect()
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect::<Vec<_>>().concat()
}

/// The commands in a page's ```sh blocks, each on one line.
fn commands(text: &str) -> Vec<String> {
    let blocks = between(text, "```sh\n", "```").into_iter().map(|block| block.replace("\\\n", ""));
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What a heading is linked by: small letters, spaces as hyphens, no punctuation.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn the_summary_lists_every_page_once() {
    let listed = listed();
    let mut expected = files(pages());
    expected.remove("SUMMARY.md");
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len());
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in texts() {
        for target in between(&prose(&text), "](", ")") {
            if target.contains("://") {
                assert!(target.starts_with("https://"), "{page}: {target}");
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { &page } else { file };
            assert!(pages().join(file).exists(), "{page} links to {target}");
            if !heading.is_empty() {
                let text = read(pages().join(file));
                let found =
                    prose(&text).lines().any(|line| line.starts_with('#') && slug(line.trim_matches('#')) == heading);
                assert!(found, "{page} links to {target}");
            }
        }
    }
}

#[test]
fn formulas_and_commands_fit_the_page() {
    for (page, text) in texts() {
        let blocks = ["```text\n", "```sh\n"].into_iter().flat_map(|open| between(&text, open, "```"));
        for line in blocks.flat_map(str::lines) {
            assert!(line.chars().count() <= WIDEST, "{page}: {line}");
        }
    }
}

#[test]
fn every_path_that_is_named_exists() {
    for (page, text) in texts() {
        for path in between(&prose(&text), "`", "`") {
            let is_path =
                ["src/", "docs/", "examples/", "tests/", "tools/"].iter().any(|folder| path.starts_with(folder));
            assert!(!is_path || root().join(path).exists(), "{page} names {path}");
        }
    }
}

#[test]
fn code_is_included_from_anchors_that_are_there_and_no_anchor_is_left_over() {
    let mut used: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for (page, text) in texts() {
        for include in between(&text, "{{#include ", "}}") {
            let (file, anchor) = include.split_once(':').unwrap_or((include, ""));
            let file = pages().join(file).canonicalize().unwrap_or_else(|e| panic!("{page} includes {include}: {e}"));
            if anchor.is_empty() {
                continue;
            }
            let source = read(&file);
            let at = |mark: &str| source.lines().position(|line| line.trim() == format!("// {mark}: {anchor}"));
            let ends = at("ANCHOR").zip(at("ANCHOR_END"));
            assert!(ends.is_some_and(|(start, end)| start + 1 < end), "{page} includes {include}");
            used.entry(file).or_default().insert(anchor.to_owned());
        }
        assert!(!text.contains("{{#include") || text.contains("```rust,ignore\n{{#include"), "{page} includes no code");
    }
    for folder in ["src", "examples"] {
        for file in tree(&root().join(folder).canonicalize().unwrap()) {
            let source = read(&file);
            let anchors = source.lines().filter_map(|line| line.trim().strip_prefix("// ANCHOR: "));
            let anchors: BTreeSet<String> = anchors.map(str::to_owned).collect();
            assert_eq!(anchors, used.remove(&file).unwrap_or_default(), "anchors of {}", file.display());
        }
    }
}

#[test]
fn every_chapter_has_all_its_parts_and_the_answers_to_its_exercises() {
    let answers = read(pages().join("answers.md"));
    let numbered = |text: &str| (1..=4).filter(|n| text.contains(&format!("\n{n}. "))).collect::<Vec<_>>();
    let chapters: Vec<_> = texts().into_iter().filter(|(_, text)| text.contains("\n## Exercises\n")).collect();
    assert_eq!(chapters.len(), CHAPTERS);
    for (page, text) in chapters {
        for part in ["The idea", "A picture", "The code", "A paper"] {
            assert!(text.contains(&format!("\n## {part}\n")), "{page} has no '{part}'");
        }
        for hand_or_figure in ["By hand", "](figures/", "{{#include "] {
            assert!(text.to_lowercase().contains(&hand_or_figure.to_lowercase()), "{page} has no '{hand_or_figure}'");
        }
        let title = text.lines().next().unwrap().trim_start_matches("# ");
        let answer = answers.split("\n## ").find_map(|part| part.strip_prefix(&format!("{title}\n")));
        let exercises = text.split_once("\n## Exercises\n").unwrap().1;
        assert_eq!((numbered(exercises), numbered(answer.unwrap_or(""))), (vec![1, 2, 3], vec![1, 2, 3]), "{page}");
    }
}

#[test]
fn every_figure_is_small_and_stands_above_the_command_that_makes_it() {
    let texts = texts();
    for figure in files(pages().join("figures")) {
        let path = pages().join("figures").join(&figure);
        let size = fs::metadata(&path).unwrap().len();
        assert!(size <= LARGEST_FIGURE, "{figure} has {size} bytes");
        if figure.ends_with(".svg") {
            let text = read(&path).replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http"), "{figure} asks somebody for something");
        }
        let shown: Vec<_> = texts.iter().filter(|(_, text)| text.contains(&format!("](figures/{figure})"))).collect();
        assert_eq!(shown.len(), 1, "pages that show {figure}");
        let made = |line: &String| line.contains(&format!("docs/book/src/figures/{figure}"));
        assert!(commands(&shown[0].1).iter().any(made), "no command makes {figure}");
    }
}

#[test]
fn every_command_names_options_files_and_programs_that_there_are() {
    let mut help: BTreeMap<String, String> = BTreeMap::new();
    let drawings = read(root().join("tools/figures.py"));
    let examples = files(root().join("examples"));
    for (page, text) in texts() {
        for line in &commands(&text) {
            let words: Vec<&str> = line.split_whitespace().collect();
            for word in words.iter().filter(|word| word.starts_with("samples/")) {
                assert!(root().join(word).exists(), "{page}: {word} in {line}");
            }
            match words[..] {
                ["impasto", command, ref rest @ ..] => {
                    let help = help.entry(command.to_owned()).or_insert_with(|| {
                        let output = Command::cargo_bin("impasto").unwrap().args([command, "--help"]).output().unwrap();
                        assert!(output.status.success(), "{page}: impasto {command}");
                        String::from_utf8(output.stdout).unwrap()
                    });
                    for option in rest.iter().filter(|word| word.starts_with("--")) {
                        let name = option.split('=').next().unwrap();
                        let known = help.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == name);
                        assert!(known, "{page}: {option} in {line}");
                    }
                }
                ["cargo", "run", "--release", "--example", example, ..] => {
                    assert!(examples.contains(&format!("{example}.rs")), "{page}: {line}");
                }
                ["tools/figures.py", drawing, ..] => {
                    assert!(drawings.contains(&format!("\ndef {drawing}(")), "{page}: {line}");
                }
                ["cmp", ..] => {}
                _ => panic!("{page}: nobody has looked at '{line}'"),
            }
        }
    }
}

/// An example that `cargo test` has built, in the folder of samples.
fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is built by 'cargo build --examples', and by 'cargo test'", program.display());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// What it prints.
fn output(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

#[test]
fn the_examples_without_a_network_run_and_print_what_the_book_says() {
    let tape = output(&mut example("01_tape_by_hand"));
    let numbers: Vec<Vec<&str>> = tape.lines().map(|line| line.split_whitespace().rev().take(2).collect()).collect();
    // Gradient and value of the five nodes.
    assert_eq!(numbers, [["16", "2"], ["-16", "-3"], ["-8", "-6"], ["-8", "-4"], ["1", "16"]]);
    let folder = tempfile::tempdir().unwrap();
    let edges = folder.path().join("edges.png");
    let convolution = output(example("02_convolution").arg(&edges));
    for row in ["[0, 3, 3, -3]", "[0, 4, 4, -4]"] {
        assert!(convolution.contains(row), "{convolution}");
    }
    assert!(edges.exists());
    let winograd = output(&mut example("03_winograd"));
    assert!(winograd.contains("y = [[-1.0], [0.0]], by the definition [-1.0, 0.0]"), "{winograd}");
    assert!(output(&mut example("06_gradient_check")).contains("finite difference"));
}

#[test]
#[cfg(feature = "embedded-weights")]
fn the_examples_with_the_network_run() {
    let folder = tempfile::tempdir().unwrap();
    let [layers, transfer, poster] =
        ["layers", "transfer", "poster"].map(|name| folder.path().join(format!("{name}.png")));
    let seen = output(example("04_what_a_layer_sees").arg(&layers));
    assert!(seen.contains("relu4_1  24 × 24 × 512"), "{seen}");
    assert!(output(&mut example("05_gram")).contains("max |G_ij − G_ji| = 0"));
    assert!(output(example("07_transfer").arg(&transfer).args(["32", "5"])).contains("5/5"));
    let losses = output(example("08_your_own_loss").arg(&poster).arg("48"));
    let total = |line: &str| -> f64 {
        let of = |name| line.split_once(name).unwrap().1.split_whitespace().next().unwrap().parse::<f64>().unwrap();
        of("theirs ") + of("ours ")
    };
    let steps: Vec<f64> = losses.lines().filter(|line| line.contains("theirs")).map(total).collect();
    assert!(steps.len() == 31 && steps[30] < steps[0], "{losses}");
    assert!([layers, transfer, poster].iter().all(|file| file.exists()));
}
