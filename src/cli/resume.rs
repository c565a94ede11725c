//! `impasto resume`: goes on with a run that ended before it was done, or further than it was to go.

use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::picture;
use impasto::transfer::{Checkpoint, plan};
use impasto::{Error, Result};

use super::job::{Job, Report};
use super::keeper::Asked;
use super::purpose::proportions;
use super::recipe::Further;
use super::work;
use super::{say, values};

/// Go on with a run from its checkpoint.
///
/// Progress, trace and picture go where they were asked to go at first, and checkpoints to the same file. On the same
/// kind of CPU and in the same version of Impasto the picture is, to the byte, that of a run that was never interrupted.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The file that --checkpoint wrote
    pub file: PathBuf,

    /// So many iterations more, at the last size, with a learning rate that begins anew
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    pub iterations: Option<u32>,

    /// A larger size, through the scales that a run of that size would have
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..))]
    #[arg(allow_negative_numbers = true)]
    pub size: Option<u32>,

    /// Go on although this program or this CPU makes other bytes than the one before
    #[arg(long)]
    pub anyway: bool,

    /// Seconds between checkpoints [default: as before]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, allow_negative_numbers = true)]
    pub checkpoint_every: Option<f64>,

    /// Threads; the picture does not depend on them [default: as before]
    #[arg(long, value_name = "N", value_parser = values::thread_count())]
    #[arg(allow_negative_numbers = true)]
    pub threads: Option<u64>,

    /// The most memory to use, such as 2G; the picture does not depend on it [default: as before]
    #[arg(long, value_name = "BYTES", value_parser = values::memory, allow_negative_numbers = true)]
    pub max_memory: Option<u64>,

    /// Print a summary as JSON, as `stylize --json` does
    #[arg(long)]
    pub json: bool,

    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print the configuration, sizes, threads and memory too
    #[arg(short, long)]
    pub verbose: bool,
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    let checkpoint = Checkpoint::read(&options.file)?;
    let asked: Asked = serde_json::from_str(&checkpoint.program)
        .map_err(|error| checkpoint.error(format!("another program made it ({error}); go on with that one")))?;
    let goes_further = options.iterations.is_some() || options.size.is_some();
    if checkpoint.header.finished && !goes_further && asked.output.is_file() {
        if !options.quiet {
            say::text(format!(
                "{}: the run is finished, and its picture in {}; --iterations or --size would take it further\n",
                options.file.display(),
                asked.output.display()
            ))?;
        }
        return Ok(0);
    }
    let job = prepare(options, &checkpoint, asked)?;
    work::run(job, Some((&checkpoint, options.anyway)), start)
}

fn prepare(options: &Options, checkpoint: &Checkpoint, mut asked: Asked) -> Result<Job> {
    let header = &checkpoint.header;
    let mut config = header.config.clone();
    let result = header.scales.last().map(|last| (last.height, last.width)).unwrap_or_default();
    let size = |path: &Path| picture::size(path, config.max_pixels);
    let content = asked.content.as_deref().map_or(Ok(proportions(result)), size)?;
    let sizes = asked.scene.sizes(content, size)?;
    let further = (options.iterations.is_some() || options.size.is_some())
        .then_some(Further { size: options.size, iterations: options.iterations });
    let scales = match further {
        Some(Further { size, iterations }) => {
            let scales = plan::more_scales(&config, &header.scales, &sizes, (size, iterations))?;
            config.size = size.unwrap_or(config.size);
            scales
        }
        None => header.scales.clone(),
    };
    asked.recipe.goes_on(further);
    config.threads = options.threads.map_or(config.threads, |threads| threads as usize);
    config.max_memory = options.max_memory.or(config.max_memory);
    asked.seconds = options.checkpoint_every.unwrap_or(asked.seconds);
    picture::check_output(&asked.output, &asked.save, &asked.files())?;
    let longest = scales.iter().map(|scale| scale.height.max(scale.width)).max().unwrap_or_default();
    picture::check_side(&asked.output, &asked.save, longest)?;
    impasto::files::check_place(&options.file)
        .map_err(|cause| Error::Usage(format!("{}: {cause}", options.file.display())))?;
    Ok(Job {
        config,
        inputs: sizes,
        scales,
        checkpoint: Some(options.file.clone()),
        report: match (options.json, options.quiet) {
            (true, quiet) => Report::Json { quiet },
            (_, true) => Report::Nothing,
            _ => Report::Lines,
        },
        verbose: options.verbose,
        stop_after: None,
        engine: None,
        asked,
    })
}
