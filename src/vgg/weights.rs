//! The network's numbers, from a safetensors file or from inside the binary.
//!
//! A safetensors file is a JSON header (name, type, shape and place of each
//! tensor) and the tensors' bytes: data, never a program. The header is read at
//! once; a tensor is converted to `f32` only when a convolution is asked for, so
//! that a run that looks no deeper than relu3_3 pays for nothing below it.
//!
//! Files come from strangers, and the format does not promise that a number is a
//! number: NaN in one weight would make the whole picture grey without a word.
//! So every tensor is checked for type, shape and finiteness where it is read,
//! and every complaint says which file, which tensor, and what to do.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use ndarray::{Array1, Array4};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::layers::{Architecture, Stage};
use crate::error::{Error, Result};

mod file;

/// What the weights inside the binary are called in messages.
pub const EMBEDDED: &str = "embedded weights";

#[cfg(feature = "embedded-weights")]
static EMBEDDED_FILE: &[u8] = include_bytes!("../../weights/vgg16-imagenet.safetensors");

const GET_ANOTHER: &str = "download or convert it again";
const WHICH_FILES: &str = "give a safetensors file of torchvision's or timm's VGG16 or VGG19";

/// The convolutions of a VGG network.
///
/// Nothing is converted until it is asked for; see [`Weights::convolution`].
pub struct Weights {
    name: String,
    file: Cow<'static, [u8]>,
    header: Metadata,
    tensors_start: usize,
    architecture: Architecture,
}

/// What [`Weights::info`] finds in a file, ready to be shown or serialised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// The file as the user named it, or [`EMBEDDED`].
    pub name: String,
    /// Which network its tensors are.
    pub architecture: Architecture,
    /// Size of the file in bytes.
    pub bytes: usize,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// The file's own notes: origin, licence and so on, as far as its maker wrote any.
    pub metadata: BTreeMap<String, String>,
    /// The network's tensors, shallow to deep.
    pub tensors: Vec<TensorInfo>,
    /// Names of tensors that are no convolution of the network and are ignored.
    pub ignored: Vec<String>,
}

/// One tensor of [`Info`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorInfo {
    /// Its name in the file.
    pub name: String,
    /// (out, in, 3, 3) for a weight, (out) for a bias.
    pub shape: Vec<usize>,
    /// Its type in the file: F32, F16 or BF16.
    pub dtype: String,
    /// The smallest number in it.
    pub min: f32,
    /// The largest number in it.
    pub max: f32,
    /// The mean of its numbers.
    pub mean: f64,
}

impl Weights {
    /// The weights inside the binary: ImageNet's VGG16.
    ///
    /// # Errors
    /// [`Error::Weights`] if this build has none (feature `embedded-weights`).
    #[cfg(feature = "embedded-weights")]
    pub fn embedded() -> Result<Self> {
        Weights::parse(EMBEDDED.to_owned(), Cow::Borrowed(EMBEDDED_FILE))
    }

    /// The weights inside the binary: ImageNet's VGG16.
    ///
    /// # Errors
    /// [`Error::Weights`] if this build has none (feature `embedded-weights`).
    #[cfg(not(feature = "embedded-weights"))]
    pub fn embedded() -> Result<Self> {
        let cause = format!(
            "this build of impasto carries none: give --weights FILE ({WHICH_FILES}), or build it with its default features"
        );
        Err(Error::Weights { weights: EMBEDDED.to_owned(), cause })
    }

    /// The embedded weights, or those of the file if one is named.
    ///
    /// # Errors
    /// As [`Weights::embedded`] and [`Weights::open`].
    pub fn load(file: Option<&Path>) -> Result<Self> {
        file.map_or_else(Weights::embedded, Weights::open)
    }

    /// Reads a safetensors file into memory and recognises its network.
    ///
    /// # Errors
    /// [`Error::Weights`] if it cannot be read, is not safetensors, or holds no VGG16 or VGG19.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match file::read(path) {
            Ok(file) => Weights::parse(name, Cow::Owned(file)),
            Err(cause) => Err(Error::Weights { weights: name, cause }),
        }
    }

    /// Takes the bytes of a safetensors file; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Weights`] if it is not safetensors, or holds no VGG16 or VGG19.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self> {
        Weights::parse(name.into(), Cow::Owned(bytes))
    }

    /// Which network the file's tensors are.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Convolution `index` (from 0, as in [`Stage::Convolution`]): weight (out, in, 3, 3) and bias (out).
    ///
    /// # Errors
    /// [`Error::Weights`] names the tensor that is missing, has another shape or
    /// type than the network needs, or holds a number that is not finite.
    ///
    /// # Panics
    /// If the network has no convolution `index`.
    pub fn convolution(&self, index: usize) -> Result<(Array4<f32>, Array1<f32>)> {
        let [(weight, shape), (bias, bias_shape)] = self.expected(index);
        let weight = Array4::from_shape_vec((shape[0], shape[1], 3, 3), self.values(&weight, &shape)?);
        let bias = self.values(&bias, &bias_shape)?;
        Ok((weight.expect("values has as many numbers as the shape"), Array1::from_vec(bias)))
    }

    /// Loads every tensor of the network, so that a whole file is known to be good.
    ///
    /// # Errors
    /// As [`Weights::convolution`], for the first tensor at fault.
    pub fn verify(&self) -> Result<()> {
        for index in 0..self.convolutions() {
            self.convolution(index)?;
        }
        Ok(())
    }

    /// SHA-256 of the file, in lower-case hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(&self.file).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the file holds; loads every tensor of the network.
    ///
    /// # Errors
    /// As [`Weights::verify`].
    pub fn info(&self) -> Result<Info> {
        let mut tensors = Vec::new();
        for index in 0..self.convolutions() {
            for (name, shape) in self.expected(index) {
                tensors.push(self.tensor_info(name, shape)?);
            }
        }
        let mut ignored = self.header.offset_keys();
        ignored.retain(|name| tensors.iter().all(|tensor| tensor.name != *name));
        Ok(Info {
            name: self.name.clone(),
            architecture: self.architecture,
            bytes: self.file.len(),
            sha256: self.digest(),
            metadata: self.header.metadata().clone().unwrap_or_default().into_iter().collect(),
            tensors,
            ignored,
        })
    }

    fn parse(name: String, file: Cow<'static, [u8]>) -> Result<Self> {
        match file::header(&file).and_then(|(start, header)| Ok((start, recognise(&header)?, header))) {
            Ok((tensors_start, architecture, header)) => {
                Ok(Weights { name, file, header, tensors_start, architecture })
            }
            Err(cause) => Err(Error::Weights { weights: name, cause }),
        }
    }

    fn convolutions(&self) -> usize {
        self.architecture.layers().count()
    }

    /// The names and shapes of a convolution's two tensors: its weight, its bias.
    fn expected(&self, index: usize) -> [(String, Vec<usize>); 2] {
        let convolutions = self.architecture.stages().iter().filter_map(|stage| match *stage {
            Stage::Convolution { in_channels, out_channels, .. } => Some((in_channels, out_channels)),
            Stage::Pool => None,
        });
        let (number, (inputs, outputs)) =
            self.architecture.feature_numbers().zip(convolutions).nth(index).unwrap_or_else(|| {
                panic!("{} has {} convolutions, none has index {index}", self.architecture, self.convolutions())
            });
        [
            (format!("features.{number}.weight"), vec![outputs, inputs, 3, 3]),
            (format!("features.{number}.bias"), vec![outputs]),
        ]
    }

    /// A tensor as `f32`, in the file's order, after every check.
    fn values(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let info = self.header.info(tensor).ok_or_else(|| {
            self.error(format!(
                "tensor {tensor} is missing: the file is not a whole {}; {WHICH_FILES}",
                self.architecture
            ))
        })?;
        if info.shape != shape {
            return Err(self.error(format!(
                "tensor {tensor} has the shape {:?}, {} needs {shape:?}: this is another network; {WHICH_FILES}",
                info.shape, self.architecture
            )));
        }
        let (start, end) = info.data_offsets;
        let values =
            convert(info.dtype, &self.file[self.tensors_start + start..self.tensors_start + end]).ok_or_else(|| {
                self.error(format!(
                    "tensor {tensor} has the type {}: convert the file's tensors to F32, F16 or BF16",
                    info.dtype
                ))
            })?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(at) => Err(self.error(format!(
                "tensor {tensor} holds {} at position {at}: the file is damaged or was converted to a type too \
                 narrow for it; {GET_ANOTHER}",
                values[at]
            ))),
        }
    }

    fn tensor_info(&self, name: String, shape: Vec<usize>) -> Result<TensorInfo> {
        let values = self.values(&name, &shape)?;
        let (min, max) = values.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        let dtype = self.header.info(&name).map_or_else(String::new, |info| info.dtype.to_string());
        Ok(TensorInfo { name, shape, dtype, min, max, mean })
    }

    fn error(&self, cause: String) -> Error {
        Error::Weights { weights: self.name.clone(), cause }
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} bytes)", self.name, self.architecture, self.file.len())
    }
}

/// Which network the tensors belong to, by the convolutions only one of the two has.
///
/// A file that lacks a tensor is still recognised by the others, so that the
/// complaint can name the one that is missing.
fn recognise(header: &Metadata) -> Result<Architecture, String> {
    let names = header.offset_keys();
    if let Some(name) = names.iter().find(|name| name.starts_with("features.") && name.ends_with(".running_mean")) {
        return Err(format!(
            "tensor {name} belongs to a batch-normalised VGG, which is another network; {WHICH_FILES}, without \"bn\" in its name"
        ));
    }
    let present = |architecture: Architecture| {
        let has = |number| header.info(&format!("features.{number}.weight")).is_some();
        architecture.feature_numbers().filter(|&number| has(number)).count()
    };
    match (present(Architecture::Vgg16), present(Architecture::Vgg19)) {
        (0, 0) => Err(format!(
            "no tensor is called features.0.weight, features.2.weight, … as in torchvision's VGG (the file has {}); \
             {WHICH_FILES}",
            match names.as_slice() {
                [] => "no tensors at all".to_owned(),
                [only] => only.clone(),
                [first, .., last] => format!("{first} … {last}"),
            }
        )),
        (vgg16, vgg19) if vgg19 > vgg16 => Ok(Architecture::Vgg19),
        _ => Ok(Architecture::Vgg16),
    }
}

/// Little-endian numbers of a type that weights come in, as `f32`; `None` for any other type.
fn convert(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let (pairs, _) = bytes.as_chunks::<2>();
    match dtype {
        Dtype::F32 => Some(bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        Dtype::F16 => Some(pairs.iter().map(|&b| f16::from_le_bytes(b)).collect::<Vec<_>>().to_f32_vec()),
        Dtype::BF16 => Some(pairs.iter().map(|&b| bf16::from_le_bytes(b)).collect::<Vec<_>>().to_f32_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
