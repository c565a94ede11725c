//! The forward pass: stages of the layer table, recorded on a tape.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Layer, Stage, Weights};
use crate::autograd::{Tape, Value, Var};
use crate::error::Result;
use crate::kernels::conv::{self, Algorithm, Choice, Cpu, Filter, Scratch, Shape};
use crate::kernels::pooling::Choices;
use crate::ops::{
    avg_pool2d, conv2d_relu, l2_pool2d, max_pool2d, normalize, pad_replicate, pad_wrap, scaled_avg_pool2d,
};
use crate::tensor::Dtype;

// ANCHOR: normalize
/// Mean of ImageNet's pictures, sRGB in [0, 1]: what torchvision's weights were trained to have subtracted.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of ImageNet's pictures, likewise.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];
// ANCHOR_END: normalize

/// What a convolution sees beyond the edge of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Border {
    /// Zeros, as the network was trained.
    Zero,
    /// The edge pixel repeated, on the first convolution only: no dark rim.
    Replicate,
    /// The opposite side, on every convolution: copies of the picture join without a seam. Exact where the sides are
    /// multiples of what the layers halve, [`SEAMLESS`](super::SEAMLESS).
    Wrap,
}

/// How the network halves its maps.
///
/// A mean is smaller than a maximum, and after four poolings much smaller. The last two are rescaled so that features
/// keep about the size that maxima give them, with which the network was trained: factors 2 and 0.78, as in K.
/// Crowson's style-transfer-pytorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The largest of four, as the network was trained.
    Max,
    /// The plain mean of four, as in the papers (Gatys et al. 2015 found it smoother).
    Avg,
    /// Twice the mean of four.
    Avg2,
    /// The root of the sum of four squares, times 0.78.
    L2,
}

/// How the network is evaluated, apart from its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VggOptions {
    /// What stands between blocks.
    pub pooling: Pooling,
    /// What the first convolution sees beyond the picture's edge.
    pub border: Border,
    /// What the maps between the layers are stored in. Sums are in `f32`, as is the picture.
    pub dtype: Dtype,
    /// The convolution algorithm, if not the one [`crate::kernels::conv::choose`] picks.
    pub algorithm: Option<Algorithm>,
}

/// VGG16 or VGG19 down to some layer, frozen.
#[derive(Debug)]
pub struct Vgg {
    stages: &'static [Stage],
    /// Weights and bias of each convolution, constants on every tape.
    convolutions: Vec<(Arc<Value>, Arc<Value>)>,
    options: VggOptions,
}

impl Vgg {
    /// Takes the convolutions down to `deepest` out of `weights`, for this CPU.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) if the architecture has no such layer,
    /// [`Error::Weights`](crate::Error::Weights) if a tensor is unusable.
    pub fn new(weights: &Weights, deepest: Layer, options: VggOptions) -> Result<Self> {
        let stages = weights.architecture().stages_to(deepest)?;
        Self::planned(weights, &choices(stages, options.dtype, Cpu::detect(), options.algorithm), options)
    }

    /// Takes the convolutions down to the last one of `choices` out of `weights`, packed as is chosen there.
    ///
    /// # Errors
    /// As [`Vgg::new`].
    ///
    /// # Panics
    /// If the choices are not those of the network's first convolutions.
    pub fn planned(weights: &Weights, choices: &[(Layer, Choice)], options: VggOptions) -> Result<Self> {
        let stages = match choices.last() {
            Some((deepest, _)) => weights.architecture().stages_to(*deepest)?,
            None => &[],
        };
        assert!(stages.iter().filter_map(Stage::name).eq(choices.iter().map(|(name, _)| *name)), "one choice each");
        let convolutions = choices.par_iter().enumerate().map(|(index, (_, choice))| {
            let (weight, bias) = weights.convolution(index)?;
            let filter = Filter::frozen(weight, *choice);
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
    /// Calls `tap` with each ReLU's output once the next stage has read it. Walking back, what `tap` recorded there is
    /// then differentiated before that stage: a loss that is the last to look at the output can write its gradient over
    /// it, and the stage's is added to that, in the same buffer.
    ///
    /// Returns early when the tape is cancelled.
    pub fn forward<'p>(&self, tape: &mut Tape<'p>, picture: Var, tap: impl FnMut(&mut Tape<'p>, Layer, Var)) {
        self.forward_with(self.options.border, tape, picture, tap);
    }

    /// The same of a model, a picture that is only looked at: it has edges, although what is made like it may have none.
    pub fn forward_model<'p>(&self, tape: &mut Tape<'p>, picture: Var, tap: impl FnMut(&mut Tape<'p>, Layer, Var)) {
        let border = if self.options.border == Border::Wrap { Border::Replicate } else { self.options.border };
        self.forward_with(border, tape, picture, tap);
    }

    fn forward_with<'p>(
        &self,
        border: Border,
        tape: &mut Tape<'p>,
        picture: Var,
        mut tap: impl FnMut(&mut Tape<'p>, Layer, Var),
    ) {
        let mut x = normalize(tape, picture, MEAN, STD);
        let mut padding = 1;
        if border == Border::Replicate {
            x = pad_replicate(tape, x);
            padding = 0;
        }
        let mut waiting = None;
        for stage in self.stages {
            if tape.is_cancelled() {
                return;
            }
            let (before, name) = (x, waiting.take());
            x = match stage {
                Stage::Pool => match self.options.pooling {
                    Pooling::Max => max_pool2d(tape, x),
                    Pooling::Avg => avg_pool2d(tape, x),
                    Pooling::Avg2 => scaled_avg_pool2d(tape, x, 2.0),
                    Pooling::L2 => l2_pool2d(tape, x),
                },
                Stage::Convolution { index, name, .. } => {
                    let (weight, bias) = &self.convolutions[*index];
                    let (w, b) = (tape.constant(weight.clone()), tape.constant(bias.clone()));
                    let y = if border == Border::Wrap {
                        let padded = pad_wrap(tape, x);
                        let y = conv2d_relu(tape, padded, w, b, 0, self.options.dtype);
                        tape.release(padded);
                        y
                    } else {
                        conv2d_relu(tape, x, w, b, padding, self.options.dtype)
                    };
                    padding = 1;
                    waiting = Some(*name);
                    tape.label(w, format_args!("weights of {name}"));
                    tape.label(b, format_args!("bias of {name}"));
                    tape.label(y, name);
                    y
                }
            };
            if let Some(name) = name {
                tap(tape, name, before);
            }
            // Unless a loss looks back at it, a map has done its work.
            tape.release(before);
        }
        if let Some(name) = waiting {
            tap(tape, name, x);
        }
    }

    /// Filters and bias of a convolution, by its position among them.
    pub(super) fn convolution(&self, index: usize) -> (&Filter, &[f32]) {
        let (weight, bias) = &self.convolutions[index];
        match &**weight {
            Value::Filter(filter) => (filter, bias.as_slice()),
            other => unreachable!("filters are no {:?}", other.shape()),
        }
    }

    /// Filters and bias of the first convolution, as constants of a tape.
    #[must_use]
    pub fn first(&self) -> (Arc<Value>, Arc<Value>) {
        self.convolutions[0].clone()
    }

    /// How it is evaluated.
    #[must_use]
    pub fn options(&self) -> &VggOptions {
        &self.options
    }

    /// What the maps between the layers are stored in.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.options.dtype
    }
}

/// How each convolution of some stages is computed, in the network's order.
#[must_use]
pub fn choices(stages: &[Stage], dtype: Dtype, cpu: Cpu, requested: Option<Algorithm>) -> Vec<(Layer, Choice)> {
    let choice = |stage: &Stage| match *stage {
        Stage::Convolution { in_channels, out_channels, name, .. } => {
            Some((name, Choice::new((out_channels, in_channels), dtype, cpu, requested)))
        }
        Stage::Pool => None,
    };
    stages.iter().filter_map(choice).collect()
}

/// Bytes of the maps that one evaluation and its gradient hold at their fullest, `looked_at` being the layers that
/// losses compare: those are kept until their gradients are written over them, a bit of every convolution's outputs
/// and two of every max-pooling's, and what the stage that is being computed reads and writes. What a root of squares
/// is taken of is kept in the same way; where a loss compares it, its gradient comes beside it, and counts from the
/// beginning: what smaller maps give back is in parts too small for it.
#[must_use]
pub fn map_bytes(
    stages: &[Stage],
    options: &VggOptions,
    mut height: usize,
    mut width: usize,
    looked_at: impl Fn(Layer) -> bool,
) -> u64 {
    let mut channels = 3;
    // What stays to the end; the map before, unless it does; the fullest moment.
    let (mut kept, mut before, mut fullest) = (0, 0, 0);
    for stage in stages {
        let mut padded = 0;
        let (bits, stays) = match stage {
            Stage::Pool => {
                if options.pooling == Pooling::L2 {
                    let looked_at = before == 0;
                    kept += if looked_at { options.dtype.bytes() * height * width * channels } else { before };
                    before = 0;
                }
                (height, width) = (height / 2, width / 2);
                let choices = height * width * Choices::pixel_bytes(channels);
                (if options.pooling == Pooling::Max { choices } else { 0 }, false)
            }
            Stage::Convolution { in_channels, out_channels, name, .. } => {
                channels = *out_channels;
                if options.border == Border::Wrap {
                    padded = options.dtype.bytes() * (height + 2) * (width + 2) * in_channels;
                }
                (height * width * channels / 8, looked_at(*name))
            }
        };
        let bytes = options.dtype.bytes() * height * width * channels;
        kept += bits;
        fullest = fullest.max(kept + before + bytes + padded);
        (kept, before) = if stays { (kept + bytes, 0) } else { (kept, bytes) };
    }
    fullest as u64
}

/// Scratch memory of the convolutions of some stages, forth and back, with so many threads.
#[must_use]
pub fn scratch(
    stages: &[Stage],
    convolutions: &[(Layer, Choice)],
    (mut height, mut width): (usize, usize),
    threads: usize,
) -> Scratch {
    let (mut most, mut choices) = (Scratch::default(), convolutions.iter());
    for stage in stages {
        match *stage {
            Stage::Pool => (height, width) = (height / 2, width / 2),
            Stage::Convolution { in_channels, out_channels, .. } => {
                let shape = Shape::new((height, width), in_channels, out_channels, 1);
                let (_, choice) = choices.next().expect("a choice for each convolution");
                most = most.max(conv::scratch(choice.forward, &shape, threads));
                most = most.max(conv::scratch(choice.backward_input, &shape.reversed(), threads));
            }
        }
    }
    most
}

/// Bytes of the weights: transformed to four times their number for each direction, or for both where they are many.
#[must_use]
pub fn weight_bytes(stages: &[Stage]) -> u64 {
    let bytes = stages.iter().map(|stage| match stage {
        Stage::Convolution { in_channels, out_channels, .. } => {
            let copies = if in_channels.min(out_channels) >= &256 { 1 } else { 2 };
            4 * 9 * in_channels * out_channels * 4 * copies
        }
        Stage::Pool => 0,
    });
    bytes.sum::<usize>() as u64
}
