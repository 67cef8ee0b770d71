use anyhow::Result;

use crate::args::InspectArgs;
use crate::output::{print_document, print_json};

/// Prints what an adapter folder holds.
pub(crate) fn inspect(args: &InspectArgs) -> Result<()> {
    let found = beft::inspect(&args.adapter)?;
    match args.json.json {
        true => print_json(&found),
        false => print_document(&found.document()),
    }
    Ok(())
}
