//! What a run is for, as its recipe tells it: which command made it, and the configuration that this command begins with.

use impasto::config::{Config, Preset};
use impasto::vgg::{Border, Layer};
use serde::{Deserialize, Serialize};

/// Options by which every command but `stylize` changes values; it has all.
const COMMON: [&str; 4] = ["iterations", "precision", "seed", "weights"];

/// A command that makes a picture, with what no value of a configuration tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// `impasto stylize`.
    #[default]
    Stylize,
    /// `impasto texture`.
    Texture {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// Whether it wraps around.
        tileable: bool,
    },
    /// `impasto reconstruct`.
    Reconstruct {
        /// The layers, each of which makes a picture.
        layers: Vec<Layer>,
        /// Whether they were asked for as a row.
        row: bool,
        /// Whether style is reconstructed.
        style: bool,
    },
    /// `impasto dream`.
    Dream {
        /// The layer that is to see more.
        layer: Layer,
        /// Its channel, if it is one alone.
        channel: Option<u16>,
        /// Sizes, and iterations at each.
        octaves: (u32, u32),
    },
}

impl Purpose {
    /// Whether it is `stylize`'s.
    pub fn is_stylize(&self) -> bool {
        *self == Purpose::Stylize
    }

    /// The command's name.
    pub fn command(&self) -> &'static str {
        match self {
            Purpose::Stylize => "stylize",
            Purpose::Texture { .. } => "texture",
            Purpose::Reconstruct { .. } => "reconstruct",
            Purpose::Dream { .. } => "dream",
        }
    }

    /// How many pictures are made, side by side.
    pub fn pictures(&self) -> usize {
        if let Purpose::Reconstruct { layers, .. } = self { layers.len() } else { 1 }
    }

    /// What the picture of that number is of.
    pub fn named(&self, picture: usize) -> String {
        match self {
            Purpose::Reconstruct { layers, .. } => layers.get(picture).map_or_else(String::new, Layer::to_string),
            _ => self.command().into(),
        }
    }

    /// What the command begins with, of a preset and a longest side, for the picture of that number.
    pub fn base(&self, preset: Preset, size: u32, picture: usize) -> Config {
        let config = match self {
            Purpose::Stylize => return preset.config(),
            Purpose::Texture { tileable, .. } => {
                let config = Config::texture(preset);
                Config { border: if *tileable { Border::Wrap } else { config.border }, ..config }
            }
            Purpose::Reconstruct { layers, style, .. } => {
                let layer = layers.get(picture).copied().unwrap_or(Layer::relu(1, 1));
                match style {
                    true => Config::style_reconstruction(Preset::Fast, layer),
                    false => Config::content_reconstruction(layer),
                }
            }
            &Purpose::Dream { layer, channel, octaves } => Config::dream(layer, channel, size, octaves),
        };
        Config { size, ..config }
    }

    /// The configuration of the picture of that number, of that of the first.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn config(&self, first: &Config, picture: usize) -> Result<Config, String> {
        if picture == 0 {
            return Ok(first.clone());
        }
        let mut config = self.base(first.preset, first.size, picture);
        for setting in impasto::config::settings::ALL {
            let (text, usual) = (setting.text(first), setting.text(&self.base(first.preset, first.size, 0)));
            if let Some(text) = text.filter(|text| usual.as_ref() != Some(text)) {
                setting.set(&mut config, &text)?;
            }
        }
        config.max_memory = first.max_memory;
        config.max_pixels = first.max_pixels;
        config.threads = first.threads;
        Ok(config)
    }

    /// (height, width) of what stands for the content picture, where there is none but a style picture of such a size.
    pub fn stand_in(&self, style: (usize, usize)) -> (usize, usize) {
        proportions(match self {
            Purpose::Texture { width, height, .. } => (*height as usize, *width as usize),
            _ => style,
        })
    }

    /// The options that say it.
    pub fn words(&self, config: &Config) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        match self {
            Purpose::Stylize => {}
            Purpose::Texture { width, height, tileable } => {
                words.extend(["--size".into(), format!("{width}x{height}")]);
                words.extend(tileable.then(|| "--tileable".into()));
            }
            Purpose::Reconstruct { layers, row, style } => {
                let names = layers.iter().map(Layer::to_string).collect::<Vec<_>>().join(",");
                words.extend(match row {
                    true => vec![format!("--layers={names}")],
                    false => vec!["--layer".into(), names],
                });
                words.extend(style.then(|| "--style".into()));
                words.extend(["--size".into(), config.size.to_string()]);
            }
            Purpose::Dream { layer, channel, octaves: (octaves, _) } => {
                let channel = channel.map_or_else(String::new, |channel| format!(":{channel}"));
                words.extend(["--layer".into(), format!("{layer}{channel}")]);
                words.extend(["--size".into(), config.size.to_string()]);
                words.extend(["--octaves".into(), octaves.to_string()]);
            }
        }
        if config.preset != Preset::Default && matches!(self, Purpose::Stylize | Purpose::Texture { .. }) {
            words.extend(["--preset".into(), config.preset.name().into()]);
        }
        words
    }

    /// Whether a value of this name has an option; without one it is `--set`.
    pub fn has_option(&self, name: &str) -> bool {
        let own: &[&str] = match self {
            Purpose::Stylize => return true,
            Purpose::Texture { .. } => &["style-size", "style-scale"],
            Purpose::Reconstruct { .. } => &[],
            Purpose::Dream { .. } => &["learning-rate", "jitter"],
        };
        COMMON.contains(&name) || own.contains(&name)
    }
}

/// The smallest size of the same proportions: nothing is seen of what stands for a content picture, and it takes no room.
pub fn proportions((height, width): (usize, usize)) -> (usize, usize) {
    let (mut divisor, mut rest) = (height, width);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (height / divisor, width / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Purpose> {
        let layers = vec![Layer::relu(2, 2), Layer::relu(4, 2)];
        vec![
            Purpose::Stylize,
            Purpose::Texture { width: 64, height: 32, tileable: true },
            Purpose::Reconstruct { layers: layers.clone(), row: true, style: false },
            Purpose::Reconstruct { layers, row: true, style: true },
            Purpose::Dream { layer: Layer::relu(4, 3), channel: Some(7), octaves: (3, 20) },
        ]
    }

    #[test]
    fn every_purpose_is_read_again() {
        for purpose in all() {
            let text = serde_json::to_string(&purpose).unwrap();
            assert_eq!(serde_json::from_str::<Purpose>(&text).unwrap(), purpose, "{text}");
        }
    }

    #[test]
    fn the_pictures_of_a_row_differ_in_their_layers_alone() {
        for purpose in all() {
            for picture in 0..purpose.pictures() {
                let base = purpose.base(Preset::Default, 64, picture);
                let first = purpose.base(Preset::Default, 64, 0);
                assert_eq!(purpose.config(&first, picture).unwrap(), base);
                let changed = |config: Config| Config { iterations: Some(3), seed: 9, ..config };
                assert_eq!(purpose.config(&changed(first), picture).unwrap(), changed(base));
            }
        }
    }

    #[test]
    fn proportions_are_in_least_terms() {
        for (size, least) in [((768, 1024), (3, 4)), ((512, 512), (1, 1)), ((17, 31), (17, 31)), ((16, 1000), (2, 125))]
        {
            assert_eq!(proportions(size), least);
            assert_eq!(impasto::picture::fit(size.0.max(size.1) as u32, least.0, least.1), size);
        }
    }
}
