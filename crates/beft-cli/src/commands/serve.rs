use anyhow::{Result, bail};
use beft_core::TaskType;
use beft_serve::{Limits, NamedFolder, ServeOptions};

use super::open_set;
use crate::args::ServeArgs;
use crate::output::{finish, say};

pub(crate) fn serve(args: &ServeArgs) -> Result<()> {
    let set = open_set(
        args.model.as_deref(),
        &args.adapter,
        &args.device,
        args.precision,
    )?;
    if args.max_tokens.is_some() && set.task_type() != TaskType::CausalLm {
        bail!(
            "--max-tokens is for models that generate text, and {} does not: leave it out",
            set.model()
        );
    }
    let limits = Limits::default();
    let named = args.adapter.iter().map(|adapter| NamedFolder {
        name: adapter.name.clone(),
        dir: adapter.dir.clone(),
    });
    let options = ServeOptions {
        adapters: named.collect(),
        adapter_root: args.adapter_root.clone(),
        bind: args.bind,
        api_key_file: args.api_key_file.clone(),
        allowed_origins: args.allow_origin.clone(),
        max_batch_tokens: args.max_batch_tokens as usize,
        limits: Limits {
            concurrent_requests: args.max_concurrent_requests as usize,
            batch_size: args.max_client_batch_size as usize,
            payload: args.payload_limit as usize,
            max_tokens: args
                .max_tokens
                .map_or(limits.max_tokens, |most| most as usize),
            ..limits
        },
        ..ServeOptions::default()
    };
    beft_serve::serve(set, &options, |address| {
        say!("Serving at http://{address}");
        // Whoever started the server may wait for this line, and need not read it.
        let _ = finish();
    })?;
    Ok(())
}
