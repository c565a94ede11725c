//! The finer options of `stylize`: formulas, Adam's constants, how a run is laid out, and when it stops.

use impasto::config::{Config, Scales};
use impasto::objective::{ContentLoss, Variation};
use impasto::vgg::Border;

use super::{LOOK, OPTIMISATION, set};
use crate::cli::presets::with_default;
use crate::cli::values;

/// A shift by more is one by less, the other way around.
pub const MOST_JITTER: i64 = 1024;

/// A part, or off.
type Until = Option<f64>;

#[derive(Debug, clap::Args)]
pub struct Finer {
    #[arg(long, value_parser = values::content_loss(), hide_possible_values = true, value_name = "NAME")]
    #[arg(help_heading = LOOK, hide_short_help = true)]
    #[arg(long_help = with_default(&values::content_losses("How features are compared with CONTENT's:"), "content-loss"))]
    pub content_loss: Option<ContentLoss>,

    #[arg(long, value_parser = values::switch(), hide_possible_values = true, value_name = "on|off")]
    #[arg(help_heading = LOOK, hide_short_help = true)]
    #[arg(long_help = with_default(
        "Let α grow with a photograph that is enlarged beyond its own size, where it has no details", "enlarged-weighs-more"))]
    pub enlarged_weighs_more: Option<bool>,

    #[arg(long, value_parser = values::tv_loss(), hide_possible_values = true, value_name = "NAME")]
    #[arg(help_heading = LOOK, hide_short_help = true)]
    #[arg(long_help = with_default(&values::tv_losses("How tv compares neighbouring pixels:"), "tv-loss"))]
    pub tv_loss: Option<Variation>,

    #[arg(long, value_parser = values::switch(), hide_possible_values = true, value_name = "on|off")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    #[arg(help_heading = LOOK, hide_short_help = true)]
    #[arg(long_help = with_default(
        "Divide the gradient of each layer's content and style loss by its L1 norm, before its weight: layers pull as their \
         weights say, whatever their losses are. For Adam alone, and only for pictures that fit into memory whole, without \
         strips", "normalize-gradients"))]
    pub normalize_gradients: Option<bool>,

    #[arg(long, value_parser = values::border(), hide_possible_values = true, value_name = "NAME")]
    #[arg(help_heading = LOOK, hide_short_help = true)]
    #[arg(long_help = with_default(&values::borders("What the network sees beyond the picture's edge:"), "border"))]
    pub border: Option<Border>,

    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(..=MOST_JITTER))]
    #[arg(help_heading = OPTIMISATION, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default(
        "The most by which the picture is shifted, another way each time, before it is looked at", "jitter"))]
    pub jitter: Option<u32>,

    #[arg(long, value_name = "RULE", value_parser = values::scale_rule, conflicts_with = "scales")]
    #[arg(help_heading = OPTIMISATION, hide_short_help = true)]
    #[arg(long_help = with_default(
        "How many iterations a scale gets, for any --size: S:N,… says how many at some sizes, others lie on a line between \
         them, and scales grow by √2 from the first of these sizes; one number is a run at --size alone", "scale-rule"))]
    pub scale_rule: Option<Scales>,

    #[arg(long, value_name = "PERCENT", value_parser = values::until, help_heading = OPTIMISATION)]
    #[arg(hide_short_help = true)]
    #[arg(long_help = with_default(
        "End a scale when the loss, in the mean of ten iterations, is less than this below that of the ten before: 0.1%, \
         the same as 0.001; off makes every iteration", "until"))]
    pub until: Option<Until>,

    /// As many iterations as fit into 60s, 10m or 1h
    ///
    /// The whole command is to take so long. How fast this machine is is tried first; then iterations are shared out among
    /// the scales as the preset would, and the rest is a run of so many --iterations, which the trace and the picture
    /// tell, so that it can be made again.
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = OPTIMISATION)]
    #[arg(conflicts_with_all = ["iterations", "scales"])]
    pub time: Option<f64>,

    #[arg(long, value_name = "DECAY", help_heading = OPTIMISATION, hide_short_help = true)]
    #[arg(allow_negative_numbers = true)]
    #[arg(long_help = with_default("Adam's decay of the gradient's average", "beta1"))]
    pub beta1: Option<f64>,

    #[arg(long, value_name = "DECAY", help_heading = OPTIMISATION, hide_short_help = true)]
    #[arg(allow_negative_numbers = true)]
    #[arg(long_help = with_default("Adam's decay of the squared gradient's average", "beta2"))]
    pub beta2: Option<f64>,

    #[arg(long, value_name = "ε", help_heading = OPTIMISATION, hide_short_help = true, allow_negative_numbers = true)]
    #[arg(long_help = with_default("Adam's ε, which is added to the root of that average", "epsilon"))]
    pub epsilon: Option<f64>,
}

impl Finer {
    /// Puts what was given into a configuration.
    pub fn apply(&self, config: &mut Config) {
        set(&mut config.content_loss, &self.content_loss);
        set(&mut config.enlarged_weighs_more, &self.enlarged_weighs_more);
        set(&mut config.variation, &self.tv_loss);
        set(&mut config.normalize_gradients, &self.normalize_gradients);
        set(&mut config.border, &self.border);
        set(&mut config.jitter, &self.jitter);
        set(&mut config.scales, &self.scale_rule);
        set(&mut config.until, &self.until);
        set(&mut config.beta1, &self.beta1);
        set(&mut config.beta2, &self.beta2);
        set(&mut config.epsilon, &self.epsilon);
    }
}
