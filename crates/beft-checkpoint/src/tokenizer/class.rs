//! Which class of transformers a tokenizer is of (`tokenization_auto.py`).

use tokenizers::ModelWrapper;

/// Classes of transformers that build their parts themselves, by the architectures they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Bert,
    DistilBert,
    Mpnet,
    DebertaV2,
    Roberta,
    XlmRoberta,
    Camembert,
    Gpt2,
    Qwen2,
    Llama,
    /// `TokenizersBackend`, which takes tokenizer.json as it is.
    Generic,
}

impl Class {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Bert, "BertTokenizer"),
        (Self::Bert, "ElectraTokenizer"),
        (Self::DistilBert, "DistilBertTokenizer"),
        (Self::Mpnet, "MPNetTokenizer"),
        (Self::DebertaV2, "DebertaV2Tokenizer"),
        (Self::Roberta, "RobertaTokenizer"),
        (Self::XlmRoberta, "XLMRobertaTokenizer"),
        (Self::Camembert, "CamembertTokenizer"),
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
            "bert" | "distilbert" | "electra" => Self::Bert,
            "mpnet" => Self::Mpnet,
            "deberta-v2" => Self::DebertaV2,
            "roberta" => Self::Roberta,
            "xlm-roberta" => Self::XlmRoberta,
            "camembert" => Self::Camembert,
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
            // transformers does not look at what the files of these name: it knows that it is wrong
            // (`MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`), or they are registered without a class.
            _ if matches!(model_type, "qwen2" | "modernbert" | "mistral") => (registered, false),
            // LLaMA 3's files name a class that is not theirs.
            Some(Self::Llama) if byte_level => (Self::Generic, false),
            Some(class) => (class, false),
            None => (Self::Generic, true),
        }
    }

    /// Whether a model that was read from tokenizer.json is of its kind.
    pub(super) fn takes(self, model: &ModelWrapper) -> bool {
        match self {
            Self::Bert | Self::DistilBert | Self::Mpnet => {
                matches!(model, ModelWrapper::WordPiece(_))
            }
            Self::DebertaV2 | Self::XlmRoberta | Self::Camembert => {
                matches!(model, ModelWrapper::Unigram(_))
            }
            Self::Roberta | Self::Gpt2 | Self::Qwen2 | Self::Llama => {
                matches!(model, ModelWrapper::BPE(_))
            }
            Self::Generic => false,
        }
    }

    /// Whether it tells the texts of a pair apart where the files do not say (`model_input_names`).
    pub(super) fn gives_segments(self) -> bool {
        match self {
            Self::DistilBert | Self::Mpnet | Self::XlmRoberta | Self::Camembert => false,
            Self::Bert | Self::DebertaV2 | Self::Roberta | Self::Gpt2 | Self::Qwen2 => true,
            Self::Llama | Self::Generic => true,
        }
    }

    /// A special token's text where the files do not say.
    pub(super) fn default_token(self, name: &str) -> Option<&'static str> {
        match (self, name) {
            (Self::Mpnet, "unk_token") => Some("[UNK]"),
            (Self::Bert | Self::DistilBert | Self::DebertaV2, _) => match name {
                "unk_token" => Some("[UNK]"),
                "sep_token" => Some("[SEP]"),
                "pad_token" => Some("[PAD]"),
                "cls_token" => Some("[CLS]"),
                "mask_token" => Some("[MASK]"),
                "bos_token" if self == Self::DebertaV2 => Some("[CLS]"),
                "eos_token" if self == Self::DebertaV2 => Some("[SEP]"),
                _ => None,
            },
            (Self::Llama, _) => match name {
                "bos_token" => Some("<s>"),
                "eos_token" => Some("</s>"),
                "unk_token" => Some("<unk>"),
                _ => None,
            },
            (Self::Roberta | Self::XlmRoberta | Self::Camembert | Self::Mpnet, _) => match name {
                "bos_token" | "cls_token" => Some("<s>"),
                "eos_token" | "sep_token" => Some("</s>"),
                "unk_token" => Some("<unk>"),
                "pad_token" => Some("<pad>"),
                "mask_token" => Some("<mask>"),
                _ => None,
            },
            (Self::Gpt2, "unk_token" | "bos_token" | "eos_token") => Some("<|endoftext|>"),
            (Self::Qwen2, "unk_token" | "eos_token" | "pad_token") => Some("<|endoftext|>"),
            _ => None,
        }
    }

    /// Further special tokens where the files do not say.
    pub(super) fn default_extra(self) -> &'static [&'static str] {
        match self {
            Self::Camembert => &["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
            _ => &[],
        }
    }

    /// Whether the word that is guessed takes the space in front of it along.
    pub(super) fn mask_takes_space(self) -> bool {
        matches!(self, Self::Mpnet | Self::Camembert)
    }
}
