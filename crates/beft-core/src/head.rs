/// The part of a model above its backbone, which computes the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// So many numbers for each input: scores of classes or labels, or one value (HF `…ForSequenceClassification`).
    Sequence(usize),
    /// So many scores for each token (HF `…ForTokenClassification`).
    Tokens(usize),
    /// Two scores for each token: to be the first and the last one of an answer (HF `…ForQuestionAnswering`).
    Spans,
    /// None: the state of the backbone is the output, an embedding (HF `…Model`).
    Embedding(Pooling),
    /// The output head of a causal language model, which scores so many continuations of each input
    /// (HF `…ForCausalLM`).
    CausalLm(usize),
}

/// How the states of all tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The first token's state.
    FirstToken,
    /// The mean over all tokens.
    Mean,
}

/// The kinds of heads, by PEFT's names (`task_type` in adapter_config.json).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TaskType {
    /// [`Head::Sequence`].
    #[default]
    SequenceClassification,
    /// [`Head::Tokens`].
    TokenClassification,
    /// [`Head::Spans`].
    QuestionAnswering,
    /// [`Head::Embedding`].
    FeatureExtraction,
    /// [`Head::CausalLm`].
    CausalLm,
}

impl Head {
    /// Its kind.
    pub const fn task_type(self) -> TaskType {
        match self {
            Self::Sequence(_) => TaskType::SequenceClassification,
            Self::Tokens(_) => TaskType::TokenClassification,
            Self::Spans => TaskType::QuestionAnswering,
            Self::Embedding(_) => TaskType::FeatureExtraction,
            Self::CausalLm(_) => TaskType::CausalLm,
        }
    }

    /// How many numbers it gives for an input or a token; `None` for an embedding.
    pub const fn outputs(self) -> Option<usize> {
        match self {
            Self::Sequence(outputs) | Self::Tokens(outputs) => Some(outputs),
            Self::CausalLm(candidates) => Some(candidates),
            Self::Spans => Some(2),
            Self::Embedding(_) => None,
        }
    }
}

impl TaskType {
    /// Whether such a head has weights of its own, which learn beside the biases.
    pub const fn has_weights(self) -> bool {
        match self {
            Self::SequenceClassification | Self::TokenClassification => true,
            Self::QuestionAnswering => true,
            Self::FeatureExtraction | Self::CausalLm => false,
        }
    }

    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SequenceClassification,
        Self::TokenClassification,
        Self::QuestionAnswering,
        Self::FeatureExtraction,
        Self::CausalLm,
    ];

    /// PEFT's name of it (`peft.TaskType`).
    pub const fn peft_name(self) -> &'static str {
        match self {
            Self::SequenceClassification => "SEQ_CLS",
            Self::TokenClassification => "TOKEN_CLS",
            Self::QuestionAnswering => "QUESTION_ANS",
            Self::FeatureExtraction => "FEATURE_EXTRACTION",
            Self::CausalLm => "CAUSAL_LM",
        }
    }

    /// What the names of HF's classes with such a head end in.
    pub const fn class_suffix(self) -> &'static str {
        match self {
            Self::SequenceClassification => "ForSequenceClassification",
            Self::TokenClassification => "ForTokenClassification",
            Self::QuestionAnswering => "ForQuestionAnswering",
            Self::FeatureExtraction => "Model",
            Self::CausalLm => "ForCausalLM",
        }
    }

    /// The modules that PEFT takes for the head and saves whole (`classifier_module_names` and `qa_module_names` in
    /// `peft_model.py`).
    pub const fn head_modules(self) -> &'static [&'static str] {
        match self {
            Self::SequenceClassification | Self::TokenClassification => &["classifier", "score"],
            Self::QuestionAnswering => &["qa_outputs"],
            Self::FeatureExtraction | Self::CausalLm => &[],
        }
    }

    /// Finds a kind by PEFT's name.
    pub fn of_peft(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.peft_name() == name)
    }

    /// Finds a kind by the name of an HF class of the model.
    pub fn of_class(name: &str) -> Option<Self> {
        match name.ends_with("LMHeadModel") {
            true => Some(Self::CausalLm),
            false => Self::ALL
                .into_iter()
                .find(|kind| name.ends_with(kind.class_suffix())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_the_names_of_others() {
        for kind in TaskType::ALL {
            assert_eq!(TaskType::of_peft(kind.peft_name()), Some(kind));
            let class = format!("Bert{}", kind.class_suffix());
            assert_eq!(TaskType::of_class(&class), Some(kind));
        }
        assert_eq!(
            TaskType::of_class("GPT2LMHeadModel"),
            Some(TaskType::CausalLm)
        );
        assert_eq!(TaskType::of_class("BertForMaskedLM"), None);
        assert_eq!(TaskType::of_peft("SEQ_2_SEQ_LM"), None);
    }
}
