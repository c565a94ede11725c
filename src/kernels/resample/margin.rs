//! Maps whose opposite sides are joined, with as much of the other side around them as windows reach.
//!
//! ```text
//!        ┌ ─ ─ ─ ─ ─ ─ ┐
//!          9 7  8 9  7           spread: every pixel of the margin is the one it stands for
//!        │   ┌──────┐  │
//!          3 │ 1 2 3│ 1          fold: the adjoint, every pixel the sum of what stands for it
//!        │ 6 │ 4 5 6│ 4│
//!          9 │ 7 8 9│ 7
//!        │   └──────┘  │
//!          3 1 2  3  1
//!        └ ─ ─ ─ ─ ─ ─ ┘
//! ```

use rayon::prelude::*;

/// A margin around a map (H × W × C).
#[derive(Clone, Debug)]
pub(super) struct Margin {
    /// (H, W).
    pub size: (usize, usize),
    /// Rows above and below, columns left and right.
    pub margin: [usize; 2],
    pub channels: usize,
}

impl Margin {
    /// Elements of the map with its margin.
    pub fn elements(&self) -> usize {
        (self.size.0 + 2 * self.margin[0]) * self.row()
    }

    /// Elements of a row with its margin.
    fn row(&self) -> usize {
        (self.size.1 + 2 * self.margin[1]) * self.channels
    }

    /// The map with its margin.
    pub fn spread(&self, x: &[f32], wide: &mut [f32]) {
        let Margin { size: (height, width), margin, channels } = *self;
        assert_eq!(x.len(), height * width * channels, "elements of the map to resample");
        wide.par_chunks_exact_mut(self.row()).enumerate().for_each(|(i, wide)| {
            let x = &x[inside(i, margin[0], height) * width * channels..][..width * channels];
            for (j, wide) in wide.chunks_exact_mut(channels).enumerate() {
                wide.copy_from_slice(&x[inside(j, margin[1], width) * channels..][..channels]);
            }
        });
    }

    /// `d_x ← β·d_x +` what comes back through [`Margin::spread`]. With β = 0 d_x is not read.
    pub fn fold(&self, wide: &[f32], beta: f32, d_x: &mut [f32]) {
        let Margin { size: (height, width), margin, channels } = *self;
        assert_eq!(d_x.len(), height * width * channels, "elements of the map to resample");
        d_x.par_chunks_exact_mut(width * channels).enumerate().for_each(|(i, d_x)| {
            if beta == 0.0 {
                d_x.fill(0.0);
            } else {
                d_x.iter_mut().for_each(|d| *d *= beta);
            }
            let copies = (0..height + 2 * margin[0]).filter(|&row| inside(row, margin[0], height) == i);
            for wide in copies.map(|row| &wide[row * self.row()..][..self.row()]) {
                for (j, wide) in wide.chunks_exact(channels).enumerate() {
                    let d = &mut d_x[inside(j, margin[1], width) * channels..][..channels];
                    d.iter_mut().zip(wide).for_each(|(d, wide)| *d += wide);
                }
            }
        });
    }
}

/// The index that a place of the wider axis stands for.
fn inside(place: usize, margin: usize, length: usize) -> usize {
    (place + length - margin % length) % length
}
