//! `impasto reproduce`: makes a picture again by its own recipe, and compares the bytes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::config::{Config, Init};
use impasto::picture;
use impasto::transfer::checkpoint::instructions;
use impasto::{Error, Result, files};

use super::job::{Job, Report};
use super::keeper::Asked;
use super::recipe::{Input, Recipe};
use super::report::{Table, duration};
use super::styles::{MASK, NO_STYLE, STYLE};
use super::work;
use super::{say, values};

/// Make a picture again by the recipe in its file, and compare the bytes.
///
/// The files that it was made of are looked for beside it and in the current folder, under the names they had; they are
/// told by their SHA-256. Exit code 0 says that every byte of the picture is the same.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The picture
    picture: PathBuf,

    /// The content picture, if it is elsewhere
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,

    /// A style picture that is elsewhere; repeat it for each
    #[arg(long, value_name = "FILE")]
    style: Vec<PathBuf>,

    /// A mask that is elsewhere; repeat it for each
    #[arg(long, value_name = "FILE")]
    mask: Vec<PathBuf>,

    /// The picture it started from, if it is elsewhere
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,

    /// The weights, if they are elsewhere
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// Keep what was made in OUT
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// Threads; the picture does not depend on them [default: every core]
    #[arg(long, value_name = "N", value_parser = values::thread_count())]
    #[arg(allow_negative_numbers = true)]
    threads: Option<u64>,

    /// The most memory to use, such as 2G; the picture does not depend on it [default: four fifths]
    #[arg(long, value_name = "BYTES", value_parser = values::memory, allow_negative_numbers = true)]
    max_memory: Option<u64>,

    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

impl Options {
    /// The files that are named for a role.
    fn given(&self, role: &str) -> &[PathBuf] {
        match role {
            "content" => self.content.as_slice(),
            STYLE => &self.style,
            MASK => &self.mask,
            "init" => self.init.as_slice(),
            _ => self.weights.as_slice(),
        }
    }
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    let (recipe, text) = Recipe::of(&options.picture)?;
    check(&recipe, options)?;
    let folder = tempfile::tempdir().map_err(|error| Error::Output {
        path: std::env::temp_dir(),
        cause: format!("{error}; there is to be room for the picture"),
    })?;
    let made = options.output.clone().unwrap_or_else(|| folder.path().join("made"));
    let jobs = (0..recipe.purpose.pictures()).map(|picture| job(&recipe, options, &made, picture));
    let code = work::row(jobs.collect::<Result<_>>()?, start)?;
    if code != 0 {
        return Ok(code);
    }
    compare(&options.picture, &made, &recipe, &text)?;
    if !options.quiet {
        let seconds = duration(start.elapsed().as_secs_f64());
        say::text(format!("{}: every byte is the same  {seconds}\n", options.picture.display()))?;
    }
    Ok(0)
}

/// Refuses what no run makes again.
fn check(recipe: &Recipe, options: &Options) -> Result<()> {
    let wrong = |cause: String| Err(Error::Usage(format!("{}: {cause}", options.picture.display())));
    if recipe.on_the_way {
        return wrong(
            "is a picture on the way, and no result; give the result, or run `impasto show` on this one".into(),
        );
    }
    if recipe.instructions.len() > 1 {
        let kinds = recipe.instructions.join(", then ");
        return wrong(format!("was made on several kinds of CPU ({kinds}): no single one makes it again"));
    }
    if let Some(output) = options.output.as_ref().filter(|output| files::same(output, &options.picture)) {
        return wrong(format!("is to be compared with; give another name than -o {}", output.display()));
    }
    Ok(())
}

/// What makes the picture again, or that of a row which has such a number.
fn job(recipe: &Recipe, options: &Options, made: &Path, index: usize) -> Result<Job> {
    let mut inputs = recipe.inputs.iter();
    // As they were written down, so they are found again.
    let mut found = |role: &str| find(inputs.next(), role, options);
    let threads = options.threads.map_or(0, |threads| threads as usize);
    let of_recipe = recipe.purpose.config(&recipe.config, index);
    let of_recipe = of_recipe.map_err(|cause| Error::Picture { path: options.picture.clone(), cause })?;
    let mut config = Config { threads, max_memory: options.max_memory, max_pixels: u64::MAX, ..of_recipe };
    let content = recipe.named("content").map(|_| found("content")).transpose()?;
    let mut scene = recipe.scene.clone();
    for (role, path) in scene.named_files_mut() {
        *path = found(role)?;
    }
    if let Init::File(path) = &mut config.init {
        *path = found("init")?;
    }
    if let Some(path) = &mut config.weights {
        *path = found("weights")?;
    }
    config.validate()?;
    let size = |path: &Path| picture::size(path, u64::MAX);
    let of_content = match (&content, scene.styles.first()) {
        (Some(path), _) => size(path)?,
        (None, style) => recipe.purpose.stand_in(style.map_or(Ok(NO_STYLE), |style| size(&style.path))?),
    };
    let sizes = scene.sizes(of_content, size)?;
    let (scales, config) = recipe.scales(&config, &sizes)?;
    let read: Vec<_> = scene.files().into_iter().chain(content.as_deref()).collect();
    picture::check_output(made, &recipe.save, &read)?;
    let asked = Asked {
        content,
        scene,
        output: made.to_owned(),
        save: recipe.save.clone(),
        recipe: Recipe { stopped: None, ..recipe.clone() },
        metadata: true,
        trace: None,
        previews: None,
        live: None,
        seconds: f64::MAX,
        table: Table::default(),
    };
    Ok(Job {
        asked,
        config,
        inputs: sizes,
        scales,
        checkpoint: None,
        report: if options.quiet { Report::Nothing } else { Report::Progress },
        verbose: false,
        stop_after: recipe.stopped,
        engine: None,
    })
}

/// The file that was read as something: one that is named, or that of its name beside the picture or here.
fn find(input: Option<&Input>, role: &str, options: &Options) -> Result<PathBuf> {
    let (picture, given) = (&options.picture, options.given(role));
    let unusable = |path: &Path, cause: String| match role {
        "weights" => Error::Weights { weights: path.display().to_string(), cause },
        _ => Error::Picture { path: path.to_owned(), cause },
    };
    let Some(Input { name, sha256, .. }) = input.filter(|input| input.role == role) else {
        return Err(unusable(picture, format!("its recipe names no {role}; it has been changed")));
    };
    // Of several, some may be named and others be where they were.
    let several = given.len() != 1 || role == MASK || role == STYLE && options.style.len() > 1;
    let usual = [files::folder(picture).join(name), PathBuf::from(name)];
    let places: Vec<PathBuf> = given.iter().cloned().chain(usual.into_iter().filter(|_| several)).collect();
    let mut there = None;
    for place in places {
        match files::sha256(&place) {
            Ok(digest) if digest == *sha256 => return Ok(place),
            Ok(digest) => there = there.or(Some((place, digest))),
            Err(error) if given.contains(&place) => {
                return Err(unusable(&place, format!("cannot be read ({error}): check the path")));
            }
            Err(_) => {}
        }
    }
    // A file may be several things: a dream's picture is its own model.
    let mut named = ["content", STYLE, MASK].into_iter().flat_map(|role| options.given(role));
    if let Some(place) = named.find(|place| files::sha256(place).is_ok_and(|digest| digest == *sha256)) {
        return Ok(place.clone());
    }
    Err(match there {
        Some((place, digest)) => unusable(
            &place,
            format!(
                "is not the {role} that {} was made of (SHA-256 {digest}, not {sha256}): name that one with --{role}",
                picture.display()
            ),
        ),
        None => unusable(
            Path::new(name),
            format!("is neither beside {} nor here: name it with --{role}", picture.display()),
        ),
    })
}

/// Compares the files, and where they differ the pictures.
fn compare(picture: &Path, made: &Path, recipe: &Recipe, text: &str) -> Result<()> {
    let differs = |cause: String| Error::Differs { path: picture.to_owned(), cause };
    let read = |path: &Path| std::fs::read(path).map_err(|error| differs(format!("cannot be compared ({error})")));
    if read(picture)? == read(made)? {
        return Ok(());
    }
    let [then, now] = [picture, made].map(|path| picture::load(path, u64::MAX));
    let (then, now) = (then?, now?);
    if then == now {
        let whose = match picture::metadata(made, u64::MAX)?.description.as_deref() {
            Some(now) if now == text => "another program wrote its file",
            _ => "its recipe is written in another way",
        };
        return Err(differs(format!("every pixel is the same, but not every byte: {whose}")));
    }
    let how = if then.rgb.dim() == now.rgb.dim() {
        let apart = then.rgb.iter().zip(&now.rgb).map(|(a, b)| (a - b).abs());
        let (count, most) = apart.fold((0, 0.0f32), |(count, most), d| (count + usize::from(d > 0.0), most.max(d)));
        let all = then.rgb.len();
        format!("{count} of {all} values differ, by {:.0} of 255 at most", (255.0 * most).max(1.0))
    } else {
        "it has another size".into()
    };
    let (here, version) = (instructions(), env!("CARGO_PKG_VERSION"));
    let why = match recipe.instructions.first() {
        _ if recipe.impasto != version => format!("it was made by Impasto {}, and this is {version}", recipe.impasto),
        Some(there) if *there != here => format!("it was made with {there}, and this is {here}"),
        _ => "it has been changed since, or the libraries or the platform are others".into(),
    };
    Err(differs(format!("{how}: {why}")))
}
