use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, FloatDType};

use crate::{BiasModel, NewParam, map_views};

/// What the frozen matrices of layers are multiplied in, in the forward pass of a training of biases and in its
/// evaluations. The backward pass is in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardPrecision {
    /// f32.
    #[default]
    F32,
    /// Rounded to 8 bits, each column of a matrix with its own scale, each row of the other side with its own range.
    Q8,
}

impl ForwardPrecision {
    /// Whether it is f32.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

impl FromStr for ForwardPrecision {
    type Err = PrecisionError;

    fn from_str(name: &str) -> Result<Self, PrecisionError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "f32" => Ok(Self::F32),
            "q8" => Ok(Self::Q8),
            _ => Err(PrecisionError {
                name: name.to_owned(),
                expected: "f32 or q8",
            }),
        }
    }
}

impl fmt::Display for ForwardPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Q8 => "q8",
        })
    }
}

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

/// The name is not the name of a precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown precision `{name}`: expected {expected}")]
pub struct PrecisionError {
    /// What was given.
    pub name: String,
    /// The names that there are.
    pub expected: &'static str,
}

impl FromStr for Precision {
    type Err = PrecisionError;

    fn from_str(name: &str) -> Result<Self, PrecisionError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            "q8" => Err(PrecisionError {
                name: name.to_owned(),
                expected: "f32, bf16 or f16 (8 bits are for predictions, and for the forward pass of a training of biases)",
            }),
            _ => Err(PrecisionError {
                name: name.to_owned(),
                expected: "f32, bf16 or f16",
            }),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        if self == Self::F32 {
            return model;
        }
        map_views(model, |path, param| {
            let shape = param.shape();
            let matrix = shape.len() == 2 && path.layer().is_some();
            let lowered = || param.flat().cast(FloatDType::from(self.dtype()));
            matrix.then(|| NewParam::Computed(lowered(), shape))
        })
    }
}
