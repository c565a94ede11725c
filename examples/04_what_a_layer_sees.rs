//! What a layer sees: its strongest feature maps as pictures.
//!
//! `cargo run --release --example 04_what_a_layer_sees` shows the astronaut to VGG16 and writes `layers.png`: a row for
//! each of four layers, the photograph and the four channels with the largest mean, each map from 0 (black) to its own
//! maximum (white), with roots taken so that small answers can be seen. Another file:
//! `… --example 04_what_a_layer_sees -- FILE`.

use impasto::Picture;
use impasto::autograd::{Tape, Value};
use impasto::config::DEFAULT_MAX_PIXELS;
use impasto::picture;
use impasto::tensor::{BufferPool, Dtype, FeatureMap};
use impasto::vgg::{Border, Layer, Pooling, Vgg, VggOptions, Weights};
use ndarray::{Array3, s};

/// Pixels of each little picture, along each side.
const SIDE: usize = 72;

/// Channels that are shown.
const SHOWN: usize = 4;

/// One channel of a map, enlarged without smoothing: a square is one pixel of the map.
fn seen(map: &FeatureMap, channel: usize) -> Picture {
    let (height, width, _) = map.dim();
    let most = map.as_matrix().column(channel).iter().fold(f32::MIN_POSITIVE, |most, &f| most.max(f));
    Picture::from_rgb(Array3::from_shape_fn((SIDE, SIDE, 3), |(i, j, _)| {
        (map.view()[[i * height / SIDE, j * width / SIDE, channel]] / most).sqrt()
    }))
}

fn main() -> impasto::Result<()> {
    let layers = [Layer::relu(1, 1), Layer::relu(2, 1), Layer::relu(3, 1), Layer::relu(4, 1)];
    let options = VggOptions { pooling: Pooling::Max, border: Border::Zero, dtype: Dtype::F32, algorithm: None };
    let vgg = Vgg::new(&Weights::embedded()?, layers[3], options)?;
    let photograph = picture::load("samples/astronaut.jpg".as_ref(), DEFAULT_MAX_PIXELS)?.resize(192, 192);

    let mut pool = BufferPool::new();
    let mut tape = Tape::new(&mut pool);
    let x = tape.constant(Value::Map(FeatureMap::from_array(photograph.rgb.clone())).into());
    let mut rows = Vec::new();
    vgg.forward(&mut tape, x, |tape, layer, features| {
        if !layers.contains(&layer) {
            return;
        }
        let map = tape.map(features);
        let (height, width, channels) = map.dim();
        let zeros = map.as_slice().iter().filter(|&&f| f == 0.0).count();
        let share = 100.0 * zeros as f64 / map.as_slice().len() as f64;
        let means = map.as_matrix().mean_axis(ndarray::Axis(0)).expect("a map has pixels");
        let mut strongest: Vec<usize> = (0..channels).collect();
        strongest.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
        strongest.truncate(SHOWN);
        println!("{layer}  {height} × {width} × {channels}, {share:.0} % zeros, channels {strongest:?}");
        let maps = strongest.iter().map(|&channel| seen(map, channel));
        rows.push(picture::row(&std::iter::once(photograph.resize(SIDE, SIDE)).chain(maps).collect::<Vec<_>>(), 4));
    });

    let mut sheet = Array3::ones((rows.len() * (SIDE + 4) - 4, rows[0].width(), 3));
    for (index, row) in rows.iter().enumerate() {
        let top = index * (SIDE + 4);
        sheet.slice_mut(s![top..top + SIDE, .., ..]).assign(&row.rgb);
    }
    let file = std::env::args().nth(1).unwrap_or_else(|| "layers.png".into());
    picture::save(&Picture::from_rgb(sheet), file.as_ref(), &Default::default())
}
