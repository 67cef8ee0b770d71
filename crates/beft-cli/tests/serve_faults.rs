//! `beft serve` under load, and with clients that do not behave. `BEFT_FAULTS=full` makes it as long as a night's test.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::server::{Reply, Server, read_reply, request};
use common::{Scratch, run};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// The short or the long form of a test.
fn full<T>(short: T, long: T) -> T {
    match std::env::var("BEFT_FAULTS").as_deref() {
        Ok("full") => long,
        _ => short,
    }
}

/// A folder with a model, and two adapters in `root`.
fn trained() -> Scratch {
    let scratch = Scratch::new();
    scratch
        .tune(&["--terms", "v", "--epochs", "1"])
        .assert()
        .success();
    let mut args = vec![
        "tune", "--model", "model", "--task", "text", "--data", "data",
    ];
    args.extend([
        "--epochs", "1", "--terms", "all", "--lr", "0.01", "--out", "other",
    ]);
    run(&scratch, &args);
    fs::create_dir(scratch.path("root")).unwrap();
    fs::rename(scratch.path("out"), scratch.path("root/first")).unwrap();
    fs::rename(scratch.path("other"), scratch.path("root/second")).unwrap();
    scratch
}

const ARGS: [&str; 4] = [
    "--adapter",
    "a=root/first/adapter",
    "--adapter-root",
    "root",
];

fn ask() -> Value {
    json!({"model": "a", "input": "good film", "raw_scores": true})
}

/// A valid request in a form that no client sends.
fn mutated(random: &mut StdRng) -> Vec<u8> {
    const PATHS: [&str; 8] = [
        "/classify",
        "/predict",
        "/",
        "/v1/completions",
        "/v1/adapters",
        "/v1/adapters/a",
        "/metrics",
        "/%ff%00/..",
    ];
    const VALUES: [&str; 16] = [
        "null",
        "true",
        "-1",
        "1e400",
        "18446744073709551616",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "[]",
        "{}",
        "[[[[]]]]",
        "[\"a\", \"b\", \"c\"]",
        "{\"text\": 3}",
        "\"\u{202e}\u{1f9ea}\u{301}\"",
        "[null]",
        "\"../..\"",
    ];
    const KEYS: [&str; 12] = [
        "model",
        "input",
        "inputs",
        "adapter",
        "raw_scores",
        "truncate",
        "prompt",
        "max_tokens",
        "name",
        "folder",
        "expected_generation",
        "parameters",
    ];
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in [("model", "\"a\""), ("input", "\"good film\"")] {
        fields.insert(key.to_owned(), value.to_owned());
    }
    for _ in 0..random.random_range(0..3) {
        let key = KEYS.choose(random).unwrap();
        fields.insert(
            (*key).to_owned(),
            (*VALUES.choose(random).unwrap()).to_owned(),
        );
    }
    let named = fields
        .iter()
        .map(|(key, value)| format!("\"{key}\": {value}"));
    let mut body = format!("{{{}}}", named.collect::<Vec<_>>().join(", "));
    match random.random_range(0..8) {
        0 => body = "[".repeat(random.random_range(1..5000)),
        1 => body = body.replace("good film", &"long ".repeat(random.random_range(1..2000))),
        2 => {
            body = format!(
                "{{\"model\": \"a\", \"input\": {}}}",
                json!(vec!["x"; random.random_range(0..60)])
            )
        }
        _ => {}
    }
    let headers = match random.random_range(0..8) {
        0 => format!("x-long: {}\r\n", "y".repeat(random.random_range(1..20_000))),
        1 => "x-request-id: \u{e9}\u{e9}\r\n".to_owned(),
        2 => "authorization: Basic \r\nauthorization: Bearer\r\n".to_owned(),
        3 => "x-twice: 1\r\nx-twice: 2\r\ncontent-type: text/html\r\n".to_owned(),
        _ => String::new(),
    };
    let method = ["POST", "POST", "POST", "PUT", "DELETE", "GET", "OPTIONS"]
        .choose(random)
        .unwrap();
    let mut bytes = request(method, PATHS.choose(random).unwrap(), &headers, &body);
    match random.random_range(0..6) {
        // Bytes that are no text, anywhere.
        0 => {
            for _ in 0..random.random_range(1..6) {
                let place = random.random_range(0..bytes.len());
                bytes[place] = random.random();
            }
        }
        // An end before the end.
        1 => bytes.truncate(random.random_range(0..bytes.len())),
        _ => {}
    }
    bytes
}

#[test]
fn mutated_requests_do_no_harm() {
    let scratch = trained();
    let server = Server::start(&scratch, &ARGS);
    let before = server.post("/classify", &ask()).expect(200).json()["data"].clone();
    let seen = Mutex::new(BTreeMap::<u16, usize>::new());
    let (threads, each) = (4, full(150, 2500));
    thread::scope(|scope| {
        for seed in 0..threads {
            let (server, seen) = (&server, &seen);
            scope.spawn(move || {
                let mut random = StdRng::seed_from_u64(seed);
                for _ in 0..each {
                    let bytes = mutated(&mut random);
                    let mut stream = server.connect();
                    // The server may refuse before it has read all.
                    let _ = stream.write_all(&bytes);
                    stream
                        .set_read_timeout(Some(Duration::from_millis(300)))
                        .unwrap();
                    let mut reply = read_reply(stream.try_clone().unwrap());
                    if reply.status == 0 {
                        // It waits for what was cut off.
                        let _ = stream.shutdown(Shutdown::Write);
                        reply = read_reply(stream);
                    }
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(reply.status < 500, "{reply:?} to {text:.400}");
                    *seen.lock().unwrap().entry(reply.status).or_default() += 1;
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    // All kinds of refusals were provoked, and not one kind alone.
    assert!(
        seen.contains_key(&400) && seen.contains_key(&200),
        "{seen:?}"
    );
    assert!(seen.len() > 4, "{seen:?}");
    let metrics = server.get("/metrics").expect(200).text;
    assert!(!metrics.contains("err=\"500\""), "{metrics}");
    let models = server.get("/v1/models").expect(200).json();
    if models["data"].to_string().contains("\"id\":\"a\"") {
        let after = server.post("/classify", &ask()).expect(200).json()["data"].clone();
        assert_eq!(after[0]["probs"], before[0]["probs"]);
    }
}

#[test]
fn more_than_it_takes_is_refused_at_once_and_the_rest_is_right() {
    let scratch = trained();
    let args = [ARGS.as_slice(), &["--max-concurrent-requests", "4"]].concat();
    let server = Server::start(&scratch, &args);
    let right = server.post("/classify", &ask()).expect(200).json()["data"][0]["probs"].clone();
    let memory = resident(server.id());
    let until = Instant::now() + full(Duration::from_secs(2), Duration::from_secs(60));
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slowest = Mutex::new(Duration::ZERO);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while Instant::now() < until {
                    let started = Instant::now();
                    let reply = server.post("/classify", &ask());
                    let took = started.elapsed();
                    match reply.status {
                        200 => {
                            assert_eq!(reply.json()["data"][0]["probs"], right);
                            accepted.fetch_add(1, Ordering::Relaxed);
                            let mut slowest = slowest.lock().unwrap();
                            *slowest = took.max(*slowest);
                        }
                        429 => {
                            assert_eq!(reply.header("retry-after"), Some("1"));
                            assert_eq!(reply.json()["error_type"], "Overloaded");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => panic!("{reply:?}"),
                    }
                }
            });
        }
    });
    let (accepted, refused) = (accepted.into_inner(), refused.into_inner());
    assert!(
        accepted > 20 && refused > 20,
        "{accepted} accepted, {refused} refused"
    );
    let slowest = slowest.into_inner().unwrap();
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let grown = resident(server.id()).saturating_sub(memory);
    assert!(grown < 64 << 20, "{grown} bytes more");
    server.post("/classify", &ask()).expect(200);
}

/// Bytes that a process holds in memory.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn no_answer_is_a_mixture_of_an_adapter_and_the_next_one() {
    let scratch = trained();
    let server = Server::start(&scratch, &ARGS);
    let generation = |reply: &Value| reply["generation"].as_u64().unwrap();
    let classified = |reply: Reply| reply.expect(200).json()["data"][0].clone();
    let first = classified(server.post("/classify", &ask()));
    let mut folders = BTreeMap::from([(generation(&first), "first")]);
    let (done, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut own = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    own.push(classified(server.post("/classify", &ask())));
                }
                seen.lock().unwrap().extend(own);
            });
        }
        let mut last = generation(&first);
        for number in 0..full(40, 1000) {
            let folder = ["second", "first"][number % 2];
            let body = json!({"folder": folder, "expected_generation": last});
            let reply = server
                .send("PUT", "/v1/adapters/a", "", &body.to_string())
                .expect(200);
            last = generation(&reply.json());
            folders.insert(last, folder);
        }
        done.store(true, Ordering::Relaxed);
    });
    let second = classified(server.post("/classify", &ask()));
    assert_eq!(folders[&generation(&second)], "first");
    let mut of_folders: BTreeMap<&str, Value> = BTreeMap::from([("first", first["probs"].clone())]);
    let seen = seen.into_inner().unwrap();
    let mut generations: Vec<u64> = Vec::new();
    for answer in &seen {
        let folder = folders[&generation(answer)];
        let known = of_folders
            .entry(folder)
            .or_insert_with(|| answer["probs"].clone());
        assert_eq!(&answer["probs"], known, "{folder}");
        generations.push(generation(answer));
    }
    assert_ne!(of_folders["first"], of_folders["second"]);
    generations.sort_unstable();
    generations.dedup();
    assert!(
        generations.len() > 5,
        "{generations:?} of {} answers",
        seen.len()
    );
}

#[test]
fn slow_clients_hold_nobody_up() {
    let scratch = trained();
    let server = Server::start(&scratch, &ARGS);
    let whole = request("POST", "/classify", "", &ask().to_string());
    let mut slow: Vec<_> = (0..64)
        .map(|number| {
            let mut stream = server.connect();
            // A part of the head, or all but the end of the body.
            let part = [whole.len() / 3, whole.len() - 1][number % 2];
            stream.write_all(&whole[..part]).unwrap();
            (stream, part)
        })
        .collect();
    for _ in 0..10 {
        let started = Instant::now();
        server.post("/classify", &ask()).expect(200);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    // They are served when they are done.
    for (mut stream, part) in slow.drain(..4) {
        stream.write_all(&whole[part..]).unwrap();
        read_reply(stream).expect(200);
    }
    // And closed when they never are.
    if full(false, true) {
        let (stream, _) = slow.remove(0);
        let started = Instant::now();
        read_reply(stream);
        assert!(started.elapsed() < Duration::from_secs(45));
    }
}

#[test]
fn a_client_that_goes_away_frees_its_place() {
    let scratch = trained();
    let args = [ARGS.as_slice(), &["--max-concurrent-requests", "2"]].concat();
    let server = Server::start(&scratch, &args);
    let texts = vec!["good film ".repeat(40); 32];
    let long = json!({"model": ["a"], "input": texts, "truncate": true}).to_string();
    let bytes = request("POST", "/classify", "", &long);
    // Many more than there are places, none of which is waited for.
    for _ in 0..full(40, 400) {
        let mut stream = server.connect();
        stream.write_all(&bytes).unwrap();
        drop(stream);
    }
    let until = Instant::now() + Duration::from_secs(10);
    while server.post("/classify", &ask()).status != 200 {
        assert!(Instant::now() < until, "no place was freed");
        thread::sleep(Duration::from_millis(20));
    }
    let metrics = server.get("/metrics").expect(200).text;
    assert!(metrics.contains("beft_requests_in_flight 0"), "{metrics}");
    assert!(metrics.contains("te_queue_size 0"), "{metrics}");
}
