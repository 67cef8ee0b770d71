//! Reads LoRA adapters of PEFT.

use beft_checkpoint::HeadTensor;
use serde_json::Value;

use crate::lora::{BIAS, EMBEDDING_A, EMBEDDING_B, FACTOR_A, FACTOR_B, MAGNITUDE};
use crate::peft::{Keys, Problem, Reader, as_size, check_vector, pattern_value};
use crate::{AdapterKind, LoraFactors, LoraUpdates};

/// PEFT's default `lora_alpha`.
const ALPHA: f64 = 8.0;
/// PEFT's default `r`.
const RANK: usize = 8;

/// Initialisations that leave the base model as it is when PEFT loads the adapter.
const PLAIN_INITIALIZATIONS: &[&str] = &["gaussian", "eva", "orthogonal"];

/// What the config says, and then what the weights file holds.
#[derive(Debug)]
pub(crate) struct LoraReader {
    rank: Option<usize>,
    alpha: f64,
    ranks: Vec<(String, usize)>,
    alphas: Vec<(String, f64)>,
    root: bool,
    dora: bool,
    bias: bool,
    /// Whether biases of the model were trained too, and are saved as they are.
    model_biases: bool,
    found: LoraUpdates,
}

impl LoraReader {
    pub(crate) fn new(keys: &Keys<'_>) -> Result<Self, String> {
        check_initialization(keys.get("init_lora_weights"))?;
        // PEFT fails at these, and takes its default where they are absent.
        if let Some(key) = ["r", "lora_alpha", "bias"]
            .into_iter()
            .find(|k| keys.is_null(k))
        {
            return Err(format!(
                "`{key}` is null, which PEFT cannot use: give its value"
            ));
        }
        let bias = keys.text("bias")?.unwrap_or("none");
        if !["none", "all", "lora_only"].contains(&bias) {
            return Err(format!(
                "`bias` is `{bias}`; none, all and lora_only are PEFT's values"
            ));
        }
        let read = Self {
            rank: keys.size("r")?.or(Some(RANK)),
            alpha: keys.number("lora_alpha")?.unwrap_or(ALPHA),
            ranks: keys.patterns("rank_pattern", as_size)?,
            alphas: keys.patterns("alpha_pattern", Value::as_f64)?,
            root: keys.flag("use_rslora")?,
            dora: keys.flag("use_dora")?,
            bias: keys.flag("lora_bias")?,
            model_biases: bias != "none",
            found: LoraUpdates::default(),
        };
        if read.dora && read.bias {
            return Err(
                "`use_dora` and `lora_bias` are both true; one of them is implemented".to_owned(),
            );
        }
        Ok(read)
    }

    fn factors(&mut self, module: &str) -> &mut LoraFactors {
        let own = pattern_value(&self.alphas, module);
        let (alpha, root) = (own.copied().unwrap_or(self.alpha), self.root);
        let factors = self.found.0.entry(module.to_owned());
        factors.or_insert_with(|| LoraFactors {
            alpha,
            root,
            ..LoraFactors::empty()
        })
    }
}

/// Some initialisations take a part out of the base's weights, again whenever PEFT loads the adapter
/// (`LoraLayer.update_layer`).
fn check_initialization(value: Option<&Value>) -> Result<(), String> {
    let plain = match value {
        None | Some(Value::Null | Value::Bool(_)) => true,
        Some(Value::String(name)) => PLAIN_INITIALIZATIONS.contains(&name.as_str()),
        Some(_) => false,
    };
    match value {
        Some(value) if !plain => Err(format!(
            "`init_lora_weights` is {value}, which changes the base model when PEFT loads the adapter: let PEFT \
             convert it to plain LoRA (`save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL)`, \
             INITIAL being the adapter as it was before training)"
        )),
        _ => Ok(()),
    }
}

impl Reader for LoraReader {
    fn take(&mut self, name: &str, tensor: HeadTensor) -> Result<Option<HeadTensor>, Problem> {
        let end = |suffix: &str| name.strip_suffix(suffix);
        if let Some(module) = end(FACTOR_A).or_else(|| end(EMBEDDING_A)) {
            self.factors(module).a = tensor;
        } else if let Some(module) = end(FACTOR_B).or_else(|| end(EMBEDDING_B)) {
            self.factors(module).b = tensor;
        } else if let Some(module) = end(BIAS).filter(|_| self.bias) {
            self.factors(module).bias = Some(tensor.values);
        } else if let Some(module) = end(MAGNITUDE).filter(|_| self.dora) {
            check_vector(name, &tensor, "a magnitude")?;
            self.factors(module).magnitude = Some(tensor.values);
        } else {
            return Ok(Some(tensor));
        }
        Ok(None)
    }

    fn has_model_biases(&self) -> bool {
        self.model_biases
    }

    fn finish(self: Box<Self>) -> Result<Option<AdapterKind>, String> {
        for (module, factors) in &self.found.0 {
            let own = pattern_value(&self.ranks, module);
            let (rank, wanted) = (factors.a.shape.first(), own.copied().or(self.rank));
            if wanted.is_some() && rank.copied() != wanted {
                return Err(format!(
                    "the rank of `{module}` is {} (r, rank_pattern), but its factor A has shape {:?}",
                    wanted.unwrap_or_default(),
                    factors.a.shape
                ));
            }
            if self.dora && factors.magnitude.is_none() {
                return Err(format!(
                    "`use_dora` is true, but `{module}` has no magnitude"
                ));
            }
            if self.bias && factors.bias.is_none() {
                return Err(format!("`lora_bias` is true, but `{module}` has no bias"));
            }
        }
        let found = self.found;
        Ok((!found.0.is_empty()).then_some(AdapterKind::Lora(found)))
    }
}
