use crate::state::{Found, Saved};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::optim::line_search::{C1, C2};

mod boxed;

const OPTIONS: LbfgsOptions = LbfgsOptions { history: 10, learning_rate: 1.0, noise: NOISE };

/// ½(x − c)ᵀA(x − c), A symmetric and positive definite.
struct Quadratic {
    a: Vec<Vec<f64>>,
    c: Vec<f64>,
}

impl Quadratic {
    /// Eigenvalues 1 … `condition` in a geometric row, random axes, c uniform in `range`.
    fn random(n: usize, condition: f64, range: std::ops::Range<f64>, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut a = vec![vec![0.0; n]; n];
        for (i, row) in a.iter_mut().enumerate() {
            row[i] = condition.powf(i as f64 / (n - 1) as f64);
        }
        // Reflections I − 2uuᵀ from both sides keep the eigenvalues and turn the axes.
        for _ in 0..4 {
            let u: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
            let square: f64 = u.iter().map(|u| u * u).sum();
            let reflect = |row: &mut Vec<f64>| {
                let product: f64 = row.iter().zip(&u).map(|(a, u)| a * u).sum();
                row.iter_mut().zip(&u).for_each(|(a, u)| *a -= 2.0 * product / square * u);
            };
            a.iter_mut().for_each(reflect);
            a = (0..n).map(|j| a.iter().map(|row| row[j]).collect()).collect();
            a.iter_mut().for_each(reflect);
        }
        let c = (0..n).map(|_| rng.random_range(range.clone())).collect();
        Quadratic { a, c }
    }

    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let e: Vec<f64> = x.iter().zip(&self.c).map(|(x, c)| x - c).collect();
        self.a.iter().map(|row| row.iter().zip(&e).map(|(a, e)| a * e).sum()).collect()
    }

    fn evaluate(&self, x: &[f32]) -> (f64, Vec<f32>) {
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let g = self.gradient(&x);
        let loss = 0.5 * g.iter().zip(x.iter().zip(&self.c)).map(|(g, (x, c))| g * (x - c)).sum::<f64>();
        (loss, g.into_iter().map(|g| g as f32).collect())
    }
}

/// The shape of a run: evaluations, and the loss of each iterate with their number so far.
struct Run {
    x: Vec<f32>,
    evaluations: u32,
    losses: Vec<(f64, u32)>,
}

/// Lets it run until the loss is at most `target` or there is no way down. Every iterate is held against the strong
/// Wolfe conditions if `wolfe`, with slopes of its own; and nothing that is asked for may be NaN.
fn run(
    mut optimizer: Lbfgs,
    mut x: Vec<f32>,
    evaluate: impl Fn(&[f32]) -> (f64, Vec<f32>),
    project: impl Fn(&mut [f32]),
    target: f64,
    wolfe: bool,
) -> Run {
    let mut losses = Vec::new();
    let mut last: Option<(Vec<f32>, f64, Vec<f32>)> = None;
    for evaluations in 1..=2000 {
        let (loss, g) = evaluate(&x);
        let told = x.clone();
        if optimizer.tell(&mut x, loss, &g) == Told::Accepted && !optimizer.finished() {
            assert_eq!(optimizer.iterate(), Some(&told[..]), "what was accepted is the iterate");
            if let (Some((x_k, loss_k, g_k)), true) = (&last, wolfe) {
                let along = |g: &[f32]| -> f64 {
                    let s = told.iter().zip(x_k).map(|(a, b)| f64::from(*a) - f64::from(*b));
                    s.zip(g).map(|(s, g)| s * f64::from(*g)).sum()
                };
                let (promise, slope) = (along(g_k), along(&g));
                assert!(promise < 0.0 && loss <= loss_k + C1 * promise, "{loss_k} → {loss}, promised {promise}");
                // s is rounded to f32 within, and its products cancel: a millionth.
                assert!(slope.abs() <= C2 * promise.abs() * (1.0 + 1e-6), "{slope} of {promise} is left");
            }
            losses.push((loss, evaluations));
            last = Some((told, loss, g));
        }
        project(&mut x);
        assert!(x.iter().all(|x| x.is_finite()), "asks for a point");
        let best = losses.last().map_or(f64::INFINITY, |l| l.0);
        if optimizer.finished() || best <= target {
            return Run { x: optimizer.iterate().expect("an iterate").to_vec(), evaluations, losses };
        }
    }
    panic!("still at {:?} after 2000 evaluations", losses.last());
}

fn clamp(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
}

fn free(_: &mut [f32]) {}

#[test]
fn a_quadratic_of_condition_10_000_takes_a_thirtieth_of_gradient_descents_evaluations() {
    let (n, condition) = (50, 1e4);
    for seed in 0..5 {
        let q = Quadratic::random(n, condition, -1.0..1.0, seed);
        let (start, _) = q.evaluate(&vec![0.0; n]);
        let target = 1e-5 * start;
        let exact = LbfgsOptions { noise: 0.0, ..OPTIONS };
        let found = run(Lbfgs::new(exact, n), vec![0.0; n], |x| q.evaluate(x), free, target, true);
        // Gradient descent with the best constant step, 2/(smallest + largest eigenvalue).
        let (mut x, mut descent) = (vec![0.0; n], 0);
        while 0.5 * q.gradient(&x).iter().zip(x.iter().zip(&q.c)).map(|(g, (x, c))| g * (x - c)).sum::<f64>() > target {
            let g = q.gradient(&x);
            x.iter_mut().zip(g).for_each(|(x, g)| *x -= 2.0 / (1.0 + condition) * g);
            descent += 1;
        }
        println!("quadratic: {} evaluations, gradient descent {descent}", found.evaluations);
        assert!(found.evaluations < 200 && found.evaluations * 30 < descent, "{} {descent}", found.evaluations);
    }
}

fn rosenbrock(x: &[f32]) -> (f64, Vec<f32>) {
    let (a, b) = (f64::from(x[0]), f64::from(x[1]));
    let (u, v) = (1.0 - a, b - a * a);
    (u * u + 100.0 * v * v, vec![(-2.0 * u - 400.0 * a * v) as f32, (200.0 * v) as f32])
}

#[test]
fn rosenbrocks_valley_takes_fewer_than_60_evaluations() {
    let exact = LbfgsOptions { noise: 0.0, ..OPTIONS };
    let found = run(Lbfgs::new(exact, 2), vec![-1.2, 1.0], rosenbrock, free, 1e-9, true);
    println!("rosenbrock: {} evaluations, {} iterates", found.evaluations, found.losses.len());
    assert!(found.evaluations < 60, "{}", found.evaluations);
    // f = 1e-9 is within 1e-4 of (1, 1) along the valley.
    assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-4), "{:?}", found.x);
}

#[test]
fn a_flat_function_is_accepted_and_not_moved_on() {
    let (mut optimizer, mut x) = (Lbfgs::new(OPTIONS, 3), [0.25, 0.5, 0.75]);
    for _ in 0..3 {
        assert_eq!(optimizer.tell(&mut x, 7.0, &[0.0; 3]), Told::Accepted);
        assert_eq!(x, [0.25, 0.5, 0.75]);
        assert!(optimizer.finished());
    }
}

#[test]
fn a_start_that_is_not_finite_is_left_alone_until_it_is() {
    let (mut optimizer, mut x) = (Lbfgs::new(OPTIONS, 1), [0.5]);
    for (loss, g) in [(f64::NAN, 1.0), (1.0, f32::NAN), (f64::INFINITY, f32::INFINITY)] {
        assert_eq!(optimizer.tell(&mut x, loss, &[g]), Told::Accepted);
        assert_eq!((x, optimizer.iterate()), ([0.5], None));
    }
    optimizer.tell(&mut x, 1.0, &[1.0]);
    assert!(x[0] < 0.5 && optimizer.iterate() == Some(&[0.5]));
}

/// x − ln x: beyond 0 there is nothing, and the first step of a thousand leads there.
#[test]
fn overshooting_into_nothing_is_survived() {
    for nonsense in [f64::NAN, f64::INFINITY] {
        let barrier = |x: &[f32]| {
            let inside = x.iter().all(|&x| x > 0.0);
            let loss = x.iter().map(|&x| f64::from(x) - f64::from(x).ln()).sum();
            let g = x.iter().map(|&x| 1.0 - 1.0 / x).collect();
            if inside { (loss, g) } else { (nonsense, vec![nonsense as f32; x.len()]) }
        };
        let options = LbfgsOptions { learning_rate: 1e3, ..OPTIONS };
        let found = run(Lbfgs::new(options, 2), vec![3.0, 9.0], barrier, free, 2.0 + 1e-6, false);
        assert!(found.evaluations < 40, "{}", found.evaluations);
    }
}

/// A mean over many pixels has gradients so small that PyTorch's first step is lost in `f32`.
#[test]
fn gradients_of_a_billionth_are_followed() {
    let n = 40;
    let q = Quadratic::random(n, 100.0, 0.2..0.8, 3);
    let tiny = |x: &[f32]| {
        let (loss, g) = q.evaluate(x);
        (loss * 1e-10, g.into_iter().map(|g| g * 1e-10).collect())
    };
    let target = 1e-5 * tiny(&vec![0.5; n]).0;
    let found = run(Lbfgs::new(OPTIONS, n), vec![0.5; n], tiny, clamp, target, false);
    assert!(found.evaluations < 60, "{}", found.evaluations);
}

#[test]
fn noise_at_the_end_is_recognised() {
    let n = 30;
    for seed in 0..10 {
        let q = Quadratic::random(n, 100.0, 0.0..1.0, seed);
        let noisy = |x: &[f32]| {
            let (loss, g) = q.evaluate(x);
            let random =
                x.iter().fold(seed, |hash, x| hash.wrapping_mul(6_364_136_223_846_793_005) ^ u64::from(x.to_bits()));
            let loss = 1.0 + loss;
            (loss * (1.0 + 1e-6 * ((random >> 11) as f64 / (1u64 << 52) as f64 - 1.0)), g)
        };
        let found = run(Lbfgs::new(OPTIONS, n), vec![0.0; n], noisy, free, f64::NEG_INFINITY, false);
        // As low as can be seen, and over soon: a search is 2 evaluations, but the last few that fail.
        assert!(found.losses.last().unwrap().0 < 1.0 + 2.0 * NOISE && found.evaluations < 300, "{}", found.evaluations);
    }
}

#[test]
fn a_copy_made_in_the_middle_of_a_search_goes_on_in_the_same_way() {
    let (mut optimizer, mut x) = (Lbfgs::new(LbfgsOptions { history: 3, ..OPTIONS }, 2), vec![-1.2, 1.0]);
    let mut trials = 0;
    for _ in 0..40 {
        // As a file has it: no digit is lost on the way.
        let mut saved = Saved::default();
        optimizer.save(&mut saved);
        let found = Found::parse(saved.to_bytes(&Default::default()).unwrap()).unwrap();
        let mut copy = Lbfgs::load(LbfgsOptions { history: 3, ..OPTIONS }, 2, &found).unwrap();
        assert_eq!(copy, optimizer);
        let (mut other, (loss, g)) = (x.clone(), rosenbrock(&x));
        let told = optimizer.tell(&mut x, loss, &g);
        assert_eq!(copy.tell(&mut other, loss, &g), told);
        assert_eq!((&copy, &other), (&optimizer, &x));
        trials += u32::from(told == Told::Trial);
    }
    assert!(trials > 3, "there were searches with a middle");
}

#[test]
fn every_number_of_threads_gives_the_same_bytes() {
    let n = 3 * BLOCK + 77;
    let evaluate = |x: &[f32]| {
        let mut loss = 0.0;
        let g = x.iter().enumerate().map(|(i, &x)| {
            let (e, weight) = (x - (i % 97) as f32 / 60.0, 1.0 + (i % 13) as f32);
            loss += f64::from(weight * e * e * e * e);
            4.0 * weight * e * e * e
        });
        let g: Vec<f32> = g.collect();
        (loss, g)
    };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (mut x, mut optimizer) = (vec![0.5; n], Lbfgs::new(OPTIONS, n));
        pool.install(|| {
            for _ in 0..25 {
                let (loss, g) = evaluate(&x);
                optimizer.tell(&mut x, loss, &g);
                clamp(&mut x);
            }
        });
        (x, optimizer)
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
    assert!(one.1.held.contains(&true) && !one.1.history.is_empty(), "all of it is in use");
}

#[test]
fn the_memory_is_what_was_said() {
    let options = LbfgsOptions { history: 2, ..OPTIONS };
    let q = Quadratic::random(30, 100.0, 0.0..1.0, 1);
    let (mut optimizer, mut x) = (Lbfgs::new(options, 30), vec![0.0; 30]);
    for _ in 0..10 {
        let (loss, g) = q.evaluate(&x);
        optimizer.tell(&mut x, loss, &g);
    }
    let vectors = optimizer.history.vectors().chain([&optimizer.x, &optimizer.g, &optimizer.d]);
    let bytes: usize = vectors.map(|v| size_of_val(&v[..])).sum();
    assert_eq!((bytes + optimizer.held.len()) as u64, options.bytes(30));
    assert_eq!(optimizer.cold(7), Lbfgs::new(options, 7));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_iterate_is_higher_than_the_one_before(
        n in 2usize..24, digits in 0.0..5.0f64, seed in any::<u64>(), history in 1usize..12, boxed in any::<bool>()
    ) {
        let q = Quadratic::random(n, 10f64.powf(digits), -1.0..2.0, seed);
        let options = LbfgsOptions { history, ..OPTIONS };
        let project: fn(&mut [f32]) = if boxed { clamp } else { free };
        let (mut optimizer, mut x) = (Lbfgs::new(options, n), vec![0.5; n]);
        let mut last = f64::INFINITY;
        // How far it gets is another question: one pair of history on a condition of 1e5 is slow.
        for _ in 0..500 {
            let (loss, g) = q.evaluate(&x);
            if optimizer.tell(&mut x, loss, &g) == Told::Accepted && !optimizer.finished() {
                // Where losses differ by less than their noise, slopes decide.
                prop_assert!(loss <= last * (1.0 + NOISE), "{} after {}", loss, last);
                last = loss;
            }
            project(&mut x);
            prop_assert!(x.iter().all(|x| x.is_finite()));
            if optimizer.finished() || last <= 1e-9 {
                break;
            }
        }
        prop_assert!(last.is_finite(), "at least the start is accepted");
    }
}
