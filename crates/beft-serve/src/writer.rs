//! The thread that writes texts, token by token, all that are asked for in one batch.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use beft::{Base, Error, LanguageModel, Member, Prompt, TextDelta, TextGenerator, TextOptions};
use metrics::{counter, gauge};
use tokio::sync::mpsc::UnboundedSender;

use crate::threads::{Shared, Threads};

/// What a text follows.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// A text.
    Text(String),
    /// Tokens.
    Tokens(Vec<u32>),
}

/// What is said of a text on its way.
pub(crate) enum Event {
    /// It began: its prompt as the model reads it, and how many tokens that has.
    Begun {
        /// The text of the prompt.
        text: String,
        /// Its tokens.
        tokens: usize,
    },
    /// It goes on.
    Delta(TextDelta),
    /// It cannot be written.
    Failed(Error),
}

/// A text to write.
pub(crate) struct Task {
    /// Whose biases it has.
    pub(crate) member: Arc<Member>,
    pub(crate) given: Given,
    pub(crate) options: TextOptions,
    /// The number by which `events` tell the text from others of its request.
    pub(crate) number: usize,
    pub(crate) events: UnboundedSender<(usize, Event)>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    closed: bool,
}

type Queue = Shared<State>;

/// Writes texts. It ends when the last handle is dropped.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    worker: Threads,
}

impl Writer {
    pub(crate) fn start(
        (base, model): LanguageModel,
        most: usize,
    ) -> Result<Self, crate::ServeError> {
        // What the model folder asks for and is not implemented is told before anyone asks.
        base.generation()?;
        let queue = Arc::new(Queue::default());
        let own = queue.clone();
        let mut worker = Threads::default();
        worker.spawn("beft-write", move || {
            loop {
                let write = || Desk::new(&base, &model, &own, most).map(|mut desk| desk.work());
                match catch_unwind(AssertUnwindSafe(write)) {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => {
                        tracing::error!(%error, "texts cannot be written");
                        return;
                    }
                    // Whoever waited is told that nothing came; the next ones are served.
                    Err(_) => tracing::error!("the texts in work were lost"),
                }
            }
        })?;
        Ok(Self { queue, worker })
    }

    /// Whether the thread that writes is there.
    pub(crate) fn works(&self) -> bool {
        self.worker.run()
    }

    pub(crate) fn write(&self, tasks: Vec<Task>) {
        self.queue.lock().tasks.extend(tasks);
        self.queue.wake_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.wake_all();
        self.worker.join();
    }
}

/// A text in work.
struct Work {
    number: usize,
    events: UnboundedSender<(usize, Event)>,
    /// Tokens that it may come to have, with its prompt.
    tokens: usize,
}

/// The texts in work.
struct Desk<'a> {
    queue: &'a Queue,
    generator: TextGenerator<'a>,
    works: BTreeMap<beft_decoder::RowId, Work>,
    /// Tokens that the cache holds at most, unless a single text needs more.
    most: usize,
}

impl<'a> Desk<'a> {
    fn new(
        base: &'a Base,
        model: &beft_decoder::DecoderForCausalLM,
        queue: &'a Queue,
        most: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            queue,
            generator: TextGenerator::new(base, model.clone())?,
            works: BTreeMap::new(),
            most,
        })
    }

    /// Writes until the queue is closed and empty.
    fn work(&mut self) {
        while self.take() {
            gauge!("beft_texts_in_work").set(self.works.len() as f64);
            let deltas = match self.generator.step() {
                Ok(deltas) => deltas,
                Err(error) => {
                    // The tokenizer refuses a token of some text.
                    tracing::error!(%error, "the texts in work were lost");
                    let rows: Vec<_> = self.works.keys().copied().collect();
                    rows.into_iter().for_each(|row| self.generator.leave(row));
                    self.works.clear();
                    continue;
                }
            };
            counter!("beft_generated_tokens").increment(deltas.len() as u64);
            for delta in deltas {
                let (row, ended) = (delta.row, delta.finish.is_some());
                let gone = self.works.get(&row).is_none_or(|work| {
                    let event = Event::Delta(delta);
                    work.events.send((work.number, event)).is_err()
                });
                if gone {
                    self.generator.leave(row);
                }
                if gone || ended {
                    self.works.remove(&row);
                }
            }
        }
    }

    /// Takes texts from the queue, as many as there is room for; waits if none is in work. Whether there is work.
    fn take(&mut self) -> bool {
        let queue = self.queue;
        let mut state = queue.lock();
        loop {
            while let Some(task) = state.tasks.front() {
                if task.events.is_closed() {
                    state.tasks.pop_front();
                    continue;
                }
                let held: usize = self.works.values().map(|work| work.tokens).sum();
                let length = match &task.given {
                    // A token is at least a byte of most texts.
                    Given::Text(text) => text.len(),
                    Given::Tokens(ids) => ids.len(),
                };
                let wanted = length + task.options.max_new_tokens;
                if held > 0 && held + wanted > self.most {
                    break;
                }
                let Some(task) = state.tasks.pop_front() else {
                    break;
                };
                drop(state);
                self.join(task);
                state = queue.lock();
            }
            gauge!("beft_texts_queue_size").set(state.tasks.len() as f64);
            if !self.works.is_empty() {
                return true;
            }
            gauge!("beft_texts_in_work").set(0.0);
            if state.closed {
                return false;
            }
            if state.tasks.is_empty() {
                state = queue.wait(state);
            }
        }
    }

    fn join(&mut self, task: Task) {
        let Task {
            member,
            given,
            mut options,
            number,
            events,
        } = task;
        let biases = member.sharing().biases();
        options.biases = (!biases.is_empty()).then(|| biases.clone());
        let prompt = match given {
            Given::Text(text) => self.generator.prompt(&text),
            Given::Tokens(ids) => self.generator.prompt_of_tokens(ids),
        };
        let joined = prompt.and_then(|prompt| {
            let row = self.generator.join(&prompt, &options)?;
            Ok((prompt, row))
        });
        // Nobody hears it where the client is gone; the first token finds that out.
        let _ = match joined {
            Ok((Prompt { ids, text, .. }, row)) => {
                let tokens = ids.len();
                let work = Work {
                    number,
                    events: events.clone(),
                    tokens: tokens + options.max_new_tokens,
                };
                self.works.insert(row, work);
                events.send((number, Event::Begun { text, tokens }))
            }
            Err(error) => events.send((number, Event::Failed(error))),
        };
    }
}
