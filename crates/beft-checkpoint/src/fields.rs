use serde_json::{Map, Value};

/// The fields of a `config.json`, for an architecture's `read`; `null` counts as absent. Every error names the key, its
/// value and what it must be.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether the file names a key, be it with `null`.
    pub fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A whole number that has to be there.
    ///
    /// # Errors
    ///
    /// When the value is of another kind, or missing.
    pub fn size(&self, name: &str) -> Result<usize, String> {
        match self.get(name) {
            Some(value) => size(name, value),
            None => Err(format!("`{name}` is missing")),
        }
    }

    /// A whole number, or the default.
    ///
    /// # Errors
    ///
    /// When the value is of another kind.
    pub fn size_or(&self, name: &str, default: usize) -> Result<usize, String> {
        self.get(name)
            .map_or(Ok(default), |value| size(name, value))
    }

    /// A number, or the default.
    ///
    /// # Errors
    ///
    /// When the value is of another kind.
    pub fn number_or(&self, name: &str, default: f64) -> Result<f64, String> {
        let number = |value: &Value| value.as_f64().ok_or_else(|| wrong(name, value, "a number"));
        self.get(name).map_or(Ok(default), number)
    }

    /// True or false, or the default.
    ///
    /// # Errors
    ///
    /// When the value is of another kind.
    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool, String> {
        let flag = |value: &Value| {
            value
                .as_bool()
                .ok_or_else(|| wrong(name, value, "true or false"))
        };
        self.get(name).map_or(Ok(default), flag)
    }

    /// A string, or the default.
    ///
    /// # Errors
    ///
    /// When the value is of another kind.
    pub fn text_or(&self, name: &str, default: &'a str) -> Result<&'a str, String> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| wrong(name, value, "a string"));
        self.get(name).map_or(Ok(default), text)
    }

    /// Fails for a list with another text than this.
    ///
    /// # Errors
    ///
    /// The other text.
    pub fn only_in_list(&self, name: &str, only: &str) -> Result<(), String> {
        let list = self.get(name).and_then(Value::as_array);
        match list
            .into_iter()
            .flatten()
            .find(|item| item.as_str() != Some(only))
        {
            Some(other) => Err(format!("`{name}` has {other}; {only} is implemented")),
            None => Ok(()),
        }
    }

    /// One token id, a list of them, or none.
    ///
    /// # Errors
    ///
    /// When the value is of another kind.
    pub fn ids(&self, name: &str) -> Result<Vec<u32>, String> {
        let id = |value: &Value| {
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| wrong(name, value, "a token id"))
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(id).collect(),
            Some(value) => Ok(vec![id(value)?]),
        }
    }
}

/// No size is larger, so that what is computed of sizes is a number.
const MOST: usize = 1 << 31;

/// Fails for a size that no model has; the sizes come with their keys.
///
/// # Errors
///
/// The first of them.
pub fn check_sizes<'a>(sizes: impl IntoIterator<Item = (&'a str, usize)>) -> Result<(), String> {
    match sizes.into_iter().find(|(_, size)| *size > MOST) {
        Some((name, size)) => Err(format!("{name} is {size}, which no model has")),
        None => Ok(()),
    }
}

fn size(name: &str, value: &Value) -> Result<usize, String> {
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| wrong(name, value, "a whole number"))
}

fn wrong(name: &str, value: &Value, expected: &str) -> String {
    format!("`{name}` is {value}; it must be {expected}")
}
