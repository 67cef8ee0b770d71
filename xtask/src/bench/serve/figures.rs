//! The figures. Sides of a comparison take turns, and count by their ratio in each round.

use std::fmt;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::Value;

use super::super::peers::number;
use super::machine::{Quiet, resident};
use super::sides::{Places, Server, Side};
use super::{ADAPTERS, Figure, OFFLINE_COPIES, offline_texts};
use crate::execute;

/// Adapters that are more than fits into memory which is there anyway.
const MANY: usize = 576;

/// Adapters that are asked about one text.
const FAN: usize = 16;

/// Connections that keep a server busy.
const CONNECTIONS: &str = "64";

/// Steps of the search for the rate at which a server has a given p99.
const SEARCH: usize = 5;

/// A ratio: one value for each round.
pub(super) struct Row {
    /// What it is stored as; nothing where its value has no better and worse.
    pub(super) key: Option<&'static str>,
    what: String,
    values: Vec<f64>,
    goal: &'static str,
}

impl Row {
    fn new(key: &'static str, what: impl Into<String>, goal: &'static str) -> Self {
        Self {
            key: Some(key),
            what: what.into(),
            values: Vec::new(),
            goal,
        }
    }

    pub(super) fn median(&self) -> f64 {
        median(&self.values)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.values.iter().copied().fold(0.0, f64::max);
        let (what, median, goal) = (&self.what, self.median(), self.goal);
        write!(
            f,
            "| {what} | {median:.2} | {least:.2}, {most:.2} | {goal} |"
        )
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    match sorted.len() {
        0 => f64::NAN,
        len => (middle((len - 1) / 2) + middle(len / 2)) / 2.0,
    }
}

/// What is measured, and how long.
pub(super) struct Figures {
    pub(super) places: Places,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    /// Milliseconds.
    pub(super) p99: f64,
    pub(super) texts: usize,
    pub(super) quiet: Quiet,
}

impl Figures {
    pub(super) fn of(&self, figure: Figure) -> Result<Vec<Row>> {
        match figure {
            Figure::Memory => self.memory(),
            Figure::Offline => self.offline(),
            Figure::Spread => self.spread(),
            Figure::Fan => self.fan(),
            Figure::Latency => self.latency(),
            Figure::Peers => self.peers(),
        }
    }

    fn start(&self, side: Side, adapters: usize) -> Result<Server> {
        Server::start(&self.places, side, adapters)
    }

    /// Requests to a server, in quiet; prints how they went.
    fn load(&self, server: &Server, adapters: usize, ask: &str, how: &[&str]) -> Result<Value> {
        let measured = self.quiet.figure(&[server.id()], || {
            server.load(&self.places, adapters, ask, how)
        })?;
        let found = &measured.value;
        println!(
            "  {}, {adapters} adapters, {ask}, {}: {:.1}/s, p50 {:.1}, p90 {:.1}, p99 {:.1} ms, {} refused, {} errors; others {:.0} %",
            server.side.name(),
            how.join(" "),
            number(found, "per_second"),
            number(found, "p50_ms"),
            number(found, "p90_ms"),
            number(found, "p99_ms"),
            found["refused"],
            found["errors"],
            100.0 * measured.others,
        );
        if found["errors"] != 0 {
            bail!("{} failed: {}", server.side.name(), found["first_error"]);
        }
        Ok(measured.value)
    }

    /// Answers a second while all connections always ask.
    fn throughput(&self, server: &Server, adapters: usize, count: usize) -> Result<f64> {
        let count = count.to_string();
        let how = ["closed", "--connections", CONNECTIONS, "--count", &count];
        let found = self.load(server, adapters, "spread", &how)?;
        Ok(number(&found, "per_second"))
    }

    /// Requests that come independently of answers.
    fn open(&self, server: &Server, adapters: usize, rate: f64) -> Result<Value> {
        let (rate, seconds) = (format!("{rate:.2}"), self.seconds.to_string());
        let how = ["open", "--rate", &rate, "--seconds", &seconds];
        self.load(server, adapters, "spread", &how)
    }

    /// Memory of an added adapter, beside its file.
    fn memory(&self) -> Result<Vec<Row>> {
        println!("memory:");
        let mut row = Row::new(
            "adapter_memory",
            "memory of an added adapter / its file",
            "at most 3",
        );
        let file = self.places.adapter(0).join("adapter_model.safetensors");
        let file = std::fs::metadata(file)?.len() as f64;
        let mut more = Row {
            what: format!("the same, of {MANY} adapters and not {ADAPTERS}"),
            key: None,
            ..Row::new("", "", "at most 3")
        };
        for _ in 0..self.rounds {
            let mut bytes = Vec::new();
            // Few adapters find room in what loading the model left free; many do not.
            for adapters in [1, ADAPTERS, MANY] {
                let server = self.start(Side::Beft, adapters)?;
                let loaded = resident(server.id())?;
                println!("  {adapters} adapters: {:.2} MB", loaded / 1e6);
                bytes.push(loaded);
            }
            let each = |more: usize, from: f64, to: f64| (to - from) / more as f64 / file;
            row.values.push(each(ADAPTERS - 1, bytes[0], bytes[1]));
            more.values.push(each(MANY - ADAPTERS, bytes[1], bytes[2]));
        }
        println!("  {file} bytes in the file of an adapter");
        Ok(vec![row, more])
    }

    /// The server beside `beft predict` of the same texts.
    fn offline(&self) -> Result<Vec<Row>> {
        println!("beside offline:");
        let server = self.start(Side::Beft, 1)?;
        let mut row = Row::new("serve_vs_predict", "throughput / beft predict's", "0.9");
        for _ in 0..self.rounds {
            let offline = self.predict()?;
            let online = self.throughput(&server, 1, OFFLINE_COPIES * self.texts)?;
            row.values.push(online / offline);
        }
        Ok(vec![row])
    }

    /// Texts a second of `beft predict`, without loading.
    fn predict(&self) -> Result<f64> {
        let mut seconds = Vec::new();
        for copies in [1, OFFLINE_COPIES] {
            let measured = self.quiet.figure(&[], || {
                let begun = Instant::now();
                let mut command = Command::new(&self.places.beft);
                command.arg("predict").arg("--model");
                command.arg(&self.places.model).arg("--adapter");
                command.arg(self.places.adapter(0)).arg("--data");
                command
                    .arg(offline_texts(&self.places, copies))
                    .arg("--out");
                command.arg(self.places.work.join("predicted.jsonl"));
                execute(command.stderr(std::process::Stdio::null()))?;
                Ok(begun.elapsed().as_secs_f64())
            })?;
            let others = 100.0 * measured.others;
            let found = measured.value;
            println!(
                "  beft predict, {copies} times the texts: {found:.2} s; others {others:.0} %"
            );
            seconds.push(found);
        }
        Ok(((OFFLINE_COPIES - 1) * self.texts) as f64 / (seconds[1] - seconds[0]))
    }

    /// Requests for many adapters beside requests for one.
    fn spread(&self) -> Result<Vec<Row>> {
        println!("one adapter and many:");
        let server = self.start(Side::Beft, ADAPTERS)?;
        let what = format!("throughput with {ADAPTERS} adapters / with one");
        let mut row = Row::new("many_vs_one_adapter", what, "0.9");
        let count = OFFLINE_COPIES * self.texts;
        for _ in 0..self.rounds {
            let one = self.throughput(&server, 1, count)?;
            let many = self.throughput(&server, ADAPTERS, count)?;
            row.values.push(many / one);
        }
        Ok(vec![row])
    }

    /// One text under several adapters: in one request, in requests one after another, and all at once.
    fn fan(&self) -> Result<Vec<Row>> {
        println!("one text, {FAN} adapters:");
        let server = self.start(Side::Beft, FAN)?;
        let mut one_by_one = Row::new(
            "fan_vs_sequential",
            format!("one text under {FAN} adapters: requests one by one / one request"),
            "3",
        );
        let mut at_once = Row::new(
            "fan_vs_concurrent",
            format!("one text under {FAN} adapters: requests at once / one request"),
            "3",
        );
        let (texts, size) = (128, FAN.to_string());
        for _ in 0..self.rounds {
            let count = texts.to_string();
            let together = ["closed", "--count", &count];
            let together = self.load(&server, FAN, "together", &together)?;
            let requests = (texts * FAN).to_string();
            let sequential = ["closed", "--count", &requests];
            let sequential = self.load(&server, FAN, "each", &sequential)?;
            let concurrent = ["bursts", "--size", &size, "--count", &count];
            let concurrent = self.load(&server, FAN, "each", &concurrent)?;
            let seconds = |found: &Value| number(found, "seconds");
            one_by_one
                .values
                .push(seconds(&sequential) / seconds(&together));
            at_once
                .values
                .push(seconds(&concurrent) / seconds(&together));
        }
        Ok(vec![one_by_one, at_once])
    }

    /// Times of requests at a half and at nine tenths of what the server can answer.
    fn latency(&self) -> Result<Vec<Row>> {
        println!("latency:");
        let server = self.start(Side::Beft, ADAPTERS)?;
        let mut shares = Vec::new();
        for _ in 0..self.rounds {
            let capacity = self.throughput(&server, ADAPTERS, OFFLINE_COPIES * self.texts)?;
            for share in [0.5, 0.9] {
                let found = self.open(&server, ADAPTERS, share * capacity)?;
                shares.push((share, number(&found, "p50_ms"), number(&found, "p99_ms")));
            }
        }
        let mut rows = Vec::new();
        for share in [0.5, 0.9] {
            let of_share = shares.iter().filter(|(own, _, _)| *own == share);
            let (p50, p99): (Vec<f64>, Vec<f64>) = of_share.map(|(_, a, b)| (*a, *b)).unzip();
            for (name, values) in [("p50", p50), ("p99", p99)] {
                rows.push(Row {
                    key: None,
                    what: format!("{name} at {:.0} % of capacity, ms", 100.0 * share),
                    values,
                    goal: "",
                });
            }
        }
        Ok(rows)
    }

    /// Beside servers in Python: the rates at which all have the same p99.
    fn peers(&self) -> Result<Vec<Row>> {
        println!("beside Python, p99 of {} ms:", self.p99);
        let sides = [Side::Beft, Side::OneByOne, Side::Batching];
        let servers = sides.map(|side| self.start(side, ADAPTERS));
        let servers: Vec<Server> = servers.into_iter().collect::<Result<_>>()?;
        self.same_answers(&servers)?;
        let mut rows = vec![
            Row::new(
                "many_vs_one_by_one",
                format!("rate / Python's, one by one, {ADAPTERS} adapters"),
                "3",
            ),
            Row::new(
                "many_vs_batching",
                format!("rate / Python's with batches, {ADAPTERS} adapters"),
                "3",
            ),
            Row::new(
                "one_vs_batching",
                "rate / Python's with batches, one adapter",
                "3",
            ),
        ];
        for _ in 0..self.rounds {
            let ours = self.rate(&servers[0], ADAPTERS)?;
            rows[0]
                .values
                .push(ours / self.rate(&servers[1], ADAPTERS)?);
            rows[1]
                .values
                .push(ours / self.rate(&servers[2], ADAPTERS)?);
            let ours = self.rate(&servers[0], 1)?;
            rows[2].values.push(ours / self.rate(&servers[2], 1)?);
        }
        Ok(rows)
    }

    /// The largest rate found at which a server answers all requests and keeps to the p99.
    fn rate(&self, server: &Server, adapters: usize) -> Result<f64> {
        // What it answers when all ask: about the most that it can.
        let capacity = self.throughput(server, adapters, self.texts)?;
        let (mut least, mut most) = (0.0, 1.2 * capacity);
        let mut rate = 0.9 * capacity;
        for _ in 0..SEARCH {
            let found = self.open(server, adapters, rate)?;
            if found["refused"] == 0 && number(&found, "p99_ms") <= self.p99 {
                least = rate;
            } else {
                most = rate;
            }
            rate = (least + most) / 2.0;
        }
        println!(
            "  {}, {adapters} adapters: {least:.1}/s",
            server.side.name()
        );
        Ok(least)
    }

    /// All servers must say the same before they are compared.
    fn same_answers(&self, servers: &[Server]) -> Result<()> {
        let how = ["answers", "--count", "8"];
        let mut expected: Option<Vec<f64>> = None;
        for server in servers {
            let found = server.load(&self.places, ADAPTERS, "spread", &how)?;
            let found = found["probabilities"].as_array().into_iter().flatten();
            let found: Vec<f64> = found.filter_map(Value::as_f64).collect();
            let expected = expected.get_or_insert_with(|| found.clone());
            let pairs = expected.iter().zip(&found);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("  {} differs by {worst:.1e}", server.side.name());
            if found.is_empty() || found.len() != expected.len() || worst > 1e-4 {
                bail!("{} does not answer as the others do", server.side.name());
            }
        }
        Ok(())
    }
}
