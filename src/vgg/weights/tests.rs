//! Weight files good and bad: small ones made here, and the embedded one.

use std::collections::BTreeMap;
use std::fs;

use half::{bf16, f16};
use ndarray::Array;
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

use super::{Architecture, Weights};
use crate::error::Error;

/// A weight file in the making: tensors by name, as bytes.
#[derive(Clone, Default)]
struct File(BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

impl File {
    fn with(mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Self {
        self.0.insert(name.to_owned(), (dtype, shape.to_vec(), bytes));
        self
    }

    fn with_f32(self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        self.with(name, Dtype::F32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A convolution of numbers that every type here can hold, each position another one.
    fn with_convolution(self, number: usize, dtype: Dtype, inputs: usize, outputs: usize) -> Self {
        let bytes =
            |count: usize| -> Vec<u8> { (0..count).map(number_at).flat_map(|value| encode(dtype, value)).collect() };
        self.with(&format!("features.{number}.weight"), dtype, &[outputs, inputs, 3, 3], bytes(outputs * inputs * 9))
            .with(&format!("features.{number}.bias"), dtype, &[outputs], bytes(outputs))
    }

    fn bytes(&self) -> Vec<u8> {
        let views = self.0.iter().map(|(name, (dtype, shape, bytes))| {
            (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).expect("a test's tensor fits its shape"))
        });
        safetensors::serialize(views, None).expect("a test's file can be written")
    }

    fn weights(&self) -> crate::Result<Weights> {
        Weights::from_bytes("my.safetensors", self.bytes())
    }
}

/// −1 to 1 in steps of 1/128: seven bits, which bf16 holds exactly.
fn number_at(position: usize) -> f32 {
    (position * 37 % 257) as f32 / 128.0 - 1.0
}

fn encode(dtype: Dtype, value: f32) -> Vec<u8> {
    match dtype {
        Dtype::F32 => value.to_le_bytes().to_vec(),
        Dtype::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f32(value).to_le_bytes().to_vec(),
        _ => vec![0; dtype.bitsize() / 8],
    }
}

/// The first two convolutions of either network.
fn shallow() -> File {
    File::default().with_convolution(0, Dtype::F32, 3, 64).with_convolution(2, Dtype::F32, 64, 64)
}

/// The message of an error that must be about weights and name the file.
fn complaint<T>(result: crate::Result<T>, file: &str) -> String {
    match result {
        Err(error @ Error::Weights { .. }) => {
            let message = error.to_string();
            assert!(message.starts_with(&format!("{file}: ")), "{message}");
            message
        }
        Err(other) => panic!("not an error about weights: {other}"),
        Ok(_) => panic!("{file} was taken for good"),
    }
}

/// Asserts that the message names every one of these.
#[track_caller]
fn names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn a_convolution_has_torchs_order_of_axes() {
    let (weight, bias) = shallow().weights().unwrap().convolution(1).unwrap();
    assert_eq!(weight.dim(), (64, 64, 3, 3));
    assert_eq!(weight[[5, 7, 2, 1]], number_at(((5 * 64 + 7) * 3 + 2) * 3 + 1));
    assert_eq!(bias, Array::from_shape_fn(64, number_at));
}

#[test]
fn the_three_types_give_the_same_numbers() {
    let load = |dtype| {
        let file = File::default().with_convolution(0, dtype, 3, 64);
        file.weights().unwrap().convolution(0).unwrap()
    };
    assert_eq!(load(Dtype::F32), load(Dtype::F16));
    assert_eq!(load(Dtype::F32), load(Dtype::BF16));
}

#[test]
fn vgg19_is_recognised_by_its_tensors() {
    let mut file = File::default();
    for number in Architecture::Vgg19.feature_numbers().filter(|&number| number != 34) {
        file = file.with_convolution(number, Dtype::F16, 1, 1);
    }
    let weights = file.with_convolution(34, Dtype::F16, 512, 512).weights().unwrap();
    assert_eq!(weights.architecture(), Architecture::Vgg19);
    assert_eq!(weights.convolution(15).unwrap().0.dim(), (512, 512, 3, 3));
}

#[test]
fn a_classifier_and_other_tensors_are_ignored() {
    let file = shallow().with("classifier.0.weight", Dtype::I64, &[2], vec![0xff; 16]).with_f32(
        "pre_logits.fc1.weight",
        &[1, 1, 1, 1],
        &[f32::NAN],
    );
    let weights = file.weights().unwrap();
    assert_eq!(weights.architecture(), Architecture::Vgg16);
    assert!(weights.convolution(0).is_ok() && weights.convolution(1).is_ok());
}

#[test]
fn only_the_convolutions_asked_for_have_to_be_good() {
    let weights = shallow().with_f32("features.2.bias", &[64], &[f32::NAN; 64]).weights().unwrap();
    assert!(weights.convolution(0).is_ok());
    names(&complaint(weights.verify(), "my.safetensors"), &["features.2.bias"]);
}

#[test]
fn a_missing_tensor_is_named() {
    let message = complaint(shallow().weights().unwrap().verify(), "my.safetensors");
    names(&message, &["features.5.weight is missing", "VGG16", "torchvision"]);
}

#[test]
fn a_wrong_shape_is_named_beside_the_right_one() {
    for shape in [[64, 3, 5, 5], [3, 3, 3, 64], [64, 1, 3, 3]] {
        let zeros = vec![0.0; shape.iter().product()];
        let weights = shallow().with_f32("features.0.weight", &shape, &zeros).weights().unwrap();
        let message = complaint(weights.convolution(0), "my.safetensors");
        names(&message, &["features.0.weight", &format!("{shape:?}"), "[64, 3, 3, 3]"]);
    }
}

#[test]
fn a_wrong_type_is_named_with_the_types_that_would_do() {
    for dtype in [Dtype::F64, Dtype::I8, Dtype::I64, Dtype::U16, Dtype::F8_E4M3] {
        let weights = shallow().with_convolution(0, dtype, 3, 64).weights().unwrap();
        let message = complaint(weights.convolution(0), "my.safetensors");
        names(&message, &["features.0.weight", &dtype.to_string(), "F32, F16 or BF16"]);
    }
}

#[test]
fn a_number_that_is_not_finite_is_found_in_every_type() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut bytes: Vec<u8> = (0..64).map(number_at).flat_map(|v| encode(dtype, v)).collect();
            let wide = bytes.len() / 64;
            bytes[63 * wide..].copy_from_slice(&encode(dtype, value));
            let weights = shallow().with("features.0.bias", dtype, &[64], bytes).weights().unwrap();
            let message = complaint(weights.convolution(0), "my.safetensors");
            names(&message, &["features.0.bias", &value.to_string(), "position 63", "again"]);
        }
    }
}

#[test]
fn another_network_is_told_what_it_lacks() {
    let resnet = File::default().with_f32("conv1.weight", &[1], &[0.0]).with_f32("fc.bias", &[1], &[0.0]);
    names(&complaint(resnet.weights(), "my.safetensors"), &["features.0.weight", "conv1.weight", "VGG16 or VGG19"]);
    names(&complaint(File::default().weights(), "my.safetensors"), &["no tensors at all"]);
    let bn = shallow().with_f32("features.1.running_mean", &[1], &[0.0]);
    names(&complaint(bn.weights(), "my.safetensors"), &["batch-normalised", "features.1.running_mean"]);
}

#[test]
fn files_that_are_mistaken_for_weights_are_recognised() {
    for (start, remedy) in [
        (&b"PK\x03\x04\x00\x00\x08\x08\x00archive/data.pkl"[..], "weights_only=True"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "weights_only=True"),
        (b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00}", "weights_only=True"),
        (b"\x89HDF\r\n\x1a\n\0\0\0", "Keras"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        (b"<!doctype html><html>", "not a safetensors file"),
        (b"\x10\0\0\0\0\0\0\0{ this is no JSON}", "no JSON"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "header is too long"),
        (b"\x02\0\0\0\0\0\0\0{}", "no tensors at all"),
        (b"", "is empty"),
        (b"abc", "not a safetensors file"),
    ] {
        names(&complaint(Weights::from_bytes("strange", start.to_vec()), "strange"), &[remedy]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.safetensors");
    names(&complaint(Weights::open(&missing), &missing.display().to_string()), &["no such file", "check the path"]);
    let name = folder.path().display().to_string();
    names(&complaint(Weights::open(folder.path()), &name), &["directory", ".safetensors"]);
}

#[test]
fn a_file_on_disk_is_read_like_bytes_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shallow.safetensors");
    fs::write(&path, shallow().bytes()).unwrap();
    let (opened, given) = (Weights::load(Some(&path)).unwrap(), shallow().weights().unwrap());
    assert_eq!(opened.convolution(1).unwrap(), given.convolution(1).unwrap());
}

#[test]
fn a_file_cut_off_anywhere_is_refused_and_never_panics() {
    let whole = shallow().bytes();
    let header = 1000.min(whole.len());
    for length in (0..header).chain((header..whole.len()).step_by(977)).chain([whole.len() - 1]) {
        let message = complaint(Weights::from_bytes("half", whole[..length].to_vec()), "half");
        let promised = format!("{length} bytes of ");
        assert!(length <= 8 || (message.contains("truncated") && message.contains(&promised)), "{length}: {message}");
    }
    let longer = [&whole[..], b"x"].concat();
    names(&complaint(Weights::from_bytes("longer", longer), "longer"), &["not fully covered"]);
}

#[test]
fn offsets_beyond_any_file_are_refused_before_anything_adds_them_up() {
    let half = u64::MAX / 2 / 4 * 4;
    let header = format!(
        r#"{{"features.0.weight":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{half}]}},"b":{{"dtype":"F32","shape":[{}],"data_offsets":[{half},{}]}}}}"#,
        half / 4,
        half / 4,
        half * 2
    );
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    names(&complaint(Weights::from_bytes("huge", file), "huge"), &["truncated"]);
}

proptest! {
    #[test]
    fn damage_anywhere_in_the_header_never_panics(
        damage in prop::collection::vec((0usize..400, any::<u8>()), 1..4)
    ) {
        let mut bytes = shallow().bytes();
        for (position, byte) in damage {
            bytes[position] = byte;
        }
        if let Ok(weights) = Weights::from_bytes("damaged", bytes) {
            let _ = weights.verify();
        }
    }
}

#[test]
fn info_measures_every_tensor_of_the_network() {
    let mut file = shallow();
    for (number, (inputs, outputs)) in Architecture::Vgg16.feature_numbers().zip(PAIRS).skip(2) {
        file = file.with_convolution(number, Dtype::BF16, inputs, outputs);
    }
    let bias: Vec<f32> = (0..64).map(|i| if i == 9 { -2.0 } else { 1.0 }).collect();
    let weights =
        file.with_f32("features.0.bias", &[64], &bias).with_f32("classifier.0.bias", &[1], &[0.0]).weights().unwrap();
    let info = weights.info().unwrap();
    assert_eq!((info.tensors.len(), info.ignored.as_slice()), (26, &["classifier.0.bias".to_owned()][..]));
    let first = &info.tensors[1];
    assert_eq!(
        (first.name.as_str(), first.shape.as_slice(), first.dtype.as_str()),
        ("features.0.bias", &[64][..], "F32")
    );
    assert_eq!((first.min, first.max, first.mean), (-2.0, 1.0, 61.0 / 64.0));
    assert_eq!(info.tensors[25].dtype, "BF16");
}

/// (in, out) channels of VGG16's convolutions.
const PAIRS: [(usize, usize); 13] = [
    (3, 64),
    (64, 64),
    (64, 128),
    (128, 128),
    (128, 256),
    (256, 256),
    (256, 256),
    (256, 512),
    (512, 512),
    (512, 512),
    (512, 512),
    (512, 512),
    (512, 512),
];

#[cfg(feature = "embedded-weights")]
#[test]
fn the_embedded_weights_are_torchvisions_vgg16() {
    let weights = Weights::load(None).unwrap();
    assert_eq!(weights.architecture(), Architecture::Vgg16);
    let (_, bias) = weights.convolution(0).unwrap();
    // Known to four digits (5e-5), stored in half precision (2⁻¹¹ of the value).
    for (value, torchvision) in bias.iter().zip([0.4034_f32, 0.3778, 0.4644, -0.3228]) {
        assert!((value - torchvision).abs() <= 5e-5 + torchvision.abs() / 2048.0, "{value} {torchvision}");
    }
    let info = weights.info().unwrap();
    assert_eq!(info.tensors.iter().map(|t| t.shape.iter().product::<usize>()).sum::<usize>(), 14_714_688);
    assert!(info.ignored.is_empty() && info.tensors.iter().all(|tensor| tensor.dtype == "F16"));
    assert_eq!(info.metadata["mean"], "0.485 0.456 0.406");
    let readme = include_str!("../../../weights/README.md");
    assert!(readme.contains(&info.sha256), "weights/README.md records another hash than {}", info.sha256);
}
