//! `impasto stylize`: its request.

use std::path::Path;
use std::time::Instant;

use impasto::Result;
use impasto::picture;

use super::job::Job;
use super::options::Options;
use super::purpose::Purpose;
use super::request::{Request, Standard, check_standard};
use super::work;

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    work::run(prepare(options, start)?, None, start)
}

/// Reads what is to be read and refuses what would fail later.
fn prepare(options: &Options, start: Instant) -> Result<Job> {
    let config = options.config()?;
    let scene = options.scene()?;
    let standard = Standard {
        output: options.output.as_deref(),
        checkpoint: options.checkpoint.is_some(),
        save_every: options.save_every.is_some(),
        json: options.files.json,
    };
    check_standard(std::iter::once(options.content.as_path()).chain(scene.files()), &standard)?;
    // First the inputs: without an output's name its place is the content picture's, which may not exist.
    let size = |path: &Path| picture::size(path, config.max_pixels);
    let content = size(&options.content)?;
    let request = Request {
        purpose: Purpose::Stylize,
        content: Some(&options.content),
        sizes: scene.sizes(content, size)?,
        scene,
        others: [&options.regions, &options.config_file].into_iter().filter_map(|path| path.as_deref()).collect(),
        output: options.output("png"),
        overwrite: options.overwrite,
        save: options.files.save(options.bits, picture::metadata(&options.content, config.max_pixels)?.dpi),
        metadata: !options.files.no_metadata,
        save_every: options.save_every,
        preview: options.preview.as_deref(),
        checkpoint: options.checkpoint.as_deref(),
        checkpoint_every: options.checkpoint_every,
        trace: options.trace.as_deref(),
        report: options.files.report(options.quiet),
        verbose: options.verbose,
        time: options.finer.time.map(|seconds| (seconds, start)),
    };
    request.job(config)
}
