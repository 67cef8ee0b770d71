//! Opening of tuned models: an adapter on its base, or a model with a head of its own.

use std::path::Path;

use beft_checkpoint::{ADAPTER_SIDECAR, TOKENIZER_FILES};
use beft_modes::Adapter;
use beft_nn::Precision;
use burn::tensor::Device;
use serde_json::{Map, Value};

use crate::{Base, Error, Model, Tuned, find_model};

/// Three special tokens and one of each text of a pair.
const SHORTEST_MAX_LENGTH: u64 = 5;

/// Opens a tuned model: an adapter folder on its base model (`model` if given, else the one it
/// names), or without an adapter the model folder `model` with a head of its own. Inputs are cut to `max_length`
/// tokens, or without it to what the adapter was trained with, or to what model and tokenizer allow.
///
/// # Errors
///
/// When either cannot be read, they do not fit, or there is no classification head.
pub fn open_tuned(
    model: Option<&str>,
    adapter: Option<&Path>,
    device: &Device,
    precision: Precision,
    max_length: Option<usize>,
) -> Result<Tuned, Error> {
    match (model, adapter) {
        (model, Some(dir)) => open_adapter(model, dir, device, precision, max_length),
        (Some(model), None) => open_model(model, device, precision, max_length),
        (None, None) => Err(Error::Usage(
            "give --adapter, or --model with the folder of a tuned model".to_owned(),
        )),
    }
}

fn open_adapter(
    model: Option<&str>,
    adapter_dir: &Path,
    device: &Device,
    precision: Precision,
    max_length: Option<usize>,
) -> Result<Tuned, Error> {
    let adapter = Adapter::load(adapter_dir)?;
    let whose = format!("adapter {}: beft.json", adapter_dir.display());
    let facts = Facts::read(&adapter.facts, &whose)?;
    let longest = max_length.or(facts.max_length);
    let base = match model {
        Some(model) => Base::open(model, longest, device)?,
        None if adapter.base_model.is_empty() => {
            return Err(Error::Usage(format!(
                "the adapter {} does not name its base model (base_model_name_or_path): give it with --model",
                adapter_dir.display()
            )));
        }
        None => {
            let name = adapter.base_name();
            Base::open(&name, longest, device).map_err(|e| {
                Error::Usage(format!(
                    "the adapter {} names `{name}` as its base model, give another with --model: {e}",
                    adapter_dir.display(),
                ))
            })?
        }
    };
    let base = base.with_precision(precision)?;
    adapter.check_base(adapter_dir, &base.fingerprint())?;
    let fail =
        |reason: String| Error::Usage(format!("adapter {}: {reason}", adapter_dir.display()));
    let decoder = base.decoder_config().is_some();
    let head = adapter.head.keys().find(|name| is_head(name));
    if let Some(head) = head.filter(|_| decoder) {
        return Err(fail(format!(
            "tensor `{head}` is of a classification head, and a head on a decoder is not implemented: give the \
             encoder it was trained on with --model, or compute with PEFT"
        )));
    }
    // A decoder has no head, and an adapter without one leaves the base's as it is.
    let named = facts.labels.as_ref().map(Vec::len);
    let outputs = match (adapter.num_classes(), decoder) {
        (Some(classes), _) => classes,
        (None, true) => named.unwrap_or(1).max(1),
        (None, false) => base.dir().labels()?.len(),
    };
    let (model, report) = base.model(outputs, 0)?;
    if !decoder && adapter.num_classes().is_none() && !report.initialized.is_empty() {
        return Err(fail(format!(
            "neither it nor its base has a trained classification head ({} missing)",
            report.initialized.join(", ")
        )));
    }
    let model = match (adapter.prefix(), model) {
        (Some(prefix), Model::Decoder(model)) => {
            Model::Decoder(model.with_prefix_values(prefix).map_err(fail)?)
        }
        (Some(_), Model::Encoder(_)) => {
            return Err(fail(
                "prefix tuning of an encoder is not implemented".to_owned(),
            ));
        }
        (None, model) => {
            let names = model.names();
            adapter.apply(model, names, adapter_dir)?
        }
    };
    let mut notes = adapter.notes;
    notes.extend(other_tokenizer(adapter_dir, &base));
    facts.tuned(base, model, outputs, &whose, notes)
}

/// Whether a parameter belongs to what PEFT takes for a classification head.
fn is_head(name: &str) -> bool {
    ["classifier.", "score."]
        .iter()
        .any(|head| name.starts_with(head))
}

/// What to say of an adapter folder whose tokenizer is not the base's.
fn other_tokenizer(adapter: &Path, base: &Base) -> Option<String> {
    let read = |dir: &Path, name: &str| std::fs::read(dir.join(name)).ok();
    let differs = TOKENIZER_FILES.into_iter().find(|name| {
        let own = read(adapter, name);
        own.is_some() && own != read(base.dir().path(), name)
    })?;
    Some(format!(
        "{}: it differs from the base model's, which is used, as in PeftModel.from_pretrained; copy it over the base's \
         if the adapter was trained with it",
        adapter.join(differs).display()
    ))
}

fn open_model(
    name: &str,
    device: &Device,
    precision: Precision,
    max_length: Option<usize>,
) -> Result<Tuned, Error> {
    let dir = find_model(name, &mut |_| ())?;
    let sidecar = dir.path().join(ADAPTER_SIDECAR);
    let mut known = Map::new();
    if let Ok(text) = std::fs::read(&sidecar) {
        known = serde_json::from_slice(&text)
            .map_err(|e| Error::Usage(format!("{}: {e}", sidecar.display())))?;
    }
    let whose = format!("{}: beft.json", dir.path().display());
    let facts = Facts::read(&known, &whose)?;
    let base = Base::open(name, max_length.or(facts.max_length), device)?;
    let base = base.with_precision(precision)?;
    if base.decoder_config().is_some() {
        let (model, _) = base.model(1, 0)?;
        return facts.tuned(base, model, 1, &whose, Vec::new());
    }
    let outputs = dir.labels()?.len();
    let (model, report) = base.model(outputs, 0)?;
    if let Some(problem) = report.misshapen.first() {
        return Err(Error::Usage(format!(
            "{}: {problem}: config.json says that there are {outputs} classes (id2label, num_labels); correct it",
            dir.path().display()
        )));
    }
    if !report.initialized.is_empty() {
        return Err(Error::Usage(format!(
            "{} has no trained head: {} missing; give --adapter",
            dir.path().display(),
            report.initialized.join(", ")
        )));
    }
    facts.tuned(base, model, outputs, &whose, Vec::new())
}

/// What was recorded beside an adapter or a tuned model.
struct Facts {
    /// Class names; none for a regression.
    labels: Option<Vec<String>>,
    max_length: Option<usize>,
    task: Option<String>,
    task_definition: Option<Value>,
    text_pairs: Option<bool>,
    terms: Option<String>,
    prompt: Option<String>,
}

impl Facts {
    /// `whose` begins messages.
    fn read(facts: &Map<String, Value>, whose: &str) -> Result<Self, Error> {
        let text = |name: &str| facts.get(name).and_then(Value::as_str).map(str::to_owned);
        let max_length = facts.get("max_length").map(|value| {
            value
                .as_u64()
                .filter(|n| *n >= SHORTEST_MAX_LENGTH)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| {
                    Error::Usage(format!(
                        "{whose} says max_length {value}; it must be a whole number, {SHORTEST_MAX_LENGTH} or more"
                    ))
                })
        });
        let labels = facts.get("labels").and_then(Value::as_array).map(|names| {
            let names = names.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect::<Vec<_>>()
        });
        let twice = labels.iter().flat_map(|labels| {
            let numbered = labels.iter().enumerate();
            numbered.filter(|(i, label)| labels[..*i].contains(label))
        });
        if let Some((_, twice)) = twice.into_iter().next() {
            return Err(Error::Usage(format!(
                "{whose} names the label `{twice}` twice"
            )));
        }
        Ok(Self {
            labels,
            max_length: max_length.transpose()?,
            task: text("task"),
            task_definition: facts.get("task_definition").cloned(),
            text_pairs: facts.get("text_pairs").and_then(Value::as_bool),
            terms: text("terms"),
            prompt: text("prompt"),
        })
    }

    /// The tuned model. Where nothing was recorded, an encoder's classes are named as its config.json names as
    /// many, and one output is a regression's.
    fn tuned(
        self,
        base: Base,
        model: Model,
        outputs: usize,
        whose: &str,
        notes: Vec<String>,
    ) -> Result<Tuned, Error> {
        let labels = match self.labels {
            Some(labels) => labels,
            None if outputs == 1 => Vec::new(),
            None => {
                let named = base.dir().labels()?;
                match named.len() == outputs {
                    true => named,
                    false => (0..outputs).map(|class| format!("LABEL_{class}")).collect(),
                }
            }
        };
        if labels.len().max(1) != outputs {
            return Err(Error::Usage(format!(
                "{whose} names {} labels, the head has {outputs} classes",
                labels.len()
            )));
        }
        let notes = base.notes().iter().cloned().chain(notes).collect();
        Ok(Tuned {
            base,
            model,
            labels,
            task: self.task,
            task_definition: self.task_definition,
            text_pairs: self.text_pairs,
            terms: self.terms,
            prompt: self.prompt,
            notes,
        })
    }
}
