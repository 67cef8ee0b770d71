use std::path::PathBuf;

use beft_checkpoint::CheckpointError;
use beft_core::{SnapshotError, TaskType, TermSet, TermSetError};
use beft_decoder::{PrefixError, RequestError, SamplingError};
use beft_device::DeviceError;
use beft_encoder::InputError;
use beft_hub::HubError;
use beft_modes::Mode;
use beft_nn::Precision;
use beft_score::{Parts, ScoreError};
use beft_tasks::{DataError, TaskError, TaskKind};
use beft_train::{Failure, TrainError};

use crate::memory::MemoryUse;
use crate::tune::{Difference, explain};

/// Anything that can go wrong between a command and its result. The text is meant for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Model, tokenizer or adapter.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model or data set that cannot be had.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Data files.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Unknown task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Unknown or absent device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A term set that does not fit.
    #[error(transparent)]
    Terms(#[from] TermSetError),
    /// Training that cannot start.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Biases that cannot be compared.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Scores that cannot be computed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Training that diverged; what was good until then is kept.
    #[error("{failure} (what was last good is in {})", .dir.display())]
    Diverged {
        /// Where.
        failure: Failure,
        /// Where the last good adapter or model was saved.
        dir: PathBuf,
    },
    /// Training that diverged before anything good was learned.
    #[error("{0} (nothing was learned until then, so nothing was saved)")]
    NothingGood(Failure),
    /// A text that cannot be generated.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Settings of sampling that make no sense.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// A model or training that does not fit the memory that there is.
    #[error(
        "out of memory: {model} needs {:.1} GB or more for {what}, and {:.1} GB are available: {}",
        *.needed as f64 / 1e9,
        *.available as f64 / 1e9,
        .what.remedy()
    )]
    Memory {
        /// The model.
        model: String,
        /// What it needs memory for.
        what: MemoryUse,
        /// Bytes that it takes at least.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// The training to resume has other settings.
    #[error("{}: {}", .path.display(), explain(.differences, .state))]
    OtherSettings {
        /// Where the other one's settings are.
        path: PathBuf,
        /// Whether that one is `interrupted` or `finished`.
        state: &'static str,
        /// The settings that differ.
        differences: Vec<Difference>,
    },
    /// An output that cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No model of this name.
    #[error(
        "model `{name}` not found: there is no such folder, and as a name on the Hugging Face hub: {source}"
    )]
    NoModel {
        /// The name.
        name: String,
        /// What the hub or its cache said.
        source: HubError,
    },
    /// A model that cannot take a task in this form.
    #[error("{task} is a task of {}", takes.against(.model))]
    OtherForm {
        /// The task.
        task: String,
        /// The model.
        model: String,
        /// The form that the model takes.
        takes: TaskForm,
    },
    /// What a task asks for is not implemented with this architecture.
    #[error("{model}: {class} is not implemented: choose another model for this task")]
    NoClass {
        /// The model.
        model: String,
        /// The class that it would be.
        class: String,
    },
    /// A question that leaves no room for its context.
    #[error(
        "{file}:{line}: the question takes {tokens} tokens with special tokens, and inputs have at most {most}, which \
         leaves no room for its context: shorten the question, or allow longer inputs"
    )]
    LongQuestion {
        /// Its file.
        file: String,
        /// Its line, row or number.
        line: usize,
        /// Its tokens.
        tokens: usize,
        /// How many an input has.
        most: usize,
    },
    /// Nothing to merge.
    #[error("there is no adapter to merge: give one")]
    NothingToMerge,
    /// A base model that the merged model would take the place of.
    #[error("{} is the base model of the adapter: give another output folder", .0.display())]
    IntoBase(PathBuf),
    /// An adapter that cannot become part of its base.
    #[error("adapter {}: it has {what}, so it cannot be merged into its base: use it as an adapter", .adapter.display())]
    Unmergeable {
        /// The adapter.
        adapter: PathBuf,
        /// What it has.
        what: String,
    },
    /// An adapter that cannot share a backbone with others.
    #[error("adapter {}: it cannot share a model with other adapters: {what}; evaluate or predict with it alone, or merge it into its base, and serve the \
             merged model", .adapter.display())]
    Unshareable {
        /// The adapter.
        adapter: PathBuf,
        /// Why not.
        what: String,
    },
    /// An adapter that is not there.
    #[error("there is no adapter `{name}`: {}", known_adapters(.known))]
    NoSuchAdapter {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A row that does not say which adapters are to answer it.
    #[error(
        "the field `adapter` of a row is {given}: name each adapter once, or leave the field out for all adapters"
    )]
    RowAdapters {
        /// What the row has.
        given: String,
    },
    /// An adapter that another one has taken the place of.
    #[error(
        "adapter `{name}` has generation {found}, and not {expected}: it was changed meanwhile; look at it again"
    )]
    OtherGeneration {
        /// Its name.
        name: String,
        /// Its generation; 0 if there is none.
        found: u64,
        /// The generation that was expected.
        expected: u64,
    },
    /// A model that gives something else than embeddings.
    #[error(
        "{model} gives no embeddings, its head does {}: take an adapter of a task of similarities, or the base model alone",
        .does.peft_name()
    )]
    NoEmbeddings {
        /// The model.
        model: String,
        /// What it does.
        does: TaskType,
    },
    /// A model whose head does another task.
    #[error(
        "task {task} needs a head of kind {}, and {model} has one of kind {}: choose a task or a model of the same kind",
        .wants.peft_name(), .does.peft_name()
    )]
    OtherTaskType {
        /// The task.
        task: String,
        /// What it asks for.
        wants: TaskType,
        /// The model.
        model: String,
        /// What it does.
        does: TaskType,
    },
    /// Thresholds for a task that has none.
    #[error(
        "task {task}: thresholds are for tasks in which several labels may hold, or questions may have no answer: leave that out"
    )]
    Thresholds {
        /// The task.
        task: String,
    },
    /// The task that a model carries makes no sense.
    #[error("{}: beft.json: task_definition: {source}", .dir.display())]
    CarriedTask {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// A decoder that does not say what it is to be asked.
    #[error("{model} does not say what it is to be asked")]
    NoTask {
        /// The model.
        model: String,
    },
    /// The task that a model was trained on, which is not known here.
    #[error("{source}; the model was trained on `{task}`")]
    TrainedOn {
        /// The task.
        task: String,
        /// Why it is not known.
        source: Box<Error>,
    },
    /// A task of texts whose likelihood is measured.
    #[error("{task} measures how likely texts are, and asks for no answer: evaluate it instead")]
    NothingToPredict {
        /// The task.
        task: String,
    },
    /// Inputs in the form of another kind of task.
    #[error("{task} takes {}: read the inputs by this task", if *.prompted { "prompts" } else { "texts" })]
    InputForm {
        /// The task.
        task: String,
        /// Whether it takes prompts.
        prompted: bool,
    },
    /// A model that generates no text.
    #[error("{model} is an encoder, which generates no text")]
    NoGeneration {
        /// The model.
        model: String,
    },
    /// A model that is given prompts, not texts.
    #[error("{model} is a decoder: it is given prompts (evaluate_prompts)")]
    TakesPrompts {
        /// The model.
        model: String,
    },
    /// A tokenizer without the special tokens that the model reads.
    #[error(
        "{}/tokenizer.json adds no [CLS] and [SEP] (RoBERTa: <s> and </s>) to texts (its post_processor); the model needs them",
        .dir.display()
    )]
    NoSpecialTokens {
        /// The model's folder.
        dir: PathBuf,
    },
    /// A precision that the device cannot compute in.
    #[error("the device does not support the precision {0}")]
    Precision(Precision),
    /// 8 bits on a device that is no processor.
    #[error(
        "the precision q8 is for processors: choose flex, ndarray or tch, or another precision"
    )]
    Int8Device,
    /// An input that the model cannot take.
    #[error("{model}: input {input}: {source}")]
    Input {
        /// The model.
        model: String,
        /// Its number, from 0.
        input: usize,
        /// What is wrong.
        source: InputError,
    },
    /// Of two splits one has pairs of texts.
    #[error("of {} and {} one has pairs of texts, the other single texts", .train.display(), .dev.display())]
    MixedPairs {
        /// The training file.
        train: PathBuf,
        /// The dev file.
        dev: PathBuf,
    },
    /// A training subset that does not fit its file.
    #[error("{size} training examples do not fit {}: it has {available} examples", .path.display())]
    TrainSize {
        /// The size asked for.
        size: usize,
        /// The training file.
        path: PathBuf,
        /// Its number of examples.
        available: usize,
    },
    /// More worked examples than there are.
    #[error("{asked} worked examples are asked for, there are {available}")]
    Shots {
        /// How many are asked for.
        asked: usize,
        /// How many there are.
        available: usize,
    },
    /// Calibration of what is not chosen among candidates.
    #[error("answers that are generated cannot be calibrated")]
    Calibrated,
    /// Classes that are to count alike, of a training that has none.
    #[error(
        "{0} is trained on the right text, which has no classes to balance: leave `balanced` out"
    )]
    NothingToBalance(String),
    /// Inputs that are too short for a question and an answer.
    #[error(
        "inputs of at most {max_length} tokens leave no room for a question beside an answer of {answer}: lower \
         max_new_tokens, or take a model with more positions"
    )]
    NoRoom {
        /// Longest input in tokens.
        max_length: usize,
        /// Longest answer in tokens.
        answer: usize,
    },
    /// An empty prompt to a model that has no token to begin with.
    #[error(
        "a prompt is empty, and {model} has no bos_token_id or eos_token_id to begin a text with"
    )]
    NoStart {
        /// The model.
        model: String,
    },
    /// Scores that are no numbers.
    #[error(
        "{model} gives scores that are no numbers: its weights, or those of an adapter, are damaged or too large for the precision"
    )]
    NotFinite {
        /// The model.
        model: String,
    },
    /// A model trained on pairs that is given single texts, or the other way round.
    #[error(
        "the model was trained on {}",
        match .trained {
            true => "pairs of texts, and these are single texts; give a file with both columns (text, text_pair)",
            false => "single texts, and these are pairs; leave out the second column",
        }
    )]
    Pairs {
        /// Whether it was trained on pairs.
        trained: bool,
    },
    /// A task that asks for something else than the model's outputs.
    #[error(
        "task {task} asks for {}, and the model gives something else: give a model that was trained on such a task",
        match .kind {
            TaskKind::Classification => "one of several classes",
            TaskKind::MultiLabel => "any number of labels (problem_type multi_label_classification)",
            TaskKind::TokenClassification => "a tag for each word (*ForTokenClassification)",
            TaskKind::Regression => "a number",
            TaskKind::QuestionAnswering => "a part of a context (a head for question answering)",
            TaskKind::Similarity | TaskKind::Ranking => "embeddings",
        }
    )]
    OtherOutput {
        /// The task.
        task: String,
        /// What the task asks for.
        kind: TaskKind,
    },
    /// Examples to evaluate on that have no labels.
    #[error("{}: some examples have no label: give a file with a label in every row", .path.display())]
    NoLabels {
        /// The file.
        path: PathBuf,
    },
    /// Labels of data and of a model that do not go together.
    #[error("{} was read with the labels {labels:?}, the model has {model:?}: read it with those of the model", .path.display())]
    ReadWithOthers {
        /// The file.
        path: PathBuf,
        /// Its labels.
        labels: Vec<String>,
        /// The model's.
        model: Vec<String>,
    },
    /// An adapter that was trained with other labels than the task has.
    #[error(
        "the adapter was trained with the labels {model:?}, the task has {task:?}: use the task that it was trained on"
    )]
    OtherLabels {
        /// The adapter's.
        model: Vec<String>,
        /// The task's.
        task: Vec<String>,
    },
    /// An adapter that was trained with another prompt.
    #[error("the adapter was trained with another prompt ({model:?}) than that of task {task}")]
    OtherPrompt {
        /// The adapter's prompt.
        model: String,
        /// The task, with its prompt.
        task: String,
    },
    /// Neither an adapter nor a model.
    #[error("there is neither an adapter nor a tuned model to open")]
    NothingToOpen,
    /// An adapter that does not name its base model.
    #[error("the adapter {} does not name its base model (base_model_name_or_path)", .adapter.display())]
    NoBaseName {
        /// The adapter's folder.
        adapter: PathBuf,
    },
    /// The base model that an adapter names cannot be opened.
    #[error("the adapter {} names `{name}` as its base model: {source}", .adapter.display())]
    NamedBase {
        /// The adapter's folder.
        adapter: PathBuf,
        /// The name.
        name: String,
        /// Why.
        source: Box<Error>,
    },
    /// An adapter that cannot be used on its base model.
    #[error("adapter {}: {problem}", .adapter.display())]
    Adapter {
        /// The adapter's folder.
        adapter: PathBuf,
        /// What is wrong.
        problem: AdapterProblem,
    },
    /// A model whose config.json has another number of classes than its head.
    #[error(
        "{}: {problem}: config.json says that there are {classes} classes (id2label, num_labels); correct it",
        .dir.display()
    )]
    OtherClasses {
        /// The model's folder.
        dir: PathBuf,
        /// The tensor that does not fit.
        problem: String,
        /// Number of classes in config.json.
        classes: usize,
    },
    /// A model without a trained head.
    #[error("{} has no trained head: {} missing", .dir.display(), .missing.join(", "))]
    NoHead {
        /// The model's folder.
        dir: PathBuf,
        /// The tensors that are missing.
        missing: Vec<String>,
    },
    /// A beft.json that makes no sense.
    #[error(
        "{whose}: {reason}: the file was changed, or is another adapter's; copy the adapter again, or train it again"
    )]
    Sidecar {
        /// The file.
        whose: String,
        /// What is wrong.
        reason: String,
    },
    /// A task whose data the hub does not have.
    #[error("task {task} has no data set on the hub")]
    NoHubData {
        /// The task.
        task: String,
    },
    /// A mode whose memory is not planned.
    #[error("memory is planned for trainings of biases alone, such as v or all, and not for {0}")]
    PlanOfMode(Mode),
    /// A term set that names what the model does not have.
    #[error("{model}: {source}")]
    TermsOf {
        /// The model as the user named it.
        model: String,
        /// What it does not have.
        source: TermSetError,
    },
    /// A mode that does not suit the model or the task.
    #[error("mode {mode} of {model}: {reason}")]
    Mode {
        /// The mode.
        mode: Mode,
        /// The model as the user named it.
        model: String,
        /// Why not.
        reason: &'static str,
    },
    /// Lengths to plan for that the model cannot take.
    #[error(
        "an input of {length} tokens, of which {predicted} are predicted, does not fit: the model takes at most {most} tokens, and \
         predicts fewer than it is given"
    )]
    PlanLength {
        /// Tokens of an input.
        length: usize,
        /// How many of them are predicted.
        predicted: usize,
        /// How many the model takes.
        most: usize,
    },
    /// A number of predicted tokens of a model that predicts none.
    #[error("an encoder predicts no tokens")]
    PlanPredicted,
    /// A scorer that compares before and after, without a training.
    #[error("the scorer {0} needs a trained run")]
    NeedsTraining(&'static str),
    /// A budget that nothing fits into.
    #[error(
        "a budget of {values} values is too small: the smallest part that can be trained has {smallest}"
    )]
    Budget {
        /// The budget.
        values: usize,
        /// The smallest part.
        smallest: usize,
        /// What it is spent on.
        parts: Parts,
    },
    /// A budget without candidates.
    #[error(
        "there is nothing to spend a budget on: no bias that can change the result has a score above 0"
    )]
    NothingToSpendOn,
    /// A budget of terms, and terms of single layers.
    #[error("`{0}` names single layers, and the budget is spent on terms in every layer")]
    BudgetOfLayers(TermSet),
    /// Scores of parts of biases, or of biases outside the layers.
    #[error(
        "`{0}` names heads or a bias outside the layers, and whole biases of layers are scored: name terms, or terms of \
         layers, alone"
    )]
    NotScored(TermSet),
    /// Candidates that cannot be ranked.
    #[error("none of the candidate terms has a score: every bias is zero")]
    NothingRanked,
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The two forms of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskForm {
    /// Labelled texts, for encoders and decoders with a head.
    Texts,
    /// Prompts, for causal language models.
    Prompts,
}

impl TaskForm {
    /// What the other form is, and that `model` needs this one.
    fn against(self, model: &str) -> String {
        match self {
            Self::Texts => {
                format!("prompts, and {model} is an encoder: it needs a task of labelled texts")
            }
            Self::Prompts => {
                format!(
                    "labelled texts, and {model} is a causal language model: take a task of prompts, or train a head \
                     for this one"
                )
            }
        }
    }
}

/// Why an adapter cannot be used on its base model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterProblem {
    /// A head for a model that predicts tokens.
    #[error(
        "tensor `{tensor}` is of a head, and task_type says that the model is a causal language model: give task_type \
         SEQ_CLS in adapter_config.json, or take the model that it was trained on"
    )]
    HeadOnLanguageModel {
        /// The tensor.
        tensor: String,
    },
    /// A head that is not implemented for the base's architecture.
    #[error(
        "its task_type asks for {class}, which is not implemented: give the task_type that it was trained with in \
         adapter_config.json, or take the model that it was trained on"
    )]
    NoClass {
        /// The class that the model would be.
        class: String,
    },
    /// No head anywhere.
    #[error("neither it nor its base has a trained classification head ({} missing)", .missing.join(", "))]
    NoHead {
        /// The tensors that are missing.
        missing: Vec<String>,
    },
    /// A prefix that does not fit.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A prefix for a model with a head.
    #[error(
        "prefix tuning of a model with a head is not implemented: take a causal language model"
    )]
    OtherPrefix,
}

fn known_adapters(known: &[String]) -> String {
    match known {
        [] => "none is loaded".to_owned(),
        _ => format!("choose one of {}", known.join(", ")),
    }
}
