//! `impasto augment`: more training pictures of the same things, each in a manner drawn at random.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::batch::{STRENGTHS, draws, sources};
use impasto::config::{Config, Preset, settings};
use impasto::{Error, Result, files};

use super::many::{self, Many, Status, Task};
use super::{EXIT_CODES, values};

/// Results of each picture unless told otherwise.
const PER_PICTURE: usize = 3;

/// Names of the table's first columns; those of all options follow.
const COLUMNS: [&str; 5] = ["output", "label", "content", "style", "preset"];

const EXAMPLES: &str = "\
Examples:
  impasto augment train --styles paintings -o augmented --per-picture 3 --seed 1
  impasto augment train --styles paintings -o augmented --seed 1 --shard 2/5   # the second of five machines
  impasto augment train --styles paintings -o augmented --size 128 --set iterations=40

The same command again goes on: what is there is left. The exit code is that of the first picture that failed.";

/// Repaint the pictures of a data set in styles and strengths drawn at random.
///
/// The folders in FOLDER, which are its labels, are those of OUT. What is drawn for a picture depends on the seed, its path in
/// FOLDER and the styles alone. OUT/augment.csv tells of every result what it was made of, and the value of every option.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
)]
pub struct Options {
    /// The folder of the data set, with the pictures of each label in a folder
    pub folder: PathBuf,

    /// The pictures whose manner is drawn: a file, a folder or a quoted pattern; repeat it for more
    #[arg(long, value_name = "STYLES", required = true)]
    pub styles: Vec<PathBuf>,

    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    #[arg(allow_negative_numbers = true)]
    #[arg(help = format!(
        "Results of each picture, each of a --strength drawn from {} to {} [default: {PER_PICTURE}]",
        STRENGTHS.0, STRENGTHS.1))]
    pub per_picture: Option<u32>,

    /// fast, default, best and others, see `impasto presets` [default: fast]
    #[arg(long, value_parser = values::preset(), hide_possible_values = true)]
    pub preset: Option<Preset>,

    /// Longest side of the results; 0 keeps each picture's own size [default: 0]
    #[arg(long, value_name = "PIXELS", value_parser = values::side, allow_negative_numbers = true)]
    pub size: Option<u32>,

    #[command(flatten)]
    pub many: many::Options,
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    let (tasks, labels) = tasks(options)?;
    let table = table_place(options)?;
    let many = Many::new(&options.many, tasks)?;
    let made = many.run(start)?;
    let there = |(number, status): (usize, &Status)| {
        let made = matches!(status, Status::Made { .. } | Status::There);
        made.then(|| (&many.tasks()[number], labels[number].as_str()))
    };
    let rows: Vec<_> = made.statuses.iter().enumerate().filter_map(there).collect();
    if !rows.is_empty() {
        write(&table, &options.many.output, &rows)?;
    }
    Ok(made.code)
}

/// All results, with the label of each.
fn tasks(options: &Options) -> Result<(Vec<Task>, Vec<String>)> {
    let (folder, out) = (&options.folder, &options.many.output);
    if is_inside(out, folder) {
        return Err(Error::Usage(format!(
            "-o {}: results in the folder that is read would be read the next time; give another folder",
            out.display()
        )));
    }
    let preset = options.many.preset(options.preset)?.unwrap_or(Preset::Fast);
    let config = options.many.config(Config { size: 0, ..preset.config() }, options.size)?;
    config.validate()?;
    if config.strength != preset.config().strength {
        return Err(Error::Usage("strength is what augment draws; give --set content-weight=… in its place".into()));
    }
    let styles = options.styles.iter().map(|word| sources::pictures(word)).collect::<Result<Vec<_>>>()?.concat();
    let per_picture = options.per_picture.map_or(PER_PICTURE, |count| count as usize);
    let (mut tasks, mut labels) = (Vec::new(), Vec::new());
    for picture in sources::tree(folder)? {
        let label = slashed(picture.parent().unwrap_or(Path::new("")));
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (index, draw) in draws(config.seed, &slashed(&picture), styles.len(), per_picture).into_iter().enumerate() {
            let name = format!("{stem}-{}.{}", index + 1, options.many.extension());
            tasks.push(Task {
                content: folder.join(&picture),
                style: styles[draw.style].clone(),
                output: out.join(picture.with_file_name(name)),
                config: Config { strength: draw.strength, ..config.clone() },
            });
            labels.push(label.clone());
        }
    }
    Ok((tasks, labels))
}

/// Whether a folder, which may be yet to be made, is another one or in it.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let (Ok(path), Ok(folder)) = (std::path::absolute(path), folder.canonicalize()) else { return false };
    path.ancestors().find_map(|above| above.canonicalize().ok()).is_some_and(|real| real.starts_with(folder))
}

/// A path with `/` between its names, on every system.
fn slashed(path: &Path) -> String {
    path.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Where the table is written, which replaces nothing but an earlier one; that of a part has its number in its name.
fn table_place(options: &Options) -> Result<PathBuf> {
    let shard = options.many.shard()?;
    let part = if shard.is_whole() { String::new() } else { format!("-{}", shard.words()) };
    let path = options.many.output.join(format!("augment{part}.csv"));
    let mut head = vec![0; COLUMNS.join(",").len()];
    let there = std::fs::File::open(&path);
    let is_table = there.and_then(|mut file| file.read_exact(&mut head)).map(|()| head == COLUMNS.join(",").as_bytes());
    if path.symlink_metadata().is_ok() && !options.many.overwrite && !is_table.unwrap_or(false) {
        return Err(Error::Usage(format!(
            "{}: is there, and no table of augment's; give another folder, or --overwrite to replace it",
            path.display()
        )));
    }
    Ok(path)
}

/// Writes the table.
fn write(path: &Path, out: &Path, rows: &[(&Task, &str)]) -> Result<()> {
    let written = files::write_whole(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        let names = COLUMNS.into_iter().chain(settings::ALL.iter().map(|setting| setting.name));
        table.write_record(names).map_err(|error| error.to_string())?;
        for (task, label) in rows {
            let Task { content, style, output, config } = task;
            let [content, style] = [content, style].map(|path| path.to_string_lossy().into_owned());
            let first = [
                slashed(output.strip_prefix(out).unwrap_or(output)),
                (*label).to_owned(),
                content,
                style,
                config.preset.name().to_owned(),
            ];
            let values = settings::ALL.iter().map(|setting| setting.text(config).unwrap_or_default());
            table.write_record(first.into_iter().chain(values)).map_err(|error| error.to_string())?;
        }
        table.flush().map_err(|error| error.to_string())
    });
    written.map_err(|cause| Error::Output { path: path.to_owned(), cause })
}
