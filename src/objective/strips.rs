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

use super::regions::{Compared, LayerMask, at_layer, by_layer, extent, weight};
use super::statistic::{Distance, Measure, Sums};
use super::{Content, Evaluation, Goal, LayerWeight, Listener, Objective, Part, Sample, distances};
use crate::autograd::{Cancel, MapElement, Tape, Value};
use crate::kernels::gram::{self, Affine};
use crate::kernels::masked;
use crate::kernels::reduce::{BLOCK, SquaredDistances, add_difference};
use crate::kernels::variation::{self, Edges};
use crate::ops::known;
use crate::tensor::{Buffer, BufferPool, Dtype, FeatureMap};
use crate::vgg::layers::{channels, stride};
use crate::vgg::strips::{self, Bytes, Route, Strips};
use crate::vgg::{Layer, Stage, Vgg, VggOptions};

/// Bytes of the pool that an evaluation of a picture of (H, W) takes in strips of `rows` rows, with its gradient.
pub fn room(goal: &Goal, stages: &[Stage], options: &VggOptions, size: (usize, usize), rows: usize) -> usize {
    let there = |layer| walk(stages, options, size, &Route::there(layer), rows);
    let beside = goal.content_layers.iter().map(|l| l.layer).max().map_or(Bytes::default(), there);
    let targets =
        goal.content_layers.iter().map(|l| target(l.layer, stages, options, size, rows) * options.dtype.bytes());
    let route = goal.layers().max().map(|deepest| goal.route(deepest, goal.differentiated().collect()));
    let second = route.map_or(Bytes::default(), |route| walk(stages, options, size, &route, rows));
    let held = beside.held + targets.sum::<usize>() + second.held;
    room_for_sums(goal, stages, options, size, rows).max(held + beside.working.max(second.working))
}

/// Elements of a content layer that one strip of `rows` rows writes, at most.
fn target(layer: Layer, stages: &[Stage], options: &VggOptions, size: (usize, usize), rows: usize) -> usize {
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
pub fn room_for_sums(goal: &Goal, stages: &[Stage], options: &VggOptions, size: (usize, usize), rows: usize) -> usize {
    let deepest = goal.style_layers.iter().map(|l| l.layer).max();
    deepest.map_or(0, |deepest| {
        let Bytes { held, working } = walk(stages, options, size, &Route::there(deepest), rows);
        held + working
    })
}

fn walk(stages: &[Stage], options: &VggOptions, size: (usize, usize), route: &Route, rows: usize) -> Bytes {
    match options.dtype {
        Dtype::F32 => strips::bytes::<f32>(stages, options, size, route, rows),
        Dtype::Bf16 => strips::bytes::<bf16>(stages, options, size, route, rows),
    }
}

/// The sums that a style's targets are made of.
pub(super) fn sums(
    vgg: &Vgg,
    goal: &Goal,
    style: &Sample,
    rows: usize,
    mut pool: BufferPool,
    cancel: &Cancel,
) -> Option<Vec<(LayerWeight, Sums)>> {
    let (pool, picture) = (&mut pool, &style.picture);
    let size = (picture.height(), picture.width());
    pool.reserve(room_for_sums(goal, vgg.stages(), vgg.options(), size, rows));
    let mut layers = goal.style_layers.clone();
    layers.sort_by_key(|layer| layer.layer);
    let wanted = layers.iter().map(|layer| {
        let mask = style.mask.as_ref().map(|mask| at_layer(mask, layer.layer));
        Wanted { layer: layer.layer, measure: Measure::Moments, mask }
    });
    let wanted: Vec<_> = wanted.collect();
    let measured = match vgg.dtype() {
        Dtype::F32 => measured::<f32>(vgg, &wanted, picture, rows, pool, (cancel, &|_| {})),
        Dtype::Bf16 => measured::<bf16>(vgg, &wanted, picture, rows, pool, (cancel, &|_| {})),
    };
    let sums = measured?.into_iter().zip(layers).zip(&wanted).map(|((sums, layer), wanted)| {
        let pixels = wanted.mask.as_ref().map_or(extent(layer.layer, size).0 as f64, |mask| weight(mask));
        (layer, Sums { sums: sums.into_dimensionality().expect("N+1 × N"), pixels })
    });
    Some(sums.collect())
}

/// What is to be measured of a layer.
struct Wanted {
    layer: Layer,
    measure: Measure,
    mask: Option<LayerMask>,
}

/// The rows of a mask that belong to those of a map.
fn rows_of<'a>(mask: &'a LayerMask, rows: &Range<usize>, width: usize) -> &'a [f32] {
    &mask[rows.start * width..rows.end * width]
}

/// What counts of a layer, while its rows come.
enum Measuring<E> {
    Sums(gram::Sums<E>),
    Masked(masked::Sums, LayerMask),
    Features { rows: Vec<f32>, channels: usize },
}

impl<E: MapElement> Measuring<E> {
    fn new(wanted: &Wanted, (_, width, channels): (usize, usize, usize)) -> Self {
        if let Some(mask) = &wanted.mask {
            return Measuring::Masked(masked::Sums::new(width, channels), mask.clone());
        }
        match wanted.measure {
            Measure::Gram => Measuring::Sums(gram::Sums::new(width, channels, false)),
            Measure::Moments => Measuring::Sums(gram::Sums::new(width, channels, true)),
            Measure::Features => Measuring::Features { rows: Vec::new(), channels },
        }
    }

    fn add(&mut self, features: &FeatureMap<E>, range: &Range<usize>) {
        match self {
            Measuring::Sums(sums) => sums.add(features.as_slice()),
            Measuring::Masked(sums, mask) => sums.add(features.as_slice(), rows_of(mask, range, features.width())),
            Measuring::Features { rows, .. } => rows.extend(features.as_slice().iter().map(|f| f.to_f32())),
        }
    }

    fn finish(self) -> ArrayD<f32> {
        match self {
            Measuring::Sums(sums) => sums.finish().into_dyn(),
            Measuring::Masked(sums, _) => sums.finish().into_dyn(),
            Measuring::Features { rows, channels } => {
                let shape = vec![rows.len() / channels, channels];
                ArrayD::from_shape_vec(shape, rows).expect("whole pixels")
            }
        }
    }
}

/// What is wanted of a picture, in that order.
fn measured<E: MapElement>(
    vgg: &Vgg,
    wanted: &[Wanted],
    picture: &FeatureMap,
    rows: usize,
    pool: &mut BufferPool,
    (cancel, tell): (&Cancel, &dyn Fn(usize)),
) -> Option<Vec<ArrayD<f32>>> {
    let Some(deepest) = wanted.iter().map(|wanted| wanted.layer).max() else { return Some(Vec::new()) };
    let route = Route::there(deepest);
    let mut strips = Strips::<E>::new(vgg, &route, picture, rows, pool);
    let mut found: Vec<Option<Measuring<E>>> = wanted.iter().map(|_| None).collect();
    for (done, end) in strips.ends().enumerate() {
        strips.forward(end, pool, cancel, |layer, rows, features, _| {
            let here = wanted.iter().zip(&mut found).filter(|(wanted, _)| wanted.layer == layer);
            here.for_each(|(wanted, found)| {
                found.get_or_insert_with(|| Measuring::new(wanted, features.dim())).add(features, &rows);
            });
            None
        })?;
        tell(done + 1);
    }
    strips.finish(None, pool);
    Some(found.into_iter().map(|found| found.expect("every layer has rows").finish()).collect())
}

/// What the losses make of a layer's features.
#[derive(Default)]
struct Slope {
    /// Of each region, in the order in which a tape would come back to them.
    style: Vec<StyleSlope>,
    /// The factor of F − P.
    content: Option<f32>,
}

/// What a style's distance makes of each pixel.
enum StyleSlope {
    /// f ↦ m·(f·S + r), m being 1 without a mask.
    Affine { s: Array2<f32>, row: Option<Vec<f32>>, mask: Option<LayerMask> },
    /// One gradient for each (M × N).
    Each(Array2<f32>),
}

impl StyleSlope {
    /// From the gradient of what was measured.
    fn new(wanted: &Wanted, d: ArrayD<f32>) -> Self {
        let d = d.into_dimensionality::<Ix2>().expect("a matrix");
        if wanted.measure == Measure::Features {
            return StyleSlope::Each(d);
        }
        let n = d.ncols();
        let d_gram = d.slice(s![..n, ..]);
        let s = Zip::from(&d_gram).and(d_gram.t()).par_map_collect(|a, b| a + b);
        StyleSlope::Affine { s, row: (d.nrows() > n).then(|| d.row(n).to_vec()), mask: wanted.mask.clone() }
    }

    /// `d ← β·d +` the gradient of some rows of features.
    fn write<E: MapElement>(&self, rows: &Range<usize>, features: &FeatureMap<E>, beta: f32, d: &mut FeatureMap<E>) {
        match self {
            StyleSlope::Affine { s, row, mask } => {
                let map = Affine { s: s.view(), row: row.as_deref() };
                match mask {
                    Some(mask) => masked::backward(features, rows_of(mask, rows, features.width()), map, beta, d),
                    None => gram::backward(features, map, beta, d),
                }
            }
            StyleSlope::Each(all) => {
                assert_eq!(beta, 0.0, "a picture that is all one region");
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
        pool: &mut BufferPool,
        listener: &Listener,
    ) -> Option<Evaluation> {
        pool.reserve(room(&self.goal, self.vgg.stages(), self.vgg.options(), (x.height(), x.width()), rows));
        match self.vgg.dtype() {
            Dtype::F32 => self.in_strips_of::<f32>(x, rows, gradient, pool, listener),
            Dtype::Bf16 => self.in_strips_of::<bf16>(x, rows, gradient, pool, listener),
        }
    }

    fn in_strips_of<E: MapElement>(
        &mut self,
        x: &FeatureMap,
        rows: usize,
        gradient: Option<FeatureMap>,
        pool: &mut BufferPool,
        listener: &Listener,
    ) -> Option<Evaluation> {
        let cancel = &listener.cancel;
        let wanted = self.style.iter().map(|compared| {
            let Compared { layer, measure, mask, .. } = compared;
            Wanted { layer: layer.layer, measure: *measure, mask: mask.clone() }
        });
        let wanted: Vec<_> = wanted.collect();
        let strips = x.height().div_ceil(rows);
        let tell = |done| {
            let told = listener.strip.as_ref();
            told.into_iter().for_each(|told| told(Part { done, of: 2 * strips }));
        };
        let measured = measured::<E>(&self.vgg, &wanted, x, rows, pool, (cancel, &tell))?;
        let distances = distances(&mut self.style, &measured.iter().collect::<Vec<_>>());
        if cancel.is_cancelled() {
            return None;
        }
        let stencil = self.goal.variation.stencil(x.dim());
        let tv = variation::sum(x, &stencil, Edges::Open);
        let mut slopes = HashMap::new();
        let mut gradient = gradient.map(|mut d_x| {
            let (found, d_tv) = self.slopes(&wanted, measured, &distances, x, tv);
            slopes = found;
            d_x.as_mut_slice().par_chunks_mut(BLOCK).for_each(|d_x| d_x.fill(0.0));
            (d_x, d_tv)
        });
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
        let losses: Vec<_> = distances.iter().map(|distance| scalar(distance.value)).collect();
        let tv = scalar(tv);
        let style = by_layer(&mut tape, &self.style, &losses);
        let mut evaluation = self.goal.terms(&mut tape, &errors, &style, tv, Vec::new()).evaluation(&tape);
        evaluation.gradient = gradient.map(|(mut d_x, d_tv)| {
            if let Some(d_tv) = d_tv {
                variation::backward(x, &stencil, Edges::Open, (d_tv, 1.0), &mut d_x);
            }
            d_x
        });
        Some(evaluation)
    }

    /// What the losses make of each layer's features, and the gradient of the variation: on a tape of sums, since every
    /// loss is a function of those.
    fn slopes(
        &self,
        wanted: &[Wanted],
        measured: Vec<ArrayD<f32>>,
        distances: &[Distance],
        x: &FeatureMap,
        tv: f64,
    ) -> (HashMap<Layer, Slope>, Option<f64>) {
        let pool = &mut BufferPool::new();
        let mut tape = Tape::new(pool);
        let sums: Vec<_> = measured.into_iter().map(|value| tape.variable(Value::Tensor(value))).collect();
        let losses = sums.iter().zip(distances).map(|(&sums, d)| known(&mut tape, sums, d.value, d.gradient.clone()));
        let losses: Vec<_> = losses.collect();
        let style = by_layer(&mut tape, &self.style, &losses);
        // Its gradient does not depend on what Σ (F − P)² is.
        let errors = self.goal.content_layers.iter().map(|layer| {
            let (pixels, channels) = extent(layer.layer, (x.height(), x.width()));
            (*layer, tape.variable(Value::Scalar(0.0)), pixels * channels)
        });
        let errors: Vec<_> = errors.collect();
        let tv = tape.variable(Value::Scalar(tv));
        let terms = self.goal.terms(&mut tape, &errors, &style, tv, Vec::new());
        let mut gradients = tape.backward(terms.total);
        let mut slopes: HashMap<Layer, Slope> = HashMap::new();
        for (sums, wanted) in sums.into_iter().zip(wanted).rev() {
            if let Some(Value::Tensor(d)) = gradients.take(sums) {
                slopes.entry(wanted.layer).or_default().style.push(StyleSlope::new(wanted, d));
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
        pool: &mut BufferPool,
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
        pool: &mut BufferPool,
    ) -> FeatureMap<E> {
        let (height, width, channels) = features.dim();
        let mut d = FeatureMap::from_pool(pool, height, width, channels);
        for (i, style) in self.style.iter().enumerate() {
            style.write(rows, features, if i == 0 { 0.0 } else { 1.0 }, &mut d);
        }
        if let Some(factor) = self.content {
            let target = target.expect("a content layer has a target");
            let beta = if self.style.is_empty() { 0.0 } else { 1.0 };
            add_difference(features.as_slice(), target, factor, beta, d.as_mut_slice());
        }
        d
    }
}
