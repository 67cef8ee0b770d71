//! A demonstration of bias-efficient fine-tuning that needs nothing from outside: a tiny BERT, its
//! tokenizer and a small sentiment task, all made here and embedded.
//!
//! * [`write_model`]: the pretrained model as a folder in Hugging Face layout.
//! * [`write_data`]: the labelled task as `train.tsv` and `dev.tsv`.
//! * [`tickets`]: made-up support tickets, for the tutorial.
//!
//! The model was pretrained by `examples/pretrain.rs` as BERT was (masked words, next segment) on
//! text from [`corpus`], which is generated and has no labels. The sentiment words of the labelled
//! dev split never occur in the training split ([`labelled`]): that they are sentiment words, and
//! of which kind, a model can know from pretraining only.
//!
//! ```
//! let dir = std::env::temp_dir().join(format!("beft-demo-{}", std::process::id()));
//! beft_demo::write_model(&dir.join("model"))?;
//! beft_demo::write_data(&dir.join("data"))?;
//! assert!(dir.join("data/train.tsv").is_file());
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), std::io::Error>(())
//! ```

pub use tickets::tickets;

use std::path::Path;
use std::{fs, io};

use beft_files::{OwnFiles, write_dir_atomic};

pub mod corpus;
pub mod labelled;
mod template;
mod tickets;
pub mod vocab;
pub mod words;

/// The embedded model's `config.json`.
pub const CONFIG: &[u8] = include_bytes!("../model/config.json");

/// The embedded model's `model.safetensors`.
pub const WEIGHTS: &[u8] = include_bytes!("../model/model.safetensors");

/// The embedded model's `tokenizer.json`.
pub const TOKENIZER: &[u8] = include_bytes!("../model/tokenizer.json");

/// Writes the pretrained model to the folder `dir`. One that is there already stays.
///
/// # Errors
///
/// When `dir` holds anything else, and any I/O error; `dir` is then as it was.
pub fn write_model(dir: &Path) -> io::Result<()> {
    place(
        dir,
        &[
            ("config.json", CONFIG.to_vec()),
            ("model.safetensors", WEIGHTS.to_vec()),
            ("tokenizer.json", TOKENIZER.to_vec()),
        ],
    )
}

/// Writes the labelled task to the folder `dir`: `train.tsv` and `dev.tsv` with the columns
/// `sentence` and `label`, as GLUE has them. One that is there already stays.
///
/// # Errors
///
/// When `dir` holds anything else, and any I/O error; `dir` is then as it was.
pub fn write_data(dir: &Path) -> io::Result<()> {
    place(
        dir,
        &[
            (
                "train.tsv",
                labelled::to_tsv(&labelled::train()).into_bytes(),
            ),
            ("dev.tsv", labelled::to_tsv(&labelled::dev()).into_bytes()),
        ],
    )
}

/// Writes the files unless they are there: never over files of somebody else's.
fn place(dir: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
    let same = |(name, content): &(&str, Vec<u8>)| {
        fs::read(dir.join(name)).is_ok_and(|present| present == *content)
    };
    if dir.exists() && files.iter().all(same) {
        return Ok(());
    }
    let none = OwnFiles {
        names: &[],
        mark: "",
    };
    write_dir_atomic(dir, files, &none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beft_checkpoint::ModelDir;
    use beft_encoder::{EncoderConfig, EncoderWithHead};
    use beft_nn::{Batch, Padding, TaskModel};
    use burn::tensor::Device;

    #[test]
    fn the_embedded_model_is_small_and_has_the_tokenizer_of_the_vocabulary() {
        assert!(CONFIG.len() + WEIGHTS.len() + TOKENIZER.len() < 3_000_000);
        // Bytes, not values: the order of the vocabulary is part of the file.
        let built = format!("{:#}\n", vocab::tokenizer_json());
        assert!(
            built.as_bytes() == TOKENIZER,
            "run the example `pretrain` again"
        );
    }

    #[test]
    fn the_embedded_model_reads_the_labelled_task() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write_model(&path).unwrap();
        let dir = ModelDir::open(&path).unwrap();
        let config = EncoderConfig::load(&dir).unwrap();
        let tokenizer = dir.tokenizer(config.max_position_embeddings).unwrap();
        assert_eq!(tokenizer.vocab_size(), config.vocab_size);
        let example = &labelled::dev()[0];
        let encodings = tokenizer
            .encode([(example.sentence.as_str(), None)])
            .unwrap();
        // Every word is one piece, between [CLS] and [SEP].
        assert_eq!(encodings[0].len(), example.sentence.split(' ').count() + 2);

        let device = Device::flex();
        let files = dir.tensors().unwrap();
        let (model, report) =
            EncoderWithHead::load(&dir, &files, beft_core::Head::Sequence(2), 0, &device).unwrap();
        // The pooler is pretrained: only the head is new.
        assert_eq!(report.initialized, ["classifier.weight", "classifier.bias"]);
        assert!(report.unused.is_empty(), "{:?}", report.unused);
        let scores = model.forward(&Batch::new(&encodings, Padding::Packed, &device));
        let scores: Vec<f32> = scores.into_data().iter().collect();
        assert!(
            scores.len() == 2 && scores.iter().all(|s| s.is_finite()),
            "{scores:?}"
        );
    }

    #[test]
    fn the_data_are_written_as_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        write_data(&path).unwrap();
        write_data(&path).unwrap();
        fs::write(path.join("train.tsv"), "mine").unwrap();
        assert!(write_data(&path).is_err());
        assert_eq!(fs::read(path.join("train.tsv")).unwrap(), b"mine");
        fs::remove_dir_all(&path).unwrap();
        write_data(&path).unwrap();
        let lines = |file| fs::read_to_string(path.join(file)).unwrap().lines().count();
        assert_eq!(lines("train.tsv"), labelled::TRAIN_SIZE + 1);
        assert_eq!(lines("dev.tsv"), labelled::DEV_SIZE + 1);
    }
}
