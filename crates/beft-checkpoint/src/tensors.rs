use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use half::{bf16, f16};
use safetensors::Dtype;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::CheckpointError;
use crate::shard::{Info, Shard};

/// The tensors of one or more safetensors or PyTorch files. A tensor is read when it is asked for.
#[derive(Debug)]
pub struct TensorFiles {
    path: PathBuf,
    shards: Vec<Shard>,
    shard_of: BTreeMap<String, usize>,
    /// Of some bytes and of all, once they were asked for.
    fingerprint: OnceLock<String>,
    digest: OnceLock<String>,
}

/// Which bytes of a tensor an identity is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// 64 at its beginning.
    First,
    /// 16 of each [`EVERY`].
    Spread,
    /// All.
    All,
}

/// A row of a table is longer, but in the smallest models.
const EVERY: usize = 512;

/// As many of these bytes as there are, and not more than `most`.
fn first(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

/// How an identity of [`Part::Spread`] begins.
const SPREAD: &str = "spread-";

/// `model.safetensors.index.json`, `pytorch_model.bin.index.json`, as `save_pretrained` writes them.
#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// A type that weights are kept in.
pub(crate) trait FromFloat: Copy + Default {
    fn from_f32(value: f32) -> Self;
}

impl FromFloat for f32 {
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl FromFloat for f16 {
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl FromFloat for bf16 {
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl TensorFiles {
    /// Opens one `.safetensors` file, or a `.bin`, `.pt` or `.pth` that PyTorch wrote (read by a
    /// reader that executes no pickle code).
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is truncated or malformed.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let shard = Shard::open(path)?;
        let shard_of = shard.names().into_iter().map(|name| (name, 0)).collect();
        Ok(Self {
            path: path.to_owned(),
            shards: vec![shard],
            shard_of,
            fingerprint: OnceLock::new(),
            digest: OnceLock::new(),
        })
    }

    /// Opens all files named in an index (`model.safetensors.index.json`).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), for the index and every file; and when the index names a tensor
    /// that its file does not hold.
    pub fn open_sharded(index: &Path) -> Result<Self, CheckpointError> {
        let text = fs::read(index).map_err(CheckpointError::io("read", index))?;
        let parsed: ShardIndex =
            serde_json::from_slice(&text).map_err(|source| CheckpointError::Json {
                path: index.to_owned(),
                source,
            })?;
        let mut shards: Vec<Shard> = Vec::new();
        let mut number_of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut shard_of = BTreeMap::new();
        for (name, file) in &parsed.weight_map {
            if Path::new(file).file_name() != Some(file.as_ref()) {
                return Err(CheckpointError::Config {
                    path: index.to_owned(),
                    reason: format!("`{file}` is no file name: shards lie beside the index"),
                });
            }
            let number = match number_of.get(file.as_str()) {
                Some(number) => *number,
                None => {
                    shards.push(Shard::open(&index.with_file_name(file))?);
                    number_of.insert(file, shards.len() - 1);
                    shards.len() - 1
                }
            };
            let shard = &shards[number];
            if shard.info(name).is_none() {
                return Err(CheckpointError::BadTensorFile {
                    path: shard.path().to_owned(),
                    reason: format!("the index {} says it holds `{name}`", index.display()),
                });
            }
            shard_of.insert(name.clone(), number);
        }
        Ok(Self {
            path: index.to_owned(),
            shards,
            shard_of,
            fingerprint: OnceLock::new(),
            digest: OnceLock::new(),
        })
    }

    /// The file or index that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shard_of.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.shard_of.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(self.entry(name)?.1.shape)
    }

    /// The number type of the first tensor of floating-point numbers by name, under PyTorch's name (`float32`).
    pub fn float_type(&self) -> Option<&'static str> {
        self.names()
            .find_map(|name| match self.entry(name)?.1.dtype {
                Dtype::F64 => Some("float64"),
                Dtype::F32 => Some("float32"),
                Dtype::F16 => Some("float16"),
                Dtype::BF16 => Some("bfloat16"),
                _ => None,
            })
    }

    /// Whether two tensors are there and hold the same bytes.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn equal(&self, a: &str, b: &str) -> Result<bool, CheckpointError> {
        let (Some((shard_a, info_a)), Some((shard_b, info_b))) = (self.entry(a), self.entry(b))
        else {
            return Ok(false);
        };
        let same_kind = info_a.dtype == info_b.dtype && info_a.shape == info_b.shape;
        let same = same_kind && shard_a.bytes(a)? == shard_b.bytes(b)?;
        shard_a.release(a);
        shard_b.release(b);
        Ok(same)
    }

    /// The values of a tensor as `f32`; `f32`, `f16` and `bf16` can be read.
    ///
    /// # Errors
    ///
    /// When there is no such tensor, or its type is none of these.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        self.read_as(name)
    }

    /// The values of a tensor in another type, after which the file's pages are no longer kept in memory.
    pub(crate) fn read_as<T: FromFloat>(&self, name: &str) -> Result<Vec<T>, CheckpointError> {
        let bad = |reason| CheckpointError::BadTensorFile {
            path: self.path.clone(),
            reason,
        };
        let missing = || bad(format!("it holds no tensor `{name}`"));
        let (shard, info) = self.entry(name).ok_or_else(missing)?;
        let bytes = shard.bytes(name)?.ok_or_else(missing)?;
        let (fours, twos) = (bytes.as_chunks::<4>().0, bytes.as_chunks::<2>().0);
        let values = match info.dtype {
            Dtype::F32 => fours
                .iter()
                .map(|b| T::from_f32(f32::from_le_bytes(*b)))
                .collect(),
            Dtype::F16 => twos
                .iter()
                .map(|b| T::from_f32(f16::from_le_bytes(*b).to_f32()))
                .collect(),
            Dtype::BF16 => twos
                .iter()
                .map(|b| T::from_f32(bf16::from_le_bytes(*b).to_f32()))
                .collect(),
            other => {
                return Err(CheckpointError::Config {
                    path: shard.path().to_owned(),
                    reason: format!(
                        "tensor `{name}` has type {other:?}; F32, F16 and BF16 can be read"
                    ),
                });
            }
        };
        shard.release(name);
        Ok(values)
    }

    /// A short identity of the weights, which adapters record: of names, shapes, types and a thirty-second of all bytes, taken
    /// from all parts of each tensor. Takes 0.2 s for each GB, and is another one for any training or new row of a table.
    pub fn fingerprint(&self) -> &str {
        self.fingerprint
            .get_or_init(|| format!("{SPREAD}{}", self.hash_of(Part::Spread)))
    }

    /// The identity in the form that `recorded` has: that of an adapter of before is made of the first bytes of each tensor.
    pub fn fingerprint_like(&self, recorded: &str) -> String {
        match recorded.starts_with(SPREAD) {
            true => self.fingerprint().to_owned(),
            false => self.hash_of(Part::First),
        }
    }

    /// A short identity of all bytes of the weights. Reads them all, once: about a second for each 1.5 GB.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| self.hash_of(Part::All))
    }

    /// Of names, shapes, types and this part of each tensor's bytes.
    fn hash_of(&self, part: Part) -> String {
        let mut hash = Sha256::new();
        for name in self.names() {
            if let Some((shard, info)) = self.entry(name) {
                hash.update(format!("{name}:{:?}:{:?};", info.dtype, info.shape));
                // What cannot be read is reported when it is needed.
                let Ok(Some(bytes)) = shard.bytes(name) else {
                    continue;
                };
                match part {
                    Part::First => hash.update(first(&bytes, 64)),
                    Part::Spread => {
                        let samples = bytes.chunks(EVERY);
                        samples.for_each(|bytes| hash.update(first(bytes, 16)));
                    }
                    Part::All => hash.update(bytes),
                }
                // So that a large model that is read as a whole is not in memory as a whole.
                if part != Part::First {
                    shard.release(name);
                }
            }
        }
        format!("{:.32x}", hash.finalize())
    }

    fn entry(&self, name: &str) -> Option<(&Shard, Info<'_>)> {
        let shard = &self.shards[*self.shard_of.get(name)?];
        Some((shard, shard.info(name)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelDir;
    use crate::test_files::write_tensors;

    #[test]
    fn a_truncated_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        write_tensors(&path, &[("a", &[2, 3], &[1., 2., 3., 4., 5., 6.])]);
        let files = TensorFiles::open(&path).unwrap();
        assert_eq!(files.read("a").unwrap(), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(files.shape("a").unwrap(), [2, 3]);

        let whole = fs::read(&path).unwrap();
        for keep in [0, 4, 20, whole.len() - 1] {
            let cut = dir.path().join(format!("cut{keep}.safetensors"));
            fs::write(&cut, &whole[..keep]).unwrap();
            let message = TensorFiles::open(&cut).unwrap_err().to_string();
            assert!(
                message.contains(&format!("cut{keep}.safetensors")),
                "{message}"
            );
        }
    }

    #[test]
    fn half_precision_is_widened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("half.safetensors");
        let h: Vec<u8> = [1.5f32, -2.0]
            .iter()
            .flat_map(|x| f16::from_f32(*x).to_le_bytes())
            .collect();
        let b: Vec<u8> = [1.5f32, -2.0]
            .iter()
            .flat_map(|x| bf16::from_f32(*x).to_le_bytes())
            .collect();
        let views = [
            (
                "h",
                safetensors::tensor::TensorView::new(Dtype::F16, vec![2], &h).unwrap(),
            ),
            (
                "b",
                safetensors::tensor::TensorView::new(Dtype::BF16, vec![2], &b).unwrap(),
            ),
        ];
        fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let files = TensorFiles::open(&path).unwrap();
        assert_eq!(files.read("h").unwrap(), [1.5, -2.0]);
        assert_eq!(files.read("b").unwrap(), [1.5, -2.0]);
        assert_eq!(files.float_type(), Some("bfloat16"));
        let config = dir.path().join("config.json");
        for (keys, other) in [
            ("{}", Some((path.clone(), "bfloat16"))),
            (
                r#"{"dtype": null, "torch_dtype": "torch.float16"}"#,
                Some((config.clone(), "float16")),
            ),
            (r#"{"torch_dtype": "float32"}"#, None),
        ] {
            fs::write(&config, keys).unwrap();
            let found = ModelDir::open(dir.path())
                .unwrap()
                .other_dtype(&files)
                .unwrap();
            assert_eq!(found, other.map(|(path, name)| (path, name.to_owned())));
        }
    }

    #[test]
    fn shards_are_found_through_the_index() {
        let dir = tempfile::tempdir().unwrap();
        write_tensors(&dir.path().join("m-1.safetensors"), &[("a", &[1], &[1.0])]);
        write_tensors(&dir.path().join("m-2.safetensors"), &[("b", &[1], &[2.0])]);
        let index = dir.path().join("model.safetensors.index.json");
        fs::write(
            &index,
            r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}"#,
        )
        .unwrap();
        let files = TensorFiles::open_sharded(&index).unwrap();
        assert_eq!(files.read("b").unwrap(), [2.0]);

        fs::write(&index, r#"{"weight_map": {"a": "../m-1.safetensors"}}"#).unwrap();
        let message = TensorFiles::open_sharded(&index).unwrap_err().to_string();
        assert!(message.contains("no file name"), "{message}");

        fs::write(&index, r#"{"weight_map": {"c": "m-1.safetensors"}}"#).unwrap();
        let message = TensorFiles::open_sharded(&index).unwrap_err().to_string();
        assert!(
            message.contains("m-1.safetensors") && message.contains("`c`"),
            "{message}"
        );
    }

    #[test]
    fn the_fingerprint_follows_the_values() {
        let dir = tempfile::tempdir().unwrap();
        let print = |values: &[f32]| {
            let path = dir.path().join("f.safetensors");
            write_tensors(&path, &[("a", &[values.len()], values)]);
            let files = TensorFiles::open(&path).unwrap();
            (files.fingerprint().to_owned(), files.fingerprint_like("0a"))
        };
        assert_eq!(print(&[1.0, 2.0]), print(&[1.0, 2.0]));
        assert_ne!(print(&[1.0, 2.0]), print(&[1.0, 2.5]));
        // One that follows the first values alone is still compared with such a one.
        let rows = |changed: usize| {
            let mut values = [1.0; 4096];
            values[changed * 384..][..384].fill(0.5);
            print(&values)
        };
        let (first, second) = (rows(4), rows(5));
        assert_ne!(first.0, second.0);
        assert_eq!(first.1, second.1);
        let digest = |last| {
            let path = dir.path().join("f.safetensors");
            let values = [&[1.0; 100][..], &[last]].concat();
            write_tensors(&path, &[("a", &[values.len()], &values)]);
            TensorFiles::open(&path).unwrap().digest().to_owned()
        };
        assert_eq!(digest(1.0), digest(1.0));
        assert_ne!(digest(1.0), digest(1.5));
    }
}
