//! What `serve` takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use beft::InferencePrecision;
use clap::{Args, ValueEnum};

use super::tuned::NamedAdapter;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Base model of all adapters, as a folder or a name [default: the model that the first adapter names]
    #[arg(long, value_name = "DIR|NAME", required_unless_present = "adapter")]
    pub(crate) model: Option<String>,
    /// Adapter folder to serve; repeat it for more. Requests choose it by its name, which is that of the folder (or the one
    /// above, if that is called adapter), or NAME.
    #[arg(long, value_name = "[NAME=]DIR")]
    pub(crate) adapter: Vec<NamedAdapter>,
    /// Folder of adapter folders that requests may load, replace and drop while the server runs. Without it they may not.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter_root: Option<PathBuf>,
    /// Address to listen on. Other machines reach the server at 0.0.0.0:8080; give it --api-key-file then.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) bind: SocketAddr,
    /// File with the key that every request must bring, but those for /health and /ready.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Web pages of this origin may send requests (CORS); repeat it for more.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Largest number of tokens to compute at a time.
    #[arg(long, value_name = "N", default_value_t = 16384, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_batch_tokens: u32,
    /// Largest number of requests that wait or are computed. More are refused with status 429.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_concurrent_requests: u32,
    /// Largest number of texts in a request.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_client_batch_size: u32,
    /// Largest number of bytes in a request.
    #[arg(long, value_name = "BYTES", default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1024..))]
    pub(crate) payload_limit: u32,
    /// Largest number of tokens that a completion may have [default: 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    /// Format of the log on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogChoice,
    /// Device to compute on. `beft devices` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// Number type of the frozen weight matrices: f32, bf16, f16, or q8 (8 bits, on processors).
    #[arg(long, value_name = "TYPE", default_value_t, alias = "dtype")]
    pub(crate) precision: InferencePrecision,
}

#[derive(Debug, Args)]
pub(crate) struct DeviceServerArgs {
    /// Address to listen at. Whoever reaches it and has the token computes here; the traffic is not encrypted.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7171")]
    pub(crate) bind: SocketAddr,
    /// File with a secret of 16 characters or more, which the clients need too (BEFT_DEVICE_TOKEN_FILE).
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: String,
    /// Device to lend. `beft devices` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogChoice {
    /// Lines for people.
    Text,
    /// JSON lines.
    Json,
}
