//! The Gram matrix of a picture: what the network means by style.
//!
//! `cargo run --release --example 05_gram` shows a painting to VGG16, takes the
//! features F at one layer (a row a pixel, a column a channel), and prints which
//! channels fire together: G = FᵀF knows how often two features meet, and has
//! forgotten where.

use impasto::autograd::{Tape, Value};
use impasto::config::DEFAULT_MAX_PIXELS;
use impasto::ops::gram;
use impasto::picture;
use impasto::tensor::{BufferPool, Dtype, FeatureMap};
use impasto::vgg::{Border, Layer, Pooling, Vgg, VggOptions, Weights};

fn main() -> impasto::Result<()> {
    let layer = Layer::relu(2, 1);
    let options = VggOptions { pooling: Pooling::Max, border: Border::Zero, dtype: Dtype::F32, algorithm: None };
    let vgg = Vgg::new(&Weights::embedded()?, layer, options)?;

    let file = "samples/village-street-in-auvers.jpg";
    let painting = picture::load(file.as_ref(), DEFAULT_MAX_PIXELS)?;
    let (height, width) = picture::fit(256, painting.height(), painting.width());
    let painting = painting.resize(height, width);

    let mut pool = BufferPool::new();
    let mut tape = Tape::new(&mut pool);
    let x = tape.constant(Value::Map(FeatureMap::from_array(painting.rgb)).into());
    let mut found = None;
    vgg.forward(&mut tape, x, |tape, name, features| {
        if name == layer {
            found = Some((tape.map(features).dim(), gram(tape, features)));
        }
    });
    let ((h, w, n), g) = found.expect("the network was built down to this layer");
    let g = tape.tensor(g);

    println!("picture   {height} × {width} × 3");
    println!("{layer}   F: {h} × {w} × {n}, as a matrix {} × {n}", h * w);
    println!("Gram      G = FᵀF: {:?}", g.shape());
    let asymmetry = (0..n * n).map(|k| (g[[k / n, k % n]] - g[[k % n, k / n]]).abs()).fold(0.0, f32::max);
    println!("symmetric: max |G_ij − G_ji| = {asymmetry}\n");

    // Divided by how strong each channel is alone, a cosine: 1 if two channels always fire together.
    let mut pairs: Vec<(f32, usize, usize)> = (0..n)
        .flat_map(|i| (0..i).map(move |j| (j, i)))
        .filter(|&(i, j)| g[[i, i]] > 0.0 && g[[j, j]] > 0.0)
        .map(|(i, j)| (g[[i, j]] / (g[[i, i]] * g[[j, j]]).sqrt(), i, j))
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let print = |heading: &str, pairs: &mut dyn Iterator<Item = &(f32, usize, usize)>| {
        println!("{heading}");
        pairs.for_each(|(cosine, i, j)| println!("  channels {i:3} and {j:3}: {cosine:.3}"));
    };
    print("fire together", &mut pairs.iter().take(5));
    print("hardly ever do", &mut pairs.iter().rev().take(5));
    Ok(())
}
