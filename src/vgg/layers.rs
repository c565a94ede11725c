//! The layer table of VGG16 and VGG19: one constant that the network, the weight
//! loader and every size calculation read, so that they cannot disagree.
//!
//! Both networks are five blocks of 3×3 convolutions, each followed by a ReLU; a
//! 2×2 pooling stands between blocks. They differ only in how many convolutions
//! the last three blocks have: three, or four.
//!
//! Source: Simonyan & Zisserman 2015, arXiv:1409.1556, table 1, columns D and E.

use std::fmt;

use serde::Serialize;

use super::Layer;
use crate::error::{Error, Result};

/// The smallest side, in pixels, of a picture the network can look at:
/// four 2×2 poolings must leave one pixel for `relu5_1`.
pub const SMALLEST_SIDE: usize = 16;

/// Sides that are multiples of it are halved without a rest down to the deepest layer: a picture of such sides can wrap
/// around.
pub const SEAMLESS: usize = 16;

// ANCHOR: table
/// Channels of each block's feature maps.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

/// The stages of VGG16: 13 convolutions, 4 poolings.
const VGG16: [Stage; 17] = stages([2, 2, 3, 3, 3]);
// ANCHOR_END: table

/// The stages of VGG19: 16 convolutions, 4 poolings.
const VGG19: [Stage; 20] = stages([2, 2, 4, 4, 4]);

/// Which of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 13 convolutions: blocks of 2, 2, 3, 3 and 3.
    Vgg16,
    /// 16 convolutions: blocks of 2, 2, 4, 4 and 4.
    Vgg19,
}

/// One step of the network, in order of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// 3×3 convolution, stride 1, padding 1, then ReLU: (H, W, `in_channels`) → (H, W, `out_channels`).
    Convolution {
        /// Position among the convolutions, from 0.
        index: usize,
        /// Channels it reads.
        in_channels: usize,
        /// Channels it writes.
        out_channels: usize,
        /// The name of its ReLU's output in the literature.
        name: Layer,
    },
    /// 2×2 pooling, stride 2, without the odd row or column: (H, W, C) → (⌊H/2⌋, ⌊W/2⌋, C).
    Pool,
}

/// Writes a network out from the number of convolutions in each block.
///
/// No pooling follows the last block: only the classifier, which is not here, needs it.
const fn stages<const COUNT: usize>(convolutions: [u8; 5]) -> [Stage; COUNT] {
    let mut table = [Stage::Pool; COUNT];
    let (mut at, mut index, mut in_channels) = (0, 0, 3);
    let mut block = 0;
    while block < WIDTHS.len() {
        let mut position = 0;
        while position < convolutions[block] {
            let name = Layer::relu(block as u8 + 1, position + 1);
            table[at] = Stage::Convolution { index, in_channels, out_channels: WIDTHS[block], name };
            in_channels = WIDTHS[block];
            (at, index, position) = (at + 1, index + 1, position + 1);
        }
        (at, block) = (at + 1, block + 1);
    }
    assert!(at == COUNT + 1, "COUNT is the convolutions and the poolings between blocks");
    table
}

impl Architecture {
    /// Both, the smaller first.
    pub const ALL: [Architecture; 2] = [Architecture::Vgg16, Architecture::Vgg19];

    /// Every stage, in order of evaluation.
    #[must_use]
    pub const fn stages(self) -> &'static [Stage] {
        match self {
            Architecture::Vgg16 => &VGG16,
            Architecture::Vgg19 => &VGG19,
        }
    }

    /// The stages that `deepest` needs, itself the last.
    ///
    /// # Errors
    /// [`Error::Usage`] if this network has no such layer.
    pub fn stages_to(self, deepest: Layer) -> Result<&'static [Stage]> {
        match self.stages().iter().position(|stage| stage.name() == Some(deepest)) {
            Some(last) => Ok(&self.stages()[..=last]),
            None => Err(self.no_such_layer(deepest)),
        }
    }

    /// Whether the network has this layer: `relu3_4`, `relu4_4` and `relu5_4` are VGG19's alone.
    #[must_use]
    pub fn contains(self, layer: Layer) -> bool {
        self.layers().any(|name| name == layer)
    }

    /// The names of all layers, shallow to deep.
    pub fn layers(self) -> impl Iterator<Item = Layer> {
        self.stages().iter().filter_map(|stage| stage.name())
    }

    /// For each convolution in order its number in torchvision's `features`, where
    /// every ReLU and every pooling counts as well.
    pub fn feature_numbers(self) -> impl Iterator<Item = usize> {
        let mut next = 0;
        self.stages().iter().filter_map(move |stage| {
            let number = next;
            match stage {
                Stage::Convolution { .. } => {
                    next += 2;
                    Some(number)
                }
                Stage::Pool => {
                    next += 1;
                    None
                }
            }
        })
    }

    fn no_such_layer(self, layer: Layer) -> Error {
        let remedy = match self {
            Architecture::Vgg16 if Architecture::Vgg19.contains(layer) => {
                "choose a shallower layer of the block, or give VGG19's weights with --weights FILE".to_owned()
            }
            _ => {
                let names: Vec<_> = self.layers().map(|name| name.to_string()).collect();
                format!("choose one of {}", names.join(", "))
            }
        };
        Error::Usage(format!("{layer} is not a layer of {self}: {remedy}"))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Architecture::Vgg16 => "VGG16",
            Architecture::Vgg19 => "VGG19",
        })
    }
}

impl Stage {
    /// The layer whose feature map this stage ends with; a pooling has no name.
    #[must_use]
    pub const fn name(&self) -> Option<Layer> {
        match self {
            Stage::Convolution { name, .. } => Some(*name),
            Stage::Pool => None,
        }
    }
}

/// N, the channels of a layer's feature map, the same in both networks.
///
/// # Panics
/// If the layer's block is not 1 to 5.
#[must_use]
pub const fn channels(layer: Layer) -> usize {
    assert!(1 <= layer.block && layer.block <= 5, "blocks are numbered 1 to 5");
    WIDTHS[layer.block as usize - 1]
}

/// How many pixels of the picture one step in a layer's feature map is: 1, 2, 4, 8 or 16.
///
/// The map is ⌊H/stride⌋ × ⌊W/stride⌋, because halving with floor four times is
/// dividing by 16 with floor.
///
/// # Panics
/// If the layer's block is not 1 to 5.
#[must_use]
pub const fn stride(layer: Layer) -> usize {
    assert!(1 <= layer.block && layer.block <= 5, "blocks are numbered 1 to 5");
    1 << (layer.block - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolutions_have_the_numbers_torchvision_gives_them() {
        let numbers = |architecture: Architecture| architecture.feature_numbers().collect::<Vec<_>>();
        assert_eq!(numbers(Architecture::Vgg16), [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]);
        assert_eq!(numbers(Architecture::Vgg19), [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]);
    }

    #[test]
    fn every_stage_reads_what_the_one_before_it_writes() {
        for architecture in Architecture::ALL {
            let (mut channels_so_far, mut halvings, mut convolutions) = (3, 0, 0);
            for stage in architecture.stages() {
                match *stage {
                    Stage::Pool => halvings += 1,
                    Stage::Convolution { index, in_channels, out_channels, name } => {
                        assert_eq!((index, in_channels), (convolutions, channels_so_far), "{architecture} {name}");
                        assert_eq!((channels(name), stride(name)), (out_channels, 1 << halvings), "{name}");
                        (channels_so_far, convolutions) = (out_channels, convolutions + 1);
                    }
                }
            }
            assert_eq!(halvings, 4);
        }
    }

    #[test]
    fn relu3_3_is_the_seventh_convolution() {
        for architecture in Architecture::ALL {
            let stages = architecture.stages_to(Layer::relu(3, 3)).unwrap();
            let last = Stage::Convolution { index: 6, in_channels: 256, out_channels: 256, name: Layer::relu(3, 3) };
            assert_eq!(stages.last(), Some(&last));
            assert_eq!(stages.len(), 9, "7 convolutions and 2 poolings");
        }
    }

    #[test]
    fn the_shallowest_layer_needs_one_stage_and_the_deepest_all() {
        for (architecture, deepest) in
            [(Architecture::Vgg16, Layer::relu(5, 3)), (Architecture::Vgg19, Layer::relu(5, 4))]
        {
            assert_eq!(architecture.stages_to(Layer::relu(1, 1)).unwrap().len(), 1);
            assert_eq!(architecture.stages_to(deepest).unwrap(), architecture.stages());
            assert_eq!(architecture.layers().max(), Some(deepest), "layers order by depth");
        }
    }

    #[test]
    fn a_layer_only_vgg19_has_is_refused_with_the_way_to_get_it() {
        for layer in [Layer::relu(3, 4), Layer::relu(4, 4), Layer::relu(5, 4)] {
            assert!(!Architecture::Vgg16.contains(layer) && Architecture::Vgg19.contains(layer));
            let message = Architecture::Vgg16.stages_to(layer).unwrap_err().to_string();
            assert!(message.contains(&layer.to_string()) && message.contains("--weights"), "{message}");
        }
        let message = Architecture::Vgg19.stages_to(Layer::relu(1, 3)).unwrap_err().to_string();
        assert!(message.contains("relu1_2"), "{message}");
    }

    #[test]
    fn every_layer_name_a_user_can_write_is_in_the_larger_network() {
        for block in 1..=5 {
            for index in 1..=4 {
                let layer = Layer::relu(block, index);
                assert_eq!(layer.to_string().parse::<Layer>().is_ok(), Architecture::Vgg19.contains(layer), "{layer}");
            }
        }
    }
}
