//! What style is said to be: a measure of features, and a distance between measures.
//!
//! ```text
//!   features F ──measure──▶ sums over pixels ──finish──▶ means, covariances ──distance──▶ a number
//!   M × N                   ΣFᵀF, ΣF                     of the picture and the style
//!                    additive: over strips,        few numbers, whatever the picture's size:
//!                    over masks' weights           value and gradient at once, all layers side by side
//! ```
//!
//! The measure is recorded while the network runs; it is all of a map that style needs, and a sum over pixels, so
//! parts of a picture can be measured apart and added up. The distance is a function of a few thousand numbers. It
//! says what it is and where its gradient points in one go, in `f64`: matrix roots and differences of means and
//! squares cancel.
//!
//! A new statistic is a file beside these, which implements [`Target`], and a line in the list below.

mod activation;
mod covariance;
mod gram;
mod mean_std;
mod moments;
mod transport;
mod wasserstein;

use ndarray::{Array2, ArrayD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::autograd::{Tape, Var};
use crate::ops;
use crate::state::{Found, Saved};
use moments::Moments;

/// Which statistic of a layer's features is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// Gram matrices, as the paper has it.
    Gram,
    /// Gram matrices, as most programs have it.
    GramMean,
    /// Gram matrices by their relative error.
    GramRelative,
    /// Means and covariances, by what it costs to move one distribution onto the other.
    Wasserstein,
    /// Means, and covariances by their relative error.
    Covariance,
    /// Each channel's mean and deviation.
    MeanStd,
    /// No comparison: how lively the layer is, or one of its channels, which is to grow.
    Activation(Option<u16>),
}

// ANCHOR: target
/// A statistic of one layer of the style picture, and the distance of other features to it.
pub trait Target: Send {
    /// What the distance is a function of, for a map of M pixels and N channels.
    fn measure(&self, pixels: usize, channels: usize) -> Measure;

    /// The distance of what was measured over `pixels` pixels, or over pixels of a mask with that sum, and its gradient, of
    /// the measured value's shape.
    fn distance(&mut self, measured: &ArrayD<f32>, pixels: f64) -> Distance;

    /// Keeps, under a name that begins as given, what it remembers of earlier evaluations. Most remember nothing.
    fn save<'a>(&'a self, _begins: &str, _saved: &mut Saved<'a>) {}

    /// Takes up what was kept.
    ///
    /// # Errors
    /// If it is not of this target.
    fn load(&mut self, _begins: &str, _found: &Found) -> Result<(), String> {
        Ok(())
    }
}
// ANCHOR_END: target

/// What of a layer's features F (M × N) counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// FᵀF (N × N).
    Gram,
    /// FᵀF and below it ΣF (N+1 × N).
    Moments,
    /// F itself (M × N): of a map so small that this is less.
    Features,
}

impl Measure {
    /// Records it.
    pub fn record(self, tape: &mut Tape<'_>, features: Var) -> Var {
        match self {
            Measure::Gram => ops::gram(tape, features),
            Measure::Moments => ops::moments(tape, features),
            Measure::Features => ops::gather(tape, features),
        }
    }
}

/// The value of a distance and its gradient.
#[derive(Clone, Debug)]
pub struct Distance {
    /// The distance.
    pub value: f64,
    /// Its gradient with respect to the measured sums.
    pub gradient: ArrayD<f32>,
}

/// First and second moments of a layer, summed over `pixels` pixels: [`crate::ops::moments`].
#[derive(Clone, Debug)]
pub struct Sums {
    /// FᵀF and below it ΣF (N+1 × N).
    pub sums: Array2<f32>,
    /// M, or the sum of the mask.
    pub pixels: f64,
}

/// The sums of several pictures, each with its share: what one would have whose means and second moments are theirs,
/// averaged.
///
/// ```text
///   Σ_k s_k (FᵀF)_k / M_k      Σ_k s_k (ΣF)_k / M_k      Σ_k s_k = 1
/// ```
#[derive(Clone, Debug)]
pub struct Blend {
    /// Per pixel, (N+1 × N). In `f64`, so that a picture blended with itself is itself to the last bit of its `f32`.
    means: Array2<f64>,
    pixels: f64,
}

impl Blend {
    /// Of nothing yet, for sums of such a shape, and to be told as sums over as many pixels.
    #[must_use]
    pub fn like(sums: &Sums) -> Self {
        Blend { means: Array2::zeros(sums.sums.dim()), pixels: sums.pixels }
    }

    /// Takes a picture's sums in.
    ///
    /// # Panics
    /// If they have another shape.
    pub fn add(&mut self, share: f64, sums: &Sums) {
        let share = share / sums.pixels;
        self.means.zip_mut_with(&sums.sums, |mean, &sum| *mean += share * f64::from(sum));
    }

    /// The sums.
    #[must_use]
    pub fn finish(self) -> Sums {
        let pixels = self.pixels;
        Sums { sums: self.means.mapv(|mean| (pixels * mean) as f32), pixels }
    }
}

/// What a target may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetOptions {
    /// Evaluations between new transport matrices, at least 1 ([`Statistic::Wasserstein`]).
    pub refresh: u32,
}

/// A statistic's name, what it is, and how a target is made of the style picture's sums.
struct Entry {
    statistic: Statistic,
    name: &'static str,
    summary: &'static str,
    target: fn(&Sums, TargetOptions) -> Box<dyn Target>,
}

impl Statistic {
    /// The list of those that compare two pictures.
    const COMPARING: [Entry; 6] = [
        Entry {
            statistic: Statistic::Gram,
            name: "gram",
            summary: "Gram matrices, 1/(4N²) Σd²: the paper",
            target: gram::sum,
        },
        Entry {
            statistic: Statistic::GramMean,
            name: "gram-mean",
            summary: "Gram matrices, 1/N⁴ Σd²: neural-style and the PyTorch tutorial",
            target: gram::mean,
        },
        Entry {
            statistic: Statistic::GramRelative,
            name: "gram-relative",
            summary: "Gram matrices, Σd²/Σ|d|: every layer has a say",
            target: gram::relative,
        },
        Entry {
            statistic: Statistic::Wasserstein,
            name: "wasserstein",
            summary: "means and covariances, by optimal transport: cleanest",
            target: wasserstein::target,
        },
        Entry {
            statistic: Statistic::Covariance,
            name: "covariance",
            summary: "means, and covariances by relative error",
            target: covariance::target,
        },
        Entry {
            statistic: Statistic::MeanStd,
            name: "mean-std",
            summary: "each channel's mean and deviation",
            target: mean_std::target,
        },
    ];

    /// Every statistic that compares two pictures, in the order help shows them.
    pub const ALL: [Statistic; 6] = {
        let mut all = [Statistic::Gram; 6];
        let mut i = 0;
        while i < all.len() {
            all[i] = Self::COMPARING[i].statistic;
            i += 1;
        }
        all
    };

    fn entry(self) -> &'static Entry {
        const { &Self::COMPARING }.iter().find(|entry| entry.statistic == self).expect("every statistic is listed")
    }

    /// Its name on the command line and in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        if let Statistic::Activation(_) = self { ACTIVATION } else { self.entry().name }
    }

    /// One line that says what it is.
    #[must_use]
    pub fn summary(self) -> &'static str {
        if let Statistic::Activation(_) = self { "how lively a layer is" } else { self.entry().summary }
    }

    /// The target that the style picture's sums make.
    #[must_use]
    pub fn target(self, sums: &Sums, options: TargetOptions) -> Box<dyn Target> {
        match self {
            Statistic::Activation(channel) => activation::target(channel)(sums, options),
            comparing => (comparing.entry().target)(sums, options),
        }
    }
}

const ACTIVATION: &str = "activation";

/// By its name; an activation's channel comes behind it, `activation:17`.
impl Serialize for Statistic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Statistic::Activation(Some(channel)) => serializer.collect_str(&format_args!("{ACTIVATION}:{channel}")),
            other => serializer.serialize_str(other.name()),
        }
    }
}

impl<'de> Deserialize<'de> for Statistic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let activation = || {
            let channel = name.strip_prefix(ACTIVATION)?;
            let channel = if channel.is_empty() { None } else { Some(channel.strip_prefix(':')?.parse().ok()?) };
            Some(Statistic::Activation(channel))
        };
        let entry = Self::COMPARING.iter().find(|entry| entry.name == name).map(|entry| entry.statistic);
        entry.or_else(activation).ok_or_else(|| serde::de::Error::custom(format!("no statistic is {name}")))
    }
}

#[cfg(test)]
mod testing {
    //! What all distances are checked by.

    use super::*;
    use crate::ops::testing::random_tensor;

    /// Sums of `pixels` random features of `channels` channels, above 0 as a ReLU's are.
    pub fn sums(pixels: usize, channels: usize, seed: u64) -> Sums {
        let features = random_tensor(&[pixels, channels], seed).into_dimensionality::<ndarray::Ix2>().unwrap();
        sums_of(&features.mapv(|f| f.max(-0.5) + 0.5))
    }

    /// Sums of features (M × N).
    pub fn sums_of(features: &Array2<f32>) -> Sums {
        let wide = features.mapv(f64::from);
        let (gram, total) = (wide.t().dot(&wide), wide.sum_axis(ndarray::Axis(0)));
        let mut sums = gram.mapv(|v| v as f32);
        sums.push_row(total.mapv(|v| v as f32).view()).unwrap();
        Sums { sums, pixels: features.nrows() as f64 }
    }

    /// The gradient along a random symmetric direction against a central difference. Values are in `f64`, sums in `f32`
    /// with differences of 1/256: rounding leaves about 6e-8·256 of the sums' size.
    pub fn gradcheck(mut target: Box<dyn Target>, at: &Sums, tolerance: f64) {
        let n = at.sums.ncols();
        let random = random_tensor(&[n + 1, n], 99).into_dimensionality::<ndarray::Ix2>().unwrap();
        let direction = Array2::from_shape_fn((n + 1, n), |(i, j)| {
            let mirrored = if i < n { random[[j, i]] } else { random[[i, j]] };
            ((random[[i, j]] + mirrored) * 8.0).round() / 8.0 * at.pixels as f32 / 256.0
        });
        let mut value = |sign: f32| target.distance(&(&at.sums + &(&direction * sign)).into_dyn(), at.pixels);
        let (plus, minus) = (value(0.5).value, value(-0.5).value);
        let gradient = value(0.0).gradient;
        let slope: f64 = gradient.iter().zip(&direction).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum();
        let difference = plus - minus;
        assert!((slope - difference).abs() <= tolerance * difference.abs().max(1e-3), "{slope}, but {difference}");
    }
}

#[cfg(test)]
mod tests {
    use super::testing::sums;
    use super::*;

    #[test]
    fn a_blend_averages_means_and_second_moments_whatever_the_sizes() {
        let one = Sums { sums: ndarray::arr2(&[[2.0, 4.0], [4.0, 8.0], [2.0, 4.0]]), pixels: 2.0 };
        let other = Sums { sums: ndarray::arr2(&[[30.0, 0.0], [0.0, 10.0], [20.0, 10.0]]), pixels: 10.0 };
        let mut blend = Blend::like(&one);
        blend.add(0.75, &one);
        blend.add(0.25, &other);
        // ¾·(1, 2, 4; 1, 2) + ¼·(3, 0, 1; 2, 1), over two pixels again.
        let blend = blend.finish();
        assert_eq!((blend.sums, blend.pixels), (ndarray::arr2(&[[3.0, 3.0], [3.0, 6.5], [2.5, 3.5]]), 2.0));
    }

    #[test]
    fn a_picture_blended_with_itself_is_itself_to_the_bit() {
        let sums = sums(977, 6, 3);
        for shares in [&[1.0][..], &[0.5, 0.5], &[0.7, 0.3], &[1.0 / 3.0; 3]] {
            let mut blend = Blend::like(&sums);
            shares.iter().for_each(|&share| blend.add(share, &sums));
            assert_eq!(blend.finish().sums, sums.sums, "{shares:?}");
        }
    }

    #[test]
    fn every_name_is_read_again() {
        let others = [None, Some(17)].map(Statistic::Activation);
        for statistic in Statistic::ALL.into_iter().chain(others) {
            let name = serde_json::to_string(&statistic).unwrap();
            assert_eq!(serde_json::from_str::<Statistic>(&name).unwrap(), statistic, "{name}");
        }
        for wrong in ["\"\"", "\"activation:\"", "\"activation:-1\"", "\"activations\"", "\"gram:1\""] {
            assert!(serde_json::from_str::<Statistic>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_unique_and_every_distance_to_itself_is_nothing() {
        for (i, statistic) in Statistic::ALL.into_iter().enumerate() {
            assert!(Statistic::ALL[..i].iter().all(|other| other.name() != statistic.name()));
            let sums = sums(40, 6, 1);
            let mut target = statistic.target(&sums, TargetOptions { refresh: 1 });
            let measured = if statistic.name().starts_with("gram") {
                sums.sums.slice(ndarray::s![..6, ..]).to_owned()
            } else {
                sums.sums.clone()
            };
            let distance = target.distance(&measured.into_dyn(), 40.0);
            assert!(distance.value.abs() < 1e-9, "{}: {}", statistic.name(), distance.value);
            // Through roots of covariances plus 1e-4, rounding of 6e-8 in the sums grows by a thousand.
            assert!(distance.gradient.iter().all(|g| g.abs() < 1e-3 / 40.0), "{}", statistic.name());
        }
    }
}
