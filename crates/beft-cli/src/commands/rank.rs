use anyhow::{Result, bail};
use beft::{ranking_table, save_heatmaps, settings, write_json};
use serde_json::json;

use super::{Setup, setup};
use crate::args::RankArgs;
use crate::output::{prepare_folder, print_table};
use crate::progress::Progress;

pub(crate) fn rank(args: &RankArgs) -> Result<()> {
    if args.terms.is_frozen() {
        bail!("there is nothing to rank when no bias is trained: give --terms all, or a set");
    }
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
    if outcome.failure.is_some() {
        outcome.save(&args.out.join("adapter"))?;
    }
    progress.finish();

    let trained = args.terms.sites(base.num_layers())?;
    let only = |snapshot: &beft::core::BiasSnapshot| {
        snapshot
            .iter()
            .filter(|(site, _)| trained.contains(site))
            .map(|(site, values)| (site, values.to_vec()))
            .collect()
    };
    let ranking = beft::rank(&only(&outcome.before), &only(&outcome.after))?;
    let folder = args.train.data.display().to_string();
    let record = json!({
        "settings": settings(&base, &data, &options, &folder, &args.train.recipe.device),
        "ranking": ranking.by_scorer(),
        "recommended": ranking.recommended(),
        "notes": ranking.notes(),
    });
    save_heatmaps(&ranking, base.name(), &args.out)?;
    let path = args.out.join("ranking.json");
    write_json(&path, &record)?;

    println!(
        "\nMean score over layers, after training `{}`:\n",
        args.terms
    );
    print_table(&ranking_table(&ranking));
    for note in ranking.notes() {
        println!("note: {note}");
    }
    match ranking.beft().recommended() {
        Some(term) => println!("\nRecommended of q, k, v by BEFT: {term}"),
        None => println!("\nOf q, k, v none is recommended: not trained, or two score the same."),
    }
    println!("Scores by layer: {}", path.display());
    Ok(())
}
