use fancy_regex::Regex;
use serde_json::Value;

/// Which modules of a model an adapter changes, by PEFT's rules (`check_target_module_exists` in
/// `tuners_utils.py`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// The modules (`target_modules`).
    pub include: Names,
    /// Modules of these that stay unchanged (`exclude_modules`).
    pub exclude: Names,
    /// Layers to which listed names are restricted (`layers_to_transform`); all layers if `None`.
    pub layers: Option<Vec<usize>>,
    /// Words before the layer's number in a module's name (`layers_pattern`); any word if empty.
    pub layer_patterns: Vec<String>,
    /// Modules that are saved whole (`modules_to_save`): the adapter changes nothing in them.
    pub saved: Vec<String>,
}

/// Names of modules, as PEFT's configs give them.
#[derive(Clone, Debug, PartialEq)]
pub enum Names {
    /// A module whose name is one of these, or ends in a dot and one of these.
    Suffixes(Vec<String>),
    /// A module whose whole name matches this regular expression.
    Pattern(String),
    /// Every linear module but the output head (`all-linear`).
    AllLinear,
}

impl Default for Names {
    fn default() -> Self {
        Self::Suffixes(Vec::new())
    }
}

/// `all-linear` in PEFT's configs.
const ALL_LINEAR: &str = "all-linear";

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Suffixes(names) => write!(f, "{names:?}"),
            Self::Pattern(pattern) => write!(f, "{pattern:?}"),
            Self::AllLinear => f.write_str(ALL_LINEAR),
        }
    }
}

impl Names {
    /// The names that a config's value gives; none for null.
    pub(crate) fn read(key: &str, value: Option<&Value>) -> Result<Self, String> {
        match value {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(Value::String(text)) if text.eq_ignore_ascii_case(ALL_LINEAR) => {
                Ok(Self::AllLinear)
            }
            Some(Value::String(text)) if text == super::NO_TARGETS => Ok(Self::default()),
            Some(Value::String(pattern)) => {
                full_match(pattern, "").map_err(|e| format!("`{key}` is {pattern:?}: {e}"))?;
                Ok(Self::Pattern(pattern.clone()))
            }
            Some(value) => Ok(Self::Suffixes(strings(key, value)?)),
        }
    }

    pub(crate) fn matches(&self, module: &str, linear: bool) -> bool {
        match self {
            Self::Suffixes(names) => names.iter().any(|name| is_suffix(module, name)),
            Self::Pattern(pattern) => full_match(pattern, module).unwrap_or(false),
            Self::AllLinear => linear,
        }
    }
}

/// A list of strings, or one string.
pub(crate) fn strings(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let wrong = || format!("`{key}` is {value}; it must be a list of names");
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(list) => list
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

impl std::fmt::Display for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.include)?;
        if self.exclude != Names::default() {
            write!(f, " with exclude_modules {}", self.exclude)?;
        }
        match &self.layers {
            Some(layers) => write!(f, " with layers_to_transform {layers:?}"),
            None => Ok(()),
        }
    }
}

impl Targets {
    /// The modules whose names end in these.
    pub fn suffixes(names: Vec<String>) -> Self {
        Self {
            include: Names::Suffixes(names),
            ..Self::default()
        }
    }

    /// Whether the adapter changes a module. `linear` says whether `all-linear` means it.
    pub fn contains(&self, module: &str, linear: bool) -> bool {
        if self.exclude.matches(module, linear) || self.saved.iter().any(|s| is_part(module, s)) {
            return false;
        }
        if let Names::Suffixes(names) = &self.include
            && names.iter().any(|name| name == module)
        {
            return true;
        }
        self.include.matches(module, linear) && self.in_layers(module)
    }

    /// Whether a module's layer is among [`layers`](Self::layers); PEFT asks this of listed names alone.
    fn in_layers(&self, module: &str) -> bool {
        let (Some(layers), Names::Suffixes(_)) = (&self.layers, &self.include) else {
            return true;
        };
        let any = [r"[^.]*".to_owned()];
        let (patterns, start) = match self.layer_patterns.is_empty() {
            true => (&any[..], r".*?\."),
            false => (&self.layer_patterns[..], r"(?:^|.*?\.)"),
        };
        let found = patterns.iter().find_map(|pattern| {
            let regex = Regex::new(&format!(r"\A{start}{pattern}\.(?P<idx>\d+)\.")).ok()?;
            let captures = regex.captures(module).ok()??;
            captures.name("idx")?.as_str().parse::<usize>().ok()
        });
        found.is_some_and(|layer| layers.contains(&layer))
    }
}

/// The value of the first key that matches a module's name, in PEFT's way (`get_pattern_key`): the key is a
/// regular expression for the name's end.
pub(crate) fn pattern_value<'a, V>(patterns: &'a [(String, V)], module: &str) -> Option<&'a V> {
    let matches = |key: &str| {
        let regex = Regex::new(&format!(r"\A(.*\.)?({key})\z"));
        regex.is_ok_and(|regex| regex.is_match(module).unwrap_or(false))
    };
    let found = patterns.iter().find(|(key, _)| matches(key))?;
    Some(&found.1)
}

/// Whether a regular expression can be used.
pub(crate) fn check_pattern(key: &str, pattern: &str) -> Result<(), String> {
    let regex = Regex::new(pattern);
    let found = regex.map_err(|e| format!("`{key}`: {pattern:?} is no regular expression: {e}"));
    found.map(|_| ())
}

/// `re.fullmatch` of Python.
fn full_match(pattern: &str, name: &str) -> Result<bool, String> {
    let regex = Regex::new(&format!(r"\A(?:{pattern})\z"))
        .map_err(|e| format!("it is no regular expression: {e}"))?;
    regex.is_match(name).map_err(|e| e.to_string())
}

/// Whether a module's name is the suffix, or ends in a dot and the suffix.
pub(crate) fn is_suffix(module: &str, suffix: &str) -> bool {
    module
        .strip_suffix(suffix)
        .is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// Whether a module is `name`, or a part of it, at whatever depth.
pub(crate) fn is_part(module: &str, name: &str) -> bool {
    format!(".{module}.").contains(&format!(".{name}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const VALUE: &str = "bert.encoder.layer.11.attention.self.value";

    fn targets(include: Value) -> Targets {
        Targets {
            include: Names::read("target_modules", Some(&include)).unwrap(),
            ..Targets::default()
        }
    }

    #[test]
    fn lists_are_suffixes_and_strings_are_patterns() {
        assert!(targets(json!(["value", "q_proj"])).contains(VALUE, true));
        assert!(targets(json!([VALUE])).contains(VALUE, true));
        assert!(!targets(json!(["alue"])).contains(VALUE, true));
        assert!(targets(json!(r".*\.(query|value)")).contains(VALUE, true));
        assert!(!targets(json!("value")).contains(VALUE, true));
        assert!(targets(json!(r".*layer\.(?!0)\d+.*value")).contains(VALUE, true));
        assert!(targets(json!("All-Linear")).contains(VALUE, true));
        assert!(!targets(json!("all-linear")).contains("bert.embeddings", false));
        assert!(!targets(json!(super::super::NO_TARGETS)).contains(VALUE, true));
        let error = Names::read("target_modules", Some(&json!("("))).unwrap_err();
        assert!(error.contains("no regular expression"), "{error}");
        let error = Names::read("target_modules", Some(&json!([1]))).unwrap_err();
        assert!(error.contains("list of names"), "{error}");
    }

    #[test]
    fn excluded_and_saved_modules_are_left_out() {
        let mut some = targets(json!(["value", "dense"]));
        some.saved = vec!["classifier".to_owned()];
        assert!(some.contains("roberta.encoder.layer.0.output.dense", true));
        assert!(!some.contains("classifier.dense", true));
        some.exclude = Names::Suffixes(vec!["output.dense".to_owned()]);
        assert!(!some.contains("roberta.encoder.layer.0.output.dense", true));
        some.exclude = Names::Pattern(r".*layer\.11\..*".to_owned());
        assert!(!some.contains(VALUE, true));
    }

    #[test]
    fn layers_are_found_by_the_first_number() {
        let mut some = targets(json!(["value"]));
        some.layers = Some(vec![1, 11]);
        assert!(some.contains(VALUE, true));
        some.layer_patterns = vec!["h".to_owned()];
        assert!(!some.contains(VALUE, true));
        some.layer_patterns = vec!["h".to_owned(), "layer".to_owned()];
        assert!(some.contains(VALUE, true));
        some.layers = Some(vec![1]);
        assert!(!some.contains(VALUE, true));
        // A whole name in the list is meant whatever its layer, and a pattern has no layers.
        some.include = Names::Suffixes(vec![VALUE.to_owned()]);
        assert!(some.contains(VALUE, true));
    }

    #[test]
    fn the_first_pattern_that_ends_a_name_counts() {
        let of = |patterns: &[(&str, u32)]| {
            let patterns: Vec<_> = patterns
                .iter()
                .map(|(k, v)| ((*k).to_owned(), *v))
                .collect();
            pattern_value(&patterns, VALUE).copied()
        };
        assert_eq!(of(&[("query", 1), ("value", 2), (".*value", 3)]), Some(2));
        assert_eq!(of(&[("alue", 1)]), None);
        assert_eq!(of(&[(r"layer\.\d+\.attention\.self\.value", 1)]), Some(1));
        assert_eq!(of(&[(r"bert.encoder.layer.11.*", 1)]), Some(1));
    }
}
