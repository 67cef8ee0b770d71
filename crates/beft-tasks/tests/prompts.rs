//! The built-in prompt tasks on small files in the forms in which the data sets are shipped.

#![allow(clippy::unwrap_used)]

use std::fs;

use beft_tasks::{PromptExample, PromptSet, PromptTask, Split};

/// The examples of a training file of this name, or the error without the folder.
fn load(task: &str, file: &str, content: &str) -> Result<PromptSet, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(file), content).unwrap();
    let set = PromptTask::named(task)
        .unwrap()
        .load(dir.path(), Split::Train);
    set.map_err(|error| {
        let folder = format!("{}/", dir.path().display());
        error.to_string().replace(&folder, "")
    })
}

fn examples(task: &str, file: &str, content: &str) -> Vec<PromptExample> {
    load(task, file, content).unwrap().examples
}

/// All that may be said, and which of it is right.
fn texts(example: &PromptExample) -> (Vec<String>, &[usize]) {
    let all = example.candidates.iter();
    let all = all.map(|candidate| format!("{}{candidate}", example.prompt));
    (all.collect(), &example.right)
}

#[test]
fn sst2_and_both_forms_of_rte() {
    let set = load("sst2", "train.tsv", "sentence\tlabel\na fine film . \t1\n").unwrap();
    assert_eq!(set.labels, ["0", "1"]);
    assert_eq!(
        texts(&set.examples[0]),
        (
            vec![
                "a fine film . It was terrible".to_owned(),
                "a fine film . It was great".to_owned()
            ],
            [1].as_slice()
        )
    );
    assert_eq!(set.examples[0].content_free, " It was");
    assert_eq!(set.examples[0].training_target(), " great");

    let tsv = "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tnot_entailment\n";
    let jsonl = r#"{"premise": "A.", "hypothesis": "B.", "label": "not_entailment", "idx": 0}"#;
    let hub = r#"{"premise": "A.", "hypothesis": "B.", "label": 1, "idx": 0}"#;
    for (file, content) in [
        ("train.tsv", tsv),
        ("train.jsonl", jsonl),
        ("train.jsonl", hub),
    ] {
        let example = &examples("rte", file, content)[0];
        let expected = "A.\nDoes this mean that \"B.\" is true? Yes or No?\nNo";
        assert_eq!(example.demonstration(), expected, "{content}");
        assert_eq!(example.candidates, ["Yes", "No"]);
    }
}

#[test]
fn words_stand_for_the_right_labels() {
    let cb = |label: &str| {
        let row = format!(r#"{{"premise": "A.", "hypothesis": "b", "label": "{label}"}}"#);
        examples("cb", "train.jsonl", &row)[0].demonstration()
    };
    for (label, word) in [
        ("entailment", "Yes"),
        ("contradiction", "No"),
        ("neutral", "Maybe"),
    ] {
        let expected = "Suppose A. Can we infer that \"b\"? Yes, No, or Maybe?\n";
        assert_eq!(cb(label), format!("{expected}{word}"));
    }
    let boolq = "{\"question\": \"is it so\", \"passage\": \"It is.\", \"label\": true}\n\
                 {\"question\": \"Is it?\", \"passage\": \"It isn't.\", \"label\": false}\n";
    let boolq = examples("boolq", "train.jsonl", boolq);
    assert_eq!(boolq[0].demonstration(), "It is. Is it so?\nYes");
    assert_eq!(boolq[1].demonstration(), "It isn't. Is it?\nNo");
    assert_eq!(boolq[1].line, 2);
    let wic = r#"{"word": "run", "sentence1": "I run.", "sentence2": "A run.", "label": false}"#;
    assert_eq!(
        examples("wic", "train.jsonl", wic)[0].demonstration(),
        "Does the word \"run\" have the same meaning in these two sentences? Yes, No?\n\
         I run.\nA run.\nNo"
    );
}

#[test]
fn wsc_nested_and_flat() {
    let nested = r#"{"target": {"span1_index": 0, "span1_text": "Ann", "span2_index": 4,
        "span2_text": "Her"}, "idx": 0, "label": true, "text": "Ann likes Her."}"#;
    let flat =
        r#"{"text": "Ann likes Her.", "span1_text": "Ann", "span2_text": "Her", "label": 1}"#;
    for content in [nested.replace('\n', " "), flat.to_owned()] {
        assert_eq!(
            examples("wsc", "train.jsonl", &content)[0].demonstration(),
            "Ann likes Her.\nIn the previous sentence, does the pronoun \"her\" refer to Ann? \
             Yes or No?\nYes"
        );
    }
}

#[test]
fn an_example_for_each_answer_of_multirc() {
    let nested = r#"{"idx": 7, "version": 1.1, "passage": {"text": "P.", "questions": [
        {"question": "Q?", "idx": 3, "answers": [
            {"text": "a", "idx": 0, "label": 0}, {"text": "b", "idx": 1, "label": 1}]},
        {"question": "R?", "idx": 4, "answers": [{"text": "c", "idx": 2, "label": 1}]}]}}"#;
    let found = examples("multirc", "train.jsonl", &nested.replace('\n', ""));
    let prompt = |question: &str, answer: &str| {
        format!(
            "P.\nQuestion: {question}\nI found this answer \"{answer}\". Is that correct? \
             Yes or No?\n"
        )
    };
    let summary: Vec<_> = found
        .iter()
        .map(|e| {
            (
                e.prompt.clone(),
                e.right[0],
                e.group.clone().unwrap(),
                e.line,
            )
        })
        .collect();
    assert_eq!(
        summary,
        [
            (prompt("Q?", "a"), 0, "7.3".to_owned(), 1),
            (prompt("Q?", "b"), 1, "7.3".to_owned(), 1),
            (prompt("R?", "c"), 1, "7.4".to_owned(), 1)
        ]
    );
    let flat = r#"{"paragraph": "P.", "question": "Q?", "answer": "b", "label": 1,
        "idx": {"paragraph": 7, "question": 3, "answer": 1}}"#;
    let flat = examples("multirc", "train.jsonl", &flat.replace('\n', ""));
    assert_eq!(flat[0], found[1]);
}

#[test]
fn copa_goes_on_in_the_middle_of_a_sentence() {
    let copa = r#"{"premise": "It rained. ", "choice1": "I got wet.", "choice2": "The sun shone.",
        "question": "effect", "label": 1, "idx": 0}"#;
    let copa = copa.replace('\n', " ");
    let effect = &examples("copa", "train.jsonl", &copa)[0];
    assert_eq!(
        texts(effect),
        (
            vec![
                "It rained so I got wet.".to_owned(),
                "It rained so the sun shone.".to_owned()
            ],
            [1].as_slice()
        )
    );
    assert_eq!(effect.content_free, " so ");
    let cause = &examples("copa", "train.jsonl", &copa.replace("effect", "cause"))[0];
    assert_eq!(
        (cause.prompt.as_str(), cause.content_free.as_str()),
        ("It rained because ", " because ")
    );

    let error = load("copa", "train.jsonl", &copa.replace("effect", "why")).unwrap_err();
    assert!(
        error.starts_with("train.jsonl:1: field `question` is `why`"),
        "{error}"
    );
    let error = load("copa", "train.jsonl", &copa.replace(": 1", ": 2")).unwrap_err();
    assert!(
        error.starts_with("train.jsonl:1: label `2` is not one of `0`, `1`"),
        "{error}"
    );
    let error = load("copa", "train.jsonl", &copa.replace(": 1", ": -1")).unwrap_err();
    assert!(
        error.starts_with("train.jsonl:1: the label is missing"),
        "{error}"
    );
}

#[test]
fn an_example_for_each_query_of_record() {
    // The ends of entities are inside them, and characters count, not bytes.
    let text = "Zoë met Bo.\n@highlight\nBo left";
    let nested = serde_json::json!({
        "source": "x",
        "passage": {"text": text, "entities": [
            {"start": 8, "end": 9}, {"start": 0, "end": 2}, {"start": 23, "end": 24}]},
        "qas": [
            {"query": "@placeholder left.", "idx": 0, "answers": [
                {"start": 8, "end": 9, "text": "Bo"}, {"start": 23, "end": 24, "text": "Bo"}]},
            {"query": "They are @placeholder.", "idx": 1, "answers": [
                {"start": 0, "end": 2, "text": "Zoë"}, {"start": 8, "end": 9, "text": "Bo"}]}],
        "idx": 0
    });
    let found = examples("record", "train.jsonl", &nested.to_string());
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].prompt, "Zoë met Bo.\n- Bo left\n-");
    assert_eq!(found[0].candidates, [" Bo left.", " Zoë left."]);
    assert_eq!(found[0].right, [0]);
    assert_eq!(found[1].candidates, [" They are Bo.", " They are Zoë."]);
    assert_eq!(found[1].right, [0, 1]);
    assert_eq!(
        found[0].demonstration(),
        "Zoë met Bo.\n- Bo left\n- Bo left."
    );
    assert_eq!(found[0].content_free, "\n-");

    let flat = serde_json::json!({
        "passage": text, "query": "@placeholder left.", "entities": ["Zoë", "Bo"], "answers": ["Bo"]
    });
    assert_eq!(
        examples("record", "train.jsonl", &flat.to_string())[0],
        found[0]
    );

    let broken = nested.to_string().replace("24}", "99}");
    let error = load("record", "train.jsonl", &broken).unwrap_err();
    let expected =
        "train.jsonl:1: field `passage.entities`: an entity goes from character 23 to 99";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn squad_document_and_rows() {
    let document = serde_json::json!({"version": "1.1", "data": [{"title": "New_York", "paragraphs": [
        {"context": "It is big.", "qas": [
            {"id": "x", "question": "How is it? ", "answers": [
                {"text": "big", "answer_start": 6}, {"text": "big.", "answer_start": 6}]},
            {"id": "y", "question": "What?", "answers": [{"text": "It", "answer_start": 0}]}]}]}]});
    for file in ["train.json", "train-v1.1.json"] {
        let found = examples("squad", file, &document.to_string());
        assert_eq!(found.len(), 2);
        let prompt = "Title: New York\nContext: It is big.\nQuestion: How is it?\nAnswer:";
        assert_eq!(found[0].prompt, prompt);
        assert_eq!(found[0].answers, ["big", "big."]);
        assert_eq!(found[0].demonstration(), format!("{prompt} big\n"));
        assert!(found[0].candidates.is_empty() && found[0].right.is_empty());
        assert_eq!((found[0].line, found[1].line), (1, 2));
        let flat = serde_json::json!({"title": "New_York", "context": "It is big.",
            "question": "How is it? ", "answers": {"text": ["big", "big."], "answer_start": [6, 6]}});
        assert_eq!(
            examples("squad", "train.jsonl", &flat.to_string())[0],
            found[0]
        );
    }
    let broken = document.to_string().replace("\"It\"", "5");
    assert_eq!(
        load("squad", "train.json", &broken).unwrap_err(),
        "train.json, item 2: field `answers.text` is a number: it must be a string"
    );
    let error = load("squad", "train.json", "{\"data\": [}").unwrap_err();
    assert!(
        error.starts_with("train.json:1: not valid JSON ("),
        "{error}"
    );
}

#[test]
fn answers_of_drop() {
    let empty = serde_json::json!({"day": "", "month": "", "year": ""});
    let document = serde_json::json!({"a": {"passage": "P.", "qa_pairs": [
        {"question": "How many?", "answer": {"number": "3", "date": empty, "spans": []},
         "validated_answers": [{"number": "", "date": {}, "spans": ["three", "or so"]},
                               {"number": "", "date": empty, "spans": []}]},
        {"question": "When?", "answer": {"number": "", "spans": [],
            "date": {"day": "1", "month": "May", "year": "1900"}}}]},
        "b": {"passage": "R.", "qa_pairs": [
        {"question": "Who?", "answer": {"number": "", "date": {"year": ""}, "spans": ["A", "B"]}}]}});
    let found = examples("drop", "drop_dataset_train.json", &document.to_string());
    let answers: Vec<_> = found.iter().map(|e| e.answers.clone()).collect();
    assert_eq!(
        answers,
        [vec!["3", "three, or so"], vec!["1 May 1900"], vec!["A, B"]]
    );
    assert_eq!(found[2].prompt, "Passage: R.\nQuestion: Who?\nAnswer:");
    let flat = serde_json::json!({"passage": "R.", "question": "Who?",
        "answers_spans": {"spans": ["A, B"], "types": ["span"]}});
    let flat = examples("drop", "train.jsonl", &flat.to_string());
    assert_eq!(
        (&flat[0].prompt, &flat[0].answers),
        (&found[2].prompt, &found[2].answers)
    );

    let none = r#"{"a": {"passage": "P.", "qa_pairs": [{"question": "?", "answer": {}}]}}"#;
    assert_eq!(
        load("drop", "train.json", none).unwrap_err(),
        "train.json, item 1: field `answers`: it has no entry: write at least one answer"
    );
}

#[test]
fn files_that_do_not_fit() {
    for (task, file, content, expected) in [
        (
            "sst2",
            "train.tsv",
            "text\tlabel\na\t1\n",
            "train.tsv:2: no column `sentence`: found `text`, `label`; rename or add a column",
        ),
        (
            "sst2",
            "train.tsv",
            "sentence\tlabel\na\tgood\n",
            "train.tsv:2: label `good` is not one of `0`, `1`: correct it, use the labels of the \
             training file, or name all labels in a task file (`labels`)",
        ),
        (
            "sst2",
            "train.csv",
            "sentence,label\na,1,2\n",
            "train.csv:2: found 3 columns, expected 2 as in the first line: check the separators in \
             this line",
        ),
        (
            "sst2",
            "train.tsv",
            "sentence\nx\n",
            "train.tsv:2: no column `label`: found `sentence`; rename or add a column",
        ),
        (
            "wic",
            "train.jsonl",
            "\n",
            "train.jsonl: the file is empty: give one with rows",
        ),
        (
            "sst2",
            "train.tsv",
            "sentence\tlabel\n",
            "train.tsv: a header line but no rows",
        ),
        (
            "wic",
            "train.jsonl",
            "\n{\"word\": }\n",
            "train.jsonl:2: not valid JSON (expected value, column 10): write one JSON object a line",
        ),
        (
            "multirc",
            "train.jsonl",
            r#"{"passage": {"text": "P."}}"#,
            "train.jsonl:1: no column `questions`: found `text`; rename or add a column",
        ),
    ] {
        assert_eq!(load(task, file, content).unwrap_err(), expected);
    }
    let error = load("squad", "other.json", "{}").unwrap_err();
    assert!(
        error.ends_with("`train.json`, `train-00000-of-00001.parquet`, `train-v1.1.json`"),
        "{error}"
    );
}

#[test]
fn a_test_file_may_lack_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.jsonl");
    let load = |task: &str, content: &str| {
        fs::write(&path, content).unwrap();
        let task = PromptTask::named(task).unwrap();
        assert!(task.load_file(&path).is_err());
        task.load(dir.path(), Split::Test)
            .unwrap()
            .examples
            .remove(0)
    };
    let rte = load("rte", r#"{"premise": "A.", "hypothesis": "B.", "idx": 0}"#);
    assert!(rte.right.is_empty());
    assert_eq!(rte.demonstration(), rte.prompt);
    load(
        "rte",
        r#"{"premise": "A.", "hypothesis": "B.", "label": -1}"#,
    );
    load(
        "squad",
        r#"{"title": "A", "context": "B", "question": "C"}"#,
    );
    load(
        "squad",
        r#"{"title": "A", "context": "B", "question": "C", "answers": {"text": []}}"#,
    );
    load(
        "record",
        r#"{"passage": "A", "query": "B", "entities": ["C"], "answers": []}"#,
    );
}
