//! Tags of words in files that `datasets` wrote: `xtask/python/make_data_fixtures.py`.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use beft_tasks::{Label, LabelledTask};

fn file() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    folder.join("datasets-tags.parquet")
}

#[test]
fn numbers_have_the_names_of_the_file() {
    let task = LabelledTask::named("ner").unwrap();
    let data = task.load_file(&file(), None).unwrap();
    // All names, sorted; also those that no word has.
    assert_eq!(data.labels, ["B-LOC", "B-PER", "I-LOC", "O"]);
    let tags: Vec<_> = data.examples.iter().map(|e| e.label.clone()).collect();
    let expected = [vec![3, 0, 2], vec![3]].map(|tags| Some(Label::Tags(tags)));
    assert_eq!(tags, expected);
    assert_eq!(data.examples[1].text, "caf\u{e9}");

    // Those of a model, in its order.
    let known = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"].map(str::to_owned);
    let data = task.load_file(&file(), Some(&known)).unwrap();
    assert_eq!(data.examples[0].label, Some(Label::Tags(vec![0, 3, 4])));
    let fewer = ["O", "B-LOC"].map(str::to_owned);
    let error = task
        .load_file(&file(), Some(&fewer))
        .unwrap_err()
        .to_string();
    assert!(error.contains("label `0` is not one of"), "{error}");
}
