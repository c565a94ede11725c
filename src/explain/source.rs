//! Do it yourself: this build's own source beside the formulas that it implements, and gradients that are checked while the
//! page is made.

use ndarray::s;

use super::report::{Check, Excerpt, Source};
use super::{Seen, map};
use crate::autograd::gradcheck::{Compared, compare};
use crate::autograd::{Tape, Value, Var};
use crate::objective::{Goal, Objective, Statistic};
use crate::ops;
use crate::picture::Picture;
use crate::tensor::{BufferPool, Dtype, FeatureMap};
use crate::vgg::SMALLEST_SIDE;
use crate::vgg::network::{MEAN, STD};

/// The side of the crop that gradients are checked on.
const CROP: usize = SMALLEST_SIDE;

/// How far a picture is moved along a direction. Ops are linear or quadratic between their kinks: a large step leaves
/// rounding behind.
const STEP: f32 = 1.0 / 64.0;

/// Rounding of f32 sums, in parts of the derivative.
const OF_AN_OP: f64 = 1e-3;

/// The same of the total loss, which is curved and has thousands of kinks: the larger the step, the more of them it
/// crosses, and the smaller it is, the more of the difference is rounding.
const STEPS: [f32; 2] = [1.0 / 1024.0, 1.0 / 4096.0];

/// Of the picture it is checked at, in parts of white.
const NOISE: f32 = 0.1;

/// What kinks, curvature and rounding of a whole network leave: twice the most that was seen.
const OF_THE_LOSS: f64 = 2e-2;

/// Where an excerpt begins: at a mark in the source, or with a definition and its documentation.
enum From {
    Anchor(&'static str),
    Definition(&'static str),
}

/// A file of this build, and a piece of it.
struct Piece {
    name: &'static str,
    title: &'static str,
    file: &'static str,
    text: &'static str,
    from: From,
}

macro_rules! piece {
    ($name:literal, $title:literal, $file:literal, $from:expr) => {
        Piece {
            name: $name,
            title: $title,
            file: concat!("src/", $file),
            text: include_str!(concat!("../", $file)),
            from: $from,
        }
    };
}

/// In the order in which a picture passes them.
const PIECES: [Piece; 11] = [
    piece!("normalize", "What the network is shown", "vgg/network.rs", From::Anchor("normalize")),
    piece!("conv2d", "Convolution, by its definition", "kernels/conv/reference.rs", From::Anchor("definition")),
    piece!("relu", "ReLU, and its way back", "ops/relu.rs", From::Definition("fn of<")),
    piece!("max_pool2d", "Max-pooling, and its way back", "ops/max_pool2d.rs", From::Definition("fn of<")),
    piece!(
        "content",
        "Squared differences: content",
        "ops/squared_error.rs",
        From::Definition("pub fn squared_error(")
    ),
    piece!("gram", "The Gram matrix, and its way back", "ops/gram.rs", From::Anchor("rule")),
    piece!("gram", "The distance of two Gram matrices", "objective/statistic/gram.rs", From::Anchor("distance")),
    piece!("wasserstein", "The Wasserstein distance", "objective/statistic/wasserstein.rs", From::Anchor("full")),
    piece!(
        "total_variation",
        "Total variation",
        "ops/total_variation.rs",
        From::Definition("pub(crate) fn variation(")
    ),
    piece!("backward", "Reading the tape backwards", "autograd/tape.rs", From::Anchor("backward")),
    piece!("adam", "Adam, one element", "optim/adam.rs", From::Anchor("update")),
];

/// The eighth section.
pub(super) fn source(seen: &Seen<'_>) -> Source {
    let (content, style) = (middle(seen.inputs.content()), middle(&seen.inputs.styles()[0]));
    let goal = seen.plan.goal_at(seen.plan.scales.len() - 1);
    let unchecked = no_derivative(&goal, seen.viewer.vgg().dtype());
    let mut checks = checks(seen, &content, &style);
    if unchecked.is_none() {
        checks.extend(total(seen, goal, &content, &style));
    }
    Source { excerpts: PIECES.iter().map(Piece::excerpt).collect(), checks, unchecked: unchecked.map(str::to_owned) }
}

/// Why the gradient of the total loss cannot be compared with its differences, if it cannot.
fn no_derivative(goal: &Goal, dtype: Dtype) -> Option<&'static str> {
    let relative = matches!(goal.statistic, Statistic::GramRelative | Statistic::Covariance);
    if goal.normalize_gradients {
        Some("each loss's gradient is made as long as its weight, and so it is no derivative any more")
    } else if relative && goal.style_weight > 0.0 {
        Some("this statistic's denominator is taken as constant, which makes a better pull and no derivative")
    } else if dtype == Dtype::Bf16 {
        Some("in bf16 a feature has three digits, and a small difference has none")
    } else {
        None
    }
}

impl Piece {
    fn excerpt(&self) -> Excerpt {
        let lines: Vec<&str> = self.text.lines().collect();
        let at = |wanted: &dyn Fn(&str) -> bool| lines.iter().position(|line| wanted(line.trim_start()));
        let missing = || panic!("{} has no such piece for {}", self.file, self.name);
        let range = match self.from {
            From::Anchor(anchor) => {
                let mark = |kind: &str| format!("// {kind}: {anchor}");
                let begin = at(&|line| line == mark("ANCHOR")).unwrap_or_else(missing);
                let end = at(&|line| line == mark("ANCHOR_END")).unwrap_or_else(missing);
                begin + 1..end
            }
            From::Definition(begins) => {
                let first = at(&|line| line.starts_with(begins)).unwrap_or_else(missing);
                let indent = lines[first].len() - lines[first].trim_start().len();
                let closing = format!("{:indent$}}}", "");
                let length = lines[first..].iter().position(|line| *line == closing).unwrap_or_else(missing);
                let above = lines[..first].iter().rev().take_while(|line| line.trim_start().starts_with("///")).count();
                first - above..first + length + 1
            }
        };
        let indent = |line: &&&str| line.len() - line.trim_start().len();
        let common = lines[range.clone()].iter().filter(|line| !line.is_empty()).map(|line| indent(&line)).min();
        let text = lines[range.clone()].iter().map(|line| line.get(common.unwrap_or(0)..).unwrap_or_default());
        Excerpt {
            name: self.name.into(),
            title: self.title.into(),
            file: self.file.into(),
            line: range.start + 1,
            text: text.collect::<Vec<_>>().join("\n"),
        }
    }
}

/// Of ops on the middle of the photograph.
fn checks(seen: &Seen<'_>, content: &FeatureMap, style: &FeatureMap) -> Vec<Check> {
    let op = |name: &str, op: &dyn Fn(&mut Tape<'_>, Var) -> Var| {
        told(name, STEP, OF_AN_OP, compare(&Value::Map(content.clone()), STEP, op))
    };
    let variation = seen.plan.goal.variation;
    let (weight, bias) = seen.viewer.vgg().first();
    vec![
        op("normalize", &|tape, x| ops::normalize(tape, x, MEAN, STD)),
        op("conv2d", &|tape, x| {
            let (weight, bias) = (tape.constant(weight.clone()), tape.constant(bias.clone()));
            ops::conv2d(tape, x, weight, bias, 1)
        }),
        op("gram", &|tape, x| ops::gram(tape, x)),
        op("squared_error", &|tape, x| {
            let target = tape.constant(Value::Map(style.clone()).into());
            ops::squared_error(tape, x, target)
        }),
        op("total_variation", &|tape, x| variation.of(tape, x)),
    ]
}

/// The total loss along its own gradient: no other direction makes so much of a difference, and rounding is small beside it.
/// The picture is between the two, with a little noise: where neighbours are equal, a maximum has a kink.
fn total(seen: &Seen<'_>, goal: Goal, content: &FeatureMap, style: &FeatureMap) -> [Check; STEPS.len()] {
    // Every evaluation with a transport of its own, or the difference would be of an older one.
    let goal = Goal { refresh: 1, ..goal };
    let new = || Objective::new(seen.viewer.vgg().clone(), goal.clone(), content, style);
    let noise = |i: usize| (i * 7919 % 1013) as f32 / 1013.0 - 0.5;
    let pairs = content.as_slice().iter().zip(style.as_slice()).enumerate();
    let between = pairs.map(|(i, (content, style))| 0.6 * content + 0.3 * style + NOISE * noise(i));
    let x = FeatureMap::from_vec(CROP, CROP, 3, between.collect());
    let gradient = new().evaluate(&x, &mut BufferPool::new()).gradient.expect("asked for");
    let largest = gradient.as_slice().iter().fold(f32::MIN_POSITIVE, |largest, g| largest.max(g.abs()));
    let direction: Vec<f32> = gradient.as_slice().iter().map(|g| g / largest).collect();
    let loss = |h: f32| {
        let moved = x.as_slice().iter().zip(&direction).map(|(x, v)| x + h * v);
        new().measure(&FeatureMap::from_vec(CROP, CROP, 3, moved.collect()), &mut BufferPool::new()).total
    };
    let along = gradient.as_slice().iter().zip(&direction).map(|(g, v)| f64::from(*g) * f64::from(*v)).sum();
    STEPS.map(|step| {
        let numeric = (loss(step) - loss(-step)) / (2.0 * f64::from(step));
        let compared = Compared { analytic: along, numeric, magnitude: along };
        told("the total loss", step, OF_THE_LOSS, compared)
    })
}

fn told(name: &str, step: f32, allowed: f64, compared: Compared) -> Check {
    let Compared { analytic, numeric, magnitude } = compared;
    let error = (analytic - numeric).abs() / (magnitude + numeric.abs());
    Check { name: name.into(), reverse: analytic, difference: numeric, step: f64::from(step), error, allowed }
}

/// The middle of a picture, which has at least so many pixels on a side.
fn middle(picture: &Picture) -> FeatureMap {
    let (y, x) = ((picture.height() - CROP) / 2, (picture.width() - CROP) / 2);
    map(&Picture::from_rgb(picture.rgb.slice(s![y..y + CROP, x..x + CROP, ..]).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_in_the_source_and_whole() {
        for piece in &PIECES {
            let excerpt = piece.excerpt();
            assert!(excerpt.text.lines().count() >= 3, "{}", excerpt.title);
            let count = |c: char| excerpt.text.matches(c).count();
            assert_eq!(count('{'), count('}'), "{}:\n{}", excerpt.title, excerpt.text);
            let first = excerpt.text.lines().next().unwrap();
            assert!(piece.text.lines().nth(excerpt.line - 1).unwrap().ends_with(first), "{}", excerpt.title);
        }
    }
}
