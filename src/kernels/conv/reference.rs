//! Convolution by its definition: the algorithm to read first, and the oracle
//! of every other. Sums are in `f64`, so its result is the exact one rounded once.

use ndarray::{Array4, ArrayViewMut4};

use crate::tensor::FeatureMap;

/// The coordinate that output `i` reads at tap `u`, if it lies inside the map.
fn source(i: usize, u: usize, padding: usize, size: usize) -> Option<usize> {
    (i + u).checked_sub(padding).filter(|&s| s < size)
}

/// See [`super::forward`].
pub fn forward(x: &FeatureMap, w: &Array4<f32>, bias: &[f32], padding: usize, y: &mut FeatureMap) {
    let (height, width, channels) = y.dim();
    let (input, out) = (x.view(), y.as_mut_slice());
    for i in 0..height {
        for j in 0..width {
            for o in 0..channels {
                let mut sum = f64::from(bias[o]);
                for u in 0..3 {
                    for v in 0..3 {
                        let (Some(row), Some(column)) =
                            (source(i, u, padding, x.height()), source(j, v, padding, x.width()))
                        else {
                            continue;
                        };
                        for c in 0..x.channels() {
                            sum += f64::from(input[[row, column, c]]) * f64::from(w[[o, c, u, v]]);
                        }
                    }
                }
                out[(i * width + j) * channels + o] = sum as f32;
            }
        }
    }
}

/// See [`super::backward_input`]. Each d_x gathers from the outputs it contributed to.
pub fn backward_input(d_y: &FeatureMap, w: &Array4<f32>, padding: usize, beta: f32, d_x: &mut FeatureMap) {
    let (height, width, channels) = d_x.dim();
    let (d_out, d_in) = (d_y.view(), d_x.as_mut_slice());
    for row in 0..height {
        for column in 0..width {
            for c in 0..channels {
                let mut sum = 0.0;
                for u in 0..3 {
                    for v in 0..3 {
                        // x[row] is read by output i = row + padding − u.
                        let i = (row + padding).checked_sub(u).filter(|&i| i < d_y.height());
                        let j = (column + padding).checked_sub(v).filter(|&j| j < d_y.width());
                        let (Some(i), Some(j)) = (i, j) else { continue };
                        for o in 0..d_y.channels() {
                            sum += f64::from(d_out[[i, j, o]]) * f64::from(w[[o, c, u, v]]);
                        }
                    }
                }
                let d = &mut d_in[(row * width + column) * channels + c];
                // With β = 0 the buffer's contents are unspecified and must not be read: 0·NaN is NaN.
                *d = if beta == 0.0 { sum } else { sum + f64::from(beta * *d) } as f32;
            }
        }
    }
}

/// See [`super::backward_weight`].
pub fn backward_weight(x: &FeatureMap, d_y: &FeatureMap, padding: usize, mut d_w: ArrayViewMut4<'_, f32>) {
    let (input, d_out) = (x.view(), d_y.view());
    for ((o, c, u, v), d_w) in d_w.indexed_iter_mut() {
        let mut sum = 0.0;
        for i in 0..d_y.height() {
            for j in 0..d_y.width() {
                let (Some(row), Some(column)) = (source(i, u, padding, x.height()), source(j, v, padding, x.width()))
                else {
                    continue;
                };
                sum += f64::from(input[[row, column, c]]) * f64::from(d_out[[i, j, o]]);
            }
        }
        *d_w = sum as f32;
    }
}
