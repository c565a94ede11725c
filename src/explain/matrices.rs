//! What style is: each layer's Gram or covariance matrix of three pictures, and two channels that agree.

use ndarray::{Array1, Array2, s};

use super::features::look;
use super::report::{Matrices, OfThree, Pair, Statistic as Told};
use super::{Seen, by_depth, images};
use crate::kernels::gram::moments;
use crate::objective::Statistic;
use crate::tensor::FeatureMap;
use crate::vgg::Layer;

/// Channels of a layer that are shown.
const SHOWN: usize = 48;

/// The fourth section; `first` is what the run began with.
pub(super) fn statistic(seen: &Seen<'_>, first: &FeatureMap, point: &FeatureMap) -> Told {
    let goal = &seen.plan.goal;
    let centred = matches!(goal.statistic, Statistic::Wasserstein | Statistic::Covariance | Statistic::MeanStd);
    let layers: Vec<Layer> = by_depth(&goal.style_layers).iter().map(|l| l.layer).collect();
    let matrices = |picture: &FeatureMap| -> Vec<Array2<f64>> {
        let all = look(seen.viewer.vgg(), picture, |layer, map| {
            layers.contains(&layer).then(|| second_moments(&map, centred))
        });
        all.into_iter().filter_map(|(_, matrix)| matrix).collect()
    };
    let (content, style) = (seen.content(), seen.style());
    let [of_style, start, end] = [&style, first, point].map(matrices);
    let compared = of_style.iter().zip(&start).zip(&end).map(|((style, start), end)| compare(style, [start, end]));
    let compared: Vec<_> = compared.collect();
    let pairs: Vec<[usize; 2]> = compared.iter().map(|compared| compared.pair).collect();
    let places = |picture: &FeatureMap| -> Vec<FeatureMap> {
        let all = look(seen.viewer.vgg(), picture, |layer, map| {
            layers.iter().position(|&l| l == layer).map(|index| both(&map, pairs[index]))
        });
        all.into_iter().filter_map(|(_, map)| map).collect()
    };
    let [of_content, of_style, of_result] = [&content, &style, point].map(places);
    let rows = layers.iter().zip(compared).zip(of_content.iter().zip(&of_style).zip(&of_result));
    let rows = rows.map(|((layer, compared), ((content, style), result))| {
        let most = [content, style, result].iter().flat_map(|map| map.as_slice()).fold(0f32, |a, &b| a.max(b));
        let grey = |map: &FeatureMap| images::shown_grey(map, most);
        Matrices {
            layer: layer.to_string(),
            channels: compared.channels,
            shown: compared.shown,
            style: compared.style,
            start: compared.others[0].clone(),
            end: compared.others[1].clone(),
            pair: Pair {
                channels: compared.pair,
                agreement: compared.agreement,
                places: OfThree { content: grey(content), style: grey(style), result: grey(result) },
            },
        }
    });
    Told { of: if centred { "covariance" } else { "gram" }.into(), layers: rows.collect() }
}

/// FᵀF/M, without the means' part if `centred`.
fn second_moments(map: &FeatureMap, centred: bool) -> Array2<f64> {
    let (pixels, channels) = (map.pixels() as f64, map.channels());
    let sums = moments(map).mapv(f64::from) / pixels;
    let matrix = sums.slice(s![..channels, ..]).to_owned();
    if !centred {
        return matrix;
    }
    let mean: Array1<f64> = sums.row(channels).to_owned();
    let column = mean.view().insert_axis(ndarray::Axis(1));
    matrix - column.dot(&column.t())
}

/// Matrices of the channels that are shown, in units of the style's own diagonal.
struct Compared {
    channels: usize,
    shown: Vec<usize>,
    style: Vec<f32>,
    others: [Vec<f32>; 2],
    pair: [usize; 2],
    agreement: f32,
}

fn compare(style: &Array2<f64>, others: [&Array2<f64>; 2]) -> Compared {
    let diagonal = style.diag().to_owned();
    let mut strongest: Vec<usize> = (0..diagonal.len()).filter(|&c| diagonal[c] > 0.0).collect();
    strongest.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    strongest.truncate(SHOWN);
    let entry = |matrix: &Array2<f64>, i: usize, j: usize| (matrix[[i, j]] / (diagonal[i] * diagonal[j]).sqrt()) as f32;
    // A chain in which each is followed by the one that agrees with it most.
    let mut shown = Vec::with_capacity(strongest.len());
    while !strongest.is_empty() {
        let next = match shown.last() {
            None => 0,
            Some(&last) => {
                let agreement = |&i: &usize| entry(style, last, strongest[i]);
                (0..strongest.len()).max_by(|a, b| agreement(a).total_cmp(&agreement(b))).expect("some are left")
            }
        };
        shown.push(strongest.remove(next));
    }
    let rows = |matrix: &Array2<f64>| {
        shown.iter().flat_map(|&i| shown.iter().map(move |&j| (i, j))).map(|(i, j)| entry(matrix, i, j)).collect()
    };
    let pairs = shown.iter().enumerate().flat_map(|(at, &i)| shown[at + 1..].iter().map(move |&j| [i, j]));
    let agreement = |pair: &[usize; 2]| entry(style, pair[0], pair[1]);
    let pair = pairs.max_by(|a, b| agreement(a).total_cmp(&agreement(b))).unwrap_or([0, 0]);
    let agreement = if shown.len() > 1 { agreement(&pair) } else { 0.0 };
    Compared { channels: diagonal.len(), style: rows(style), others: others.map(rows), pair, agreement, shown }
}

/// √(F_a F_b): where two channels are active.
fn both(map: &FeatureMap, [a, b]: [usize; 2]) -> FeatureMap {
    let values = map.as_slice().chunks_exact(map.channels()).map(|pixel| (pixel[a] * pixel[b]).max(0.0).sqrt());
    FeatureMap::from_vec(map.height(), map.width(), 1, values.collect())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_paintings_own_diagonal_is_one_and_neighbours_agree() {
        // Channels 0 and 2 go together, 1 is by itself, 3 is silent.
        let style = array![[4.0, 0.0, 5.4, 0.0], [0.0, 1.0, 0.3, 0.0], [5.4, 0.3, 9.0, 0.0], [0.0, 0.0, 0.0, 0.0]];
        let other = &style * 2.0;
        let found = compare(&style, [&style, &other]);
        assert_eq!((found.channels, &found.shown[..], found.pair), (4, &[2, 0, 1][..], [2, 0]));
        assert!((found.agreement - 0.9).abs() < 1e-6);
        assert_eq!([found.style[0], found.style[4], found.style[8]], [1.0; 3]);
        assert_eq!((&found.others[0], found.others[1][0]), (&found.style, 2.0));
    }

    #[test]
    fn covariances_are_without_the_means() {
        let map = FeatureMap::from_vec(1, 2, 2, vec![1.0, 4.0, 3.0, 4.0]);
        assert_eq!(second_moments(&map, false), array![[5.0, 8.0], [8.0, 16.0]]);
        assert_eq!(second_moments(&map, true), array![[1.0, 0.0], [0.0, 0.0]]);
    }
}
