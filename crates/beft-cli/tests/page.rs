//! The page at `/`, in a browser: `cargo test --workspace --test page -- --ignored`.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::browser::Browser;
use common::server::Server;
use common::{Scratch, run};
use serde_json::{Value, json};

const TEXT: &str = "the bad film number 3";

/// What is between two texts, for each place where the first stands.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    let parts = text.split(begin).skip(1);
    parts.map(|part| part.split(end).next().unwrap()).collect()
}

/// A label on a card, the width of its bar, and its share in figures.
type Row = (String, String, String);

/// The cards on the page: an adapter with its rows.
fn cards(dom: &str) -> Vec<(String, Vec<Row>)> {
    let card = |card: &str| {
        let name = between(card, "<h2>", "</h2>")[0].to_owned();
        let labels = between(card, "<span class=\"name\"", "</span>");
        let labels = labels
            .iter()
            .map(|label| label.split('>').nth(1).unwrap().to_owned());
        let widths = between(card, "style=\"width: ", ";");
        let shares = between(card, "<span class=\"share\">", "</span>");
        let rows = labels.zip(widths).zip(shares);
        let rows = rows.map(|((label, width), share)| (label, width.to_owned(), share.to_owned()));
        (name, rows.collect())
    };
    between(dom, "<article>", "</article>")
        .into_iter()
        .map(card)
        .collect()
}

/// The bytes of a picture.
fn bytes(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "{}", file.display());
    bytes
}

#[test]
#[ignore = "needs chromium"]
fn the_page_shows_what_every_adapter_says() {
    let scratch = Scratch::new();
    for (out, terms) in [("mood", "v"), ("other", "all")] {
        let common = [
            "tune", "--model", "model", "--task", "text", "--data", "data",
        ];
        let more = [
            "--epochs", "2", "--lr", "0.01", "--terms", terms, "--out", out,
        ];
        run(&scratch, &[&common[..], &more].concat());
    }
    let server = Server::start(
        &scratch,
        &[
            "--adapter",
            "mood=mood/adapter",
            "--adapter",
            "other=other/adapter",
        ],
    );
    let body = json!({"model": ["model", "mood", "other"], "input": TEXT});
    let known = server.post("/classify", &body).expect(200).json();
    let address = format!(
        "http://{}/?text={}",
        server.address,
        TEXT.replace(' ', "%20")
    );
    let browser = Browser::new();
    let dom = browser.dom(1280, false, &address);
    let found = cards(&dom);
    // The base has a head too.
    let expected: Vec<&Value> = known["data"].as_array().unwrap().iter().collect();
    assert_eq!(found.len(), expected.len(), "{dom}");
    for ((name, rows), known) in found.iter().zip(expected) {
        assert_eq!(known["model"], name.as_str());
        let labels = known["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|label| label.as_str().unwrap());
        let shares = known["probs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|share| share.as_f64().unwrap());
        let mut pairs: Vec<(&str, f64)> = labels.zip(shares).collect();
        pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert_eq!(rows.len(), pairs.len(), "{dom}");
        for ((label, width, share), (known, number)) in rows.iter().zip(pairs) {
            assert_eq!(label, known);
            // What is shown has one decimal.
            for shown in [width.trim_end_matches('%'), share.trim_end_matches(" %")] {
                let shown: f64 = shown.parse().unwrap();
                assert!(
                    (shown - 100.0 * number).abs() < 0.051,
                    "{shown} is not {number}"
                );
            }
        }
    }
    // Without a text there is nothing to show, and no error.
    let empty = browser.dom(1280, false, &format!("http://{}/", server.address));
    assert!(cards(&empty).is_empty());
    assert!(!empty.contains("class=\"note bad\""), "{empty}");

    let docs = format!("http://{}/docs", server.address);
    let described = browser.dom(390, false, &docs);
    for part in [
        "<h2>POST /classify</h2>",
        "<h2>GET /health</h2>",
        "<h3 id=\"ErrorBody\">",
    ] {
        assert!(described.contains(part), "{part}");
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).unwrap();
    for (page, address) in [("page", &address), ("docs", &docs)] {
        for width in [1280, 390] {
            let [light, dark] = ["light", "dark"].map(|scheme| {
                let file = folder.join(format!("{page}-{width}-{scheme}.png"));
                browser.screenshot(width, scheme == "dark", address, &file);
                bytes(&file)
            });
            assert_ne!(light, dark, "{page} has one look");
        }
    }
}
