//! A run in a file, from which it can go on.
//!
//! ```text
//!   safetensors   notes    impasto   version, instruction set, configuration, scales, digests of what was read
//!                          program   what whoever runs it wants to find again
//!                 arrays   picture, theta, adam.m, adam.v, average.sum, relu4_1.transport, …
//! ```
//!
//! On the same kind of CPU and in the same version, a run that goes on makes the same bytes as one that was never
//! interrupted. Elsewhere another kernel rounds otherwise, and the picture is as good, but another.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use ndarray::ArrayViewD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::{Plan, Scale};
use super::run::Run;
use crate::config::{Config, Precision};
use crate::error::{Error, Result};
use crate::files;
use crate::kernels::conv::Choice;
use crate::kernels::simd::Isa;
use crate::picture::{Mask, Picture, Pixels, bands};
use crate::state::Found;
use crate::tensor::Dtype;
use crate::vgg::Layer;

/// What the digests are of: SHA-256, in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Digests {
    /// The content picture as it was read.
    pub content: String,
    /// Each style picture as it was read, with its share.
    pub styles: Vec<(f64, String)>,
    /// Each mask as it was read, with what it is for.
    pub masks: Vec<(MaskOf, String)>,
    /// The weights' file.
    pub weights: String,
}

/// What a mask is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskOf {
    /// What of the style picture of that number is learned from.
    Style(usize),
    /// Where the style pictures of that region are painted; the styles by their numbers are in the plan.
    Region(usize),
    /// What is kept.
    Keep,
}

/// Where a run was made: what decides how its numbers are rounded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Impasto's version.
    pub version: String,
    /// The instruction set of its kernels, and the widest that the CPU has.
    pub instructions: String,
    /// How each convolution is computed.
    pub convolutions: Vec<(Layer, Choice)>,
}

/// Everything about a run that is not in its arrays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Where it was made.
    pub origin: Origin,
    /// The configuration, its precision resolved.
    pub config: Config,
    /// The scales it goes through.
    pub scales: Vec<Scale>,
    /// What it reads.
    pub digests: Digests,
    /// Updates made.
    pub iteration: u32,
    /// Whether nothing is left to do.
    pub finished: bool,
}

/// A run that was put away.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    /// What it is.
    pub header: Header,
    /// What whoever ran it wanted to find again, as JSON.
    pub program: String,
    found: Found,
}

impl Origin {
    /// This program on this CPU, computing convolutions as in a plan.
    #[must_use]
    pub fn here(plan: &Plan) -> Self {
        Origin {
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: instructions(),
            convolutions: plan.convolutions.clone(),
        }
    }

    /// In what another differs from this, for people; `None` if in nothing.
    #[must_use]
    pub fn difference(&self, other: &Origin) -> Option<String> {
        let differs = |what: &str, ours: &str, theirs: &str| {
            (ours != theirs).then(|| format!("it was made with {what} {ours}, and this is {theirs}"))
        };
        differs("Impasto", &self.version, &other.version)
            .or_else(|| differs("the instructions", &self.instructions, &other.instructions))
            .or_else(|| {
                let same = self.convolutions == other.convolutions;
                (!same).then(|| "this machine computes convolutions by other algorithms".to_owned())
            })
    }
}

/// What decides how numbers are rounded here: the instruction set of our kernels, and the widest that the CPU has.
#[must_use]
pub fn instructions() -> String {
    format!("{} on {}", Isa::detect().name(), widest())
}

/// The widest vectors of the CPU, which the libraries for matrices use whatever our own kernels do.
fn widest() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "a CPU with avx512";
        }
        if is_x86_feature_detected!("avx2") {
            return "a CPU with avx2";
        }
    }
    "a plain CPU"
}

impl Header {
    /// Of a run as it is now.
    #[must_use]
    pub fn new(run: &Run<'_>, config: &Config, plan: &Plan, digests: Digests) -> Self {
        let precision = match plan.network.dtype {
            Dtype::F32 => Precision::F32,
            Dtype::Bf16 => Precision::Bf16,
        };
        Header {
            origin: Origin::here(plan),
            config: Config { precision, ..config.clone() },
            scales: plan.scales.clone(),
            digests,
            iteration: run.iterations(),
            finished: run.finished(),
        }
    }
}

impl Checkpoint {
    /// Writes a run to a file, in one step: whoever looks sees the earlier one or the whole new one.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn write(path: &Path, header: &Header, program: String, run: &Run<'_>) -> Result<()> {
        let note = serde_json::to_string(header).map_err(|error| error.to_string());
        let written = note.and_then(|note| {
            let notes = BTreeMap::from([("impasto", note), ("program", program)]);
            files::replace(path, |file| run.save().write(&notes, file.path()))
        });
        written.map_err(|cause| Error::Output { path: path.to_owned(), cause })
    }

    /// Reads a file that [`Checkpoint::write`] made.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] says what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |cause: String| Error::Checkpoint { path: path.to_owned(), cause };
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(wrong("not a file; give one that --checkpoint wrote".into()));
        }
        let bytes = std::fs::read(path)
            .map_err(|error| wrong(format!("cannot be read ({error}); give a file that --checkpoint wrote")))?;
        let found = Found::parse(bytes).map_err(|cause| {
            wrong(format!("{cause}; give a file that --checkpoint wrote, or begin anew with impasto stylize"))
        })?;
        let note = |name: &str| {
            found
                .notes()
                .get(name)
                .cloned()
                .ok_or_else(|| wrong("not a checkpoint; give one that --checkpoint wrote".into()))
        };
        let another = |what: &dyn Display| {
            wrong(format!("another version of Impasto made it ({what}); go on with that one, or begin anew"))
        };
        let header: Header = serde_json::from_str(&note("impasto")?).map_err(|error| another(&error))?;
        header.config.validate().map_err(|error| another(&error))?;
        if header.scales.is_empty() || !header.scales.iter().all(Scale::usable) {
            return Err(another(&"a scale that none has"));
        }
        Ok(Checkpoint { path: path.to_owned(), header, program: note("program")?, found })
    }

    /// What makes it impossible to go on.
    #[must_use]
    pub fn error(&self, cause: impl Into<String>) -> Error {
        Error::Checkpoint { path: self.path.clone(), cause: cause.into() }
    }

    /// The arrays.
    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Checks that what is to be read is what was read.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names what has changed.
    pub fn check(&self, now: &Digests) -> Result<()> {
        let then = &self.header.digests;
        let what = if then.content != now.content {
            Some("the content picture")
        } else if then.styles != now.styles {
            Some(if then.styles.len() == 1 { "the style picture" } else { "one of the style pictures" })
        } else if then.masks != now.masks {
            Some("one of the masks")
        } else {
            (then.weights != now.weights).then_some("the network's weights")
        };
        match what {
            Some(what) => Err(self.error(format!(
                "{what} has changed since the run began; bring the earlier file back, or begin anew with impasto stylize"
            ))),
            None => Ok(()),
        }
    }
}

/// The digest of a mask as it is in memory.
#[must_use]
pub fn digest_of_mask(mask: &Mask) -> String {
    let values = mask.values().view().insert_axis(ndarray::Axis(2));
    digest(&Picture::from_rgb(ndarray::concatenate![ndarray::Axis(2), values, values, values]))
}

/// The digest of a picture as it is in memory: of its sides, colours and opacity.
#[must_use]
pub fn digest(picture: &dyn Pixels) -> String {
    let mut hash = Sha256::new();
    let (height, width) = picture.size();
    for side in [height, width] {
        hash.update((side as u64).to_le_bytes());
    }
    let mut add = |x: ArrayViewD<'_, f32>| {
        hash.update(bytemuck::cast_slice(x.as_standard_layout().as_slice().expect("in standard layout")));
    };
    bands(picture).for_each(|rows| add(rows.rgb.view().into_dyn()));
    if picture.has_alpha() {
        bands(picture).for_each(|rows| add(rows.alpha.expect("it has opacity").view().into_dyn()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
