//! What `generate` and `plan` take.

use std::path::PathBuf;

use beft::Precision;
use beft_modes::Mode;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Model folder or name [default: the model that the adapter names]
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: Option<String>,
    /// Adapter folder, written by `beft tune` or by HF PEFT (BEFT, LoRA or prefix tuning).
    #[arg(long, value_name = "DIR", required_unless_present = "model")]
    pub(crate) adapter: Option<PathBuf>,
    /// Text to continue [default: each line of standard input]
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Largest number of tokens to generate.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_new_tokens: u32,
    /// Device to compute on. `beft devices` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// Number type of the frozen weight matrices: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Model folder, of which only config.json is needed, or the name of a model in the Hugging Face cache or on the hub.
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: String,
    /// What to train, as in tune.
    #[arg(long, value_name = "MODE", default_value = "v", visible_alias = "mode")]
    pub(crate) terms: Mode,
    /// Number of examples to compute at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: u32,
    /// Number of tokens per example [default: 128, or the limit of the model if it is lower]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) length: Option<u32>,
    /// Number of these tokens that the model is trained to predict.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) predicted: u32,
    /// Number type of the frozen weight matrices: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
}
