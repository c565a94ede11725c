//! What a picture should be like, and the sum that says how far it is from that.

use super::{ContentLoss, Evaluation, LayerWeight, Statistic, Variation};
use crate::autograd::{Tape, Var};
use crate::ops::{add, normalize_gradient, scale};
use crate::vgg::Layer;

/// What a picture should be like: formulas, layers, weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// How features are compared with the content picture's.
    pub content_loss: ContentLoss,
    /// At which layers.
    pub content_layers: Vec<LayerWeight>,
    /// α.
    pub content_weight: f64,
    /// How features are compared with the style picture's.
    pub statistic: Statistic,
    /// Evaluations between new transport matrices, where the statistic has any.
    pub refresh: u32,
    /// At which layers.
    pub style_layers: Vec<LayerWeight>,
    /// β.
    pub style_weight: f64,
    /// How neighbouring pixels are compared.
    pub variation: Variation,
    /// γ.
    pub tv_weight: f64,
    /// Whether each layer's content and style loss pull with their weights alone, however large their gradients are. Such a
    /// picture is evaluated whole: a strip knows no gradient's norm.
    pub normalize_gradients: bool,
}

impl Goal {
    /// The layers that a loss looks at; losses of weight 0 are measured too.
    pub fn layers(&self) -> impl Iterator<Item = Layer> {
        self.content_layers.iter().chain(&self.style_layers).map(|l| l.layer)
    }

    /// Those whose losses have a gradient.
    pub fn differentiated(&self) -> impl Iterator<Item = Layer> {
        let content = self.content_layers.iter().filter(|_| self.content_weight > 0.0);
        content.chain(self.style_layers.iter().filter(|_| self.style_weight > 0.0)).map(|l| l.layer)
    }

    /// Features as a loss of this weight looks at a layer's.
    pub(super) fn seen(&self, tape: &mut Tape<'_>, features: Var, loss_weight: f64, layer: LayerWeight) -> Var {
        let weight = loss_weight * layer.weight;
        if self.normalize_gradients && weight > 0.0 { normalize_gradient(tape, features, weight) } else { features }
    }

    /// The deepest that a loss looks at.
    #[must_use]
    pub fn deepest_layer(&self) -> Layer {
        self.layers().max().unwrap_or(Layer::relu(1, 1))
    }

    /// Records α·content + β·style + γ·tv: of `Σ (F − P)²` of each content layer over so many elements, of each style
    /// layer's distance, and of the variation; and what is added, each with its weight.
    pub(super) fn terms(
        &self,
        tape: &mut Tape<'_>,
        errors: &[(LayerWeight, Var, usize)],
        style: &[(LayerWeight, Var)],
        tv: Var,
        added: Vec<(f64, Var)>,
    ) -> Terms {
        let layers = style.iter().map(|(layer, loss)| (layer.layer, *loss)).collect();
        let losses = errors.iter().map(|&(layer, sum, elements)| {
            let loss = scale(tape, sum, self.content_loss.factor(elements));
            (layer, loss)
        });
        let losses: Vec<_> = losses.collect();
        let content = weighted_sum(tape, &losses);
        let style = weighted_sum(tape, style);
        let terms = [(self.content_weight, content), (self.style_weight, style), (self.tv_weight, tv)];
        // A loss of weight 0 is measured but not differentiated.
        let terms = terms.iter().chain(&added).filter(|(weight, _)| *weight > 0.0);
        let terms: Vec<Var> = terms.map(|&(weight, loss)| scale(tape, loss, weight)).collect();
        Terms { content, style, tv, total: add(tape, &terms), added, layers }
    }
}

/// The losses on a tape.
pub(super) struct Terms {
    pub content: Var,
    pub style: Var,
    pub tv: Var,
    pub added: Vec<(f64, Var)>,
    pub total: Var,
    pub layers: Vec<(Layer, Var)>,
}

impl Terms {
    /// What they are, without a gradient.
    pub fn evaluation(&self, tape: &Tape<'_>) -> Evaluation {
        Evaluation {
            content: tape.scalar(self.content),
            style: tape.scalar(self.style),
            tv: tape.scalar(self.tv),
            added: self.added.iter().map(|&(_, loss)| tape.scalar(loss)).collect(),
            total: tape.scalar(self.total),
            layers: self.layers.iter().map(|&(layer, loss)| (layer, tape.scalar(loss))).collect(),
            gradient: None,
        }
    }
}

/// Σ_l w_l · loss_l; 0 without layers.
fn weighted_sum(tape: &mut Tape<'_>, losses: &[(LayerWeight, Var)]) -> Var {
    let terms: Vec<Var> = losses.iter().map(|(layer, loss)| scale(tape, *loss, layer.weight)).collect();
    add(tape, &terms)
}
