//! Which configurations make sense: every value alone, and with the others.

use super::{Config, Init, OptimizerKind, Scales};
use crate::error::{Error, Result};
use crate::kernels::conv::amx;
use crate::objective::LayerWeight;
use crate::vgg::SMALLEST_SIDE;

/// By what a style picture may be enlarged or reduced.
const STYLE_SCALES: (f64, f64) = (0.01, 100.0);

impl Config {
    /// Checks every field against the others.
    ///
    /// # Errors
    /// [`Error::Usage`] names the option, what is wrong with its value, and what would do.
    pub fn validate(&self) -> Result<()> {
        let side = |flag: &str, size: u32| match size {
            1..16 => Err(Error::Usage(format!(
                "{flag} {size}: give at least {SMALLEST_SIDE} pixels, or 0 to keep the picture's own size"
            ))),
            _ => Ok(()),
        };
        // First, since a size may be the last of them.
        self.scales.validate()?;
        side("--size", self.size)?;
        side("--style-size", self.style_size.unwrap_or(0))?;
        for (flag, weight) in [
            ("--content-weight", self.content_weight),
            ("--style-weight", self.style_weight),
            ("--tv-weight", self.tv_weight),
        ] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::Usage(format!("{flag} {weight}: give a number of at least 0")));
            }
        }
        if !(0.0..=1.0).contains(&self.strength) {
            return Err(Error::Usage(format!(
                "--strength {}: give a number from 0, the photograph, to 1, the style",
                self.strength
            )));
        }
        if !self.alpha().is_finite() {
            return Err(Error::Usage(format!(
                "--content-weight {:?}: at --strength {} it is too large for a number; give less",
                self.content_weight, self.strength
            )));
        }
        if self.content_weight == 0.0 && self.style_weight == 0.0 && self.tv_weight == 0.0 {
            return Err(Error::Usage("all three loss weights are 0: there is nothing to optimise".into()));
        }
        if self.normalize_gradients && self.optimizer == OptimizerKind::Lbfgs {
            return Err(Error::Usage(
                "--normalize-gradients on: such gradients are not those of the loss that the line search of L-BFGS compares; \
                 give --optimizer adam, with a --learning-rate such as 0.02"
                    .into(),
            ));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(Error::Usage(format!(
                "--learning-rate {}: give a number above 0 and at most 1, the way from black to white",
                self.learning_rate
            )));
        }
        if self.iterations == Some(0) {
            return Err(Error::Usage("--iterations 0: give at least 1".into()));
        }
        if let Some(share) = self.until.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err(Error::Usage(format!("--until {}%: give a part above 0 and below 100%", 100.0 * share)));
        }
        if let Init::Blend(noise) = self.init
            && !(0.0..=1.0).contains(&noise)
        {
            return Err(Error::Usage(format!("--init blend:{noise}: give a share of noise from 0 to 1")));
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(Error::Usage(format!("--epsilon {}: give a number above 0", self.epsilon)));
        }
        for (flag, value, most) in [
            ("--detail", self.detail, 10.0),
            ("--schedule", self.schedule.end, 1.0),
            ("--schedule", self.schedule.last, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::Usage(format!("{flag} {value}: give a number from 0 to {most}")));
            }
        }
        for (flag, decay) in
            [("--beta1", self.beta1), ("--beta2", self.beta2), ("--average", self.average.unwrap_or_default())]
        {
            if !(0.0..1.0).contains(&decay) {
                return Err(Error::Usage(format!("{flag} {decay}: give a number of at least 0 and below 1")));
            }
        }
        if !(STYLE_SCALES.0..=STYLE_SCALES.1).contains(&self.style_scale) {
            return Err(Error::Usage(format!(
                "--style-scale {}: give a number from {} to {}, where 1 is the picture's usual size",
                self.style_scale, STYLE_SCALES.0, STYLE_SCALES.1
            )));
        }
        if !(self.largest_gain.is_finite() && self.largest_gain >= 1.0) {
            return Err(Error::Usage(format!("--largest-gain {}: give a number of at least 1", self.largest_gain)));
        }
        if self.calm > 7 {
            return Err(Error::Usage(format!("--calm {}: a pyramid has 7 levels to calm; give 0 to 7", self.calm)));
        }
        for (flag, count) in [("--refresh", self.refresh), ("--lbfgs-history", self.lbfgs_history)] {
            if count == 0 {
                return Err(Error::Usage(format!("{flag} 0: give at least 1")));
            }
        }
        if let Some(algorithm) = self.conv_algorithm.filter(|algorithm| !algorithm.available()) {
            return Err(Error::Usage(format!(
                "--conv-algorithm {}: {}; leave it out",
                algorithm.name(),
                amx::status()
            )));
        }
        layers_valid("--content-layer", &self.content_layers, self.content_weight)?;
        layers_valid("--style-layer", &self.style_layers, self.style_weight)
    }
}

impl Scales {
    fn validate(&self) -> Result<()> {
        let (flag, rule) = match self {
            Scales::Single(0) => return Err(Error::Usage("--scale-rule 0: give at least 1 iteration".into())),
            Scales::Single(_) => return Ok(()),
            Scales::Grown(rule) => ("--scale-rule", rule),
            Scales::Given(rule) => ("--scales", rule),
        };
        let wrong = |what: &str| Err(Error::Usage(format!("{flag}: {what}, as in 128:250,256:150,512:50")));
        if rule.is_empty() || rule.iter().any(|scale| scale.iterations == 0 || (scale.size as usize) < SMALLEST_SIDE) {
            return wrong("give sizes of at least 16 pixels, each with at least one iteration");
        }
        if !rule.is_sorted_by(|a, b| a.size < b.size) {
            return wrong("give sizes from small to large");
        }
        Ok(())
    }
}

fn layers_valid(flag: &str, layers: &[LayerWeight], loss_weight: f64) -> Result<()> {
    if loss_weight > 0.0 && layers.iter().all(|l| l.weight == 0.0) {
        return Err(Error::Usage(format!("{flag}: name at least one layer with a weight above 0")));
    }
    for (i, l) in layers.iter().enumerate() {
        if layers[..i].iter().any(|earlier| earlier.layer == l.layer) {
            return Err(Error::Usage(format!("{flag}: {} is named twice", l.layer)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Preset, ScaleRule};

    #[test]
    fn every_preset_is_valid() {
        for preset in Preset::ALL {
            preset.config().validate().unwrap();
            assert_eq!(preset.config().preset, preset);
        }
    }

    #[test]
    fn an_invalid_value_names_its_option() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(wrong(|c| c.size = 15).contains("--size"));
        assert!(wrong(|c| c.style_size = Some(3)).contains("--style-size"));
        assert!(wrong(|c| c.style_scale = 0.0).contains("--style-scale 0"));
        assert!(wrong(|c| c.style_scale = f64::NAN).contains("--style-scale NaN"));
        assert!(wrong(|c| c.strength = 1.1).contains("--strength 1.1"));
        assert!(wrong(|c| c.strength = f64::NAN).contains("--strength NaN"));
        assert!(wrong(|c| (c.content_weight, c.strength) = (1e307, 0.0)).contains("--content-weight 1e307"));
        assert!(wrong(|c| c.learning_rate = 0.0).contains("--learning-rate"));
        assert!(wrong(|c| c.learning_rate = 10.0).contains("--learning-rate 10"));
        assert!(wrong(|c| c.learning_rate = f64::NAN).contains("--learning-rate NaN"));
        assert!(wrong(|c| c.tv_weight = f64::NAN).contains("--tv-weight"));
        assert!(wrong(|c| c.iterations = Some(0)).contains("--iterations"));
        assert!(
            wrong(|c| c.scales = Scales::Given([256, 128].map(|size| ScaleRule { size, iterations: 5 }).to_vec()))
                .contains("small to large")
        );
        assert!(
            wrong(|c| (c.normalize_gradients, c.optimizer) = (true, OptimizerKind::Lbfgs)).contains("--optimizer adam")
        );
        assert!(wrong(|c| c.average = Some(1.0)).contains("--average"));
        assert!(wrong(|c| c.refresh = 0).contains("--refresh"));
        assert!(wrong(|c| c.detail = f64::NAN).contains("--detail"));
        assert!(wrong(|c| c.style_layers.clear()).contains("--style-layer"));
    }
}
