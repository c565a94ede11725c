//! `impasto show`: the recipe in a picture, as the command line that makes it again.

use std::path::{Path, PathBuf};

use impasto::Result;

use super::recipe::Recipe;
use super::say;

/// Print how a picture was made, as a command line.
///
/// Every picture that Impasto writes holds its recipe, unless --no-metadata was given: in PNG as its Description, in TIFF
/// as ImageDescription, in JPEG and WebP as that of their EXIF. What is printed can be given to a shell; the files that were
/// read are in comments below it, with their SHA-256.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The picture
    picture: PathBuf,

    /// Print the whole recipe as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<u8> {
    let (recipe, _) = Recipe::of(&options.picture)?;
    say::text(if options.json { json(&recipe) } else { text(&recipe, &options.picture) })?;
    Ok(0)
}

fn json(recipe: &Recipe) -> String {
    format!("{:#}\n", serde_json::to_value(recipe).expect("it was JSON"))
}

fn text(recipe: &Recipe, path: &Path) -> String {
    // A name with a zero byte is none, so every word can be quoted.
    let quoted = |words: Vec<String>| shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut text: String = recipe.commands(&name).into_iter().map(|words| quoted(words) + "\n").collect();
    if let Some(iterations) = recipe.stopped {
        let what = if recipe.on_the_way { "a picture on the way, after" } else { "stopped after" };
        text += &format!("# {what} {iterations} iterations\n");
    }
    for input in &recipe.inputs {
        text += &format!("# {:<8}{}  {}\n", input.role, input.sha256, input.name);
    }
    text + &format!("# by Impasto {}, {}\n", recipe.impasto, recipe.instructions.join(", then "))
}
