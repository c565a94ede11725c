//! Between pixels and frequencies: V = Bᵀ d B for what is read, y = Aᵀ m A for what is written.
//!
//! Rows, then columns, each result going from a register to its place. A tile's rows lie a map's width apart, too far
//! for the hardware to see them coming, so the next tile is asked for while this one is computed.

use super::super::{Epilogue, Input, Shape};
use super::{PATCH, TILE};
use crate::kernels::simd::{Element, Simd, load_strided, store_strided};

/// What lies between the two passes of a transform.
pub type Between<V> = [[V; PATCH]; PATCH];

/// Where the 6×6 patch of a tile lies in x.
pub struct Patch {
    /// None of it is outside the map.
    inside: bool,
    /// First elements of its rows, and columns from there; `None` outside.
    rows: [Option<usize>; PATCH],
    columns: [Option<usize>; PATCH],
}

impl Patch {
    #[inline(always)]
    pub fn new(shape: &Shape, (row, column): (usize, usize)) -> Self {
        let Shape { width, in_channels: channels, .. } = *shape;
        let (mut rows, mut columns) = ([None; PATCH], [None; PATCH]);
        for (i, (y, x)) in rows.iter_mut().zip(&mut columns).enumerate() {
            *y = shape.row(row + i).map(|y| y * width * channels);
            *x = shape.column(column + i).map(|x| x * channels);
        }
        let inside = rows[0].and(rows[PATCH - 1]).and(columns[0]).and(columns[PATCH - 1]).is_some();
        Patch { inside, rows, columns }
    }
}

impl<X: Element> Input<'_, X> {
    /// V = Bᵀ d B for a vector of channels from `c` on of one tile; zeros outside the map. `v` is where the first
    /// of the 36 goes, and how far it is from one to the next. The patch d is read backwards if `TRANSPOSED`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // A column is no slice.
    pub(super) fn transform<S: Simd, const TRANSPOSED: bool>(
        &self,
        simd: S,
        patch: &Patch,
        c: usize,
        between: &mut Between<S::Vector>,
        (v, stride): (&mut [f32], usize),
    ) {
        let channels = self.shape.in_channels;
        for (i, between) in between.iter_mut().enumerate() {
            let row = patch.rows[if TRANSPOSED { PATCH - 1 - i } else { i }];
            let d = match (row, patch.columns[0]) {
                (Some(row), Some(column)) if patch.inside && c + S::LANES <= channels => {
                    self.load_row(simd, row + column + c)
                }
                (Some(row), _) => self.load_edge(simd, row, &patch.columns, c),
                (None, _) => [simd.splat(0.0); PATCH],
            };
            *between = input_points(simd, if TRANSPOSED { [d[5], d[4], d[3], d[2], d[1], d[0]] } else { d });
        }
        // Rows are done; each column of what they became is six of the 36 rows of V.
        for j in 0..PATCH {
            let column = [between[0][j], between[1][j], between[2][j], between[3][j], between[4][j], between[5][j]];
            store_strided(simd, input_points(simd, column), &mut v[j * stride..], PATCH * stride);
        }
    }

    /// Six pixels' vectors, all of them inside the map.
    #[inline(always)]
    fn load_row<S: Simd>(&self, simd: S, start: usize) -> [S::Vector; PATCH] {
        let channels = self.shape.in_channels;
        let mut d = load_strided(simd, &self.x[start..], channels);
        // The next tile's new pixels.
        for j in PATCH..PATCH + TILE {
            simd.prefetch(self.x.as_ptr().wrapping_add(start + j * channels).cast());
        }
        if self.mask.is_some() {
            for (j, d) in d.iter_mut().enumerate() {
                *d = self.masked(simd, start + j * channels, *d);
            }
        }
        d
    }

    /// Six pixels' vectors, zeros where there is no pixel or no channel.
    #[inline(always)]
    fn load_edge<S: Simd>(
        &self,
        simd: S,
        row: usize,
        columns: &[Option<usize>; PATCH],
        c: usize,
    ) -> [S::Vector; PATCH] {
        let mut d = [simd.splat(0.0); PATCH];
        for (d, column) in d.iter_mut().zip(columns) {
            if let Some(column) = column {
                let pixel = row + column;
                *d = self.load(simd, pixel + c, pixel + self.shape.in_channels);
            }
        }
        d
    }
}

/// The part of the map that is written, from a row of tiles on, and what is done to it on the way.
pub struct Output<'a, Y> {
    pub shape: &'a Shape,
    pub epilogue: Epilogue<'a>,
    pub first_row: usize,
    pub y: &'a mut [Y],
}

impl<Y: Element> Output<'_, Y> {
    /// y = Aᵀ m A for a vector of channels from `c` on of one tile, as far as it lies in the map. `m` is where the
    /// first of the 36 is, and how far it is from one to the next. Outputs are written backwards if `TRANSPOSED`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // A column is no slice.
    pub fn transform<S: Simd, const TRANSPOSED: bool>(
        &mut self,
        simd: S,
        (row, column): (usize, usize),
        c: usize,
        between: &mut Between<S::Vector>,
        (m, stride): (&[f32], usize),
    ) {
        let (height, width, channels) = (self.shape.out_height(), self.shape.out_width(), self.shape.out_channels);
        let (rows, columns) = (TILE.min(height - row), TILE.min(width - column));
        let lanes = S::LANES.min(channels - c);
        for (i, between) in between.iter_mut().enumerate() {
            let values = load_strided(simd, &m[i * PATCH * stride..], stride);
            between[..TILE].copy_from_slice(&output_points(simd, values));
        }
        // Where the next tile's outputs go.
        for i in 0..rows {
            for j in TILE..2 * TILE {
                let start = ((row - self.first_row * TILE + i) * width + column + j) * channels + c;
                simd.prefetch(self.y.as_ptr().wrapping_add(start).cast());
            }
        }
        for j in 0..TILE {
            let points = [between[0][j], between[1][j], between[2][j], between[3][j], between[4][j], between[5][j]];
            let out = output_points(simd, points);
            let j = if TRANSPOSED { TILE - 1 - j } else { j };
            if j >= columns {
                continue;
            }
            for (i, value) in out.into_iter().enumerate() {
                let i = if TRANSPOSED { TILE - 1 - i } else { i };
                if i < rows {
                    let start = ((row - self.first_row * TILE + i) * width + column + j) * channels + c;
                    self.epilogue.write(simd, value, c, start, &mut self.y[start..start + lanes]);
                }
            }
        }
    }
}

/// Bᵀ times a column, see [`B_T`](super::matrices::B_T): the values at 0, 1, −1, ½, −2 and ∞.
#[inline(always)]
fn input_points<S: Simd>(s: S, d: [S::Vector; PATCH]) -> [S::Vector; PATCH] {
    let (half, two, three_halves) = (s.splat(-0.5), s.splat(2.0), s.splat(1.5));
    let a = s.sub(d[4], d[2]);
    let b = s.sub(d[3], d[1]);
    [
        s.fma(three_halves, b, s.add(s.sub(d[0], d[2]), a)),
        s.fma(three_halves, s.add(d[2], d[3]), s.add(a, b)),
        s.fma(three_halves, s.sub(d[3], d[2]), s.sub(a, b)),
        s.fma(two, b, a),
        s.fma(half, b, a),
        s.fma(three_halves, a, s.sub(s.sub(d[5], d[3]), b)),
    ]
}

// ANCHOR: output
/// Aᵀ times a column, see [`A_T`](super::matrices::A_T): the coefficients of the polynomial with these values.
#[inline(always)]
fn output_points<S: Simd>(s: S, m: [S::Vector; PATCH]) -> [S::Vector; TILE] {
    let sum = s.add(m[1], m[2]);
    let difference = s.sub(m[1], m[2]);
    [
        s.add(s.add(m[0], sum), s.add(m[3], m[4])),
        s.fma(s.splat(0.5), m[3], s.fma(s.splat(-2.0), m[4], difference)),
        s.fma(s.splat(0.25), m[3], s.fma(s.splat(4.0), m[4], sum)),
        s.fma(s.splat(0.125), m[3], s.fma(s.splat(-8.0), m[4], s.add(difference, m[5]))),
    ]
}
// ANCHOR_END: output

#[cfg(test)]
mod tests {
    use super::super::matrices::{A_T, B_T};
    use super::*;
    use crate::kernels::simd::{Isa, Kernel};

    /// Both transforms of a column of six numbers, by vectors.
    struct Points([f32; PATCH]);

    impl Kernel for Points {
        type Output = ([f32; PATCH], [f32; TILE]);

        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let column = self.0.map(|v| simd.splat(v));
            let first = |v: S::Vector| {
                let mut lanes = [0.0; 16];
                simd.store(v, &mut lanes);
                lanes[0]
            };
            (input_points(simd, column).map(first), output_points(simd, column).map(first))
        }
    }

    #[test]
    fn the_factored_transforms_are_the_matrices() {
        let times = |row: &[f64; PATCH], x: &[f32; PATCH]| {
            row.iter()
                .zip(x)
                .fold((0.0, 0.0), |(sum, size), (m, &x)| (sum + m * f64::from(x), size + (m * f64::from(x)).abs()))
        };
        let near = |found: f32, (sum, size): (f64, f64), what: &str| {
            // A few roundings of what is summed.
            assert!(
                (f64::from(found) - sum).abs() <= 4.0 * f64::from(f32::EPSILON) * size,
                "{what}: {found} for {sum}"
            );
        };
        for isa in Isa::available() {
            for seed in 0..20 {
                let x: [f32; PATCH] = std::array::from_fn(|i| ((seed * 37 + i * i * 11 + 5) % 29) as f32 / 7.0 - 2.0);
                let (inputs, outputs) = isa.dispatch(Points(x));
                inputs.iter().zip(&B_T).for_each(|(&v, row)| near(v, times(row, &x), &format!("Bᵀ on {isa:?}")));
                outputs.iter().zip(&A_T).for_each(|(&v, row)| near(v, times(row, &x), &format!("Aᵀ on {isa:?}")));
            }
        }
    }
}
