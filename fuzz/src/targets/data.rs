//! Files with examples, and task files.

use std::path::{Path, PathBuf};

use beft_tasks::{InputFormat, LabelledTask, PromptTask, Split, Task};

use super::{table, words};
use crate::{Format, Sample};

/// One file as the training split, under each of these names.
fn file(name: &str, content: impl Into<Vec<u8>>, format: Format) -> Sample {
    let name = format!("train.{name}");
    Sample::default()
        .with(&name, content)
        .changing(&name, format)
}

fn fixtures(extension: &str, format: Format) -> Vec<Sample> {
    let dir =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/beft-tasks/tests/fixtures/data");
    let folder = Sample::folder(&dir);
    let of = |name: &&str| Path::new(name).extension().is_some_and(|e| e == extension);
    let names: Vec<&str> = folder.names().filter(of).collect();
    let sample = |name: &&str| file(extension, folder.content(name), format);
    names.iter().map(sample).collect()
}

pub(super) fn tsv() -> Vec<Sample> {
    let mut found = vec![file("tsv", table('\t', 6), Format::Text)];
    let cola = "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tOne more.\n";
    found.push(file("tsv", cola, Format::Text));
    found.extend(fixtures("tsv", Format::Text));
    found
}

pub(super) fn csv() -> Vec<Sample> {
    let mut found = vec![file("csv", table(',', 6), Format::Text)];
    let quoted = "id,text,label\n1,\"good, \"\"really\"\"\ntwo lines\",yes\n2,bad,no\n";
    found.push(file("csv", quoted, Format::Text));
    found.extend(fixtures("csv", Format::Text));
    found
}

pub(super) fn jsonl() -> Vec<Sample> {
    let plain =
        "{\"text\": \"good film\", \"label\": \"yes\"}\n{\"text\": \"bad\", \"label\": \"no\"}\n";
    let copa = "{\"premise\": \"It rained.\", \"choice1\": \"It is wet.\", \"choice2\": \"It is dry.\", \"question\": \"effect\", \"label\": 0, \"idx\": 0}\n";
    let multirc = "{\"idx\": 0, \"passage\": {\"text\": \"A man.\", \"questions\": [{\"question\": \"Who?\", \"answers\": [{\"text\": \"A man\", \"label\": 1, \"idx\": 0}], \"idx\": 0}]}}\n";
    let record = "{\"source\": \"x\", \"passage\": {\"text\": \"A b c.\\n@highlight\\nd\", \"entities\": [{\"start\": 0, \"end\": 0}]}, \"qas\": [{\"id\": \"q\", \"query\": \"@placeholder b\", \"answers\": [{\"start\": 0, \"end\": 0, \"text\": \"A\"}]}], \"idx\": 0}\n";
    let tags = "{\"tokens\": [\"Anna\", \"sings\"], \"ner_tags\": [\"B-PER\", \"O\"]}\n{\"tokens\": [\"so\"], \"ner_tags\": [\"O\"]}\n";
    let wsc = "{\"text\": \"Mark told Pete he won.\", \"target\": {\"span2_index\": 3, \"span1_index\": 0, \"span1_text\": \"Mark\", \"span2_text\": \"he\"}, \"idx\": 0, \"label\": true}\n";
    let squad = "{\"title\": \"t\", \"context\": \"The cat sat.\", \"question\": \"Who?\", \"answers\": {\"text\": [\"The cat\"], \"answer_start\": [0]}}\n";
    [plain, copa, multirc, record, tags, wsc, squad]
        .map(|text| file("jsonl", text, Format::JsonLines))
        .into()
}

pub(super) fn json() -> Vec<Sample> {
    let mut found = fixtures("json", Format::Json);
    let squad = r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "The cat sat.", "qas": [{"id": "1",
        "question": "Who?", "is_impossible": false, "answers": [{"text": "The cat", "answer_start": 0}]}]}]}]}"#;
    let drop = r#"{"nfl_1": {"passage": "He scored 3 and 4.", "qa_pairs": [{"question": "How many?", "query_id": "q",
        "answer": {"number": "7", "date": {"day": "", "month": "", "year": ""}, "spans": []}, "validated_answers": []}]}}"#;
    found.extend([squad, drop].map(|text| file("json", text, Format::Json)));
    found
}

pub(super) fn parquet() -> Vec<Sample> {
    fixtures("parquet", Format::Binary)
}

pub(super) fn conll() -> Vec<Sample> {
    let text =
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n";
    let two = "Peter\tB-PER\nsings\tO\n\nAnna\tB-PER\n";
    vec![
        file("conll", text, Format::Text),
        file("conll", two, Format::Text),
    ]
}

/// Reads the file as every kind of task would, with labels and as rows to predict.
pub(super) fn read(given: &Path, _: &Path) -> Result<(), String> {
    let labelled = ["text", "cola", "ner", "squad", "stsb", "ranking", "sst2"]
        .map(|name| LabelledTask::named(name).map(Task::from).map_err(words));
    let prompted = ["copa", "multirc", "record", "wsc", "squad", "drop", "boolq"]
        .map(|name| PromptTask::named(name).map(Task::from).map_err(words));
    let path = only_file(given).ok_or("no file")?;
    let mut all = Vec::new();
    for task in labelled.into_iter().chain(prompted) {
        let task = task?;
        let loaded = match &task {
            Task::Labelled(task) => task
                .load(given, Split::Train, None)
                .map(drop)
                .map_err(words),
            Task::Prompted(task) => task.load(given, Split::Train).map(drop).map_err(words),
        };
        let rows = task
            .open_inputs(&path, InputFormat::of_path(&path))
            .map_err(words);
        let rows = rows.and_then(|rows| {
            let read: Result<Vec<_>, _> = rows.collect();
            read.map(drop).map_err(words)
        });
        all.extend([loaded, rows]);
    }
    named(&all, &path)?;
    // That some task takes it is enough.
    match all.iter().any(Result::is_ok) {
        true => Ok(()),
        false => all.swap_remove(0),
    }
}

/// Makes sure that each refusal names the file.
fn named(all: &[Result<(), String>], path: &Path) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for message in all.iter().filter_map(|result| result.as_ref().err()) {
        let folder = message.contains("in this folder: looked for");
        assert!(
            folder || message.contains(&*name),
            "no file is named: {message}"
        );
    }
    Ok(())
}

fn only_file(dir: &Path) -> Option<PathBuf> {
    let entry = std::fs::read_dir(dir).ok()?.flatten().next()?;
    Some(entry.path())
}

pub(super) fn task_files() -> Vec<Sample> {
    let texts = "name = \"mine\"\nkind = \"classification\"\ntext = \"text\"\nlabel = \"label\"\nlabels = [[\"no\", \"0\"], [\"yes\", \"1\"]]\nmetrics = [\"accuracy\", \"f1\"]\n\n[regimes]\nlow = 4\n\n[defaults]\nlearning_rate = 0.0004\nepochs = 16\ntrain_size = 4\nbatch_size = 16\nmax_length = 128\n";
    let number = "name = \"mine\"\nkind = \"regression\"\ntext = [\"text\", \"label\"]\nlabel = \"label\"\nrange = [0, 5]\nmetrics = [\"pearson\"]\n";
    let tags = "name = \"mine\"\nkind = \"token_classification\"\ntokens = [\"tokens\", \"text\"]\nlabel = [\"label\"]\nmetrics = [\"entity_f1\"]\n";
    let prompt = "name = \"mine\"\nlabel = \"label\"\n\n[prompt]\ntemplate = \"{text|trim} It was \"\ncandidates = [\"great\", \"bad\"]\nlabels = [\"yes\", \"no\"]\nmetrics = [\"accuracy\"]\nlearning_rate = 0.0001\nepochs = 5\nbatch_size = 8\ntrain_size = 1000\ndev_size = 1000\nmax_length = 2048\nmax_new_tokens = 50\n";
    [texts, number, tags, prompt]
        .map(|text| {
            Sample::default()
                .with("train.tsv", table('\t', 6))
                .with("dev.tsv", table('\t', 3))
                .with("task.toml", text)
                .changing("task.toml", Format::Text)
        })
        .into()
}

/// Reads a task file in both forms, and examples as it says.
pub(super) fn read_task(given: &Path, _: &Path) -> Result<(), String> {
    let path = given.join("task.toml");
    let name = path.display().to_string();
    let labelled = LabelledTask::resolve(&name).map_err(words);
    let prompted = PromptTask::resolve(&name).map_err(words);
    named(
        &[labelled.clone().map(drop), prompted.clone().map(drop)],
        &path,
    )?;
    match (labelled, prompted) {
        (Ok(task), _) => task
            .load(given, Split::Train, None)
            .map(drop)
            .map_err(words),
        (Err(_), Ok(task)) => task.load(given, Split::Train).map(drop).map_err(words),
        (Err(reason), Err(_)) => Err(reason),
    }
}
