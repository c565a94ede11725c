//! `impasto texture`: a picture of any size with the manner of another, and nothing to be seen in it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::config::{Preset, Scales};
use impasto::{Error, Result, picture};

use super::common::{Common, beside};
use super::job::Job;
use super::presets::with_default;
use super::purpose::Purpose;
use super::styles::{Scene, StyleFile};
use super::work;
use super::{EXIT_CODES, paths, values};

/// Width and height of a texture, in pixels, unless told otherwise.
const SIZE: (u32, u32) = (512, 512);

const EXAMPLES: &str = "\
Examples:
  impasto texture painting.jpg                              # painting-texture.png, 512×512
  impasto texture bricks.jpg --size 1024x768 -o wall.png
  impasto texture bricks.jpg --tileable --preset best       # copies of it join without a seam
  impasto texture painting.jpg --style-size 256             # smaller strokes";

/// Make a texture: a picture of any size in the manner of another, which may be tiled without a seam.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
)]
pub struct Options {
    /// The picture whose manner to take, or a folder of them
    #[arg(required_unless_present = "styles")]
    pub style: Option<PathBuf>,

    /// One of several styles, its weight and place
    ///
    /// As in `stylize`: --style a.jpg:0.7 --style b.jpg:0.3 is a blend, and --style a.jpg:1:mask.png is painted where the
    /// mask, laid over the texture, is white.
    #[arg(long = "style", value_name = "FILE[:w[:MASK]]", value_parser = StyleFile::parse)]
    pub styles: Vec<StyleFile>,

    /// What of a style picture to learn from: white in MASK
    #[arg(long, value_name = "[STYLE=]MASK")]
    pub style_mask: Vec<PathBuf>,

    #[arg(long, value_name = "WxH", value_parser = values::sides)]
    #[arg(help = format!("Width and height, or one number for both [default: {}x{}]", SIZE.0, SIZE.1))]
    pub size: Option<(u32, u32)>,

    /// Make it wrap around: copies side by side and above each other join without a seam
    ///
    /// The network, the canvas and the variation see the opposite side beyond every edge. Both sides are to be multiples of
    /// 16, and the picture is evaluated whole.
    #[arg(long)]
    pub tileable: bool,

    /// Longest side STYLE is brought to: smaller strokes when smaller; 0 keeps its own size [default: the texture's]
    #[arg(long, value_name = "PIXELS", value_parser = values::side, allow_negative_numbers = true)]
    pub style_size: Option<u32>,

    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    #[arg(help = with_default("Larger strokes above 1, smaller below", "style-scale"))]
    pub style_scale: Option<f64>,

    /// fast, default, best and others, see `impasto presets`: how long it is worked on, and with which formulas
    #[arg(long, value_parser = values::preset(), hide_possible_values = true)]
    pub preset: Option<Preset>,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    work::run(prepare(options)?, None, start)
}

fn prepare(options: &Options) -> Result<Job> {
    let (width, height) = options.size.unwrap_or(SIZE);
    let common = &options.common;
    let purpose = Purpose::Texture { width, height, tileable: options.tileable };
    let preset = options.preset.or(common.making.preset()?).unwrap_or(Preset::Default);
    let mut config = purpose.base(preset, width.max(height), 0);
    common.making.set(&mut config)?;
    config.size = width.max(height);
    // Scales that were given end at a size of their own: they become a rule for this one.
    if let Scales::Given(rule) = config.scales {
        config.scales = Scales::Grown(rule);
    }
    config.style_size = options.style_size.or(config.style_size);
    config.style_scale = options.style_scale.unwrap_or(config.style_scale);
    config.validate()?;
    let scene = scene(options)?;
    common.check_standard(scene.files().into_iter())?;
    let size = |path: &Path| picture::size(path, config.max_pixels);
    let sizes = scene.sizes(purpose.stand_in(Default::default()), size)?;
    let request = common.request(purpose, (None, scene, sizes), output(options), config.max_pixels)?;
    request.job(config)
}

/// The styles as they were given.
fn given(options: &Options) -> Vec<StyleFile> {
    options.style.iter().map(|path| StyleFile::new(path)).chain(options.styles.iter().cloned()).collect()
}

/// What is painted where.
fn scene(options: &Options) -> Result<Scene> {
    let scene = Scene::new(given(options), &options.style_mask, None)?;
    if scene.sees_opacity() {
        return Err(Error::Usage("a texture has no content picture with an opacity; give a picture as mask".into()));
    }
    Ok(scene)
}

/// `painting-texture.png`, with the names of several styles as `stylize` has them.
fn output(options: &Options) -> PathBuf {
    let given = given(options);
    let (first, others) = given.split_first().expect("one is required");
    let name = paths::default_output(&first.path, others.iter().map(|style| style.path.as_path()));
    beside(&name, "texture")
}
