//! In what trainings differ, and what to do about it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::{Error, TrainingRecord};

/// A setting in which two trainings differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its name in a [`TrainingRecord`].
    pub name: String,
    /// Its value here.
    pub ours: Value,
    /// Its value there.
    pub theirs: Value,
}

/// In what trainings differ from those of another run.
pub(crate) fn differences(ours: &[TrainingRecord], theirs: &[TrainingRecord]) -> Vec<Difference> {
    let terms = |records: &[TrainingRecord]| -> Vec<String> {
        let terms = records.iter().map(|record| record.terms.clone());
        // Those of a run are its candidates.
        let alone = records.len() == 1;
        terms
            .filter(|t| alone || (t != "all" && t != "frozen"))
            .collect()
    };
    let (mine, other) = (terms(ours), terms(theirs));
    let mut found: BTreeMap<String, Difference> = BTreeMap::new();
    if mine != other {
        let value = |terms: Vec<String>| Value::String(terms.join(","));
        let difference = Difference {
            name: "terms".to_owned(),
            ours: value(mine),
            theirs: value(other),
        };
        found.insert(difference.name.clone(), difference);
    }
    for (ours, theirs) in ours.iter().zip(theirs) {
        let theirs = theirs.fields();
        for (name, ours) in ours.fields() {
            let theirs = theirs.get(&name).cloned().unwrap_or_default();
            if ours != theirs && name != "terms" {
                let difference = Difference {
                    name: name.clone(),
                    ours,
                    theirs,
                };
                found.entry(name).or_insert(difference);
            }
        }
    }
    // What follows from another difference is no news.
    let differs: Vec<String> = found.keys().cloned().collect();
    let any = |names: &[&str]| names.iter().any(|name| differs.iter().any(|d| d == name));
    let follows = |name: &str| match name {
        "data" => any(&[
            "train_size",
            "dev_size",
            "seed",
            "task",
            "objective",
            "terms",
        ]),
        "task_definition" => any(&["task", "model"]),
        "max_length" => any(&["task", "task_definition", "model"]),
        "lora_rank" | "lora_alpha" | "random_entries" => any(&["terms"]),
        _ => false,
    };
    found.retain(|name, _| !follows(name));
    found.into_values().collect()
}

/// Differences in words, with what to do: `lora_alpha is 32, the interrupted training has 16: give
/// --lora-alpha 16, or leave out --resume to begin anew`.
pub(crate) fn explain(differences: &[Difference], state: &str) -> String {
    let mut what = Vec::new();
    let mut remedies = Vec::new();
    for difference in differences {
        let Difference { name, ours, theirs } = difference;
        let files = match name.as_str() {
            "model" => Some(("the model's files", "the model")),
            "data" => Some(("the examples", "the data")),
            "task_definition" => Some(("the task's definition", "the task")),
            _ => None,
        };
        match files {
            Some((files, thing)) => {
                what.push(format!("{files} are not those of the {state} training"));
                remedies.push(format!("{thing} that it was begun with"));
            }
            None => {
                let (ours, theirs) = (plain(ours), plain(theirs));
                what.push(format!(
                    "{name} is {ours}, the {state} training has {theirs}"
                ));
                remedies.push(remedy(difference));
            }
        }
    }
    format!(
        "{}: give {}, or leave out --resume to begin anew",
        what.join("; "),
        remedies.join(" and ")
    )
}

/// The option that gives a setting its value in the other training.
fn remedy(difference: &Difference) -> String {
    let theirs = plain(&difference.theirs);
    let option = match difference.name.as_str() {
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

/// A value as the user writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not given".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "not given".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float}"),
            _ => number.to_string(),
        },
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::Object(_) => value.to_string(),
    }
}

/// Fails with the differences when the output to resume is from other trainings.
pub(crate) fn check_same(
    path: &Path,
    state: &'static str,
    ours: &[TrainingRecord],
    theirs: &[TrainingRecord],
) -> Result<(), Error> {
    let differences = differences(ours, theirs);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Error::OtherSettings {
            path: path.to_owned(),
            state,
            differences,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::tests::record;

    /// Every setting but those that identify files, with another value.
    #[test]
    fn the_message_names_what_differs_and_what_to_give() {
        let base = record();
        let mut all = base.fields();
        for (name, value, option) in [
            ("learning_rate", json!(1e-5), "--lr 0.0004"),
            ("epochs", json!(3), "--epochs 2"),
            ("batch_size", json!(8), "--batch-size 16"),
            ("micro_batch", json!(4), "no --micro-batch"),
            ("seed", json!(1), "--seed 0"),
            ("dropout", json!(false), "--dropout config"),
            ("without", json!(["packing"]), "no --without"),
            ("lora_rank", json!(4), "--lora-rank 8"),
            ("lora_alpha", json!(32.0), "--lora-alpha 16"),
            ("random_entries", json!(9), "no --random-entries"),
            ("keep", json!("best"), "--keep last"),
            ("patience", json!(2), "no --patience"),
            ("precision", json!("bf16"), "--precision f32"),
            ("device", json!("cuda"), "--device flex"),
            ("objective", json!("text"), "--objective task"),
            ("task", json!("rte"), "--task sst2"),
            ("train_size", json!(9), "--train-size 10"),
            ("dev_size", json!(3), "--limit 5"),
            ("beft_version", json!("9"), "the program of version 0.1.0"),
            ("terms", json!("v"), "--terms lora-v"),
            ("model", json!("x"), "the model that it was begun with"),
            ("data", json!("x"), "the data that it was begun with"),
            (
                "task_definition",
                json!("x"),
                "the task that it was begun with",
            ),
            ("max_length", json!(9), "--max-length 128"),
        ] {
            let mut fields = base.fields();
            fields[name] = value;
            let other: TrainingRecord = serde_json::from_value(Value::Object(fields)).unwrap();
            let found = differences(std::slice::from_ref(&other), std::slice::from_ref(&base));
            let names: Vec<&str> = found.iter().map(|d| d.name.as_str()).collect();
            assert_eq!(names, [name]);
            let text = explain(&found, "interrupted");
            let ending = format!(": give {option}, or leave out --resume to begin anew");
            assert!(text.ends_with(&ending), "{text}");
            all.remove(name);
        }
        assert!(all.is_empty(), "not tried: {all:?}");
        assert!(
            explain(
                &differences(
                    &[TrainingRecord {
                        lora_alpha: Some(32.0),
                        ..record()
                    }],
                    &[record()]
                ),
                "interrupted"
            )
            .starts_with("lora_alpha is 32, the interrupted training has 16: give")
        );
    }
}
