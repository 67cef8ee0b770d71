use std::time::Instant;

use anyhow::Result;
use beft_compare::{CompareSpec, TaskSpec, Trial, joint_trials, run_trials};
use beft_core::Stop;
use clap::Args;
use serde_json::json;

use crate::Source;
use crate::train::peak_bytes;

#[derive(Debug, Args)]
pub(crate) struct TogetherArgs {
    #[command(flatten)]
    source: Source,
    /// What is trained; each with each seed.
    #[arg(long, value_delimiter = ',', default_value = "q,k,v")]
    modes: Vec<String>,
    /// Number of seeds.
    #[arg(long, default_value_t = 5)]
    seeds: u32,
    #[arg(long, default_value_t = 1)]
    epochs: usize,
    /// Trainings in one pass, at most.
    #[arg(long, default_value_t = 1)]
    together: usize,
}

/// Runs a comparison's trainings in this process, so many of them in a pass, and prints what it took.
pub(crate) fn run(args: &TogetherArgs) -> Result<()> {
    let source = &args.source;
    let spec = CompareSpec {
        models: vec![source.model.clone()],
        tasks: vec![TaskSpec {
            task: source.task.clone(),
            data: Some(source.data.clone()),
            train_size: Some(source.train_size),
            epochs: None,
            lr: None,
        }],
        regimes: vec!["low".to_owned()],
        modes: args.modes.clone(),
        seeds: (0..args.seeds).map(|i| source.seed + i).collect(),
        scorers: None,
        epochs: Some(args.epochs),
        lr: None,
        batch_size: None,
        evaluate: Default::default(),
        objective: Default::default(),
        head: false,
        mode: Default::default(),
    };
    let trials = spec.trials(&source.device, "f32", None)?;
    let folder = std::env::temp_dir().join(format!("beft-together-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let begin = Instant::now();
    let mut losses = vec![0.0; trials.len()];
    for (index, pass) in joint_trials(&trials, args.together)?
        .into_iter()
        .enumerate()
    {
        let of: Vec<Trial> = pass.iter().map(|trial| trials[*trial].clone()).collect();
        let results = run_trials(
            &of,
            &folder.join(index.to_string()),
            &Stop::default(),
            |_, _| (),
        )?;
        for (trial, result) in pass.into_iter().zip(results) {
            losses[trial] = result.epochs.last().map_or(f64::NAN, |e| e.train_loss);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&folder)?;
    println!(
        "{}",
        json!({ "losses": losses, "seconds": seconds, "peak_bytes": peak_bytes() })
    );
    Ok(())
}
