//! docs/tutorial.md, command by command.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::Scratch;

/// The lines of the page's shell blocks.
fn commands() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tutorial.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
    let lines: Vec<String> = blocks
        .flat_map(|b| b.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(lines.len() >= 8, "{lines:?}");
    lines
}

#[test]
fn every_command_of_the_tutorial_works() {
    let scratch = Scratch::new();
    // In the place of MiniLM: it learns little, and fast.
    beft_fixtures::copy_model("bert-tiny", &scratch.path("models/minilm")).unwrap();
    let mut outputs = Vec::new();
    for line in commands() {
        let output = scratch.shell(&line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}\n{said}");
        outputs.push((line, String::from_utf8(output.stdout).unwrap() + &said));
    }
    let said = |start: &str| {
        let found = outputs.iter().find(|(line, _)| line.contains(start));
        found.map(|(_, output)| output.as_str()).unwrap()
    };
    assert!(said("beft tune").contains("17 lines without a label"));
    // What the page says of the files.
    let split = scratch.read("tickets/split.tsv");
    assert_eq!(
        split.lines().filter(|line| line.ends_with("\tdev")).count(),
        117
    );
    assert_eq!(split.lines().count(), 584);
    let card = scratch.read("tickets/adapter/README.md");
    for part in [
        "base_model: models/minilm",
        "`subject` and `body`",
        "`returns`",
        "466 examples",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let evaluated = said("beft eval");
    for part in [
        "117 examples",
        "macro average",
        "always billing",
        "Calibration error",
    ] {
        assert!(evaluated.contains(part), "{part}: {evaluated}");
    }
    let mistakes = scratch.read("mistakes.csv");
    assert!(
        mistakes.starts_with("file,line,text,label,prediction,probability\n"),
        "{mistakes}"
    );
    let mut files = scratch.list("report");
    files.sort();
    assert_eq!(
        files,
        [
            "confusion.svg",
            "reliability.svg",
            "report.html",
            "report.md"
        ]
    );
    let sorted = scratch.read("sorted.csv");
    assert!(
        sorted.starts_with("index,ticket,label,probability,probability_account,"),
        "{sorted}"
    );
    assert_eq!(sorted.lines().count(), 601);
    assert!(sorted.contains("\n599,T-00600,"), "{sorted}");
    assert_eq!(said("printf").lines().count(), 2);
    let inspected = said("beft inspect");
    let columns = inspected.lines().find(|line| line.contains("text_columns"));
    assert!(
        columns.is_some_and(|line| line.ends_with("subject, body")),
        "{inspected}"
    );
    let report = scratch.read("choice/report.md");
    assert!(
        report.contains("117 dev examples") && report.contains("| **macro average** |"),
        "{report}"
    );
    assert!(said("beft tasks").starts_with("name = \"my-sst2\""));

    // The adapter is whole: elsewhere it predicts with its base alone.
    let elsewhere = scratch.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(scratch.path("tickets/adapter"), elsewhere.join("adapter")).unwrap();
    beft_fixtures::copy_model("bert-tiny", &elsewhere.join("models/minilm")).unwrap();
    scratch.write(
        "elsewhere/new.csv",
        "body,subject,id\nWhere is it?,parcel,9\n",
    );
    let output = scratch.shell("cd elsewhere && beft predict --adapter adapter --data new.csv");
    let row = String::from_utf8(output.stdout).unwrap();
    assert!(
        row.contains("\"id\":\"9\"") && row.contains("\"probability\""),
        "{row}"
    );
}
