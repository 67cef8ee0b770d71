use anyhow::Result;
use beft::{OpenOptions, parse_device};

use super::fetch_base;
use crate::args::MergeArgs;
use crate::output::{say, tell};

/// Writes an adapter and its base as one model.
pub(crate) fn merge(args: &MergeArgs) -> Result<()> {
    let device = parse_device("flex")?;
    fetch_base(args.model.as_deref(), Some(&args.adapter))?;
    let notes = beft::merge(
        &OpenOptions {
            model: args.model.as_deref(),
            adapter: Some(&args.adapter),
            device: Some(&device),
            ..OpenOptions::default()
        },
        &args.out,
    )?;
    notes.iter().for_each(|note| tell!("{note}"));
    say!("Saved: {}", args.out.display());
    Ok(())
}
