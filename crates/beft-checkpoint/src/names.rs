use beft_core::TaskType;
use beft_nn::ParamPath;

/// The layout of a tensor in the file, compared with the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The same shape.
    Same,
    /// PyTorch's `nn.Linear` keeps `[out, in]`; modules here keep `[in, out]`.
    Transposed,
    /// This one of three equal parts along the last axis (GPT-2 keeps query, key and value as one).
    Third(usize),
    /// This one of three equal parts of the outputs of an `nn.Linear`, or of its bias (ModernBERT).
    LinearThird(usize),
}

/// Parts that [`Stored::Third`] and [`Stored::LinearThird`] tell apart.
pub(crate) const PARTS: usize = 3;

impl Stored {
    /// The shape in the file of a parameter with this shape in the module.
    pub fn in_file(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Same => shape.to_vec(),
            Self::Transposed => shape.iter().rev().copied().collect(),
            Self::Third(_) => {
                let mut whole = shape.to_vec();
                if let Some(last) = whole.last_mut() {
                    *last *= PARTS;
                }
                whole
            }
            Self::LinearThird(_) => {
                let mut whole = Self::Transposed.in_file(shape);
                if let Some(first) = whole.first_mut() {
                    *first *= PARTS;
                }
                whole
            }
        }
    }

    /// Which part of a tensor in the file it is; `None` for a whole one.
    pub fn part(self) -> Option<usize> {
        match self {
            Self::Same | Self::Transposed => None,
            Self::Third(part) | Self::LinearThird(part) => Some(part),
        }
    }

    /// Whether it is the weight of an `nn.Linear`, or a part of it.
    pub fn is_linear(self) -> bool {
        match self {
            Self::Transposed | Self::LinearThird(_) => true,
            Self::Same | Self::Third(_) => false,
        }
    }
}

/// One row of a [`NameTable`].
#[derive(Clone, Copy, Debug)]
pub struct TensorName {
    /// Parameter path in the module; `{l}` stands for the layer number.
    pub path: &'static str,
    /// Tensor name in the checkpoint; `{l}` likewise.
    pub hf: &'static str,
    /// Layout in the file.
    pub stored: Stored,
    /// Whether a checkpoint without it still loads (the parameter keeps its initial value).
    pub optional: bool,
}

/// Functions that make rows of a [`NameTable`].
pub mod rows {
    use super::{Stored, TensorName};

    /// A parameter with the same layout in the file.
    pub const fn same(path: &'static str, hf: &'static str) -> TensorName {
        TensorName {
            path,
            hf,
            stored: Stored::Same,
            optional: false,
        }
    }

    /// The weight of an `nn.Linear`.
    pub const fn linear(path: &'static str, hf: &'static str) -> TensorName {
        TensorName {
            stored: Stored::Transposed,
            ..same(path, hf)
        }
    }

    /// One of three parts of the weight or the bias of an `nn.Linear`.
    pub const fn linear_third(path: &'static str, hf: &'static str, part: usize) -> TensorName {
        TensorName {
            stored: Stored::LinearThird(part),
            ..same(path, hf)
        }
    }
}

impl TensorName {
    /// An optional row: checkpoints may lack the tensor.
    pub const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }
}

/// The tensor names of one architecture, as data.
#[derive(Clone, Copy, Debug)]
pub struct NameTable {
    /// Prefix of the backbone's names (`bert.`), absent from checkpoints saved without a head.
    pub backbone_prefix: &'static str,
    /// One row per kind of parameter of the backbone, and of heads that no other table has.
    pub rows: &'static [TensorName],
    /// One row per parameter of the head that the table is for.
    pub head: &'static [TensorName],
    /// Whether checkpoint names are without the backbone's prefix, as of HF's `…Model`.
    pub bare: bool,
    /// Beginnings of the names of ignored tensors (other heads, derived tensors), without the backbone's
    /// prefix. A text that begins with `*` is the end of a name.
    pub ignored: &'static [&'static str],
    /// Tied tensors, as (name, other name). If a checkpoint lacks the first, it is stored under the second,
    /// unless the module has a parameter of its own for the second.
    pub tied: &'static [(&'static str, &'static str)],
}

/// The tables of an architecture with each of its heads. `None` where transformers has no such class.
#[derive(Clone, Copy, Debug)]
pub struct HeadTables {
    /// Of sequence classification.
    pub sequence: &'static NameTable,
    /// Of token classification.
    pub tokens: Option<&'static NameTable>,
    /// Of question answering.
    pub spans: Option<&'static NameTable>,
    /// Of the backbone alone.
    pub backbone: Option<&'static NameTable>,
}

impl HeadTables {
    /// The table of a kind of head; `None` where transformers has no such class, and for a language model's, which is
    /// no head of its own here.
    pub const fn of(&self, head: TaskType) -> Option<&'static NameTable> {
        match head {
            TaskType::SequenceClassification => Some(self.sequence),
            TaskType::TokenClassification => self.tokens,
            TaskType::QuestionAnswering => self.spans,
            TaskType::FeatureExtraction => self.backbone,
            TaskType::CausalLm => None,
        }
    }
}

impl NameTable {
    /// All rows.
    pub fn all_rows(&self) -> impl Iterator<Item = &'static TensorName> + use<> {
        self.rows.iter().chain(self.head)
    }

    /// The row and the checkpoint name of a parameter path.
    pub fn by_path(&self, path: impl AsRef<str>) -> Option<(&TensorName, String)> {
        let (row, name) = self
            .all_rows()
            .find_map(|row| Some((row, translate(row.path, row.hf, path.as_ref())?)))?;
        let bare = name
            .strip_prefix(self.backbone_prefix)
            .filter(|_| self.bare);
        Some((row, bare.map(str::to_owned).unwrap_or(name)))
    }

    /// The row and the parameter path of a checkpoint name; the backbone's prefix may be missing.
    pub fn by_hf(&self, name: &str) -> Option<(&TensorName, ParamPath)> {
        let name = modern_norm_name(name).unwrap_or_else(|| name.to_owned());
        let prefixed = format!("{}{name}", self.backbone_prefix);
        self.all_rows().find_map(|row| {
            let path = translate(row.hf, row.path, &name)
                .or_else(|| translate(row.hf, row.path, &prefixed))?;
            Some((row, path.into()))
        })
    }

    /// All rows and parameter paths of a checkpoint name: more than one where the file's tensor holds
    /// several parameters.
    pub fn all_by_hf(&self, name: &str) -> Vec<(&TensorName, ParamPath)> {
        let Some((first, path)) = self.by_hf(name) else {
            return Vec::new();
        };
        if first.stored.part().is_none() {
            return vec![(first, path)];
        }
        let rows = self.all_rows().filter(|row| row.hf == first.hf);
        rows.filter_map(|row| Some((row, translate(first.path, row.path, path.as_str())?.into())))
            .collect()
    }

    /// Names under which a tensor may be stored: as in the table, without the backbone's prefix,
    /// and with layer norms in TensorFlow's spelling (`gamma`, `beta`).
    pub(crate) fn spellings(&self, hf: &str) -> Vec<String> {
        let mut names = vec![hf.to_owned()];
        if let Some(bare) = hf.strip_prefix(self.backbone_prefix) {
            names.push(bare.to_owned());
        }
        if self.bare {
            names.push(format!("{}{hf}", self.backbone_prefix));
        }
        for i in 0..names.len() {
            if let Some(stem) = names[i].strip_suffix("LayerNorm.weight") {
                names.push(format!("{stem}LayerNorm.gamma"));
            } else if let Some(stem) = names[i].strip_suffix("LayerNorm.bias") {
                names.push(format!("{stem}LayerNorm.beta"));
            }
        }
        names
    }

    pub(crate) fn ignores(&self, name: &str) -> bool {
        let bare = name.strip_prefix(self.backbone_prefix).unwrap_or(name);
        self.ignored
            .iter()
            .any(|part| match part.strip_prefix('*') {
                Some(end) => bare.ends_with(end),
                None => bare.starts_with(part),
            })
    }
}

fn modern_norm_name(name: &str) -> Option<String> {
    let rename = |old, new| Some(format!("{}LayerNorm.{new}", name.strip_suffix(old)?));
    rename("LayerNorm.gamma", "weight").or_else(|| rename("LayerNorm.beta", "bias"))
}

/// Reads `name` as `from` with a layer number in place of `{l}`, and writes it as `to`.
fn translate(from: &str, to: &str, name: &str) -> Option<String> {
    match from.split_once("{l}") {
        None => (from == name).then(|| to.to_owned()),
        Some((head, tail)) => {
            let layer = name.strip_prefix(head)?.strip_suffix(tail)?;
            let number = !layer.is_empty() && layer.bytes().all(|b| b.is_ascii_digit());
            number.then(|| to.replacen("{l}", layer, 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: NameTable = NameTable {
        backbone_prefix: "bert.",
        rows: &[
            TensorName {
                path: "layers.{l}.biases.v",
                hf: "bert.encoder.layer.{l}.attention.self.value.bias",
                stored: Stored::Same,
                optional: false,
            },
            TensorName {
                path: "layers.{l}.biases.ln1",
                hf: "bert.encoder.layer.{l}.attention.output.LayerNorm.bias",
                stored: Stored::Same,
                optional: false,
            },
            TensorName {
                path: "classifier.weight",
                hf: "classifier.weight",
                stored: Stored::Transposed,
                optional: true,
            },
        ],
        head: &[],
        bare: false,
        ignored: &["cls."],
        tied: &[],
    };

    #[test]
    fn translates_both_ways() {
        let (_, name) = TABLE.by_path("layers.11.biases.v").unwrap();
        assert_eq!(name, "bert.encoder.layer.11.attention.self.value.bias");
        for spelled in [&name[..], "encoder.layer.11.attention.self.value.bias"] {
            assert_eq!(TABLE.by_hf(spelled).unwrap().1, "layers.11.biases.v");
        }
        assert!(TABLE.by_path("layers.x.biases.v").is_none());
        assert!(TABLE.by_path("layers.1.biases.q").is_none());
        assert_eq!(
            TABLE.by_hf("classifier.weight").unwrap().0.stored,
            Stored::Transposed
        );
    }

    #[test]
    fn knows_the_tensorflow_spelling_of_norms() {
        let (_, name) = TABLE.by_path("layers.0.biases.ln1").unwrap();
        let spellings = TABLE.spellings(&name);
        assert!(spellings.contains(&"encoder.layer.0.attention.output.LayerNorm.beta".to_owned()));
        for spelled in spellings {
            assert_eq!(
                TABLE.by_hf(&spelled).unwrap().1,
                "layers.0.biases.ln1",
                "{spelled}"
            );
        }
    }
}
