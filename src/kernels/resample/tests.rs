use proptest::prelude::*;

use super::*;

/// Numbers in [−1, 1) that repeat late.
fn numbers(length: usize, step: usize) -> Vec<f32> {
    (0..length).map(|i| ((i * step + 11) % 2039) as f32 / 1019.5 - 1.0).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn applied(resample: &Resample, x: &[f32], length: usize) -> Vec<f32> {
    let mut y = vec![f32::NAN; length];
    resample.apply(x, &mut y);
    y
}

fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn a_row_of_two_pixels_becomes_four() {
    let resample = Resample::new(Interpolation::Bilinear, (1, 2), (1, 4), 3);
    let y = applied(&resample, &[0.0, 4.0, 8.0, 4.0, 0.0, 8.0], 12);
    assert_eq!(y, [0.0, 4.0, 8.0, 1.0, 3.0, 8.0, 3.0, 1.0, 8.0, 4.0, 0.0, 8.0]);
    let mut d_x = vec![f32::NAN; 6];
    // Every weight once: each pixel of the old size has 1 + 3/4 + 1/4 of the new one's.
    resample.adjoint(&[1.0; 12], 0.0, &mut d_x);
    assert_eq!(d_x, [2.0; 6]);
}

#[test]
fn axes_may_differ_in_direction() {
    // Two rows become one, two columns four.
    let resample = Resample::new(Interpolation::Antialiased, (2, 2), (1, 4), 1);
    assert_eq!(applied(&resample, &[0.0, 4.0, 2.0, 10.0], 4), [1.0, 2.5, 5.5, 7.0]);
}

#[test]
fn what_is_added_and_what_is_kept() {
    for (from, to) in [((4, 5), (9, 7)), ((9, 7), (4, 5))] {
        let resample = Resample::new(Interpolation::Bilinear, from, to, 3);
        let (short, long) = (3 * from.0 * from.1, 3 * to.0 * to.1);
        let (x, base) = (numbers(short, 613), numbers(long, 31));
        let mut sum = vec![f32::NAN; long];
        resample.apply_add(&x, &base, &mut sum);
        let expected = applied(&resample, &x, long);
        assert!(sum.iter().zip(expected.iter().zip(&base)).all(|(s, (e, b))| (s - (e + b)).abs() < 1e-6));

        let mut alone = vec![f32::NAN; short];
        resample.adjoint(&base, 0.0, &mut alone);
        let mut onto = x.clone();
        resample.adjoint(&base, 0.5, &mut onto);
        assert!(onto.iter().zip(alone.iter().zip(&x)).all(|(o, (a, x))| (o - (a + 0.5 * x)).abs() < 1e-6));
    }
}

#[test]
fn three_channels_are_three_maps_of_one() {
    for (from, to) in [((5, 4), (11, 9)), ((11, 9), (5, 4))] {
        for kind in Interpolation::ALL {
            let x = numbers(3 * from.0 * from.1, 613);
            let together = applied(&Resample::new(kind, from, to, 3), &x, 3 * to.0 * to.1);
            let single = Resample::new(kind, from, to, 1);
            for channel in 0..3 {
                let x: Vec<f32> = x.iter().skip(channel).step_by(3).copied().collect();
                let y = applied(&single, &x, to.0 * to.1);
                let found = together.iter().skip(channel).step_by(3);
                assert!(found.zip(&y).all(|(a, b)| (a - b).abs() < 1e-6), "{kind:?} {from:?} to {to:?}");
            }
        }
    }
}

#[test]
fn every_number_of_threads_gives_the_same_bytes() {
    for (from, to) in [((61, 37), (122, 75)), ((122, 75), (61, 37)), ((40, 90), (75, 45))] {
        let resample = Resample::new(Interpolation::Antialiased, from, to, 3);
        let (x, d_y) = (numbers(3 * from.0 * from.1, 613), numbers(3 * to.0 * to.1, 7919));
        let run = |threads| {
            with_threads(threads, || {
                let mut d_x = x.clone();
                resample.adjoint(&d_y, 1.0, &mut d_x);
                (applied(&resample, &x, d_y.len()), d_x)
            })
        };
        let alone = run(1);
        assert!(alone.0.iter().all(|y| y.is_finite()));
        assert!(run(2) == alone && run(3) == alone, "{from:?} to {to:?}");
    }
}

#[test]
fn blurring_keeps_the_mean_of_what_is_far_from_the_border() {
    let mut x = vec![0.0; 31 * 33];
    x[15 * 33 + 16] = 1.0;
    let y = applied(&Resample::blur((31, 33), 1, 2.0, 7), &x, x.len());
    assert!((y.iter().map(|&y| f64::from(y)).sum::<f64>() - 1.0).abs() < 1e-6);
    let variance: f64 = (0..33).map(|j| f64::from(y[15 * 33 + j]) * (j as f64 - 16.0).powi(2)).sum::<f64>()
        / (0..33).map(|j| f64::from(y[15 * 33 + j])).sum::<f64>();
    // Cut at 3½ deviations, a Gaussian of variance 4 has 0.4 % less.
    assert!((variance - 4.0).abs() < 0.03, "{variance}");
}

proptest! {
    #[test]
    fn the_adjoint_is_the_adjoint(
        from in (1usize..40, 1usize..40), to in (1usize..40, 1usize..40), channels in 1usize..5,
    ) {
        for kind in Interpolation::ALL {
            let resample = Resample::new(kind, from, to, channels);
            let (x, d_y) = (numbers(channels * from.0 * from.1, 613), numbers(channels * to.0 * to.1, 1217));
            let y = applied(&resample, &x, d_y.len());
            let mut d_x = vec![f32::NAN; x.len()];
            resample.adjoint(&d_y, 0.0, &mut d_x);
            let (left, right) = (dot(&y, &d_y), dot(&x, &d_x));
            // Each element rounds a few times by 6e-8 of numbers around 1.
            let scale = (dot(&y, &y) * dot(&d_y, &d_y)).sqrt() + (dot(&x, &x) * dot(&d_x, &d_x)).sqrt();
            prop_assert!((left - right).abs() <= 1e-6 * scale, "{:?}: {} against {}", kind, left, right);
        }
    }

    #[test]
    fn constants_are_kept(
        from in (1usize..40, 1usize..40), to in (1usize..40, 1usize..40), channels in 1usize..5, level in -2.0f32..2.0,
    ) {
        for kind in Interpolation::ALL {
            let resample = Resample::new(kind, from, to, channels);
            let y = applied(&resample, &vec![level; channels * from.0 * from.1], channels * to.0 * to.1);
            prop_assert!(y.iter().all(|y| (y - level).abs() <= 1e-6), "{:?}", kind);
        }
        let y = applied(&Resample::blur(from, channels, 2.0, 7), &vec![level; channels * from.0 * from.1],
            channels * from.0 * from.1);
        prop_assert!(y.iter().all(|y| (y - level).abs() <= 2e-6));
    }
}

#[test]
fn an_area_keeps_the_mean_and_every_pixel_has_its_part() {
    // Five pixels in two: 1, 2, half of 3 | half of 3, 4, 5.
    let mut two = [0.0; 2];
    Resample::area((1, 5), (1, 2), 1).apply(&[1.0, 2.0, 3.0, 4.0, 5.0], &mut two);
    assert!((two[0] - 1.8).abs() < 1e-6 && (two[1] - 4.2).abs() < 1e-6, "{two:?}");
    for (from, to) in [((37, 45), (18, 22)), ((64, 48), (4, 3)), ((17, 9), (16, 1)), ((20, 30), (20, 30))] {
        for at in [0, from.0 * from.1 / 2, from.0 * from.1 - 1] {
            let mut dot = vec![0.0; from.0 * from.1];
            dot[at] = 1.0;
            let mut small = vec![f32::NAN; to.0 * to.1];
            Resample::area(from, to, 1).apply(&dot, &mut small);
            let (sum, part) = (small.iter().sum::<f32>(), (to.0 * to.1) as f32 / (from.0 * from.1) as f32);
            assert!((sum - part).abs() < 1e-5 * part, "{from:?} {to:?} {at}: {sum} of {part}");
        }
    }
    // What grows stays in range, and a ramp stays one.
    let mut grown = [0.0; 4];
    Resample::area((2, 1), (4, 1), 1).apply(&[0.0, 1.0], &mut grown);
    assert_eq!(grown, [0.0, 0.25, 0.75, 1.0]);
}

/// Element (i, j, c) of a map that is shifted down and to the right, around its edges.
fn shifted(map: &[f32], (height, width): (usize, usize), channels: usize, (down, right): (usize, usize)) -> Vec<f32> {
    let at = |k: usize| {
        let (i, j, c) = (k / channels / width, k / channels % width, k % channels);
        let (i, j) = ((i + height - down % height) % height, (j + width - right % width) % width);
        map[(i * width + j) * channels + c]
    };
    (0..map.len()).map(at).collect()
}

#[test]
fn around_the_edges_a_shifted_map_makes_a_shifted_map() {
    for channels in [1, 3] {
        let numbers = |n: usize| (0..n * channels).map(|i| ((i * 613 + 7) % 1021) as f32 / 1021.0).collect::<Vec<_>>();
        // Up and down by two, and by three to four: a shift by whole pixels of both.
        for ((from, to), (here, there)) in [
            (((6, 8), (12, 16)), ((1, 3), (2, 6))),
            (((12, 16), (6, 8)), ((2, 6), (1, 3))),
            (((6, 9), (8, 12)), ((3, 6), (4, 8))),
            (((2, 1), (4, 2)), ((1, 0), (2, 0))),
        ] {
            for kind in Interpolation::ALL {
                let resample = Resample::around(kind, from, to, channels);
                let apply = |x: &[f32]| {
                    let mut y = vec![f32::NAN; to.0 * to.1 * channels];
                    resample.apply(x, &mut y);
                    y
                };
                let x = numbers(from.0 * from.1);
                let found = apply(&shifted(&x, from, channels, here));
                let expected = shifted(&apply(&x), to, channels, there);
                let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 2e-6, "{kind:?} {from:?} {to:?}: {worst}");
            }
        }
        let blur = Resample::blur_around((5, 7), channels, 2.0, 3);
        let apply = |x: &[f32]| {
            let mut y = vec![f32::NAN; x.len()];
            blur.apply(x, &mut y);
            y
        };
        let x = numbers(35);
        let pairs = apply(&shifted(&x, (5, 7), channels, (2, 4)));
        let expected = shifted(&apply(&x), (5, 7), channels, (2, 4));
        assert!(pairs.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-6));
    }
}

#[test]
fn inside_of_it_nothing_differs_and_the_adjoint_is_one() {
    let numbers = |n: usize, step: usize| (0..n).map(|i| ((i * step) % 1021) as f32 / 1021.0 - 0.5).collect::<Vec<_>>();
    for kind in Interpolation::ALL {
        for (from, to) in [((10, 12), (20, 24)), ((20, 24), (10, 12)), ((9, 12), (12, 16)), ((3, 2), (5, 7))] {
            let (around, plain) = (Resample::around(kind, from, to, 3), Resample::new(kind, from, to, 3));
            let (x, d_y) = (numbers(from.0 * from.1 * 3, 613), numbers(to.0 * to.1 * 3, 31));
            let (mut y, mut open) = (vec![f32::NAN; d_y.len()], vec![f32::NAN; d_y.len()]);
            around.apply(&x, &mut y);
            plain.apply(&x, &mut open);
            // Windows reach four pixels of the larger size at most.
            let inner = |side: usize| 5..side.saturating_sub(5).max(5);
            for (i, j) in inner(to.0).flat_map(|i| inner(to.1).map(move |j| (i, j))) {
                let k = (i * to.1 + j) * 3;
                assert!((y[k] - open[k]).abs() < 1e-6, "{kind:?} {from:?} {to:?} {i} {j}");
            }
            let mut d_x = vec![1.0; x.len()];
            around.adjoint(&d_y, 0.5, &mut d_x);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let before: f64 = x.iter().map(|x| 0.5 * f64::from(*x)).sum();
            let (forth, back) = (dot(&y, &d_y), dot(&x, &d_x) - before);
            assert!((forth - back).abs() < 1e-4 * forth.abs().max(1.0), "{kind:?} {from:?} {to:?}: {forth} {back}");
        }
    }
}
