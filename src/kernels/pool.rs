//! 2×2 pooling, stride 2, floor: a last odd row or column is left out, as in
//! PyTorch and in the network's training.

use rayon::prelude::*;

use crate::tensor::FeatureMap;

/// (⌊H/2⌋, ⌊W/2⌋, C).
#[must_use]
pub fn pooled_dim((height, width, channels): (usize, usize, usize)) -> (usize, usize, usize) {
    (height / 2, width / 2, channels)
}

/// `y[i,j] = max` of the 2×2 block of x.
pub fn max_forward(x: &FeatureMap, y: &mut FeatureMap) {
    each_pixel(x, y, |[a, b, c, d], y| {
        for (k, y) in y.iter_mut().enumerate() {
            *y = a[k].max(b[k]).max(c[k].max(d[k]));
        }
    });
}

/// `y[i,j] = mean` of the 2×2 block of x.
pub fn avg_forward(x: &FeatureMap, y: &mut FeatureMap) {
    each_pixel(x, y, |[a, b, c, d], y| {
        for (k, y) in y.iter_mut().enumerate() {
            *y = 0.25 * ((a[k] + b[k]) + (c[k] + d[k]));
        }
    });
}

/// `d_x ← β·d_x +` d_y where x was the first largest of its block, in reading order.
pub fn max_backward(x: &FeatureMap, d_y: &FeatureMap, beta: f32, d_x: &mut FeatureMap) {
    let (width, channels) = (x.width(), x.channels());
    let row = width * channels;
    let rows = x.as_slice();
    each_row_pair(d_y, beta, d_x, |i, j, d_y, d_top, d_bottom| {
        let top = &rows[2 * i * row + 2 * j * channels..][..2 * channels];
        let bottom = &rows[(2 * i + 1) * row + 2 * j * channels..][..2 * channels];
        let (a, b) = top.split_at(channels);
        let (c, d) = bottom.split_at(channels);
        let (d_a, d_b) = d_top.split_at_mut(channels);
        let (d_c, d_d) = d_bottom.split_at_mut(channels);
        for k in 0..channels {
            let largest = a[k].max(b[k]).max(c[k].max(d[k]));
            let at_a = a[k] == largest;
            let at_b = !at_a & (b[k] == largest);
            let at_c = !(at_a | at_b) & (c[k] == largest);
            let at_d = !(at_a | at_b | at_c);
            let pick = |chosen: bool| if chosen { d_y[k] } else { 0.0 };
            d_a[k] += pick(at_a);
            d_b[k] += pick(at_b);
            d_c[k] += pick(at_c);
            d_d[k] += pick(at_d);
        }
    });
}

/// `d_x ← β·d_x +` d_y/4 on each of the block's four pixels.
pub fn avg_backward(d_y: &FeatureMap, beta: f32, d_x: &mut FeatureMap) {
    let channels = d_y.channels();
    each_row_pair(d_y, beta, d_x, |_, _, d_y, d_top, d_bottom| {
        for d_pair in [d_top, d_bottom] {
            for d_pixel in d_pair.chunks_exact_mut(channels) {
                d_pixel.iter_mut().zip(d_y).for_each(|(d_x, d_y)| *d_x += 0.25 * d_y);
            }
        }
    });
}

/// Calls `op` with the four pixels of each block and the pixel they become.
fn each_pixel(x: &FeatureMap, y: &mut FeatureMap, op: impl Fn([&[f32]; 4], &mut [f32]) + Sync) {
    assert_eq!(y.dim(), pooled_dim(x.dim()), "map written by a 2×2 pooling");
    let (width, channels) = (x.width(), x.channels());
    let row = width * channels;
    let out_row = y.width() * channels;
    if out_row == 0 {
        return;
    }
    y.as_mut_slice().par_chunks_mut(out_row).zip(x.as_slice().par_chunks_exact(2 * row)).for_each(|(y, pair)| {
        let (top, bottom) = pair.split_at(row);
        for (j, y) in y.chunks_exact_mut(channels).enumerate() {
            let left = 2 * j * channels..(2 * j + 1) * channels;
            let right = left.end..left.end + channels;
            op([&top[left.clone()], &top[right.clone()], &bottom[left], &bottom[right]], y);
        }
    });
}

/// Scales d_x by β, then calls `op(i, j, d_y pixel, d_x top pair, d_x bottom pair)` for each block.
fn each_row_pair(
    d_y: &FeatureMap,
    beta: f32,
    d_x: &mut FeatureMap,
    op: impl Fn(usize, usize, &[f32], &mut [f32], &mut [f32]) + Sync,
) {
    assert_eq!(d_y.dim(), pooled_dim(d_x.dim()), "gradient read by a 2×2 pooling");
    let (width, channels) = (d_x.width(), d_x.channels());
    let row = width * channels;
    let d_y_row = d_y.width() * channels;
    d_x.as_mut_slice().par_chunks_mut(2 * row).enumerate().for_each(|(i, d_pair)| {
        match beta {
            0.0 => d_pair.fill(0.0),
            1.0 => (),
            beta => d_pair.iter_mut().for_each(|d| *d *= beta),
        }
        if d_pair.len() < 2 * row {
            return;
        }
        let (d_top, d_bottom) = d_pair.split_at_mut(row);
        let d_y = &d_y.as_slice()[i * d_y_row..][..d_y_row];
        for (j, d_y) in d_y.chunks_exact(channels).enumerate() {
            let pair = 2 * j * channels..2 * (j + 1) * channels;
            op(i, j, d_y, &mut d_top[pair.clone()], &mut d_bottom[pair]);
        }
    });
}
