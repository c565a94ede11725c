//! Where the gradient comes from: that of each term alone, at the picture of the beginning and the end of the last scale.

use super::film::Film;
use super::report::{Gradient, Moment, Term};
use super::{Seen, by_depth, images};
use crate::objective::Goal;
use crate::tensor::{BufferPool, FeatureMap};

/// Of a gradient's values this share is shown as it is; what is larger is as if it were no larger.
const SHOWN: f64 = 0.995;

/// The fifth section; the picture is where the optimiser ended, after so many updates.
pub(super) fn gradient(seen: &Seen<'_>, film: &Film<'_>, (iterations, point): (u32, &FeatureMap)) -> Gradient {
    let terms = terms(&seen.plan.goal_at(seen.plan.scales.len() - 1));
    let start = film.last_scale.as_ref().filter(|(after, _)| *after < iterations);
    let pictures = start.map(|(after, picture)| (*after, picture)).into_iter().chain([(iterations, point)]);
    let pictures: Vec<_> = pictures.filter(|(_, picture)| picture.dim() == seen.content().dim()).collect();
    let mut evaluated: Vec<Vec<Pull>> = pictures.iter().map(|_| Vec::new()).collect();
    for (name, goal) in terms {
        for ((_, picture), pulls) in pictures.iter().zip(&mut evaluated) {
            // Its own for each picture: a statistic remembers where it was.
            let mut objective = seen.inputs.objective(seen.plan, &seen.viewer, goal.clone());
            let evaluation = objective.evaluate(picture, &mut BufferPool::new());
            let gradient = evaluation.gradient.expect("asked for");
            pulls.push(Pull { name: name.clone(), loss: evaluation.total, gradient });
        }
    }
    let moments = pictures.iter().zip(&evaluated).map(|((iteration, picture), pulls)| Moment {
        iteration: *iteration,
        image: images::shown_map(picture),
        cosines: pulls.iter().flat_map(|a| pulls.iter().map(|b| cosine(&a.gradient, &b.gradient))).collect(),
        terms: told(pulls),
    });
    Gradient { moments: moments.collect() }
}

/// A term's loss and gradient.
struct Pull {
    name: String,
    loss: f64,
    gradient: FeatureMap,
}

/// Goals of which each has one of a goal's terms alone, and the goal itself: of weight 0 there is none.
fn terms(goal: &Goal) -> Vec<(String, Goal)> {
    let none = Goal {
        content_layers: Vec::new(),
        content_weight: 0.0,
        style_layers: Vec::new(),
        style_weight: 0.0,
        tv_weight: 0.0,
        ..goal.clone()
    };
    let mut terms = vec![("total".to_owned(), goal.clone())];
    if goal.content_weight > 0.0 && !goal.content_layers.is_empty() {
        let (content_layers, content_weight) = (goal.content_layers.clone(), goal.content_weight);
        terms.push(("content".into(), Goal { content_layers, content_weight, ..none.clone() }));
    }
    if goal.style_weight > 0.0 && !goal.style_layers.is_empty() {
        let style = |style_layers| Goal { style_layers, style_weight: goal.style_weight, ..none.clone() };
        terms.push(("style".into(), style(goal.style_layers.clone())));
        terms.extend(by_depth(&goal.style_layers).into_iter().map(|l| (l.layer.to_string(), style(vec![l]))));
    }
    if goal.tv_weight > 0.0 {
        terms.push(("tv".into(), Goal { tv_weight: goal.tv_weight, ..none }));
    }
    terms
}

fn told(pulls: &[Pull]) -> Vec<Term> {
    let sizes: Vec<FeatureMap> = pulls.iter().map(|pull| sizes(&pull.gradient)).collect();
    let largest = sizes.iter().map(|sizes| quantile(sizes.as_slice().iter().copied())).fold(0.0, f32::max);
    let term = |(pull, sizes): (&Pull, &FeatureMap)| {
        let most = f64::from(quantile(pull.gradient.as_slice().iter().map(|d| d.abs())));
        Term {
            name: pull.name.clone(),
            loss: pull.loss,
            norm: dot(&pull.gradient, &pull.gradient).sqrt(),
            image: images::followed(&pull.gradient, most),
            most,
            size: images::shown_grey(sizes, largest),
        }
    };
    pulls.iter().zip(&sizes).map(term).collect()
}

/// The gradient's length at each pixel (H × W × 1).
fn sizes(gradient: &FeatureMap) -> FeatureMap {
    let sizes = gradient.as_slice().chunks_exact(3).map(|d| d.iter().map(|d| d * d).sum::<f32>().sqrt());
    FeatureMap::from_vec(gradient.height(), gradient.width(), 1, sizes.collect())
}

/// The value that a share of [`SHOWN`] does not exceed.
fn quantile(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    let index = ((values.len() - 1) as f64 * SHOWN) as usize;
    *values.select_nth_unstable_by(index, f32::total_cmp).1
}

fn dot(a: &FeatureMap, b: &FeatureMap) -> f64 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// 0 where one of them is nothing.
fn cosine(a: &FeatureMap, b: &FeatureMap) -> f64 {
    let sizes = (dot(a, a) * dot(b, b)).sqrt();
    if sizes > 0.0 { dot(a, b) / sizes } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    #[test]
    fn each_term_stands_alone_and_what_has_no_weight_is_no_term() {
        let config = Preset::Default.config();
        let goal = config.goal();
        let names: Vec<_> = terms(&goal).into_iter().map(|(name, _)| name).collect();
        assert_eq!(&names[..3], ["total", "content", "style"]);
        assert_eq!(names.len(), 4 + goal.style_layers.len());
        assert_eq!(names.last().unwrap(), "tv");
        let silent = Goal { content_weight: 0.0, tv_weight: 0.0, ..goal };
        assert!(terms(&silent).iter().all(|(name, _)| name != "content" && name != "tv"));
        let weights = |goal: &Goal| (goal.content_weight > 0.0, goal.style_weight > 0.0, goal.tv_weight > 0.0);
        assert!(terms(&silent)[1..].iter().all(|(_, goal)| weights(goal) == (false, true, false)));
    }

    #[test]
    fn opposite_gradients_have_the_cosine_minus_one() {
        let a = FeatureMap::from_vec(1, 1, 3, vec![1.0, -2.0, 0.5]);
        let b = FeatureMap::from_vec(1, 1, 3, vec![-2.0, 4.0, -1.0]);
        assert!((cosine(&a, &b) + 1.0).abs() < 1e-12 && (cosine(&a, &a) - 1.0).abs() < 1e-12);
        assert_eq!(cosine(&a, &FeatureMap::zeros(1, 1, 3)), 0.0);
    }
}
