//! How much the program says: notes, the log, colours.

use std::env;
use std::io::{IsTerminal, stderr};
use std::str::FromStr;

use clap::ColorChoice;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Command, LogChoice, SpeechArgs};
use crate::output::{complain, leave_notes_out, set_colours};

/// Does what the options say, for the rest of the process.
pub(crate) fn begin(args: SpeechArgs, command: &Command) {
    if args.quiet {
        leave_notes_out();
    }
    let colours = match args.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let no = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            stderr().is_terminal() && !no
        }
    };
    set_colours(colours);
    log(args, command, colours);
}

/// Starts the log, where anybody wants one. A server always has one: what it did is nowhere else.
fn log(args: SpeechArgs, command: &Command, colours: bool) {
    let server = match command {
        Command::Serve(serve) => Some(serve.log_format),
        _ => None,
    };
    let asked = env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.trim().is_empty());
    let targets = match (asked, args.verbose) {
        (Some(text), _) => match Targets::from_str(&text) {
            Ok(targets) => targets,
            Err(error) => {
                complain!(
                    "warning: RUST_LOG is `{text}`, which is no filter ({error}); try RUST_LOG=debug"
                );
                return;
            }
        },
        (None, 0) if server.is_none() => return,
        (None, 0) if args.quiet => Targets::new().with_default(LevelFilter::WARN),
        (None, 0) => Targets::new().with_default(LevelFilter::INFO),
        (None, 1) => Targets::new()
            .with_target("beft", LevelFilter::DEBUG)
            .with_default(server.map_or(LevelFilter::OFF, |_| LevelFilter::INFO)),
        (None, _) => Targets::new()
            .with_target("beft", LevelFilter::TRACE)
            .with_default(LevelFilter::DEBUG),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_target(server.is_none())
        .with_ansi(colours)
        .with_writer(stderr);
    let registry = tracing_subscriber::registry().with(targets);
    match server {
        Some(LogChoice::Json) => {
            let json = lines.json().flatten_event(true).with_current_span(false);
            registry.with(json).init();
        }
        Some(LogChoice::Text) | None => registry.with(lines).init(),
    }
}
