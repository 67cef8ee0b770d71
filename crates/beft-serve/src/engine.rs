//! The queue of inputs, and the threads that compute them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use beft::{AdapterSet, Member, MemberInput, compute};
use beft_core::Encoding;
use metrics::{gauge, histogram};
use tokio::sync::oneshot;

use crate::threads::{Shared, Threads};

/// An input, and the adapter that it is for.
pub(crate) type Input = (Arc<Member>, Encoding);

/// Inputs of one request, or a part of them.
struct Job {
    inputs: Vec<Input>,
    tokens: usize,
    reply: oneshot::Sender<Vec<Vec<f32>>>,
    since: Instant,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Tokens of the jobs.
    tokens: usize,
    /// Workers that wait for jobs.
    idle: usize,
    closed: bool,
}

struct Queue {
    shared: Shared<State>,
    workers: usize,
    /// Tokens that a worker takes while others work.
    at_a_time: usize,
    max_batch_tokens: usize,
}

/// What a worker has taken.
struct Batch {
    jobs: Vec<Job>,
    /// Whether no other worker has anything to do: the work may spread over all threads.
    alone: bool,
}

impl Queue {
    /// Waits for inputs, and takes as many as fit into a batch. `None` when the queue is closed and empty.
    fn take(&self) -> Option<Batch> {
        let mut state = self.shared.lock();
        loop {
            let alone = state.idle + 1 == self.workers;
            let share = match alone {
                true => usize::MAX,
                // What is left is for those that wait, or come in time.
                false => { state.tokens.div_ceil(state.idle + 1) }.min(self.at_a_time),
            };
            let mut taken: Vec<Job> = Vec::new();
            let mut tokens = 0;
            while let Some(job) = state.jobs.front() {
                let sum = tokens + job.tokens;
                let fits = taken.is_empty() || (sum <= self.max_batch_tokens && sum <= share);
                // A client that is gone frees its place.
                if !job.reply.is_closed() && !fits {
                    break;
                }
                let Some(job) = state.jobs.pop_front() else {
                    break;
                };
                state.tokens -= job.tokens;
                if !job.reply.is_closed() {
                    tokens += job.tokens;
                    taken.push(job);
                }
            }
            gauge!("te_queue_size").set(state.jobs.len() as f64);
            if !taken.is_empty() {
                gauge!("te_batch_next_size").set(taken.len() as f64);
                gauge!("te_batch_next_tokens").set(tokens as f64);
                if !state.jobs.is_empty() && state.idle > 0 {
                    self.shared.wake_one();
                }
                return Some(Batch { jobs: taken, alone });
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = self.shared.wait(state);
            state.idle -= 1;
        }
    }
}

/// Computes inputs in the order in which they come, many at a time. It ends when the last handle is dropped.
pub(crate) struct Engine {
    queue: Arc<Queue>,
    workers: Threads,
}

/// The inputs were not computed: the computation failed, and the log says why.
#[derive(Debug)]
pub(crate) struct Failed;

impl Engine {
    pub(crate) fn start(set: &AdapterSet, max_batch_tokens: usize) -> std::io::Result<Self> {
        let workers = set.workers();
        let queue = Arc::new(Queue {
            shared: Shared::default(),
            workers: workers.len(),
            at_a_time: set.tokens_at_a_time(),
            max_batch_tokens,
        });
        let mut engine = Self {
            queue,
            workers: Threads::default(),
        };
        for worker in workers {
            let queue = engine.queue.clone();
            engine.workers.spawn("beft-compute", move || {
                while let Some(Batch { jobs, alone }) = queue.take() {
                    match alone {
                        true => work(jobs),
                        false => worker.run(|| work(jobs)),
                    }
                }
            })?;
        }
        Ok(engine)
    }

    /// Whether the threads that compute are there.
    pub(crate) fn works(&self) -> bool {
        self.workers.run()
    }

    /// Computes the numbers of inputs. Whoever drops this gives up its place in the queue.
    pub(crate) async fn compute(&self, inputs: Vec<Input>) -> Result<Vec<Vec<f32>>, Failed> {
        let mut parts = Vec::new();
        {
            let mut state = self.queue.shared.lock();
            for (inputs, tokens) in self.split(inputs) {
                let (reply, answer) = oneshot::channel();
                state.tokens += tokens;
                state.jobs.push_back(Job {
                    inputs,
                    tokens,
                    reply,
                    since: Instant::now(),
                });
                parts.push(answer);
            }
            gauge!("te_queue_size").set(state.jobs.len() as f64);
        }
        self.queue.shared.wake_one();
        let mut numbers = Vec::new();
        for part in parts {
            numbers.extend(part.await.map_err(|_| Failed)?);
        }
        Ok(numbers)
    }

    /// Parts that fit into a batch each, as far as single inputs do.
    fn split(&self, inputs: Vec<Input>) -> Vec<(Vec<Input>, usize)> {
        let mut parts: Vec<(Vec<Input>, usize)> = Vec::new();
        for input in inputs {
            let tokens = input.1.len();
            match parts.last_mut() {
                Some((part, sum)) if *sum + tokens <= self.queue.max_batch_tokens => {
                    *sum += tokens;
                    part.push(input);
                }
                _ => parts.push((vec![input], tokens)),
            }
        }
        parts
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.shared.lock().closed = true;
        self.queue.shared.wake_all();
        self.workers.join();
    }
}

fn work(jobs: Vec<Job>) {
    let started = Instant::now();
    for job in &jobs {
        let waited = started.duration_since(job.since);
        histogram!("te_request_queue_duration").record(waited.as_secs_f64());
    }
    let inputs = jobs.iter().flat_map(|job| &job.inputs);
    let inputs: Vec<MemberInput<'_>> = inputs.map(|(member, input)| (member, input)).collect();
    let found = catch_unwind(AssertUnwindSafe(|| compute(&inputs)));
    histogram!("te_request_inference_duration").record(started.elapsed().as_secs_f64());
    let Ok(numbers) = found else {
        // Whoever waits for these is told that nothing came.
        tracing::error!(inputs = inputs.len(), "the computation of a batch failed");
        return;
    };
    let mut numbers = numbers.into_iter();
    for job in jobs {
        let own = numbers.by_ref().take(job.inputs.len()).collect();
        // Nobody waits for it where the client is gone.
        let _ = job.reply.send(own);
    }
}
