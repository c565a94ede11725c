//! Reading a safetensors file that may be anything.
//!
//! The `safetensors` library refuses malformed files, but its messages are for
//! programmers. What people really give a program is a `.pth` pickle, a pointer
//! that stands for a file not downloaded, half a download, a folder: each is
//! recognised here and answered with what to do. Functions return the cause
//! alone; the caller knows what the file is called.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use serde_json::Value;

use super::{GET_ANOTHER, WHICH_FILES};

/// Files above this are refused unread: VGG19 with its classifier is 575 MB in F32.
const LARGEST_FILE: u64 = 2 << 30;

/// The format's own limit.
const LARGEST_HEADER: u64 = 100_000_000;

/// Before the header stands its length.
const LENGTH_BYTES: usize = size_of::<u64>();

/// How files begin that are mistaken for weights, and what to say about them.
const IMPOSTORS: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", PICKLE),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"\x89HDF", "this is a Keras (HDF5) file, which has other tensor names"),
    (b"version https://git-lfs", "this is a Git LFS pointer that stands for the weights: run `git lfs pull`"),
];

const PICKLE: &str = "this is a PyTorch .pth pickle, a program rather than data: convert it with \
    `safetensors.torch.save_file(torch.load(FILE, weights_only=True), \"vgg.safetensors\")`";

/// The whole file, in memory.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let system = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => format!("no such file: check the path ({WHICH_FILES})"),
        ErrorKind::PermissionDenied => "may not be read: check the file's permissions".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let metadata = fs::metadata(path).map_err(system)?;
    if metadata.is_dir() {
        return Err("is a directory: name the .safetensors file in it".to_owned());
    }
    if !metadata.is_file() {
        return Err(format!("is not a regular file: {WHICH_FILES}"));
    }
    if metadata.len() > LARGEST_FILE {
        return Err(format!("has {} bytes, more than any VGG: {WHICH_FILES}", metadata.len()));
    }
    fs::read(path).map_err(system)
}

/// Where the tensors' bytes begin, and the header that describes them.
///
/// Every tensor the header names lies inside the file.
pub(super) fn header(file: &[u8]) -> Result<(usize, Metadata), String> {
    // The format fixes the header's first character, and nothing else has it there.
    if file.get(LENGTH_BYTES) != Some(&b'{') {
        return Err(not_even_a_header(file));
    }
    check_length(file)?;
    let (header_length, header) =
        SafeTensors::read_metadata(file).map_err(|error| not_safetensors(&error.to_string()))?;
    Ok((LENGTH_BYTES + header_length, header))
}

fn not_even_a_header(file: &[u8]) -> String {
    match IMPOSTORS.iter().find(|(magic, _)| file.starts_with(magic)) {
        _ if file.is_empty() => format!("is empty: {GET_ANOTHER}"),
        Some((_, what)) => format!("{what}; or {WHICH_FILES}"),
        None => not_safetensors("it does not begin with a header"),
    }
}

/// Compares the file's length with what its own header promises.
///
/// The library only says that the two differ; a file that is too short is nearly
/// always half a download, and is told so. It also keeps offsets beyond the file,
/// and sums of them that overflow, from ever reaching the library.
fn check_length(file: &[u8]) -> Result<(), String> {
    let truncated =
        |promised: u64| format!("is truncated: {} bytes of {promised} are there; {GET_ANOTHER}", file.len());
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(not_safetensors("it is too short"));
    };
    let header_length = u64::from_le_bytes(*length);
    if header_length > LARGEST_HEADER {
        return Err(not_safetensors("its header is too long"));
    }
    let tensors_start = LENGTH_BYTES as u64 + header_length;
    let Some(text) = rest.get(..header_length as usize) else {
        return Err(truncated(tensors_start));
    };
    let header: HashMap<String, Value> =
        serde_json::from_slice(text).map_err(|error| not_safetensors(&format!("its header is no JSON: {error}")))?;
    let end = header.values().filter_map(|entry| entry["data_offsets"][1].as_u64()).max().unwrap_or(0);
    let promised = tensors_start.saturating_add(end);
    if promised > file.len() as u64 { Err(truncated(promised)) } else { Ok(()) }
}

fn not_safetensors(why: &str) -> String {
    format!("is not a safetensors file ({why}): {WHICH_FILES}")
}
