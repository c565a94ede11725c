//! The same losses and the same gradient, to the bit, of pictures so large that their maps cannot be there whole.
//!
//! ```text
//!   first pass    x ──strips──▶ ΣFᵀF, ΣF ──▶ distances, and what they make of each pixel: F·S + r
//!   second pass   x ──strips──▶ F ──▶ F·S + r + a (F − P) ──▶ dx        P: the content picture's, looked at beside it
//! ```
//!
//! A style's gradient at a pixel depends on sums over all of them: so there are two passes, and the first is what an
//! evaluation costs more. Where only losses are wanted, it is the only one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use half::bf16;
use ndarray::{Array2, ArrayD, Ix2, Zip, s};
use rayon::prelude::*;

use super::statistic::{Measure, Sums};
use super::{Content, Evaluation, Goal, LayerWeight, Listener, Objective, Part, distances};
use crate::autograd::{Cancel, MapElement, Tape, Value};
use crate::kernels::gram::{self, Affine};
use crate::kernels::reduce::{BLOCK, SquaredDistances, add_difference};
use crate::kernels::variation::{self, Edges};
use crate::ops::known;
use crate::tensor::{Buffer, Dtype, FeatureMap, Pool};
use crate::vgg::layers::{channels, stride};
use crate::vgg::network::Options;
use crate::vgg::strips::{self, Bytes, Route, Strips};
use crate::vgg::{Layer, Stage, Vgg};

/// Pixels and channels of a layer, of a picture of (H, W).
fn extent(layer: Layer, (height, width): (usize, usize)) -> (usize, usize) {
    ((height / stride(layer)) * (width / stride(layer)), channels(layer))
}

/// Bytes of the pool that an evaluation of a picture of (H, W) takes in strips of `rows` rows, with its gradient.
pub fn room(goal: &Goal, stages: &[Stage], options: &Options, size: (usize, usize), rows: usize) -> usize {
    let there = |layer| walk(stages, options, size, &Route::there(layer), rows);
    let beside = goal.content_layers.iter().map(|l| l.layer).max().map_or(Bytes::default(), there);
    let targets =
        goal.content_layers.iter().map(|l| target(l.layer, stages, options, size, rows) * options.precision.bytes());
    let route = goal.layers().max().map(|deepest| goal.route(deepest, goal.differentiated().collect()));
    let second = route.map_or(Bytes::default(), |route| walk(stages, options, size, &route, rows));
    let held = beside.held + targets.sum::<usize>() + second.held;
    room_for_sums(goal, stages, options, size, rows).max(held + beside.working.max(second.working))
}

/// Elements of a content layer that one strip of `rows` rows writes, at most.
fn target(layer: Layer, stages: &[Stage], options: &Options, size: (usize, usize), rows: usize) -> usize {
    strips::at_once(stages, options, size.0, layer, rows) * (size.1 / stride(layer)) * channels(layer)
}

impl Goal {
    /// The second pass's way: to `deepest`, and back from the deepest layer whose losses have a gradient.
    fn route(&self, deepest: Layer, given: Vec<Layer>) -> Route {
        let turn = given.iter().copied().max();
        // The content's errors are taken once, beside the content picture.
        let compared = |layer: &Layer| self.content_layers.iter().any(|l| l.layer == *layer);
        let shallow = |layer: &&Layer| stride(**layer) <= SHALLOW && Some(**layer) != turn && !compared(layer);
        let late = given.iter().filter(shallow).copied().collect();
        Route { deepest, turn, given, late }
    }
}

/// Layers with at most so many pixels of the picture from one of theirs to the next are looked at again when their
/// gradient comes.
const SHALLOW: usize = 2;

/// Bytes of the pool that the sums of a picture's features take, as of a style picture.
pub fn room_for_sums(goal: &Goal, stages: &[Stage], options: &Options, size: (usize, usize), rows: usize) -> usize {
    let deepest = goal.style_layers.iter().map(|l| l.layer).max();
    deepest.map_or(0, |deepest| {
        let Bytes { held, working } = walk(stages, options, size, &Route::there(deepest), rows);
        held + working
    })
}

fn walk(stages: &[Stage], options: &Options, size: (usize, usize), route: &Route, rows: usize) -> Bytes {
    match options.precision {
        Dtype::F32 => strips::bytes::<f32>(stages, options, size, route, rows),
        Dtype::Bf16 => strips::bytes::<bf16>(stages, options, size, route, rows),
    }
}

/// The sums that a style's targets are made of.
pub(super) fn sums(
    vgg: &Vgg,
    goal: &Goal,
    picture: &FeatureMap,
    rows: usize,
    mut pool: Pool,
    cancel: &Cancel,
) -> Option<Vec<(LayerWeight, Sums)>> {
    let pool = &mut pool;
    pool.reserve(room_for_sums(goal, vgg.stages(), vgg.options(), (picture.height(), picture.width()), rows));
    let measures = goal.style_layers.iter().map(|layer| (layer.layer, Measure::Moments)).collect();
    let measured = match vgg.precision() {
        Dtype::F32 => measured::<f32>(vgg, measures, picture, rows, pool, (cancel, &|_| {})),
        Dtype::Bf16 => measured::<bf16>(vgg, measures, picture, rows, pool, (cancel, &|_| {})),
    };
    let sums = measured?.into_iter().map(|(layer, sums, pixels)| {
        let layer = goal.style_layers.iter().find(|l| l.layer == layer).expect("measured because it is one of them");
        (*layer, Sums { sums: sums.into_dimensionality().expect("N+1 × N"), pixels })
    });
    Some(sums.collect())
}

/// What counts of a layer, while its rows come.
enum Measuring<E> {
    Sums(gram::Sums<E>),
    Features { rows: Vec<f32>, channels: usize },
}

impl<E: MapElement> Measuring<E> {
    fn new(measure: Measure, (_, width, channels): (usize, usize, usize)) -> Self {
        match measure {
            Measure::Gram => Measuring::Sums(gram::Sums::new(width, channels, false)),
            Measure::Moments => Measuring::Sums(gram::Sums::new(width, channels, true)),
            Measure::Features => Measuring::Features { rows: Vec::new(), channels },
        }
    }

    fn add(&mut self, features: &[E]) {
        match self {
            Measuring::Sums(sums) => sums.add(features),
            Measuring::Features { rows, .. } => rows.extend(features.iter().map(|f| f.to_f32())),
        }
    }

    fn finish(self) -> ArrayD<f32> {
        match self {
            Measuring::Sums(sums) => sums.finish().into_dyn(),
            Measuring::Features { rows, channels } => {
                let shape = vec![rows.len() / channels, channels];
                ArrayD::from_shape_vec(shape, rows).expect("whole pixels")
            }
        }
    }
}

/// What counts of each layer of a picture, and over how many pixels, in the network's order.
fn measured<E: MapElement>(
    vgg: &Vgg,
    measures: Vec<(Layer, Measure)>,
    picture: &FeatureMap,
    rows: usize,
    pool: &mut Pool,
    (cancel, tell): (&Cancel, &dyn Fn(usize)),
) -> Option<Vec<(Layer, ArrayD<f32>, usize)>> {
    let Some(deepest) = measures.iter().map(|(layer, _)| *layer).max() else { return Some(Vec::new()) };
    let route = Route::there(deepest);
    let mut strips = Strips::<E>::new(vgg, &route, picture, rows, pool);
    let mut found: Vec<(Layer, Measuring<E>, usize)> = Vec::new();
    for (done, end) in strips.ends().enumerate() {
        strips.forward(end, pool, cancel, |layer, _, features, _| {
            let (_, measure) = measures.iter().find(|(name, _)| *name == layer)?;
            let known = found.iter().position(|(name, ..)| *name == layer);
            let at = known.unwrap_or_else(|| {
                found.push((layer, Measuring::new(*measure, features.dim()), 0));
                found.len() - 1
            });
            found[at].1.add(features.as_slice());
            found[at].2 += features.pixels();
            None
        })?;
        tell(done + 1);
    }
    strips.finish(None, pool);
    found.sort_by_key(|(layer, ..)| *layer);
    Some(found.into_iter().map(|(layer, measuring, pixels)| (layer, measuring.finish(), pixels)).collect())
}

/// What the losses make of a layer's features.
#[derive(Default)]
struct Slope {
    style: Option<StyleSlope>,
    /// The factor of F − P.
    content: Option<f32>,
}

/// What a style's distance makes of each pixel.
enum StyleSlope {
    /// f ↦ f·S + r.
    Affine { s: Array2<f32>, row: Option<Vec<f32>> },
    /// One gradient for each (M × N).
    Each(Array2<f32>),
}

impl StyleSlope {
    /// From the gradient of what was measured.
    fn new(measure: Measure, d: ArrayD<f32>) -> Self {
        let d = d.into_dimensionality::<Ix2>().expect("a matrix");
        if measure == Measure::Features {
            return StyleSlope::Each(d);
        }
        let n = d.ncols();
        let d_gram = d.slice(s![..n, ..]);
        let s = Zip::from(&d_gram).and(d_gram.t()).par_map_collect(|a, b| a + b);
        StyleSlope::Affine { s, row: (d.nrows() > n).then(|| d.row(n).to_vec()) }
    }

    /// Writes the gradient of some rows of features.
    fn write<E: MapElement>(&self, rows: &Range<usize>, features: &FeatureMap<E>, d: &mut FeatureMap<E>) {
        match self {
            StyleSlope::Affine { s, row } => {
                gram::backward(features, Affine { s: s.view(), row: row.as_deref() }, 0.0, d);
            }
            StyleSlope::Each(all) => {
                let first = rows.start * features.width();
                let all = all.slice(s![first..first + features.pixels(), ..]);
                d.as_mut_slice().iter_mut().zip(all).for_each(|(d, all)| *d = E::from_f32(*all));
            }
        }
    }
}

/// Σ (F − P)² of each content layer, and over how many elements.
type Errors<E> = HashMap<Layer, (SquaredDistances<E>, usize)>;

impl Objective {
    /// [`Objective::run`], some rows of the picture at a time.
    pub(super) fn in_strips(
        &mut self,
        x: &FeatureMap,
        rows: usize,
        gradient: Option<FeatureMap>,
        pool: &mut Pool,
        listener: &Listener,
    ) -> Option<Evaluation> {
        pool.reserve(room(&self.goal, self.vgg.stages(), self.vgg.options(), (x.height(), x.width()), rows));
        match self.vgg.precision() {
            Dtype::F32 => self.in_strips_of::<f32>(x, rows, gradient, pool, listener),
            Dtype::Bf16 => self.in_strips_of::<bf16>(x, rows, gradient, pool, listener),
        }
    }

    fn in_strips_of<E: MapElement>(
        &mut self,
        x: &FeatureMap,
        rows: usize,
        gradient: Option<FeatureMap>,
        pool: &mut Pool,
        listener: &Listener,
    ) -> Option<Evaluation> {
        let cancel = &listener.cancel;
        let measures = self.style.iter().map(|(layer, target)| {
            let (pixels, channels) = extent(layer.layer, (x.height(), x.width()));
            (layer.layer, target.measure(pixels, channels))
        });
        let measures: Vec<_> = measures.collect();
        let strips = x.height().div_ceil(rows);
        let tell = |done| {
            let told = listener.strip.as_ref();
            told.into_iter().for_each(|told| told(Part { done, of: 2 * strips }));
        };
        let measured = measured::<E>(&self.vgg, measures.clone(), x, rows, pool, (cancel, &tell))?;
        let values = measured.iter().map(|(layer, value, pixels)| (*layer, value, *pixels)).collect();
        let style = distances(&mut self.style, values);
        if cancel.is_cancelled() {
            return None;
        }
        let neighbours = self.goal.variation.neighbours(x.dim());
        let tv = variation::sum(x, &neighbours, Edges::Open);
        let mut slopes = HashMap::new();
        let mut gradient = gradient.map(|mut d_x| {
            let (found, d_tv) = self.slopes(&measures, &measured, &style, x, tv);
            slopes = found;
            d_x.as_mut_slice().par_chunks_mut(BLOCK).for_each(|d_x| d_x.fill(0.0));
            (d_x, d_tv)
        });
        drop(measured);
        let d_x = gradient.as_mut().map(|(d_x, _)| d_x);
        let mut errors = self.errors::<E>(x, rows, &slopes, d_x, pool, (cancel, &|done| tell(strips + done)))?;
        let mut tape = Tape::new(pool);
        let mut scalar = |value| tape.constant(Arc::new(Value::Scalar(value)));
        let errors = self.goal.content_layers.iter().filter_map(|layer| {
            let (sum, elements) = errors.remove(&layer.layer)?;
            Some((*layer, scalar(sum.finish()), elements))
        });
        let mut errors: Vec<_> = errors.collect();
        errors.sort_by_key(|(layer, ..)| layer.layer);
        let style: Vec<_> = style.iter().map(|(layer, distance)| (*layer, scalar(distance.value))).collect();
        let tv = scalar(tv);
        let mut evaluation = self.goal.terms(&mut tape, &errors, &style, tv).evaluation(&tape);
        evaluation.gradient = gradient.map(|(mut d_x, d_tv)| {
            if let Some(d_tv) = d_tv {
                variation::backward(x, &neighbours, Edges::Open, (d_tv, 1.0), &mut d_x);
            }
            d_x
        });
        Some(evaluation)
    }

    /// What the losses make of each layer's features, and the gradient of the variation: on a tape of sums, since every
    /// loss is a function of those.
    fn slopes(
        &self,
        measures: &[(Layer, Measure)],
        measured: &[(Layer, ArrayD<f32>, usize)],
        style: &[(LayerWeight, super::Distance)],
        x: &FeatureMap,
        tv: f64,
    ) -> (HashMap<Layer, Slope>, Option<f64>) {
        let pool = &mut Pool::new();
        let mut tape = Tape::new(pool);
        let style = style.iter().map(|(layer, distance)| {
            let (_, value, _) = measured.iter().find(|(name, ..)| *name == layer.layer).expect("it has a distance");
            let sums = tape.variable(Value::Tensor(value.clone()));
            (*layer, sums, known(&mut tape, sums, distance.value, distance.gradient.clone()))
        });
        let style: Vec<_> = style.collect();
        // Its gradient does not depend on what Σ (F − P)² is.
        let errors = self.goal.content_layers.iter().map(|layer| {
            let (pixels, channels) = extent(layer.layer, (x.height(), x.width()));
            (*layer, tape.variable(Value::Scalar(0.0)), pixels * channels)
        });
        let errors: Vec<_> = errors.collect();
        let tv = tape.variable(Value::Scalar(tv));
        let distances: Vec<_> = style.iter().map(|&(layer, _, loss)| (layer, loss)).collect();
        let terms = self.goal.terms(&mut tape, &errors, &distances, tv);
        let mut gradients = tape.backward(terms.total);
        let mut slopes: HashMap<Layer, Slope> = HashMap::new();
        for (layer, sums, _) in style {
            let measure = measures.iter().find(|(name, _)| *name == layer.layer).expect("it was measured").1;
            if let Some(Value::Tensor(d)) = gradients.take(sums) {
                slopes.entry(layer.layer).or_default().style = Some(StyleSlope::new(measure, d));
            }
        }
        for (layer, sum, _) in errors {
            if let Some(Value::Scalar(d)) = gradients.take(sum) {
                slopes.entry(layer.layer).or_default().content = Some(2.0 * d as f32);
            }
        }
        let Some(Value::Scalar(d_tv)) = gradients.take(tv) else { return (slopes, None) };
        (slopes, Some(d_tv))
    }

    /// The second pass: the content's errors, and the network's part of the gradient, if it is wanted.
    fn errors<E: MapElement>(
        &self,
        x: &FeatureMap,
        rows: usize,
        slopes: &HashMap<Layer, Slope>,
        mut d_x: Option<&mut FeatureMap>,
        pool: &mut Pool,
        (cancel, tell): (&Cancel, &dyn Fn(usize)),
    ) -> Option<Errors<E>> {
        let Content::Picture(content) = &self.content else { unreachable!("a picture that is cut is looked at again") };
        let mut errors = Errors::<E>::new();
        let deepest_content = self.goal.content_layers.iter().map(|l| l.layer).max();
        let turn = slopes.keys().copied().max();
        let Some(deepest) = turn.max(deepest_content) else { return Some(errors) };
        let mut content =
            deepest_content.map(|deepest| Strips::<E>::new(&self.vgg, &Route::there(deepest), content, rows, pool));
        let route = self.goal.route(deepest, slopes.keys().copied().collect());
        let mut strips = Strips::<E>::new(&self.vgg, &route, x, rows, pool);
        // Both walks come to the same rows in the same strip. What is copied there has its place from the beginning, so that
        // it is in nobody's way.
        let room = |layer| target(layer, self.vgg.stages(), self.vgg.options(), (x.height(), x.width()), rows);
        let layers = self.goal.content_layers.iter().map(|l| l.layer);
        let targets = layers.map(|layer| (layer, (0..0, pool.take(room(layer)))));
        let mut targets: HashMap<Layer, (Range<usize>, Buffer<E>)> = targets.collect();
        for (done, end) in strips.ends().enumerate() {
            if let Some(content) = &mut content {
                content.forward(end, pool, cancel, |layer, rows, features, _| {
                    let (there, copy) = targets.get_mut(&layer)?;
                    copy[..features.as_slice().len()].copy_from_slice(features.as_slice());
                    *there = rows;
                    None
                })?;
            }
            strips.forward(end, pool, cancel, |layer, rows, features, pool| {
                let target = targets.get(&layer).map(|(theirs, target)| {
                    assert_eq!(*theirs, rows, "both walks have one course");
                    &target[..features.as_slice().len()]
                });
                if let Some(target) = target {
                    let (sum, elements) = errors.entry(layer).or_default();
                    sum.add(features.as_slice(), target);
                    *elements += target.len();
                }
                let slope = slopes.get(&layer).filter(|_| !route.late.contains(&layer));
                slope.map(|slope| slope.write(&rows, features, target, pool))
            })?;
            if let Some(d_x) = &mut d_x {
                strips.backward(d_x, pool, cancel, |layer, rows, features, pool| {
                    slopes[&layer].write(&rows, features, None, pool)
                })?;
            }
            tell(done + 1);
        }
        targets.into_values().for_each(|(_, target)| pool.put(target));
        content.into_iter().for_each(|content| content.finish(None, pool));
        strips.finish(d_x, pool);
        Some(errors)
    }
}

impl Slope {
    /// The gradient of some rows of features.
    fn write<E: MapElement>(
        &self,
        rows: &Range<usize>,
        features: &FeatureMap<E>,
        target: Option<&[E]>,
        pool: &mut Pool,
    ) -> FeatureMap<E> {
        let (height, width, channels) = features.dim();
        let mut d = FeatureMap::from_pool(pool, height, width, channels);
        if let Some(style) = &self.style {
            style.write(rows, features, &mut d);
        }
        if let Some(factor) = self.content {
            let target = target.expect("a content layer has a target");
            let beta = if self.style.is_some() { 1.0 } else { 0.0 };
            add_difference(features.as_slice(), target, factor, beta, d.as_mut_slice());
        }
        d
    }
}
