//! Changes that get past the first check of a format: lies within well-formed files.

use serde_json::{Map, Value};

use crate::{Choices, Format};

/// Values that a field never has.
const HOSTILE: &[&str] = &[
    "null",
    "true",
    "0",
    "1",
    "-1",
    "2",
    "3",
    "0.0",
    "0.5",
    "1e-300",
    "1e308",
    "-1e308",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e40",
    "1000000",
    "\"\"",
    "\"x\"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"../../x\"",
    "\"/etc/passwd\"",
    "\"\\u0000\"",
    "\"[\"",
    "\"(a+)+$\"",
    "[]",
    "[[]]",
    "{}",
    "[0]",
    "[-1]",
    "[0,0]",
    "[18446744073709551615,2]",
    "[9223372036854775808,9223372036854775808]",
    "[\"a\",\"a\"]",
    "{\"\":0}",
    "{\"0\":\"a\",\"7\":\"b\"}",
];

/// Keys in place of others.
const KEYS: [&str; 7] = ["", "x", "../x", "0", "-1", "dtype", "__metadata__"];

/// How deep nesting gets that no parser should follow.
const DEEP: usize = 10_000;

/// A file's content with up to four changes.
pub(crate) fn mutate(content: &[u8], format: Format, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut found = content.to_vec();
    // Mostly one: what has several is seldom taken.
    for _ in 0..[1, 1, 1, 2, 4][choices.below(5)] {
        found = match format {
            Format::Json => json(&found, choices),
            Format::JsonLines => line_of(&found, choices, json),
            Format::Safetensors => safetensors(&found, choices),
            Format::Zip => zip(&found, choices),
            Format::Text => text(&found, choices),
            Format::Binary => bytes(&found, choices),
        };
        if !choices.more() {
            break;
        }
    }
    found
}

/// Numbers that counts and lengths in binary files break at.
const EDGES: [u64; 8] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

fn bytes(content: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut found = content.to_vec();
    if found.is_empty() {
        return vec![choices.below(256) as u8];
    }
    let mut at = choices.below(found.len());
    // Facts stand at the ends of files.
    match choices.below(4) {
        0 => at = at.min(256).min(found.len() - 1),
        1 => at = found.len() - 1 - at.min(256).min(found.len() - 1),
        _ => {}
    }
    match choices.below(7) {
        0 => found[at] ^= 1 << choices.below(8),
        1 => found[at] = choices.below(256) as u8,
        2 => found.truncate(at),
        3 => {
            let edge = choices.of(&EDGES).to_le_bytes();
            let length = [1, 2, 4, 8][choices.below(4)].min(found.len() - at);
            found[at..at + length].copy_from_slice(&edge[..length]);
        }
        4 => {
            // A varint of 2 GiB, as the lengths of Parquet's pages are written.
            let length = 5.min(found.len() - at);
            found[at..at + length].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f][..length]);
        }
        5 => {
            let end = (at + choices.below(64)).min(found.len());
            let slice = found[at..end].to_vec();
            found.splice(at..at, slice);
        }
        _ => {
            let end = (at + 1 + choices.below(64)).min(found.len());
            found.drain(at..end);
        }
    }
    found
}

/// What stands out in texts that are tables or settings.
const TEXTS: [&str; 22] = [
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\"",
    "'",
    ",",
    ";",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "e\u{301}",
    "=",
    "[",
    "]]",
    "{",
    "#",
    "-1",
    "1e999",
    "nan",
    "18446744073709551616",
    "../../x",
];

fn text(content: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut found = content.to_vec();
    let at = choices.below(found.len() + 1);
    match choices.below(8) {
        0 => {
            let more = choices.of(&TEXTS).bytes();
            found.splice(at..at, more);
        }
        1 => {
            let more = "[".repeat(DEEP).into_bytes();
            found.splice(at..at, more);
        }
        // A value in place of another.
        2..=5 => {
            let ends = |b: &u8| b"\t\n,]}[{ ".contains(b);
            let start = { found[..at].iter() }.rposition(ends);
            let at = start.map_or(0, |start| start + 1);
            let end = { found[at..].iter() }.position(ends);
            let end = end.map_or(found.len(), |end| at + end);
            let more = choices.of(HOSTILE).bytes();
            found.splice(at..end, more);
        }
        6 => {
            let line = { found[at..].iter() }.position(|b| *b == b'\n');
            let end = line.map_or(found.len(), |end| at + end + 1);
            found.drain(at..end);
        }
        _ => return bytes(content, choices),
    }
    found
}

fn json(content: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(content) else {
        return text(content, choices);
    };
    match choices.below(8) {
        0 => return text(content, choices),
        1 => {
            let mut nodes = count(&value);
            let at = choices.below(nodes);
            nodes = at;
            return deepen(&value, nodes);
        }
        _ => {}
    }
    let mut at = choices.below(count(&value));
    change(&mut value, &mut at, choices);
    value.to_string().into_bytes()
}

/// The document with one value nested deeper than any parser should follow.
fn deepen(value: &Value, mut at: usize) -> Vec<u8> {
    const MARK: &str = "\u{1}deep\u{1}";
    let mut marked = value.clone();
    replace(&mut marked, &mut at, Value::String(MARK.to_owned()));
    let mark = Value::String(MARK.to_owned()).to_string();
    let deep = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    marked.to_string().replacen(&mark, &deep, 1).into_bytes()
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

fn children_mut(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    }
}

fn count(value: &Value) -> usize {
    1 + children(value).into_iter().map(count).sum::<usize>()
}

fn replace(value: &mut Value, at: &mut usize, new: Value) {
    if *at == 0 {
        *value = new;
        *at = usize::MAX;
        return;
    }
    *at -= 1;
    for child in children_mut(value) {
        replace(child, at, new.clone());
        if *at == usize::MAX {
            return;
        }
    }
}

/// Changes the value with the number `at`: another one, another key, one less or twice the same.
fn change(value: &mut Value, at: &mut usize, choices: &mut Choices<'_>) {
    if *at > 0 {
        *at -= 1;
        for child in children_mut(value) {
            let inside = count(child);
            if *at < inside {
                return change(child, at, choices);
            }
            *at -= inside;
        }
        return;
    }
    let hostile = |choices: &mut Choices<'_>| -> Value {
        let text: &&str = choices.of(HOSTILE);
        serde_json::from_str(text).unwrap_or_default()
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let index = choices.below(fields.len());
            let name = fields.keys().nth(index).cloned().unwrap_or_default();
            match choices.below(4) {
                0 => drop(fields.shift_remove(&name)),
                1 => {
                    let moved = fields.shift_remove(&name).unwrap_or_default();
                    let new = choices.of(&KEYS);
                    fields.insert((*new).to_owned(), moved);
                }
                2 => {
                    let own = fields.get(&name).cloned().unwrap_or_default();
                    fields.insert("y".repeat(1 + choices.below(300)), own);
                }
                _ => {
                    let new = hostile(choices);
                    fields.insert(name, new);
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = choices.below(items.len());
            match choices.below(3) {
                0 => drop(items.remove(index)),
                1 => items.insert(index, items[index].clone()),
                _ => items[index] = hostile(choices),
            }
        }
        // A document in a text, as the metadata of tensors has it.
        Value::String(inner) if inner.starts_with('{') => {
            let changed = json(inner.as_bytes(), choices);
            *inner = String::from_utf8_lossy(&changed).into_owned();
        }
        Value::Number(number) if choices.below(2) == 0 => {
            let own = number.as_i64().unwrap_or(7);
            let near = [1, -1, own, own / -2, own.wrapping_mul(-2)];
            *value = Value::from(own.wrapping_add(*choices.of(&near)));
        }
        other => *other = hostile(choices),
    }
}

/// One line of several changed.
fn line_of(
    content: &[u8],
    choices: &mut Choices<'_>,
    change: fn(&[u8], &mut Choices<'_>) -> Vec<u8>,
) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = content.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let index = choices.below(lines.len());
    lines[index] = change(&lines[index], choices);
    lines.join(&b'\n')
}

/// One entry changed, and its checksum with it.
fn zip(content: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    const ENTRY: &[u8] = b"PK\x01\x02";
    let mut found = content.to_vec();
    let entries: Vec<usize> = { 0..found.len().saturating_sub(46) }
        .filter(|at| found[*at..].starts_with(ENTRY))
        .collect();
    if entries.is_empty() || choices.below(8) == 0 {
        return bytes(content, choices);
    }
    // Most of what is said of tensors is in the first.
    let entry = entries[choices.below(2).min(choices.below(entries.len()))];
    let number = |at: usize| {
        let bytes = found.get(at..at + 4).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    };
    let half = |at: usize| number(at) & 0xffff;
    let (size, local) = (number(entry + 24), number(entry + 42));
    let start = local + 30 + half(local + 26) + half(local + 28);
    let Some(data) = found.get(start..start + size) else {
        return bytes(content, choices);
    };
    let mut changed = bytes(data, choices);
    changed.resize(size, 0);
    let sum = crc32fast::hash(&changed).to_le_bytes();
    found[start..start + size].copy_from_slice(&changed);
    found[entry + 16..entry + 20].copy_from_slice(&sum);
    found[local + 14..local + 18].copy_from_slice(&sum);
    found
}

/// A header that lies about what follows.
fn safetensors(content: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let length = content
        .first_chunk()
        .map(|b| u64::from_le_bytes(*b) as usize);
    let header = length.and_then(|length| content.get(8..8usize.checked_add(length)?));
    let parsed =
        header.and_then(|header| serde_json::from_slice::<Map<String, Value>>(header).ok());
    let (Some(header), Some(_)) = (header, parsed) else {
        return bytes(content, choices);
    };
    let data = &content[8 + header.len()..];
    let rebuilt = |header: &[u8], length: u64, data: &[u8]| {
        [&length.to_le_bytes()[..], header, data].concat()
    };
    match choices.below(6) {
        0 => bytes(content, choices),
        1 => rebuilt(header, *choices.of(&EDGES), data),
        2 => {
            // Weights that are no numbers.
            let mut data = data.to_vec();
            let worst = choices.of(&[f32::NAN, f32::INFINITY, -f32::INFINITY, f32::MAX, 1e-45]);
            if data.len() >= 4 {
                let at = choices.below(data.len() / 4) * 4;
                data[at..at + 4].copy_from_slice(&worst.to_le_bytes());
            }
            rebuilt(header, header.len() as u64, &data)
        }
        3 => {
            let kept = choices.below(data.len() + 1);
            rebuilt(header, header.len() as u64, &data[..kept])
        }
        _ => {
            let header = json(header, choices);
            rebuilt(&header, header.len() as u64, data)
        }
    }
}
