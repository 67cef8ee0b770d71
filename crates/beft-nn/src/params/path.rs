use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use beft_core::{BiasSite, BiasTerm};

/// The place of a parameter in its module, such as `encoder.layers.3.biases.v`.
///
/// Only this type knows the parts of a path: the number of the layer, the term of a bias, LoRA's factors, a
/// prefix. Paths are ordered as their texts are; a copy costs nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamPath(Arc<str>);

/// One of the two matrices of a LoRA update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoraFactor {
    /// The matrix that multiplies the input, `[in, rank]`.
    A,
    /// The matrix that multiplies the product, `[rank, out]`.
    B,
}

/// The list of layers.
const LAYERS: &str = "layers";
/// A layer's biases.
const BIASES: &str = "biases";
/// A layer's keys and values of prefix tuning.
const PREFIX: &str = "prefix";
/// The embeddings of an encoder.
const EMBEDDINGS: &str = "embeddings";
/// The token embeddings of a decoder.
const TOKENS: &str = "tokens";
/// The output head of a decoder that has one of its own.
const OUTPUT_HEAD: &str = "head";
/// What burn puts between a weight's path and the names of its LoRA factors.
const LORA: &str = ".lora.";
/// What burn puts between a weight's path and the factors of its inputs or outputs.
const FACTORS: &str = ".ia3.l";

/// The name of the projection weight that the bias of a term belongs to; `None` for a norm's.
const fn weight_of(term: BiasTerm) -> Option<&'static str> {
    Some(match term {
        BiasTerm::Q => "query",
        BiasTerm::K => "key",
        BiasTerm::V => "value",
        BiasTerm::M1 => "attention_output",
        BiasTerm::M2 => "intermediate",
        BiasTerm::M3 => "output",
        BiasTerm::Ln1 | BiasTerm::Ln2 => return None,
    })
}

impl LoraFactor {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// burn's name.
    fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl ParamPath {
    /// The path of a bias of the layers below `backbone` (`encoder`).
    pub fn of_site(backbone: &str, site: BiasSite) -> Self {
        Self::of_layer(backbone, site.layer, &format!("{BIASES}.{}", site.term))
    }

    /// The path of the projection weight that the bias of `term` belongs to; `None` for a norm's.
    pub fn of_weight(backbone: &str, layer: usize, term: BiasTerm) -> Option<Self> {
        Some(Self::of_layer(backbone, layer, weight_of(term)?))
    }

    /// The term whose bias belongs to this projection weight of a layer; `None` for any other parameter.
    pub fn weight_term(&self) -> Option<BiasTerm> {
        let mut names = self.parts().skip_while(|part| *part != LAYERS).skip(2);
        let (name, rest) = (names.next()?, names.next());
        let mut terms = BiasTerm::ALL.into_iter();
        terms.find(|term| rest.is_none() && weight_of(*term) == Some(name))
    }

    fn of_layer(backbone: &str, layer: usize, rest: &str) -> Self {
        format!("{backbone}.{LAYERS}.{layer}.{rest}").into()
    }

    /// The path of a LoRA factor of this weight.
    pub fn with_factor(&self, factor: LoraFactor) -> Self {
        format!("{self}{LORA}{}", factor.name()).into()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> std::str::Split<'_, char> {
        self.0.split('.')
    }

    /// What stands behind a part of this name.
    fn behind(&self, name: &str) -> Option<&str> {
        self.parts().skip_while(|part| *part != name).nth(1)
    }

    /// The number of the layer; `None` outside the layers.
    pub fn layer(&self) -> Option<usize> {
        self.behind(LAYERS)?.parse().ok()
    }

    /// The term of a layer's bias; `None` for any other parameter.
    pub fn term(&self) -> Option<BiasTerm> {
        self.behind(BIASES)?.parse().ok()
    }

    /// Whether the parameter is the weight or the bias of a norm.
    pub fn is_norm(&self) -> bool {
        let last = self.0.rsplit_once('.').map_or(&*self.0, |(_, last)| last);
        let named = ["gamma", "norm_bias", "final_bias", "distances_bias"].iter();
        matches!(self.term(), Some(BiasTerm::Ln1 | BiasTerm::Ln2))
            || named.clone().any(|end| last.ends_with(end))
    }

    /// The weight and the factor, for a LoRA factor; `None` for any other parameter.
    pub fn lora_factor(&self) -> Option<(Self, LoraFactor)> {
        let (weight, name) = self.0.split_once(LORA)?;
        let factor = LoraFactor::ALL.into_iter().find(|f| f.name() == name)?;
        Some((weight.into(), factor))
    }

    /// The path of the factors of this weight's inputs or outputs.
    pub fn with_factors(&self) -> Self {
        format!("{self}{FACTORS}").into()
    }

    /// The weight, for the factors of its inputs or outputs; `None` for any other parameter.
    pub fn scaled_weight(&self) -> Option<Self> {
        Some(self.0.strip_suffix(FACTORS)?.into())
    }

    /// Whether the parameter holds keys or values of prefix tuning.
    pub fn is_prefix(&self) -> bool {
        self.behind(PREFIX).is_some()
    }

    /// The output head of a causal language model that has one of its own.
    pub fn output_head() -> Self {
        OUTPUT_HEAD.into()
    }

    /// Whether the parameter is the token embeddings of a decoder.
    pub fn is_tokens(&self) -> bool {
        self.0
            .rsplit_once('.')
            .is_some_and(|(_, last)| last == TOKENS)
    }

    /// Whether the parameter belongs to an encoder's embeddings or their norm.
    pub fn is_embedding(&self) -> bool {
        self.behind(EMBEDDINGS).is_some()
    }
}

impl fmt::Debug for ParamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ParamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ParamPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ParamPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ParamPath {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for ParamPath {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<ParamPath> for String {
    fn from(path: ParamPath) -> Self {
        path.0.as_ref().to_owned()
    }
}

impl PartialEq<str> for ParamPath {
    fn eq(&self, text: &str) -> bool {
        *self.0 == *text
    }
}

impl PartialEq<&str> for ParamPath {
    fn eq(&self, text: &&str) -> bool {
        *self.0 == **text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_path_is_told() {
        let of = |text: &str| ParamPath::from(text);
        let site = BiasSite::new(3, BiasTerm::V);
        let bias = ParamPath::of_site("encoder", site);
        assert_eq!(bias, "encoder.layers.3.biases.v");
        assert_eq!((bias.layer(), bias.term()), (Some(3), Some(BiasTerm::V)));
        assert_eq!(of("decoder.layers.{l}.biases.m1").layer(), None);
        assert_eq!(
            of("decoder.layers.{l}.biases.m1").term(),
            Some(BiasTerm::M1)
        );

        let weight = ParamPath::of_weight("lm.encoder", 11, BiasTerm::Q).unwrap();
        assert_eq!(weight, "lm.encoder.layers.11.query");
        assert_eq!((weight.layer(), weight.term()), (Some(11), None));
        assert_eq!(ParamPath::of_weight("encoder", 0, BiasTerm::Ln1), None);
        for term in BiasTerm::ALL {
            let weight = ParamPath::of_weight("lm.encoder", 2, term);
            assert_eq!(weight.and_then(|weight| weight.weight_term()), {
                let norm = matches!(term, BiasTerm::Ln1 | BiasTerm::Ln2);
                (!norm).then_some(term)
            });
        }
        let others = [
            "encoder.layers.0.biases.k",
            "head.output",
            "encoder.layers.0.output.lora.a",
        ];
        for other in others {
            assert_eq!(of(other).weight_term(), None, "{other}");
        }
        for factor in LoraFactor::ALL {
            let path = weight.with_factor(factor);
            assert_eq!(path.layer(), Some(11));
            assert_eq!(path.lora_factor(), Some((weight.clone(), factor)));
        }
        assert_eq!(weight.lora_factor(), None);

        assert!(of("decoder.layers.0.prefix.keys").is_prefix());
        assert!(!of("decoder.layers.0.key").is_prefix());
        assert!(of("decoder.tokens").is_tokens() && !ParamPath::output_head().is_tokens());
        let norm = of("encoder.embeddings.norm_bias");
        assert!(norm.is_embedding() && norm.layer().is_none() && norm.term().is_none());
        assert!(of("b") < of("b.a") && of("b.10") < of("b.9"));
    }
}
