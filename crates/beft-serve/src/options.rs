use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What is served, and how.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The adapters that are loaded at the start.
    pub adapters: Vec<NamedFolder>,
    /// The folder whose adapters requests may load; without it none may.
    pub adapter_root: Option<PathBuf>,
    /// Where to listen.
    pub bind: SocketAddr,
    /// A file with the key that every request must bring, but those for `/health` and `/ready`.
    pub api_key_file: Option<PathBuf>,
    /// Web pages of these origins may send requests (CORS).
    pub allowed_origins: Vec<String>,
    /// Tokens of a batch at most.
    pub max_batch_tokens: usize,
    /// What a request may ask for.
    pub limits: Limits,
    /// How long requests in flight may take after the signal to stop.
    pub grace: Duration,
}

/// An adapter with the name that requests call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFolder {
    /// The name.
    pub name: String,
    /// The folder.
    pub dir: PathBuf,
}

/// What a request may ask for. More is refused at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests that wait or are computed.
    pub concurrent_requests: usize,
    /// Texts of a request.
    pub batch_size: usize,
    /// Bytes of a request.
    pub payload: usize,
    /// Bytes of the files of an adapter that a request loads.
    pub adapter_bytes: u64,
    /// Connections at a time.
    pub connections: usize,
    /// How long a client may take to send a request.
    pub read_time: Duration,
    /// How many tokens a completion may have.
    pub max_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_requests: 512,
            batch_size: 32,
            payload: 2_000_000,
            adapter_bytes: 256 << 20,
            connections: 4096,
            read_time: Duration::from_secs(30),
            max_tokens: 4096,
        }
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            adapters: Vec::new(),
            adapter_root: None,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            api_key_file: None,
            allowed_origins: Vec::new(),
            max_batch_tokens: 16384,
            limits: Limits::default(),
            grace: Duration::from_secs(30),
        }
    }
}
