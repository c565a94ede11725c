//! How lively a layer is: what DeepDream makes grow.

use ndarray::{Array2, ArrayD};

use super::{Distance, Measure, Sums, Target, TargetOptions};

/// Minus the mean square of a layer's features, `−1/(MN) Σ F²`, or of one channel's, `−1/M Σ f_c²`: the less, the more is
/// to be seen of what the layer answers to. It is a distance to nothing, and the style picture has no say in it.
///
/// Source: Mordvintsev, Olah & Tyka, *Inceptionism: Going Deeper into Neural Networks*, 2015, whose objective is the L2 norm
/// of a layer's activations.
pub(super) fn target(channel: Option<u16>) -> impl Fn(&Sums, TargetOptions) -> Box<dyn Target> {
    move |_, _| Box::new(Activation { channel: channel.map(usize::from) })
}

struct Activation {
    channel: Option<usize>,
}

impl Target for Activation {
    fn measure(&self, _: usize, _: usize) -> Measure {
        // Its trace is the sum of squares, its diagonal that of each channel.
        Measure::Gram
    }

    fn distance(&mut self, measured: &ArrayD<f32>, pixels: f64) -> Distance {
        let channels = measured.shape()[1];
        let counted = match self.channel {
            None => 0..channels,
            Some(channel) => channel..(channel + 1).min(channels),
        };
        let share = -1.0 / (pixels * counted.len().max(1) as f64);
        let value = counted.clone().map(|c| share * f64::from(measured[[c, c].as_slice()])).sum();
        let mut gradient = Array2::zeros((channels, channels));
        counted.for_each(|c| gradient[[c, c]] = share as f32);
        Distance { value, gradient: gradient.into_dyn() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sums;
    use super::*;

    #[test]
    fn the_mean_square_of_all_channels_or_of_one_by_hand() {
        let nothing = sums(4, 2, 1);
        let gram = ndarray::arr2(&[[8.0f32, 3.0], [3.0, 4.0]]).into_dyn();
        let of = |channel| target(channel)(&nothing, TargetOptions { refresh: 1 }).distance(&gram, 4.0);
        // Σ F² = 12 over 4 pixels of 2 channels; 4 over 4 pixels of one.
        assert_eq!((of(None).value, of(Some(1)).value), (-1.5, -1.0));
        assert_eq!(of(None).gradient, ndarray::arr2(&[[-0.125f32, 0.0], [0.0, -0.125]]).into_dyn());
        assert_eq!(of(Some(1)).gradient, ndarray::arr2(&[[0.0f32, 0.0], [0.0, -0.25]]).into_dyn());
    }
}
