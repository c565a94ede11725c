//! What is minimised: α·content + β·style + γ·tv.
//!
//! ```text
//!                                    ┌── relu4_2 ──▶ content: Σ(F − P)²              ┐
//!  picture x ──▶ VGG, frozen ────────┤                                               │ α
//!      │                             └── relu1_1 … ─▶ ΣFᵀF, ΣF ─▶ style: statistic   ├ β ─▶ total ─▶ backward ─▶ dx
//!      └──▶ tv: Σ|∇x|² ──────────────────────────────────────────────────────────────┘ γ
//! ```
//!
//! Content, style and variation are chosen apart, each by name: [`ContentLoss`], [`Statistic`], [`Variation`].
//!
//! Every loss is a function of statistics that are sums over pixels: ΣFᵀF, ΣF and
//! M for style, Σ(F − P)² for content, Σ|∇x|² for denoise. Sums over parts of
//! a picture can be added up, so the same losses can be computed piece by
//! piece, and are, where a picture is large: see [`vgg::strips`](crate::vgg::strips). Keep it so.
//! A [`Loss`] of anybody's is added to them, and its pictures are evaluated whole.

mod content;
mod goal;
mod layer_weight;
mod loss;
mod regions;
pub mod statistic;
mod strips;
mod tv;
mod viewer;

use std::sync::{Arc, Mutex};

use ndarray::ArrayD;
use rayon::prelude::*;

use crate::autograd::{Cancel, Log, Tape, Value, Var};
use crate::kernels::simd::pages::prefer_huge;
use crate::kernels::variation::Edges;
use crate::ops::{add, known, masked_moments, moments, squared_error};
use crate::state::{Found, Saved};
use crate::tensor::{BufferPool, FeatureMap};
use crate::vgg::{Border, Layer, Vgg};
pub use content::ContentLoss;
pub use goal::Goal;
pub use layer_weight::LayerWeight;
pub use loss::Loss;
use regions::{Compared, at_layer, by_layer, weight};
pub use regions::{Region, Sample, mask_bytes};
pub use statistic::Statistic;
use statistic::{Blend, Distance, Sums, TargetOptions};
pub use strips::{room, room_for_sums};
pub use tv::Variation;
pub use viewer::{Viewer, learned_bytes};

/// The losses of one picture size: targets and weights.
pub struct Objective {
    vgg: Arc<Vgg>,
    goal: Goal,
    content: Content,
    /// Layer by layer in the network's order, and at each region by region.
    style: Vec<Compared>,
    /// Rows that are evaluated at once, if not all.
    rows: Option<usize>,
    /// What is added, and with which weight.
    added: Vec<(f64, Arc<dyn Loss>)>,
}

/// What content is compared with.
enum Content {
    /// P (H × W × N) of each layer.
    Maps(Vec<(LayerWeight, Arc<Value>)>),
    /// The content picture (H × W × 3), where P would not be there whole: it is looked at again in every evaluation.
    Picture(FeatureMap),
}

/// How an evaluation is cut so that less of it has to be there at once. No number depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Rows of the picture that are evaluated at once, a multiple of [`GRID`](crate::kernels::conv::GRID); all of them if
    /// it is not cut.
    pub picture: Option<usize>,
    /// Rows of each style picture, which is looked at once.
    pub style: Option<usize>,
}

/// Whoever waits for an evaluation: it may end it, and is told how far it is.
#[derive(Clone, Default)]
pub struct Listener {
    /// Ends it.
    pub cancel: Cancel,
    /// Is told of each strip, where an evaluation is cut.
    pub strip: Option<Arc<dyn Fn(Part) + Send + Sync>>,
    /// Takes in what the tape does, where an evaluation is not cut.
    pub log: Option<Arc<Mutex<Log>>>,
}

/// How much of an evaluation is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Strips done, in both passes.
    pub done: usize,
    /// Of so many.
    pub of: usize,
}

impl Listener {
    /// One that ends an evaluation.
    #[must_use]
    pub fn cancelling(cancel: Cancel) -> Self {
        Listener { cancel, ..Listener::default() }
    }
}

/// The losses at a picture, and where it should move.
#[derive(Debug)]
pub struct Evaluation {
    /// Content loss, unweighted.
    pub content: f64,
    /// Style loss, unweighted: Σ_l w_l · loss_l.
    pub style: f64,
    /// Total variation, unweighted.
    pub tv: f64,
    /// Each added loss, unweighted.
    pub added: Vec<f64>,
    /// α·content + β·style + γ·tv, and what is added.
    pub total: f64,
    /// Each style layer's loss, without w_l.
    pub layers: Vec<(Layer, f64)>,
    /// d total / dx (H × W × 3); `None` from [`Objective::measure`].
    pub gradient: Option<FeatureMap>,
}

impl Objective {
    /// Looks at the content and the style picture (H × W × 3 each, sRGB in [0, 1]) and remembers what it saw.
    #[must_use]
    pub fn new(vgg: Arc<Vgg>, goal: Goal, content: &FeatureMap, style: &FeatureMap) -> Self {
        let regions = vec![Region::whole(style.clone())];
        Self::cut(vgg, goal, content.clone(), regions, Cut::default(), &Cancel::default()).expect("nobody cancels")
    }

    /// The same of several style pictures, cut into strips, unless it is cancelled. What a region is compared with is a
    /// blend of its styles, and costs an evaluation no more than one of them does. A viewer that remembers a style picture does
    /// not look at it again.
    ///
    /// # Panics
    /// If there is no region, or one without a style; if a mask has another size than its picture.
    #[must_use]
    pub fn cut(
        viewer: impl Into<Viewer>,
        goal: Goal,
        content: FeatureMap,
        regions: Vec<Region>,
        cut: Cut,
        cancel: &Cancel,
    ) -> Option<Self> {
        let viewer = viewer.into();
        let vgg = viewer.vgg();
        // Not the steps' pool: it would be left cut to the sizes of an evaluation without a gradient.
        let pool = || BufferPool::advised(prefer_huge);
        let size = (content.height(), content.width());
        let content = match cut.picture {
            Some(_) => Content::Picture(content),
            None => {
                let see = |tape: &mut Tape<'_>, features, _| {
                    // A copy of its own: the tape's buffer goes back to the pool.
                    Arc::new(tape.value(features).clone())
                };
                let seen = (&content, Role::Content);
                Content::Maps(features(vgg, &goal.content_layers, seen, pool(), cancel, see))
            }
        };
        assert!(!regions.is_empty(), "a region to paint");
        let mut style = Vec::new();
        for (index, (region, share)) in regions.iter().zip(regions::shares(&regions)).enumerate() {
            assert!(
                region.mask.as_ref().is_none_or(|mask| mask.dim() == (size.0, size.1, 1)),
                "a mask of the picture's size"
            );
            let options = TargetOptions { refresh: goal.refresh };
            let target = |(layer, sums): (LayerWeight, Sums)| {
                let target = goal.statistic.target(&sums, options);
                Compared::new(layer, (index, share), region.mask.as_ref(), size, target)
            };
            let blend = blend(&viewer, &goal, &region.styles, cut.style, pool, cancel)?;
            style.extend(blend.into_par_iter().map(target).collect::<Vec<_>>());
        }
        style.sort_by_key(|compared| (compared.layer.layer, compared.region));
        Some(Objective { vgg: vgg.clone(), goal, content, style, rows: cut.picture, added: Vec::new() })
    }

    /// Adds `weight` times a loss. With a weight of 0 it is only measured.
    ///
    /// # Panics
    /// If pictures are evaluated in strips, or the weight is below 0.
    pub fn add(&mut self, weight: f64, loss: Arc<dyn Loss>) {
        assert!(self.rows.is_none() && weight >= 0.0, "a loss of weight {weight}, of a picture evaluated whole");
        self.added.push((weight, loss));
    }

    /// This, with what `before` adds.
    pub(crate) fn with_added_of(self, before: &Objective) -> Self {
        Objective { added: before.added.clone(), ..self }
    }

    /// Keeps what the style's targets remember of earlier evaluations.
    pub fn save<'a>(&'a self, saved: &mut Saved<'a>) {
        self.style.iter().for_each(|compared| compared.target.save(&compared.name(), saved));
    }

    /// Takes up what was kept.
    ///
    /// # Errors
    /// If it is not of these targets.
    pub fn load(&mut self, found: &Found) -> Result<(), String> {
        self.style.iter_mut().try_for_each(|compared| {
            let name = compared.name();
            compared.target.load(&name, found)
        })
    }

    /// The losses at x (H × W × 3) and their gradient.
    #[must_use]
    pub fn evaluate(&mut self, x: &FeatureMap, pool: &mut BufferPool) -> Evaluation {
        let gradient = FeatureMap::zeros(x.height(), x.width(), x.channels());
        self.run(x, Some(gradient), pool, &Listener::default()).expect("nobody cancels")
    }

    /// The losses at x (H × W × 3) alone.
    #[must_use]
    pub fn measure(&mut self, x: &FeatureMap, pool: &mut BufferPool) -> Evaluation {
        self.run(x, None, pool, &Listener::default()).expect("nobody cancels")
    }

    /// The losses at x (H × W × 3), and their gradient if there is a map to write it into, unless that is cancelled. What
    /// a statistic remembers may then be of a picture whose gradient nobody saw.
    ///
    /// # Panics
    /// If the gradient's map has not the size of x.
    #[must_use]
    pub fn run(
        &mut self,
        x: &FeatureMap,
        gradient: Option<FeatureMap>,
        pool: &mut BufferPool,
        listener: &Listener,
    ) -> Option<Evaluation> {
        assert!(gradient.as_ref().is_none_or(|d| d.dim() == x.dim()), "a gradient for every value");
        let whole = self.is_joined() || self.goal.normalize_gradients;
        assert!(self.rows.is_none() || !whole, "what wraps around or has normalised gradients is evaluated whole");
        match self.rows {
            None => self.whole(x, gradient, pool, listener),
            Some(rows) => self.in_strips(x, rows, gradient, pool, listener),
        }
    }

    /// Whether copies of the picture are to join without a seam.
    fn is_joined(&self) -> bool {
        self.vgg.options().border == Border::Wrap
    }

    /// [`Objective::run`] on one tape.
    fn whole(
        &mut self,
        x: &FeatureMap,
        gradient: Option<FeatureMap>,
        pool: &mut BufferPool,
        listener: &Listener,
    ) -> Option<Evaluation> {
        let mut tape = Tape::heeding(pool, listener.cancel.clone()).logged(listener.log.clone());
        let mut copy = tape.allocate(x.height(), x.width(), x.channels());
        copy.as_mut_slice().copy_from_slice(x.as_slice());
        let picture = if gradient.is_some() {
            tape.variable(Value::Map(copy))
        } else {
            tape.constant(Arc::new(Value::Map(copy)))
        };
        tape.label(picture, "x");
        let edges = if self.is_joined() { Edges::Joined } else { Edges::Open };
        let tv = self.goal.variation.record(&mut tape, picture, edges);
        let Content::Maps(targets) = &self.content else { unreachable!("of a whole picture there are whole maps") };
        let (goal, mut errors, mut measured) = (&self.goal, Vec::new(), Vec::new());
        let of_picture = |(_, loss): &(f64, Arc<dyn Loss>)| loss.of_picture(&mut tape, picture).into_iter().collect();
        let mut added: Vec<Vec<Var>> = self.added.iter().map(of_picture).collect();
        self.vgg.forward(&mut tape, picture, |tape, name, features| {
            let (height, width, channels) = tape.dim(features);
            if let Some((layer, target)) = targets.iter().find(|(l, _)| l.layer == name) {
                let target = tape.constant(target.clone());
                let features = goal.seen(tape, features, goal.content_weight, *layer);
                let error = squared_error(tape, features, target);
                tape.label(target, format_args!("P of {name}"));
                tape.label(error, format_args!("content of {name}"));
                errors.push((*layer, error, height * width * channels));
            }
            let mut here = self.style.iter().filter(|compared| compared.layer.layer == name).peekable();
            if let Some(compared) = here.peek() {
                let features = goal.seen(tape, features, goal.style_weight, compared.layer);
                measured.extend(here.map(|compared| {
                    let measured = compared.record(tape, features);
                    tape.label(measured, format_args!("sums of {name}"));
                    measured
                }));
            }
            for (terms, (_, loss)) in added.iter_mut().zip(&self.added) {
                terms.extend(loss.of_features(tape, name, features));
            }
        });
        if tape.is_cancelled() {
            return None;
        }
        let values: Vec<_> = measured.iter().map(|&var| tape.tensor(var)).collect();
        let distances = distances(&mut self.style, &values);
        let losses = measured.iter().zip(distances).map(|(&var, d)| known(&mut tape, var, d.value, d.gradient));
        let losses: Vec<_> = losses.collect();
        let style = by_layer(&mut tape, &self.style, &losses);
        let added: Vec<_> =
            self.added.iter().zip(&added).map(|((weight, _), terms)| (*weight, add(&mut tape, terms))).collect();
        style.iter().for_each(|(layer, loss)| tape.label(*loss, format_args!("style of {}", layer.layer)));
        let terms = self.goal.terms(&mut tape, &errors, &style, tv, added);
        for (name, loss) in [("tv", tv), ("content", terms.content), ("style", terms.style), ("total", terms.total)] {
            tape.label(loss, name);
        }
        let mut evaluation = terms.evaluation(&tape);
        if let Some(mut room) = gradient {
            let mut gradients = tape.backward(terms.total);
            if listener.cancel.is_cancelled() {
                return None;
            }
            let d = gradients.take_map(picture);
            room.as_mut_slice().copy_from_slice(d.as_slice());
            drop(gradients);
            pool.put(d.into_buffer());
            evaluation.gradient = Some(room);
        }
        Some(evaluation)
    }
}

/// The distance of each target from what was measured for it: matrices of all layers are worked on side by side.
fn distances(targets: &mut [Compared], measured: &[&ArrayD<f32>]) -> Vec<Distance> {
    assert_eq!(targets.len(), measured.len(), "something measured for each target");
    // The deepest layers have the largest matrices: they come first, and the others fill what time is left.
    let pairs = targets.par_iter_mut().zip(measured).rev().with_max_len(1);
    let found = pairs.map(|(compared, measured)| compared.target.distance(measured, compared.pixels));
    let mut found: Vec<_> = found.collect();
    found.reverse();
    found
}

/// What some styles have at each layer, blended, unless it is cancelled.
fn blend(
    viewer: &Viewer,
    goal: &Goal,
    styles: &[Sample],
    rows: Option<usize>,
    pool: impl Fn() -> BufferPool,
    cancel: &Cancel,
) -> Option<Vec<(LayerWeight, Sums)>> {
    assert!(!styles.is_empty(), "a style to learn");
    let mut blends: Vec<(LayerWeight, Blend)> = Vec::new();
    for style in styles {
        let look = |vgg: &Vgg| sums(vgg, goal, style, rows, pool(), cancel);
        let sums = viewer.learn(&goal.style_layers, style, look)?;
        if blends.is_empty() {
            blends = sums.iter().map(|(layer, sums)| (*layer, Blend::like(sums))).collect();
        }
        blends.iter_mut().zip(&*sums).for_each(|((_, blend), (_, sums))| blend.add(style.share, sums));
    }
    Some(blends.into_iter().map(|(layer, blend)| (layer, blend.finish())).collect())
}

/// The sums of a style picture's features, in strips of so many rows if it has more, unless it is cancelled.
fn sums(
    vgg: &Vgg,
    goal: &Goal,
    style: &Sample,
    rows: Option<usize>,
    pool: BufferPool,
    cancel: &Cancel,
) -> Option<Vec<(LayerWeight, Sums)>> {
    let Sample { picture, mask, .. } = style;
    assert!(mask.as_ref().is_none_or(|mask| mask.pixels() == picture.pixels()), "a mask of the style picture's size");
    if let Some(rows) = rows.filter(|rows| *rows < picture.height()) {
        return strips::sums(vgg, goal, style, rows, pool, cancel);
    }
    let seen = (picture, Role::Style);
    let sums = features(vgg, &goal.style_layers, seen, pool, cancel, |tape, features, layer| {
        let (height, width, _) = tape.dim(features);
        let mask = mask.as_ref().map(|mask| at_layer(mask, layer));
        let pixels = mask.as_ref().map_or((height * width) as f64, |mask| weight(mask));
        let sums = match mask {
            Some(mask) => masked_moments(tape, features, mask),
            None => moments(tape, features),
        };
        let sums = tape.tensor(sums).clone().into_dimensionality().expect("N+1 × N");
        Sums { sums, pixels }
    });
    (!cancel.is_cancelled()).then_some(sums)
}

/// What a picture is looked at for. The content picture has the edges that the result has, be they joined.
#[derive(Clone, Copy)]
enum Role {
    Content,
    Style,
}

/// What `see` makes of each of the layers, on a picture that is not differentiated.
fn features<T>(
    vgg: &Vgg,
    layers: &[LayerWeight],
    (picture, role): (&FeatureMap, Role),
    mut pool: BufferPool,
    cancel: &Cancel,
    mut see: impl FnMut(&mut Tape<'_>, Var, Layer) -> T,
) -> Vec<(LayerWeight, T)> {
    let mut seen = Vec::new();
    if layers.is_empty() {
        return seen;
    }
    let mut tape = Tape::heeding(&mut pool, cancel.clone());
    let picture = tape.constant(Arc::new(Value::Map(picture.clone())));
    let tap = |tape: &mut Tape<'_>, name, features| {
        if let Some(layer) = layers.iter().find(|l| l.layer == name) {
            seen.push((*layer, see(tape, features, name)));
        }
    };
    match role {
        Role::Content => vgg.forward(&mut tape, picture, tap),
        Role::Style => vgg.forward_model(&mut tape, picture, tap),
    }
    seen
}
