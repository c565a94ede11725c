//! `impasto texture`: a picture of any size with the manner of another, and nothing to be seen in it.

use std::path::PathBuf;
use std::time::Instant;

use impasto::Result;
use impasto::config::{Config, Preset};
use impasto::picture;
use impasto::transfer::plan;
use impasto::vgg::Border;

use super::common::{Common, beside};
use super::request::name;
use super::work::{self, Job};
use super::{EXIT_CODES, values};

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
    /// The picture whose manner to take
    pub style: PathBuf,

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
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    pub style_size: Option<u32>,

    /// fast, default or best: how long it is worked on
    #[arg(long, value_parser = values::own_preset(), hide_possible_values = true)]
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
    let mut config = Config { size: width.max(height), ..Config::texture(options.preset.unwrap_or(Preset::Default)) };
    if options.tileable {
        config.border = Border::Wrap;
    }
    config.style_size = options.style_size.or(config.style_size);
    options.common.set(&mut config);
    config.validate()?;
    let style = picture::size(&options.style, config.max_pixels)?;
    let size = work::proportions((height as usize, width as usize));
    let mut request = options.common.request(beside(&options.style, "texture"));
    request.style = Some(&options.style);
    request.sizes = [size, style];
    request.scales = plan::scales(&config, size, style)?;
    request.words = format!("texture {} --size={width}x{height}", name(&options.style));
    request.job(config)
}
