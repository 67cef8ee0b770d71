use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use beft_core::{TaskType, TermSet};
use beft_score::ScorerKind;
use beft_tasks::Regime;
use beft_train::Evaluate;
use burn::tensor::Device;
use serde::Deserialize;

use crate::error::MOST_EPOCHS;
use crate::mode_list::ModeList;
use crate::{CompareError, Trial, TrialMode};
use beft::{
    Base, Error, ModelConfig, Objective, TaskForm, check_budget, check_mode, find_data, find_task,
    protocol,
};

/// What to compare, as written in TOML:
///
/// ```toml
/// models = ["models/minilm"]
/// regimes = ["low"]
/// modes = ["frozen", "q", "k", "v", "all", "lora-v", "full"]
/// seeds = [0, 1, 2]
/// scorers = "all"
/// epochs = 8                     # for every task that says no other
///
/// [[tasks]]
/// task = "sst2"
/// data = "data/SST-2"            # relative to this file
///
/// [[tasks]]
/// task = "rte"
/// data = "data/RTE"
/// epochs = 10
/// train_size = 300               # instead of the regime's
///
/// [mode.full]
/// lr = 2e-5
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareSpec {
    /// Models by path or name.
    pub models: Vec<String>,
    /// Tasks with their data.
    pub tasks: Vec<TaskSpec>,
    /// Sizes of the training subset.
    #[serde(default = "low")]
    pub regimes: Vec<String>,
    /// What is trained: modes; `terms` for each bias term alone, `sites` for each bias term of each layer alone.
    pub modes: Vec<String>,
    /// Seeds.
    #[serde(default = "first_seed")]
    pub seeds: Vec<u32>,
    /// Scores to compute where all biases are trained; without it all of them.
    pub scorers: Option<String>,
    /// Passes over the training examples, instead of the tasks' own.
    pub epochs: Option<usize>,
    /// Learning rate, instead of the tasks' own.
    pub lr: Option<f64>,
    /// Examples per step, instead of the tasks' own.
    pub batch_size: Option<usize>,
    /// After which epochs a training is evaluated: `each`, `last`, or a number N for each Nth and the last one.
    #[serde(default)]
    pub evaluate: Evaluate,
    /// What decoders learn by: `task` or `text`.
    #[serde(default)]
    pub objective: Objective,
    /// Whether decoders get a head and read the tasks' texts, although the tasks have prompts.
    #[serde(default)]
    pub head: bool,
    /// Settings of single modes; they come first.
    #[serde(default)]
    pub mode: BTreeMap<String, Overrides>,
}

/// A task with its data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// Name, or path of a TOML file.
    pub task: String,
    /// Folder with the train and dev files; without it the task's data set on the hub.
    pub data: Option<PathBuf>,
    /// Number of training examples, instead of the regime's.
    pub train_size: Option<usize>,
    /// Passes over the training examples.
    pub epochs: Option<usize>,
    /// Learning rate.
    pub lr: Option<f64>,
}

/// Settings of a mode.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Passes over the training examples.
    pub epochs: Option<usize>,
    /// Learning rate.
    pub lr: Option<f64>,
}

fn low() -> Vec<String> {
    vec![Regime::Low.to_string()]
}

fn first_seed() -> Vec<u32> {
    vec![0]
}

impl CompareSpec {
    /// Reads a TOML file; paths in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or holds something else; file and line are named.
    pub fn read(path: &Path) -> Result<Self, CompareError> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut spec: Self = toml::from_str(&text).map_err(|source| CompareError::Toml {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = |name: &str| folder.join(name);
        for task in &mut spec.tasks {
            task.data = task.data.as_ref().map(|data| folder.join(data));
            if task.task.ends_with(".toml") {
                task.task = beside(&task.task).display().to_string();
            }
        }
        for model in &mut spec.models {
            if beside(model).is_dir() {
                *model = beside(model).display().to_string();
            }
        }
        Ok(spec)
    }

    /// Every trial, in the order of models, tasks, regimes, seeds, modes. `device` and `precision` are
    /// as the user writes them; `limit` is for the dev splits.
    ///
    /// # Errors
    ///
    /// When something is named that there is not, or a list is empty.
    pub fn trials(
        &self,
        device: &str,
        precision: &str,
        limit: Option<usize>,
    ) -> Result<Vec<Trial>, CompareError> {
        let lists = self
            .modes
            .iter()
            .map(|mode| mode.parse::<ModeList>())
            .collect::<Result<Vec<_>, _>>()?;
        let scorers = ScorerKind::parse_list(self.scorers.as_deref().unwrap_or("all"))?;
        let scored = |list: &ModeList| matches!(list, ModeList::One(mode) if mode.trains_all());
        if self.scorers.is_some() && !lists.iter().any(scored) {
            return Err(CompareError::NothingScored);
        }
        self.check_once(&lists)?;
        let mut settings = BTreeMap::new();
        for (name, overrides) in &self.mode {
            let list: ModeList = name.parse().map_err(|source| CompareError::ModeSettings {
                name: name.clone(),
                source: Box::new(source),
            })?;
            if !lists.contains(&list) {
                return Err(CompareError::OtherMode(name.clone()));
            }
            if settings.insert(list.to_string(), *overrides).is_some() {
                return Err(CompareError::Twice("mode's settings", list.to_string()));
            }
        }
        let regimes = self
            .regimes
            .iter()
            .map(|regime| regime.parse::<Regime>())
            .collect::<Result<Vec<_>, _>>()?;
        let empty = [
            ("models", self.models.is_empty()),
            ("tasks", self.tasks.is_empty()),
            ("regimes", regimes.is_empty()),
            ("modes", lists.is_empty()),
            ("seeds", self.seeds.is_empty()),
        ];
        if let Some((what, _)) = empty.iter().find(|(_, empty)| *empty) {
            return Err(CompareError::Nothing(what));
        }

        // Whether there is a decoder, and one that is asked prompts.
        let (mut decodes, mut prompted) = (false, false);
        let mut trials = Vec::new();
        let mut names: BTreeMap<(&String, String), PathBuf> = BTreeMap::new();
        for model in &self.models {
            // The device decides nothing here: only config and tokenizer are read.
            let opened = || Base::open(model, None, &Device::default());
            for spec in &self.tasks {
                let task = find_task(model, &spec.task, self.head.then_some(TaskForm::Texts))?;
                let base = opened()?.for_task(&task)?;
                decodes |= matches!(base.config(), ModelConfig::Decoder(_));
                prompted |= base.task_type() == TaskType::CausalLm;
                let modes = lists.iter().flat_map(|list| {
                    let named = |mode| (list.to_string(), mode);
                    list.modes(&base).into_iter().map(named)
                });
                let modes: Vec<(String, TrialMode)> = modes.collect();
                for (_, mode) in &modes {
                    if let TrialMode::Budget(budget) = mode {
                        let all = TermSet::all();
                        check_budget(base.config(), &all, budget.values, budget.parts)?;
                    }
                }
                let data = match &spec.data {
                    Some(data) => data.clone(),
                    None => find_data(&task, &mut |_| ())?,
                };
                let known = names
                    .entry((model, task.name.clone()))
                    .or_insert_with(|| data.clone());
                if *known != data {
                    return Err(CompareError::TaskTwice {
                        task: task.name.clone(),
                        data: Box::new((known.clone(), data)),
                    });
                }
                for (_, mode) in &modes {
                    check_mode(&base, &task, &mode.settings())?;
                }
                for regime in &regimes {
                    let train_size = match spec.train_size {
                        Some(size) => Some(size),
                        None if *regime == Regime::Low => task.defaults.train_size,
                        None => Some(task.regime_size(*regime).map_err(Error::from)?),
                    };
                    for seed in &self.seeds {
                        for (list, mode) in &modes {
                            let defaults = protocol(&task, &mode.settings(), &base, *seed);
                            let own = settings.get(list).copied().unwrap_or_default();
                            // The rate of a task is one for biases; full fine-tuning has its own.
                            let lr = match mode.settings().learning_rate() {
                                Some(_) => None,
                                None => spec.lr.or(self.lr),
                            };
                            let trial = Trial {
                                model: model.clone(),
                                task: spec.task.clone(),
                                data: data.clone(),
                                regime: regime.to_string(),
                                train_size,
                                mode: mode.to_string(),
                                seed: *seed,
                                epochs: own
                                    .epochs
                                    .or(spec.epochs)
                                    .or(self.epochs)
                                    .unwrap_or(defaults.epochs),
                                learning_rate: own.lr.or(lr).unwrap_or(defaults.learning_rate),
                                batch_size: self.batch_size.unwrap_or(defaults.batch_size),
                                scorers: match mode.trains_all() {
                                    true => scorers.iter().map(ToString::to_string).collect(),
                                    // Nothing is scored there.
                                    false => Vec::new(),
                                },
                                device: device.to_owned(),
                                precision: precision.to_owned(),
                                limit,
                                objective: self.objective,
                                head: self.head,
                                evaluate: self.evaluate,
                            };
                            if !(1..=MOST_EPOCHS).contains(&trial.epochs) {
                                return Err(CompareError::Epochs(trial.epochs));
                            }
                            let lr = trial.learning_rate;
                            if !(lr.is_finite() && lr > 0.0) {
                                return Err(CompareError::LearningRate(lr));
                            }
                            // `terms` and `v` both list `v`: it is one training, with one place in the journal.
                            if !trials.contains(&trial) {
                                trials.push(trial);
                            }
                        }
                    }
                }
            }
        }
        if self.head && !decodes {
            return Err(CompareError::HeadOfEncoders);
        }
        if self.objective != Objective::default() && !prompted {
            return Err(CompareError::NoPrompts);
        }
        Ok(trials)
    }

    /// Refuses lists that have something twice, which would be trained once.
    fn check_once(&self, modes: &[ModeList]) -> Result<(), CompareError> {
        let tasks = self.tasks.iter().map(|task| match &task.data {
            Some(data) => format!("{} with {}", task.task, data.display()),
            None => task.task.clone(),
        });
        let tasks: Vec<String> = tasks.collect();
        // A folder may be written in several ways; a name may be no folder.
        let models = self
            .models
            .iter()
            .map(|model| match fs::canonicalize(model) {
                Ok(folder) => folder.display().to_string(),
                Err(_) => model.trim_end_matches('/').to_owned(),
            });
        once("models", &models.collect::<Vec<_>>())?;
        once("tasks", &tasks)?;
        once("regimes", &self.regimes)?;
        once("modes", modes)?;
        once("seeds", &self.seeds)?;
        Ok(())
    }
}

/// Refuses a list that has something twice.
pub(crate) fn once<T: PartialEq + ToString>(
    what: &'static str,
    list: &[T],
) -> Result<(), CompareError> {
    let mut rest = list.iter().enumerate();
    match rest.find(|(place, item)| list[..*place].contains(item)) {
        Some((_, item)) => Err(CompareError::Twice(what, item.to_string())),
        None => Ok(()),
    }
}
