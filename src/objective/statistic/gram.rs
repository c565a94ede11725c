//! Gram matrices: which channels fire together.
//!
//! Three ways to measure how far two are apart, d = G/M − A/M_A. Dividing by the pixels makes pictures of different
//! sizes comparable.

use ndarray::{Array1, Array2, ArrayD, Ix2, s};

use super::{Distance, Measure, Sums, Target, TargetOptions};

/// Keeps the quotient finite when the two agree exactly.
const EPSILON: f64 = 1e-8;

/// A/M_A, and how d is made a number.
struct Gram {
    target: Array2<f32>,
    formula: Formula,
}

enum Formula {
    /// factor · Σd².
    Squares(f64),
    /// Σd² / (Σ|d| + ε).
    Relative,
}

/// `1/(4N²) Σ d²`, which is 1/(4N²M²) Σ (G − A)² when the sizes agree.
///
/// Source: Gatys, Ecker & Bethge 2015, arXiv:1508.06576, eq. 4.
pub fn sum(sums: &Sums, _: TargetOptions) -> Box<dyn Target> {
    let n = sums.sums.ncols() as f64;
    make(sums, Formula::Squares(0.25 / (n * n)))
}

/// `1/N⁴ Σ d²`: the mean square of the difference of Gram matrices divided by M·N.
///
/// Source: J. Johnson's neural-style, and many after it.
pub fn mean(sums: &Sums, _: TargetOptions) -> Box<dyn Target> {
    let n = sums.sums.ncols() as f64;
    make(sums, Formula::Squares(n.powi(-4)))
}

/// `Σ d² / Σ |d|`: a mean of |d| weighted by |d|, so layers whose Gram matrices differ by orders of magnitude
/// contribute alike. The denominator is held constant in the gradient, whose size then does not depend on how far
/// away the target is; but it is not the derivative.
///
/// Source: the gradient-normalised style loss of K. Crowson's style-transfer-pytorch.
pub fn relative(sums: &Sums, _: TargetOptions) -> Box<dyn Target> {
    make(sums, Formula::Relative)
}

fn make(sums: &Sums, formula: Formula) -> Box<dyn Target> {
    Box::new(Gram { target: per_pixel(sums.sums.slice(s![..-1, ..]), sums.pixels), formula })
}

fn per_pixel(gram: ndarray::ArrayView2<'_, f32>, pixels: f64) -> Array2<f32> {
    let share = 1.0 / pixels;
    gram.mapv(|g| (share * f64::from(g)) as f32)
}

impl Target for Gram {
    fn measure(&self, _: usize, _: usize) -> Measure {
        Measure::Gram
    }

    // ANCHOR: distance
    fn distance(&mut self, measured: &ArrayD<f32>, pixels: f64) -> Distance {
        // Of a mask, there are sums below it.
        let measured = measured.view().into_dimensionality::<Ix2>().expect("N × N, or N+1 × N");
        let (n, rows) = (measured.ncols(), measured.nrows());
        let d = per_pixel(measured.slice(s![..n, ..]), pixels) - &self.target;
        let squares: f64 = d.iter().map(|&d| f64::from(d).powi(2)).sum();
        let factor = match self.formula {
            Formula::Squares(factor) => factor,
            Formula::Relative => 1.0 / (d.iter().map(|&d| f64::from(d).abs()).sum::<f64>() + EPSILON),
        };
        let slope = (2.0 * factor / pixels) as f32;
        let mut gradient = d * slope;
        if rows > n {
            gradient.push_row(Array1::zeros(n).view()).expect("N columns");
        }
        Distance { value: factor * squares, gradient: gradient.into_dyn() }
    }
    // ANCHOR_END: distance
}

#[cfg(test)]
mod tests {
    use super::super::testing::sums;
    use super::*;

    const OPTIONS: TargetOptions = TargetOptions { refresh: 1 };

    fn gram_of(sums: &Sums) -> Sums {
        Sums { sums: sums.sums.slice(s![..-1, ..]).to_owned(), ..*sums }
    }

    #[test]
    fn two_by_two_by_hand() {
        let style = Sums { sums: ndarray::arr2(&[[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), pixels: 2.0 };
        let measured = ndarray::arr2(&[[8.0f32, 4.0], [4.0, 4.0]]).into_dyn();
        // d = [[2, 1], [1, 1]] − 1: Σd² = 1 + 1 + 1 = 3, Σ|d| = 3.
        for (target, value) in [(sum(&style, OPTIONS), 3.0 / 16.0), (mean(&style, OPTIONS), 3.0 / 16.0)] {
            let mut target = target;
            assert!((target.distance(&measured, 4.0).value - value).abs() < 1e-12);
        }
        let distance = relative(&style, OPTIONS).distance(&measured, 4.0);
        assert!((distance.value - 1.0).abs() < 1e-7);
        assert_eq!(distance.gradient, ndarray::arr2(&[[1.0f32, 1.0], [1.0, 0.0]]).into_dyn() * (2.0f32 / 3.0 / 4.0));
    }

    #[test]
    fn sums_below_the_matrix_have_no_say_and_no_gradient() {
        let (style, at) = (sums(50, 7, 1), sums(30, 7, 2));
        let alone = sum(&style, OPTIONS).distance(&gram_of(&at).sums.into_dyn(), 30.0);
        let both = sum(&style, OPTIONS).distance(&at.sums.clone().into_dyn(), 30.0);
        let gradient = both.gradient.into_dimensionality::<Ix2>().unwrap();
        assert_eq!((alone.value, alone.gradient), (both.value, gradient.slice(s![..7, ..]).to_owned().into_dyn()));
        assert!(gradient.row(7).iter().all(|&d| d == 0.0));
    }

    #[test]
    fn gradients_are_right() {
        let (style, at) = (sums(50, 7, 1), gram_of(&sums(30, 7, 2)));
        for make in [sum, mean] {
            let mut target = make(&style, OPTIONS);
            let measured = at.sums.clone().into_dyn();
            let gradient = target.distance(&measured, 30.0).gradient;
            let step = measured.mapv(|g| (g * 16.0).round() / 64.0);
            let along = |target: &mut Box<dyn Target>, t: f32| target.distance(&(&measured + &(&step * t)), 30.0).value;
            let difference = along(&mut target, 0.5) - along(&mut target, -0.5);
            let slope: f64 = gradient.iter().zip(&step).map(|(&g, &s)| f64::from(g) * f64::from(s)).sum();
            assert!((difference - slope).abs() <= 1e-4 * slope.abs(), "{difference} {slope}");
        }
    }
}
