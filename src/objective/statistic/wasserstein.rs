//! Wasserstein's distance: what it costs to move the picture's features onto the style picture's.
//!
//! A Gram matrix compares products of features; this compares the features themselves, as clouds of points of the same
//! mean and covariance. Its gradient carries each pixel's features straight towards where the cheapest transport
//! would put them, which leaves flat parts flat: no dots, no halftone.
//!
//! ```text
//!   W = 1/N |μ − μ_t|² + 1/N tr(S + T − 2 (T^½ S T^½)^½)         S, T: covariances + 1e-4·1
//!
//!   d W / d f = 2/(MN) (f − A f + A μ − μ_t)                     A: the transport, see transport.rs
//! ```
//!
//! The gradient is closed: nothing is differentiated through a matrix root. A costs as much as many products of N × N
//! matrices, but changes slowly, and is renewed every other evaluation or as told. Where a map has fewer pixels
//! than channels, its features are taken as they are, and the roots are of the smaller M × M matrix. That one turns
//! with every pixel, and is renewed every time.
//!
//! Sources: the formula is Gelbrich's, 1990; as a style loss it is K. Crowson's, in style-transfer-pytorch.

use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, Ix2};

use super::moments::mean_error;
use super::transport::{Transport, inner, root};
use super::{Distance, Measure, Moments, Sums, Target, TargetOptions};
use crate::kernels::matmul::{matmul, matmul_symmetric};
use crate::state::{Found, Saved};

/// Added to the covariances' diagonals: a direction in which nothing varies has a root, too.
pub const EPSILON: f64 = 1e-4;

/// Whether a map's features are taken as they are.
fn is_small(pixels: usize, channels: usize) -> bool {
    pixels < channels
}

/// The style picture's mean and covariance, and the transport to it.
struct Wasserstein {
    target: Moments,
    /// T^½.
    root: Array2<f64>,
    /// T.
    covariance: Array2<f32>,
    transport: Option<Transport>,
    /// Evaluations since it was renewed.
    age: u32,
    refresh: u32,
}

/// See the module.
pub fn target(sums: &Sums, options: TargetOptions) -> Box<dyn Target> {
    Box::new(Wasserstein::new(sums, options))
}

impl Target for Wasserstein {
    fn measure(&self, pixels: usize, channels: usize) -> Measure {
        if is_small(pixels, channels) { Measure::Features } else { Measure::Moments }
    }

    fn distance(&mut self, measured: &ArrayD<f32>, pixels: f64) -> Distance {
        let measured = measured.view().into_dimensionality::<Ix2>().expect("a matrix");
        // Sums have a row more than columns.
        if is_small(measured.nrows(), measured.ncols()) { self.small(measured) } else { self.full(measured, pixels) }
    }

    fn save<'a>(&'a self, begins: &str, saved: &mut Saved<'a>) {
        if let Some(transport) = &self.transport {
            saved.small(format!("{begins}.age"), &self.age);
            transport.save(begins, saved);
        }
    }

    fn load(&mut self, begins: &str, found: &Found) -> Result<(), String> {
        let age = format!("{begins}.age");
        if found.has(&age) {
            (self.age, self.transport) = (found.small(&age)?, Some(Transport::load(begins, found)?));
        }
        Ok(())
    }
}

impl Wasserstein {
    fn new(sums: &Sums, options: TargetOptions) -> Self {
        let target = Moments::of(sums, EPSILON);
        Wasserstein {
            root: root(&target.covariance),
            covariance: target.covariance.mapv(|t| t as f32),
            target,
            transport: None,
            age: 0,
            refresh: options.refresh.max(1),
        }
    }

    // ANCHOR: full
    /// From sums (N+1 × N).
    fn full(&mut self, sums: ArrayView2<'_, f32>, pixels: f64) -> Distance {
        let moments = Moments::new(sums, pixels, EPSILON);
        let (mean, covariance) = (&moments.mean, &moments.covariance);
        let n = mean.len() as f64;
        let (transport, renewed) = self.transport(covariance, Transport::full);
        let trace = if renewed { transport.trace } else { transport.trace_at(inner(&transport.matrix, covariance)) };
        let mut d_covariance = transport.matrix.mapv(|a| -f64::from(a) / n);
        d_covariance.diag_mut().iter_mut().for_each(|d| *d += 1.0 / n);
        let (means, d_mean) = mean_error(mean, &self.target.mean);
        let spread = covariance.diag().sum() + self.target.covariance.diag().sum() - 2.0 * trace;
        Distance { value: means + spread / n, gradient: moments.pull_back(&d_mean, &d_covariance, pixels) }
    }
    // ANCHOR_END: full

    /// From features (M × N), M < N. K turns with every pixel: its root is never used again as it is.
    fn small(&mut self, features: ArrayView2<'_, f32>) -> Distance {
        let (m, n) = (features.nrows() as f64, features.ncols() as f64);
        let mean = features.mapv(f64::from).mean_axis(Axis(0)).expect("a map has pixels");
        let x = &features - &mean.mapv(|m| m as f32);
        let xt = matmul(x.view(), self.covariance.view());
        let k = matmul_symmetric(xt.view(), x.t()).mapv(|k| f64::from(k) / m);
        self.age = self.refresh;
        let transport = self.transport(&k, |_, k| Transport::small(k)).0;
        let (trace, moved) = (transport.trace, matmul(transport.matrix.view(), xt.view()));
        let (means, d_mean) = mean_error(&mean, &self.target.mean);
        let squares: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
        let spread = squares / m + self.target.covariance.diag().sum() - 2.0 * trace;
        let toward: Array1<f32> = d_mean.mapv(|d| (d * n / 2.0) as f32);
        let gradient = (x - moved + toward) * (2.0 / (m * n)) as f32;
        Distance { value: means + spread / n, gradient: gradient.into_dyn() }
    }

    /// The transport at S (or K), and whether it is of just that: taken along or made anew, if it is due.
    fn transport(
        &mut self,
        s: &Array2<f64>,
        make: impl FnOnce(&Array2<f64>, &Array2<f64>) -> Transport,
    ) -> (&Transport, bool) {
        let due = self.transport.is_none() || self.age >= self.refresh;
        if due {
            self.age = 0;
            let single = s.mapv(|s| s as f32);
            if !self.transport.as_mut().is_some_and(|transport| transport.follow(single.view())) {
                self.transport = Some(make(&self.root, s));
            }
        }
        self.age += 1;
        (self.transport.as_ref().expect("made above"), due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{gradcheck, sums, sums_of};
    use super::*;
    use crate::ops::testing::random_tensor;

    const EVERY_TIME: TargetOptions = TargetOptions { refresh: 1 };

    /// Features of an (M × N) map, at least 0.
    fn features(pixels: usize, channels: usize, seed: u64) -> Array2<f32> {
        let random = random_tensor(&[pixels, channels], seed).into_dimensionality::<Ix2>().unwrap();
        random.mapv(|f| f.max(-0.25) + 0.25)
    }

    #[test]
    fn one_channel_by_hand() {
        // Means 2 and 5, deviations 1 and 2, but for 1e-4 in the variances.
        let style = sums_of(&ndarray::arr2(&[[3.0], [7.0]]));
        let at = sums_of(&ndarray::arr2(&[[1.0], [3.0]]));
        let distance = target(&style, EVERY_TIME).distance(&at.sums.into_dyn(), 2.0);
        assert!((distance.value - (9.0 + 1.0)).abs() < 1e-3, "{}", distance.value);
        // 2/M (f − Af + Aμ − μ_t), A = 2: at f = 1 it is −4, as −(f − 1)·2 + … = 1 − 2 + 4 − 5 = −2.
        let features = ndarray::arr2(&[[1.0f64], [3.0]]);
        let d = distance.gradient.into_dimensionality::<Ix2>().unwrap().mapv(f64::from);
        let per_pixel = features.mapv(|f| 2.0 * f * d[[0, 0]] + d[[1, 0]]);
        assert!((per_pixel[[0, 0]] + 2.0).abs() < 1e-3 && (per_pixel[[1, 0]] + 4.0).abs() < 1e-3, "{per_pixel}");
    }

    #[test]
    fn gradient_is_right() {
        // The value bends where variances are near 1e-4; a step of 1/256 of the moments is seen to a per cent.
        gradcheck(target(&sums(200, 8, 1), EVERY_TIME), &sums(150, 8, 2), 2e-2);
    }

    /// The two forms, at features they both can take: M < N, for the sums are rank-deficient then, but for 1e-4.
    #[test]
    fn the_small_form_is_the_full_one_without_the_epsilon_of_s() {
        let style = sums(200, 24, 1);
        let f = features(10, 24, 2);
        let full = Wasserstein::new(&style, EVERY_TIME).full(sums_of(&f).sums.view(), 10.0);
        let small = target(&style, EVERY_TIME).distance(&f.clone().into_dyn(), 10.0);
        // N − M + 1 directions of deviation √1e-4 against T's of up to ½, twice: 2·0.01·½·15/24.
        assert!((full.value - small.value).abs() < 6.3e-3, "{} {}", full.value, small.value);
        let d = full.gradient.into_dimensionality::<Ix2>().unwrap();
        let (d_gram, d_sum) = (d.slice(ndarray::s![..24, ..]), d.row(24));
        let per_pixel = f.dot(&(&d_gram + &d_gram.t())) + d_sum;
        let small = small.gradient.into_dimensionality::<Ix2>().unwrap();
        let difference = (&per_pixel - &small).iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        let size = small.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        assert!(difference < 1e-2 * size, "{difference} of {size}");
    }

    #[test]
    fn the_small_forms_gradient_is_right() {
        let mut target = target(&sums(200, 24, 1), EVERY_TIME);
        let (f, step) = (features(10, 24, 2), features(10, 24, 3) / 64.0);
        let gradient = target.distance(&f.clone().into_dyn(), 10.0).gradient;
        let slope: f64 = gradient.iter().zip(&step).map(|(&g, &s)| f64::from(g) * f64::from(s)).sum();
        let mut value = |t: f32| target.distance(&(&f + &(&step * t)).into_dyn(), 10.0).value;
        let difference = value(0.5) - value(-0.5);
        assert!((slope - difference).abs() <= 1e-3 * difference.abs(), "{slope} {difference}");
    }

    #[test]
    fn constant_black_and_repeated_features_have_finite_distances() {
        let flat = Array2::from_elem((30, 6), 0.7f32);
        let black = Array2::zeros((30, 6));
        let one = Array2::from_shape_fn((30, 6), |(i, _)| (i % 7) as f32);
        for style in [&flat, &black, &one] {
            for at in [&flat, &black, &one] {
                let mut target = target(&sums_of(style), EVERY_TIME);
                let few = at.slice(ndarray::s![..4, ..]).to_owned();
                for (measured, pixels) in [(sums_of(at).sums.into_dyn(), 30.0), (few.into_dyn(), 4.0)] {
                    let distance = target.distance(&measured, pixels);
                    // Directions in which nothing varies count as 3e-4 of the largest root: together, of both traces.
                    assert!(distance.value.is_finite() && distance.value > -3e-4 * 50.0, "{}", distance.value);
                    assert!(distance.gradient.iter().all(|g| g.is_finite()));
                }
            }
        }
    }

    #[test]
    fn between_renewals_the_value_follows_to_first_order() {
        let (style, at) = (sums(200, 8, 1), sums(150, 8, 2));
        let mut lazy = target(&style, TargetOptions { refresh: 10 });
        let mut exact = target(&style, EVERY_TIME);
        lazy.distance(&at.sums.clone().into_dyn(), 150.0);
        let near = (&at.sums * 1.01f32).into_dyn();
        let (lazy, exact) = (lazy.distance(&near, 150.0).value, exact.distance(&near, 150.0).value);
        // A hundredth of the moments, squared, of traces ten times as large as their difference.
        assert!((lazy - exact).abs() <= 1e-2 * exact, "{lazy} {exact}");
    }
}
