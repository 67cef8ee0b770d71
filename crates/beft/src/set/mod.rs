//! Adapters over one frozen backbone.

mod bases;
mod member;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use beft_core::{Encoding, TaskType};
use beft_decoder::DecoderForCausalLM;
use beft_eval::{SharedInput, Sharing, predict_shared};
use beft_nn::{DeviceTraits, Savings, Worker};
use beft_tasks::TaskInput;
use burn::tensor::Device;

use self::bases::Bases;
pub use self::member::Member;
use crate::base::InputCounts;
use crate::tuned::EVAL_BATCH;
use crate::{Answer, Base, Error, InferencePrecision, Model};

/// Adapters over one frozen backbone, each with its own biases, head and labels. They can be loaded, replaced and
/// dropped while others compute. Rows of different adapters are computed as one batch.
///
/// # Examples
///
/// ```no_run
/// use beft::{AdapterSet, InferencePrecision};
///
/// # fn main() -> Result<(), beft::Error> {
/// let set = AdapterSet::open("MODEL", &Default::default(), InferencePrecision::default())?;
/// set.load("mood", "mood/adapter".as_ref())?;
/// set.load("topic", "topic/adapter".as_ref())?;
/// let text = "a warm , funny film".into();
/// for answer in set.predict(&[("mood", &text), ("topic", &text)])?.answers {
///     println!("{}", answer.text());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AdapterSet {
    bases: Bases,
    members: RwLock<BTreeMap<String, Arc<Member>>>,
    loads: AtomicU64,
}

/// Answers to rows, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct SetAnswers {
    /// One for each row.
    pub answers: Vec<Answer>,
    /// How the rows fit the model.
    pub counts: InputCounts,
}

/// A base with its language model.
pub type LanguageModel = (Arc<Base>, DecoderForCausalLM);

/// An input of one of the adapters, in tokens.
pub type MemberInput<'a> = (&'a Arc<Member>, &'a Encoding);

impl AdapterSet {
    /// Opens a base model by folder or name. There are no adapters yet.
    ///
    /// # Errors
    ///
    /// As [`Base::open`](crate::Base::open); when the device cannot compute in this precision.
    pub fn open(
        model: &str,
        device: &Device,
        precision: InferencePrecision,
    ) -> Result<Self, Error> {
        Ok(Self {
            bases: Bases::open(model, device, precision)?,
            members: RwLock::default(),
            loads: AtomicU64::new(0),
        })
    }

    /// The name of the base model.
    pub fn model(&self) -> &str {
        self.bases.model()
    }

    /// What the user should hear about the base's files.
    pub fn notes(&self) -> Vec<String> {
        self.bases.notes()
    }

    /// What the base is for.
    pub fn task_type(&self) -> TaskType {
        self.bases.own().task_type()
    }

    /// The base as a language model, which writes text with the biases of any adapter ([`Sharing::biases`]). `None` where it
    /// is none, or has a head of its own.
    ///
    /// # Errors
    ///
    /// For missing, misshapen or unreadable tensors.
    pub fn language_model(&self) -> Result<Option<LanguageModel>, Error> {
        let base = self.bases.own();
        if base.task_type() != TaskType::CausalLm {
            return Ok(None);
        }
        let (model, _) = base.model(1, 0)?;
        Ok(model.into_generator().map(|model| (base, model)))
    }

    /// Threads to [`compute`] on beside one another: together they use the device best.
    pub fn workers(&self) -> Vec<Worker> {
        Worker::all(self.bases.device())
    }

    /// Tokens that one of the [`workers`](Self::workers) computes best at a time.
    pub fn tokens_at_a_time(&self) -> usize {
        DeviceTraits::of(self.bases.device()).rows_per_pass()
    }

    /// Longest input of the base in tokens.
    pub fn max_length(&self) -> usize {
        self.bases.max_length()
    }

    /// Loads an adapter under a name. One that has this name is replaced; what is computed with it meanwhile is finished
    /// with it.
    ///
    /// # Errors
    ///
    /// When the adapter cannot be read, or cannot share the backbone: it changes weights (LoRA), puts keys and values in
    /// front of inputs, or was trained on another model. The others are as before.
    pub fn load(&self, name: &str, dir: &Path) -> Result<Arc<Member>, Error> {
        self.load_over(name, dir, None)
    }

    /// The same, if the adapter of this name has the generation `expected`; 0 if there is to be none.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); and when there is another generation.
    pub fn load_over(
        &self,
        name: &str,
        dir: &Path,
        expected: Option<u64>,
    ) -> Result<Arc<Member>, Error> {
        // What is sure to fail need not be loaded.
        self.check_generation(name, self.generation(name), expected)?;
        let generation = self.loads.fetch_add(1, Ordering::Relaxed) + 1;
        let member = Arc::new(Member::load(&self.bases, name, dir, generation)?);
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        let found = members.get(name).map_or(0, |member| member.generation());
        self.check_generation(name, found, expected)?;
        members.insert(name.to_owned(), member.clone());
        Ok(member)
    }

    /// Adds the base model as it is: with the head that its files hold, or as a language model.
    ///
    /// # Errors
    ///
    /// When it has no head.
    pub fn add_base(&self, name: &str) -> Result<Arc<Member>, Error> {
        let generation = self.loads.fetch_add(1, Ordering::Relaxed) + 1;
        let member = Arc::new(Member::of_base(&self.bases, name, generation)?);
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.insert(name.to_owned(), member.clone());
        Ok(member)
    }

    /// Drops an adapter, and gives it; what is computed with it meanwhile is finished.
    ///
    /// # Errors
    ///
    /// When there is none of this name, or it has another generation than `expected`.
    pub fn remove(&self, name: &str, expected: Option<u64>) -> Result<Arc<Member>, Error> {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        let found = members.get(name).map_or(0, |member| member.generation());
        let known = || members.keys().cloned().collect();
        if found == 0 {
            return Err(no_such(name, known()));
        }
        self.check_generation(name, found, expected)?;
        let removed = members.remove(name);
        removed.ok_or_else(|| no_such(name, Vec::new()))
    }

    /// The adapter of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<Arc<Member>, Error> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let found = members.get(name).cloned();
        found.ok_or_else(|| no_such(name, members.keys().cloned().collect()))
    }

    /// All adapters, by name.
    pub fn members(&self) -> Vec<Arc<Member>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.values().cloned().collect()
    }

    fn generation(&self, name: &str) -> u64 {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(name).map_or(0, |member| member.generation())
    }

    fn check_generation(&self, name: &str, found: u64, expected: Option<u64>) -> Result<(), Error> {
        match expected {
            Some(expected) if expected != found => Err(Error::OtherGeneration {
                name: name.to_owned(),
                found,
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// Answers rows, each by the adapter that it names, in one batch.
    ///
    /// # Errors
    ///
    /// When there is no such adapter, a row is of another form than in its training, tokenising fails, or numbers are
    /// not finite.
    pub fn predict(&self, rows: &[(&str, &TaskInput)]) -> Result<SetAnswers, Error> {
        let mut of_members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, (name, _)) in rows.iter().enumerate() {
            of_members.entry(name).or_default().push(row);
        }
        let mut parts = Vec::with_capacity(of_members.len());
        for (name, own) in of_members {
            let member = self.get(name)?;
            let inputs: Vec<&TaskInput> = own.iter().map(|row| rows[*row].1).collect();
            let prepared = member.predictor()?.prepare(&inputs)?;
            parts.push((member, own, prepared));
        }
        let inputs = parts.iter().flat_map(|(member, _, prepared)| {
            let encodings = prepared.encodings().iter();
            encodings.map(move |encoding| (member, encoding))
        });
        let mut numbers = compute(&inputs.collect::<Vec<_>>()).into_iter();
        let mut answers: Vec<Option<Answer>> = vec![None; rows.len()];
        let mut counts = InputCounts::default();
        for (member, own, prepared) in parts {
            let given = numbers.by_ref().take(prepared.encodings().len()).collect();
            let found = member.predictor()?.finish(prepared, given)?;
            counts += found.counts;
            for (row, answer) in own.into_iter().zip(found.answers) {
                answers[row] = Some(answer);
            }
        }
        Ok(SetAnswers {
            answers: answers.into_iter().flatten().collect(),
            counts,
        })
    }
}

/// Computes the numbers of inputs of any adapters of one set, in one batch where their heads allow it.
pub fn compute(inputs: &[MemberInput<'_>]) -> Vec<Vec<f32>> {
    let mut models: Vec<&Arc<Member>> = Vec::new();
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    let inputs = inputs.iter().map(|(member, encoding)| SharedInput {
        encoding,
        model: *places.entry(member.generation()).or_insert_with(|| {
            models.push(member);
            models.len() - 1
        }),
    });
    let inputs: Vec<SharedInput<'_>> = inputs.collect();
    let sharing: Vec<&Sharing<Model>> = models.iter().map(|member| member.sharing()).collect();
    predict_shared(&sharing, &inputs, EVAL_BATCH, Savings::default())
}

fn no_such(name: &str, known: Vec<String>) -> Error {
    Error::NoSuchAdapter {
        name: name.to_owned(),
        known,
    }
}
