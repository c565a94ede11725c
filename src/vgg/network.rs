//! The forward pass: stages of the layer table, recorded on a tape.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Architecture, Stage, Weights};
use crate::autograd::{Tape, Value, Var};
use crate::config::{Border, Layer, Pooling};
use crate::error::Result;
use crate::kernels::conv::{Algorithm, Filter};
use crate::ops::{avg_pool2d, conv2d_relu, max_pool2d, normalize, pad_replicate};

/// Mean of ImageNet's pictures, sRGB in [0, 1]: what torchvision's weights were trained to have subtracted.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of ImageNet's pictures, likewise.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How the network is evaluated, apart from its weights.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Max- or average-pooling between blocks.
    pub pooling: Pooling,
    /// What the first convolution sees beyond the picture's edge.
    pub border: Border,
    /// The convolution algorithm, if not the one [`crate::kernels::conv::choose`] picks.
    pub algorithm: Option<Algorithm>,
}

/// VGG16 or VGG19 down to some layer, frozen.
#[derive(Debug)]
pub struct Vgg {
    stages: &'static [Stage],
    /// Weights and bias of each convolution, constants on every tape.
    convolutions: Vec<(Arc<Value>, Arc<Value>)>,
    options: Options,
}

impl Vgg {
    /// Takes the convolutions down to `deepest` out of `weights`.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) if the architecture has no such layer,
    /// [`Error::Weights`](crate::Error::Weights) if a tensor is unusable.
    pub fn new(weights: &Weights, deepest: Layer, options: Options) -> Result<Self> {
        let stages = weights.architecture().stages_to(deepest)?;
        let count = stages.iter().filter(|stage| matches!(stage, Stage::Convolution { .. })).count();
        let convolutions = (0..count).into_par_iter().map(|index| {
            let (weight, bias) = weights.convolution(index)?;
            let filter = Filter::new(weight, options.algorithm);
            Ok((Arc::new(Value::Filter(filter)), Arc::new(Value::Tensor(bias.into_dyn()))))
        });
        Ok(Vgg { stages, convolutions: convolutions.collect::<Result<_>>()?, options })
    }

    /// The stages that are evaluated.
    #[must_use]
    pub fn stages(&self) -> &'static [Stage] {
        self.stages
    }

    /// Records the network on a picture (H × W × 3, sRGB in [0, 1]).
    ///
    /// Calls `tap` with each ReLU's output as soon as it exists. What `tap` records there is differentiated
    /// right before that ReLU, so its gradient is added to the one that came from below, in the same buffer.
    pub fn forward<'p>(&self, tape: &mut Tape<'p>, picture: Var, mut tap: impl FnMut(&mut Tape<'p>, Layer, Var)) {
        let mut x = normalize(tape, picture, MEAN, STD);
        let mut padding = 1;
        if self.options.border == Border::Replicate {
            x = pad_replicate(tape, x);
            padding = 0;
        }
        for stage in self.stages {
            let before = x;
            x = match stage {
                Stage::Pool => match self.options.pooling {
                    Pooling::Max => max_pool2d(tape, x),
                    Pooling::Avg => avg_pool2d(tape, x),
                },
                Stage::Convolution { index, name, .. } => {
                    let (weight, bias) = &self.convolutions[*index];
                    let (w, b) = (tape.constant(weight.clone()), tape.constant(bias.clone()));
                    let y = conv2d_relu(tape, x, w, b, padding);
                    padding = 1;
                    tap(tape, *name, y);
                    y
                }
            };
            // Unless a loss or a pooling looks back at it, a map has done its work.
            tape.release(before);
        }
    }

    /// Bytes of every map that one evaluation on (height × width) keeps until it is differentiated.
    #[must_use]
    pub fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        let (mut height, mut width, mut channels) = (height, width, 3);
        let mut elements = height * width * channels;
        for stage in self.stages {
            match stage {
                Stage::Pool => (height, width) = (height / 2, width / 2),
                Stage::Convolution { out_channels, .. } => channels = *out_channels,
            }
            elements += height * width * channels;
        }
        4 * elements as u64
    }
}

impl Architecture {
    /// Bytes of the convolutions' weights down to `stages`, as `f32`.
    #[must_use]
    pub fn weight_bytes(stages: &[Stage]) -> u64 {
        let elements = stages.iter().map(|stage| match stage {
            Stage::Pool => 0,
            Stage::Convolution { in_channels, out_channels, .. } => 9 * in_channels * out_channels,
        });
        4 * elements.sum::<usize>() as u64
    }
}
