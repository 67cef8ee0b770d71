//! The log.

use std::io::IsTerminal;

use tracing::Level;

/// How the log is written, to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// JSON Lines.
    Json,
}

impl LogFormat {
    /// Starts the log of this process. A log that was started before stays.
    pub fn start(self) {
        let log = tracing_subscriber::fmt()
            .with_max_level(Level::INFO)
            .with_target(false)
            .with_writer(std::io::stderr);
        // A second one is refused, and the first goes on.
        let _ = match self {
            Self::Text => {
                let colours = std::io::stderr().is_terminal();
                log.with_ansi(colours).try_init()
            }
            Self::Json => log
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .try_init(),
        };
    }
}
