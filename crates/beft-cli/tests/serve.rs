//! `beft serve`: what clients send, what they get, and what the server refuses.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::time::Duration;

use common::server::Server;
use common::{Scratch, refused, run};
use serde_json::{Value, json};

/// A folder with a model and two adapters: `out/adapter` and `other/adapter`.
fn trained() -> Scratch {
    let scratch = Scratch::new();
    scratch.tune(&["--terms", "v"]).assert().success();
    let mut args = vec![
        "tune", "--model", "model", "--task", "text", "--data", "data",
    ];
    args.extend([
        "--epochs", "1", "--terms", "all", "--lr", "0.01", "--out", "other",
    ]);
    run(&scratch, &args);
    scratch
}

const ADAPTERS: [&str; 4] = [
    "--adapter",
    "mood=out/adapter",
    "--adapter",
    "other/adapter",
];

/// What `beft predict` says of texts.
fn predicted(scratch: &Scratch, adapter: &str, texts: &[&str]) -> Vec<Value> {
    let rows = texts.iter().map(|text| json!({"text": text}).to_string());
    scratch.write("texts.jsonl", &rows.collect::<Vec<_>>().join("\n"));
    let (text, _) = run(
        scratch,
        &["predict", "--adapter", adapter, "--data", "texts.jsonl"],
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn assert_close(a: &Value, b: &Value) {
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    assert!((a - b).abs() < 1e-5, "{a} is not {b}");
}

const TEXTS: [&str; 3] = ["good film", "the bad film number 3", "a"];

#[test]
fn answers_are_those_of_predict() {
    let scratch = trained();
    let server = Server::start(&scratch, &ADAPTERS);
    let alone = [
        predicted(&scratch, "out/adapter", &TEXTS),
        predicted(&scratch, "other/adapter", &TEXTS),
    ];
    // One text, as text-embeddings-inference answers it: labels, the surest first.
    let reply = server
        .post("/predict", &json!({"inputs": TEXTS[0], "adapter": "mood"}))
        .expect(200);
    let found = reply.json();
    assert_eq!(found[0]["label"], alone[0][0]["label"]);
    assert_close(&found[0]["score"], &alone[0][0]["probability"]);
    assert_eq!(found.as_array().unwrap().len(), 3);
    let scores = found.as_array().unwrap().windows(2);
    for pair in scores {
        assert!(pair[0]["score"].as_f64() >= pair[1]["score"].as_f64());
    }
    assert!(
        reply
            .header("beft-adapter")
            .unwrap()
            .starts_with("mood;generation=")
    );
    // A batch, the numbers of the head.
    let body = json!({"inputs": [[TEXTS[0]], [TEXTS[1]]], "adapter": "other", "raw_scores": true});
    let found = server.post("/predict", &body).expect(200).json();
    let logits = alone[1][1]["logits"].as_array().unwrap();
    let largest = logits
        .iter()
        .map(|l| l.as_f64().unwrap())
        .fold(f64::MIN, f64::max);
    assert_close(&found[1][0]["score"], &json!(largest));
    // The hub's clients send it to `/`, and read a list of lists.
    let body = json!({"inputs": TEXTS[0], "adapter": "mood", "parameters": {"top_k": 2}});
    let found = server.post("/", &body).expect(200).json();
    assert_eq!(found[0].as_array().unwrap().len(), 2);
    // Where there are several, by an address of its own.
    let body = json!({"inputs": TEXTS[0], "parameters": {"top_k": 2}});
    let same = server.post("/models/mood", &body).expect(200).json();
    assert_eq!(same, found);
    let body = json!({"inputs": TEXTS[0], "adapter": "other"});
    server.post("/models/mood", &body).refuses(400, "leave out");
    server
        .post("/models/none", &json!({"inputs": "a"}))
        .refuses(404, "choose one of");
    let body = json!({"inputs": {"source_sentence": "a", "sentences": ["b"]}});
    server
        .post("/models/mood", &body)
        .refuses(422, "takes one text");

    // Several adapters, several texts.
    let body = json!({"model": ["mood", "other"], "input": TEXTS});
    let reply = server.post("/classify", &body).expect(200).json();
    let data = reply["data"].as_array().unwrap();
    assert_eq!(data.len(), 6);
    for (number, row) in data.iter().enumerate() {
        let (text, adapter) = (number / 2, number % 2);
        let same = &alone[adapter][text];
        assert_eq!(row["index"], text);
        assert_eq!(row["model"], ["mood", "other"][adapter]);
        assert_eq!(row["label"], same["label"]);
        for (label, share) in row["labels"]
            .as_array()
            .unwrap()
            .iter()
            .zip(row["probs"].as_array().unwrap())
        {
            assert_close(share, &same["probabilities"][label.as_str().unwrap()]);
        }
    }
    assert!(reply["usage"]["prompt_tokens"].as_u64().unwrap() > 6);
    let one = json!({"model": "mood", "input": TEXTS[0]});
    let one = server.post("/classify", &one).expect(200).json();
    assert_eq!(one["data"][0]["probs"], data[0]["probs"]);
    assert_eq!(
        (&one["object"], &one["data"][0]["num_classes"]),
        (&json!("list"), &json!(3))
    );

    // What the server says of itself.
    let models = server.get("/v1/models").expect(200).json();
    let names: Vec<&str> = { models["data"].as_array().unwrap().iter() }
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["model", "mood", "other"]);
    assert_eq!(models["data"][1]["labels"], json!(["a", "b", "c"]));
    assert_eq!(server.get("/info").expect(200).json()["adapters"], 2);
    server.get("/health").expect(200);
    server.get("/ready").expect(200);
    let metrics = server.get("/metrics").expect(200).text;
    assert!(
        metrics.contains("te_request_success{route=\"/classify\"} 2"),
        "{metrics}"
    );
    let api = server.get("/openapi.json").expect(200).json();
    assert!(api["paths"]["/classify"]["post"]["requestBody"].is_object());
    // Two types of one name would hide one another.
    let schemas = &api["components"]["schemas"];
    let model = &schemas["ClassifyRequest"]["properties"]["model"];
    let name = model["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(schemas[name]["oneOf"][0]["type"], "string", "{model}");
    for page in ["/", "/docs"] {
        let reply = server.get(page).expect(200);
        assert!(reply.text.contains("<title>beft"));
        assert!(
            reply
                .header("content-security-policy")
                .unwrap()
                .contains("default-src 'none'")
        );
    }
    server.get("/nothing").refuses(404, "see /docs");
    server.get("/predict").refuses(405, "another method");
}

#[test]
fn requests_that_cannot_be_answered_are_refused_with_the_remedy() {
    let scratch = trained();
    let args = [
        ADAPTERS.as_slice(),
        &["--payload-limit", "4000", "--max-client-batch-size", "3"],
    ];
    let server = Server::start(&scratch, &args.concat());
    let classify = |body: Value| server.post("/classify", &body);
    classify(json!({"model": "none", "input": "a"}))
        .refuses(404, "choose one of model, mood, other");
    classify(json!({"model": "mood", "input": ["a", "b", "c", "d"]})).refuses(413, "more than 3");
    classify(json!({"model": "mood", "input": []})).refuses(400, "there is no input");
    classify(json!({"model": [], "input": "a"})).refuses(400, "names no adapter");
    classify(json!({"model": ["mood", "mood"], "input": "a"})).refuses(400, "twice");
    classify(json!({"model": "mood", "input": "a", "temperature": 1})).refuses(400, "temperature");
    classify(json!({"model": "mood", "input": {"title": "a"}})).refuses(422, "text");
    classify(json!({"model": "mood"})).refuses(400, "input");
    classify(json!({"model": "mood", "input": 5})).refuses(400, "value of another kind");
    classify(json!({"model": "mood", "input": ""})).refuses(400, "no text");
    classify(json!({"model": "mood", "input": {"text": null}})).refuses(400, "no text");
    classify(json!(["mood", "a", false, false, null])).refuses(400, "JSON object");
    let scores = |parameters: Value| {
        let body = json!({"inputs": "a", "adapter": "mood", "parameters": parameters});
        server.post("/predict", &body)
    };
    scores(json!({"function_to_apply": "sigmoid"})).refuses(422, "function_to_apply");
    scores(json!({"function_to_apply": "softmax", "top_k": 1})).expect(200);
    scores(json!({"top_k": 0})).refuses(400, "at least 1");
    let long = "word ".repeat(500);
    classify(json!({"model": "mood", "input": long})).refuses(413, "\"truncate\": true");
    classify(json!({"model": "mood", "input": long, "truncate": true})).expect(200);
    classify(json!({"model": "mood", "input": "a".repeat(5000)})).refuses(413, "4000 bytes");
    server
        .send("POST", "/classify", "", "{")
        .refuses(400, "not understood");
    server
        .send("POST", "/classify", "", "")
        .refuses(400, "not understood");
    server
        .post("/predict", &json!({"inputs": "a"}))
        .refuses(400, "name one");
    server
        .post(
            "/predict",
            &json!({"inputs": ["a", "b"], "adapter": "mood"}),
        )
        .refuses(422, "pair");
    server
        .post("/v1/adapters", &json!({"name": "new"}))
        .refuses(403, "folder of adapters");
    server
        .send("DELETE", "/v1/adapters/mood", "", "")
        .refuses(403, "folder of adapters");
    // And it goes on.
    classify(json!({"model": "mood", "input": "a"})).expect(200);

    refused(
        &scratch,
        &["serve", "--model", "model", "--adapter", "a b=out/adapter"],
        "name of an adapter",
    );
    refused(
        &scratch,
        &[
            "serve",
            "--adapter",
            "x=out/adapter",
            "--adapter",
            "x=other/adapter",
        ],
        "two adapters are called `x`",
    );
    refused(
        &scratch,
        &["serve", "--model", "model", "--adapter-root", "absent"],
        "absent",
    );
    refused(
        &scratch,
        &["serve", "--model", "model", "--allow-origin", "x"],
        "no origin",
    );
    let taken = server.address.as_str();
    refused(
        &scratch,
        &["serve", "--model", "model", "--bind", taken],
        "another address",
    );
}

#[test]
fn adapters_are_loaded_replaced_and_dropped_by_name() {
    let scratch = trained();
    let root = scratch.path("root");
    fs::create_dir_all(&root).unwrap();
    let copy = |from: &str, to: &str| {
        let to = root.join(to);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(scratch.path(from)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    copy("out/adapter", "first");
    copy("other/adapter", "second/adapter");
    let server = Server::start(&scratch, &["--model", "model", "--adapter-root", "root"]);
    let load = |body: Value| server.post("/v1/adapters", &body);
    let logits = || {
        let body = json!({"model": "a", "input": TEXTS[0], "raw_scores": true});
        server.post("/classify", &body).expect(200).json()["data"][0].clone()
    };
    let first = load(json!({"name": "a", "folder": "first"}))
        .expect(201)
        .json();
    let before = logits();
    assert_eq!(before["generation"], first["generation"]);
    load(json!({"name": "a", "folder": "second"})).refuses(409, "is taken");
    let put = |expected: &Value| {
        let body = json!({"folder": "second", "expected_generation": expected});
        server.send("PUT", "/v1/adapters/a", "", &body.to_string())
    };
    put(&json!(999)).refuses(409, "generation");
    let second = put(&first["generation"]).expect(200).json();
    let after = logits();
    assert_eq!(after["generation"], second["generation"]);
    assert_ne!(after["probs"], before["probs"]);
    put(&first["generation"]).refuses(409, "generation");

    // Nothing outside of the folder, and nothing that is damaged.
    for folder in [
        "../out",
        "/etc",
        "..",
        ".",
        "",
        "a/b",
        "second/adapter",
        "%2e%2e",
        "a\\b",
    ] {
        load(json!({"name": "b", "folder": folder})).refuses(400, "no path");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(scratch.path("out/adapter"), root.join("link")).unwrap();
    load(json!({"name": "b", "folder": "link"})).refuses(404, "no folder `link`");
    load(json!({"name": "../b", "folder": "first"})).refuses(400, "name of an adapter");
    load(json!({"name": "model", "folder": "first"})).refuses(409, "base model");
    load(json!({"name": "b", "folder": "absent"})).refuses(404, "absent");
    fs::create_dir_all(root.join("empty")).unwrap();
    load(json!({"name": "b", "folder": "empty"})).refuses(422, "holds no adapter");
    copy("out/adapter", "pickled");
    let pickled = root.join("pickled");
    fs::rename(
        pickled.join("adapter_model.safetensors"),
        pickled.join("adapter_model.bin"),
    )
    .unwrap();
    load(json!({"name": "b", "folder": "pickled"})).refuses(422, "safetensors");
    copy("out/adapter", "damaged");
    let weights = root.join("damaged/adapter_model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    load(json!({"name": "b", "folder": "damaged"})).refuses(422, "adapter");
    assert_eq!(logits(), after);

    let expected = first["generation"].as_u64().unwrap();
    let drop = |query: &str| server.send("DELETE", &format!("/v1/adapters/a{query}"), "", "");
    drop(&format!("?expected_generation={expected}")).refuses(409, "generation");
    drop("").expect(204);
    drop("").refuses(404, "no adapter");
    server
        .post("/classify", &json!({"model": "a", "input": "x"}))
        .refuses(404, "no adapter");
}

#[test]
fn a_key_is_asked_for_on_every_route_but_those_of_probes() {
    let scratch = trained();
    scratch.write("key", "0123456789abcdef-secret\n");
    let args = [ADAPTERS.as_slice(), &["--api-key-file", "key"]].concat();
    let server = Server::start(&scratch, &args);
    server.get("/health").expect(200);
    server.get("/ready").expect(200);
    let routes = [
        "/",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/info",
        "/v1/models",
        "/v1/models/mood",
        "/nothing",
    ];
    for path in routes {
        let reply = server.get(path).expect(401);
        assert!(reply.header("www-authenticate").is_some());
    }
    for path in [
        "/",
        "/predict",
        "/models/mood",
        "/classify",
        "/v1/adapters",
        "/v1/completions",
    ] {
        server
            .post(path, &json!({}))
            .refuses(401, "the key is missing or wrong");
    }
    let body = json!({"model": "mood", "input": "a"}).to_string();
    let ask = |header: &str| server.send("POST", "/classify", header, &body);
    ask("authorization: Bearer 0123456789abcdef-secre\r\n").expect(401);
    ask("authorization: Bearer 0123456789abcdef-secret\r\n").expect(200);
    // A browser's own dialogue.
    ask("authorization: Basic eDowMTIzNDU2Nzg5YWJjZGVmLXNlY3JldA==\r\n").expect(200);
    scratch.write("short", "abc\n");
    refused(
        &scratch,
        &[
            "serve",
            "--adapter",
            "out/adapter",
            "--api-key-file",
            "short",
        ],
        "at least 16 characters",
    );
}

#[test]
fn pages_of_other_origins_are_refused_unless_they_are_allowed() {
    let scratch = trained();
    let args = [
        ADAPTERS.as_slice(),
        &["--allow-origin", "https://example.org"],
    ]
    .concat();
    let server = Server::start(&scratch, &args);
    let body = json!({"model": "mood", "input": "a"}).to_string();
    let ask = |origin: &str| {
        let header = format!("origin: {origin}\r\n");
        server.send("POST", "/classify", &header, &body)
    };
    for other in [
        "https://example.com",
        "null",
        "https://example.org.evil",
        "http://example.org",
    ] {
        ask(other).refuses(403, "origin");
    }
    // A name that leads here, of a page elsewhere.
    let raw = "GET /v1/models HTTP/1.1\r\nhost: evil.example:8080\r\nconnection: close\r\n\r\n";
    server.raw(raw.as_bytes()).refuses(403, "localhost");
    // The server's own page, and the one that is allowed.
    ask("http://localhost").expect(200);
    let reply = ask("https://example.org").expect(200);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://example.org")
    );
}

#[cfg(unix)]
#[test]
fn it_stops_when_it_is_told_to() {
    let scratch = trained();
    let mut server = Server::start(&scratch, &ADAPTERS);
    // A connection that says nothing does not hold it.
    let _idle = server.connect();
    let body = json!({"model": ["mood", "other"], "input": vec!["good film"; 32]});
    let bytes = common::server::request("POST", "/classify", "", &body.to_string());
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = server.connect();
            std::io::Write::write_all(&mut stream, &bytes).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    server.signal("-TERM");
    for stream in asked {
        let reply = common::server::read_reply(stream).expect(200);
        assert_eq!(reply.json()["data"].as_array().unwrap().len(), 64);
    }
    assert_eq!(server.wait(Duration::from_secs(20)), Some(0));
    // After a kill it starts again as before.
    let mut server = Server::start(&scratch, &ADAPTERS);
    server.signal("-KILL");
    assert_eq!(server.wait(Duration::from_secs(20)), None);
    let server = Server::start(&scratch, &ADAPTERS);
    server.post("/classify", &body).expect(200);
}
