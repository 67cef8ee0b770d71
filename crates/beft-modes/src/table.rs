//! The two tables: all modes, and all kinds of adapters.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use beft_checkpoint::PrefixValues;
use beft_core::TermSet;
use beft_nn::BiasModel;

use crate::peft::{Layout, PeftLayout, PeftType};
use crate::{
    Asked, BiasDeltas, Full, Ia3, Ia3Vectors, Ln, Lora, LoraUpdates, ModeError, ModeSettings,
    NormValues, Prefix, Random, RandomLines, Touching, TrainingMode, Written,
};

/// Makes [`Mode`] of what implements [`TrainingMode`]: unit structs, and types that say more. A text is read by
/// the first that knows it.
macro_rules! modes {
    (
        units { $($(#[$unit_doc:meta])* $unit:ident = $name:literal,)* }
        others { $($(#[$doc:meta])* $variant:ident($data:ty),)* }
    ) => {
        /// What is trained beside the task head: biases, or one of the baselines of the paper.
        ///
        /// | written | meaning |
        /// |---|---|
        /// | `v`, `q,k,v`, `v@6-11`, `all`, `frozen` | a [`TermSet`] |
        /// | `full` | every parameter |
        /// | `random` | as many entries as there are biases, drawn over all parameters |
        /// | `random-lines` | one row or column, drawn at random, of each weight matrix of the layers |
        /// | `lora-v`, `lora-qv`, `lora-v-r1` | a low-rank update (LoRA) of the query, key or value weights, of rank 1 |
        /// | `ln` | the weights and biases of all norms (LN tuning) |
        /// | `ia3` | factors of keys, values and the inputs of the second feed-forward projection (IA3) |
        /// | `prefix` | keys and values in front of every input (prefix tuning), of a decoder |
        /// | `zero-shot`, `icl`, `icl-8` | nothing: a decoder is asked, with 32, 8 or no examples in front |
        /// | `zero-shot-sfc`, `icl-sfc` | the same, calibrated against a prompt without content |
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Mode {
            $($(#[$unit_doc])* $unit,)*
            $($(#[$doc])* $variant($data),)*
        }

        impl Deref for Mode {
            type Target = dyn TrainingMode;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$unit => &$unit,)*
                    $(Self::$variant(mode) => mode,)*
                }
            }
        }

        impl Mode {
            /// The model with everything that the mode adds, and what of its parameters the mode trains, the
            /// head included.
            ///
            /// # Errors
            ///
            /// If it names a layer that the model does not have, or a setting is out of range.
            pub fn touch<M: BiasModel>(&self, model: M, settings: &ModeSettings, seed: u64) -> Touching<M> {
                match self {
                    $(Self::$unit => $unit.touch(model, settings, seed),)*
                    $(Self::$variant(mode) => mode.touch(model, settings, seed),)*
                }
            }
        }

        impl fmt::Display for Mode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$unit => f.pad($name),)*
                    $(Self::$variant(mode) => f.pad(&mode.written()),)*
                }
            }
        }

        impl FromStr for Mode {
            type Err = ModeError;

            fn from_str(text: &str) -> Result<Self, ModeError> {
                let plain = text.trim().to_ascii_lowercase();
                $(if plain == $name {
                    return Ok(Self::$unit);
                })*
                $(if let Some(found) = <$data>::read(text, &plain) {
                    return found.map(Self::$variant);
                })*
                unreachable!("a term set reads every text")
            }
        }
    };
}

modes! {
    units {
        /// Full fine-tuning.
        Full = "full",
        /// A random mask over all parameters (the paper's random-uniform baseline).
        Random = "random",
        /// A random row or column of each weight matrix.
        RandomLines = "random-lines",
        /// The weights and biases of all norms.
        Ln = "ln",
        /// Factors of keys, values and inner values of the feed-forward block.
        Ia3 = "ia3",
        /// Prefix tuning.
        Prefix = "prefix",
    }
    others {
        /// Nothing is trained.
        Asked(Asked),
        /// LoRA on the projections of some of q, k and v.
        Lora(Lora),
        /// Biases; what no other mode reads is a term set.
        Biases(TermSet),
    }
}

impl From<TermSet> for Mode {
    fn from(terms: TermSet) -> Self {
        Self::Biases(terms)
    }
}

/// Makes [`AdapterKind`] of what implements [`Layout`].
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident($data:ty),)*) => {
        /// The content of an adapter, apart from modules that are stored whole.
        #[derive(Clone, Debug, PartialEq)]
        pub enum AdapterKind {
            $($(#[$doc])* $variant($data),)*
        }

        impl AdapterKind {
            /// PEFT's types of adapters that can be used.
            pub(crate) const TYPES: &'static [&'static PeftType] =
                &[$(&<$data as PeftLayout>::TYPE,)*];

            pub(crate) fn peft_type(&self) -> &'static PeftType {
                match self {
                    $(Self::$variant(_) => &<$data as PeftLayout>::TYPE,)*
                }
            }

            pub(crate) fn layout(&self) -> &dyn Layout {
                match self {
                    $(Self::$variant(held) => held,)*
                }
            }
        }
    };
}

kinds! {
    /// Changes of biases.
    Biases(BiasDeltas),
    /// LoRA's updates of weights.
    Lora(LoraUpdates),
    /// Norms after training.
    Norms(NormValues),
    /// Factors of the inputs or outputs of linear modules.
    Ia3(Ia3Vectors),
    /// Keys and values of prefix tuning.
    Prefix(PrefixValues),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for text in [
            "v",
            "q,k,v",
            "v@6-11",
            "all",
            "frozen",
            "full",
            "random",
            "random-lines",
            "ln",
            "ia3",
            "lora-v",
            "lora-qkv",
            "lora-qv-r1",
            "prefix",
            "zero-shot",
            "icl-8-sfc",
        ] {
            let mode: Mode = text.parse().unwrap();
            assert_eq!(mode.to_string(), text);
        }
        assert_eq!("LoRA-v,q".parse::<Mode>().unwrap().to_string(), "lora-qv");
        assert_eq!("ICL".parse::<Mode>().unwrap().to_string(), "icl-32");
        assert!("icl-0".parse::<Mode>().is_err());
        assert!("lora-v".parse::<Mode>().unwrap().terms().is_none());
    }

    #[test]
    fn a_mode_may_say_the_rank() {
        let of = |text: &str, settings: ModeSettings| {
            let mode: Mode = text.parse().unwrap();
            let found = mode.recorded(&settings);
            (found.lora_rank.unwrap(), found.lora_alpha.unwrap())
        };
        let usual = ModeSettings::default();
        assert_eq!(of("lora-v", usual), (8, 16.0));
        assert_eq!(of("lora-v-r1", usual), (1, 2.0));
        let alpha = ModeSettings {
            lora_alpha: Some(5.0),
            ..usual
        };
        assert_eq!(of("lora-v-r1", alpha), (1, 5.0));
    }

    #[test]
    fn errors_say_what_there_is() {
        for text in [
            "lora-",
            "lora-m1",
            "lora-x",
            "lora-vv",
            "lora-v-r0",
            "lora-v-r",
            "lora-v-rx",
        ] {
            let error = text.parse::<Mode>().unwrap_err().to_string();
            assert!(error.contains("lora-q"), "{error}");
        }
        let error = "bitfit".parse::<Mode>().unwrap_err().to_string();
        assert!(
            error.contains("bitfit") && error.contains("full"),
            "{error}"
        );
    }
}
