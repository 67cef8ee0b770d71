use anyhow::Result;

use crate::args::InspectArgs;
use crate::output::{print_document, say};

/// Prints what an adapter folder holds.
pub(crate) fn inspect(args: &InspectArgs) -> Result<()> {
    let found = beft::inspect(&args.adapter)?;
    match args.json.json {
        true => say!("{}", serde_json::to_string_pretty(&found)?),
        false => print_document(&found.document()),
    }
    Ok(())
}
