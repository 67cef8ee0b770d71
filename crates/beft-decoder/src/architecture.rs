use beft_checkpoint::NameTable;
use serde::{Deserialize, Serialize};

use crate::names;

/// The `model_type` of config.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// HF `modeling_opt.py`.
    Opt,
    /// HF `modeling_llama.py`; deepseek-coder is one.
    Llama,
    /// HF `modeling_qwen2.py`: LLaMA with biases of query, key and value. Qwen2.5 is one.
    Qwen2,
    /// HF `modeling_gptj.py`.
    Gptj,
    /// HF `modeling_gpt2.py`.
    Gpt2,
}

impl Architecture {
    /// Their names in config.json.
    pub const SUPPORTED: [&str; 5] = ["opt", "llama", "qwen2", "gptj", "gpt2"];

    /// Where the parameters are in a checkpoint.
    pub fn names(self) -> &'static NameTable {
        match self {
            Self::Opt => &names::OPT_NAMES,
            Self::Llama | Self::Qwen2 => &names::LLAMA_NAMES,
            Self::Gptj => &names::GPTJ_NAMES,
            Self::Gpt2 => &names::GPT2_NAMES,
        }
    }

    /// HF's class of the model with its output head, as in `architectures` of config.json.
    pub fn causal_lm_class(self) -> &'static str {
        match self {
            Self::Opt => "OPTForCausalLM",
            Self::Llama => "LlamaForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Gptj => "GPTJForCausalLM",
            Self::Gpt2 => "GPT2LMHeadModel",
        }
    }
}
