//! Evaluations for people.

use beft_eval::ClassScores;

use super::Details;
use crate::table::{Align, Cell, Document, Table};

/// Classes up to which a confusion matrix is a table; with more it is a list of the most frequent mistakes.
const LARGEST_TABLE: usize = 10;
/// Mistakes in that list.
const MISTAKES: usize = 10;

impl Details {
    /// Adds what stands behind the metrics to a document.
    pub fn describe(&self, out: &mut Document) {
        out.table(self.metrics_table());
        if !self.classes.is_empty() {
            out.table(self.classes_table());
        }
        if !self.confusion.is_empty() && self.confusion.len() <= LARGEST_TABLE {
            out.paragraph("Examples by true class (row) and predicted class (column):");
            out.table(self.confusion_table());
        } else if !self.confusion.is_empty() {
            out.paragraph("The most frequent mistakes:");
            out.list(self.most_frequent_mistakes());
        }
        if let Some(calibration) = &self.calibration {
            out.paragraph(format!(
                "Calibration error (ECE, {} steps): {:.3}. It is the mean difference between the probability of a \
                 prediction and the share of such predictions that are right.",
                calibration.bins.len(),
                calibration.ece
            ));
        }
    }

    fn metrics_table(&self) -> Table {
        let number = |value: Option<&f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
        let mut columns = vec![
            ("metric".to_owned(), Align::Left),
            ("value".to_owned(), Align::Right),
            ("95 % interval".to_owned(), Align::Numbers),
        ];
        if let Some(baseline) = &self.baseline {
            columns.push((format!("always {}", baseline.label), Align::Right));
        }
        let mut table = Table::new(columns);
        for (name, value) in &self.metrics {
            let interval = self.intervals.get(name);
            let interval = interval.map_or("-".to_owned(), |(low, high)| {
                format!("{low:.3} to {high:.3}")
            });
            let mut row = vec![name.into(), format!("{value:.3}").into(), interval.into()];
            if let Some(baseline) = &self.baseline {
                row.push(number(baseline.metrics.get(name)).into());
            }
            table.rows.push(row);
        }
        table
    }

    fn classes_table(&self) -> Table {
        let thresholds = self.classes.iter().any(|class| class.threshold.is_some());
        let numbers = ["precision", "recall", "f1", "examples", "predicted"];
        let mut columns = vec![("class", Align::Left)];
        columns.extend(numbers.map(|name| (name, Align::Right)));
        if thresholds {
            columns.push(("threshold", Align::Right));
        }
        let mut table = Table::new(columns);
        let row = |name: Cell, scores: ClassScores| {
            let shares = [scores.precision, scores.recall, scores.f1];
            let mut row = vec![name];
            row.extend(shares.map(|share| Cell::from(format!("{share:.3}"))));
            row.extend([scores.support, scores.predicted].map(Cell::from));
            row
        };
        for class in &self.classes {
            let mut row = row(Cell::from(&class.label), class.scores);
            if thresholds {
                row.push(
                    class
                        .threshold
                        .map_or("-".to_owned(), |t| format!("{t:.3}"))
                        .into(),
                );
            }
            table.rows.push(row);
        }
        for (name, scores) in self.averages() {
            let mut row = row(Cell::default().bold(name), scores);
            if thresholds {
                row.push("".into());
            }
            table.rows.push(row);
        }
        table
    }

    /// The plain mean over classes, and the mean by the number of their examples.
    fn averages(&self) -> [(&'static str, ClassScores); 2] {
        // Of classes those that occur, as in macro_f1; of labels all.
        let occurs = |scores: &ClassScores| {
            self.confusion.is_empty() || scores.support + scores.predicted > 0
        };
        let all = self
            .classes
            .iter()
            .map(|class| class.scores)
            .filter(|scores| occurs(scores));
        let support: usize = all.clone().map(|scores| scores.support).sum();
        let predicted = all.clone().map(|scores| scores.predicted).sum();
        let mean = |weight: &dyn Fn(&ClassScores) -> f64| {
            let sum = |part: fn(&ClassScores) -> f64| {
                all.clone()
                    .map(|scores| weight(&scores) * part(&scores))
                    .sum()
            };
            ClassScores {
                precision: sum(|scores| scores.precision),
                recall: sum(|scores| scores.recall),
                f1: sum(|scores| scores.f1),
                support,
                predicted,
            }
        };
        let count = all.clone().count().max(1) as f64;
        let examples = support.max(1) as f64;
        [
            ("macro average", mean(&|_| 1.0 / count)),
            (
                "weighted average",
                mean(&|scores| scores.support as f64 / examples),
            ),
        ]
    }

    fn confusion_table(&self) -> Table {
        let names = self
            .classes
            .iter()
            .map(|class| (class.label.as_str(), Align::Right));
        let mut table = Table::new([("", Align::Left)].into_iter().chain(names));
        for (class, row) in self.classes.iter().zip(&self.confusion) {
            let cells = row.iter().map(Cell::from);
            table.rows.push(
                [Cell::from(&class.label)]
                    .into_iter()
                    .chain(cells)
                    .collect(),
            );
        }
        table
    }

    fn most_frequent_mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (truth, row) in self.confusion.iter().enumerate() {
            for (said, count) in row.iter().enumerate() {
                if truth != said && *count > 0 {
                    mistakes.push((*count, truth, said));
                }
            }
        }
        mistakes.sort_by_key(|(count, truth, said)| (std::cmp::Reverse(*count), *truth, *said));
        let name = |class: usize| &self.classes[class].label;
        let lines = mistakes.into_iter().take(MISTAKES);
        let lines = lines.map(|(count, truth, said)| {
            format!(
                "{count} of `{}` were taken for `{}`",
                name(truth),
                name(said)
            )
        });
        lines.collect()
    }
}
