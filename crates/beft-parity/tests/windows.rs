//! Windows of contexts and the places of answers in them are those of transformers' tokenizers and of `run_qa.py`.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use beft_checkpoint::ModelDir;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    model: String,
    question: String,
    context: String,
    answer: Option<String>,
    max_length: usize,
    stride: usize,
    windows: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    type_ids: Option<Vec<u32>>,
    offsets: Vec<Option<(usize, usize)>>,
    target: (usize, usize),
}

#[test]
fn windows_and_targets_are_those_of_transformers() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("windows.json")).unwrap();
    let minilm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/minilm");
    let mut checked = 0;
    for case in &cases {
        let folder = match case.model.as_str() {
            "minilm" => minilm.clone(),
            name => beft_fixtures::model(name),
        };
        if !folder.is_dir() {
            eprintln!("{} is not here: skipped", folder.display());
            continue;
        }
        let tokenizer = ModelDir::open(&folder).unwrap().tokenizer(512).unwrap();
        let asked = [(case.question.as_str(), case.context.as_str())];
        let found = tokenizer
            .encode_windows(asked, case.max_length, case.stride)
            .unwrap();
        let told = format!("{} {:?} {}", case.model, case.question, case.max_length);
        assert_eq!((found.of.len(), found.narrowed), (1, 0));
        assert_eq!(found.of[0].len(), case.windows.len(), "{told}");
        for (window, expected) in found.of[0].iter().zip(&case.windows) {
            assert_eq!(window.encoding.ids, expected.ids, "{told}");
            assert_eq!(window.offsets, expected.offsets, "{told}");
            if let Some(type_ids) = &expected.type_ids {
                assert_eq!(&window.encoding.type_ids, type_ids, "{told}");
            }
            let target = case.answer.as_ref().map_or((0, 0), |answer| {
                let start = case.context.find(answer.as_str()).unwrap();
                let start = case.context[..start].chars().count();
                window.span_of(start, start + answer.chars().count())
            });
            assert_eq!(target, expected.target, "{told}");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn questions_that_leave_little_room() {
    let tokenizer = ModelDir::open(&beft_fixtures::model("bert-tiny")).unwrap();
    let tokenizer = tokenizer.tokenizer(512).unwrap();
    let (question, context) = (
        "is the film good",
        "the movie was good , and the film was long .",
    );
    let taken = tokenizer.encode([(question, Some(""))]).unwrap()[0].len();
    let error = tokenizer
        .encode_windows([(question, context)], taken, 128)
        .unwrap_err();
    assert!(
        error.to_string().contains("leaves no room for its context"),
        "{error}"
    );
    // Windows of 3 tokens overlap by 1 instead of 128.
    let found = tokenizer
        .encode_windows([(question, context)], taken + 3, 128)
        .unwrap();
    assert_eq!(found.narrowed, 1);
    let whole = tokenizer.encode([(question, Some(context))]).unwrap()[0].len();
    assert_eq!(found.of[0].len(), (whole - taken - 1).div_ceil(2));
}
