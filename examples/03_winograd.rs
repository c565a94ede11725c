//! Winograd's convolution in its smallest form, without any crate: F(2, 3), two outputs of a filter of three numbers
//! for four multiplications in place of six, and F(2×2, 3×3), which is F(2, 3) along both axes: 16 in place of 36.
//!
//! `cargo run --example 03_winograd` computes an example of each, both ways. What runs in the library is F(4×4, 3×3),
//! `src/kernels/conv/winograd.rs`: 36 in place of 144.

type Matrix<const R: usize, const C: usize> = [[f64; C]; R];

// ANCHOR: matrices
/// Values of the filter's polynomial at the points 0, 1, −1 and ∞, the middle two halved.
const G: Matrix<4, 3> = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
/// Of four inputs, what each point sees.
const BT: Matrix<4, 4> = [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]];
/// From four products to two outputs.
const AT: Matrix<2, 4> = [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]];
// ANCHOR_END: matrices

fn product<const R: usize, const K: usize, const C: usize>(a: &Matrix<R, K>, b: &Matrix<K, C>) -> Matrix<R, C> {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..K).map(|k| a[i][k] * b[k][j]).sum()))
}

fn transposed<const R: usize, const C: usize>(a: &Matrix<R, C>) -> Matrix<C, R> {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

/// Elements multiplied one by one: all the multiplications of inputs by filters that there are.
fn one_by_one<const R: usize, const C: usize>(a: &Matrix<R, C>, b: &Matrix<R, C>) -> Matrix<R, C> {
    std::array::from_fn(|i| std::array::from_fn(|j| a[i][j] * b[i][j]))
}

// ANCHOR: axes
/// Aᵀ [(G g) ⊙ (Bᵀ d)]: vectors are matrices of one column.
fn one_axis(d: &Matrix<4, 1>, g: &Matrix<3, 1>) -> Matrix<2, 1> {
    let (u, v) = (product(&G, g), product(&BT, d));
    println!("G g = {u:?}\nBᵀ d = {v:?}");
    product(&AT, &one_by_one(&u, &v))
}

/// Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A.
fn both_axes(d: &Matrix<4, 4>, g: &Matrix<3, 3>) -> Matrix<2, 2> {
    let u = product(&product(&G, g), &transposed(&G));
    let v = product(&product(&BT, d), &transposed(&BT));
    product(&product(&AT, &one_by_one(&u, &v)), &transposed(&AT))
}
// ANCHOR_END: axes

fn main() {
    let (d, g) = ([1.0, 2.0, 3.0, 4.0], [2.0, 0.0, -1.0]);
    let direct = [0, 1].map(|i| (0..3).map(|k| d[i + k] * g[k]).sum::<f64>());
    let y = one_axis(&d.map(|d| [d]), &g.map(|g| [g]));
    println!("y = {y:?}, by the definition {direct:?}\n");
    assert_eq!(y, direct.map(|y| [y]));

    let d: Matrix<4, 4> = std::array::from_fn(|i| std::array::from_fn(|j| (i * j + j) as f64));
    let g = [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]];
    let tap = |i: usize, j: usize, k: usize| d[i + k / 3][j + k % 3] * g[k / 3][k % 3];
    let direct: Matrix<2, 2> = std::array::from_fn(|i| std::array::from_fn(|j| (0..9).map(|k| tap(i, j, k)).sum()));
    let y = both_axes(&d, &g);
    println!("y = {y:?}, by the definition {direct:?}");
    assert_eq!(y, direct);
}
