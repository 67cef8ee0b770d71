//! (being written)
pub mod corpus;
pub mod labelled;
mod template;
pub mod vocab;
pub mod words;
