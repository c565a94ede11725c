//! What the network sees: every layer's feature maps of three pictures, small, and what excites each channel most.

use std::sync::Arc;

use half::bf16;
use rayon::prelude::*;

use super::report::{Features, Layer as Told, OfThree, Patch, Sprites};
use super::{Seen, images};
use crate::autograd::{Tape, Value};
use crate::kernels::resample::Resample;
use crate::kernels::simd::element::convert;
use crate::tensor::{BufferPool, Dtype, FeatureMap};
use crate::vgg::layers::stride;
use crate::vgg::{Layer, Stage, Vgg};

/// Pixels of all of a layer's maps of one picture on the page: where there are many channels, each is smaller.
const PIXELS: usize = 3 << 16;

/// Maps in a row of their picture.
const COLUMNS: usize = 16;

/// Squares of the style picture for each channel.
const PATCHES: usize = 4;

/// The second section.
pub(super) fn features(seen: &Seen<'_>, point: &FeatureMap) -> Features {
    let stages = seen.viewer.vgg().stages();
    let content = look(seen.viewer.vgg(), &seen.content(), |_, map| Small::of(&map));
    let result = look(seen.viewer.vgg(), point, |_, map| Small::of(&map));
    let picture = seen.style();
    let size = (picture.height(), picture.width());
    let style = look(seen.viewer.vgg(), &picture, |layer, map| {
        let patches = patches(&map, layer, receptive_field(stages, layer), size);
        (Small::of(&map), patches)
    });
    let layers = content.into_iter().zip(style).zip(result);
    let layers = layers.map(|(((layer, content), (_, (style, patches))), (_, result))| {
        let (height, width, channels) = result.dim;
        let of = [&content, &style, &result];
        let most: Vec<f32> = (0..channels).map(|c| of.iter().map(|small| small.most[c]).fold(0.0, f32::max)).collect();
        let mut strongest: Vec<usize> = (0..channels).collect();
        let mean = |c: usize| of.iter().map(|small| small.mean[c]).sum::<f32>();
        strongest.sort_by(|&a, &b| mean(b).total_cmp(&mean(a)));
        Told {
            name: layer.to_string(),
            height,
            width,
            channels,
            stride: stride(layer),
            receptive_field: receptive_field(stages, layer),
            zeros: OfThree { content: content.zeros, style: style.zeros, result: result.zeros },
            maps: OfThree {
                content: content.sprites(&most),
                style: style.sprites(&most),
                result: result.sprites(&most),
            },
            most,
            strongest,
            patches,
        }
    });
    Features { layers: layers.collect() }
}

/// What `see` makes of every layer's features, in `f32`.
pub(super) fn look<T>(vgg: &Vgg, picture: &FeatureMap, mut see: impl FnMut(Layer, FeatureMap) -> T) -> Vec<(Layer, T)> {
    let mut pool = BufferPool::new();
    let mut tape = Tape::new(&mut pool);
    let picture = tape.constant(Arc::new(Value::Map(picture.clone())));
    let mut all = Vec::new();
    vgg.forward(&mut tape, picture, |tape, layer, features| {
        let map = match tape.dtype(features) {
            Dtype::F32 => tape.map(features).clone(),
            Dtype::Bf16 => convert(tape.map_of::<bf16>(features)),
        };
        all.push((layer, see(layer, map)));
    });
    all
}

/// A layer's maps as the page has them.
struct Small {
    dim: (usize, usize, usize),
    small: FeatureMap,
    most: Vec<f32>,
    mean: Vec<f32>,
    zeros: f64,
}

impl Small {
    fn of(map: &FeatureMap) -> Self {
        let (height, width, channels) = map.dim();
        let factor = (PIXELS as f64 / (height * width * channels) as f64).sqrt().min(1.0);
        let size = [height, width].map(|side| ((factor * side as f64) as usize).max(1));
        let size = (size[0], size[1]);
        let mut small = FeatureMap::zeros(size.0, size.1, channels);
        Resample::area((height, width), size, channels).apply(map.as_slice(), small.as_mut_slice());
        let (mut most, mut sums, mut zeros) = (vec![0f32; channels], vec![0f64; channels], 0usize);
        for pixel in map.as_slice().chunks_exact(channels) {
            for ((most, sum), &value) in most.iter_mut().zip(&mut sums).zip(pixel) {
                *most = most.max(value);
                *sum += f64::from(value);
                zeros += usize::from(value == 0.0);
            }
        }
        let pixels = (height * width) as f64;
        let mean = sums.iter().map(|sum| (sum / pixels) as f32).collect();
        Small { dim: map.dim(), small, most, mean, zeros: zeros as f64 / (pixels * channels as f64) }
    }

    /// One beside another, each with its channel's scale.
    fn sprites(&self, most: &[f32]) -> Sprites {
        let (height, width, channels) = self.small.dim();
        let rows = channels.div_ceil(COLUMNS);
        let values = (0..rows * height).flat_map(|y| (0..COLUMNS * width).map(move |x| (y, x))).map(|(y, x)| {
            let channel = y / height * COLUMNS + x / width;
            match most.get(channel) {
                Some(&most) if most > 0.0 => {
                    self.small.as_slice()[((y % height) * width + x % width) * channels + channel] / most
                }
                _ => 0.0,
            }
        });
        let image = images::grey(COLUMNS * width, rows * height, values, 1.0);
        Sprites { image, columns: COLUMNS, width, height }
    }
}

/// The side of the square of the picture that one value of a layer depends on: every convolution adds a step of its map on
/// each side, every pooling one more on one of them.
fn receptive_field(stages: &[Stage], layer: Layer) -> usize {
    let (mut side, mut step) = (1, 1);
    for stage in stages {
        match stage {
            Stage::Pool => (side, step) = (side + step, 2 * step),
            Stage::Convolution { .. } => side += 2 * step,
        }
        if stage.name() == Some(layer) {
            break;
        }
    }
    side
}

/// For each channel the squares of the style picture of (H, W) where it is largest, no two of them at one place.
fn patches(map: &FeatureMap, layer: Layer, side: usize, (height, width): (usize, usize)) -> Vec<Vec<Patch>> {
    let (stride, columns, channels) = (stride(layer), map.width(), map.channels());
    let square = |index: usize, value| {
        // Half a field around the middle of what the value stands for.
        let around = |middle: usize, end: usize| {
            let first = (middle + 1).saturating_sub(side.div_ceil(2));
            (first, (middle + 1 + side / 2).min(end) - first)
        };
        let (y, height) = around((index / columns) * stride + stride / 2, height);
        let (x, width) = around((index % columns) * stride + stride / 2, width);
        Patch { x, y, width, height, value }
    };
    // No nearer to each other than half a field.
    let apart = (side / stride / 2).max(1);
    let of = |channel: usize| {
        let value = |index: usize| map.as_slice()[index * channels + channel];
        let mut places: Vec<usize> = Vec::new();
        while places.len() < PATCHES {
            let free = (0..map.pixels()).filter(|&index| {
                value(index) > 0.0
                    && places.iter().all(|&place| {
                        (place / columns).abs_diff(index / columns) >= apart
                            || (place % columns).abs_diff(index % columns) >= apart
                    })
            });
            match free.max_by(|&a, &b| value(a).total_cmp(&value(b)).then(b.cmp(&a))) {
                Some(index) => places.push(index),
                None => break,
            }
        }
        places.into_iter().map(|index| square(index, value(index))).collect()
    };
    (0..channels).into_par_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vgg::Architecture;

    #[test]
    fn receptive_fields_are_those_of_the_literature() {
        let stages = Architecture::Vgg16.stages();
        let of = |block, position| receptive_field(stages, Layer::relu(block, position));
        assert_eq!([of(1, 1), of(1, 2), of(2, 1), of(2, 2), of(3, 1)], [3, 5, 10, 14, 24]);
        assert_eq!([of(3, 3), of(4, 1), of(4, 3), of(5, 1), of(5, 3)], [40, 60, 92, 132, 196]);
    }

    #[test]
    fn patches_are_where_a_channel_is_largest_and_not_at_one_place() {
        let mut map = FeatureMap::zeros(6, 8, 2);
        for (y, x, value) in [(0, 0, 3.0), (0, 1, 2.9), (5, 7, 2.0), (3, 3, 1.0)] {
            map.as_mut_slice()[(y * 8 + x) * 2 + 1] = value;
        }
        let found = patches(&map, Layer::relu(1, 2), 5, (6, 8));
        assert!(found[0].is_empty(), "a channel that is silent");
        let places: Vec<_> = found[1].iter().map(|p| (p.x, p.y, p.width, p.height, p.value)).collect();
        assert_eq!(places, [(0, 0, 3, 3, 3.0), (5, 3, 3, 3, 2.0), (1, 1, 5, 5, 1.0)]);
    }

    #[test]
    fn maps_become_one_picture_on_their_channels_scale() {
        let map = FeatureMap::from_vec(1, 2, 3, vec![1.0, 0.0, 4.0, 3.0, 0.0, 2.0]);
        let small = Small::of(&map);
        assert_eq!((&small.most[..], &small.mean[..]), (&[3.0, 0.0, 4.0][..], &[2.0, 0.0, 3.0][..]));
        assert!((small.zeros - 1.0 / 3.0).abs() < 1e-12);
        let sprites = small.sprites(&[3.0, 0.0, 8.0]);
        assert_eq!((sprites.image.width, sprites.image.height, sprites.columns), (2 * COLUMNS, 1, COLUMNS));
    }
}
