use super::*;

/// Searches along a function of α: a loss and its derivative. Returns the step length and the evaluations, or `None`.
fn search(noise: f64, f: impl Fn(f64) -> (f64, f64)) -> (Option<f64>, u32) {
    let (loss, slope) = f(0.0);
    let mut search = LineSearch::new(loss, noise);
    loop {
        let alpha = search.alpha();
        let (value, derivative) = f(alpha);
        match search.tell(Trial { loss: value, promise: slope * alpha, slope: derivative * alpha }) {
            Verdict::Accept => return (Some(alpha), search.evaluations),
            Verdict::Fail => return (None, search.evaluations),
            Verdict::Evaluate => assert!(search.evaluations <= MAX_EVALUATIONS + 1, "the search ends"),
        }
    }
}

/// Both conditions, from their definition.
fn wolfe(f: impl Fn(f64) -> (f64, f64), alpha: f64) -> bool {
    let ((start, first), (value, slope)) = (f(0.0), f(alpha));
    value <= start + C1 * alpha * first && slope.abs() <= C2 * first.abs()
}

#[test]
fn the_whole_step_is_taken_if_it_will_do() {
    assert_eq!(search(0.0, |a| ((a - 1.1).powi(2), 2.0 * (a - 1.1))), (Some(1.0), 1));
}

#[test]
fn a_parabola_is_found_by_one_interpolation_wherever_its_minimum_is() {
    for minimum in [0.2, 0.4, 30.0, 9.9] {
        let f = |a: f64| ((a - minimum).powi(2), 2.0 * (a - minimum));
        let (alpha, evaluations) = search(0.0, f);
        // Lengthened by ten at once at most; slopes change by less than a tenth within α = 1 of 30.
        assert!(wolfe(f, alpha.unwrap()) && evaluations <= 2, "{minimum}: {alpha:?} after {evaluations}");
    }
}

/// The functions of Moré & Thuente 1994, *Line search algorithms with guaranteed sufficient decrease*, section 5, at
/// scales that begin far too short and far too long.
#[test]
fn the_conditions_hold_on_functions_that_are_hard_to_search() {
    let functions: [fn(f64) -> (f64, f64); 3] = [
        |a| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2)),
        |a| {
            let b = a + 0.004;
            (b.powi(5) - 2.0 * b.powi(4), 5.0 * b.powi(4) - 8.0 * b.powi(3))
        },
        |a| {
            let yanai = |beta: f64| (1.0 + beta * beta).sqrt() - beta;
            let (one, other) = (yanai(0.01), yanai(0.001));
            let (u, v) = ((1.0 - a).hypot(0.001), a.hypot(0.01));
            (one * u + other * v, -one * (1.0 - a) / u + other * a / v)
        },
    ];
    for (i, f) in functions.into_iter().enumerate() {
        for scale in [1e-3, 1e-1, 1.0, 10.0, 1e3] {
            let f = |a: f64| (f(a * scale).0, scale * f(a * scale).1);
            let (alpha, evaluations) = search(0.0, f);
            let alpha = alpha.unwrap_or_else(|| panic!("function {i} at {scale}"));
            assert!(wolfe(f, alpha) && evaluations <= 15, "function {i} at {scale}: {alpha} after {evaluations}");
        }
    }
}

#[test]
fn what_is_not_finite_is_too_far() {
    for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let f = |a: f64| if a > 0.01 { (nonsense, nonsense) } else { ((a - 0.008).powi(2), 2.0 * (a - 0.008)) };
        assert!(wolfe(f, search(0.0, f).0.unwrap()));
        // A loss that is finite with a gradient that is not is no better.
        let f = |a: f64| if a > 0.01 { (-1.0, nonsense) } else { f(a) };
        assert!(wolfe(f, search(0.0, f).0.unwrap()));
    }
}

#[test]
fn gives_up_where_nothing_leads_down_and_returns_to_the_best_where_something_did() {
    // The slope says down, the values say up.
    let (alpha, evaluations) = search(0.0, |a| (a, -1.0));
    assert_eq!(alpha, None);
    assert!(evaluations <= MAX_EVALUATIONS);
    // A kink: lower towards it from both sides, never flat.
    let (alpha, evaluations) = search(0.0, |a| ((a - 0.3).abs(), if a < 0.3 { -1.0 } else { 1.0 }));
    assert!((alpha.unwrap() - 0.3).abs() < 0.1 && evaluations <= MAX_EVALUATIONS + 1, "{alpha:?} {evaluations}");
}

#[test]
fn a_fall_without_end_ends() {
    assert_eq!(search(0.0, |a| (-a, -1.0)).1, MAX_EVALUATIONS);
}

/// The promise grows with α up to 3 and then no more: the rest of the step is cut off by a box.
#[test]
fn stops_lengthening_where_the_box_lets_nothing_further() {
    let mut search = LineSearch::new(0.0, 0.0);
    let mut verdict = Verdict::Evaluate;
    while verdict == Verdict::Evaluate {
        let reached = search.alpha().min(3.0);
        verdict = search.tell(Trial { loss: -reached, promise: -reached, slope: -reached });
    }
    assert_eq!((verdict, search.evaluations), (Verdict::Accept, 3));
}

#[test]
fn a_step_of_nothing_fails_at_once() {
    let mut search = LineSearch::new(1.0, 0.0);
    assert_eq!(search.tell(Trial { loss: 1.0, promise: 0.0, slope: 0.0 }), Verdict::Fail);
}

/// Losses are worthless within 1e-6 of 1, and the slope says where the minimum is.
#[test]
fn slopes_decide_where_losses_are_noise() {
    let rough = |a: f64| 1e-6 * (1e9 * a).sin();
    for minimum in [0.03, 0.3, 1.0, 40.0] {
        let f = |a: f64| (1.0 + rough(a) + 1e-9 * (a / minimum - 1.0).powi(2), 2e-9 / minimum * (a / minimum - 1.0));
        let (alpha, evaluations) = search(4e-6, f);
        let (slope, first) = (f(alpha.unwrap()).1, f(0.0).1);
        assert!(slope.abs() <= C2 * first.abs() && evaluations <= 4, "{minimum}: {alpha:?} after {evaluations}");
    }
}
