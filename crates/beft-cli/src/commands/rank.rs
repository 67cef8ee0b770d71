use anyhow::{Result, bail};
use beft::{TuneOutcome, ranking_table, save_heatmaps, write_json};
use serde_json::json;

use super::{Setup, train_terms};
use crate::args::RankArgs;
use crate::output::{print_table, say};

pub(crate) fn rank(args: &RankArgs) -> Result<()> {
    if args.terms.is_frozen() {
        bail!("there is nothing to rank when no bias is trained: give --terms all, or a set");
    }
    train_terms(&args.train, &args.terms, &args.out, |setup, outcome| {
        save(args, setup, outcome)
    })
}

fn save(args: &RankArgs, setup: &Setup, outcome: &TuneOutcome) -> Result<()> {
    if outcome.failure.is_some() {
        outcome.save(&args.out.join("adapter"))?;
    }

    let trained = args.terms.sites(setup.base.num_layers())?;
    let only = |snapshot: &beft::core::BiasSnapshot| {
        snapshot
            .iter()
            .filter(|(site, _)| trained.contains(site))
            .map(|(site, values)| (site, values.to_vec()))
            .collect()
    };
    let ranking = beft::rank(&only(&outcome.before), &only(&outcome.after))?;
    let record = json!({
        "settings": setup.settings(&args.train),
        "ranking": ranking.by_scorer(),
        "recommended": ranking.recommended(),
        "notes": ranking.notes(),
    });
    save_heatmaps(&ranking, setup.base.name(), &args.out)?;
    let path = args.out.join("ranking.json");
    write_json(&path, &record)?;

    say!(
        "\nMean score over layers, after training `{}`:\n",
        args.terms
    );
    print_table(&ranking_table(&ranking));
    for note in ranking.notes() {
        say!("note: {note}");
    }
    match ranking.beft().recommended() {
        Some(term) => say!("\nRecommended of q, k, v by BEFT: {term}"),
        None => say!("\nOf q, k, v none is recommended: not trained, or two score the same."),
    }
    say!("Scores by layer: {}", path.display());
    Ok(())
}
