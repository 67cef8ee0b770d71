//! What `generate` and `plan` take.

use std::path::PathBuf;

use beft::Precision;
use beft_modes::Mode;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Model folder or name [default: the one the adapter names]
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: Option<String>,
    /// Adapter folder, written by `beft tune` or by HF PEFT (BEFT, LoRA or prefix tuning).
    #[arg(long, value_name = "DIR", required_unless_present = "model")]
    pub(crate) adapter: Option<PathBuf>,
    /// Text to go on with; without it every line of standard input is one.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Tokens to generate at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_new_tokens: u32,
    /// What to compute on; `beft devices` lists what there is.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// What the frozen weight matrices are kept and multiplied in: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Model folder, in which config.json is enough; or a name, which is downloaded if it is not here.
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: String,
    /// What to train, as in tune.
    #[arg(
        long,
        value_name = "TERMS",
        default_value = "v",
        visible_alias = "mode"
    )]
    pub(crate) terms: Mode,
    /// Examples computed at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: u32,
    /// Tokens of each [default: 128, or as many as the model takes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) length: Option<u32>,
    /// Of those, how many are predicted.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) predicted: u32,
    /// What the frozen weight matrices are kept in: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
}
