use proptest::prelude::*;

use super::*;

const KINDS: [CanvasKind; 2] = [CanvasKind::Pixels, CanvasKind::Pyramid];

/// Numbers in [low, low + 1) that repeat late.
fn numbers(length: usize, step: usize, low: f32) -> Vec<f32> {
    (0..length).map(|i| ((i * step + 11) % 2039) as f32 / 2039.0 + low).collect()
}

fn picture(height: usize, width: usize) -> FeatureMap {
    FeatureMap::from_vec(height, width, CHANNELS, numbers(CHANNELS * height * width, 613, 0.0))
}

fn unread(height: usize, width: usize) -> FeatureMap {
    FeatureMap::from_vec(height, width, CHANNELS, vec![f32::NAN; CHANNELS * height * width])
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn sizes(canvas: &Canvas) -> Vec<(usize, usize)> {
    canvas.levels.iter().map(Level::size).collect()
}

#[test]
fn levels_halve_until_they_are_small() {
    assert_eq!(sizes(&Canvas::new(CanvasKind::Pixels, 512, 512)), [(512, 512)]);
    assert_eq!(sizes(&Canvas::new(CanvasKind::Pyramid, 37, 45)), [(37, 45), (18, 22), (9, 11), (4, 5), (2, 2)]);
    assert_eq!(sizes(&Canvas::new(CanvasKind::Pyramid, 3, 900)), [(3, 900)]);
    let large = Canvas::new(CanvasKind::Pyramid, 1024, 2048);
    assert_eq!((large.levels.len(), sizes(&large)[7]), (8, (8, 16)));
    assert_eq!(large.levels().iter().map(|level| level.range().len()).sum::<usize>(), large.variables());
}

#[test]
fn one_coarse_coefficient_lifts_the_whole_picture() {
    let canvas = Canvas::new(CanvasKind::Pyramid, 6, 4);
    assert_eq!(sizes(&canvas), [(6, 4), (3, 2)]);
    let mut theta = vec![0.0; canvas.variables()];
    theta[canvas.levels[1].range()].fill(0.25);
    let mut x = unread(6, 4);
    canvas.decode(&theta, &mut x);
    assert_eq!(x.as_slice(), [0.25; 72]);
}

#[test]
fn what_was_cut_off_is_taken_from_the_finest_level() {
    let canvas = Canvas::new(CanvasKind::Pyramid, 4, 4);
    let mut theta = vec![0.0; canvas.variables()];
    theta[canvas.levels[1].range()].fill(0.75);
    theta[..3].copy_from_slice(&[0.5, -1.0, 0.125]);
    let mut x = unread(4, 4);
    canvas.clamp(&mut theta, &mut x);
    assert_eq!(x.as_slice()[..4], [1.0, 0.0, 0.875, 0.75]);
    assert_eq!(theta[..4], [0.25, -0.75, 0.125, 0.0]);
}

#[test]
fn levels_are_resized_counted_from_the_finest() {
    let (small, large) = (Canvas::new(CanvasKind::Pyramid, 6, 9), Canvas::new(CanvasKind::Pyramid, 12, 15));
    assert_eq!((small.levels.len(), large.levels.len()), (2, 3));
    let mut theta = vec![1.0; small.variables()];
    theta[small.levels[1].range()].fill(2.0);
    let resized = small.resize(theta.clone(), &large, Interpolation::Bilinear);
    let level = |l: usize| &resized[large.levels[l].range()];
    assert!(level(0).iter().all(|&v| v == 1.0) && level(1).iter().all(|&v| v == 2.0));
    assert!(level(2).iter().all(|&v| v == 0.0), "the smaller canvas has no third level");
    assert_eq!(large.resize(resized, &small, Interpolation::Bilinear), theta);
}

#[test]
fn every_number_of_threads_gives_the_same_bytes() {
    let canvas = Canvas::new(CanvasKind::Pyramid, 151, 93);
    let run = |threads| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        threads.install(|| {
            let mut theta = canvas.encode(&picture(151, 93));
            theta.iter_mut().for_each(|t| *t *= 1.5);
            let mut x = unread(151, 93);
            canvas.clamp(&mut theta, &mut x);
            let d_theta = canvas.pull_back(x.clone());
            (theta, x, d_theta)
        })
    };
    let alone = run(1);
    assert!(alone.2.iter().all(|d| d.is_finite()));
    assert!(run(2) == alone && run(3) == alone);
}

proptest! {
    #[test]
    fn pulling_back_is_the_adjoint_of_decoding(height in 1usize..70, width in 1usize..70) {
        for kind in KINDS {
            let canvas = Canvas::new(kind, height, width);
            let (theta, d_x) = (numbers(canvas.variables(), 1217, -0.5), picture(height, width));
            let mut x = unread(height, width);
            canvas.decode(&theta, &mut x);
            let mut room = canvas.gradient(vec![f32::NAN; 7]);
            room.as_mut_slice().copy_from_slice(d_x.as_slice());
            let d_theta = canvas.pull_back(room);
            let (left, right) = (dot(x.as_slice(), d_x.as_slice()), dot(&theta, &d_theta));
            // Each element rounds a few times by 6e-8 of what it sums.
            let norm = |v: &[f32]| dot(v, v).sqrt();
            let scale = norm(x.as_slice()) * norm(d_x.as_slice()) + norm(&theta) * norm(&d_theta);
            prop_assert!((left - right).abs() <= 1e-6 * scale, "{:?}: {} against {}", kind, left, right);
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_itself(height in 1usize..70, width in 1usize..70) {
        for kind in KINDS {
            let canvas = Canvas::new(kind, height, width);
            let (picture, mut x) = (picture(height, width), unread(height, width));
            canvas.decode(&canvas.encode(&picture), &mut x);
            // A difference taken and added again, at each level.
            let pairs = x.as_slice().iter().zip(picture.as_slice());
            prop_assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 5e-7), "{:?}", kind);
        }
    }

    #[test]
    fn clamping_leaves_a_picture_in_range_that_the_variables_decode_to(height in 1usize..70, width in 1usize..70) {
        for kind in KINDS {
            let canvas = Canvas::new(kind, height, width);
            let mut theta = numbers(canvas.variables(), 1217, -0.5);
            let (mut x, mut again) = (unread(height, width), unread(height, width));
            canvas.clamp(&mut theta, &mut x);
            prop_assert!(x.as_slice().iter().all(|x| (0.0..=1.0).contains(x)));
            canvas.decode(&theta, &mut again);
            let pairs = x.as_slice().iter().zip(again.as_slice());
            // The coefficients' sums are below 4.
            prop_assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 5e-7), "{:?}", kind);
        }
    }
}
