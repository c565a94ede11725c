//! `impasto completions SHELL`.

use clap_complete::Shell;
use impasto::Result;

use super::say;

/// Print the completion script of a shell
///
/// For bash, for example:
///   impasto completions bash > ~/.local/share/bash-completion/completions/impasto
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// The shell
    shell: Shell,
}

pub fn run(options: &Options) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(), "impasto", &mut script);
    say::text(String::from_utf8(script).expect("our own words are UTF-8"))?;
    Ok(0)
}
