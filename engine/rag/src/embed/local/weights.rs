//! Tensors by name, from `model.safetensors` or its shards, with every shape checked against what is expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::files::{invalid, missing, read_json_optional};
use crate::error::{Error, Result};

/// One file of tensors, in memory.
struct Shard {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the tensors begin, behind the header.
    start: usize,
    metadata: Metadata,
}

impl Shard {
    fn read(path: PathBuf) -> Result<Shard> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(&path)),
            Err(source) => return Err(Error::Io { operation: "read", path, source }),
        };
        let header = SafeTensors::read_metadata(&bytes);
        let (header, metadata) =
            header.map_err(|error| invalid(&path, format!("is no safetensors file: {error}")))?;
        Ok(Shard { path, start: header + size_of::<u64>(), metadata, bytes })
    }
}

/// All tensors of a model.
pub(crate) struct Weights {
    directory: PathBuf,
    shards: Vec<Shard>,
    /// What stands before every name: `bert.` in some files, nothing in most.
    prefix: String,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Reads `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    pub(crate) fn read(directory: &Path) -> Result<Weights> {
        let single = directory.join("model.safetensors");
        let index_path = directory.join("model.safetensors.index.json");
        let index = if single.exists() { None } else { read_json_optional::<Index>(&index_path)? };
        let Some(index) = index else {
            let shards = vec![Shard::read(single)?];
            return Ok(Weights { directory: directory.to_owned(), shards, prefix: String::new() });
        };
        let mut names: Vec<&String> = index.weight_map.values().collect();
        names.sort();
        names.dedup();
        let mut shards = Vec::new();
        for name in names {
            if name.contains(['/', '\\']) || !name.ends_with(".safetensors") {
                return Err(invalid(&index_path, format!("`{name}` is no name of a shard")));
            }
            shards.push(Shard::read(directory.join(name))?);
        }
        Ok(Weights { directory: directory.to_owned(), shards, prefix: String::new() })
    }

    /// SHA-256 of the file, or of the shards one after the other in the order of their names, in hex.
    pub(crate) fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.shards.iter().for_each(|shard| hash.update(&shard.bytes));
        crate::embed::hex(&hash.finalize())
    }

    /// Finds what stands before every name: the first of `prefixes` with which there is a tensor `name`.
    pub(super) fn find_prefix(&mut self, prefixes: &[&str], name: &str) -> Result<()> {
        let found = prefixes.iter().find(|prefix| self.find(&format!("{prefix}{name}")).is_some());
        self.prefix = found.ok_or_else(|| self.absent(name))?.to_string();
        Ok(())
    }

    /// Whether there is a tensor of a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    /// The tensor of a name and shape.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        let (shard, info) = self.named(name).ok_or_else(|| self.absent(name))?;
        let wrong = |reason: String| invalid(&shard.path, format!("tensor {name} {reason}"));
        if info.shape != shape {
            return Err(wrong(format!("has the shape {:?}, expected is {shape:?}", info.shape)));
        }
        let element = match info.dtype {
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            other => return Err(wrong(format!("is of type {other:?}, supported are F32, F16 and BF16"))),
        };
        let (from, to) = info.data_offsets;
        let data = shard.bytes.get(shard.start + from..shard.start + to);
        let data = data.ok_or_else(|| wrong("ends beyond the file".to_owned()))?;
        Ok(Tensor { element, data })
    }

    fn named(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let name = format!("{}{name}", self.prefix);
        self.find(&name).or_else(|| {
            // As TensorFlow called them, and early checkpoints still do.
            let stem = name.strip_suffix("LayerNorm.weight").map(|stem| format!("{stem}LayerNorm.gamma"));
            let old =
                stem.or_else(|| Some(format!("{}LayerNorm.beta", name.strip_suffix("LayerNorm.bias")?)));
            self.find(&old?)
        })
    }

    fn find(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        self.shards.iter().find_map(|shard| Some((shard, shard.metadata.info(name)?)))
    }

    fn absent(&self, name: &str) -> Error {
        let path = match self.shards.as_slice() {
            [shard] => &shard.path,
            _ => &self.directory,
        };
        invalid(path, format!("tensor {name} is missing"))
    }
}

/// The type of a tensor's numbers.
#[derive(Clone, Copy)]
enum Element {
    F32,
    F16,
    Bf16,
}

/// The numbers of a tensor as they are in the file: little-endian, at any address.
pub(crate) struct Tensor<'a> {
    element: Element,
    data: &'a [u8],
}

impl Tensor<'_> {
    /// The numbers, widened.
    pub(crate) fn to_vec(&self) -> Vec<f32> {
        let halves = || self.data.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        match self.element {
            Element::F32 => {
                self.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            Element::F16 => halves().map(|bits| f16::from_bits(bits).to_f32()).collect(),
            Element::Bf16 => halves().map(|bits| bf16::from_bits(bits).to_f32()).collect(),
        }
    }

    /// A table of rows of `columns` numbers, kept as narrow as the file has them.
    pub(super) fn to_table(&self, columns: usize) -> Table {
        let halves = || {
            let bits = self.data.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
            bits.collect()
        };
        let values = match self.element {
            Element::F32 => Values::F32(self.to_vec()),
            Element::F16 => Values::F16(halves()),
            Element::Bf16 => Values::Bf16(halves()),
        };
        Table { values, columns }
    }
}

enum Values {
    F32(Vec<f32>),
    F16(Vec<u16>),
    Bf16(Vec<u16>),
}

/// A table of embeddings.
pub(super) struct Table {
    values: Values,
    columns: usize,
}

impl Table {
    /// Adds a row to `sum`; whether there is such a row.
    #[must_use]
    pub(super) fn add_row(&self, row: usize, sum: &mut [f32]) -> bool {
        let Some(from) = row.checked_mul(self.columns) else { return false };
        let range = from..from.saturating_add(self.columns);
        fn add<T: Copy>(values: Option<&[T]>, sum: &mut [f32], widen: impl Fn(T) -> f32) -> bool {
            let Some(values) = values else { return false };
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += widen(*value));
            true
        }
        match &self.values {
            Values::F32(values) => add(values.get(range), sum, |value| value),
            Values::F16(values) => add(values.get(range), sum, |bits| f16::from_bits(bits).to_f32()),
            Values::Bf16(values) => add(values.get(range), sum, |bits| bf16::from_bits(bits).to_f32()),
        }
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    fn write(directory: &Path, file: &str, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) {
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
        std::fs::write(directory.join(file), safetensors::serialize(views, None).unwrap()).unwrap();
    }

    #[test]
    fn every_type_is_widened_and_every_mistake_named() {
        let directory = tempfile::tempdir().unwrap();
        let values = [1.5_f32, -2.0];
        let single = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let half = values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let brain = values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
        let tensors = [
            ("m.single", Dtype::F32, vec![2], single),
            ("m.half", Dtype::F16, vec![2], half),
            ("m.brain", Dtype::BF16, vec![2], brain),
            ("m.whole", Dtype::I32, vec![2], vec![0; 8]),
            ("m.LayerNorm.gamma", Dtype::F32, vec![0], vec![]),
        ];
        write(directory.path(), "model.safetensors", &tensors);
        let mut weights = Weights::read(directory.path()).unwrap();
        weights.find_prefix(&["", "m."], "single").unwrap();
        for name in ["single", "half", "brain"] {
            let tensor = weights.tensor(name, &[2]).unwrap();
            assert_eq!(tensor.to_vec(), values, "{name}");
            let mut sum = [1.0];
            assert!(tensor.to_table(1).add_row(1, &mut sum));
            assert_eq!(sum, [-1.0], "{name}");
            assert!(!tensor.to_table(1).add_row(2, &mut sum));
            assert!(!tensor.to_table(2).add_row(usize::MAX, &mut sum));
        }
        assert!(weights.tensor("LayerNorm.weight", &[0]).is_ok());
        let message = |name: &str, shape: &[usize]| match weights.tensor(name, shape) {
            Ok(_) => panic!("{name} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(message("single", &[1, 2]).contains("single has the shape [2], expected is [1, 2]"));
        assert!(message("whole", &[2]).contains("tensor whole is of type I32"));
        assert!(message("none", &[2]).contains("tensor none is missing"));
    }

    #[test]
    fn shards_are_read_as_one() {
        let directory = tempfile::tempdir().unwrap();
        let number = |x: f32| x.to_le_bytes().to_vec();
        write(directory.path(), "a.safetensors", &[("one", Dtype::F32, vec![1], number(1.0))]);
        write(directory.path(), "b.safetensors", &[("two", Dtype::F32, vec![1], number(2.0))]);
        let index = r#"{"weight_map":{"one":"a.safetensors","two":"b.safetensors"}}"#;
        std::fs::write(directory.path().join("model.safetensors.index.json"), index).unwrap();
        let weights = Weights::read(directory.path()).unwrap();
        assert_eq!(weights.tensor("two", &[1]).unwrap().to_vec(), [2.0]);

        std::fs::remove_file(directory.path().join("b.safetensors")).unwrap();
        let error = Weights::read(directory.path()).err().unwrap().to_string();
        assert!(error.contains("b.safetensors is missing"), "{error}");
        let index = r#"{"weight_map":{"one":"../a.safetensors"}}"#;
        std::fs::write(directory.path().join("model.safetensors.index.json"), index).unwrap();
        let error = Weights::read(directory.path()).err().unwrap().to_string();
        assert!(error.contains("no name of a shard"), "{error}");
    }

    #[test]
    fn damaged_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("model.safetensors");
        for bytes in [&b""[..], b"short", &[0xff; 64], b"\x02\0\0\0\0\0\0\0{]", b"\x02\0\0\0\0\0\0\0{}extra"]
        {
            std::fs::write(&file, bytes).unwrap();
            let error = Weights::read(directory.path()).err().unwrap().to_string();
            assert!(error.contains("is no safetensors file"), "{error}");
        }
    }
}
