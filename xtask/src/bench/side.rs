//! Who trains in `cargo xtask bench peers`.

/// Who trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    /// With products in 8 bits in the forward pass.
    OursQ8,
    /// PyTorch as well as a user would write it: PEFT on transformers.
    BestPractice,
    /// The same under torch.compile.
    Compiled,
    /// The same in bfloat16, where the processor multiplies it.
    Bf16,
    /// The published script.
    Authors,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "beft",
            Self::OursQ8 => "beft_q8",
            Self::BestPractice => "best_practice",
            Self::Compiled => "compiled",
            Self::Bf16 => "bf16",
            Self::Authors => "authors_recipe",
        }
    }

    pub(super) fn recipe(self) -> Option<&'static str> {
        match self {
            Self::Ours | Self::OursQ8 => None,
            Self::BestPractice => Some("best-practice"),
            Self::Compiled => Some("compiled"),
            Self::Bf16 => Some("bf16"),
            Self::Authors => Some("authors"),
        }
    }
}

/// Whether the processor multiplies bfloat16; elsewhere autocast is slower than f32.
pub(super) fn multiplies_bf16() -> bool {
    let features = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    features.contains("avx512_bf16") || features.contains("amx_bf16")
}
