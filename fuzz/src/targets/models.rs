//! Model folders.

use std::collections::BTreeMap;
use std::path::Path;

use beft::{Base, OpenOptions, Predictor, TextGenerator, TextOptions, inspect, open_tuned};
use beft_checkpoint::TensorFiles;
use beft_core::TaskType;
use beft_decoder::Sampling;

use super::{interop, table, tuned, words, written};
use crate::{Format, Sample};

/// A model of each architecture.
const FIXTURES: [&str; 18] = [
    "bert-tiny",
    "roberta-tiny",
    "xlm-roberta-tiny",
    "camembert-tiny",
    "distilbert-tiny",
    "electra-tiny",
    "mpnet-tiny",
    "modernbert-tiny",
    "deberta-v3-tiny",
    "deberta-v2-tiny",
    "gpt2-tiny",
    "gptj-tiny",
    "llama-tiny",
    "llama-yarn-tiny",
    "mistral-tiny",
    "opt-tiny",
    "opt-post-tiny",
    "qwen2-tiny",
];

fn fixture(name: &str) -> Sample {
    Sample::folder(&beft_fixtures::model(name))
}

pub(super) fn weights() -> Vec<Sample> {
    ["bert", "gpt2", "classified-llama", "tied-opt", "roberta"]
        .map(|name| written(name).changing("model.safetensors", Format::Safetensors))
        .into()
}

pub(super) fn indices() -> Vec<Sample> {
    let whole = written("bert");
    let weights = whole.content("model.safetensors").to_vec();
    let shard = "model-00001-of-00001.safetensors";
    let tensors = TensorFiles::open(&interop("bert").join("model.safetensors")).expect("weights");
    let map: BTreeMap<&str, &str> = tensors.names().map(|name| (name, shard)).collect();
    let index = serde_json::json!({"metadata": {"total_size": weights.len()}, "weight_map": map});
    let sample = whole
        .without("model.safetensors")
        .with(shard, weights)
        .with("model.safetensors.index.json", index.to_string());
    vec![
        sample
            .clone()
            .changing("model.safetensors.index.json", Format::Json),
        sample.changing(shard, Format::Safetensors),
        written("stale-index").changing("model.safetensors.index.json", Format::Json),
    ]
}

pub(super) fn pickles() -> Vec<Sample> {
    let pickled = fixture("bert-tiny-pickle");
    let content = pickled.content("pytorch_model.bin").to_vec();
    let whole = fixture("bert-tiny").without("model.safetensors");
    let evil = pickled.content("evil.bin").to_vec();
    [content, evil]
        .map(|content| {
            let sample = whole.clone().with("pytorch_model.bin", content);
            sample.changing("pytorch_model.bin", Format::Zip)
        })
        .into()
}

pub(super) fn configs() -> Vec<Sample> {
    let changed = |sample: Sample| sample.changing("config.json", Format::Json);
    let mut found: Vec<Sample> = FIXTURES.map(fixture).map(changed).into();
    found.extend(
        ["long", "several-labels", "rope-scaling", "classified-llama"]
            .map(written)
            .map(changed),
    );
    found.extend(
        ["gpt2-tiny", "llama-tiny"]
            .map(|name| fixture(name).changing("generation_config.json", Format::Json)),
    );
    found
}

pub(super) fn tokenizers() -> Vec<Sample> {
    let mut found: Vec<Sample> = ["bert", "gpt2", "classified-llama", "roberta", "more-tokens"]
        .map(|name| written(name).changing("tokenizer.json", Format::Json))
        .into();
    found.push(fixture("deberta-v3-tiny").changing("tokenizer.json", Format::Json));
    found.push(written("vocabulary").changing("vocab.txt", Format::Text));
    found.push(written("vocabulary-cased").changing("tokenizer_config.json", Format::Json));
    let config = r#"{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 20, "mask_token": {"__type": "AddedToken",
        "content": "[MASK]", "lstrip": true}, "image_token": "film", "extra_special_tokens": ["[NEW]"], "added_tokens_decoder":
        {"3": {"content": "[SEP]", "normalized": true, "special": true}, "90": {"content": "movie", "rstrip": true}}}"#;
    let sample = written("long").with("tokenizer_config.json", config);
    found.push(sample.changing("tokenizer_config.json", Format::Json));
    let pairs = in_two_files();
    found.push(pairs.clone().changing("vocab.json", Format::Json));
    found.push(pairs.changing("merges.txt", Format::Text));
    // As transformers 4 saved them.
    let special = r#"{"unk_token": "[UNK]", "sep_token": {"content": "[SEP]", "lstrip": false, "normalized": false, "rstrip": true,
        "single_word": false}, "pad_token": "[PAD]", "additional_special_tokens": ["[NEW]"]}"#;
    for (name, content) in [
        ("special_tokens_map.json", special),
        ("added_tokens.json", r#"{"[NEW]": 63, "film": 7}"#),
    ] {
        let sample = written("vocabulary").with(name, content);
        found.push(sample.changing(name, Format::Json));
    }
    found
}

/// A model whose byte-pair encoding is in vocab.json and merges.txt.
fn in_two_files() -> Sample {
    let whole = fixture("gpt2-tiny");
    let tokenizer = whole.json("tokenizer.json").expect("a document");
    let model = &tokenizer["model"];
    let pairs = model["merges"].as_array().into_iter().flatten();
    let pairs = pairs.map(|pair| match pair {
        serde_json::Value::Array(both) => both.iter().filter_map(|one| one.as_str()).collect(),
        other => vec![other.as_str().unwrap_or_default()],
    });
    let merges = pairs.fold("#version: 0.2\n".to_owned(), |text, pair| {
        format!("{text}{}\n", pair.join(" "))
    });
    whole
        .without("tokenizer.json")
        .with("vocab.json", model["vocab"].to_string())
        .with("merges.txt", merges)
}

/// Folders of sentence-transformers.
pub(super) fn embeddings() -> Vec<Sample> {
    let files = [
        (
            "modules.json",
            r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#,
        ),
        (
            "1_Pooling/config.json",
            r#"{"word_embedding_dimension": 32, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true,
            "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false, "include_prompt": true}"#,
        ),
        (
            "sentence_bert_config.json",
            r#"{"max_seq_length": 24, "do_lower_case": false}"#,
        ),
        (
            "config_sentence_transformers.json",
            r#"{"__version__": {"sentence_transformers": "2.0.0"}, "prompts": {}, "default_prompt_name": null,
            "similarity_fn_name": "cosine"}"#,
        ),
    ];
    let whole = { files.iter() }.fold(fixture("bert-tiny"), |whole, (name, content)| {
        whole.with(name, *content)
    });
    let changing = |(name, _): &(&str, &str)| whole.clone().changing(name, Format::Json);
    files.iter().map(changing).collect()
}

/// Computes embeddings.
pub(super) fn embed(given: &Path, _: &Path) -> Result<(), String> {
    let name = given.display().to_string();
    let device = beft_device::parse_device("flex").map_err(words)?;
    let inspected = inspect(given).map(drop).map_err(words);
    let tuned = open_tuned(&OpenOptions {
        model: Some(&name),
        task_type: Some(TaskType::FeatureExtraction),
        device: Some(&device),
        ..OpenOptions::default()
    });
    let tuned = tuned.map_err(words)?.only_used();
    inspected?;
    let (found, _) = tuned.embeddings(&["good film", ""]).map_err(words)?;
    let finite = found.iter().flatten().all(|number| number.is_finite());
    assert!(finite, "{found:?}");
    Ok(())
}

/// Everything that the commands which need no data do with a model folder.
pub(super) fn read(given: &Path, _: &Path) -> Result<(), String> {
    let name = given.display().to_string();
    // What it says of a folder and what it makes of it may differ.
    let inspected = inspect(given).map(drop).map_err(words);
    let device = beft_device::parse_device("flex").map_err(words)?;
    let base = Base::open(&name, None, &device).map_err(words)?;
    inspected?;
    let (model, _) = base.model(2, 0).map_err(words)?;
    if let Some(model) = model.into_generator() {
        return generate(&base, model);
    }
    let predictor = Predictor::open(&OpenOptions {
        model: Some(&name),
        task: Some("text"),
        device: Some(&device),
        ..OpenOptions::default()
    });
    let predictor = predictor.map_err(words)?;
    let inputs = ["good film", "", "a\u{0} b \u{1f600} bad"].map(Into::into);
    predictor.predict(&inputs).map(drop).map_err(words)
}

fn generate(base: &Base, model: beft_decoder::DecoderForCausalLM) -> Result<(), String> {
    let mut generator = TextGenerator::new(base, model).map_err(words)?;
    let prompt = generator.prompt("the movie").map_err(words)?;
    let options = TextOptions {
        max_new_tokens: 3,
        sampling: Sampling::Greedy,
        stop: Vec::new(),
        logprobs: Some(2),
        biases: None,
    };
    generator.join(&prompt, &options).map_err(words)?;
    while !generator.is_empty() {
        generator.step().map_err(words)?;
    }
    Ok(())
}

/// The same, and a step of training.
pub(super) fn read_and_train(given: &Path, out: &Path) -> Result<(), String> {
    let read = read(given, out);
    let data = given.join("data");
    let write = |name: &str, rows| {
        std::fs::create_dir_all(&data)?;
        std::fs::write(data.join(name), table('\t', rows))
    };
    write("train.tsv", 4).map_err(words)?;
    write("dev.tsv", 2).map_err(words)?;
    tuned(given, &data, "all", |settings| settings.epochs = 1, |_| ())?;
    read
}
