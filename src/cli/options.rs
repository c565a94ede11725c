//! What `impasto stylize` may be told, and how it becomes a [`Config`]: the
//! preset first, then every option that was given, so that their order on the
//! command line does not matter.

mod files;
mod finer;

use std::path::PathBuf;

use impasto::Result;
use impasto::config::{
    CanvasKind, Colors, Config, File, Init, Moments, OptimizerKind, Precision, Preset, ScaleRule, Scales, Schedule,
    Tone,
};
use impasto::kernels::conv::Algorithm;
use impasto::objective::{LayerWeight, Statistic};
use impasto::vgg::Pooling;

use super::presets::with_default;
use super::styles::{MaskSource, Scene, StyleFile};
use super::{EXIT_CODES, paths, presets, regions, request, values};
pub use files::Files;
pub use finer::{Finer, MOST_JITTER};

const OUTPUT: &str = "Output";
const SIZE: &str = "Size";
const LOOK: &str = "Look";
const OPTIMISATION: &str = "Optimisation";
const MACHINE: &str = "Machine";
const REPORTING: &str = "Reporting";

/// Repaint a photograph in the manner of a painting.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    disable_help_flag = true,
    after_help = "Example: impasto stylize photo.jpg painting.jpg -o out.png --size 1024\n\
                  More options, fast, default and best spelled out, exit codes: --help",
    after_long_help = format!("{}\n{EXIT_CODES}", presets::table(&Preset::OWN)),
)]
pub struct Options {
    /// The picture to repaint
    pub content: PathBuf,

    /// The picture whose manner to take, or a folder of them
    ///
    /// More of them, each with a weight, are given by --style, which may also stand in its place.
    #[arg(required_unless_present_any = ["styles", "regions"])]
    pub style: Option<PathBuf>,

    /// One of several styles, its weight and place
    ///
    /// Repeat it for each: --style a.jpg:0.7 --style b.jpg:0.3. Without a weight, and for STYLE, it is 1, and only the
    /// weights' ratios matter. Pictures of a folder share its weight. What is learned is the average of all, and takes
    /// no longer than one. A weight is what follows the last colon, if that is a number: a name that ends like that
    /// needs one, 12:30:1.
    ///
    /// With a mask, --style a.jpg:1:mask.png, it is painted where that is white: a picture of any size, laid over CONTENT,
    /// or opacity or transparency for CONTENT's own. Styles without a mask are painted where the masks leave room. Greys
    /// and overlaps are blends, by weight; black in all of them is an error.
    #[arg(long = "style", value_name = "FILE[:w[:M]]", value_parser = StyleFile::parse)]
    #[arg(help_heading = LOOK)]
    pub styles: Vec<StyleFile>,

    /// More styles, with weights and masks, from a TOML file
    ///
    /// For each a table [[region]] with style = "a.jpg", and as it may be weight = 0.7, mask = "mask.png" and style-mask =
    /// "part.png"; keep = "face.png" before the first of them. Paths are seen from FILE's folder.
    #[arg(long, value_name = "FILE", help_heading = LOOK, hide_short_help = true)]
    pub regions: Option<PathBuf>,

    /// What of a style picture to learn from: white in MASK
    ///
    /// A picture of any size, laid over the style picture. Of several styles name the one it is for:
    /// --style-mask a.jpg=mask.png.
    #[arg(long, value_name = "[STYLE=]MASK", help_heading = LOOK, hide_short_help = true)]
    pub style_mask: Vec<PathBuf>,

    /// What of CONTENT stays as it is: white in MASK
    ///
    /// A picture of any size, laid over CONTENT, greys being a blend; or opacity or transparency for CONTENT's own.
    #[arg(long, value_name = "MASK", value_parser = MaskSource::parse, help_heading = LOOK, hide_short_help = true)]
    pub keep: Option<MaskSource>,

    /// The picture to write [default: beside CONTENT]
    ///
    /// Without it the name is made of both pictures', CONTENT-STYLE.png; a folder takes it under that name. The extension names the format: png, jpg, webp, tif and others.
    #[arg(short, long, value_name = "OUT", help_heading = OUTPUT)]
    pub output: Option<PathBuf>,

    /// Replace a file that has the name OUT would get by itself
    ///
    /// Without it such a name gets a number, CONTENT-STYLE-2.png, and so do the names of --save-every, and a --checkpoint
    /// that is there is refused. A name given as OUT is replaced in any case.
    #[arg(long, help_heading = OUTPUT, hide_short_help = true)]
    pub overwrite: bool,

    /// Bits per colour, 8 or 16 (PNG, TIFF) [default: 8]
    #[arg(long, value_name = "BITS", value_parser = values::bits(), hide_possible_values = true, help_heading = OUTPUT)]
    #[arg(hide_short_help = true)]
    pub bits: Option<u8>,

    /// Also write the picture after every N iterations
    ///
    /// The files lie beside OUT: out-0010.png, out-0020.png and so on, each as
    /// large as the scale that was being worked on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = OUTPUT)]
    #[arg(allow_negative_numbers = true)]
    pub save_every: Option<u32>,

    /// Keep the run in FILE, from which `impasto resume FILE` goes on
    ///
    /// Written before the first iteration, then every --checkpoint-every seconds, and when the run ends or is stopped.
    /// The picture is the same, to the byte, as if the run had never been interrupted.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT, hide_short_help = true)]
    pub checkpoint: Option<PathBuf>,

    /// Seconds between checkpoints [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, help_heading = OUTPUT, requires = "checkpoint")]
    #[arg(hide_short_help = true, allow_negative_numbers = true)]
    pub checkpoint_every: Option<f64>,

    #[command(flatten)]
    pub files: Files,

    /// Keep a picture of the run so far in FILE
    ///
    /// It is rewritten every few seconds, in one step: whoever looks at it, now or with a viewer that looks again by
    /// itself, sees a whole picture. In the end it is the result. - shows it in the terminal, now and then, where that can:
    /// kitty, Ghostty, iTerm2, WezTerm.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT, hide_short_help = true)]
    pub preview: Option<PathBuf>,

    #[arg(long, value_name = "PIXELS", value_parser = values::side, help_heading = SIZE, allow_negative_numbers = true)]
    #[arg(help = with_default("Longest side of the result", "size"))]
    #[arg(long_help = with_default("Longest side of the result in pixels; 0 keeps CONTENT's own size", "size"))]
    pub size: Option<u32>,

    #[arg(long, value_name = "PIXELS", value_parser = values::side, help_heading = SIZE, allow_negative_numbers = true)]
    #[arg(help = with_default("Longest side of STYLE", "style-size"))]
    #[arg(long_help = with_default("Longest side STYLE is brought to; 0 keeps its own size", "style-size"))]
    pub style_size: Option<u32>,

    #[arg(long, value_name = "FACTOR", help_heading = SIZE, allow_negative_numbers = true)]
    #[arg(help = with_default("Larger strokes above 1, smaller below", "style-scale"))]
    #[arg(long_help = with_default(
        "Larger strokes above 1, smaller ones below: the size that each style picture would have is multiplied by it",
        "style-scale"))]
    pub style_scale: Option<f64>,

    #[arg(long, value_name = "N", value_parser = values::pixels, help_heading = SIZE, allow_negative_numbers = true)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(
        "Refuse larger input pictures, before decoding them; 100000000, 100M and 100MP are the same", "max-pixels"))]
    pub max_pixels: Option<u64>,

    /// fast, default, best and others, see --help
    ///
    /// Three are spelled out below, all of them by `impasto presets`: fast, default, best, and those of published
    /// programs, paper, gatys, neural-style and pytorch-tutorial. An option given explicitly wins. Without this option
    /// it is the one called default.
    #[arg(long, value_parser = values::preset(), hide_possible_values = true, help_heading = LOOK)]
    pub preset: Option<Preset>,

    #[arg(long = "config", value_name = "FILE", help_heading = LOOK, help = "Values from a TOML file, see --help")]
    #[arg(
        long_help = "Values from a TOML file, whose keys are the names of options; `impasto presets default --toml` \
prints one to begin with. What is given on the command line wins over it, and it wins over the preset"
    )]
    pub config_file: Option<PathBuf>,

    #[arg(long, value_name = "α", help_heading = LOOK, allow_negative_numbers = true)]
    #[arg(help = with_default("More keeps CONTENT", "content-weight"))]
    #[arg(long_help = with_default(
        "α, the content's weight: more keeps the things of CONTENT, less lets them go for STYLE's manner, 0 forgets them. In \
         fast, default and best 0.002 to 0.2 is the range in which something changes", "content-weight"))]
    pub content_weight: Option<f64>,

    #[arg(long, value_name = "β", help_heading = LOOK, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default(
        "β, the style's weight: more paints more boldly, 0 not at all. Only its ratio to the other two matters, so that ten \
         times β is a tenth of α and γ: leave it, and change α", "style-weight"))]
    pub style_weight: Option<f64>,

    #[arg(long, value_name = "γ", help_heading = LOOK, allow_negative_numbers = true)]
    #[arg(help = with_default("More is smoother", "tv-weight"))]
    #[arg(long_help = with_default(
        "γ, the weight of tv, the total variation (the paper's denoise): more is smoother, up to blurred edges, 0 leaves \
         grain. In fast, default and best 0 to 20 is the range in which something changes, 0 to 1 with --tv-loss absolute", "tv-weight"))]
    pub tv_weight: Option<f64>,

    #[arg(long, value_name = "0…1", help_heading = LOOK, allow_negative_numbers = true)]
    #[arg(help = with_default("0 is CONTENT, 1 is STYLE", "strength"))]
    #[arg(long_help = with_default(
        "One knob from CONTENT to STYLE: 0 stays near the photograph, 1 is hardly anything but style. It multiplies \
         whatever α is by ((1.01 − s) / (0.01 + s))²: by 10000 at 0, some 9 at 0.25, 1 at 0.5, a ninth at 0.75, 0.0001 at 1", "strength"))]
    pub strength: Option<f64>,

    #[arg(long, value_name = "L[:w],…", value_delimiter = ',', help_heading = LOOK)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(
        "Layers compared with CONTENT, each with its weight (1 if left out)", "content-layer"))]
    pub content_layer: Option<Vec<LayerWeight>>,

    #[arg(long, value_name = "L[:w],…", value_delimiter = ',', help_heading = LOOK)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(
        "Layers compared with STYLE, each with its weight (1 if left out)", "style-layer"))]
    pub style_layer: Option<Vec<LayerWeight>>,

    #[arg(long, value_name = "NAME", value_parser = values::statistic(), hide_possible_values = true)]
    #[arg(hide_short_help = true, help_heading = LOOK)]
    #[arg(long_help = with_default(&values::statistics("What style is taken to be:"), "statistic"))]
    pub statistic: Option<Statistic>,

    #[arg(long, value_name = "N", help_heading = LOOK, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default("Iterations between new transport matrices (wasserstein)", "refresh"))]
    pub refresh: Option<u32>,

    #[arg(long, value_parser = values::pooling(), hide_possible_values = true, help_heading = LOOK)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(&values::poolings("How the network halves its maps:"), "pooling"))]
    pub pooling: Option<Pooling>,

    #[arg(long, value_name = "SHARE", help_heading = LOOK, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default(
        "CONTENT's detail, in STYLE's colours, added where a scale first shows it: 0 none, 1 all of it", "detail"))]
    pub detail: Option<f64>,

    #[arg(long, value_parser = values::colors(), hide_possible_values = true, help_heading = LOOK)]
    #[arg(help = with_default("style|content|match: its colours", "colors"))]
    #[arg(long_help = with_default(&values::all_colors("Whose colours the result has:"), "colors"))]
    pub colors: Option<Colors>,

    #[arg(long, value_parser = values::switch(), hide_possible_values = true, value_name = "on|off")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    #[arg(help_heading = LOOK, hide_short_help = true)]
    #[arg(long_help = with_default(
        "Optimise brightness alone: both pictures are looked at in grey, and the result gets CONTENT's colours; with \
         --colors match STYLE's brightness is brought to CONTENT's beforehand", "luminance-only"))]
    pub luminance_only: Option<bool>,

    #[arg(long, value_parser = values::switch(), hide_possible_values = true, value_name = "on|off")]
    #[arg(help_heading = LOOK, hide_short_help = true)]
    #[arg(long_help = with_default("Match the result's colours to STYLE's once more at the end", "match-result"))]
    pub match_result: Option<bool>,

    #[arg(long, value_name = "LEVELS", help_heading = LOOK, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default(
        "Take the grain out of flat parts, in so many of the finest levels, until they are as calm as STYLE's", "calm"))]
    pub calm: Option<u32>,

    #[arg(long, value_name = "GAIN", help_heading = LOOK, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default(
        "The most by which matching colours may enlarge a difference: for grey or flat pictures", "largest-gain"))]
    pub largest_gain: Option<f64>,

    #[arg(long, value_parser = values::tone(), hide_possible_values = true, help_heading = LOOK)]
    #[arg(help = with_default("auto|content|style|off", "tone"))]
    #[arg(long_help = with_default(&values::tones("Brightness and contrast of the finished picture:"), "tone"))]
    pub tone: Option<Tone>,

    #[arg(long, value_name = "N", help_heading = OPTIMISATION, allow_negative_numbers = true)]
    #[arg(help = "Iterations, shared out among the scales")]
    #[arg(long_help = with_default(
        "Iterations in all, shared out among the scales in their proportions", "iterations"))]
    pub iterations: Option<u32>,

    #[arg(long, value_name = "S:N,…", value_delimiter = ',', value_parser = values::scale, conflicts_with = "size")]
    #[arg(help_heading = OPTIMISATION, hide_short_help = true)]
    #[arg(long_help = with_default(
        "Longest sides, small to large, and iterations at each; the last is the result's size", "scales"))]
    pub scales: Option<Vec<ScaleRule>>,

    #[command(flatten)]
    pub finer: Finer,

    #[arg(long, value_parser = values::canvas(), hide_possible_values = true, help_heading = OPTIMISATION)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(&values::canvases("What of the picture is moved:"), "canvas"))]
    pub canvas: Option<CanvasKind>,

    #[arg(long, value_name = "NAME", value_parser = values::optimizer(), hide_possible_values = true)]
    #[arg(hide_short_help = true, help_heading = OPTIMISATION)]
    #[arg(long_help = with_default(&values::optimizers("What moves it:"), "optimizer"))]
    pub optimizer: Option<OptimizerKind>,

    #[arg(long, value_name = "RATE", help_heading = OPTIMISATION, allow_negative_numbers = true)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(
        "Adam's step size, where 1 is the way from black to white; the factor of L-BFGS's first step", "learning-rate"))]
    pub learning_rate: Option<f64>,

    #[arg(long, value_name = "END[:LAST]", value_parser = values::schedule, help_heading = OPTIMISATION)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(
        "The share of the learning rate to which half a cosine brings it in each scale, and in the last one; 1 keeps it",
        "schedule"))]
    pub schedule: Option<Schedule>,

    #[arg(long, value_parser = values::moments(), hide_possible_values = true, help_heading = OPTIMISATION)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(
        &values::all_moments("What becomes of Adam's averages where the picture grows:"), "moments"))]
    pub moments: Option<Moments>,

    #[arg(long, value_name = "N", help_heading = OPTIMISATION, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default("Steps that L-BFGS remembers", "lbfgs-history"))]
    pub lbfgs_history: Option<u32>,

    #[arg(long, value_name = "DECAY", help_heading = OPTIMISATION, hide_short_help = true)]
    #[arg(allow_negative_numbers = true)]
    #[arg(long_help = with_default(
        "Decay of the running average of iterates that is the result; 0 returns the last iterate", "average"))]
    pub average: Option<f64>,

    #[arg(long, value_name = "START", value_parser = values::init(), help_heading = OPTIMISATION)]
    #[arg(help = with_default("content|matched|noise|gray|…|FILE", "init"))]
    #[arg(long_help = with_default(
        "Where to start: content, matched (CONTENT in STYLE's colours), noise, blend:0.3 (CONTENT with 30 % of that noise: 0 \
         is CONTENT, 1 is noise), gray (mid grey with a trace of it), style-stats (that noise in STYLE's colours), or a \
         picture FILE (./noise, if it has such a name)", "init"))]
    pub init: Option<Init>,

    #[arg(long, value_name = "N", help_heading = OPTIMISATION, allow_negative_numbers = true)]
    #[arg(help = with_default("Seed of all random numbers", "seed"))]
    pub seed: Option<u64>,

    #[arg(long, value_name = "N", help_heading = MACHINE, allow_negative_numbers = true)]
    #[arg(value_parser = values::thread_count())]
    #[arg(help = with_default("Threads", "threads"))]
    #[arg(long_help = with_default("Threads; the picture does not depend on them", "threads"))]
    pub threads: Option<u64>,

    #[arg(long, value_name = "BYTES", value_parser = values::memory, help_heading = MACHINE)]
    #[arg(allow_negative_numbers = true)]
    #[arg(help = "The most memory, such as 2G [default: four fifths]")]
    #[arg(
        long_help = "The most memory to use; 2G, 2000M and 2000000000 are the same. A picture that does not fit is \
computed in strips, which takes longer, and is the same picture [default: four fifths of what the machine, the control \
group or ulimit leaves]"
    )]
    pub max_memory: Option<u64>,

    #[arg(long, value_parser = values::precision(), hide_possible_values = true, help_heading = MACHINE)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(&values::precisions("Arithmetic of the network:"), "precision"))]
    pub precision: Option<Precision>,

    #[arg(long, value_name = "NAME", value_parser = values::conv_algorithm(), help_heading = MACHINE)]
    #[arg(env = values::CONV_ALGORITHM)]
    #[arg(hide_possible_values = true, hide_short_help = true)]
    #[arg(long_help = with_default(
        &values::conv_algorithms("How convolutions are computed, instead of the fastest for each layer:"),
        "conv-algorithm"))]
    pub conv_algorithm: Option<Algorithm>,

    #[arg(long, value_name = "FILE", help_heading = MACHINE, hide_short_help = true)]
    #[arg(long_help = with_default(
        "VGG16 or VGG19 weights: a safetensors file with torchvision's names", "weights"))]
    pub weights: Option<PathBuf>,

    /// Write every iteration's losses as JSON Lines
    ///
    /// The first line holds the whole configuration, then comes a line per
    /// iteration with the losses before its update, and a last one, marked
    /// "final", with the losses after the last update.
    #[arg(long, value_name = "FILE", help_heading = REPORTING)]
    pub trace: Option<PathBuf>,

    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = REPORTING)]
    pub quiet: bool,

    /// Print the configuration, sizes, threads and memory too
    #[arg(short, long, help_heading = REPORTING)]
    pub verbose: bool,

    /// Print help: -h a summary, --help everything
    #[arg(short, long, action = clap::ArgAction::Help, help_heading = REPORTING)]
    help: Option<bool>,
}

impl Options {
    /// The configuration asked for, checked.
    ///
    /// # Errors
    /// [`impasto::Error::Usage`] for values that make no sense.
    pub fn config(&self) -> Result<Config> {
        let file = self.config_file.as_deref().map(File::read).transpose()?;
        let named = self.preset.or(file.as_ref().and_then(File::preset));
        let mut config = named.unwrap_or(Preset::Default).config();
        if let Some(file) = &file {
            file.apply(&mut config)?;
        }
        self.finer.apply(&mut config);
        if let Some(size) = self.size {
            config.size = size;
            // A file's scales end at a size of their own: they become a rule for this one.
            if let Scales::Given(rule) = config.scales {
                config.scales = Scales::Grown(rule);
            }
        }
        config.iterations = self.iterations.or(config.iterations);
        if let Some(scales) = &self.scales {
            config.scales = Scales::Given(scales.clone());
            config.size = scales.last().map_or(config.size, |last| last.size);
        }
        set(&mut config.statistic, &self.statistic);
        set(&mut config.refresh, &self.refresh);
        set(&mut config.canvas, &self.canvas);
        set(&mut config.optimizer, &self.optimizer);
        set(&mut config.schedule, &self.schedule);
        set(&mut config.moments, &self.moments);
        set(&mut config.lbfgs_history, &self.lbfgs_history);
        set(&mut config.detail, &self.detail);
        set(&mut config.colors, &self.colors);
        set(&mut config.luminance_only, &self.luminance_only);
        set(&mut config.match_result, &self.match_result);
        set(&mut config.calm, &self.calm);
        set(&mut config.largest_gain, &self.largest_gain);
        if let Some(decay) = self.average {
            config.average = (decay != 0.0).then_some(decay);
        }
        set(&mut config.content_layers, &self.content_layer);
        set(&mut config.style_layers, &self.style_layer);
        set(&mut config.content_weight, &self.content_weight);
        set(&mut config.style_weight, &self.style_weight);
        set(&mut config.tv_weight, &self.tv_weight);
        set(&mut config.strength, &self.strength);
        set(&mut config.learning_rate, &self.learning_rate);
        set(&mut config.pooling, &self.pooling);
        set(&mut config.init, &self.init);
        set(&mut config.seed, &self.seed);
        set(&mut config.max_pixels, &self.max_pixels);
        config.max_memory = self.max_memory.or(config.max_memory);
        set(&mut config.precision, &self.precision);
        if self.conv_algorithm.is_some() {
            config.conv_algorithm = self.conv_algorithm;
        }
        set(&mut config.tone, &self.tone);
        config.style_size = self.style_size.or(config.style_size);
        set(&mut config.style_scale, &self.style_scale);
        config.weights = self.weights.clone().or(config.weights);
        config.threads = self.threads.map_or(config.threads, |n| n as usize);
        config.validate()?;
        Ok(config)
    }

    /// The styles as they were given.
    fn given(&self) -> Vec<StyleFile> {
        self.style.iter().map(|path| StyleFile::new(path)).chain(self.styles.iter().cloned()).collect()
    }

    /// What is painted where.
    ///
    /// # Errors
    /// Those of [`regions::read`] and [`Scene::new`].
    pub fn scene(&self) -> Result<Scene> {
        let (more, keep) = self.regions.as_deref().map(regions::read).transpose()?.unwrap_or_default();
        let given = self.given().into_iter().chain(more).collect();
        Scene::new(given, &self.style_mask, self.keep.clone().or(keep))
    }

    /// Where the result goes, which by itself has such an extension.
    pub fn output(&self, extension: &str) -> PathBuf {
        let given = self.given();
        let named = given.iter().map(|style| style.path.as_path()).chain(self.regions.as_deref());
        let default = paths::default_output(&self.content, named).with_extension(extension);
        request::place(self.output.as_deref(), default, self.overwrite)
    }
}

fn set<T: Clone>(field: &mut T, given: &Option<T>) {
    if let Some(value) = given {
        field.clone_from(value);
    }
}

#[cfg(test)]
mod tests;
