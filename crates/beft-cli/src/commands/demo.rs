use anyhow::{Context, Result, bail};
use beft::Objective;
use beft_core::BiasTerm;
use beft_score::ScorerKind;

use super::run::run;
use crate::args::{
    ChangeArgs, DemoArgs, RecipeArgs, ReportArgs, RunArgs, ScorerArgs, Scorers, SourceArgs,
    SpendingArgs, TrainArgs,
};
use crate::output::{check_file, lock_folder, say, write_file};

/// The tiny model learns with larger and more steps than the protocol's for real ones.
const EPOCHS: u32 = 12;
/// See [`EPOCHS`].
const LEARNING_RATE: f64 = 5e-3;

/// Tickets of the tutorial.
const TICKETS: usize = 600;

/// Writes the model and data that are part of this program, then does what `beft run` does on any
/// other.
pub(crate) fn demo(args: &DemoArgs) -> Result<()> {
    if let Some(file) = &args.tickets {
        let _made = check_file(file, &[])?;
        if file.exists() {
            bail!("{} is there already: give another name", file.display());
        }
        write_file(file, beft_demo::tickets(TICKETS, 0).as_bytes())?;
        say!("{TICKETS} tickets: {}", file.display());
        return Ok(());
    }
    // `run` takes the lock again.
    let output = lock_folder(&args.out, &[])?;
    let (model, data) = (args.out.join("model"), args.out.join("data"));
    beft_demo::write_model(&model).with_context(|| format!("cannot write {}", model.display()))?;
    beft_demo::write_data(&data).with_context(|| format!("cannot write {}", data.display()))?;
    drop(output);
    let recipe = &args.recipe;
    run(&RunArgs {
        json: args.json,
        report: ReportArgs::default(),
        spending: SpendingArgs::default(),
        train: TrainArgs {
            model: model.display().to_string(),
            source: SourceArgs {
                task: "text".to_owned(),
                data: Some(data),
                changes: ChangeArgs::default(),
            },
            regime: None,
            limit: None,
            objective: Objective::default(),
            head: false,
            recipe: RecipeArgs {
                epochs: recipe.epochs.or(Some(EPOCHS)),
                lr: recipe.lr.or(Some(LEARNING_RATE)),
                ..recipe.clone()
            },
        },
        terms: BiasTerm::QKV.to_vec(),
        scorers: ScorerArgs {
            scorer: Scorers(vec![ScorerKind::Beft, ScorerKind::Magnitude]),
        },
        resume: false,
        out: args.out.clone(),
    })
}
