//! What to do about an error, in options of this program. The libraries say what is wrong.

use beft::{AdapterProblem, Difference, Error, MemoryUse};
use beft_checkpoint::CheckpointError;
use beft_compare::CompareError;
use beft_device::{DeviceError, RemoteError};
use beft_modes::NO_HEAD;
use beft_mpi::MpiError;
use beft_score::Parts;
use beft_tasks::{DataError, TaskError};
use beft_train::TrainError;
use serde_json::Value;

/// The options that help against an error, if there are any.
pub(crate) fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let compare = || match cause.downcast_ref::<CompareError>()? {
            CompareError::Beft(error) => Some(error),
            _ => None,
        };
        let error = cause.downcast_ref::<Error>().or_else(compare);
        let plan = || match cause.downcast_ref::<CompareError>()? {
            CompareError::OtherPlan { .. } => {
                Some("give another --out, or the same files and options".to_owned())
            }
            _ => None,
        };
        let mpi = || match cause.downcast_ref::<MpiError>()? {
            MpiError::NotCompiled { .. } => Some("build with --features mpi".to_owned()),
            _ => None,
        };
        let remote = || match cause.downcast_ref::<RemoteError>()? {
            RemoteError::NotCompiled => Some("build with --features remote".to_owned()),
            _ => None,
        };
        error
            .and_then(of)
            .or_else(plan)
            .or_else(mpi)
            .or_else(remote)
            .or_else(|| cause.downcast_ref().and_then(of_task))
            .or_else(|| cause.downcast_ref().and_then(of_device))
    })
}

fn of(error: &Error) -> Option<String> {
    let text = match error {
        Error::Precision(_) => "`beft devices` lists what each supports",
        Error::TrainSize { .. } => "give --train-size with as many or fewer",
        Error::Mode { reason, .. } if *reason == NO_HEAD => "--head trains one",
        Error::LongQuestion { .. } => "--max-length",
        Error::NothingToOpen => "give --adapter, or --model with the folder of a tuned model",
        Error::NoBaseName { .. } => "give it with --model",
        Error::NamedBase { .. } => "give another base model with --model",
        Error::NoHead { .. } => "give --adapter",
        Error::NoTask { .. } => "give --task",
        Error::TrainedOn { .. } => "give its file with --task",
        Error::CarriedTask { source, .. } => return of(source),
        Error::NothingToPredict { .. } => "`beft eval`, or `beft generate` to continue prompts",
        Error::NoHubData { .. } => {
            "give --data with the folder of its files (compare and sweep: --task NAME=DIR)"
        }
        Error::Adapter {
            problem: AdapterProblem::HeadOnLanguageModel { .. },
            ..
        } => "give the base model with --model",
        Error::Memory { what, .. } => match what {
            MemoryUse::Weights(_) => "--precision bf16",
            MemoryUse::FullFineTuning => "--terms v, --terms lora-v",
        },
        Error::OtherSettings { differences, .. } => return Some(same_settings(differences)),
        Error::Train(TrainError::Forward { .. }) => "leave out --forward",
        Error::Train(TrainError::OneEvaluation(_)) => {
            "--evaluate says which epochs are evaluated, --keep and --patience compare them"
        }
        Error::Train(TrainError::Stopped { .. }) => {
            "run the same command with --resume to continue"
        }
        Error::Budget { parts, .. } => match parts {
            Parts::Terms => "give more, or choose smaller parts: sites or heads",
            Parts::Sites => "give more, or choose smaller parts: heads",
            Parts::Heads => "give more",
        },
        Error::NothingToSpendOn => "choose another scorer, or more terms",
        Error::BudgetOfLayers(_) => "spend it on smaller parts: sites or heads",
        Error::PlanPredicted => "leave --predicted out",
        Error::PlanLength { .. } => "give another --length, or another --predicted",
        Error::Task(error) => return of_task(error),
        Error::Data(DataError::NotAFolder { .. }) => "--dev-share 0.2 measures on a fifth of it",
        Error::Device(error) => return of_device(error),
        Error::Checkpoint(
            CheckpointError::OtherBase { .. } | CheckpointError::OtherConfig { .. },
        ) => "give that model with --model",
        _ => return None,
    };
    Some(text.to_owned())
}

fn of_task(error: &TaskError) -> Option<String> {
    match error {
        TaskError::Change { .. } => Some(
            "the options --label, --multi-label, --metric and --balanced change a task".to_owned(),
        ),
        TaskError::Definition { .. } => Some("give the file of the task with --task".to_owned()),
        _ => None,
    }
}

fn of_device(error: &DeviceError) -> Option<String> {
    match error {
        DeviceError::NotCompiled { feature, .. } => {
            Some(format!("build with --features {feature}"))
        }
        _ => None,
    }
}

/// What makes the settings those of the training to resume.
fn same_settings(differences: &[Difference]) -> String {
    let remedies: Vec<String> = differences.iter().map(remedy).collect();
    format!(
        "give {}, or leave out --resume to begin anew",
        remedies.join(" and ")
    )
}

/// The option that gives a setting its value in the other training.
fn remedy(difference: &Difference) -> String {
    let theirs = difference.theirs();
    let option = match difference.name.as_str() {
        "model" => return "the model that it was begun with".to_owned(),
        "data" => return "the data that it was begun with".to_owned(),
        "task_definition" => return "the task that it was begun with".to_owned(),
        "beft_version" => return format!("the program of version {theirs}"),
        "learning_rate" => "lr".to_owned(),
        "dev_size" => "limit".to_owned(),
        name => name.replace('_', "-"),
    };
    match (option.as_str(), &difference.theirs) {
        ("dropout", Value::Bool(true)) => "--dropout config".to_owned(),
        ("dropout", _) => "--dropout off".to_owned(),
        (_, Value::Null) => format!("no --{option}"),
        (_, Value::Array(values)) if values.is_empty() => format!("no --{option}"),
        _ => format!("--{option} {theirs}"),
    }
}

#[cfg(test)]
mod tests {
    use beft::{Objective, TrainingRecord};
    use beft_modes::ModeSettings;
    use beft_train::TrainSettings;

    use super::*;

    #[test]
    fn the_command_names_the_option_that_helps() {
        let device = DeviceError::NotCompiled {
            name: "d".to_owned(),
            feature: "f",
            needs: "nothing",
        };
        let base = CheckpointError::OtherBase {
            path: "adapter".into(),
            trained_on: "a".to_owned(),
            recorded: "1".to_owned(),
            found: "2".to_owned(),
        };
        for (error, option) in [
            (
                anyhow::Error::from(device.clone()),
                "build with --features f",
            ),
            (
                Error::from(device.clone()).into(),
                "build with --features f",
            ),
            (
                CompareError::from(Error::from(device)).into(),
                "build with --features f",
            ),
            (Error::from(base).into(), "give that model with --model"),
        ] {
            assert_eq!(hint(&error).as_deref(), Some(option));
        }
    }

    /// Every setting of a record has the option that gives it its value.
    #[test]
    fn settings_become_options() {
        let record = TrainingRecord {
            beft_version: "0.1.0".to_owned(),
            model: "m".to_owned(),
            task: "sst2".to_owned(),
            task_definition: "t".to_owned(),
            data: "d".to_owned(),
            train_size: Some(10),
            dev_size: Some(5),
            objective: Objective::Task,
            terms: "lora-v".to_owned(),
            max_length: 128,
            device: "flex".to_owned(),
            precision: "f32".to_owned(),
            settings: TrainSettings {
                modes: ModeSettings {
                    lora_rank: Some(8),
                    lora_alpha: Some(16.0),
                    random_entries: None,
                },
                ..TrainSettings::new(4e-4, 2, 0)
            },
        };
        let Value::Object(mut settings) = serde_json::to_value(record).unwrap() else {
            panic!("a record is an object");
        };
        settings.insert("dropout off".to_owned(), false.into());
        for (name, option) in [
            ("learning_rate", "--lr 0.0004"),
            ("epochs", "--epochs 2"),
            ("batch_size", "--batch-size 16"),
            ("micro_batch", "no --micro-batch"),
            ("seed", "--seed 0"),
            ("dropout", "--dropout config"),
            ("dropout off", "--dropout off"),
            ("without", "no --without"),
            ("lora_rank", "--lora-rank 8"),
            ("lora_alpha", "--lora-alpha 16"),
            ("random_entries", "no --random-entries"),
            ("keep", "--keep last"),
            ("patience", "no --patience"),
            ("precision", "--precision f32"),
            ("device", "--device flex"),
            ("objective", "--objective task"),
            ("task", "--task sst2"),
            ("train_size", "--train-size 10"),
            ("dev_size", "--limit 5"),
            ("beft_version", "the program of version 0.1.0"),
            ("terms", "--terms lora-v"),
            ("model", "the model that it was begun with"),
            ("data", "the data that it was begun with"),
            ("task_definition", "the task that it was begun with"),
            ("max_length", "--max-length 128"),
        ] {
            let error = Error::OtherSettings {
                path: "results.json".into(),
                state: "finished",
                differences: vec![Difference {
                    name: name.trim_end_matches(" off").to_owned(),
                    ours: Value::Null,
                    theirs: settings.remove(name).unwrap(),
                }],
            };
            let expected = format!("give {option}, or leave out --resume to begin anew");
            assert_eq!(hint(&error.into()), Some(expected));
        }
        assert!(settings.is_empty(), "not tried: {settings:?}");
    }
}
