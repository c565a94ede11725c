//! One axis of a resampling: a sparse matrix, every row a window of the same width.
//!
//! ```text
//!               inputs ──▶
//!   output 0 │ w w . . . . │  first 0
//!   output 1 │ w w . . . . │  first 0      output i = Σ_k weight[i][k] · input[first[i] + k]
//!   output 2 │ . w w . . . │  first 1
//!   output 3 │ . w w . . . │  first 1      the transpose has columns for rows, and the same form
//! ```
//!
//! Windows are cut to the input and filled up with zeros to a common width, so that the loops over them have no
//! edges to look out for.

use super::Interpolation;

/// Keys' parameter, as PyTorch and OpenCV have it.
const CUBIC: f64 = -0.75;

/// A matrix (outputs × inputs) whose rows are windows of weights.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    inputs: usize,
    width: usize,
    firsts: Vec<usize>,
    weights: Vec<f32>,
}

impl Taps {
    /// Interpolation from `inputs` samples to `outputs`, whose pixels cover the same length.
    pub fn new(kind: Interpolation, inputs: usize, outputs: usize) -> Self {
        let scale = inputs as f64 / outputs as f64;
        let row = |i: usize| {
            let centre = scale * (i as f64 + 0.5);
            match kind {
                Interpolation::Bilinear => bilinear(inputs, centre),
                Interpolation::Antialiased => triangle(inputs, centre, scale.max(1.0)),
                Interpolation::Bicubic => bicubic(inputs, centre),
            }
        };
        Taps::from_rows(inputs, (0..outputs).map(row).collect())
    }

    /// Means over `outputs` parts of the same length, or linear interpolation where there are more of them than inputs.
    pub fn area(inputs: usize, outputs: usize) -> Self {
        if outputs >= inputs {
            return Taps::new(Interpolation::Bilinear, inputs, outputs);
        }
        let scale = inputs as f64 / outputs as f64;
        let row = |i: usize| {
            let (start, end) = (scale * i as f64, scale * (i + 1) as f64);
            let inside = start as usize..(end.ceil() as usize).min(inputs);
            let part = |input: usize| (end.min((input + 1) as f64) - start.max(input as f64)).max(0.0) / scale;
            inside.map(|input| (input, part(input))).collect()
        };
        Taps::from_rows(inputs, (0..outputs).map(row).collect())
    }

    /// The same of an axis whose ends are joined: of `inputs` samples with [`Taps::overhang`] more on each side, which are
    /// those of the other end.
    pub fn around(kind: Interpolation, inputs: usize, outputs: usize) -> Self {
        let scale = inputs as f64 / outputs as f64;
        let margin = Taps::overhang(kind, inputs, outputs);
        let row = |i: usize| {
            // Nothing is cut: the windows end before the longer axis does.
            let (inputs, centre) = (inputs + 2 * margin, scale * (i as f64 + 0.5) + margin as f64);
            match kind {
                Interpolation::Bilinear => bilinear(inputs, centre),
                Interpolation::Antialiased => triangle(inputs, centre, scale.max(1.0)),
                Interpolation::Bicubic => bicubic(inputs, centre),
            }
        };
        Taps::from_rows(inputs + 2 * margin, (0..outputs).map(row).collect())
    }

    /// Samples beyond an end that an interpolation may look at.
    pub fn overhang(kind: Interpolation, inputs: usize, outputs: usize) -> usize {
        match kind {
            Interpolation::Bilinear => 1,
            Interpolation::Antialiased => inputs.div_ceil(outputs).max(1) + 1,
            Interpolation::Bicubic => 2,
        }
    }

    /// [`Taps::gaussian`] of an axis whose ends are joined, with `radius` samples more on each side.
    pub fn gaussian_around(length: usize, deviation: f64, radius: usize) -> Self {
        let whole = Taps::gaussian(length + 2 * radius, deviation, radius);
        let row = |i: usize| {
            let (first, weights) = whole.row(i + radius);
            weights.iter().enumerate().map(|(k, &weight)| (first + k, f64::from(weight))).collect()
        };
        Taps::from_rows(length + 2 * radius, (0..length).map(row).collect())
    }

    /// A Gaussian mean of `2·radius + 1` samples, those beyond the ends repeated.
    pub fn gaussian(length: usize, deviation: f64, radius: usize) -> Self {
        let at = |offset: f64| (-0.5 * (offset / deviation).powi(2)).exp();
        let offsets = -(radius as isize)..=radius as isize;
        let sum: f64 = offsets.clone().map(|offset| at(offset as f64)).sum();
        let row = |i: usize| {
            let tap = |offset: isize| (inside(i as isize + offset, length), at(offset as f64) / sum);
            offsets.clone().map(tap).collect()
        };
        Taps::from_rows(length, (0..length).map(row).collect())
    }

    /// Rows of (input, weight) in any order; the weights of an input named twice are added.
    fn from_rows(inputs: usize, rows: Vec<Vec<(usize, f64)>>) -> Self {
        let mut windows = Vec::with_capacity(rows.len());
        let mut last = 0..1;
        for row in &rows {
            let named = || row.iter().filter(|&&(_, weight)| weight != 0.0).map(|&(input, _)| input);
            // A row of zeros, which a transpose may have, stays beside the row before it.
            if let (Some(first), Some(end)) = (named().min(), named().max()) {
                last = first..end + 1;
            }
            windows.push(last.clone());
        }
        let width = windows.iter().map(ExactSizeIterator::len).max().unwrap_or(1);
        let firsts: Vec<usize> = windows.iter().map(|window| window.start.min(inputs - width)).collect();
        let mut sums = vec![0.0; width * rows.len()];
        for ((row, &first), sums) in rows.iter().zip(&firsts).zip(sums.chunks_exact_mut(width)) {
            row.iter().filter(|&&(_, weight)| weight != 0.0).for_each(|&(input, weight)| sums[input - first] += weight);
        }
        Taps { inputs, width, firsts, weights: sums.into_iter().map(|weight| weight as f32).collect() }
    }

    /// The same numbers, (inputs × outputs).
    pub fn transposed(&self) -> Self {
        let mut columns = vec![Vec::new(); self.inputs];
        for i in 0..self.outputs() {
            let (first, weights) = self.row(i);
            for (k, &weight) in weights.iter().enumerate() {
                columns[first + k].push((i, f64::from(weight)));
            }
        }
        Taps::from_rows(self.outputs(), columns)
    }

    /// Columns of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Rows of the matrix.
    pub fn outputs(&self) -> usize {
        self.firsts.len()
    }

    /// Weights in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row i: the input its window starts at, and its weights.
    #[inline(always)]
    pub fn row(&self, i: usize) -> (usize, &[f32]) {
        (self.firsts[i], &self.weights[i * self.width..][..self.width])
    }

    /// Every row in order, as [`Taps::row`].
    #[inline(always)]
    pub fn rows(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.firsts.iter().copied().zip(self.weights.chunks_exact(self.width))
    }
}

/// The index, or the nearest there is.
fn inside(index: isize, length: usize) -> usize {
    index.clamp(0, length as isize - 1) as usize
}

/// The two samples beside `centre`, where sample i lies at i + ½.
fn bilinear(inputs: usize, centre: f64) -> Vec<(usize, f64)> {
    let source = (centre - 0.5).max(0.0);
    let first = (source as usize).min(inputs - 1);
    let beyond = source - first as f64;
    vec![(first, 1.0 - beyond), ((first + 1).min(inputs - 1), beyond)]
}

/// A triangle that reaches `support` samples to either side, cut at the ends and brought to the sum of 1.
fn triangle(inputs: usize, centre: f64, support: f64) -> Vec<(usize, f64)> {
    // Samples from the first whose middle is inside up to the last: rounded, halves up.
    let from = (centre - support + 0.5).max(0.0) as usize;
    let to = ((centre + support + 0.5) as usize).min(inputs);
    let at = |i: usize| (1.0 - ((i as f64 + 0.5 - centre) / support).abs()).max(0.0);
    let sum: f64 = (from..to).map(at).sum();
    (from..to).map(|i| (i, at(i) / sum)).collect()
}

/// The four samples around `centre` with the weights of Keys' cubic; samples beyond the ends are those at the ends.
fn bicubic(inputs: usize, centre: f64) -> Vec<(usize, f64)> {
    let source = centre - 0.5;
    let first = source.floor();
    let weight = |offset: f64| {
        let d = (source - first - offset).abs();
        if d <= 1.0 {
            ((CUBIC + 2.0) * d - (CUBIC + 3.0)) * d * d + 1.0
        } else {
            ((CUBIC * d - 5.0 * CUBIC) * d + 8.0 * CUBIC) * d - 4.0 * CUBIC
        }
    };
    [-1, 0, 1, 2].map(|offset: isize| (inside(first as isize + offset, inputs), weight(offset as f64))).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole matrix, row by row.
    fn dense(taps: &Taps) -> Vec<Vec<f32>> {
        let row = |(first, weights): (usize, &[f32])| {
            let mut row = vec![0.0; taps.inputs];
            weights.iter().enumerate().for_each(|(k, &weight)| row[first + k] += weight);
            row
        };
        taps.rows().map(row).collect()
    }

    #[test]
    fn enlarging_two_samples_to_four() {
        let quarters = dense(&Taps::new(Interpolation::Bilinear, 2, 4));
        assert_eq!(quarters, [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]);
        assert_eq!(dense(&Taps::new(Interpolation::Antialiased, 2, 4)), quarters, "a triangle as narrow as it gets");
    }

    #[test]
    fn halving_with_a_triangle_weighs_four_samples_one_to_three() {
        // Sample i lies at i + ½, output 1 at 3: distances 3/2, 1/2, 1/2, 3/2 of a support of 2.
        let taps = dense(&Taps::new(Interpolation::Antialiased, 6, 3));
        assert_eq!(taps[1], [0.0, 0.125, 0.375, 0.375, 0.125, 0.0]);
        // At the end one is cut off: 3/4, 3/4 and 1/4, brought to the sum of 1.
        for (found, expected) in taps[0].iter().zip([3.0 / 7.0, 3.0 / 7.0, 1.0 / 7.0, 0.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-7, "{:?}", taps[0]);
        }
    }

    #[test]
    fn halving_without_one_takes_the_two_samples_beside() {
        let taps = dense(&Taps::new(Interpolation::Bilinear, 6, 3));
        assert_eq!(taps[1], [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn a_cubic_through_four_samples() {
        // Output 3 of 8 lies at 1.25: Keys' cubic with A = −3/4 at distances 5/4, 1/4, 3/4, 7/4.
        let taps = dense(&Taps::new(Interpolation::Bicubic, 4, 8));
        assert_eq!(taps[3], [-0.10546875, 0.87890625, 0.26171875, -0.03515625]);
        // Output 0 lies at −0.25: the samples at −2 and −1 are sample 0.
        assert_eq!(taps[0], [-0.03515625 + 0.26171875 + 0.87890625, -0.10546875, 0.0, 0.0]);
    }

    #[test]
    fn the_same_size_is_the_identity() {
        for kind in Interpolation::ALL {
            let taps = Taps::new(kind, 5, 5);
            assert_eq!((taps.width, dense(&taps)[3].as_slice()), (1, [0.0, 0.0, 0.0, 1.0, 0.0].as_slice()), "{kind:?}");
        }
    }

    #[test]
    fn a_transposed_matrix_is_one_and_twice_the_matrix_again() {
        for (kind, inputs, outputs) in Interpolation::ALL.into_iter().flat_map(|k| [(k, 7, 17), (k, 17, 5), (k, 1, 4)])
        {
            let taps = Taps::new(kind, inputs, outputs);
            let (matrix, transposed) = (dense(&taps), dense(&taps.transposed()));
            assert!((0..inputs).all(|j| (0..outputs).all(|i| matrix[i][j] == transposed[j][i])), "{kind:?}");
            assert_eq!(dense(&taps.transposed().transposed()), matrix);
        }
    }

    #[test]
    fn a_gaussian_repeats_the_ends() {
        let taps = dense(&Taps::gaussian(2, 2.0, 1));
        let side = (-1.0f64 / 8.0).exp();
        let share = (side / (1.0 + 2.0 * side)) as f32;
        assert!((taps[0][1] - share).abs() < 1e-7 && (taps[0][0] + share - 1.0).abs() < 1e-7, "{taps:?}");
    }
}
