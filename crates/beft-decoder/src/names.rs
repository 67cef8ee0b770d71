//! Parameter paths and HF tensor names, one table for each architecture.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{NameTable, Stored, TensorName};

/// A bias that the architecture may not have: it is zero then.
const fn added(path: &'static str, hf: &'static str) -> TensorName {
    same(path, hf).optional()
}

/// One of three parts of a tensor that holds query, key and value side by side.
const fn third(path: &'static str, hf: &'static str, part: usize) -> TensorName {
    TensorName {
        stored: Stored::Third(part),
        ..same(path, hf)
    }
}

/// OPT (`OPTForCausalLM` in `modeling_opt.py`).
#[rustfmt::skip]
pub const OPT_NAMES: NameTable = NameTable {
    backbone_prefix: "model.",
    rows: &[
        same("decoder.tokens", "model.decoder.embed_tokens.weight"),
        same("decoder.positions", "model.decoder.embed_positions.weight"),
        linear("decoder.project_in", "model.decoder.project_in.weight"),
        linear("decoder.project_out", "model.decoder.project_out.weight"),
        linear("decoder.layers.{l}.query", "model.decoder.layers.{l}.self_attn.q_proj.weight"),
        same("decoder.layers.{l}.biases.q", "model.decoder.layers.{l}.self_attn.q_proj.bias"),
        linear("decoder.layers.{l}.key", "model.decoder.layers.{l}.self_attn.k_proj.weight"),
        same("decoder.layers.{l}.biases.k", "model.decoder.layers.{l}.self_attn.k_proj.bias"),
        linear("decoder.layers.{l}.value", "model.decoder.layers.{l}.self_attn.v_proj.weight"),
        same("decoder.layers.{l}.biases.v", "model.decoder.layers.{l}.self_attn.v_proj.bias"),
        linear("decoder.layers.{l}.attention_output", "model.decoder.layers.{l}.self_attn.out_proj.weight"),
        same("decoder.layers.{l}.biases.m1", "model.decoder.layers.{l}.self_attn.out_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "model.decoder.layers.{l}.self_attn_layer_norm.weight"),
        same("decoder.layers.{l}.biases.ln1", "model.decoder.layers.{l}.self_attn_layer_norm.bias"),
        linear("decoder.layers.{l}.intermediate", "model.decoder.layers.{l}.fc1.weight"),
        same("decoder.layers.{l}.biases.m2", "model.decoder.layers.{l}.fc1.bias"),
        linear("decoder.layers.{l}.output", "model.decoder.layers.{l}.fc2.weight"),
        same("decoder.layers.{l}.biases.m3", "model.decoder.layers.{l}.fc2.bias"),
        same("decoder.layers.{l}.norm2_gamma", "model.decoder.layers.{l}.final_layer_norm.weight"),
        same("decoder.layers.{l}.biases.ln2", "model.decoder.layers.{l}.final_layer_norm.bias"),
        same("decoder.final_gamma", "model.decoder.final_layer_norm.weight"),
        same("decoder.final_bias", "model.decoder.final_layer_norm.bias"),
        linear("head", "lm_head.weight"),
    ],
    ignored: &["lm_head."],
    tied: &[("model.decoder.embed_tokens.weight", "lm_head.weight")],
};

/// LLaMA and Qwen2 (`LlamaForCausalLM` in `modeling_llama.py`, `Qwen2ForCausalLM` in
/// `modeling_qwen2.py`).
#[rustfmt::skip]
pub const LLAMA_NAMES: NameTable = NameTable {
    backbone_prefix: "model.",
    rows: &[
        same("decoder.tokens", "model.embed_tokens.weight"),
        linear("decoder.layers.{l}.query", "model.layers.{l}.self_attn.q_proj.weight"),
        added("decoder.layers.{l}.biases.q", "model.layers.{l}.self_attn.q_proj.bias"),
        linear("decoder.layers.{l}.key", "model.layers.{l}.self_attn.k_proj.weight"),
        added("decoder.layers.{l}.biases.k", "model.layers.{l}.self_attn.k_proj.bias"),
        linear("decoder.layers.{l}.value", "model.layers.{l}.self_attn.v_proj.weight"),
        added("decoder.layers.{l}.biases.v", "model.layers.{l}.self_attn.v_proj.bias"),
        linear("decoder.layers.{l}.attention_output", "model.layers.{l}.self_attn.o_proj.weight"),
        added("decoder.layers.{l}.biases.m1", "model.layers.{l}.self_attn.o_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "model.layers.{l}.input_layernorm.weight"),
        added("decoder.layers.{l}.biases.ln1", "model.layers.{l}.input_layernorm.bias"),
        linear("decoder.layers.{l}.intermediate", "model.layers.{l}.mlp.up_proj.weight"),
        added("decoder.layers.{l}.biases.m2", "model.layers.{l}.mlp.up_proj.bias"),
        linear("decoder.layers.{l}.gate", "model.layers.{l}.mlp.gate_proj.weight"),
        same("decoder.layers.{l}.gate_bias", "model.layers.{l}.mlp.gate_proj.bias"),
        linear("decoder.layers.{l}.output", "model.layers.{l}.mlp.down_proj.weight"),
        added("decoder.layers.{l}.biases.m3", "model.layers.{l}.mlp.down_proj.bias"),
        same("decoder.layers.{l}.norm2_gamma", "model.layers.{l}.post_attention_layernorm.weight"),
        added("decoder.layers.{l}.biases.ln2", "model.layers.{l}.post_attention_layernorm.bias"),
        same("decoder.final_gamma", "model.norm.weight"),
        linear("head", "lm_head.weight"),
    ],
    ignored: &["lm_head.", "*rotary_emb.inv_freq"],
    tied: &[("model.embed_tokens.weight", "lm_head.weight")],
};

/// GPT-J (`GPTJForCausalLM` in `modeling_gptj.py`).
#[rustfmt::skip]
pub const GPTJ_NAMES: NameTable = NameTable {
    backbone_prefix: "transformer.",
    rows: &[
        same("decoder.tokens", "transformer.wte.weight"),
        linear("decoder.layers.{l}.query", "transformer.h.{l}.attn.q_proj.weight"),
        added("decoder.layers.{l}.biases.q", "transformer.h.{l}.attn.q_proj.bias"),
        linear("decoder.layers.{l}.key", "transformer.h.{l}.attn.k_proj.weight"),
        added("decoder.layers.{l}.biases.k", "transformer.h.{l}.attn.k_proj.bias"),
        linear("decoder.layers.{l}.value", "transformer.h.{l}.attn.v_proj.weight"),
        added("decoder.layers.{l}.biases.v", "transformer.h.{l}.attn.v_proj.bias"),
        linear("decoder.layers.{l}.attention_output", "transformer.h.{l}.attn.out_proj.weight"),
        added("decoder.layers.{l}.biases.m1", "transformer.h.{l}.attn.out_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "transformer.h.{l}.ln_1.weight"),
        same("decoder.layers.{l}.biases.ln1", "transformer.h.{l}.ln_1.bias"),
        linear("decoder.layers.{l}.intermediate", "transformer.h.{l}.mlp.fc_in.weight"),
        same("decoder.layers.{l}.biases.m2", "transformer.h.{l}.mlp.fc_in.bias"),
        linear("decoder.layers.{l}.output", "transformer.h.{l}.mlp.fc_out.weight"),
        same("decoder.layers.{l}.biases.m3", "transformer.h.{l}.mlp.fc_out.bias"),
        same("decoder.final_gamma", "transformer.ln_f.weight"),
        same("decoder.final_bias", "transformer.ln_f.bias"),
        linear("head", "lm_head.weight"),
        same("head_bias", "lm_head.bias"),
    ],
    // Causal masks, and an embedding of positions that is computed.
    ignored: &["lm_head.", "*.attn.bias", "*.attn.masked_bias", "*.attn.embed_positions"],
    tied: &[("transformer.wte.weight", "lm_head.weight")],
};

/// GPT-2 (`GPT2LMHeadModel` in `modeling_gpt2.py`), whose linear layers are stored `[in, out]`, query, key
/// and value as one.
#[rustfmt::skip]
pub const GPT2_NAMES: NameTable = NameTable {
    backbone_prefix: "transformer.",
    rows: &[
        same("decoder.tokens", "transformer.wte.weight"),
        same("decoder.positions", "transformer.wpe.weight"),
        third("decoder.layers.{l}.query", "transformer.h.{l}.attn.c_attn.weight", 0),
        third("decoder.layers.{l}.key", "transformer.h.{l}.attn.c_attn.weight", 1),
        third("decoder.layers.{l}.value", "transformer.h.{l}.attn.c_attn.weight", 2),
        third("decoder.layers.{l}.biases.q", "transformer.h.{l}.attn.c_attn.bias", 0),
        third("decoder.layers.{l}.biases.k", "transformer.h.{l}.attn.c_attn.bias", 1),
        third("decoder.layers.{l}.biases.v", "transformer.h.{l}.attn.c_attn.bias", 2),
        same("decoder.layers.{l}.attention_output", "transformer.h.{l}.attn.c_proj.weight"),
        same("decoder.layers.{l}.biases.m1", "transformer.h.{l}.attn.c_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "transformer.h.{l}.ln_1.weight"),
        same("decoder.layers.{l}.biases.ln1", "transformer.h.{l}.ln_1.bias"),
        same("decoder.layers.{l}.intermediate", "transformer.h.{l}.mlp.c_fc.weight"),
        same("decoder.layers.{l}.biases.m2", "transformer.h.{l}.mlp.c_fc.bias"),
        same("decoder.layers.{l}.output", "transformer.h.{l}.mlp.c_proj.weight"),
        same("decoder.layers.{l}.biases.m3", "transformer.h.{l}.mlp.c_proj.bias"),
        same("decoder.layers.{l}.norm2_gamma", "transformer.h.{l}.ln_2.weight"),
        same("decoder.layers.{l}.biases.ln2", "transformer.h.{l}.ln_2.bias"),
        same("decoder.final_gamma", "transformer.ln_f.weight"),
        same("decoder.final_bias", "transformer.ln_f.bias"),
        linear("head", "lm_head.weight"),
    ],
    // Causal masks.
    ignored: &["lm_head.", "*.attn.bias", "*.attn.masked_bias"],
    tied: &[("transformer.wte.weight", "lm_head.weight")],
};
