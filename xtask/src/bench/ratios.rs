//! The stored ratios, and what is worse than they are.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// A ratio may be this much worse than the stored one.
const MARGIN: f64 = 0.25;

/// Ratios of one set of arguments.
pub(super) struct Ratios<N> {
    /// The arguments, in words: what the ratios are stored under.
    pub(super) key: String,
    /// The file that they are stored in.
    pub(super) path: PathBuf,
    /// Name and value; all are better when larger, but memory.
    pub(super) values: Vec<(N, f64)>,
}

impl<N: AsRef<str>> Ratios<N> {
    /// Stores them, or with `check` compares them with what is stored; prints them.
    ///
    /// # Errors
    ///
    /// When one is worse than the stored one by more than the margin, or none is stored.
    pub(super) fn finish(&self, check: bool) -> Result<()> {
        let path = self.path.display();
        let mut stored: Map<String, Value> = match std::fs::read(&self.path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("{path} is damaged"))?
            }
            Err(_) => Map::new(),
        };
        println!();
        for (name, value) in &self.values {
            println!("ratio {} {value:.3}", name.as_ref());
        }
        if !check {
            let rows = self.values.iter();
            let rows = rows.map(|(name, value)| {
                let rounded = (value * 1e3).round() / 1e3;
                (name.as_ref().to_owned(), json!(rounded))
            });
            stored.insert(self.key.clone(), Value::Object(rows.collect()));
            std::fs::write(&self.path, serde_json::to_string_pretty(&stored)? + "\n")?;
            return Ok(());
        }
        let Some(row) = stored.get(&self.key) else {
            bail!(
                "{path}: nothing is stored for `{}`; run it without --check first",
                self.key
            );
        };
        let worse = self.worse(row);
        if !worse.is_empty() {
            bail!(
                "worse than stored by more than {MARGIN}: {}",
                worse.join("; ")
            );
        }
        Ok(())
    }

    fn worse(&self, stored: &Value) -> Vec<String> {
        let mut worse = Vec::new();
        for (name, value) in &self.values {
            let name = name.as_ref();
            let Some(before) = stored[name].as_f64() else {
                worse.push(format!("{name} is not stored"));
                continue;
            };
            let change = match name.ends_with("memory") {
                true => value / before,
                false => before / value,
            };
            // Also what could not be measured.
            if change.is_nan() || change > 1.0 + MARGIN {
                worse.push(format!("{name} {value:.2}, stored {before:.2}"));
            }
        }
        worse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worse_than_stored() {
        let ratios = |time, memory| Ratios {
            key: String::new(),
            path: PathBuf::new(),
            values: vec![("best_practice_time", time), ("peak_memory", memory)],
        };
        let stored = json!({"best_practice_time": 2.0, "peak_memory": 0.2});
        let worse = |time, memory| ratios(time, memory).worse(&stored).len();
        assert_eq!(worse(2.0, 0.2), 0);
        assert_eq!(worse(1.7, 0.24), 0);
        assert_eq!(worse(3.0, 0.1), 0);
        assert_eq!(worse(1.5, 0.2), 1);
        assert_eq!(worse(1.5, 0.3), 2);
        assert_eq!(worse(f64::NAN, 0.2), 1);
        let empty = json!({});
        assert_eq!(ratios(2.0, 0.2).worse(&empty).len(), 2);
    }
}
