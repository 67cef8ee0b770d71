//! JSON files whose name does not tell whether they are one array of rows or have one row a line.

use std::path::Path;

use serde_json::{Map, Value};

use super::{jsonl, lines};
use crate::{DataError, Place};

/// Where a row is, and its fields.
type JsonRow = (Place, Map<String, Value>);

/// The rows of a file: the objects of an array, or one object a line.
pub(crate) fn rows(path: &Path, content: &str) -> Result<Vec<JsonRow>, DataError> {
    let shape = |found| DataError::JsonShape {
        path: path.to_owned(),
        found,
    };
    let start = content.trim_start();
    if start.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
    if start.starts_with('[') {
        return array(path, content);
    }
    // One object, over several lines or on one, may be a table in another form.
    if let Ok(Value::Object(object)) = serde_json::from_str(content) {
        return match table(&object) {
            Some(found) => Err(shape(found)),
            None => Ok(vec![(Place::Line(1), object)]),
        };
    }
    let written = lines(content).filter(|(_, json)| !json.trim().is_empty());
    written
        .map(|(line, json)| Ok((Place::Line(line), jsonl::object(path, line, json)?)))
        .collect()
}

fn array(path: &Path, content: &str) -> Result<Vec<JsonRow>, DataError> {
    let rows = match jsonl::document(path, content)? {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    };
    if rows.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
    let of_arrays = rows.iter().all(Value::is_array);
    (1..)
        .zip(rows)
        .map(|(number, row)| match row {
            Value::Object(fields) => Ok((Place::Item(number), fields)),
            _ if of_arrays => Err(DataError::JsonShape {
                path: path.to_owned(),
                found: "an array of arrays, which does not name the columns",
            }),
            other => Err(DataError::FieldType {
                path: path.to_owned(),
                at: Place::Item(number),
                field: "(item)".to_owned(),
                expected: "an object",
                found: jsonl::type_name(&other),
            }),
        })
        .collect()
}

/// What an object is when it is a whole table; `None` when it may be a row.
fn table(object: &Map<String, Value>) -> Option<&'static str> {
    let all = |is: fn(&Value) -> bool| !object.is_empty() && object.values().all(is);
    if object.get("data").is_some_and(Value::is_array) {
        Some("one object with the rows in its field `data`")
    } else if all(Value::is_object) {
        Some("one object of objects (by columns or by an index), not rows")
    } else if all(Value::is_array) {
        Some("one object with an array for each column, not rows")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vec<usize>, String> {
        let rows = rows(Path::new("a.json"), content);
        let places = rows.map(|rows| rows.iter().map(|(at, _)| at.number()).collect());
        places.map_err(|error| error.to_string())
    }

    #[test]
    fn rows_in_an_array_or_one_a_line() {
        assert_eq!(read("[{\"a\": 1},\n{\"a\": 2}]"), Ok(vec![1, 2]));
        assert_eq!(read("{\"a\": 1}\n\n{\"a\": 2}\n"), Ok(vec![1, 3]));
        assert_eq!(read("{\"a\": {\"b\": 1}, \"c\": 2}\n"), Ok(vec![1]));
    }

    #[test]
    fn tables_in_another_form_are_refused_by_name() {
        for (content, found) in [
            ("{\"text\": {\"0\": \"a\"}}", "one object of objects"),
            (
                "{\n\"text\": [\"a\"],\n\"label\": [1]}",
                "one object with an array for each column",
            ),
            (
                "{\"version\": 1, \"data\": []}",
                "one object with the rows in its field `data`",
            ),
            ("[[\"a\", 1]]", "an array of arrays"),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.starts_with(&format!("a.json: {found}")), "{error}");
            assert!(error.contains("orient=\"records\""), "{error}");
        }
        assert_eq!(
            read("[]").unwrap_err(),
            "a.json: the file is empty: give one with rows"
        );
        assert_eq!(
            read(" \n").unwrap_err(),
            "a.json: the file is empty: give one with rows"
        );
        let error = read("[{\"a\": 1}, 5]").unwrap_err();
        assert_eq!(
            error,
            "a.json, item 2: field `(item)` is a number: it must be an object"
        );
        assert!(
            read("{\"a\": 1}\n{\"a\"")
                .unwrap_err()
                .starts_with("a.json:2: not valid JSON")
        );
        assert!(
            read("[{\"a\": 1},")
                .unwrap_err()
                .starts_with("a.json:1: not valid JSON")
        );
    }
}
