//! What is minimised: α·content + β·style + γ·tv.
//!
//! ```text
//!                                    ┌── relu4_2 ──▶ content: Σ(F − P)²        ┐
//!  picture x ──▶ VGG, frozen ────────┤                                         │ α
//!      │                             └── relu1_1 … ─▶ G = FᵀF ─▶ style: d(G,A) ├ β ─▶ total ─▶ backward ─▶ dx
//!      └──▶ tv: Σ|∇x|² ────────────────────────────────────────────────────────┘ γ
//! ```
//!
//! Every loss is a function of statistics that are sums over pixels: ΣFᵀF and
//! M for style, Σ(F − P)² for content, Σ|∇x|² for denoise. Sums over parts of
//! a picture can be added up, so the same losses can be computed piece by
//! piece. Keep it so.

mod content;
mod layer_weight;
mod style;
mod tv;

use std::sync::Arc;

use crate::autograd::{Tape, Value, Var};
use crate::config::{Config, Losses};
use crate::kernels::simd::pages::prefer_huge;
use crate::ops::{add, gram, scale};
use crate::tensor::{FeatureMap, Pool};
use crate::vgg::{Layer, Vgg};
pub use layer_weight::LayerWeight;

/// The losses of one picture size: targets and weights.
pub struct Objective {
    vgg: Arc<Vgg>,
    losses: Losses,
    content_weight: f64,
    style_weight: f64,
    tv_weight: f64,
    content: Vec<Target>,
    style: Vec<Target>,
}

/// What one layer is compared with.
struct Target {
    layer: LayerWeight,
    /// Content: P (H × W × N). Style: A/M (N × N).
    value: Arc<Value>,
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
    /// α·content + β·style + γ·tv.
    pub total: f64,
    /// Each style layer's loss, without w_l.
    pub layers: Vec<(Layer, f64)>,
    /// d total / dx (H × W × 3); `None` from [`Objective::measure`].
    pub gradient: Option<FeatureMap>,
}

impl Objective {
    /// Looks at the content and the style picture (H × W × 3 each, sRGB in [0, 1]) and remembers what it saw.
    #[must_use]
    pub fn new(vgg: Arc<Vgg>, config: &Config, content: &FeatureMap, style: &FeatureMap) -> Self {
        // Not the steps' pool: it would be left cut to the sizes of an evaluation without a gradient.
        let pool = &mut Pool::advised(prefer_huge);
        let content_targets = features(&vgg, &config.content_layers, content, pool, |tape, features| {
            // A copy of its own: the tape's buffer goes back to the pool.
            tape.value(features).clone()
        });
        let style_targets = features(&vgg, &config.style_layers, style, pool, |tape, features| {
            let g = gram(tape, features);
            let (height, width, _) = tape.dim(features);
            let mean = style::mean(tape, g, height * width);
            tape.value(mean).clone()
        });
        Objective {
            vgg,
            losses: config.losses,
            content_weight: config.content_weight,
            style_weight: config.style_weight,
            tv_weight: config.tv_weight,
            content: content_targets,
            style: style_targets,
        }
    }

    /// The losses at x (H × W × 3) and their gradient.
    #[must_use]
    pub fn evaluate(&self, x: &FeatureMap, pool: &mut Pool) -> Evaluation {
        self.run(x, pool, true)
    }

    /// The losses at x (H × W × 3) alone.
    #[must_use]
    pub fn measure(&self, x: &FeatureMap, pool: &mut Pool) -> Evaluation {
        self.run(x, pool, false)
    }

    fn run(&self, x: &FeatureMap, pool: &mut Pool, differentiate: bool) -> Evaluation {
        let mut tape = Tape::new(pool);
        let mut copy = tape.allocate(x.height(), x.width(), x.channels());
        copy.as_mut_slice().copy_from_slice(x.as_slice());
        let picture =
            if differentiate { tape.variable(Value::Map(copy)) } else { tape.constant(Arc::new(Value::Map(copy))) };
        let tv = tv::loss(&mut tape, self.losses, picture);
        let (mut content, mut style) = (Vec::new(), Vec::new());
        self.vgg.forward(&mut tape, picture, |tape, layer, features| {
            if let Some(target) = self.content.iter().find(|t| t.layer.layer == layer) {
                let loss = content::loss(tape, self.losses, features, target.value.clone());
                content.push((target.layer, loss));
            }
            if let Some(target) = self.style.iter().find(|t| t.layer.layer == layer) {
                let loss = style::loss(tape, self.losses, features, target.value.clone());
                style.push((target.layer, loss));
            }
        });
        let layers = style.iter().map(|(l, loss)| (l.layer, tape.scalar(*loss))).collect();
        let content = weighted_sum(&mut tape, &content);
        let style = weighted_sum(&mut tape, &style);
        let terms = [(self.content_weight, content), (self.style_weight, style), (self.tv_weight, tv)];
        // A loss of weight 0 is measured but not differentiated.
        let terms: Vec<Var> = terms
            .iter()
            .filter(|(weight, _)| *weight > 0.0)
            .map(|&(weight, loss)| scale(&mut tape, loss, weight))
            .collect();
        let total = add(&mut tape, &terms);
        let mut evaluation = Evaluation {
            content: tape.scalar(content),
            style: tape.scalar(style),
            tv: tape.scalar(tv),
            total: tape.scalar(total),
            layers,
            gradient: None,
        };
        if differentiate {
            evaluation.gradient = Some(tape.backward(total).take_map(picture));
        }
        evaluation
    }
}

/// Σ_l w_l · loss_l; 0 without layers.
fn weighted_sum(tape: &mut Tape<'_>, losses: &[(LayerWeight, Var)]) -> Var {
    let terms: Vec<Var> = losses.iter().map(|(layer, loss)| scale(tape, *loss, layer.weight)).collect();
    add(tape, &terms)
}

/// What `see` makes of each of the layers, on a picture that is not differentiated.
fn features(
    vgg: &Vgg,
    layers: &[LayerWeight],
    picture: &FeatureMap,
    pool: &mut Pool,
    mut see: impl FnMut(&mut Tape<'_>, Var) -> Value,
) -> Vec<Target> {
    let mut tape = Tape::new(pool);
    let picture = tape.constant(Arc::new(Value::Map(picture.clone())));
    let mut targets = Vec::new();
    vgg.forward(&mut tape, picture, |tape, name, features| {
        if let Some(layer) = layers.iter().find(|l| l.layer == name) {
            targets.push(Target { layer: *layer, value: Arc::new(see(tape, features)) });
        }
    });
    targets
}
