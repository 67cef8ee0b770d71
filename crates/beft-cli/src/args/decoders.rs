//! What `generate` and `plan` take.

use std::path::PathBuf;

use beft::{InferencePrecision, Precision};
use beft_modes::Mode;
use beft_nn::ForwardPrecision;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::JsonArgs;
use super::values::mode;

/// How `generate` prints texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    /// Prompt and text, as they come.
    Text,
    /// A line of JSON for each text.
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Model folder or name [default: the model that the adapter names]
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: Option<String>,
    /// Adapter folder, written by `beft tune` or by HF PEFT (BEFT, LoRA, IA3, LN tuning or prefix tuning).
    #[arg(long, value_name = "DIR", required_unless_present = "model")]
    pub(crate) adapter: Option<PathBuf>,
    /// Text to continue [default: each line of standard input]
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Largest number of tokens to generate.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_new_tokens: u32,
    /// Temperature by which tokens are drawn; 0 takes the most probable one. Whatever generation_config.json says of
    /// drawing (do_sample, temperature, top_p, top_k) is not used.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub(crate) temperature: f32,
    /// Draw only from the fewest tokens whose probabilities together reach this.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 1.0,
        allow_negative_numbers = true,
        requires = "temperature"
    )]
    pub(crate) top_p: f32,
    /// Draw only from so many of the most probable tokens [default: all]
    #[arg(long, value_name = "N", requires = "temperature")]
    pub(crate) top_k: Option<usize>,
    /// Seed of what is drawn. A prompt's second continuation has the next seed, and so on.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "temperature")]
    pub(crate) seed: u64,
    /// End the text before the first place where it says this (repeatable).
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) stop: Vec<String>,
    /// Number of continuations of each prompt. Several need a temperature.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) n: u32,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: TextFormat,
    /// Print each token's log probability too, and those of the N most probable tokens in its place (jsonl).
    #[arg(long, value_name = "N")]
    pub(crate) logprobs: Option<usize>,
    /// Device to compute on. `beft devices` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// Number type of the frozen weight matrices: f32, bf16, f16, or q8 (8 bits, on processors). By default that of the
    /// training, usually f32.
    #[arg(long, value_name = "TYPE", alias = "dtype")]
    pub(crate) precision: Option<InferencePrecision>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Model folder, of which only config.json is needed, or the name of a model in the Hugging Face cache or on the hub.
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: String,
    /// What to train: v, q,k,v, lora-v or another MODE of tune --terms.
    #[arg(long, value_name = "MODE", default_value = "v", visible_alias = "mode", value_parser = mode)]
    pub(crate) terms: Mode,
    /// Number of examples to compute at a time [default: the protocol's, 16 for encoders and 8 for decoders]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: Option<u32>,
    /// Number of tokens per example [default: 128, or the limit of the model if it is lower]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) length: Option<u32>,
    /// Number of these tokens that a decoder is trained to predict [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) predicted: Option<u32>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    /// Number type of the frozen weight matrices: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
    /// Number type of the products with the frozen weight matrices in the forward pass, as in tune: f32 or q8.
    #[arg(long, value_name = "TYPE", default_value_t)]
    pub(crate) forward: ForwardPrecision,
}
