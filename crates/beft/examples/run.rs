//! The whole job through the library, without the command line:
//!
//! `cargo run --release -p beft --example run -- MODEL_DIR SST2_DIR OUT_DIR [EPOCHS] [SEED]`

use std::path::Path;
use std::time::Instant;

use beft::{Base, DataOptions, Error, RunEvent, RunOptions, TaskData, parse_device, protocol, run};
use beft_core::{BiasTerm, TermSet};
use beft_modes::Mode;
use beft_score::ScorerKind;
use beft_tasks::{LabelledTask, Task};
use beft_train::Event;

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, data, out, rest @ ..] = &args[..] else {
        eprintln!("usage: run MODEL_DIR SST2_DIR OUT_DIR [EPOCHS] [SEED]");
        std::process::exit(2);
    };
    let task = Task::from(LabelledTask::named("sst2")?);
    let number = |index: usize| rest.get(index).and_then(|text| text.parse::<u32>().ok());
    let seed = number(1).unwrap_or(0);
    let base = Base::open(model, task.defaults.max_length, &parse_device("flex")?)?;
    let data_set = TaskData::load(
        &task,
        Path::new(data),
        &base,
        &DataOptions {
            train_size: task.defaults.train_size,
            seed,
            ..DataOptions::default()
        },
    )?;
    let mode = Mode::Biases(TermSet::all());
    let mut tune = protocol(&task, &mode, &base, seed);
    tune.epochs = number(0).map_or(tune.epochs, |epochs| epochs as usize);
    let options = RunOptions {
        tune,
        scorers: vec![ScorerKind::Beft, ScorerKind::Magnitude],
        candidates: BiasTerm::QKV.to_vec(),
        budget: None,
        data: data.clone(),
        device: "flex".to_owned(),
        command: None,
        latex: false,
    };
    let start = Instant::now();
    let outcome = run(
        &base,
        &data_set,
        &options,
        Path::new(out),
        |event| match event {
            RunEvent::Mode { mode, number, of } => println!("[{number}/{of}] {mode}"),
            RunEvent::Train(Event::Epoch(record)) => println!(
                "  epoch {}: loss {:.4}, {:?} ({:.0} s)",
                record.epoch,
                record.train_loss,
                record.metrics,
                start.elapsed().as_secs_f64()
            ),
            _ => {}
        },
    )?;
    println!("picked {}", outcome.results.picked);
    Ok(())
}
