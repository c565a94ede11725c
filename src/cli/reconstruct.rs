//! `impasto reconstruct`: what a layer still knows of a picture, made from noise by asking that layer alone.

use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto::config::Preset;
use impasto::config::purposes::{CONTENT_ROW, STYLE_ROW};
use impasto::vgg::Layer;
use impasto::{Result, picture};

use super::common::{Common, beside};
use super::job::Job;
use super::purpose::Purpose;
use super::styles::{Scene, StyleFile};
use super::work;
use super::{EXIT_CODES, values};

/// Longest side of the result unless told otherwise.
const SIZE: u32 = 256;

/// The layer unless told otherwise.
const LAYER: Layer = Layer::relu(4, 2);

const EXAMPLES: &str = "\
Examples:
  impasto reconstruct photo.jpg --layer relu4_2    # photo-relu4_2.png: what is where
  impasto reconstruct photo.jpg --layers           # a row of five layers: figure 1 of Gatys et al. 2015
  impasto reconstruct painting.jpg --layers --style   # its other row: the style of more and more layers
  impasto reconstruct photo.jpg --layers=relu1_1,relu3_1,relu5_1 --size 384";

/// Reconstruct a picture from what one layer of the network knows of it, or of its style.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
)]
pub struct Options {
    /// The picture to reconstruct
    pub content: PathBuf,

    #[arg(long, value_name = "LAYER", conflicts_with = "layers")]
    #[arg(help = format!("The layer that is asked [default: {LAYER}]"))]
    pub layer: Option<Layer>,

    /// A row of pictures, one for each layer [default: the second layer of each block; with --style the first]
    #[arg(long, value_name = "L,…", value_delimiter = ',', num_args = 0.., require_equals = true)]
    #[arg(conflicts_with_all = ["checkpoint", "trace", "save_every"])]
    pub layers: Option<Vec<Layer>>,

    /// Reconstruct the style, from the statistics of all style layers up to the one that is named
    #[arg(long)]
    pub style: bool,

    #[arg(long, value_name = "PIXELS", value_parser = values::side, allow_negative_numbers = true)]
    #[arg(help = format!("Longest side of each picture; 0 keeps CONTENT's own size [default: {SIZE}]"))]
    pub size: Option<u32>,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    let purpose = purpose(options);
    let jobs = (0..purpose.pictures()).map(|picture| prepare(options, &purpose, picture));
    work::row(jobs.collect::<Result<_>>()?, start)
}

fn purpose(options: &Options) -> Purpose {
    let style = options.style;
    let (row, layers) = match &options.layers {
        None => (false, vec![options.layer.unwrap_or(LAYER)]),
        Some(layers) if layers.is_empty() => (true, if style { STYLE_ROW } else { CONTENT_ROW }.to_vec()),
        Some(layers) => (true, layers.clone()),
    };
    Purpose::Reconstruct { layers, row, style }
}

/// The job of a picture of the row, or the only one.
fn prepare(options: &Options, purpose: &Purpose, index: usize) -> Result<Job> {
    let common = &options.common;
    let mut config = purpose.base(Preset::Default, SIZE, index);
    common.making.set(&mut config)?;
    config.size = options.size.unwrap_or(config.size);
    config.validate()?;
    common.check_standard(std::iter::once(options.content.as_path()))?;
    let size = |path: &Path| picture::size(path, config.max_pixels);
    let own = size(&options.content)?;
    let content = (!options.style).then_some(options.content.as_path());
    let scene =
        Scene { styles: options.style.then(|| StyleFile::new(&options.content)).into_iter().collect(), keep: None };
    let sizes = scene.sizes(if options.style { purpose.stand_in(own) } else { own }, size)?;
    let suffix = match &options.layers {
        None => options.layer.unwrap_or(LAYER).to_string(),
        Some(_) => "layers".into(),
    };
    let kind = if options.style { format!("style-{suffix}") } else { suffix };
    let output = beside(&options.content, &kind);
    common.request(purpose.clone(), (content, scene, sizes), output, config.max_pixels)?.job(config)
}
