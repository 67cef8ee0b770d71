//! Which class of transformers a tokenizer is of (`tokenization_auto.py`).

use tokenizers::ModelWrapper;

/// Classes of transformers that build their parts themselves, by the architectures they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Bert,
    Roberta,
    Gpt2,
    Qwen2,
    Llama,
    /// `TokenizersBackend`, which takes tokenizer.json as it is.
    Generic,
}

impl Class {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Bert, "BertTokenizer"),
        (Self::Roberta, "RobertaTokenizer"),
        (Self::Gpt2, "GPT2Tokenizer"),
        (Self::Qwen2, "Qwen2Tokenizer"),
        (Self::Llama, "LlamaTokenizer"),
    ];

    /// Names of the class that takes tokenizer.json as it is.
    const GENERIC: [&'static str; 4] = [
        "PreTrainedTokenizer",
        "PreTrainedTokenizerFast",
        "PythonBackend",
        "TokenizersBackend",
    ];

    pub(super) fn name(self) -> &'static str {
        let found = Self::ALL.into_iter().find(|(class, _)| *class == self);
        found.map_or("TokenizersBackend", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(_, known)| *known == name);
        let generic = Self::GENERIC.contains(&name).then_some(Self::Generic);
        found.map(|(class, _)| class).or(generic)
    }

    /// The class of an architecture (`TOKENIZER_MAPPING_NAMES`); LLaMA has none.
    fn of_architecture(model_type: &str) -> Self {
        match model_type {
            "bert" => Self::Bert,
            "roberta" => Self::Roberta,
            "opt" | "gpt2" | "gptj" => Self::Gpt2,
            "qwen2" => Self::Qwen2,
            _ => Self::Generic,
        }
    }

    /// The class that `AutoTokenizer` takes, and whether the one that the files name is not known here.
    pub(super) fn choose(
        model_type: &str,
        declared: Option<&str>,
        byte_level: bool,
    ) -> (Self, bool) {
        let registered = Self::of_architecture(model_type);
        let Some(declared) = declared.map(|name| name.strip_suffix("Fast").unwrap_or(name)) else {
            return (registered, false);
        };
        match Self::named(declared) {
            // LLaMA 3's files name a class that is not theirs.
            Some(Self::Llama) if byte_level => (Self::Generic, false),
            // transformers distrusts what Qwen2's files name.
            _ if registered == Self::Qwen2 => (registered, false),
            Some(class) => (class, false),
            None => (Self::Generic, true),
        }
    }

    /// Whether a model that was read from tokenizer.json is of its kind.
    pub(super) fn takes(self, model: &ModelWrapper) -> bool {
        match self {
            Self::Bert => matches!(model, ModelWrapper::WordPiece(_)),
            Self::Roberta | Self::Gpt2 | Self::Qwen2 | Self::Llama => {
                matches!(model, ModelWrapper::BPE(_))
            }
            Self::Generic => false,
        }
    }

    /// A special token's text where the files do not say.
    pub(super) fn default_token(self, name: &str) -> Option<&'static str> {
        match (self, name) {
            (Self::Bert, "unk_token") => Some("[UNK]"),
            (Self::Bert, "sep_token") => Some("[SEP]"),
            (Self::Bert, "pad_token") => Some("[PAD]"),
            (Self::Bert, "cls_token") => Some("[CLS]"),
            (Self::Bert, "mask_token") => Some("[MASK]"),
            (Self::Roberta, "bos_token" | "cls_token") | (Self::Llama, "bos_token") => Some("<s>"),
            (Self::Roberta, "eos_token" | "sep_token") | (Self::Llama, "eos_token") => Some("</s>"),
            (Self::Roberta | Self::Llama, "unk_token") => Some("<unk>"),
            (Self::Roberta, "pad_token") => Some("<pad>"),
            (Self::Roberta, "mask_token") => Some("<mask>"),
            (Self::Gpt2, "unk_token" | "bos_token" | "eos_token") => Some("<|endoftext|>"),
            (Self::Qwen2, "unk_token" | "eos_token" | "pad_token") => Some("<|endoftext|>"),
            _ => None,
        }
    }
}
