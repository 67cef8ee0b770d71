use anyhow::Result;
use beft::{ModeResult, settings, write_json};
use serde_json::json;

use super::{Setup, setup};
use crate::args::TuneArgs;
use crate::output::prepare_folder;
use crate::progress::{Progress, metrics};

pub(crate) fn tune(args: &TuneArgs) -> Result<()> {
    prepare_folder(&args.out)?;
    let mut progress = Progress::new();
    let Setup {
        base,
        data,
        options,
    } = setup(&args.train, &progress)?;
    progress.mode(args.terms.to_string());
    let outcome = beft::tune(&base, &data, &args.terms, &options, |event| {
        progress.train(event)
    })?;
    progress.finish();

    let adapter = args.out.join("adapter");
    outcome.save(&adapter)?;
    let mode = ModeResult::of(&outcome);
    let folder = args.train.data.display().to_string();
    let record = json!({
        "settings": settings(&base, &data, &options, &folder, &args.train.recipe.device),
        "modes": [mode],
    });
    write_json(&args.out.join("results.json"), &record)?;
    println!(
        "{}: {} trained values{}",
        mode.mode,
        mode.trainable,
        metrics(&mode.metrics)
    );
    println!("Adapter: {}", adapter.display());
    Ok(())
}
