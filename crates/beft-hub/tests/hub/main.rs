//! The hub client against a local server, and against caches written by hand.

#![allow(clippy::unwrap_used)]

mod answers;
mod cache;
mod downloads;
mod resume;
mod server;
mod world;
