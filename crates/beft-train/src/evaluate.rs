use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// After which epochs a training is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evaluate {
    /// After each.
    #[default]
    Each,
    /// After each that is a multiple of this number, and after the last one.
    Every(NonZeroUsize),
    /// After the last one.
    Last,
    /// After none: nothing but the trained values is wanted.
    Never,
}

impl Evaluate {
    /// Whether a training of `epochs` epochs is evaluated after `epoch`, from 1.
    pub fn after(self, epoch: usize, epochs: usize) -> bool {
        match self {
            Self::Each => true,
            Self::Every(step) => epoch == epochs || epoch.is_multiple_of(step.get()),
            Self::Last => epoch == epochs,
            Self::Never => false,
        }
    }

    /// Whether it is after each epoch.
    pub fn is_each(&self) -> bool {
        *self == Self::Each
    }
}

/// What is no [`Evaluate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number of epochs: expected each, last, or a number from 1")]
pub struct EvaluateError(String);

/// How [`Evaluate::Never`] is written. It is no choice of a user, who wants to know what came of a training.
const NEVER: &str = "never";

impl FromStr for Evaluate {
    type Err = EvaluateError;

    fn from_str(text: &str) -> Result<Self, EvaluateError> {
        match text.trim() {
            "each" => Ok(Self::Each),
            "last" => Ok(Self::Last),
            number => match number.parse() {
                Ok(step) => Ok(Self::Every(step)),
                Err(_) => Err(EvaluateError(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Evaluate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each => f.write_str("each"),
            Self::Every(step) => step.fmt(f),
            Self::Last => f.write_str("last"),
            Self::Never => f.write_str(NEVER),
        }
    }
}

impl Serialize for Evaluate {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// How people write it in a file.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected each, last, or a number of epochs from 1"
)]
enum Written {
    Text(String),
    Number(i64),
    /// Not as it should be written.
    Other(f64),
}

impl<'de> Deserialize<'de> for Evaluate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = match Written::deserialize(from)? {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
            Written::Other(other) => format!("{other:?}"),
        };
        match text.as_str() {
            NEVER => Ok(Self::Never),
            text => text.parse().map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn epochs_that_are_evaluated() {
        for (written, after) in [
            ("each", vec![1, 2, 3, 4, 5]),
            ("1", vec![1, 2, 3, 4, 5]),
            ("2", vec![2, 4, 5]),
            ("9", vec![5]),
            ("last", vec![5]),
        ] {
            let evaluate: Evaluate = written.parse().unwrap();
            assert_eq!(evaluate.to_string(), written);
            let found: Vec<usize> = (1..=5).filter(|epoch| evaluate.after(*epoch, 5)).collect();
            assert_eq!(found, after, "{written}");
        }
        for evaluate in [Evaluate::Never, Evaluate::Last] {
            let value = serde_json::to_value(evaluate).unwrap();
            assert_eq!(serde_json::from_value::<Evaluate>(value).unwrap(), evaluate);
        }
        let read = |json: &str| serde_json::from_str::<Evaluate>(json);
        assert_eq!(read("3").unwrap(), "3".parse().unwrap());
        for wrong in ["0", "-1", "2.5", "\"every\""] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("each, last, or a number"), "{error}");
        }
        for wrong in ["0", "-1", "all", "never", ""] {
            let error = wrong.parse::<Evaluate>().unwrap_err().to_string();
            assert!(error.contains("each, last, or a number"), "{error}");
        }
    }
}
