//! Winograd's algorithm as its papers write it, on one channel and one tile: three matrices. The twin to read first, and what
//! the factored transforms are tested against.
//!
//! ```text
//!   y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A          ⊙: number by number
//! ```

use std::array::from_fn;

use super::{PATCH, TILE};

/// Bᵀ: what a patch's polynomial is at the points 0, 1, −1, ½, −2 and ∞, up to factors that G has.
#[rustfmt::skip]
pub const B_T: [[f64; PATCH]; PATCH] = [
    [1.0, -1.5, -2.0,  1.5, 1.0, 0.0],
    [0.0, -1.0,  0.5,  2.5, 1.0, 0.0],
    [0.0,  1.0, -2.5,  0.5, 1.0, 0.0],
    [0.0, -2.0, -1.0,  2.0, 1.0, 0.0],
    [0.0,  0.5, -1.0, -0.5, 1.0, 0.0],
    [0.0,  1.0, -1.5, -2.0, 1.5, 1.0],
];

// ANCHOR: points
/// G: what a filter's polynomial is at the same points, each over the product of its distances from the others.
#[rustfmt::skip]
pub const G: [[f64; 3]; PATCH] = [
    [  1.0,         0.0,         0.0       ],
    [  1.0 /  3.0,  1.0 /  3.0,  1.0 /  3.0],
    [ -1.0 /  3.0,  1.0 /  3.0, -1.0 /  3.0],
    [-16.0 / 15.0, -8.0 / 15.0, -4.0 / 15.0],
    [  1.0 / 15.0, -2.0 / 15.0,  4.0 / 15.0],
    [  0.0,         0.0,         1.0       ],
];
// ANCHOR_END: points

/// Aᵀ: the powers 0 to 3 of the points, which make outputs of products.
#[rustfmt::skip]
pub const A_T: [[f64; PATCH]; TILE] = [
    [1.0, 1.0,  1.0, 1.0,    1.0, 0.0],
    [0.0, 1.0, -1.0, 0.5,   -2.0, 0.0],
    [0.0, 1.0,  1.0, 0.25,   4.0, 0.0],
    [0.0, 1.0, -1.0, 0.125, -8.0, 1.0],
];

// ANCHOR: tile
/// The 4 × 4 outputs that a 3 × 3 filter g has on a 6 × 6 patch d: Σ_uv g_uv d_(i+u)(j+v), with 36 multiplications.
pub fn conv_tile(d: &[[f64; PATCH]; PATCH], g: &[[f64; 3]; 3]) -> [[f64; TILE]; TILE] {
    let (v, u) = (on_both_sides(&B_T, d), on_both_sides(&G, g));
    on_both_sides(&A_T, &from_fn(|i| from_fn(|j| u[i][j] * v[i][j])))
}

/// M x Mᵀ.
pub fn on_both_sides<const N: usize, const K: usize>(m: &[[f64; K]; N], x: &[[f64; K]; K]) -> [[f64; N]; N] {
    let rows: [[f64; K]; N] = from_fn(|i| from_fn(|v| (0..K).map(|u| m[i][u] * x[u][v]).sum()));
    from_fn(|i| from_fn(|j| (0..K).map(|v| rows[i][v] * m[j][v]).sum()))
}
// ANCHOR_END: tile

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_six_products_make_the_sums_of_a_hundred_and_forty_four() {
        let number = |i: usize, j: usize| ((i * 31 + j * 17 + i * j * 5) % 23) as f64 / 11.0 - 1.0;
        let (d, g) = (from_fn(|i| from_fn(|j| number(i, j))), from_fn(|i| from_fn(|j| number(j + 7, i))));
        let y = conv_tile(&d, &g);
        for (i, row) in y.iter().enumerate() {
            for (j, y) in row.iter().enumerate() {
                let sum: f64 =
                    (0..3).flat_map(|u| (0..3).map(move |v| (u, v))).map(|(u, v)| g[u][v] * d[i + u][j + v]).sum();
                // Rounding in f64, over sums of numbers up to some tens.
                assert!((y - sum).abs() < 1e-13, "output {i}, {j}: {y} for {sum}");
            }
        }
    }
}
