use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use beft_core::guarded;
use memmap2::Mmap;
use pytorch_reader::{DType, PytorchReader, Tensor};
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};

use crate::CheckpointError;

/// One file with tensors.
#[derive(Debug)]
pub(crate) struct Shard {
    path: PathBuf,
    content: Content,
}

enum Content {
    /// Memory-mapped.
    Safetensors {
        map: Mmap,
        data_start: usize,
        metadata: Metadata,
    },
    /// What `torch.save` wrote: a zip file with pickled facts about plain bytes.
    Pytorch(HashMap<String, Tensor>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors { .. } => "safetensors",
            Self::Pytorch(_) => "pytorch",
        })
    }
}

/// A tensor's type, by the name that safetensors has for it, and shape.
#[derive(Debug)]
pub(crate) struct Info<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
}

impl Shard {
    pub(crate) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        let content = match extension {
            "bin" | "pt" | "pth" => open_pytorch(path)?,
            _ => open_safetensors(path)?,
        };
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn names(&self) -> Vec<String> {
        match &self.content {
            Content::Safetensors { metadata, .. } => metadata.tensors().into_keys().collect(),
            Content::Pytorch(tensors) => tensors.keys().cloned().collect(),
        }
    }

    pub(crate) fn info(&self, name: &str) -> Option<Info<'_>> {
        match &self.content {
            Content::Safetensors { metadata, .. } => metadata.info(name).map(|info| Info {
                dtype: info.dtype,
                shape: &info.shape,
            }),
            Content::Pytorch(tensors) => tensors.get(name).map(|tensor| Info {
                dtype: dtype(tensor.dtype()),
                shape: tensor.shape(),
            }),
        }
    }

    /// Lets the system take back the pages of a mapped tensor that has been read.
    pub(crate) fn release(&self, name: &str) {
        if let Content::Safetensors {
            map,
            data_start,
            metadata,
        } = &self.content
            && let Some(info) = metadata.info(name)
        {
            let (start, end) = info.data_offsets;
            // SAFETY: the map is of a file and read-only: pages that are read again come from it.
            #[allow(unsafe_code)]
            #[cfg(unix)]
            let released = unsafe {
                let advice = memmap2::UncheckedAdvice::DontNeed;
                map.unchecked_advise_range(advice, data_start + start, end - start)
            };
            // Memory is only kept for longer.
            #[cfg(unix)]
            drop(released);
        }
    }

    /// The bytes of a tensor, little-endian and row-major; `None` when there is no such tensor.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, CheckpointError> {
        match &self.content {
            Content::Safetensors {
                map,
                data_start,
                metadata,
            } => Ok(metadata.info(name).map(|info| {
                let (start, end) = info.data_offsets;
                Cow::Borrowed(&map[data_start + start..data_start + end])
            })),
            Content::Pytorch(tensors) => tensors
                .get(name)
                .map(|tensor| tensor.read().map(Cow::Owned))
                .transpose()
                .map_err(CheckpointError::io("read", &self.path)),
        }
    }
}

fn open_safetensors(path: &Path) -> Result<Content, CheckpointError> {
    let file = File::open(path).map_err(CheckpointError::io("read", path))?;
    // SAFETY: the map is read-only and private to this value. As with any reader of a mapped
    // checkpoint, another process truncating the file meanwhile is outside our control.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(&file) }.map_err(CheckpointError::io("read", path))?;
    let bad = |reason: String| CheckpointError::BadTensorFile {
        path: path.to_owned(),
        reason,
    };
    let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| bad(e.to_string()))?;
    let data_start = header + 8;
    let expected = data_start + metadata.data_len();
    if map.len() != expected {
        return Err(bad(format!(
            "it has {} bytes, its header says {expected}",
            map.len()
        )));
    }
    Ok(Content::Safetensors {
        map,
        data_start,
        metadata,
    })
}

fn open_pytorch(path: &Path) -> Result<Content, CheckpointError> {
    File::open(path).map_err(CheckpointError::io("read", path))?;
    let bad = |reason| CheckpointError::BadTensorFile {
        path: path.to_owned(),
        reason,
    };
    let reader = guarded(|| PytorchReader::new(path));
    let reader = reader.ok_or_else(|| bad("it is damaged".to_owned()))?;
    // Of a damaged file the reader tells all that it holds.
    let reader = reader.map_err(|e| bad(e.to_string().chars().take(300).collect()))?;
    Ok(Content::Pytorch(reader.into_tensors()))
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}
