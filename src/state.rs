//! What a run carries from step to step, as named arrays, so that it can be put away and taken up again.
//!
//! A part of the program that has a memory says in one function what of it is kept, and in another, beside it, how it
//! comes back. Neither knows files: what is saved borrows from what is saved, and a checkpoint writes it out.
//!
//! The arrays are those of a safetensors file, which other programs read. The few numbers beside them, counters and a
//! line search under way, are one array of bytes each, in CBOR: unlike JSON it has every `f64`, infinity too.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bytemuck::Pod;
use ndarray::Array2;
use safetensors::tensor::{Metadata, View};
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Under which name of the file's notes the digest of everything else is.
const DIGEST: &str = "sha256";

/// An element of an array.
pub trait Number: Pod {
    /// Its name in the file.
    const DTYPE: Dtype;
}

impl Number for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

impl Number for f64 {
    const DTYPE: Dtype = Dtype::F64;
}

impl Number for u8 {
    const DTYPE: Dtype = Dtype::U8;
}

/// An array's bytes, the first index slowest.
struct Array<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Cow<'a, [u8]>,
}

impl View for &Array<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Named arrays on their way to a file.
#[derive(Default)]
pub struct Saved<'a>(BTreeMap<String, Array<'a>>);

impl<'a> Saved<'a> {
    /// Keeps an array.
    ///
    /// # Panics
    /// If the shape is not that of so many values.
    pub fn array<T: Number>(&mut self, name: impl Into<String>, shape: &[usize], values: &'a [T]) {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "one value for each place");
        let bytes = Cow::Borrowed(bytemuck::cast_slice(values));
        self.0.insert(name.into(), Array { dtype: T::DTYPE, shape: shape.to_vec(), bytes });
    }

    /// Keeps a matrix.
    pub fn matrix<T: Number>(&mut self, name: impl Into<String>, matrix: &'a Array2<T>) {
        let shape = matrix.shape().to_vec();
        let bytes = match matrix.as_slice() {
            Some(values) => Cow::Borrowed(bytemuck::cast_slice(values)),
            None => Cow::Owned(bytemuck::cast_slice(&matrix.iter().copied().collect::<Vec<T>>()).to_vec()),
        };
        self.0.insert(name.into(), Array { dtype: T::DTYPE, shape, bytes });
    }

    /// Keeps a few numbers.
    ///
    /// # Panics
    /// If the value is of a kind that has no representation, such as a map whose keys are maps.
    pub fn small(&mut self, name: impl Into<String>, value: &impl Serialize) {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).expect("numbers and their names");
        self.0.insert(name.into(), Array { dtype: Dtype::U8, shape: vec![bytes.len()], bytes: Cow::Owned(bytes) });
    }

    /// Writes everything, with notes, to a file that is there already.
    ///
    /// # Errors
    /// The system's reason.
    pub fn write(&self, notes: &BTreeMap<&str, String>, path: &std::path::Path) -> Result<(), String> {
        safetensors::serialize_to_file(&self.0, Some(self.with_digest(notes)), path).map_err(|error| error.to_string())
    }

    /// The file that [`Saved::write`] makes.
    ///
    /// # Errors
    /// What the format cannot hold.
    pub fn to_bytes(&self, notes: &BTreeMap<&str, String>) -> Result<Vec<u8>, String> {
        safetensors::serialize(&self.0, Some(self.with_digest(notes))).map_err(|error| error.to_string())
    }

    fn with_digest(&self, notes: &BTreeMap<&str, String>) -> HashMap<String, String> {
        let arrays = self.0.iter().map(|(name, a)| (name.as_str(), a.dtype, a.shape.as_slice(), &*a.bytes));
        let digest = digest(notes.iter().map(|(name, note)| (*name, note.as_str())), arrays);
        let notes = notes.iter().map(|(name, note)| ((*name).to_owned(), note.clone()));
        notes.chain([(DIGEST.to_owned(), digest)]).collect()
    }
}

/// Named arrays out of a file.
#[derive(Debug)]
pub struct Found {
    bytes: Vec<u8>,
    start: usize,
    header: Metadata,
    notes: BTreeMap<String, String>,
}

impl Found {
    /// Reads what [`Saved::write`] wrote.
    ///
    /// # Errors
    /// What is wrong with it: no such file at all, cut short, or changed since.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let (length, header) = SafeTensors::read_metadata(&bytes).map_err(|error| match error {
            safetensors::SafeTensorError::MetadataIncompleteBuffer => "it is cut short".to_owned(),
            error => format!("not a checkpoint ({error})"),
        })?;
        let mut notes: BTreeMap<_, _> = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let expected = notes.remove(DIGEST).ok_or("not a checkpoint")?;
        let found = Found { start: length + size_of::<u64>(), header, notes, bytes };
        let mut names: Vec<_> = found.header.tensors().into_keys().collect();
        names.sort();
        let arrays = names.iter().map(|name| {
            let info = found.header.info(name).expect("one of its names");
            (name.as_str(), info.dtype, info.shape.as_slice(), found.data(name).unwrap_or_default())
        });
        if digest(found.notes.iter().map(|(name, note)| (name.as_str(), note.as_str())), arrays) == expected {
            Ok(found)
        } else {
            Err("it has been changed since it was written, or damaged".into())
        }
    }

    /// The notes.
    #[must_use]
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }

    /// Whether there is an array of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// An array of this type and shape.
    ///
    /// # Errors
    /// If there is none.
    pub fn array<T: Number>(&self, name: &str, shape: &[usize]) -> Result<Vec<T>, String> {
        let info = self.header.info(name).ok_or_else(|| format!("it lacks {name}"))?;
        if info.dtype != T::DTYPE || info.shape != shape {
            let expected = T::DTYPE;
            return Err(format!("{name} is {:?} {:?}, not {expected:?} {shape:?}", info.dtype, info.shape));
        }
        self.data(name).map(bytemuck::pod_collect_to_vec).ok_or_else(|| format!("{name} is cut short"))
    }

    /// A matrix of this shape.
    ///
    /// # Errors
    /// If there is none.
    pub fn matrix<T: Number>(&self, name: &str, shape: [usize; 2]) -> Result<Array2<T>, String> {
        Array2::from_shape_vec(shape, self.array(name, &shape)?).map_err(|error| error.to_string())
    }

    /// What was kept as a few numbers.
    ///
    /// # Errors
    /// If there is nothing of this name and kind.
    pub fn small<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let bytes = self.data(name).ok_or_else(|| format!("it lacks {name}"))?;
        ciborium::from_reader(bytes).map_err(|error| format!("{name}: {error}"))
    }

    fn data(&self, name: &str) -> Option<&[u8]> {
        let (from, to) = self.header.info(name)?.data_offsets;
        self.bytes.get(self.start.checked_add(from)?..self.start.checked_add(to)?)
    }
}

/// SHA-256 of notes and arrays, each sorted by name.
fn digest<'a>(
    notes: impl Iterator<Item = (&'a str, &'a str)>,
    arrays: impl Iterator<Item = (&'a str, Dtype, &'a [usize], &'a [u8])>,
) -> String {
    let mut hash = Sha256::new();
    // Lengths first: no two files are one sequence of bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for (name, note) in notes {
        [name, note].iter().for_each(|text| part(text.as_bytes()));
    }
    for (name, dtype, shape, bytes) in arrays {
        [name, &format!("{dtype:?} {shape:?}")].iter().for_each(|text| part(text.as_bytes()));
        part(bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let (floats, matrix) = ([1.5f32, f32::MIN_POSITIVE, -0.0], ndarray::arr2(&[[1.0f64, 2.0], [3.0, 4.0]]));
        let transposed = matrix.t().to_owned().reversed_axes();
        let mut saved = Saved::default();
        saved.array("a", &[3, 1], &floats);
        saved.matrix("b", &matrix);
        saved.matrix("b, lying otherwise", &transposed);
        saved.small("c", &(7u32, f64::INFINITY, Some(0.1f64)));
        saved.to_bytes(&BTreeMap::from([("note", "well".to_owned())])).unwrap()
    }

    #[test]
    fn what_was_saved_is_found() {
        let found = Found::parse(file()).unwrap();
        assert_eq!(found.notes()["note"], "well");
        let floats = found.array::<f32>("a", &[3, 1]).unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(floats, [1.5f32, f32::MIN_POSITIVE, -0.0].map(f32::to_bits));
        let matrix = ndarray::arr2(&[[1.0f64, 2.0], [3.0, 4.0]]);
        assert_eq!(found.matrix::<f64>("b", [2, 2]).unwrap(), matrix);
        assert_eq!(found.matrix::<f64>("b, lying otherwise", [2, 2]).unwrap(), matrix);
        assert_eq!(found.small::<(u32, f64, Option<f64>)>("c").unwrap(), (7, f64::INFINITY, Some(0.1)));
        assert!(found.has("a") && !found.has("d"));
    }

    #[test]
    fn what_is_not_there_or_otherwise_is_named() {
        let found = Found::parse(file()).unwrap();
        assert!(found.array::<f32>("d", &[3]).unwrap_err().contains("lacks d"));
        assert!(found.array::<f32>("a", &[3]).unwrap_err().contains("a is F32 [3, 1], not F32 [3]"));
        assert!(found.array::<f64>("a", &[3, 1]).unwrap_err().contains("not F64"));
        assert!(found.small::<String>("c").is_err());
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused() {
        let whole = file();
        for cut in 0..whole.len() {
            assert!(Found::parse(whole[..cut].to_vec()).is_err(), "{cut}");
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert!(Found::parse(changed).is_err(), "{place}");
        }
        assert!(Found::parse(b"{}".to_vec()).unwrap_err().contains("not a checkpoint"));
    }
}
