//! `impasto stylize`: refuses what cannot work before the work.

use std::path::Path;
use std::time::Instant;

use impasto::Result;
use impasto::picture;
use impasto::transfer::plan;

use super::options::Options;
use super::request::{Request, name};
use super::work::{self, Job};

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    work::run(prepare(options)?, None, start)
}

/// Reads what is to be read and refuses what would fail later.
fn prepare(options: &Options) -> Result<Job> {
    let config = options.config()?;
    // First the inputs: without an output's name its place is the content picture's, which may not exist.
    let size = |path: &Path| picture::size(path, config.max_pixels);
    let sizes = [size(&options.content)?, size(&options.style)?];
    let request = Request {
        content: Some(&options.content),
        style: Some(&options.style),
        sizes,
        scales: plan::scales(&config, sizes[0], sizes[1])?,
        output: options.output(),
        overwrite: options.overwrite,
        sixteen_bit: options.bits == Some(16),
        save_every: options.save_every,
        checkpoint: options.checkpoint.as_deref(),
        checkpoint_every: options.checkpoint_every,
        trace: options.trace.as_deref(),
        quiet: options.quiet,
        verbose: options.verbose,
        words: words(&options.content, &options.style),
    };
    request.job(config)
}

fn words(content: &Path, style: &Path) -> String {
    format!("stylize {} {}", name(content), name(style))
}

#[cfg(test)]
mod tests {
    use impasto::config::Config;

    use super::super::request::recipe;
    use super::*;

    #[test]
    fn the_recipe_in_the_file_does_not_depend_on_threads_or_folders() {
        let text = |threads, folder: &str| {
            let config =
                Config { threads, weights: Some(format!("{folder}/w.safetensors").into()), ..Config::default() };
            recipe(&words(&Path::new(folder).join("c.jpg"), Path::new("s.jpg")), &config)
        };
        assert_eq!(text(1, "/home/someone"), text(2, "."));
        assert!(text(1, ".").contains("stylize c.jpg s.jpg {\"preset\":\"default\""), "{}", text(1, "."));
    }
}
