//! What becomes of L-BFGS when the caller brings its points back into a box.

use super::*;

/// Projected gradient, accelerated, run until it has long converged.
fn solution_in_the_box(q: &Quadratic, condition: f64) -> Vec<f64> {
    let mut x = vec![0.5; q.c.len()];
    let mut z = x.clone();
    let momentum = (condition.sqrt() - 1.0) / (condition.sqrt() + 1.0);
    for _ in 0..(60.0 * condition.sqrt()) as usize {
        let g = q.gradient(&z);
        let next: Vec<f64> = z.iter().zip(&g).map(|(z, g)| (z - g / condition).clamp(0.0, 1.0)).collect();
        z = next.iter().zip(&x).map(|(next, x)| next + momentum * (next - x)).collect();
        x = next;
    }
    x
}

#[test]
fn in_a_box_it_ends_where_a_long_projected_gradient_descent_ends() {
    let (n, condition) = (64, 1e3);
    let mut evaluations = 0;
    for seed in 0..10 {
        let q = Quadratic::random(n, condition, -0.5..1.5, seed);
        let expected = solution_in_the_box(&q, condition);
        assert!(expected.iter().filter(|&&x| x == 0.0 || x == 1.0).count() > n / 4, "the box matters");
        let exact = LbfgsOptions { noise: 1e-9, ..OPTIONS };
        let found = run(Lbfgs::new(exact, n), vec![0.5; n], |x| q.evaluate(x), clamp, f64::NEG_INFINITY, false);
        let least = found.losses.last().unwrap().0;
        let near = |l: &&(f64, u32)| l.0 - least < 1e-6 * (found.losses[0].0 - least);
        evaluations += found.losses.iter().find(near).unwrap().1;
        // Smallest curvature 1: a loss known to 1e-9 of about a thousand leaves x this uncertain.
        let close = |(x, e): (&f32, &f64)| (f64::from(*x) - e).abs() < 2e-3;
        assert!(found.x.iter().zip(&expected).all(close), "seed {seed}");
        // Karush, Kuhn and Tucker: at the edge the gradient points out of the box, elsewhere it is 0 but for rounding.
        let g = q.evaluate(&found.x).1;
        let ends = |(&x, &g): (&f32, &f32)| match x {
            0.0 => g > -0.2,
            1.0 => g < 0.2,
            _ => g.abs() < 0.2,
        };
        assert!(found.x.iter().zip(&g).all(ends), "seed {seed}");
    }
    println!("box: {} evaluations on average", evaluations / 10);
    assert!(evaluations < 10 * 80, "{evaluations}");
}

#[test]
fn everything_at_the_edge_is_the_end() {
    // Towards (1, 0), from there and from elsewhere.
    for start in [[1.0, 0.0], [0.3, 0.8]] {
        let linear = |x: &[f32]| (f64::from(x[1] - x[0]), vec![-1.0, 1.0]);
        let found = run(Lbfgs::new(OPTIONS, 2), start.to_vec(), linear, clamp, f64::NEG_INFINITY, false);
        assert_eq!(found.x, [1.0, 0.0]);
        assert!(found.evaluations < 12, "{}", found.evaluations);
    }
}

/// Pixels are a coarse value and a fine one added up; what leaves the box is taken out of the fine one, and what would
/// drive a pixel out of it is taken out of the gradient.
#[test]
fn a_projection_that_moves_one_coordinate_for_another_is_followed_to_the_end() {
    let n = 8;
    let wanted = |i: usize| -0.4 + 0.3 * i as f32;
    let evaluate = |x: &[f32]| {
        let error = |i: usize| x[i / 4] + x[2 + i] - wanted(i);
        let weight = |i: usize| (1 + i) as f32;
        let loss = (0..n).map(|i| f64::from(0.5 * weight(i) * error(i) * error(i))).sum::<f64>();
        let pixel = |i: usize| {
            let (x, g) = (x[i / 4] + x[2 + i], weight(i) * error(i));
            if (x <= 0.0 && g > 0.0) || (x >= 1.0 && g < 0.0) { 0.0 } else { g }
        };
        let fine = (0..n).map(pixel);
        let coarse = (0..2).map(|j| (4 * j..4 * j + 4).map(pixel).sum());
        (loss, coarse.chain(fine).collect())
    };
    let project = |x: &mut [f32]| (0..n).for_each(|i| x[2 + i] = (x[i / 4] + x[2 + i]).clamp(0.0, 1.0) - x[i / 4]);
    let mut start = vec![0.0; 2 + n];
    start[..2].copy_from_slice(&[0.5, 0.5]);
    let found = run(Lbfgs::new(OPTIONS, 2 + n), start, evaluate, project, f64::NEG_INFINITY, false);
    for i in 0..n {
        let pixel = found.x[i / 4] + found.x[2 + i];
        // A loss of about 1 that is known to 4e-6 leaves a pixel of weight 1 this uncertain.
        assert!((pixel - wanted(i).clamp(0.0, 1.0)).abs() < 3e-3, "pixel {i}: {pixel} instead of {}", wanted(i));
    }
    let least = found.losses.last().unwrap().0;
    let near = found.losses.iter().find(|l| l.0 < least * (1.0 + 1e-4)).unwrap().1;
    println!("pyramid: {near} evaluations, {} until that was all", found.evaluations);
    assert!(near < 150, "{near}");
}
