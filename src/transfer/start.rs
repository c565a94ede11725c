//! The picture that the optimisation begins with.
//!
//! ```text
//!   content       the photograph              noise         uniform, by the seed
//!   matched       it in the style's colours   style-stats   that in the style's colours
//!   blend:SHARE   it with that noise          gray          mid grey with a 255th of it
//! ```
//!
//! The colours are those of all styles of a region, blended, and each region has its own. `gray` and `style-stats` are
//! those of K. Crowson's style-transfer-pytorch; there `style-stats` has variances alone, and no covariances.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::colours;
use super::inputs::Pictures;
use super::painted::{Group, by_region, seen_through};
use super::plan::Plan;
use crate::config::{Config, Init};
use crate::error::Result;
use crate::picture::palette::Colours;
use crate::picture::{self, Picture};
use crate::tensor::FeatureMap;

/// The picture (H × W × 3) that it begins with, at the first scale.
///
/// # Errors
/// [`Error::Picture`](crate::Error::Picture) if the file to start from cannot be read.
pub(super) fn picture(config: &Config, plan: &Plan, pictures: &Pictures) -> Result<FeatureMap> {
    let content = &pictures.content;
    let (height, width) = (content.height(), content.width());
    let picture = match &config.init {
        Init::Content => content.clone(),
        Init::Matched => pictures.matched(config, plan),
        Init::File(path) => picture::resized(&picture::open(path, config.max_pixels)?, height, width),
        Init::Noise => noise(config.seed, height, width),
        Init::Gray => {
            let mut grey = noise(config.seed, height, width);
            grey.rgb.mapv_inplace(|x| 0.5 + x / 255.0);
            grey
        }
        // Nothing of noise is to be spared.
        Init::StyleStats => pictures.in_style(noise(config.seed, height, width), plan, f64::INFINITY),
        Init::Blend(share) => {
            let mut blend = noise(config.seed, height, width);
            blend.rgb.zip_mut_with(&content.rgb, |x, content| *x = content + *share as f32 * (*x - content));
            blend
        }
    };
    Ok(FeatureMap::from_array(colours::start(config, picture).rgb))
}

/// Uniform noise, the same for a seed and a size.
fn noise(seed: u64, height: usize, width: usize) -> Picture {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Picture::from_rgb(ndarray::Array3::from_shape_simple_fn((height, width, 3), || rng.random::<f32>()))
}

impl Pictures {
    /// The photograph in the style pictures' colours.
    pub(super) fn matched(&self, config: &Config, plan: &Plan) -> Picture {
        colours::start(config, self.in_style(self.content.clone(), plan, config.largest_gain))
    }

    /// A picture in the colours of the style pictures, region by region, no difference enlarged more than so many times.
    fn in_style(&self, mut picture: Picture, plan: &Plan, largest_gain: f64) -> Picture {
        let of = |group: &Group| {
            let style = |&(index, share): &(usize, f64)| {
                let seen = seen_through(&self.styles[index], self.style_masks[index].as_ref());
                Some((share, Colours::of(&seen)?))
            };
            Colours::blend(&group.styles.iter().filter_map(style).collect::<Vec<_>>())
        };
        let colours: Vec<_> = plan.groups.iter().map(of).collect();
        let give = |group: usize, picture: &mut Picture| {
            if let Some(colours) = &colours[group] {
                colours.give(picture, largest_gain);
            }
        };
        match &self.parts {
            None => give(0, &mut picture),
            Some(parts) => by_region(&mut picture, parts, give),
        }
        picture
    }
}
