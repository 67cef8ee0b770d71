//! Requests to a server, sent from a process of its own, and how long they take.

mod asked;
mod times;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use self::asked::{Asked, Client, Said, probabilities};
use self::times::{Answer, Times};

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Where the server listens: http://127.0.0.1:8080
    #[arg(long)]
    url: String,
    /// Texts, one a line.
    #[arg(long)]
    texts: PathBuf,
    /// Names of adapters.
    #[arg(long, value_delimiter = ',', required = true)]
    models: Vec<String>,
    /// Which text goes with which adapter.
    #[arg(long, default_value = "spread")]
    ask: Ask,
    #[command(subcommand)]
    arrivals: Arrivals,
}

/// Which text goes with which adapter.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ask {
    /// Each request has the next text and the next adapter.
    Spread,
    /// A text goes to all adapters in turn, in a request each.
    Each,
    /// A text goes to all adapters in one request.
    Together,
}

/// When requests are sent.
#[derive(Debug, Subcommand)]
enum Arrivals {
    /// At moments that do not depend on answers: the time of a request runs from the moment it was to be sent.
    Open(Open),
    /// Each connection sends the next request when it has its answer.
    Closed(Closed),
    /// So many at once, and the next ones when all have their answers; the time is that of all.
    Bursts(Bursts),
    /// One after another; prints the probabilities in the answers.
    Answers(Answers),
}

#[derive(Debug, Args)]
struct Open {
    /// Requests a second.
    #[arg(long)]
    rate: f64,
    #[arg(long)]
    seconds: f64,
    /// Seed of the moments, which are those of a Poisson process.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Args)]
struct Closed {
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests in all.
    #[arg(long)]
    count: usize,
}

#[derive(Debug, Args)]
struct Bursts {
    #[arg(long)]
    size: usize,
    /// Bursts in all.
    #[arg(long)]
    count: usize,
}

#[derive(Debug, Args)]
struct Answers {
    /// Requests in all.
    #[arg(long)]
    count: usize,
}

/// Sends requests; prints how they went as JSON.
pub(crate) fn run(args: &LoadArgs) -> Result<()> {
    let asked = Asked::read(&args.texts, &args.models, args.ask)?;
    let client = Client::new(&args.url);
    // Names that the server does not know, and the like.
    if let Said::Failed(why) = client.send(&asked.body(0)) {
        bail!("the server does not answer: {why}");
    }
    let times = match &args.arrivals {
        Arrivals::Open(open) => open.run(&client, &asked),
        Arrivals::Closed(closed) => closed.run(&client, &asked),
        Arrivals::Bursts(bursts) => bursts.run(&client, &asked),
        Arrivals::Answers(answers) => return answers.run(&client, &asked),
    };
    println!("{}", times.report());
    Ok(())
}

impl Open {
    fn run(&self, client: &Client, asked: &Asked) -> Times {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let started = Instant::now();
        let mut times = Times::default();
        thread::scope(|scope| {
            let mut due = Duration::ZERO;
            let mut sent = Vec::new();
            while due.as_secs_f64() < self.seconds {
                let body = asked.body(sent.len());
                let arrival = started + due;
                thread::sleep(arrival.saturating_duration_since(Instant::now()));
                // A thread for each request: none waits for another's answer.
                sent.push(scope.spawn(move || Answer::since(arrival, client.send(&body))));
                // The time to the next arrival of a Poisson process.
                let share: f64 = random.random();
                due += Duration::from_secs_f64(-(1.0 - share).ln() / self.rate);
            }
            for answer in sent.into_iter().filter_map(|thread| thread.join().ok()) {
                times.add(answer);
            }
        });
        times.ended(started.elapsed());
        times
    }
}

impl Closed {
    fn run(&self, client: &Client, asked: &Asked) -> Times {
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        let mut times = Times::default();
        let connection = || {
            let mut own = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.count {
                    return own;
                }
                let body = asked.body(number);
                let sent = Instant::now();
                own.push(Answer::since(sent, client.send(&body)));
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = { 0..self.connections }
                .map(|_| scope.spawn(connection))
                .collect();
            for own in threads.into_iter().filter_map(|thread| thread.join().ok()) {
                own.into_iter().for_each(|answer| times.add(answer));
            }
        });
        times.ended(started.elapsed());
        times
    }
}

impl Answers {
    fn run(&self, client: &Client, asked: &Asked) -> Result<()> {
        let mut all = Vec::new();
        for number in 0..self.count {
            match client.send(&asked.body(number)) {
                Said::Answer(text) => all.extend(probabilities(&text)?),
                Said::Refused => bail!("request {number} was refused"),
                Said::Failed(why) => bail!("request {number} failed: {why}"),
            }
        }
        println!("{}", json!({"probabilities": all}));
        Ok(())
    }
}

impl Bursts {
    fn run(&self, client: &Client, asked: &Asked) -> Times {
        let started = Instant::now();
        let mut times = Times::default();
        for burst in 0..self.count {
            let sent = Instant::now();
            let answers: Vec<Said> = thread::scope(|scope| {
                let numbers = burst * self.size..(burst + 1) * self.size;
                let threads: Vec<_> = numbers
                    .map(|number| scope.spawn(move || client.send(&asked.body(number))))
                    .collect();
                let joined = threads.into_iter().map(|thread| thread.join());
                joined.filter_map(Result::ok).collect()
            });
            let worst = { answers.into_iter() }.find(|said| !matches!(said, Said::Answer(_)));
            times.add(Answer::since(
                sent,
                worst.unwrap_or_else(|| Said::Answer(String::new())),
            ));
        }
        times.ended(started.elapsed());
        times
    }
}
