//! The servers that are measured, and the program that sends requests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::peer;
use super::super::peers::measure;
use super::ADAPTERS;

/// A server of some kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Beft,
    /// Python, one request after another.
    OneByOne,
    /// Python, batches of one adapter each.
    Batching,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Beft => "beft serve",
            Self::OneByOne => "FastAPI + PEFT, one by one",
            Self::Batching => "FastAPI + PEFT, dynamic batches",
        }
    }
}

/// Programs and files.
pub(super) struct Places {
    pub(super) root: PathBuf,
    pub(super) model: PathBuf,
    pub(super) beft: PathBuf,
    pub(super) load: PathBuf,
    /// The folder of everything that the benchmark writes.
    pub(super) work: PathBuf,
}

impl Places {
    /// The folder of an adapter.
    pub(super) fn adapter(&self, number: usize) -> PathBuf {
        self.work.join(format!("adapters/a{number}"))
    }

    /// Texts, one a line.
    pub(super) fn texts(&self) -> PathBuf {
        self.work.join("texts.txt")
    }

    pub(super) fn python(&self, script: &str) -> Command {
        peer(&self.root, script)
    }
}

/// A server; it ends with this.
pub(super) struct Server {
    pub(super) side: Side,
    process: Child,
    url: String,
}

impl Server {
    /// Starts a server with adapters a0, a1, ..., and waits until it takes requests.
    pub(super) fn start(places: &Places, side: Side, adapters: usize) -> Result<Self> {
        // Free again when the listener is dropped, which is soon enough for whoever asks for any other.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = match side {
            Side::Beft => {
                let mut command = Command::new(&places.beft);
                command.arg("serve").arg("--bind").arg(address.to_string());
                command
            }
            Side::OneByOne | Side::Batching => {
                let mut command = places.python("peer_server.py");
                let batching = if side == Side::Batching {
                    "dynamic"
                } else {
                    "none"
                };
                command.args(["--batching", batching, "--port"]);
                command.arg(address.port().to_string());
                command
            }
        };
        command.current_dir(&places.root).arg("--model");
        command.arg(&places.model);
        for number in 0..adapters {
            // More names than folders: each is loaded by itself.
            let dir = places.adapter(number % ADAPTERS);
            command.arg("--adapter");
            command.arg(format!("a{number}={}", dir.display()));
        }
        let log = places.work.join("server.log");
        let process = command
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self {
            side,
            process,
            url: format!("http://{address}"),
        };
        server.wait(address, &log)?;
        Ok(server)
    }

    fn wait(&mut self, address: SocketAddr, log: &Path) -> Result<()> {
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.process.try_wait()?.is_some();
            if ended || since.elapsed() > Duration::from_secs(180) {
                let log = log.display();
                bail!("{} does not start: see {log}", self.side.name());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends requests for the first `adapters` adapters. `ask` says which text goes to which, `arrivals` when.
    pub(super) fn load(
        &self,
        places: &Places,
        adapters: usize,
        ask: &str,
        arrivals: &[&str],
    ) -> Result<Value> {
        let names: Vec<String> = (0..adapters).map(|number| format!("a{number}")).collect();
        let mut command = Command::new(&places.load);
        command
            .args(["load", "--url", &self.url, "--ask", ask])
            .args(["--models", &names.join(","), "--texts"])
            .arg(places.texts())
            .args(arrivals);
        measure(command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
