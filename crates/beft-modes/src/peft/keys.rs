use serde_json::{Map, Value};

use super::targets::check_pattern;

/// The keys of a config file; null counts as absent.
pub(crate) struct Keys<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Keys<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn as_type<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let wrong = |value| format!("`{key}` is {value}; it must be {expected}");
        let found = self
            .get(key)
            .map(|value| read(value).ok_or_else(|| wrong(value)));
        found.transpose()
    }

    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.0.get(key) == Some(&Value::Null)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.as_type(key, "a string", Value::as_str)
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool, String> {
        let flag = self.as_type(key, "true or false", Value::as_bool)?;
        Ok(flag.unwrap_or(false))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.as_type(key, "a number", Value::as_f64)
    }

    pub(crate) fn size(&self, key: &str) -> Result<Option<usize>, String> {
        self.as_type(key, "a whole number", as_size)
    }

    /// One layer number or a list of them; an empty list means all.
    pub(crate) fn layers(&self, key: &str) -> Result<Option<Vec<usize>>, String> {
        let layers = self.as_type(
            key,
            "a layer number or a list of them",
            |value| match value {
                Value::Array(list) => list.iter().map(as_size).collect(),
                one => Some(vec![as_size(one)?]),
            },
        )?;
        Ok(layers.filter(|layers| !layers.is_empty()))
    }

    /// The pairs of an object whose keys are regular expressions, in its order.
    pub(crate) fn patterns<V>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<V>,
    ) -> Result<Vec<(String, V)>, String> {
        let expected = "an object of names and numbers";
        let object = self.as_type(key, expected, Value::as_object)?;
        let pairs = object.into_iter().flatten().map(|(pattern, value)| {
            check_pattern(key, pattern)?;
            let read = read(value);
            let read =
                read.ok_or_else(|| format!("`{key}`: `{pattern}` is {value}, which cannot be"))?;
            Ok((pattern.clone(), read))
        });
        pairs.collect()
    }
}

pub(crate) fn as_size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| usize::try_from(size).ok())
}
