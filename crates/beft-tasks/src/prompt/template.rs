//! Templates: text with fields of a record in it.

use std::fmt;
use std::path::Path;

use super::field::{Field, FieldForm};
use super::modifier::Modifier;
use crate::DataError;
use crate::records::raw::Record;

/// Text in which `{column}` stands for what a record has in that column.
///
/// * `{a/b}`: the column `a`, or `b` where there is no `a`. `{a.b}`: `b` within the JSON object `a`.
/// * `{a|lower|trim}`: changed in these ways, from left to right: `trim` (no outer white space),
///   `lower` (lower case), `capital` (first letter upper case), `midsentence` (first word lower
///   case unless it is `I`), `nodot` and `nomark` (without the `.` or `?` at the end), `spaces`
///   (`_` is a space), `highlights` (ReCoRD's `@highlight` lines begin with `- `).
/// * `{a: cause=because, effect=so}`: `because` where `a` is `cause`, `so` where it is `effect`. It
///   is part of the question, not of what is asked about, and stays when fields are left empty.
/// * `{{` and `}}`: a brace.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A brace opens and never closes.
    #[error("`{{` opens behind `{before}` and never closes: close it, or write `{{{{` for a brace")]
    Unclosed {
        /// The text before it.
        before: String,
    },
    /// A brace closes, but none is open.
    #[error("`}}` behind `{before}` closes nothing: write `}}}}` for a brace")]
    Unopened {
        /// The text before it.
        before: String,
    },
    /// There is no name between braces.
    #[error("`{{{field}}}` names no column: write one, or `{{{{` and `}}}}` for braces")]
    NoName {
        /// What is between them.
        field: String,
    },
    /// A change that there is not.
    #[error(
        "unknown change `{name}` in `{{{field}}}`: expected one of {}",
        Modifier::names()
    )]
    UnknownModifier {
        /// What is between the braces.
        field: String,
        /// The change as written.
        name: String,
    },
    /// A case has no `=`, or is there twice.
    #[error("`{case}` in `{{{field}}}` is no new case: write each value once, as value=text")]
    BadCase {
        /// What is between the braces.
        field: String,
        /// The case as written.
        case: String,
    },
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(source: String) -> Result<Self, TemplateError> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] when braces do not match or say nothing that is known.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let before = |rest: &str| source[..source.len() - rest.len()].to_owned();
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let brace = &rest[..1];
            if rest[1..].starts_with(brace) {
                text.push_str(brace);
                rest = &rest[2..];
                continue;
            }
            if brace == "}" {
                let before = before(rest);
                return Err(TemplateError::Unopened { before });
            }
            let end = rest[1..].find(['{', '}']).map(|end| end + 1);
            let Some(end) = end.filter(|&end| rest[end..].starts_with('}')) else {
                let before = before(rest);
                return Err(TemplateError::Unclosed { before });
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Field(Field::parse(&rest[1..end])?));
            rest = &rest[end + 1..];
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// The column of a template that has one field alone, by its first name.
    pub fn only_column(&self) -> Option<&str> {
        let mut fields = self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field.first_name()),
            Part::Text(_) => None,
        });
        fields.next().filter(|_| fields.next().is_none())
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template has a field.
    pub fn has_fields(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(_)))
    }

    /// The template with every field empty, where that is the same for all records: where there
    /// are no cases.
    pub fn emptied(&self) -> Option<String> {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Field(field) => matches!(field.form, FieldForm::Changed(_)).then_some(""),
        });
        texts.collect()
    }

    /// The same for one record.
    pub(crate) fn emptied_for(&self, path: &Path, record: &Record) -> Result<String, DataError> {
        self.fill(|field| match &field.form {
            FieldForm::Changed(_) => Ok(String::new()),
            FieldForm::Cases(_) => field.text(path, record),
        })
    }

    /// The text for one record.
    pub(crate) fn render(&self, path: &Path, record: &Record) -> Result<String, DataError> {
        self.fill(|field| field.text(path, record))
    }

    /// The texts for one record, one for each entry of a field that is a list.
    pub(crate) fn render_each(
        &self,
        path: &Path,
        record: &Record,
    ) -> Result<Vec<String>, DataError> {
        let mut texts = vec![String::new()];
        for part in &self.parts {
            let entries = match part {
                Part::Text(text) => vec![text.clone()],
                Part::Field(field) => field.entries(path, record)?,
            };
            let longer = |text: &String| -> Vec<String> {
                entries
                    .iter()
                    .map(|entry| format!("{text}{entry}"))
                    .collect()
            };
            texts = texts.iter().flat_map(longer).collect();
        }
        Ok(texts)
    }

    fn fill(
        &self,
        mut fill: impl FnMut(&Field) -> Result<String, DataError>,
    ) -> Result<String, DataError> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Field(field) => filled.push_str(&fill(field)?),
            }
        }
        Ok(filled)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    fn record(json: &str) -> Record {
        Record {
            at: Place::Line(7),
            fields: serde_json::from_str(json).unwrap(),
            group: None,
        }
    }

    fn render(template: &str, json: &str) -> Result<String, String> {
        let template = Template::parse(template).unwrap();
        let text = template.render(Path::new("in.jsonl"), &record(json));
        text.map_err(|error| error.to_string())
    }

    #[test]
    fn fields_are_looked_up_and_changed() {
        let json = r#"{"a": " It is. ", "b": {"c": "HE"}, "n": 2, "x.y": true, "w": "who?? "}"#;
        for (template, expected) in [
            ("<{a}>", "< It is. >"),
            ("{a|trim|nodot} {{{z/n}}}", "It is {2}"),
            ("{b.c|lower}, {x.y}", "he, true"),
            ("{w|capital|nomark}?", "Who?"),
            ("{n: 1=one, 2= two }!", "two!"),
            ("none", "none"),
        ] {
            assert_eq!(render(template, json).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn records_that_do_not_fit() {
        for (template, json, expected) in [
            (
                "{a/b}",
                r#"{"c": 1}"#,
                ":7: no column `a` or `b`: found `c`; rename or add a column",
            ),
            (
                "{a}",
                r#"{"a": []}"#,
                ":7: field `a` is an array: it must be a string, a number or a boolean",
            ),
            (
                "{a: x=1, y=2}",
                r#"{"a": "z"}"#,
                ":7: field `a` is `z`, for which the template has no case (it has `x`, `y`): \
                 correct it, or add the case",
            ),
        ] {
            let error = render(template, json).unwrap_err();
            assert_eq!(error, format!("in.jsonl{expected}"));
        }
    }

    #[test]
    fn texts_that_are_no_templates() {
        for (template, expected) in [
            (
                "a {b",
                "`{` opens behind `a ` and never closes: close it, or write `{{` for a brace",
            ),
            (
                "{a{b}}",
                "`{` opens behind `` and never closes: close it, or write `{{` for a brace",
            ),
            (
                "a}",
                "`}` behind `a` closes nothing: write `}}` for a brace",
            ),
            (
                "{ }",
                "`{ }` names no column: write one, or `{{` and `}}` for braces",
            ),
            (
                "{a|up}",
                "unknown change `up` in `{a|up}`: expected one of trim, lower, capital, \
                 midsentence, nodot, nomark, spaces, highlights",
            ),
            (
                "{a: b}",
                "`b` in `{a: b}` is no new case: write each value once, as value=text",
            ),
        ] {
            let error = Template::parse(template).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn lists_and_emptied_fields() {
        let each = |template: &str, json: &str| {
            let template = Template::parse(template).unwrap();
            template.render_each(Path::new("a"), &record(json)).unwrap()
        };
        assert_eq!(each(" {a}.", r#"{"a": ["x", 2]}"#), [" x.", " 2."]);
        assert_eq!(each("{a}", r#"{"a": "x"}"#), ["x"]);
        assert!(each("- {a}", r#"{"a": []}"#).is_empty());

        let template = Template::parse("{a} {b: x=so} ").unwrap();
        assert_eq!(template.emptied(), None);
        let emptied = template.emptied_for(Path::new("a"), &record(r#"{"b": "x"}"#));
        assert_eq!(emptied.unwrap(), " so ");
        let template = Template::parse("{a|nodot} It{{").unwrap();
        assert_eq!(template.emptied().unwrap(), " It{");
    }
}
