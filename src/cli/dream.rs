//! `impasto dream`: what a layer, or one of its channels, sees in a picture, more and more of it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use impasto::config::{Preset, purposes};
use impasto::vgg::Layer;
use impasto::vgg::layers::channels;
use impasto::{Error, Result, picture};

use super::common::{Common, beside};
use super::job::Job;
use super::options::MOST_JITTER;
use super::purpose::Purpose;
use super::styles::{Scene, StyleFile};
use super::work;
use super::{EXIT_CODES, values};

/// Longest side of the result unless told otherwise.
const SIZE: u32 = 512;

const EXAMPLES: &str = "\
Examples:
  impasto dream photo.jpg                                # photo-dream.png
  impasto dream photo.jpg --layer relu5_1                # larger things
  impasto dream photo.jpg --layer relu4_3:77 --octaves 6 # one channel, from smaller sizes on
  impasto dream clouds.jpg --iterations 200              # deeper";

/// Dream: let a layer of the network, or one of its channels, see more of what it sees in a picture.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
)]
pub struct Options {
    /// The picture to dream of
    pub content: PathBuf,

    #[arg(long, value_name = "LAYER[:CHANNEL]", default_value = "relu4_3")]
    #[arg(help = "The layer whose mean square is to grow, or that of one of its channels, counted from 0")]
    pub layer: Objective,

    #[arg(long, value_name = "PIXELS", value_parser = values::side, allow_negative_numbers = true)]
    #[arg(help = format!("Longest side of the result; 0 keeps CONTENT's own size [default: {SIZE}]"))]
    pub size: Option<u32>,

    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32), allow_negative_numbers = true)]
    #[arg(help = format!(
        "Sizes it goes through, each √2 times the one before: with more, larger things appear [default: {}]",
        purposes::OCTAVES.0))]
    pub octaves: Option<u32>,

    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    #[arg(help = "How far an iteration goes, where 1 is the way from black to white [default: 0.005]")]
    pub learning_rate: Option<f64>,

    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(..=MOST_JITTER))]
    #[arg(allow_negative_numbers = true)]
    #[arg(
        help = "The most by which the picture is shifted, another way each time, before it is looked at [default: 16]"
    )]
    pub jitter: Option<u32>,

    #[command(flatten)]
    pub common: Common,
}

/// A layer, and perhaps one of its channels.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    layer: Layer,
    channel: Option<u16>,
}

impl FromStr for Objective {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (layer, channel) = match text.split_once(':') {
            Some((layer, channel)) => (layer, Some(channel)),
            None => (text, None),
        };
        let layer: Layer = layer.parse()?;
        let most = channels(layer) - 1;
        let number = |text: &str| text.parse().ok().filter(|&channel: &u16| usize::from(channel) <= most);
        let channel = channel.map(|text| {
            number(text)
                .ok_or_else(|| Error::Usage(format!("'{text}' is no channel of {layer}: give one from 0 to {most}")))
        });
        Ok(Objective { layer, channel: channel.transpose()? })
    }
}

pub fn run(options: &Options) -> Result<u8> {
    let start = Instant::now();
    work::run(prepare(options)?, None, start)
}

fn prepare(options: &Options) -> Result<Job> {
    let common = &options.common;
    common.check_standard(std::iter::once(options.content.as_path()))?;
    let max_pixels = common.making.max_pixels()?;
    let size = |path: &Path| picture::size(path, max_pixels);
    let own = size(&options.content)?;
    let longest = match options.size.unwrap_or(SIZE) {
        0 => own.0.max(own.1) as u32,
        longest => longest,
    };
    values::check_longest("--size", longest)?;
    let Objective { layer, channel } = options.layer;
    let octaves = (options.octaves.unwrap_or(purposes::OCTAVES.0), purposes::OCTAVES.1);
    let purpose = Purpose::Dream { layer, channel, octaves };
    let mut config = purpose.base(Preset::Default, longest, 0);
    common.making.set(&mut config)?;
    config.learning_rate = options.learning_rate.unwrap_or(config.learning_rate);
    config.jitter = options.jitter.unwrap_or(config.jitter);
    config.validate()?;
    // Its colours are what the result is matched to.
    let scene = Scene { styles: vec![StyleFile::new(&options.content)], keep: None };
    let sizes = scene.sizes(own, size)?;
    let output = beside(&options.content, "dream");
    common.request(purpose, (Some(&options.content), scene, sizes), output, max_pixels)?.job(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_and_a_channel_are_read_or_refused() {
        let read = |text: &str| text.parse::<Objective>().map(|o| (o.layer.to_string(), o.channel));
        assert_eq!(read("relu4_3").unwrap(), ("relu4_3".into(), None));
        assert_eq!(read("relu1_1:63").unwrap(), ("relu1_1".into(), Some(63)));
        for (wrong, remedy) in
            [("relu1_1:64", "from 0 to 63"), ("relu4_3:", "0 to 511"), ("relu4_3:-1", "0 to 511"), ("fc6", "relu5_3")]
        {
            assert!(read(wrong).unwrap_err().to_string().contains(remedy), "{wrong}");
        }
    }
}
