//! What else runs on this machine: figures are made when it is little.

use std::cell::Cell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Others may use this share of the processors during a figure.
const QUIET: f64 = 0.1;

/// A figure, and the share of the processors that other processes had meanwhile.
pub(super) struct Measured<T> {
    pub(super) value: T,
    pub(super) others: f64,
}

/// Processor time, in the system's ticks.
struct Ticks {
    busy: u64,
    all: u64,
    ours: u64,
}

impl Ticks {
    /// `servers` are processes that are ours and still run; those that ended are counted with this one.
    fn now(servers: &[u32]) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("this benchmark needs Linux")?;
        let first = stat.lines().next().unwrap_or_default();
        let fields: Vec<u64> = { first.split_whitespace().skip(1) }
            .filter_map(|field| field.parse().ok())
            .collect();
        // The fourth and fifth are idle time; guests' time, behind the eighth, is in the others already.
        let all = fields.iter().take(8).sum();
        let idle: u64 = fields.iter().skip(3).take(2).sum();
        let mut ours = of_process("self", 2..6)?;
        for server in servers {
            ours += of_process(&server.to_string(), 2..4)?;
        }
        Ok(Self {
            busy: all - idle,
            all,
            ours,
        })
    }

    /// The share of the processors that others had since `before`.
    fn others(&self, before: &Self) -> f64 {
        let busy = self.busy - before.busy;
        let ours = self.ours - before.ours;
        busy.saturating_sub(ours) as f64 / (self.all - before.all).max(1) as f64
    }
}

/// Times of a process: its own, and behind them those of its children that ended.
fn of_process(id: &str, which: std::ops::Range<usize>) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"));
    let stat = stat.with_context(|| format!("process {id} is gone"))?;
    // The name, in parentheses, may hold anything. utime is the 14th field, the 12th behind it.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let times = fields.get(9 + which.start..9 + which.end);
    let times = times.unwrap_or_default().iter();
    Ok(times.filter_map(|time| time.parse::<u64>().ok()).sum())
}

/// Waits for quiet, as long as there is patience.
pub(super) struct Quiet {
    left: Cell<Duration>,
}

impl Quiet {
    /// `patience` is for all figures together.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            left: Cell::new(patience),
        }
    }

    /// Makes a figure while the machine is quiet, again if it was not; the quietest of the tries.
    pub(super) fn figure<T>(
        &self,
        servers: &[u32],
        mut make: impl FnMut() -> Result<T>,
    ) -> Result<Measured<T>> {
        loop {
            let begun = Instant::now();
            self.wait(servers)?;
            let before = Ticks::now(servers)?;
            let value = make()?;
            let others = Ticks::now(servers)?.others(&before);
            if others <= QUIET || self.left.get().is_zero() {
                return Ok(Measured { value, others });
            }
            self.spend(begun.elapsed());
        }
    }

    fn wait(&self, servers: &[u32]) -> Result<()> {
        loop {
            let before = Ticks::now(servers)?;
            let begun = Instant::now();
            thread::sleep(Duration::from_millis(300));
            if Ticks::now(servers)?.others(&before) <= QUIET || self.left.get().is_zero() {
                return Ok(());
            }
            self.spend(begun.elapsed());
        }
    }

    fn spend(&self, time: Duration) {
        self.left.set(self.left.get().saturating_sub(time));
    }
}

/// Resident memory of a process in bytes.
pub(super) fn resident(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = { status.lines() }.find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = number.context("no VmRSS")?.parse()?;
    Ok(1024.0 * kilobytes)
}
