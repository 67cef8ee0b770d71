use std::fmt;
use std::str::FromStr;

use beft_nn::{DeviceTraits, Precision, PrecisionError};
use burn::tensor::Device;

use crate::Error;

/// What a model that is only used, not trained, is kept and multiplied in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InferencePrecision {
    /// As in training.
    Float(Precision),
    /// The matrices of the layers and a language model's output head in 8 bits, each column with its own scale, and what
    /// they are multiplied by in 8 bits, each row with its own range: on processors. Everything else stays f32.
    Q8,
}

impl InferencePrecision {
    /// What the checkpoint is read in.
    pub(crate) fn read_in(self) -> Precision {
        match self {
            Self::Float(precision) => precision,
            Self::Q8 => Precision::F32,
        }
    }

    /// Makes sure that a device computes in it.
    pub(crate) fn check(self, device: &Device) -> Result<(), Error> {
        match self {
            Self::Q8 if !DeviceTraits::of(device).host_memory => Err(Error::Int8Device),
            Self::Q8 | Self::Float(_) => Ok(()),
        }
    }
}

impl Default for InferencePrecision {
    fn default() -> Self {
        Self::Float(Precision::default())
    }
}

impl FromStr for InferencePrecision {
    type Err = PrecisionError;

    fn from_str(name: &str) -> Result<Self, PrecisionError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "q8" => Ok(Self::Q8),
            _ => match name.parse() {
                Ok(precision) => Ok(Self::Float(precision)),
                Err(PrecisionError { name, .. }) => Err(PrecisionError {
                    name,
                    expected: "f32, bf16, f16 or q8",
                }),
            },
        }
    }
}

impl fmt::Display for InferencePrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(precision) => precision.fmt(f),
            Self::Q8 => f.write_str("q8"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["f32", "bf16", "f16", "q8"] {
            let precision: InferencePrecision = name.parse().unwrap();
            assert_eq!(precision.to_string(), name);
        }
        let error = "int4".parse::<InferencePrecision>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown precision `int4`: expected f32, bf16, f16 or q8"
        );
    }
}
