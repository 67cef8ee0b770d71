//! The page of a report: whole, by itself, and as a browser shows it (`cargo test --workspace --test report_page -- --ignored`).

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::browser::Browser;
use common::{COMPARE, Scratch};

/// A comparison's page.
fn page(scratch: &Scratch) -> String {
    let more = [
        "--mode", "q", "--mode", "v", "--mode", "all", "--seeds", "0,1", "--epochs", "2", "--lr",
        "0.01", "--latex", "--out", "out",
    ];
    let args = [&COMPARE[..], &more].concat();
    let output = scratch.beft(&args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::read_to_string(scratch.path("out/compare.html")).unwrap()
}

#[test]
fn a_page_has_everything_and_needs_nothing() {
    let scratch = Scratch::new();
    let page = page(&scratch);
    // Bars, curves and nine heatmaps, with names for who cannot see them.
    assert_eq!(page.matches("<svg role=\"img\" aria-label=\"").count(), 11);
    assert_eq!(page.matches("<svg ").count(), 11);
    for part in [
        "<h1>Comparison</h1>",
        "accuracy of each mode, model on text, low, with 95 % intervals",
        "<title>q, layer 0: ",
        "<summary>The numbers: beft score by layer",
        "beft compare --model model --task 'text=data' --mode q",
        "<td><code>learning_rate</code></td><td>0.01</td>",
        "<td><code>seed</code></td><td>0, 1</td>",
        "<td><code>backends</code></td>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let links = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "//", "<script", "url(", "@import"] {
        assert!(!links.contains(outside), "{outside}");
    }
    let latex = fs::read_to_string(scratch.path("out/compare.tex")).unwrap();
    let tables = latex.matches("\\begin{tabular}").count();
    assert_eq!(
        tables,
        page.split("<h2>Pictures</h2>")
            .next()
            .unwrap()
            .matches("<table>")
            .count()
    );
}

/// Nothing is wider than the screen of a telephone or of a desk, and dark is dark.
#[test]
#[ignore = "needs chromium"]
fn a_browser_shows_it() {
    let browser = Browser::new();
    let scratch = Scratch::new();
    let page = page(&scratch);
    let source = page.replace('&', "&amp;").replace('"', "&quot;");
    for (width, dark) in [(320, false), (320, true), (1280, false), (1280, true)] {
        // The page in a frame of that width, and a script around it that measures.
        let around = format!(
            "<!DOCTYPE html><iframe id=\"f\" style=\"width:{width}px;height:800px;border:0\" srcdoc=\"{source}\"></iframe>\
             <pre id=\"said\"></pre><script>f.onload=()=>{{const d=f.contentDocument,w=f.contentWindow;\
             const small=[...d.querySelectorAll('svg')].filter(s=>s.getBoundingClientRect().width<200).length;\
             const back=w.getComputedStyle(d.body).backgroundColor;\
             said.textContent='wide '+d.documentElement.scrollWidth+' small '+small+' back '+back+' heads '+\
             d.querySelectorAll('h1,h2').length;}};</script>"
        );
        let file = scratch.path("around.html");
        fs::write(&file, around).unwrap();
        let dom = browser.dom(1400, dark, &format!("file://{}", file.display()));
        let said = dom.rsplit_once("<pre id=\"said\">").unwrap().1;
        let said = said.split_once("</pre>").unwrap().0;
        let back = match dark {
            true => "rgb(20, 23, 27)",
            false => "rgb(255, 255, 255)",
        };
        assert_eq!(
            said,
            format!("wide {width} small 0 back {back} heads 8"),
            "{width} {dark}"
        );
    }
}
