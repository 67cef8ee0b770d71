use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::atomic::{create_new, remove_left};
use crate::lock::is_at;

/// Leases on pieces of work in a folder that processes of several machines share.
///
/// A lease is a file that its holder writes to again and again. A holder that was killed writes no more; who watches
/// the file for the whole `patience` without a change takes the work over. No clocks are compared. On the
/// holder's own machine a lock of the operating system says at once that it has ended.
#[derive(Debug)]
pub struct Leases {
    dir: PathBuf,
    patience: Duration,
    host: String,
    /// What the file of another holder said last, and since when.
    seen: Mutex<HashMap<PathBuf, (String, Instant)>>,
}

/// An attempt to take a piece of work.
#[derive(Debug)]
pub enum Take {
    /// It is ours until the lease is dropped.
    Mine(Lease),
    /// Another process has it: `process 17 on node3`.
    Held(String),
}

/// A piece of work that no other process does meanwhile.
#[derive(Debug)]
#[must_use = "the work is free again when this is dropped"]
pub struct Lease {
    dir: PathBuf,
    name: String,
    generation: u32,
    lost: Arc<AtomicBool>,
    beats: Option<(Sender<()>, JoinHandle<File>)>,
}

impl Leases {
    /// Leases in `dir`. A holder on another machine that has not written for `patience` is taken for dead; a holder
    /// writes six times in that time. Temporary files of killed processes in `dir` are removed.
    pub fn new(dir: &Path, patience: Duration) -> Self {
        remove_left(dir);
        Self {
            dir: dir.to_owned(),
            patience,
            host: host_name(),
            seen: Mutex::default(),
        }
    }

    /// Takes the work called `name` (the start of a file name), unless another process has it.
    ///
    /// # Errors
    ///
    /// When the lease's file cannot be written.
    pub fn take(&self, name: &str) -> io::Result<Take> {
        // A lease that is taken over becomes one with a higher number. Only one process can make that file.
        let mut generation = 0;
        loop {
            let path = path_of(&self.dir, name, generation);
            // With its first words and its lock, or not at all: whoever is killed meanwhile leaves no lease that says
            // nothing of its holder.
            let file = match path.exists() {
                true => None,
                false => create_new(&path, beat(0, &self.host).as_bytes())?,
            };
            if let Some(file) = file {
                if generation > 0 && !self.is_dead(&path_of(&self.dir, name, generation - 1)) {
                    // The one before was given back and taken anew.
                    let _ = fs::remove_file(&path);
                    generation = 0;
                    continue;
                }
                return self.hold(name, generation, file).map(Take::Mine);
            }
            let newer = path_of(&self.dir, name, generation + 1).exists();
            if newer || self.is_dead(&path) {
                generation += 1;
                continue;
            }
            let said = fs::read_to_string(&path).unwrap_or_default();
            return Ok(Take::Held(match Said::parse(&said) {
                Some(said) => format!("process {} on {}", said.process, said.host),
                None => "another process".to_owned(),
            }));
        }
    }

    fn hold(&self, name: &str, generation: u32, mut file: File) -> io::Result<Lease> {
        let lost = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = mpsc::channel();
        let pause = self.patience / 6;
        let newer = path_of(&self.dir, name, generation + 1);
        let told = Arc::clone(&lost);
        let host = self.host.clone();
        let beats = move || {
            let mut number = 0;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                number += 1;
                // A disk that is full for a moment is no reason to end; if it stays full, others take over.
                let _ = write_over(&mut file, &beat(number, &host));
                told.fetch_or(newer.exists(), Ordering::Relaxed);
            }
            file
        };
        let thread = std::thread::Builder::new().spawn(beats)?;
        Ok(Lease {
            dir: self.dir.clone(),
            name: name.to_owned(),
            generation,
            lost,
            beats: Some((stop, thread)),
        })
    }

    /// Whether the holder that wrote a lease's file has ended.
    fn is_dead(&self, path: &Path) -> bool {
        // One that is given back this moment is free for whoever asks again.
        let Ok(mut file) = File::open(path) else {
            return false;
        };
        // A holder locks before the file has its name, and removes the file before it unlocks.
        let unlocked = file.try_lock().is_ok();
        let mut text = String::new();
        if file.read_to_string(&mut text).is_err() || !is_at(&file, path) {
            return false;
        }
        // A lock means something between processes of one machine.
        if unlocked && Said::parse(&text).is_some_and(|said| said.host == self.host) {
            return true;
        }
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        match seen.get(path) {
            Some((before, since)) if *before == text => since.elapsed() > self.patience,
            _ => {
                seen.insert(path.to_owned(), (text, Instant::now()));
                false
            }
        }
    }

    /// Looks at the work called `name` without taking it: the time for which its holder is silent counts from now on.
    pub fn watch(&self, name: &str) {
        let generations = (0..).take_while(|n| path_of(&self.dir, name, *n).exists());
        if let Some(newest) = generations.last() {
            self.is_dead(&path_of(&self.dir, name, newest));
        }
    }

    /// Whether a process has or had the work called `name`, and did not give it back.
    pub fn is_leased(&self, name: &str) -> bool {
        path_of(&self.dir, name, 0).exists()
    }

    /// Removes what killed holders left of the work called `name`, which is done.
    pub fn clear(&self, name: &str) {
        remove(&self.dir, name, u32::MAX);
    }
}

impl Lease {
    /// Whether another process has taken the work over, because this one did not write for too long.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.beats.take() {
            drop(stop);
            // It still has the locked file.
            let file = thread.join();
            remove(&self.dir, &self.name, self.generation);
            drop(file);
        }
    }
}

/// Removes the files up to a generation, the oldest first: who comes meanwhile begins with that one.
fn remove(dir: &Path, name: &str, last: u32) {
    for generation in 0..=last {
        if fs::remove_file(path_of(dir, name, generation)).is_err() {
            break;
        }
    }
}

/// What a holder writes, as long each time.
fn beat(number: u64, host: &str) -> String {
    format!("{number:020} {} {host}\n", std::process::id())
}

fn write_over(file: &mut File, text: &str) -> io::Result<()> {
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

fn path_of(dir: &Path, name: &str, generation: u32) -> PathBuf {
    dir.join(format!("{name}.lease.{generation}"))
}

/// What a lease's file says of its holder.
struct Said<'a> {
    process: &'a str,
    host: &'a str,
}

impl<'a> Said<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut words = text.split_whitespace().skip(1);
        Some(Self {
            process: words.next()?,
            host: words.next()?,
        })
    }
}

/// The name of this machine, or of the container that this process is in.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.or_else(|_| fs::read_to_string("/etc/hostname"));
    let name = name.ok().or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.or_else(|| std::env::var("COMPUTERNAME").ok());
    let word = name.and_then(|name| name.split_whitespace().next().map(str::to_owned));
    word.unwrap_or_else(|| "this-machine".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(take: io::Result<Take>) -> String {
        match take.unwrap() {
            Take::Held(by) => by,
            Take::Mine(_) => panic!("it was free"),
        }
    }

    fn mine(take: io::Result<Take>) -> Lease {
        match take.unwrap() {
            Take::Mine(lease) => lease,
            Take::Held(by) => panic!("held by {by}"),
        }
    }

    #[test]
    fn one_holder_at_a_time_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::new(dir.path(), Duration::from_secs(60));
        let lease = mine(leases.take("a"));
        assert!(held(leases.take("a")).starts_with(&format!("process {}", std::process::id())));
        drop(mine(leases.take("b")));
        drop(lease);
        drop(mine(leases.take("a")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn work_of_a_dead_process_of_this_machine_is_taken_over_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::new(dir.path(), Duration::from_secs(3600));
        let text = format!("{:020} 4000000000 {}\n", 7, leases.host);
        fs::write(path_of(dir.path(), "a", 0), text).unwrap();
        let lease = mine(leases.take("a"));
        assert_eq!(lease.generation, 1);
        held(leases.take("a"));
        drop(lease);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn another_machine_is_dead_when_it_has_been_silent_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(dir.path(), "a", 0);
        let beat = |number: u32| fs::write(&path, format!("{number:020} 1 elsewhere\n")).unwrap();
        beat(0);
        let leases = Leases::new(dir.path(), Duration::from_millis(200));
        for number in 1..5 {
            assert_eq!(held(leases.take("a")), "process 1 on elsewhere");
            std::thread::sleep(Duration::from_millis(80));
            beat(number);
        }
        held(leases.take("a"));
        std::thread::sleep(Duration::from_millis(300));
        drop(mine(leases.take("a")));
    }

    #[test]
    fn who_was_taken_for_dead_learns_it() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::new(dir.path(), Duration::from_millis(60));
        let lease = mine(leases.take("a"));
        assert!(!lease.is_lost());
        fs::write(path_of(dir.path(), "a", 1), "0 1 elsewhere").unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while !lease.is_lost() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(lease.is_lost());
        drop(lease);
        // What is not its own stays.
        assert!(path_of(dir.path(), "a", 1).exists());
    }

    #[test]
    fn many_at_once_never_share() {
        use std::sync::atomic::AtomicUsize;
        let dir = tempfile::tempdir().unwrap();
        let (inside, times) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let leases = Leases::new(dir.path(), Duration::from_secs(60));
                    for _ in 0..50 {
                        if let Take::Mine(lease) = leases.take("a").unwrap() {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            times.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lease);
                        }
                    }
                });
            }
        });
        assert!(times.load(Ordering::SeqCst) > 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
