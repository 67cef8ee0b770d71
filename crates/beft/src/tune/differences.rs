//! The settings in which trainings differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

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
pub fn differences(ours: &[TrainingRecord], theirs: &[TrainingRecord]) -> Vec<Difference> {
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
        // What has its usual value may be left out, on either side.
        let (ours, theirs) = (ours.fields(), theirs.fields());
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for name in names {
            let value = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
            let (ours, theirs) = (value(&ours), value(&theirs));
            if ours != theirs && name != "terms" {
                let difference = Difference {
                    name: name.clone(),
                    ours,
                    theirs,
                };
                found.entry(name.clone()).or_insert(difference);
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

/// Differences in words: `lora_alpha is 32, the interrupted training has 16`.
pub(crate) fn explain(differences: &[Difference], state: &str) -> String {
    let what = |Difference { name, ours, theirs }: &Difference| {
        let files = match name.as_str() {
            "model" => "the model's files",
            "data" => "the examples",
            "task_definition" => "the task's definition",
            name => {
                let (ours, theirs) = (plain(ours), plain(theirs));
                return format!("{name} is {ours}, the {state} training has {theirs}");
            }
        };
        format!("{files} are not those of the {state} training")
    };
    differences.iter().map(what).collect::<Vec<_>>().join("; ")
}

impl Difference {
    /// `epochs is 3 there, 5 here`
    pub fn there_and_here(&self) -> String {
        let (theirs, ours) = (plain(&self.theirs), plain(&self.ours));
        format!("{} is {theirs} there, {ours} here", self.name)
    }

    /// The value that the other training has, as the user writes it.
    pub fn theirs(&self) -> String {
        plain(&self.theirs)
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
    use beft_nn::ForwardPrecision;
    use beft_train::Evaluate;
    use serde_json::json;

    use super::*;
    use crate::tune::record::tests::record;

    /// Every setting, with another value, is the one difference.
    #[test]
    fn every_setting_is_told() {
        // With the settings that are left out where they have their usual value.
        let mut base = record();
        base.settings.forward = ForwardPrecision::Q8;
        base.settings.evaluate = Evaluate::Last;
        base.settings.tune_thresholds = true;
        for (name, ours) in base.fields() {
            let mut fields = base.fields();
            fields[&name] = match ours {
                Value::String(text) if name == "objective" => json!(text.replace("task", "text")),
                Value::String(_) if name == "keep" => json!("best"),
                Value::String(_) if name == "forward" => json!("f32"),
                Value::String(_) if name == "evaluate" => json!("each"),
                Value::String(text) => json!(text + "x"),
                Value::Bool(on) => json!(!on),
                Value::Number(number) if number.is_f64() => json!(0.125),
                Value::Array(_) => json!(["packing"]),
                Value::Number(_) | Value::Null | Value::Object(_) => json!(77),
            };
            let other: TrainingRecord = serde_json::from_value(Value::Object(fields)).unwrap();
            for (ours, theirs) in [(&other, &base), (&base, &other)] {
                let found = differences(std::slice::from_ref(ours), std::slice::from_ref(theirs));
                let names: Vec<&str> = found.iter().map(|d| d.name.as_str()).collect();
                assert_eq!(names, [name.as_str()]);
                let text = explain(&found, "interrupted");
                assert!(text.contains("the interrupted training"), "{text}");
            }
        }
        let mut other = record();
        other.settings.modes.lora_alpha = Some(32.0);
        assert_eq!(
            explain(&differences(&[other], &[record()]), "interrupted"),
            "lora_alpha is 32, the interrupted training has 16"
        );
    }
}
