//! What trains in each mode of the parity suite's models.

#![allow(clippy::unwrap_used)]

mod common;

use beft_checkpoint::ModelDir;
use beft_core::{BiasTerm, EncodedSet, Encoding, Targets, TermSet};
use beft_decoder::{DecoderForCausalLM, GenerateOptions};
use beft_encoder::architectures::ROBERTA;
use beft_encoder::{BERT_NAMES as NAMES, EncoderConfig};
use beft_modes::{ADAPTER_CONFIG, Adapter, AdapterKind, Mode, Names};
use beft_nn::{Batch, BiasModel, Padding, ParamPath, Precision, Rows};
use beft_parity::Expected;
use beft_train::{
    Metrics, Prepared, TrainConfig, TrainError, prepare, train, trainable_count, training_step,
};
use burn::module::Module;
use burn::tensor::Device;
use common::{Bert, inputs, load, logits, max_difference, tiny, trained};

#[test]
fn trainable_counts_of_bert_base() {
    let model = Bert::init(
        &EncoderConfig::base_cased(),
        beft_core::Head::Sequence(2),
        &Device::flex(),
    );
    let count = |terms: &str| trainable_count(&model, &terms.parse().unwrap()).unwrap();
    assert_eq!(count("all"), 104_450);
    for term in ["q", "k", "v"] {
        assert_eq!(count(term), 11_522);
    }
    assert_eq!(count("frozen"), 1_538);
    assert_eq!(count("v@6-11"), 1_538 + 768 + 6 * 768);
    assert_eq!(
        count("v@3.h5,q.h0-1,m3@0"),
        1_538 + 768 + 64 + 12 * 128 + 768
    );
}

/// RoBERTa's head has a dense layer of its own, trained always.
#[test]
fn trainable_counts_of_roberta_base() {
    let fields = serde_json::json!({"vocab_size": 50_265, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 514,
        "type_vocab_size": 1});
    let config = EncoderConfig::read(&ROBERTA, fields.as_object().unwrap()).unwrap();
    assert_eq!(config.max_tokens(), 512);
    let model = Bert::init(&config, beft_core::Head::Sequence(2), &Device::flex());
    let count = |terms: &str| trainable_count(&model, &terms.parse().unwrap()).unwrap();
    let head = 768 * 768 + 768 + 1_538;
    assert_eq!(count("frozen"), head);
    assert_eq!(count("v"), head + 12 * 768);
    assert_eq!(count("all"), head + 768 + 12 * (7 * 768 + 3_072));
}

/// Every trained tensor moves, and nothing else does, bit for bit.
#[test]
fn only_the_chosen_parameters_change() {
    for name in beft_fixtures::ENCODERS {
        for written in [
            "frozen",
            "q",
            "k",
            "v",
            "m1,ln1",
            "m2,m3,ln2",
            "v@1",
            "all",
            "ln",
            "full",
        ] {
            let (before, after, trained, trainable) = trained(name, written);
            let mut moved = 0;
            for (path, after) in after {
                // The second segment of a BERT occurs in these inputs, other rows of tables may not.
                let before = &before[&path];
                if !trained.contains(&path) {
                    assert_eq!(&after, before, "{path} moved while training {written}");
                } else if path.term() != Some(BiasTerm::K) {
                    assert_ne!(&after, before, "{path} is not trained by {written}");
                }
                moved += usize::from(trained.contains(&path)) * after.values.len();
            }
            assert_eq!(moved, trainable, "{name} {written}");
        }
    }
}

/// Biases outside the layers learn alone, with the head and with the pooler's bias, which learns along with any other.
#[test]
fn biases_outside_the_layers_learn_alone() {
    let norm = "encoder.embeddings.norm_bias";
    for (name, terms, expected) in [
        ("bert-tiny", "pooler", vec!["pooler.bias"]),
        ("bert-tiny", "embeddings", vec![norm, "pooler.bias"]),
        (
            "electra-tiny",
            "embeddings",
            vec![norm, "encoder.embeddings.project_bias"],
        ),
        (
            "deberta-v3-tiny",
            "embeddings",
            vec![norm, "encoder.embeddings.distances_bias"],
        ),
        (
            "modernbert-mean-tiny",
            "final_norm",
            vec!["encoder.final_bias", "pooler.bias"],
        ),
    ] {
        let layout = load(name).bias_layout();
        let (before, after, trained, _) = trained(name, terms);
        let outside = trained.iter().filter(|path| layout.outer(path).is_some());
        let outside: Vec<&str> = outside.map(ParamPath::as_str).collect();
        assert_eq!(outside, expected, "{name} {terms}");
        assert!(
            trained
                .iter()
                .all(|path| layout.outer(path).is_some() || layout.in_head(path))
        );
        for (path, after) in &after {
            let moved = *after != before[path];
            assert_eq!(moved, trained.contains(path), "{name} {terms}: {path}");
        }
    }
    let error = load("electra-tiny").trainable_paths(&"pooler".parse().unwrap());
    assert_eq!(
        error.unwrap_err().to_string(),
        "the model has no bias `pooler` outside its layers; it has embeddings: name one of them"
    );
}

/// Of a bias of which one head learns, the other heads' values stay, bit for bit.
#[test]
fn a_head_learns_alone() {
    for name in beft_fixtures::ENCODERS {
        let (before, after, _, trainable) = trained(name, "v@1.h1");
        let (_, _, _, whole) = trained(name, "v@1");
        let path = before.keys().find(|path| {
            (path.layer(), path.term()) == (Some(1), Some(BiasTerm::V))
                && path.as_str().contains("biases")
        });
        let path = path.unwrap();
        let (before, after) = (&before[path].values, &after[path].values);
        let moved: Vec<bool> = { before.iter().zip(after) }
            .map(|(a, b)| a.to_bits() != b.to_bits())
            .collect();
        let width = before.len() - (whole - trainable);
        assert!(width < before.len(), "{name}");
        let wanted = (0..before.len()).map(|entry| (width..2 * width).contains(&entry));
        assert!(moved.into_iter().eq(wanted), "{name}");
    }
}

/// Of a masked tensor, the entries of the mask move and no other.
#[test]
fn random_masks_train_their_entries_alone() {
    let head = 3 * 32 + 3;
    // Every bias of the model: 3 layers of 7 x 32 + 64, the pooler's, the embeddings'.
    let biases = 3 * (7 * 32 + 64) + 2 * 32;
    for (written, expected) in [("random", biases), ("random-lines", 0)] {
        let (before, after, _, trainable) = trained("bert-tiny", written);
        let mut moved = 0;
        for (path, after) in &after {
            let pairs = after.values.iter().zip(&before[path].values);
            let count = pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            moved += count;
            if written == "random-lines" && before[path].shape.len() == 2 && count > 0 {
                let line = path.layer().is_some() && before[path].shape.contains(&count);
                assert!(line || *path == "classifier.weight", "{path}: {count}");
            }
        }
        if expected > 0 {
            assert_eq!(trainable, head + expected);
        }
        // Rows of words that do not occur, and key biases, have no gradient.
        assert!(
            moved <= trainable && moved > trainable / 2,
            "{written}: {moved} of {trainable}"
        );
    }
}

/// LoRA trains its factors and the head; the weights beside them stay, and what is saved in PEFT's
/// layout gives the trained model's logits when it is loaded onto the base.
#[test]
fn lora_trains_factors_and_round_trips() {
    let (before, after, paths, trainable) = trained("bert-tiny", "lora-qv");
    assert_eq!(trainable, 3 * 32 + 3 + 2 * 3 * 2 * 8 * 32);
    for (path, values) in &before {
        let same = *values == after[path];
        assert_eq!(same, !path.as_str().starts_with("classifier."), "{path}");
    }
    assert_eq!(after.len(), before.len() + 2 * 2 * 3);
    assert!(paths.contains(&ParamPath::from("encoder.layers.2.value.lora.b")));

    let data = Expected::open(&beft_fixtures::model("bert-tiny/expected.safetensors"));
    let data = data.unwrap().batch(0).unwrap();
    let config = TrainConfig::new("lora-v".parse::<Mode>().unwrap(), 1e-2, 4, 0);
    let untrained = prepare(tiny(), &config).unwrap().model;
    let start = logits(&untrained, &data.encodings, Padding::Packed);
    let plain = logits(&tiny(), &data.encodings, Padding::Packed);
    assert!(
        max_difference(&start, &plain) < 1e-6,
        "LoRA begins at no change"
    );
    let evaluate = |_: &Bert| Ok::<_, TrainError>(Default::default());
    let tuned = train(tiny(), &data, &config, evaluate, |_| ()).unwrap();
    let (mode, settings) = (&config.mode, &config.settings.modes);
    let (model, paths) = (&tuned.model, &tuned.paths);
    let adapter = Adapter::between(mode, settings, &NAMES, model, model, paths);
    let adapter = adapter.unwrap();
    assert_eq!(
        adapter.targets.include,
        Names::Suffixes(vec!["value".to_owned()])
    );
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("adapter");
    adapter.save(&dir).unwrap();
    let loaded = Adapter::load(&dir).unwrap();
    let loaded = loaded.apply(tiny(), &NAMES, &dir).unwrap();
    let expected = logits(&tuned.model, &data.encodings, Padding::Packed);
    let actual = logits(&loaded, &data.encodings, Padding::Packed);
    assert!(max_difference(&expected, &actual) < 1e-5);
    assert!(max_difference(&expected, &plain) > 0.1, "it must matter");
}

/// Three steps from the same weights on the same batches give the factors and the head that PEFT's IA3 has after them
/// (`write_ia3` in `make_fixtures.py`).
#[test]
fn ia3_trains_as_peft_trains_it() {
    let config = TrainConfig::new("ia3".parse::<Mode>().unwrap(), 5e-2, 1, 0);
    let data = Expected::open(&beft_fixtures::model("bert-tiny/expected.safetensors")).unwrap();
    let Prepared {
        mut model,
        masks,
        paths,
        trainable,
    } = prepare(tiny().without_dropout(), &config).unwrap();
    assert_eq!(trainable, 3 * 32 + 3 + 3 * (32 + 32 + 64));
    let mut optimizer = config.optimizer();
    for batch in 0..3 {
        let batch = data.batch(batch).unwrap();
        let chosen: Vec<usize> = (0..batch.len()).collect();
        let step = training_step(model, &masks, &batch, &chosen, &config, 0, &mut optimizer);
        model = step.0;
    }
    let (mode, settings) = (&config.mode, &config.settings.modes);
    let ours = Adapter::between(mode, settings, &NAMES, &model, &model, &paths).unwrap();
    let dir = beft_fixtures::model("bert-tiny-ia3");
    let theirs = Adapter::load(&dir).unwrap();
    assert_eq!(ours.targets.include, theirs.targets.include);
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("adapter");
    ours.save(&saved).unwrap();
    let config = |dir: &std::path::Path| -> serde_json::Value {
        let text = std::fs::read(dir.join(ADAPTER_CONFIG)).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    for key in ["peft_type", "target_modules", "feedforward_modules"] {
        assert_eq!(config(&saved)[key], config(&dir)[key], "{key}");
    }
    let AdapterKind::Ia3(vectors) = &ours.kind else {
        panic!("{:?}", ours.kind);
    };
    let AdapterKind::Ia3(expected) = &theirs.kind else {
        panic!("{:?}", theirs.kind);
    };
    assert!(vectors.0.keys().eq(expected.0.keys()));
    for (module, vector) in &expected.0 {
        let found = &vectors.0[module];
        assert_eq!(found.side, vector.side, "{module}");
        let difference = max_difference(&found.values, &vector.values);
        // Keys may be multiplied where their gradient is next to nothing, and AdamW divides by its size.
        assert!(difference < 1e-4, "{module}: {difference}");
        assert!(
            vector.values.iter().any(|l| (l - 1.0).abs() > 0.05),
            "{module}"
        );
    }
    assert!(ours.head.keys().eq(theirs.head.keys()));
    for (name, tensor) in &theirs.head {
        assert!(
            max_difference(&ours.head[name].values, &tensor.values) < 1e-4,
            "{name}"
        );
    }
}

/// Dropout acts wherever the config puts it, also where no gradient flows (`frozen`), and not at
/// all outside training.
#[test]
fn dropout_acts_in_training_whatever_is_trained() {
    let inputs = inputs();
    for written in ["frozen", "v@2", "all"] {
        let model = beft_train::with_trainable(tiny(), &written.parse().unwrap()).unwrap();
        let batch = Batch::new(&inputs, Padding::Packed, &Device::flex());
        let share_of_zeros = |embedded: burn::tensor::Tensor<2>| {
            let values: Vec<f32> = embedded.into_data().iter().collect();
            values.iter().filter(|x| **x == 0.0).count() as f64 / values.len() as f64
        };
        let zeros = share_of_zeros(model.encoder.embeddings.forward(&batch));
        assert!((0.08..0.12).contains(&zeros), "{written}: {zeros}");
        let zeros = share_of_zeros(model.valid().encoder.embeddings.forward(&batch));
        assert_eq!(zeros, 0.0, "{written}");
        // Attention weights have their own: with one layer's alone, passes still differ.
        let layer = &model.encoder.layers[0];
        let x = model.valid().encoder.embeddings.forward(&batch).autodiff();
        let pass = || -> Vec<f32> {
            layer
                .attend(x.clone(), &model.encoder.context(&batch), Rows::All)
                .into_data()
                .iter()
                .collect()
        };
        assert_ne!(pass(), pass(), "{written}");
    }
}

/// What another program does with single crates (`xtask/tests/external.rs` compiles the same): it trains an encoder and
/// generates with a decoder.
#[test]
fn single_crates_train_and_generate() {
    let encodings = (0..8).map(|i| Encoding {
        ids: vec![2, 5 + i, 3],
        type_ids: vec![0; 3],
        ..Encoding::default()
    });
    let data = EncodedSet {
        class_weights: Vec::new(),
        encodings: encodings.collect(),
        targets: Targets::Classes(vec![1; 8]),
    };
    let config = TrainConfig::new("v".parse::<TermSet>().unwrap(), 1e-2, 20, 0);
    let evaluate = |_: &_| Ok::<Metrics, TrainError>(Metrics::new());
    let trained = train(tiny(), &data, &config, evaluate, |_| ()).unwrap();
    // Value biases, pooler bias and head of three layers, 32 wide, three classes.
    assert_eq!(trained.trainable, 3 * 32 + 32 + 3 * 32 + 3);
    let loss = |epoch: usize| trained.epochs[epoch].train_loss;
    assert!(loss(19) < 0.8 * loss(0), "{} {}", loss(0), loss(19));

    let dir = ModelDir::open(&beft_fixtures::model("opt-tiny")).unwrap();
    let files = dir.tensors().unwrap();
    let (model, _) =
        DecoderForCausalLM::load(&dir, &files, Precision::F32, &Device::flex()).unwrap();
    let options = GenerateOptions {
        max_new_tokens: 5,
        ..GenerateOptions::default()
    };
    let texts = model.generate(&[vec![2, 7, 9]], &options, |_, _| ());
    assert_eq!(texts[0].len(), 5);
}
