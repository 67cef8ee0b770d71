use std::path::Path;

use beft_checkpoint::{CheckpointError, TensorFiles};
use beft_core::{EncodedSet, Encoding, Targets};
use safetensors::SafeTensors;

use crate::ParityError;

/// Tensors that a Python script stored.
#[derive(Debug)]
pub struct Expected {
    floats: TensorFiles,
    bytes: Vec<u8>,
}

impl Expected {
    /// Opens an `expected.safetensors`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self, ParityError> {
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            floats: TensorFiles::open(path)?,
            bytes,
        })
    }

    /// A float tensor's values.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, ParityError> {
        Ok(self.floats.read(name)?)
    }

    /// Names that begin with `prefix`, without it.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.floats
            .names()
            .filter_map(move |name| name.strip_prefix(prefix))
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.floats.contains(name)
    }

    /// Batch `index` as tokenised inputs with a class each, its padding taken off.
    ///
    /// # Errors
    ///
    /// When its tensors are missing.
    pub fn batch(&self, index: usize) -> Result<EncodedSet, ParityError> {
        let labels = self.ints(index, "labels")?;
        let encodings = self.encodings(index, labels.len())?;
        let classes = labels.iter().map(|label| *label as usize).collect();
        Ok(EncodedSet::new(encodings, Targets::Classes(classes)))
    }

    /// Batch `index` as tokenised inputs with the first and the last token of an answer each.
    ///
    /// # Errors
    ///
    /// When its tensors are missing.
    pub fn spans(&self, index: usize) -> Result<EncodedSet, ParityError> {
        let starts = self.ints(index, "start_positions")?;
        let ends = self.ints(index, "end_positions")?;
        let encodings = self.encodings(index, starts.len())?;
        let spans = starts.iter().zip(&ends);
        let spans = spans.map(|(start, end)| (*start as usize, *end as usize));
        Ok(EncodedSet::new(encodings, Targets::Spans(spans.collect())))
    }

    /// Batch `index`, of `count` inputs, with a tag for each token that has one.
    ///
    /// # Errors
    ///
    /// When its tensors are missing.
    pub fn tagged(&self, index: usize, count: usize) -> Result<EncodedSet, ParityError> {
        let labels = self.ints(index, "labels")?;
        let encodings = self.encodings(index, count)?;
        let rows = labels.chunks(labels.len() / count);
        let tags = rows.zip(&encodings).map(|(row, encoding)| {
            let tags = row.iter().take(encoding.len());
            tags.map(|tag| usize::try_from(*tag).ok()).collect()
        });
        let targets = Targets::Tags(tags.collect());
        Ok(EncodedSet::new(encodings, targets))
    }

    /// The inputs of batch `index`, of which there are `count`, their padding taken off.
    ///
    /// # Errors
    ///
    /// When its tensors are missing.
    pub fn encodings(&self, index: usize, count: usize) -> Result<Vec<Encoding>, ParityError> {
        let ids = self.ints(index, "input_ids")?;
        let types = self.ints(index, "token_type_ids")?;
        let mask = self.ints(index, "attention_mask")?;
        let length = ids.len() / count;
        let encodings = (0..count)
            .map(|row| {
                let cells = row * length..(row + 1) * length;
                let real = mask[cells.clone()].iter().filter(|m| **m == 1).count();
                let cut = |values: &[i64]| {
                    values[cells.clone()]
                        .iter()
                        .take(real)
                        .map(|v| *v as u32)
                        .collect()
                };
                Encoding {
                    ids: cut(&ids),
                    type_ids: cut(&types),
                    ..Encoding::default()
                }
            })
            .collect();
        Ok(encodings)
    }

    fn ints(&self, batch: usize, field: &str) -> Result<Vec<i64>, ParityError> {
        let name = format!("batch{batch}.{field}");
        let missing = || ParityError::Missing(name.clone());
        let file = SafeTensors::deserialize(&self.bytes).map_err(|_| missing())?;
        let view = file.tensor(&name).map_err(|_| missing())?;
        Ok(view
            .data()
            .as_chunks::<8>()
            .0
            .iter()
            .map(|b| i64::from_le_bytes(*b))
            .collect())
    }
}
