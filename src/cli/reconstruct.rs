//! `impasto reconstruct`: what a layer still knows of a picture, made from noise by asking that layer alone.

use std::path::PathBuf;
use std::time::Instant;

use impasto::Result;
use impasto::config::purposes::{CONTENT_ROW, STYLE_ROW};
use impasto::config::{Config, Preset};
use impasto::picture;
use impasto::transfer::plan;
use impasto::vgg::Layer;

use super::EXIT_CODES;
use super::common::{Common, beside};
use super::request::name;
use super::work::{self, Job, NO_STYLE};

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

    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    #[arg(help = format!("Longest side of each picture; 0 keeps CONTENT's own size [default: {SIZE}]"))]
    pub size: Option<u32>,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    match &options.layers {
        None => {
            let layer = options.layer.unwrap_or(LAYER);
            work::run(prepare(options, layer, &layer.to_string())?, None, start)
        }
        Some(layers) => {
            let usual = if options.style { STYLE_ROW } else { CONTENT_ROW };
            let layers = if layers.is_empty() { &usual } else { layers.as_slice() };
            let jobs = layers.iter().map(|&layer| Ok((layer.to_string(), prepare(options, layer, "layers")?)));
            work::row(jobs.collect::<Result<_>>()?, start)
        }
    }
}

fn prepare(options: &Options, layer: Layer, suffix: &str) -> Result<Job> {
    let mut config = if options.style {
        Config::style_reconstruction(Preset::Fast, layer)
    } else {
        Config::content_reconstruction(layer)
    };
    config.size = options.size.unwrap_or(SIZE);
    options.common.set(&mut config);
    config.validate()?;
    let size = picture::size(&options.content, config.max_pixels)?;
    let kind = if options.style { format!("style-{suffix}") } else { suffix.to_owned() };
    let mut request = options.common.request(beside(&options.content, &kind));
    let style = if options.style { size } else { NO_STYLE };
    if options.style {
        request.style = Some(&options.content);
    } else {
        request.content = Some(&options.content);
    }
    request.sizes = [size, style];
    request.scales = plan::scales(&config, size, style)?;
    let layers = match &options.layers {
        None => format!("--layer={layer}"),
        Some(layers) => {
            let names: Vec<_> = layers.iter().map(Layer::to_string).collect();
            if names.is_empty() { "--layers".into() } else { format!("--layers={}", names.join(",")) }
        }
    };
    let style = if options.style { " --style" } else { "" };
    request.words = format!("reconstruct {} {layers}{style}", name(&options.content));
    request.job(config)
}
