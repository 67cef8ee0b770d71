//! Reports as one HTML page each, which needs nothing beside it and no network.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use beft_device::BACKENDS;
use beft_files::write_atomic;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use pulldown_cmark_escape::escape_html;
use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::table::{Align, Block, Cell, Document, Picture, Table};

const STYLE: &str = include_str!("page.css");

/// What a report's page says of how it was made.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The name of what was made, where the document has no title.
    pub title: String,
    /// What decided the numbers: keys and values.
    pub configuration: Vec<(String, String)>,
    /// The command that makes it again.
    pub command: Option<String>,
    /// Whether the tables are also written for LaTeX.
    pub latex: bool,
}

/// Writes a report to `dir`: its pictures, `<stem>.md`, `<stem>.html`, and `<stem>.tex` where that is asked for.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_report(
    dir: &Path,
    stem: &str,
    document: &Document,
    about: &About,
) -> Result<(), Error> {
    let write = |file: String, text: &str| {
        let path = dir.join(file);
        write_atomic(&path, text.as_bytes()).map_err(|source| Error::Write { path, source })
    };
    remove_others(dir, stem, document);
    for picture in pictures(document) {
        write(picture.file.clone(), &picture.svg)?;
    }
    write(format!("{stem}.md"), &document.to_markdown())?;
    let latex = format!("{stem}.tex");
    match about.latex {
        true => write(latex, &document.to_latex())?,
        // One of an earlier report would be of other numbers. What cannot be removed harms nothing.
        false => drop(fs::remove_file(dir.join(latex))),
    }
    write(format!("{stem}.html"), &page(document, about))
}

/// Removes the pictures that an earlier report of that name shows and this one does not.
fn remove_others(dir: &Path, stem: &str, document: &Document) {
    let before = fs::read_to_string(dir.join(format!("{stem}.md"))).unwrap_or_default();
    let shown = before.split("](").skip(1);
    let shown = shown.filter_map(|rest| rest.split_once(')').map(|(name, _)| name));
    for name in shown.filter(|name| name.ends_with(".svg") && !name.contains('/')) {
        if !pictures(document).any(|picture| picture.file == name) {
            // One that cannot be removed harms nothing: the report does not show it.
            let _ = fs::remove_file(dir.join(name));
        }
    }
}

/// The keys and values of a record, as a page shows them.
pub fn rows_of(record: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(record) else {
        return Vec::new();
    };
    let rows = fields.into_iter().filter(|(_, value)| !value.is_null());
    rows.map(|(key, value)| (key, in_words(&value))).collect()
}

/// A value without the quotes of a text.
fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let words: Vec<String> = values.iter().map(in_words).collect();
            words.join(", ")
        }
        other => other.to_string(),
    }
}

fn pictures(document: &Document) -> impl Iterator<Item = &Picture> {
    document.blocks.iter().filter_map(|block| match block {
        Block::Picture(picture) => Some(picture),
        _ => None,
    })
}

/// The whole page.
pub fn page(document: &Document, about: &About) -> String {
    let titled = document.blocks.iter().find_map(|block| match block {
        Block::Heading(1, text) => Some(text.as_str()),
        _ => None,
    });
    let title = escaped(titled.unwrap_or(&about.title));
    let heading = match titled {
        Some(_) => String::new(),
        None => format!("<h1>{title}</h1>\n"),
    };
    let mut made = Document::default();
    if let Some(command) = &about.command {
        made.heading(2, "The command");
        // Four spaces: a block of code whatever the command holds.
        made.paragraph(format!("    {}", command.replace(['\n', '\r'], " ")));
    }
    made.heading(2, "Configuration");
    made.table(keys("key", &about.configuration));
    made.heading(2, "Environment");
    made.table(keys("what", &environment()));
    let (body, made) = (body(document), body(&made));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<meta \
         http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}\
         </title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{heading}{body}{made}</main>\n</body>\n</html>\n"
    )
}

/// The parts of a document in HTML. What looks like HTML in it is shown, not done.
fn body(document: &Document) -> String {
    let markdown = document.to_markdown();
    let parser = Parser::new_ext(&markdown, Options::ENABLE_TABLES);
    let mut events = Vec::new();
    // While a picture's words are read, which stand in its label.
    let mut within = false;
    // Whether the link that is open leads out of the folder: then it is words alone.
    let mut outside = false;
    for event in parser {
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => {
                let mut all = pictures(document);
                if let Some(picture) = all.find(|picture| picture.file == *dest_url) {
                    within = true;
                    events.push(raw(figure(picture)));
                }
            }
            Event::Start(Tag::Link { ref dest_url, .. }) => {
                outside = dest_url.contains(':') || dest_url.starts_with('/');
                if !outside {
                    events.push(event);
                }
            }
            Event::End(TagEnd::Link) if outside => outside = false,
            Event::End(TagEnd::Image) => within = false,
            _ if within => {}
            // A table that is wider than the screen moves by itself, by keys too.
            Event::Start(Tag::Table(_)) => {
                events.push(raw(
                    "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">"
                        .to_owned(),
                ));
                events.push(event);
            }
            Event::End(TagEnd::Table) => events.extend([event, raw("</div>\n".to_owned())]),
            Event::Html(text) | Event::InlineHtml(text) => events.push(Event::Text(text)),
            event => events.push(event),
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    out
}

fn raw(html: String) -> Event<'static> {
    Event::Html(CowStr::from(html))
}

fn figure(picture: &Picture) -> String {
    let shows = escaped(&picture.shows);
    let svg = picture.svg.trim();
    let svg = svg.strip_prefix("<svg ").unwrap_or(svg);
    let width = svg
        .split_once("width=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let width = width.and_then(|(width, _)| width.parse::<u32>().ok());
    // As wide as it was drawn, and smaller only as long as its numbers can be read.
    let width = width.unwrap_or_default();
    let numbers = picture.numbers.as_ref().map(|table| {
        let mut document = Document::default();
        document.table(table.clone());
        let body = body(&document);
        format!("<details><summary>The numbers: {shows}</summary>\n{body}</details>\n")
    });
    format!(
        "</p>\n<figure>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{shows}\"><svg role=\"img\" \
         aria-label=\"{shows}\" style=\"min-width:min(30rem,{width}px)\" {svg}</div>\n{}</figure>\n<p>",
        numbers.unwrap_or_default()
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = escape_html(&mut out, text);
    out
}

fn keys(name: &str, rows: &[(String, String)]) -> Table {
    let mut table = Table::new([(name, Align::Left), ("value", Align::Left)]);
    let row = |(key, value): &(String, String)| vec![Cell::default().code(key), value.into()];
    table.rows = rows.iter().map(row).collect();
    table
}

/// Where the page was made.
fn environment() -> Vec<(String, String)> {
    let row = |key: &str, value: String| (key.to_owned(), value);
    let backends = BACKENDS.iter().filter(|backend| backend.compiled);
    let backends: Vec<&str> = backends.map(|backend| backend.name).collect();
    let mut rows = vec![
        row("beft", env!("CARGO_PKG_VERSION").to_owned()),
        row("backends", backends.join(", ")),
        row(
            "system",
            format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
    ];
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    rows.extend(processor.map(|name| row("processor", name)));
    if let Ok(cores) = available_parallelism() {
        rows.push(row("cores", cores.to_string()));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_nothing_in_it_is_done() {
        let mut document = Document::default();
        document.heading(1, "a<script>alert(1)</script> on b");
        document.paragraph("<img src=x onerror=y> and **bold** `code`");
        let mut table = Table::new([("<b>", Align::Left)]);
        table.rows.push(vec!["a | b <i>".into()]);
        table.rows.push(vec![
            "[x](javascript:alert(1)) ![i](http://a/b.png) *star* `c`".into(),
        ]);
        document.heading(2, "[out](http://a) and [in](adapter/)");
        document.pictures([Picture {
            file: "map.svg".to_owned(),
            shows: "scores [of] \"q\" <&>".to_owned(),
            svg: "<svg width=\"1\"><rect/></svg>".to_owned(),
            numbers: Some(table.clone()),
        }]);
        document.table(table);
        let about = About {
            command: Some("beft run --out '<x>'".to_owned()),
            configuration: vec![("lr".to_owned(), "5e-4 </table>".to_owned())],
            ..About::default()
        };
        let page = page(&document, &about);
        let found = page.split("</style>").nth(1).unwrap();
        for not in ["<script>", "<img", "<b>", "<i>", "<x>"] {
            assert!(!found.contains(not), "{not}: {found}");
        }
        for part in [
            "<svg role=\"img\" aria-label=\"scores [of] &quot;q&quot; &lt;&amp;&gt;\" style=\"min-width:min(30rem,1px)\" width=\"1\"><rect/></svg>",
            "<strong>bold</strong> <code>code</code>",
            "<td>[x](javascript:alert(1)) ![i](http://a/b.png) *star* `c`</td>",
            "<h2>out and <a href=\"adapter/\">in</a></h2>",
            "<td>a | b &lt;i&gt;</td>",
            "<code>beft run --out '&lt;x&gt;'\n</code>",
            "<td>5e-4 &lt;/table&gt;</td>",
            "<details><summary>The numbers: ",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
