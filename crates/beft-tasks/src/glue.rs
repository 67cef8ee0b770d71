use std::io::{self, Write};

use crate::{ClassNames, DataError, Label, LabelTarget, LabelledTask, Split};

impl LabelledTask {
    /// The name under which the GLUE server wants the predictions of a split: `SST-2.tsv`,
    /// `MNLI-m.tsv` and `MNLI-mm.tsv`.
    pub fn glue_file_name(&self, split: Split) -> String {
        let suffix = match (self.mismatched, split.is_mismatched()) {
            (false, _) => "",
            (true, false) => "-m",
            (true, true) => "-mm",
        };
        format!("{}{suffix}.tsv", self.title)
    }

    /// Writes predictions as the GLUE server wants them: a line `index<TAB>prediction`, then a line
    /// for each prediction, counted from 0.
    ///
    /// `labels` are the names of the classes, in the order of the model's outputs. Where the task has
    /// labels, its names are written, whatever the model calls its classes: those of the built-in
    /// tasks are what the server expects (`entailment`; 0 and 1). Values are cut to the range of
    /// the task and have three decimals.
    ///
    /// # Errors
    ///
    /// As of `out`, and [`io::ErrorKind::InvalidInput`] for classes that are not those of the task,
    /// a class outside `labels` or a value that is not finite.
    pub fn write_glue(
        &self,
        mut out: impl Write,
        labels: &[String],
        predictions: &[Label],
    ) -> io::Result<()> {
        let names = self.server_names(labels);
        let names = names.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        writeln!(out, "index\tprediction")?;
        for (index, prediction) in predictions.iter().enumerate() {
            let wrong = |what: String| {
                let message = format!("prediction {index} cannot be written: {what}");
                io::Error::new(io::ErrorKind::InvalidInput, message)
            };
            match (&self.target, prediction) {
                (LabelTarget::Value(_), Label::Class(_)) => {
                    return Err(wrong(format!("a class, and task {} has values", self.name)));
                }
                (LabelTarget::Answer(_), _) | (_, Label::Answers(_)) => {
                    return Err(wrong("the server takes no answers to questions".to_owned()));
                }
                (LabelTarget::Similarity(_) | LabelTarget::Ranking, _)
                | (_, Label::Negative(_)) => {
                    return Err(wrong("the server takes no cosines".to_owned()));
                }
                (LabelTarget::Labels(_) | LabelTarget::Tags(_), _)
                | (_, Label::Labels(_) | Label::Tags(_)) => {
                    return Err(wrong("the server takes one label for each".to_owned()));
                }
                (LabelTarget::Classes(_), Label::Value(_)) => {
                    return Err(wrong(format!(
                        "a value, and task {} has classes",
                        self.name
                    )));
                }
                (LabelTarget::Classes(_), Label::Class(class)) => {
                    let name = names
                        .get(*class)
                        .ok_or_else(|| wrong(format!("class {class} of {}", labels.len())))?;
                    writeln!(out, "{index}\t{name}")?;
                }
                (LabelTarget::Value(range), Label::Value(value)) if value.is_finite() => {
                    let (low, high) = range.unwrap_or((f64::MIN, f64::MAX));
                    // Adding 0 makes 0 of -0.
                    writeln!(out, "{index}\t{:.3}", value.max(low).min(high) + 0.0)?;
                }
                (LabelTarget::Value(_), Label::Value(value)) => {
                    return Err(wrong(format!("value {value}")));
                }
            }
        }
        out.flush()
    }

    /// The task's names for the classes of a model.
    fn server_names(&self, labels: &[String]) -> Result<Vec<String>, DataError> {
        let ClassNames { mut names, .. } = self.name_classes(labels)?;
        let known = self.label_names().unwrap_or_default();
        for (name, class) in names.iter_mut().zip(self.classes_of(labels)) {
            if let Some(known) = class.and_then(|class| known.get(class)) {
                name.clone_from(known);
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(task: &str, predictions: &[Label]) -> Result<String, String> {
        let task = LabelledTask::named(task).unwrap();
        let mut out = Vec::new();
        task.write_glue(&mut out, &task.label_names().unwrap(), predictions)
            .map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn files_are_named_as_the_server_wants() {
        let name = |task: &str, split| LabelledTask::named(task).unwrap().glue_file_name(split);
        let tasks = [
            "cola", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "wnli", "cb", "wic", "boolq",
        ];
        assert_eq!(
            tasks.map(|task| name(task, Split::Test)),
            [
                "CoLA", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B", "WNLI", "CB", "WiC",
                "BoolQ"
            ]
            .map(|title| format!("{title}.tsv"))
        );
        assert_eq!(name("mnli", Split::Test), "MNLI-m.tsv");
        assert_eq!(name("mnli", Split::TestMismatched), "MNLI-mm.tsv");
    }

    #[test]
    fn predictions_are_spelled_as_the_server_wants() {
        let classes = [1, 0].map(Label::Class);
        for (task, one, zero) in [
            ("cola", "1", "0"),
            ("mrpc", "1", "0"),
            ("wnli", "1", "0"),
            ("boolq", "1", "0"),
            ("rte", "not_entailment", "entailment"),
            ("qnli", "not_entailment", "entailment"),
            ("mnli", "neutral", "entailment"),
            ("cb", "contradiction", "entailment"),
        ] {
            let expected = format!("index\tprediction\n0\t{one}\n1\t{zero}\n");
            assert_eq!(written(task, &classes), Ok(expected));
        }
        let values = [2.0, 5.25, -0.0001, 2.71449, -0.0].map(Label::Value);
        assert_eq!(
            written("stsb", &values).unwrap(),
            "index\tprediction\n0\t2.000\n1\t5.000\n2\t0.000\n3\t2.714\n4\t0.000\n"
        );
        assert_eq!(written("rte", &[]).unwrap(), "index\tprediction\n");
    }

    #[test]
    fn the_names_are_those_of_the_server_whatever_the_model_says() {
        let rows = |task: &str, labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
            let classes: Vec<Label> = (0..labels.len()).map(Label::Class).collect();
            let mut out = Vec::new();
            let task = LabelledTask::named(task).unwrap();
            let written = task.write_glue(&mut out, &labels, &classes);
            written.map_err(|error| error.to_string())?;
            let rows = String::from_utf8(out).unwrap();
            let names = rows
                .lines()
                .skip(1)
                .map(|row| row.split('\t').next_back().unwrap());
            Ok::<_, String>(names.collect::<Vec<_>>().join(" "))
        };
        for (task, labels, expected) in [
            ("rte", &["0", "1"][..], "entailment not_entailment"),
            ("rte", &["LABEL_0", "LABEL_1"], "entailment not_entailment"),
            (
                "qnli",
                &["NOT_ENTAILMENT", "Entailment"],
                "not_entailment entailment",
            ),
            ("sst2", &["NEGATIVE", "POSITIVE"], "0 1"),
            (
                "mnli",
                &["CONTRADICTION", "NEUTRAL", "ENTAILMENT"],
                "contradiction neutral entailment",
            ),
            ("text", &["LABEL_0", "LABEL_1"], "LABEL_0 LABEL_1"),
        ] {
            assert_eq!(rows(task, labels).unwrap(), expected);
        }
        let error = rows("mnli", &["0", "1"]).unwrap_err();
        assert!(error.contains("those of task mnli are"), "{error}");
    }

    #[test]
    fn what_cannot_be_written() {
        assert_eq!(
            written("rte", &[Label::Class(0), Label::Class(2)]).unwrap_err(),
            "prediction 1 cannot be written: class 2 of 2"
        );
        assert_eq!(
            written("stsb", &[Label::Value(f64::NAN)]).unwrap_err(),
            "prediction 0 cannot be written: value NaN"
        );
        assert_eq!(
            written("stsb", &[Label::Class(0)]).unwrap_err(),
            "prediction 0 cannot be written: a class, and task stsb has values"
        );
        assert_eq!(
            written("rte", &[Label::Value(0.5)]).unwrap_err(),
            "prediction 0 cannot be written: a value, and task rte has classes"
        );
    }
}
