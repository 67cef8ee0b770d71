use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use beft::{
    HeadScores, Ranker, check_budget, check_scored, heads_pictures, heatmaps, ranking_table,
    train_for, write_json,
};
use beft_core::BiasTerm;
use beft_modes::Mode;
use beft_score::{Batches, Needs, ScorerKind};
use beft_train::{Evaluate, TrainSettings};
use serde_json::{Value, json};

use super::{prepare_output, scorers, setup};
use crate::args::{DropoutChoice, RankArgs};
use crate::output::{complain, print_json, print_table, say, write_file};
use crate::progress::Progress;

/// How often the score of `--before` was right, as docs/results.md has it.
const TRUST: &str = "How far to trust it (docs/results.md: MiniLM on two tasks, five seeds; a BERT of proteins, one seed): of q, k and v it named \
                     the best 11 times of 11; of all eight terms never, and training what it named brought 0.02 to 0.09 less than the best.";

pub(crate) fn rank(args: &RankArgs) -> Result<()> {
    if args.terms.is_frozen() {
        bail!("there is nothing to rank when no bias is trained: give --terms all, or a set");
    }
    // First of all: another process that writes there is told of before any work.
    let _output = prepare_output(&args.out, &["ranking.json"])?;
    let mut progress = Progress::new();
    let mode = Mode::Biases(args.terms.clone());
    let setup = setup(&args.train, &mode, &progress)?;
    let config = setup.base.config();
    check_scored(config, &args.terms)?;
    if let Some((values, parts)) = args.spending.spending() {
        check_budget(config, &args.terms, values, parts)?;
    }
    let scorers = &match args.before {
        true => vec![ScorerKind::BEFORE],
        false => scorers(&setup.base, &args.scorers),
    };
    check_options(args, scorers)?;
    // The trained values alone are compared with those before.
    let training = &TrainSettings {
        evaluate: Evaluate::Never,
        ..setup.training.clone()
    };
    let (base, data) = (&setup.base, &setup.data);
    progress.mode(mode.to_string());
    let train = |mode: &Mode| beft::tune(base, data, mode, training, |event| progress.train(event));
    let trained = train_for(scorers, train, &args.terms)?;
    if let Some(outcome) = &trained {
        if let Some(warning) = outcome.warning(&data.outputs) {
            complain!("warning: {warning}");
        }
        if outcome.failure.is_some() {
            outcome.save(base, &args.out)?;
        }
    }
    let trained = trained.as_ref();
    let mut ranker = Ranker::new(base, data, &args.terms, trained, training)?;
    let mut on_batch = || progress.pulse("gradients of batch");
    let ranking = ranker.ranking(scorers, &mut on_batch)?;
    let heads = scorers.iter().filter(|_| args.heads);
    let heads = heads.map(|kind| ranker.heads(*kind, &mut on_batch));
    let heads: Vec<HeadScores> = heads.collect::<Result<_, _>>()?;
    let spend = |spending| ranker.spend_by(&ranking, scorers, spending, &mut on_batch);
    let spent = args.spending.spending().map(spend).transpose()?;
    let spent = spent.map(|(_, result)| result);
    progress.finish();
    let mut record = json!({
        "settings": setup.settings(&args.train),
        "ranking": ranking.by_scorer(),
        "recommended": ranking.recommended(),
        "notes": ranking.notes(),
    });
    if args.heads {
        let by_scorer = heads
            .iter()
            .map(|of| (of.scorer.name().to_owned(), of.by_term()));
        record["heads"] = Value::Object(by_scorer.collect());
    }
    if let Some(spent) = &spent {
        record["budget"] = json!(spent);
    }
    let pictures = heads
        .iter()
        .flat_map(|heads| heads_pictures(heads, base.name()));
    let pictures: Vec<_> = { heatmaps(&ranking, base.name()).into_iter() }
        .chain(pictures)
        .collect();
    let path = args.out.join("ranking.json");
    if path.exists() {
        remove_others(&args.out, |name| {
            pictures.iter().any(|own| own.file == name)
        });
    }
    for picture in &pictures {
        write_file(&args.out.join(&picture.file), picture.svg.as_bytes())?;
    }
    write_json(&path, &record)?;

    if args.json.json {
        print_json(&record);
        return Ok(());
    }
    match trained {
        Some(_) => say!(
            "\nMean score over layers, after training `{}`:\n",
            args.terms
        ),
        None => say!("\nMean score over layers, before any training:\n"),
    }
    print_table(&ranking_table(&ranking));
    for note in ranking.notes() {
        say!("note: {note}");
    }
    let primary = ranking.primary();
    match primary.recommended() {
        Some(term) => say!("\nRecommended of q, k, v by {}: {term}", primary.scorer()),
        None => say!(
            "\nNone of q, k and v is recommended: they were not trained, or two of them have the same score."
        ),
    }
    if args.before {
        say!("{TRUST}");
    }
    if let Some(spent) = &spent {
        say!("\n{}\n", spent.summary());
        print_table(&spent.table());
        say!("\nTrain them: beft tune --terms {}", spent.terms);
    }
    say!("Scores by layer: {}", path.display());
    if args.heads {
        say!(
            "Scores of heads: there too, and as heads_*.svg in {}",
            args.out.display()
        );
    }
    Ok(())
}

/// Refuses options that change nothing.
fn check_options(args: &RankArgs, scorers: &[ScorerKind]) -> Result<()> {
    if args.train.limit.is_some() || args.train.source.changes.metric.is_some() {
        bail!("rank evaluates nothing: leave --limit and --metric out");
    }
    if args.heads && !args.terms.names_any(&BiasTerm::QKV) {
        bail!(
            "--heads scores the heads of q, k and v, and --terms names none of them: leave it out"
        );
    }
    if scorers.iter().any(|kind| kind.needs_training()) {
        return Ok(());
    }
    let recipe = &args.train.recipe;
    let first = |kind: &ScorerKind| matches!(kind.needs(), Needs::Gradients(Batches::First, _));
    let given = [
        ("--epochs", recipe.epochs.is_some()),
        ("--lr", recipe.lr.is_some()),
        ("--micro-batch", recipe.micro_batch.is_some()),
        ("--gradient-checkpointing", recipe.gradient_checkpointing),
        ("--dropout", recipe.dropout == DropoutChoice::Off),
        ("--forward", !recipe.forward.is_f32()),
        (
            "--batch-size",
            recipe.batch_size.is_some() && !scorers.iter().any(first),
        ),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => bail!(
            "{option} is for a training, and these scorers need none: leave it out, or add a scorer such as beft"
        ),
        None => Ok(()),
    }
}

/// Removes the pictures of an earlier ranking that this one does not have. What cannot be removed stays.
fn remove_others(out: &Path, is_own: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let picture = name.starts_with("heatmap_") || name.starts_with("heads_");
        if picture && name.ends_with(".svg") && !is_own(&name) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
