use std::str::FromStr;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{DType, FloatDType, Tensor};

use crate::BiasModel;

/// What the frozen weight matrices of the layers (of a decoder also its embeddings and output head) are kept
/// and multiplied in. Everything else stays f32: biases, norms, softmax, an encoder's embeddings and head, and
/// the activations between the matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, as in the paper.
    #[default]
    F32,
    /// 16 bits with f32's range: half the memory, and tensor cores where the device has them.
    Bf16,
    /// 16 bits with more digits and a smaller range (up to 65,504).
    F16,
}

/// A precision that is none of those there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown precision `{0}`: expected f32, bf16 or f16")]
pub struct PrecisionError(pub String);

impl FromStr for Precision {
    type Err = PrecisionError;

    fn from_str(name: &str) -> Result<Self, PrecisionError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err(PrecisionError(name.to_owned())),
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

impl Precision {
    /// The number type of the weight matrices.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// The model with the weight matrices of its layers in this precision;
    /// [`LayerBiases::project`](crate::LayerBiases::project) multiplies in whatever it finds. Must
    /// come before training is set up, and only on a device that supports
    /// [`dtype`](Self::dtype).
    pub fn apply<M: BiasModel>(self, model: M) -> M {
        let layers = model.layers_path();
        match self {
            Self::F32 => model,
            Self::Bf16 | Self::F16 => model.map(&mut Lower {
                path: Vec::new(),
                layers,
                dtype: self.dtype().into(),
            }),
        }
    }
}

struct Lower {
    path: Vec<String>,
    layers: &'static str,
    dtype: FloatDType,
}

impl ModuleMapper for Lower {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let inside = self.path.join(".").starts_with(self.layers);
        if D == 2 && inside {
            param.map(|weight| weight.cast(self.dtype))
        } else {
            param
        }
    }
}
