use anyhow::Result;
use beft::table::{Align, Table};
use beft_tasks::{Answerable, Candidates, LabelTarget, LabelledTask, PromptTask, Task, TaskInfo};

use crate::args::{TasksAction, TasksArgs};
use crate::output::{beginning, print_table, say, write_now};

/// Lists the built-in tasks, or prints one as a task file.
pub(crate) fn tasks(args: &TasksArgs) -> Result<()> {
    match &args.action {
        None => list(),
        Some(TasksAction::Show { task, decoder }) => {
            let task: Task = match (LabelledTask::named(task), decoder) {
                (Ok(task), false) => task.into(),
                (Err(unknown), false) => PromptTask::named(task).map_err(|_| unknown)?.into(),
                (_, true) => PromptTask::named(task)?.into(),
            };
            write_now(task.to_toml(&format!("my-{}", task.name)).as_bytes());
            Ok(())
        }
    }
}

fn list() -> Result<()> {
    let columns = ["task", "text", "label", "labels", "metrics"].map(|name| (name, Align::Left));
    let mut table = Table::new(columns);
    for name in LabelledTask::names() {
        let task = LabelledTask::named(name)?;
        let mut texts = vec![first(task.text_columns.names())];
        texts.extend(task.pair_columns.names().first().cloned());
        let labels = labels(&task);
        let label = first(&task.label_columns);
        table.rows.push(row(&task, texts.join(", "), label, labels));
    }
    say!("Tasks of encoders (the first accepted name of each column):\n");
    print_table(&table);
    table.rows.clear();
    for name in PromptTask::names() {
        let task = PromptTask::named(name)?;
        let labels = match task.labels.as_deref() {
            Some(labels) => labels
                .iter()
                .map(|l| l.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            None => "choices or answers of each example".to_owned(),
        };
        let answers = match &task.candidates {
            Candidates::Answer(answer) => answer.source().to_owned(),
            Candidates::Classes(_) | Candidates::Choices(_) | Candidates::Each(_) => {
                first(&task.label_columns)
            }
        };
        let prompt = short(task.template.source());
        table.rows.push(row(&task, prompt, answers, labels));
    }
    table.columns[1].0 = "prompt".to_owned();
    say!("\nTasks of decoders:\n");
    print_table(&table);
    say!(
        "\n`beft tasks show NAME` prints one as a task file to start from, with --decoder as a decoder is asked."
    );
    Ok(())
}

/// What stands in the column of labels.
fn labels(task: &LabelledTask) -> String {
    let text = match &task.target {
        LabelTarget::Value(_) | LabelTarget::Similarity(_) => "a number",
        LabelTarget::Answer(Answerable::Always) => "parts of the context",
        LabelTarget::Answer(Answerable::Sometimes) => "parts of the context, or none",
        LabelTarget::Ranking => "a text that does not belong to it, or no column",
        LabelTarget::Classes(_) | LabelTarget::Labels(_) | LabelTarget::Tags(_) => {
            match task.label_names() {
                Some(names) => return names.join(", "),
                None => "those of the training file",
            }
        }
    };
    text.to_owned()
}

fn row(task: &TaskInfo, text: String, label: String, labels: String) -> Vec<beft::table::Cell> {
    let metrics: Vec<&str> = task.metrics.iter().map(|metric| metric.name()).collect();
    let cells = [task.name.clone(), text, label, labels, metrics.join(", ")];
    cells.into_iter().map(Into::into).collect()
}

fn first(names: &[String]) -> String {
    names.first().cloned().unwrap_or_default()
}

/// The beginning of a prompt, on one line.
fn short(prompt: &str) -> String {
    beginning(&prompt.replace('\n', " "), 40)
}
