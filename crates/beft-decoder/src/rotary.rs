//! How a config.json says how queries and keys are rotated (HF `modeling_rope_utils.py`).

use beft_checkpoint::{Fields, KeyTable};
use beft_nn::{RotaryConfig, Scaling};
use serde_json::{Map, Value};

/// Keys of `rope_parameters` and `rope_scaling` (HF `modeling_rope_utils.py`).
const ROPE_KEYS: KeyTable = KeyTable {
    applied: &[
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "factor",
        "high_freq_factor",
        "low_freq_factor",
        "mscale",
        "mscale_all_dim",
        "original_max_position_embeddings",
        "rope_theta",
        "rope_type",
        "truncate",
        "type",
    ],
    immaterial: &[],
    only: &[("partial_rotary_factor", "1.0")],
};

/// Reads LLaMA's: from `rope_scaling`, else from `rope_parameters` (transformers 5), with `rope_theta` beside them.
pub(crate) fn read(
    fields: &Fields<'_>,
    head_dim: usize,
    max_tokens: usize,
) -> Result<RotaryConfig, String> {
    let empty = Map::new();
    let object = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(value) => Err(format!("`{name}` is {value}; it must be an object")),
    };
    // `convert_rope_params_to_dict`: what older files say wins, where it says anything.
    let scaling = object("rope_scaling")?.filter(|scaling| !scaling.is_empty());
    let inner = scaling.or(object("rope_parameters")?);
    let inner = inner.unwrap_or(&empty);
    if let Some(key) = KeyTable::check(&[&ROPE_KEYS], inner)?.first() {
        return Err(format!("`{key}` of the rotary scaling is not implemented"));
    }
    let inner = Fields(inner);
    let theta = fields.number_or("rope_theta", 10_000.0)?;
    let kind = inner.text_or("rope_type", inner.text_or("type", "default")?)?;
    let factor = || match inner.number_or("factor", f64::NAN)? {
        factor if factor.is_finite() && factor > 0.0 => Ok(factor),
        _ => Err(format!(
            "the rotary scaling `{kind}` needs a positive `factor`"
        )),
    };
    let outer = fields.size_or("original_max_position_embeddings", max_tokens)?;
    let original = inner.number_or("original_max_position_embeddings", outer as f64)?;
    let scaling = match kind {
        "default" => Scaling::None,
        "linear" => Scaling::Linear { factor: factor()? },
        "llama3" => Scaling::Llama3 {
            factor: factor()?,
            low: inner.number_or("low_freq_factor", 1.0)?,
            high: inner.number_or("high_freq_factor", 4.0)?,
            original,
        },
        "yarn" => {
            let factor = factor()?;
            let scale = |by: f64| {
                if factor <= 1.0 {
                    1.0
                } else {
                    0.1 * by * factor.ln() + 1.0
                }
            };
            let usual = match (inner.get("mscale"), inner.get("mscale_all_dim")) {
                (Some(Value::Number(a)), Some(Value::Number(b))) => {
                    scale(a.as_f64().unwrap_or(1.0)) / scale(b.as_f64().unwrap_or(1.0))
                }
                _ => scale(1.0),
            };
            Scaling::Yarn {
                factor,
                fast: inner.number_or("beta_fast", 32.0)?,
                slow: inner.number_or("beta_slow", 1.0)?,
                original,
                attention: inner.number_or("attention_factor", usual)?,
                truncate: inner.flag_or("truncate", true)?,
            }
        }
        _ => {
            return Err(format!(
                "the rotary scaling `{kind}` is not implemented; default, linear, llama3 and yarn are"
            ));
        }
    };
    let theta = inner.number_or("rope_theta", theta)?;
    if !(theta > 1.0 && theta.is_finite()) {
        return Err(format!("`rope_theta` is {theta}; it must be above 1"));
    }
    if let Scaling::Llama3 { low, high, .. } = scaling
        && high <= low
    {
        return Err("`high_freq_factor` must be above `low_freq_factor`".to_owned());
    }
    let share = inner.number_or("partial_rotary_factor", 1.0)?;
    Ok(RotaryConfig {
        width: (head_dim as f64 * share) as usize,
        interleaved: false,
        theta,
        scaling,
    })
}
