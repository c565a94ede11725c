//! What the program says: help, man pages, completions, weights, silence.

use std::process::{Command as StdCommand, Stdio};

use impasto::config::Preset;

use crate::support::{Folder, PROGRAM, WEIGHTS_FILE, impasto, misunderstood, printed, refused};

const EXIT_CODES: [&str; 11] = ["0", "1", "2", "3", "4", "5", "6", "7", "129", "130", "143"];

/// Every option of `stylize`.
const OPTIONS: [&str; 70] = [
    "--output",
    "--bits",
    "--overwrite",
    "--save-every",
    "--checkpoint",
    "--checkpoint-every",
    "--size",
    "--style",
    "--style-mask",
    "--regions",
    "--keep",
    "--style-size",
    "--style-scale",
    "--max-pixels",
    "--max-memory",
    "--preset",
    "--content-weight",
    "--style-weight",
    "--tv-weight",
    "--strength",
    "--normalize-gradients",
    "--content-layer",
    "--style-layer",
    "--statistic",
    "--refresh",
    "--pooling",
    "--detail",
    "--colors",
    "--luminance-only",
    "--jitter",
    "--match-result",
    "--calm",
    "--largest-gain",
    "--tone",
    "--iterations",
    "--scales",
    "--canvas",
    "--optimizer",
    "--learning-rate",
    "--schedule",
    "--moments",
    "--lbfgs-history",
    "--average",
    "--init",
    "--seed",
    "--threads",
    "--precision",
    "--conv-algorithm",
    "--weights",
    "--trace",
    "--format",
    "--quality",
    "--dpi",
    "--no-metadata",
    "--preview",
    "--json",
    "--config",
    "--content-loss",
    "--enlarged-weighs-more",
    "--tv-loss",
    "--border",
    "--scale-rule",
    "--until",
    "--time",
    "--beta1",
    "--beta2",
    "--epsilon",
    "--quiet",
    "--verbose",
    "--help",
];

#[test]
fn help_has_every_option_the_presets_and_the_exit_codes() {
    let help = printed(impasto(["stylize", "--help"]));
    for option in OPTIONS {
        assert!([' ', '\n', '['].iter().any(|end| help.contains(&format!("{option}{end}"))), "{option}");
    }
    let listed = help.lines().filter_map(|line| {
        let words = line.split_whitespace().find(|word| word.starts_with('-') && !word.ends_with(','))?;
        (line.starts_with("  -") || line.starts_with("      --")).then_some(words)
    });
    for option in listed {
        // A value that may be left out stands in brackets.
        let option = option.split('[').next().unwrap_or(option);
        assert!(OPTIONS.contains(&option), "{option} is not in the list above");
    }
    for heading in ["Output:", "Size:", "Look:", "Optimisation:", "Machine:", "Reporting:", "Exit codes:"] {
        assert!(help.lines().any(|line| line == heading), "{heading}");
    }
    for preset in Preset::OWN {
        assert!(help.contains(preset.summary()), "{}", preset.name());
    }
    for code in EXIT_CODES {
        assert!(help.lines().any(|line| line.split_whitespace().next() == Some(code)), "{code}");
    }
}

#[test]
fn help_is_a_command_too() {
    assert_eq!(printed(impasto(["help", "stylize"])), printed(impasto(["stylize", "--help"])));
    assert!(printed(impasto(["help"])).contains("impasto stylize photo.jpg painting.jpg -o out.png"));
    let summary = printed(impasto(["stylize", "-h"]));
    assert!(summary.contains("Example: impasto stylize photo.jpg painting.jpg -o out.png"), "{summary}");
}

#[test]
fn commands_of_many_pictures_have_examples_in_their_help() {
    for command in ["batch", "augment"] {
        for flag in ["-h", "--help"] {
            let help = printed(impasto([command, flag]));
            assert!(help.contains(&format!("Examples:\n  impasto {command} ")), "{help}");
            assert!(["--overwrite", "--jobs", "--shard", "--set"].iter().all(|option| help.contains(option)), "{help}");
        }
        assert!(printed(impasto([command, "--help"])).contains("Exit codes:"));
    }
}

#[test]
fn the_weights_say_which_way_they_pull_and_in_what_range() {
    let help = printed(impasto(["stylize", "--help"])).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in
        ["more keeps the things of CONTENT", "0.002 to 0.2 is the range", "more paints more boldly", "0 to 20 is the"]
    {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn presets_are_shown_all_together_or_one_by_one() {
    let all = printed(impasto(["presets"]));
    for preset in Preset::ALL {
        assert!(all.contains(&format!("{}:\n  {}\n", preset.name(), preset.summary())), "{all}");
        let one = printed(impasto(["presets", preset.name()]));
        assert!(one.contains(preset.summary()) && one.contains("statistic") && !one.contains("fast, "), "{one}");
        assert!(one.contains(preset.differs().unwrap_or_default()), "{one}");
    }
    misunderstood(impasto(["presets", "papyrus"]).assert(), &["'papyrus'", "possible values: fast", "'paper'"]);
}

#[test]
fn the_summary_fits_a_screen() {
    let help = printed(impasto(["stylize", "-h"]));
    assert!(help.lines().count() <= 45, "{} lines", help.lines().count());
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
}

#[test]
fn man_pages_are_printed_or_written_into_a_folder() {
    let all = printed(impasto(["man"]));
    let folder = Folder::new();
    impasto(["man"]).arg(folder.path("new/man1")).assert().success();
    let pages = [
        "impasto.1",
        "impasto-stylize.1",
        "impasto-resume.1",
        "impasto-reproduce.1",
        "impasto-show.1",
        "impasto-batch.1",
        "impasto-augment.1",
        "impasto-presets.1",
        "impasto-weights.1",
        "impasto-man.1",
        "impasto-completions.1",
        "impasto-bench.1",
        "impasto-doctor.1",
    ];
    for page in pages {
        let text = std::fs::read_to_string(folder.path("new/man1").join(page)).unwrap();
        assert!(all.contains(&text), "{page}");
    }
    let stylize = std::fs::read_to_string(folder.path("new/man1/impasto-stylize.1")).unwrap();
    for option in OPTIONS {
        assert!(stylize.contains(&option.replace('-', "\\-")), "{option}");
    }
    assert!(stylize.contains("Exit codes") && stylize.contains("143"));
    // Tables keep their lines.
    assert!(stylize.contains("\n.SH NOTES\n.nf\nPresets ("), "{stylize}");
    assert_eq!(all.matches("\n.nf\n").count(), all.matches("\n.fi\n").count());
}

#[test]
fn man_pages_that_cannot_be_written_exit_1() {
    let folder = Folder::new();
    let file = folder.file("file", "");
    let words = ["file/man1", "cannot be written", "name a folder"];
    refused(impasto(["man"]).arg(file.join("man1")).assert(), 1, &words);
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(impasto(["completions", shell]));
        assert!(script.contains("style-weight") && script.contains("verify"), "{shell}");
    }
    misunderstood(impasto(["completions", "abacus"]).assert(), &["'abacus'", "possible values: bash"]);
}

#[test]
fn a_reader_who_leaves_is_no_error() {
    for arguments in
        [["man"].as_slice(), &["completions", "bash"], &["stylize", "--help"], &["weights", "info", WEIGHTS_FILE]]
    {
        let mut command = StdCommand::new(PROGRAM);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
#[cfg(all(target_os = "linux", feature = "embedded-weights"))]
fn a_full_disk_is_an_error() {
    let bench = ["bench", "--only", "step", "--size", "32", "--repeats", "1"];
    for arguments in
        [["man"].as_slice(), &["completions", "bash"], &["presets"], &["weights", "info"], &["doctor"], &bench]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = StdCommand::new(PROGRAM).args(arguments).stdout(full).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains("standard output: cannot be written: No space left"), "{arguments:?}: {message}");
    }
}

#[test]
fn names_with_control_characters_do_not_reach_the_terminal() {
    let name = "no\u{1b}[2Jsuch\rpicture.png";
    for arguments in
        [["stylize", name, name], ["stylize", name, "--preset"], ["weights", "info", name], ["doctor", "--size", name]]
    {
        let output = impasto(arguments).assert().failure().get_output().stderr.clone();
        let message = String::from_utf8(output).unwrap();
        assert!(!message.chars().any(|c| c.is_control() && c != '\n'), "{message:?}");
    }
    let refused = impasto(["stylize", name, name]).assert().code(3).get_output().stderr.clone();
    let refused = String::from_utf8(refused).unwrap();
    assert!(refused.contains("no\\u{1b}[2Jsuch\\rpicture.png"), "{refused}");
}

#[test]
#[cfg(feature = "embedded-weights")]
fn the_embedded_weights_are_sound_and_described() {
    let verdict = printed(impasto(["weights", "verify"]));
    assert!(verdict.contains("VGG16") && verdict.contains("26 tensors"), "{verdict}");
    let info = printed(impasto(["weights", "info"]));
    let same = printed(impasto(["weights", "info", WEIGHTS_FILE]));
    // Only the name on the first line differs.
    assert_eq!(info.split_once('\n').unwrap().1, same.split_once('\n').unwrap().1);
    assert!(info.contains("features.28.weight") && info.contains("512×512×3×3"), "{info}");
}

#[test]
fn quiet_says_nothing_but_errors() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "o.png").arg("-q").assert().success().stdout("").stderr("");
    refused(folder.stylize("thin.png", "o.png").arg("-q").assert(), 3, &["thin.png", "larger"]);
}

#[test]
fn verbose_tells_the_configuration_the_sizes_the_threads_and_the_memory() {
    let folder = Folder::new();
    let assert = folder.stylize("rgb.png", "o.png").arg("-v").assert().success();
    let notes = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    for (name, value) in
        [("preset", "paper"), ("learning-rate", "0.02"), ("threads", "1"), ("scale 1", "32×24"), ("memory", "B")]
    {
        assert!(notes.lines().any(|line| line.starts_with(name) && line.contains(value)), "{name}: {notes}");
    }
}

#[test]
fn without_a_terminal_progress_is_plain_lines() {
    let folder = Folder::new();
    let assert = folder.stylize("rgb.png", "o.png").arg("--iterations=10").assert().success();
    let notes = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(!notes.contains('\u{1b}'), "{notes:?}");
    let last = notes.lines().last().unwrap();
    assert!(last.starts_with("iteration 10/10") && last.ends_with("0:00 left"), "{notes}");
}
