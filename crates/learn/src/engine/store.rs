//! Files of tensors: written whole or not at all, read with distrust.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{LearnError, whole};

/// Files larger than this are not read: the largest model is 25 MB, its checkpoint 100 MB.
const LARGEST: u64 = 1 << 31;

/// Widest sample that a file may claim.
const WIDEST: usize = 1 << 15;

/// A tensor to be written.
pub(crate) struct Stored {
    name: String,
    shape: Vec<usize>,
    kind: Dtype,
    bytes: Vec<u8>,
}

impl Stored {
    /// A tensor of numbers.
    pub(crate) fn floats(name: &str, shape: &[usize], values: &[f32]) -> Stored {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Stored { name: name.to_owned(), shape: shape.to_vec(), kind: Dtype::F32, bytes }
    }

    /// A column of whole numbers.
    pub(crate) fn whole(name: &str, values: &[u32]) -> Stored {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Stored { name: name.to_owned(), shape: vec![values.len()], kind: Dtype::U32, bytes }
    }

    /// Rows of bytes.
    pub(crate) fn bytes(name: &str, shape: &[usize], values: &[u8]) -> Stored {
        let bytes = values.to_vec();
        Stored { name: name.to_owned(), shape: shape.to_vec(), kind: Dtype::U8, bytes }
    }
}

/// Writes tensors and what is said of them.
pub(crate) fn write(
    path: &Path,
    said: HashMap<String, String>,
    tensors: &[Stored],
) -> Result<(), LearnError> {
    let wrong = |what: String| LearnError::File { path: path.to_owned(), what };
    let views = tensors
        .iter()
        .map(|tensor| {
            let view = TensorView::new(tensor.kind, tensor.shape.clone(), &tensor.bytes);
            Ok((tensor.name.as_str(), view.map_err(|error| wrong(error.to_string()))?))
        })
        .collect::<Result<Vec<_>, LearnError>>()?;
    let bytes = safetensors::serialize(views, Some(said)).map_err(|e| wrong(e.to_string()))?;
    let bytes = in_order(&bytes).ok_or_else(|| wrong("its header".to_owned()))?;
    whole::write(path, |out| out.write_all(&bytes))
}

/// The same file with the keys of its header in order, so that equal tensors are equal files.
fn in_order(bytes: &[u8]) -> Option<Vec<u8>> {
    let (size, rest) = bytes.split_first_chunk::<8>()?;
    let (header, tensors) = rest.split_at_checked(u64::from_le_bytes(*size) as usize)?;
    let keys: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_slice(header).ok()?;
    let mut header = serde_json::to_vec(&keys).ok()?;
    // Tensors begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.append(&mut header);
    out.extend_from_slice(tensors);
    Some(out)
}

/// What every model is, in files and to others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Its name.
    pub(crate) name: &'static str,
    /// Bytes of a sample.
    pub(crate) width: usize,
    /// Classes, 0 before it has learned.
    pub(crate) classes: usize,
}

impl Head {
    /// As a file says it.
    fn said(self) -> HashMap<String, String> {
        HashMap::from([
            ("model".to_owned(), self.name.to_owned()),
            ("width".to_owned(), self.width.to_string()),
            ("classes".to_owned(), self.classes.to_string()),
        ])
    }

    /// Writes what the model has learned.
    pub(crate) fn save(self, path: &Path, tensors: &[Stored]) -> Result<(), LearnError> {
        if self.classes == 0 {
            return Err(LearnError::Untrained { name: self.name });
        }
        write(path, self.said(), tensors)
    }

    /// Reads the file of a model of that name.
    pub(crate) fn read<'a>(
        path: &'a Path,
        name: &'static str,
    ) -> Result<(Archive<'a>, Head), LearnError> {
        let archive = Archive::read(path, name)?;
        let classes = archive.number("classes", 2..=usize::from(u16::MAX))?;
        let width = archive.number("width", 1..=WIDEST)?;
        Ok((archive, Head { name, width, classes }))
    }
}

/// A file that was read.
pub(crate) struct Archive<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
    said: HashMap<String, String>,
}

impl<'a> Archive<'a> {
    /// Reads a file and checks that its `model` is `model`.
    pub(crate) fn read(path: &'a Path, model: &str) -> Result<Archive<'a>, LearnError> {
        let refused = |error| LearnError::Io { path: path.to_owned(), error };
        let size = fs::metadata(path).map_err(refused)?.len();
        let mut archive = Archive { path, bytes: Vec::new(), said: HashMap::new() };
        if size > LARGEST {
            return Err(archive.wrong(format!("{size} bytes: no model is that large")));
        }
        archive.bytes = fs::read(path).map_err(refused)?;
        let (_, header) = SafeTensors::read_metadata(&archive.bytes)
            .map_err(|error| archive.wrong(format!("no safetensors: {error}")))?;
        archive.said = header.metadata().clone().unwrap_or_default();
        match archive.said.get("model").map(String::as_str) {
            Some(found) if found == model => Ok(archive),
            Some(found) => Err(archive.wrong(format!("a model of `{found}`, not of `{model}`"))),
            None => Err(archive.wrong("does not say which model it is of".to_owned())),
        }
    }

    /// An error about this file.
    pub(crate) fn wrong(&self, what: String) -> LearnError {
        LearnError::File { path: self.path.to_owned(), what }
    }

    /// What is said under `key`.
    pub(crate) fn said(&self, key: &str) -> Result<&str, LearnError> {
        let said = self.said.get(key).map(String::as_str);
        said.ok_or_else(|| self.wrong(format!("does not say its `{key}`")))
    }

    /// A number said under `key`, within bounds.
    pub(crate) fn number(
        &self,
        key: &str,
        bounds: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, LearnError> {
        let said = self.said(key)?;
        said.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
            self.wrong(format!("`{key}` is {said:?}, not in {}..={}", bounds.start(), bounds.end()))
        })
    }

    fn tensor(&self, name: &str, kind: Dtype) -> Result<(Vec<usize>, &[u8]), LearnError> {
        let tensors = SafeTensors::deserialize(&self.bytes)
            .map_err(|error| self.wrong(format!("no safetensors: {error}")))?;
        let view = tensors.tensor(name).map_err(|_| self.wrong(format!("no tensor `{name}`")))?;
        if view.dtype() != kind {
            return Err(self.wrong(format!("`{name}` is of {:?}, not {kind:?}", view.dtype())));
        }
        Ok((view.shape().to_vec(), view.data()))
    }

    /// A tensor of numbers, all finite, of this shape.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LearnError> {
        let (found, bytes) = self.tensor(name, Dtype::F32)?;
        if found != shape {
            return Err(self.wrong(format!("`{name}` is {found:?}, not {shape:?}")));
        }
        let values: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.wrong(format!("`{name}` holds what is no number")));
        }
        Ok(values)
    }

    /// A column of whole numbers of any length.
    pub(crate) fn whole(&self, name: &str) -> Result<Vec<u32>, LearnError> {
        let (_, bytes) = self.tensor(name, Dtype::U32)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect())
    }

    /// Rows of bytes of this shape.
    pub(crate) fn bytes(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>, LearnError> {
        let (found, bytes) = self.tensor(name, Dtype::U8)?;
        if found != shape {
            return Err(self.wrong(format!("`{name}` is {found:?}, not {shape:?}")));
        }
        Ok(bytes.to_vec())
    }

    /// The shape of a tensor, which has one.
    pub(crate) fn shape(&self, name: &str) -> Result<Vec<usize>, LearnError> {
        let tensors = SafeTensors::deserialize(&self.bytes)
            .map_err(|error| self.wrong(format!("no safetensors: {error}")))?;
        let view = tensors.tensor(name).map_err(|_| self.wrong(format!("no tensor `{name}`")))?;
        match view.shape() {
            [] => Err(self.wrong(format!("`{name}` has no shape"))),
            shape => Ok(shape.to_vec()),
        }
    }
}
