//! What README.md and docs/deploy.md say of serving, as they say it.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::server::Server;
use common::{Scratch, run};
use serde_json::Value;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of the shell blocks below this heading of a page.
fn commands(page: &str, heading: &str) -> Vec<String> {
    let page = file(page);
    let section = page.split(heading).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// What a `curl` of a page gets from the server at another port than the usual one, where another server may be.
fn ask(server: &Server, line: &str) -> String {
    let line = line.replace("localhost:8080", &server.address);
    let output = Command::new("sh")
        .args(["-c", &line.replacen("curl ", "curl -sS --fail ", 1)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn ask_json(server: &Server, line: &str) -> Value {
    serde_json::from_str(&ask(server, line)).unwrap()
}

#[test]
fn the_commands_of_the_readme_serve_two_adapters() {
    let scratch = Scratch::new();
    let (asks, runs): (Vec<String>, Vec<String>) =
        { commands("README.md", "\n## Serve\n").into_iter() }
            .partition(|line| line.starts_with("curl "));
    assert_eq!((runs.len(), asks.len()), (3, 3), "{runs:?} {asks:?}");
    let mut server = None;
    for line in &runs {
        // From a clone, cargo builds what is built here already.
        let args = line.strip_prefix("cargo run -p beft-cli -- ").unwrap();
        let mut args: Vec<&str> = args.split(' ').collect();
        if matches!(args[0], "demo" | "tune") {
            // Shorter: it writes the same files, and how good they are is no matter here.
            args.extend(["--epochs", "1"]);
        }
        match args.split_first().unwrap() {
            (&"serve", args) => server = Some(Server::start(&scratch, args)),
            _ => _ = run(&scratch, &args),
        }
    }
    let server = server.unwrap();
    let replies: Vec<Value> = asks.iter().map(|line| ask_json(&server, line)).collect();
    let [classified, predicted, models] = replies.try_into().unwrap();
    let names: Vec<&str> = { classified["data"].as_array().unwrap().iter() }
        .map(|row| row["model"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["pick", "all"]);
    assert_eq!(
        classified["data"][1]["labels"],
        serde_json::json!(["0", "1"])
    );
    assert_eq!(predicted.as_array().unwrap().len(), 2);
    assert_eq!(models["data"].as_array().unwrap().len(), 2);
}

#[test]
fn the_commands_of_the_page_of_the_server_work() {
    let scratch = Scratch::new();
    for (terms, out) in [("v", "tuned"), ("q", "topics")] {
        let tune = ["--epochs", "1", "--terms", terms, "--out", out];
        scratch.tune(&tune).assert().success();
    }
    let serve = commands("docs/serve.md", "# Serving adapters\n");
    let [serve] = serve.try_into().unwrap();
    let args: Vec<&str> = { serve.strip_prefix("beft serve ").unwrap() }
        .split(' ')
        .collect();
    let server = Server::start(&scratch, &args);
    beft_fixtures::copy_model("llama-tiny", &scratch.path("story")).unwrap();
    let texts = Server::start(&scratch, &["--model", "story"]);
    let asks = commands("docs/serve.md", "\n## Routes\n");
    let replies: Vec<Value> = { asks.iter() }
        .map(|line| match line.contains("completions") {
            true => ask_json(&texts, line),
            false => ask_json(&server, line),
        })
        .collect();
    let [classified, predicted, written] = replies.try_into().unwrap();
    assert_eq!(classified["data"].as_array().unwrap().len(), 4);
    assert!(predicted[0]["label"].is_string(), "{predicted}");
    assert!(written["choices"][0]["text"].is_string(), "{written}");

    for folder in ["mood-2", "mood-3"] {
        let root = scratch.path("root").join(folder);
        std::fs::create_dir_all(&root).unwrap();
        for name in scratch.list("tuned/adapter") {
            let from = scratch.path("tuned/adapter").join(&name);
            std::fs::copy(from, root.join(name)).unwrap();
        }
    }
    let root = ["--model", "model", "--adapter-root", "root"];
    let server = Server::start(&scratch, &root);
    let lines = commands("docs/serve.md", "\n## Adapters that come and go\n");
    let [load, replace, remove] = lines.try_into().unwrap();
    let loaded = ask_json(&server, &load);
    // The generations are those of this server.
    let replaced = ask_json(
        &server,
        &replace.replace(": 4}", &format!(": {}}}", loaded["generation"])),
    );
    let generation = replaced["generation"].to_string();
    ask(&server, &remove.replace("=5'", &format!("={generation}'")));
    let left = server.get("/v1/models").expect(200).json();
    assert!(!left.to_string().contains("mood"), "{left}");
}

/// The words of a file that look like options of `beft`.
fn options(text: &str) -> Vec<String> {
    let inside = |c: char| c.is_ascii_lowercase() || c == '-';
    let words = text.split(|c: char| !inside(c));
    let options = words.filter(|word| word.starts_with("--") && word.len() > 2);
    options.map(str::to_owned).collect()
}

#[test]
fn files_for_services_start_the_server_as_it_is() {
    let scratch = Scratch::new();
    let (help, _) = run(&scratch, &["serve", "--help"]);
    let known = options(&help);
    let command_of = |name: &str, begin: &str, end: &str| {
        let text = file(&format!("docs/deploy/{name}"));
        let command = text
            .split(begin)
            .nth(1)
            .unwrap_or_else(|| panic!("{name}: {begin}"));
        command.split(end).next().unwrap().to_owned()
    };
    for (command, more) in [
        (
            command_of("Dockerfile", "\nCMD [\"serve\"", "]"),
            "0.0.0.0:8080",
        ),
        (
            command_of("beft.service", "beft serve ", "\n"),
            "127.0.0.1:8080",
        ),
        (
            command_of("kubernetes.yaml", "- serve\n", "ports:"),
            "0.0.0.0:8080",
        ),
    ] {
        let found = options(&command);
        assert!(
            found.iter().any(|option| option == "--api-key-file"),
            "{command}"
        );
        let strange: Vec<_> = found
            .iter()
            .filter(|option| !known.contains(option))
            .collect();
        assert!(strange.is_empty(), "{strange:?} in {command}");
        assert!(command.contains(more), "{command}");
    }
    // What is in flight has 30 s, of which the files give it all.
    let grace =
        |name: &str, begin: &str| command_of(name, begin, "\n").trim().parse::<u64>().unwrap();
    assert!(grace("beft.service", "TimeoutStopSec=") > 30);
    let wait = command_of("kubernetes.yaml", "[sleep, \"", "\"")
        .parse::<u64>()
        .unwrap();
    assert!(grace("kubernetes.yaml", "terminationGracePeriodSeconds:") > 30 + wait);
    // What the autoscaler counts is what the server says and the rule gives on.
    let metric = command_of("kubernetes.yaml", "metric: {name: ", "}");
    assert!(file("docs/deploy/prometheus-adapter.yaml").contains(&format!("as: {metric}")));
    let server = Server::start(&scratch, &["--model", "model"]);
    let figures = server.get("/metrics").expect(200).text;
    assert!(figures.contains(&format!("\n{metric} 0")), "{figures}");
}

/// The image's health check, against a server at another port.
#[cfg(target_os = "linux")]
#[test]
fn the_health_check_of_the_image_tells_a_server_from_none() {
    let text = file("docs/deploy/Dockerfile");
    let check = text.split("HEALTHCHECK").nth(1).unwrap();
    let check = check.split("CMD ").nth(1).unwrap().lines().next().unwrap();
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    let asks = |port: &str| {
        let line = check.last().unwrap().replace("8080", port);
        let output = Command::new(PathBuf::from(&check[0]))
            .args(["-c", &line])
            .output();
        output.unwrap().status.success()
    };
    let scratch = Scratch::new();
    let mut server = Server::start(&scratch, &["--model", "model"]);
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    assert!(asks(&port));
    server.signal("-KILL");
    server.wait(std::time::Duration::from_secs(20));
    assert!(!asks(&port));
}
