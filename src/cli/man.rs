//! `impasto man [DIR]`.

use std::path::{Path, PathBuf};

use clap_mangen::Man;
use impasto::{Error, Result};

use super::say;

/// Print the man pages, or write them into a folder
///
/// To read them: impasto man | man -l -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// The folder to write impasto.1, impasto-stylize.1 and the others into [default: print them all]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<u8> {
    let mut command = super::command();
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages);
    match &options.folder {
        None => pages.iter().try_for_each(|(_, page)| say::text(page))?,
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|cause| not_written(folder, &cause))?;
            for (name, page) in &pages {
                let path = folder.join(name);
                std::fs::write(&path, page).map_err(|cause| not_written(&path, &cause))?;
            }
        }
    }
    Ok(0)
}

fn not_written(path: &Path, cause: &std::io::Error) -> Error {
    Error::Output { path: path.to_owned(), cause: format!("{cause}; name a folder you may write to") }
}

/// A page whose last part, the tables and examples at the end of a command's help, keeps its lines.
fn with_lines_kept(page: &str) -> String {
    let Some((before, notes)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let (notes, after) = notes.find(".SH ").map_or((notes, ""), |end| notes.split_at(end));
    format!("{before}.SH NOTES\n.nf\n{notes}.fi\n{after}")
}

/// The page of `command` and those of its subcommands, each with its file name.
fn collect(command: &clap::Command, pages: &mut Vec<(String, String)>) {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page).expect("writing to memory does not fail");
    let page = String::from_utf8(page).expect("our own words are UTF-8");
    pages.push((man.get_filename(), with_lines_kept(&page)));
    // The pages are the help of every command, that one's too.
    let documented = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    for subcommand in command.get_subcommands().filter(documented) {
        collect(subcommand, pages);
    }
}
