//! What a heatmap shows.

#![allow(clippy::unwrap_used)]

use beft_core::BiasTerm::{K, M1, Q, V};
use beft_core::{BiasSite, BiasTerm};
use beft_plot::heatmap_svg;
use beft_score::{Cell, Note, Scores};

fn example(layers: usize) -> Scores {
    let values = BiasSite::all(layers).map(|site| {
        let value = if site.term == V { 0.35 } else { 0.02 };
        (site, value * (1 + site.layer) as f64 / layers as f64)
    });
    Scores::from_values("beft", values)
}

fn with_notes(notes: &[(usize, BiasTerm, Option<f64>, Note)]) -> Scores {
    let mut cells = example(3).cells().clone();
    for &(layer, term, value, note) in notes {
        let cell = Cell {
            value,
            note: Some(note),
        };
        cells.insert(BiasSite::new(layer, term), cell);
    }
    Scores::new("beft", cells)
}

/// The content of the text elements, in order.
fn texts(svg: &str) -> Vec<&str> {
    let after = svg.split("<text").skip(1);
    after
        .filter_map(|rest| Some(rest.split_once('>')?.1.split_once("</text>")?.0.trim()))
        .collect()
}

fn count(texts: &[&str], text: &str) -> usize {
    texts.iter().filter(|t| **t == text).count()
}

#[test]
fn one_cell_for_every_layer_and_mean() {
    for (layers, mean) in [
        (1, ".0200"),
        (2, ".0150"),
        (12, ".0108"),
        (24, ".0104"),
        (48, ".0102"),
    ] {
        let svg = heatmap_svg(&example(layers), "A title");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg, heatmap_svg(&example(layers), "A title"));
        let texts = texts(&svg);
        assert_eq!(texts[0], "A title");
        let columns: Vec<_> = (0..layers).map(|layer| layer.to_string()).collect();
        assert_eq!(texts[1..=layers], columns);
        assert_eq!(texts[layers + 1..layers + 3], ["layer", "mean"]);
        // One row: its name, the layers, the mean.
        let row = texts.iter().position(|t| *t == "ln2").unwrap();
        assert_eq!(texts[row + 1 + layers], mean);
    }
}

#[test]
fn notes_and_undefined_cells() {
    let svg = heatmap_svg(
        &with_notes(&[
            (0, K, None, Note::BothZero),
            (0, Q, Some(1.0), Note::ZeroBefore),
            (1, Q, Some(1.0), Note::ZeroBefore),
            (2, M1, Some(1.25), Note::Obtuse { degrees: 104.46 }),
        ]),
        "",
    );
    let texts = texts(&svg);
    assert_eq!((count(&texts, "–"), count(&texts, "*")), (1, 4));
    let footer = texts[texts.len() - 4..].join("\n");
    for line in [
        "recommended: q",
        "* all zeros before, angle undefined: q@0-1",
        "* all zeros before and after, score undefined: k@0",
        "* angle over 90°: m1@2 (104.5°)",
    ] {
        assert!(footer.contains(line), "{footer}");
    }
}

#[test]
fn odd_scores_are_drawn_all_the_same() {
    let site = BiasSite::new(6, V);
    for value in [0.0, -1.0, f64::NAN, 1e300, 1e-300] {
        let svg = heatmap_svg(
            &Scores::from_values("x", [(site, value)]),
            "a < b & c\n\u{1}",
        );
        assert_eq!(texts(&svg)[0], "a &lt; b &amp; c");
        assert!(!svg.contains("NaN"));
    }
    assert!(heatmap_svg(&Scores::from_values("x", []), "").contains("</svg>"));
    let tied = [Q, V].map(|term| (BiasSite::new(0, term), 1.0));
    assert!(!heatmap_svg(&Scores::from_values("x", tied), "").contains("recommended"));
}
