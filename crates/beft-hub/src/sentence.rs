//! The files of sentence-transformers beside a model: how an embedding is made of the states of its tokens.

/// The list of what computes an embedding. A model without it has none of the others.
pub(crate) const MODULES: &str = "modules.json";

/// Settings of the first module under all names that it has had, and those of the whole.
const SETTINGS: [&str; 8] = [
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Those of them that a repository has. The list is the last: where it is, the others are.
pub(crate) fn files<'a>(all: impl Iterator<Item = &'a str> + Clone) -> Vec<&'a str> {
    if !all.clone().any(|file| file == MODULES) {
        return Vec::new();
    }
    let beside = all.filter(|file| SETTINGS.contains(file) || is_module(file));
    beside.chain([MODULES]).collect()
}

/// Whether a file has the settings of a module, as `1_Pooling/config.json`.
fn is_module(file: &str) -> bool {
    let folder = file.strip_suffix("/config.json").unwrap_or_default();
    let number = folder.split_once('_').map_or("", |(number, _)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && !folder.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_last() {
        let all = [
            "modules.json",
            "config.json",
            "1_Pooling/config.json",
            "onnx/config.json",
            "1_Pooling/deep/config.json",
            "sentence_roberta_config.json",
            "2_Normalize/config.json",
        ];
        let expected = [
            "1_Pooling/config.json",
            "sentence_roberta_config.json",
            "2_Normalize/config.json",
            "modules.json",
        ];
        assert_eq!(files(all.into_iter()), expected);
        assert!(files(all[1..].iter().copied()).is_empty());
    }
}
