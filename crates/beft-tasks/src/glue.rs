use std::io::{self, Write};

use crate::{Label, Split, Task};

impl Task {
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
    /// Classes are written by their name in `labels`, the label set of the training file. Those of
    /// the built-in tasks are what the server expects (`entailment`; 0 and 1). Values are cut to
    /// the range of the task and have three decimals.
    ///
    /// # Errors
    ///
    /// As of `out`, and [`io::ErrorKind::InvalidInput`] for a class outside `labels` or a value
    /// that is not finite.
    pub fn write_glue(
        &self,
        mut out: impl Write,
        labels: &[String],
        predictions: &[Label],
    ) -> io::Result<()> {
        writeln!(out, "index\tprediction")?;
        for (index, prediction) in predictions.iter().enumerate() {
            let wrong = |what: String| {
                let message = format!("prediction {index} cannot be written: {what}");
                io::Error::new(io::ErrorKind::InvalidInput, message)
            };
            match *prediction {
                Label::Class(class) => {
                    let name = labels
                        .get(class)
                        .ok_or_else(|| wrong(format!("class {class} of {}", labels.len())))?;
                    writeln!(out, "{index}\t{name}")?;
                }
                Label::Value(value) if value.is_finite() => {
                    let (low, high) = self.range.unwrap_or((f64::MIN, f64::MAX));
                    // Adding 0 makes 0 of -0.
                    writeln!(out, "{index}\t{:.3}", value.max(low).min(high) + 0.0)?;
                }
                Label::Value(value) => return Err(wrong(format!("value {value}"))),
            }
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(task: &str, predictions: &[Label]) -> Result<String, String> {
        let task = Task::named(task).unwrap();
        let mut out = Vec::new();
        task.write_glue(&mut out, &task.label_names().unwrap(), predictions)
            .map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn files_are_named_as_the_server_wants() {
        let name = |task: &str, split| Task::named(task).unwrap().glue_file_name(split);
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
    fn what_cannot_be_written() {
        assert_eq!(
            written("rte", &[Label::Class(0), Label::Class(2)]).unwrap_err(),
            "prediction 1 cannot be written: class 2 of 2"
        );
        assert_eq!(
            written("stsb", &[Label::Value(f64::NAN)]).unwrap_err(),
            "prediction 0 cannot be written: value NaN"
        );
    }
}
