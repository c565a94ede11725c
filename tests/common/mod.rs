//! What the integration tests and the benchmarks share: inputs, distances, and
//! the files of `tests/data/pytorch`.

// Every test binary compiles this module and uses its own part of it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use impasto::autograd::Value;
use impasto::kernels::conv::{Algorithm, Cpu, Filter};
use impasto::tensor::{Dtype, FeatureMap};
use impasto::vgg::network::choices;
use impasto::vgg::{Architecture, Border, Layer, Pooling, Vgg, VggOptions, Weights};
use ndarray::{Array1, Array4, ArrayD};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// ImageNet's VGG16, from the repository's file, so that a build without embedded weights is tested as well.
pub fn weights_file() -> PathBuf {
    repository("weights/vgg16-imagenet.safetensors")
}

/// VGG16 down to `deepest`, zeros beyond the edge, computed by `algorithm`, or as the program chooses.
pub fn vgg16(deepest: Layer, pooling: Pooling, algorithm: Option<Algorithm>) -> Vgg {
    vgg16_in(Dtype::F32, deepest, pooling, algorithm)
}

/// [`vgg16`] with maps of some type.
pub fn vgg16_in(dtype: Dtype, deepest: Layer, pooling: Pooling, algorithm: Option<Algorithm>) -> Vgg {
    let weights = Weights::open(weights_file()).unwrap();
    Vgg::new(&weights, deepest, VggOptions { pooling, border: Border::Zero, dtype, algorithm }).unwrap()
}

/// Every algorithm that this machine has: all but the oracle, which takes too long, and those whose unit is not there.
pub fn fast_algorithms() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(|&algorithm| algorithm != Algorithm::Reference && algorithm.available())
}

/// How many times the error of im2col an algorithm may have where it sums so many products: those of matrices are summed
/// in blocks of 256, the blocks after that.
pub fn looseness(algorithm: Algorithm, products: usize) -> f64 {
    match algorithm {
        Algorithm::Reference | Algorithm::Im2col => 1.0,
        // One running sum: independent errors grow with the root of their number.
        Algorithm::Direct => (products as f64 / (256.0 + products as f64 / 256.0)).sqrt().max(1.0),
        // In random maps of 512 channels F(4×4) has a relative RMS error of 1.9e-6 where a direct sum has 8e-7;
        // its largest errors, which are what is compared here, stand out further,
        // and where multiply and add round separately they are larger. Four bits in all.
        Algorithm::Winograd => 16.0,
        // 3.8e-6 and 1.9e-3 in the same maps, twice and a thousand times Winograd's.
        Algorithm::AmxSplit => 32.0,
        Algorithm::AmxBf16 => 16_000.0,
    }
}

/// How many times the error of a network with im2col in every layer another may have: that of its loosest layer.
/// `requested` is the algorithm of all layers; without one, they are those that the program takes.
pub fn network_looseness(requested: Option<Algorithm>) -> f64 {
    let largest_sum = 9 * 512;
    chosen(requested).map(|algorithm| looseness(algorithm, largest_sum)).fold(0.0, f64::max)
}

/// The algorithms of VGG's layers in `f32`, each forward and backward.
pub fn chosen(requested: Option<Algorithm>) -> impl Iterator<Item = Algorithm> {
    let choices = choices(Architecture::Vgg19.stages(), Dtype::F32, Cpu::detect(), requested);
    choices.into_iter().flat_map(|(_, choice)| [choice.forward, choice.backward_input])
}

/// Numbers uniform in [−1, 1].
pub fn random(length: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..length).map(|_| rng.random_range(-1.0..=1.0)).collect()
}

/// A map of such numbers.
pub fn random_map(height: usize, width: usize, channels: usize, seed: u64) -> FeatureMap {
    FeatureMap::from_vec(height, width, channels, random(height * width * channels, seed))
}

/// Weights (out × in × 3 × 3) of such numbers.
pub fn random_weight(out: usize, input: usize, seed: u64) -> Array4<f32> {
    Array4::from_shape_vec((out, input, 3, 3), random(9 * out * input, seed)).unwrap()
}

/// A map full of NaN: whatever an operation reads of it, or leaves of it, shows.
pub fn dirty_map((height, width, channels): (usize, usize, usize)) -> FeatureMap {
    FeatureMap::from_vec(height, width, channels, vec![f32::NAN; height * width * channels])
}

/// The root mean square of some numbers.
pub fn rms(numbers: &[f32]) -> f64 {
    (numbers.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / numbers.len() as f64).sqrt()
}

/// The root mean square of a − b relative to that of b; NaN if either holds one.
pub fn relative_rms(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "as many numbers as expected");
    let squares = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f(f64::from(a), f64::from(b)).powi(2)).sum()
    };
    let (difference, reference) = (squares(&|a, b| a - b), squares(&|_, b| b));
    if difference == 0.0 { 0.0 } else { (difference / reference).sqrt() }
}

/// How far a number may be from its reference: `atol + rtol·|reference|`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// What rounding of cancelled terms leaves however small the result is.
    pub atol: f64,
    /// Rounding in proportion to the result.
    pub rtol: f64,
}

impl Tolerance {
    /// So many times as far.
    pub fn times(self, factor: f64) -> Self {
        Tolerance { atol: factor * self.atol, rtol: factor * self.rtol }
    }

    /// The part of the tolerance that is used up; above 1 is too far, and so is a NaN.
    fn used(self, number: f64, reference: f64) -> f64 {
        let difference = (number - reference).abs();
        let used = if difference == 0.0 { 0.0 } else { difference / (self.atol + self.rtol * reference.abs()) };
        if used.is_nan() { f64::INFINITY } else { used }
    }

    /// Fails unless every number is as near to its reference as it should be; says by how much it is.
    pub fn check(self, what: &str, numbers: &[f32], references: &[f32]) {
        assert_eq!(numbers.len(), references.len(), "{what}: as many numbers as expected");
        let pairs = numbers.iter().zip(references).enumerate();
        let used = pairs.map(|(at, (&n, &r))| (self.used(f64::from(n), f64::from(r)), at, n, r));
        let Some((worst, at, number, reference)) = used.max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
        println!("{what}: {:.0} % of its tolerance", 100.0 * worst);
        assert!(worst <= 1.0, "{what}: element {at} is {number}, not {reference}: {worst:.2} of {self:?}");
    }

    /// [`Tolerance::check`] of one number.
    pub fn check_scalar(self, what: &str, number: f64, reference: f64) {
        let used = self.used(number, reference);
        println!("{what}: {:.0} % of its tolerance", 100.0 * used);
        assert!(used <= 1.0, "{what}: {number} is not {reference}: {used:.2} of {self:?}");
    }
}

/// The tensors of one file of `tests/data/pytorch`.
pub struct Fixtures(Vec<u8>);

impl Fixtures {
    /// `tests/data/pytorch/{name}.safetensors`.
    pub fn open(name: &str) -> Self {
        let path = repository("tests/data/pytorch").join(name).with_extension("safetensors");
        Fixtures(fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> ArrayD<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
        let values = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        ArrayD::from_shape_vec(view.shape(), values).unwrap()
    }

    /// A tensor (H × W × C).
    pub fn map(&self, name: &str) -> FeatureMap {
        FeatureMap::from_array(self.tensor(name).into_dimensionality().unwrap())
    }

    /// A tensor (out × in × 3 × 3), as a filter for `algorithm`.
    pub fn filter(&self, name: &str, algorithm: Option<Algorithm>) -> Value {
        Value::Filter(Filter::new(self.tensor(name).into_dimensionality().unwrap(), algorithm))
    }

    /// The elements of a tensor.
    pub fn elements(&self, name: &str) -> Vec<f32> {
        self.tensor(name).into_iter().collect()
    }
}

/// `tests/data/pytorch/{name}.json`: how the files of that name were made, and every scalar.
pub fn document(name: &str) -> serde_json::Value {
    let path = repository("tests/data/pytorch").join(name).with_extension("json");
    let file = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&file).unwrap()
}

/// `fixtures.json`, with the cases of each op.
pub fn fixtures() -> serde_json::Value {
    document("fixtures")
}

/// A bias of zeros.
pub fn no_bias(channels: usize) -> Array1<f32> {
    Array1::zeros(channels)
}

/// Waves of some length and colour.
pub fn waves(height: usize, width: usize, length: f32, colour: [f32; 3]) -> impasto::Picture {
    let value = |(y, x, c): (usize, usize, usize)| {
        let phase = (x as f32 + 0.6 * y as f32 + 2.0 * c as f32) / length;
        colour[c] + 0.2 * phase.sin() + 0.05 * (0.7 * y as f32).cos()
    };
    impasto::Picture::from_rgb(ndarray::Array3::from_shape_fn((height, width, 3), value))
}

/// Fine red strokes, and broad blue ones.
pub fn paintings() -> [impasto::Picture; 2] {
    [waves(44, 36, 1.5, [0.7, 0.4, 0.3]), waves(37, 61, 5.0, [0.3, 0.4, 0.7])]
}
