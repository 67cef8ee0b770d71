//! `/v1/completions`: its texts are those of `beft generate`, whole or in pieces.

#![allow(clippy::unwrap_used)]

mod common;

use common::decoder::{scratch, tune};
use common::server::{Reply, Server};
use common::{Scratch, run};
use serde_json::{Value, json};

const PROMPTS: [&str; 2] = ["the great film", "a dull"];

/// `model/` and its adapter `out/adapter`, which changes what is written.
fn trained() -> Scratch {
    let scratch = scratch("llama-tiny");
    tune(&scratch, "sst2", &["--terms", "all", "--lr", "5e-2"]);
    scratch
}

/// A server that calls the adapter `tuned`, and the base `model`.
fn served(scratch: &Scratch, more: &[&str]) -> Server {
    let args = [
        "--adapter",
        "tuned=out/adapter",
        "--max-client-batch-size",
        "8",
    ];
    Server::start(scratch, &[&args, more].concat())
}

/// What `beft generate` writes.
fn generated(scratch: &Scratch, model: &str, prompt: &str, more: &[&str]) -> Vec<Value> {
    let of: &[&str] = match model {
        "model" => &["--model", "model"],
        _ => &["--adapter", "out/adapter"],
    };
    let asked = ["generate", "--prompt", prompt, "--format", "jsonl"];
    let (text, _) = run(scratch, &[&asked, of, more].concat());
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A request for the most probable texts, with other fields.
fn greedy(model: &str, prompt: impl Into<Value>, more: Value) -> Value {
    let mut body = json!({"model": model, "prompt": prompt.into(), "temperature": 0});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

fn complete(server: &Server, body: &Value) -> Value {
    server.post("/v1/completions", body).expect(200).json()
}

/// The events of a stream, without the last, which is [DONE].
fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let mut lines: Vec<&str> = { reply.text.lines() }
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(lines.pop(), Some("[DONE]"), "{}", reply.text);
    let lines = lines.into_iter();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn texts_are_those_of_generate() {
    let scratch = trained();
    let server = served(&scratch, &[]);
    let tokens = ["--max-new-tokens", "20"];
    let alone = |model: &str, prompt: &str| generated(&scratch, model, prompt, &tokens).remove(0);
    let expected: Vec<(&str, Vec<Value>)> = ["model", "tuned"]
        .map(|model| (model, PROMPTS.map(|prompt| alone(model, prompt)).to_vec()))
        .to_vec();
    assert_ne!(expected[0].1[0]["text"], expected[1].1[0]["text"]);

    // Base and adapter at the same time, several texts each.
    std::thread::scope(|scope| {
        let asked: Vec<_> = { expected.iter().cycle().take(6) }
            .map(|(model, texts)| {
                let body = greedy(model, json!(PROMPTS), json!({"max_tokens": 20}));
                let server = &server;
                (texts, scope.spawn(move || complete(server, &body)))
            })
            .collect();
        for (texts, reply) in asked {
            let reply = reply.join().unwrap();
            assert_eq!(reply["object"], "text_completion");
            let choices = reply["choices"].as_array().unwrap();
            assert_eq!(choices.len(), texts.len());
            for (index, (choice, text)) in choices.iter().zip(texts).enumerate() {
                assert_eq!(choice["index"], index);
                assert_eq!(choice["text"], text["text"]);
                assert_eq!(choice["finish_reason"], text["finish_reason"]);
                assert_eq!(choice["logprobs"], Value::Null);
            }
            let lengths = texts
                .iter()
                .map(|text| text["tokens"].as_array().unwrap().len());
            let usage = &reply["usage"];
            assert_eq!(usage["completion_tokens"], lengths.sum::<usize>());
            let sum = usage["prompt_tokens"].as_u64().unwrap()
                + usage["completion_tokens"].as_u64().unwrap();
            assert_eq!(usage["total_tokens"], sum);
        }
    });

    // In pieces.
    let more = json!({"max_tokens": 20, "stream": true, "stream_options": {"include_usage": true}});
    let reply = server
        .post("/v1/completions", &greedy("tuned", json!(PROMPTS), more))
        .expect(200);
    assert!(reply.header("beft-adapter").unwrap().starts_with("tuned;"));
    let mut pieces = events(&reply);
    let last = pieces.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["completion_tokens"].as_u64().unwrap() > 2);
    for (index, text) in expected[1].1.iter().enumerate() {
        let own = pieces.iter().map(|piece| &piece["choices"][0]);
        let own: Vec<&Value> = own.filter(|choice| choice["index"] == index).collect();
        assert!(own.len() > 1, "{own:?}");
        let joined: String = own
            .iter()
            .map(|choice| choice["text"].as_str().unwrap())
            .collect();
        assert_eq!(text["text"], joined);
        let (end, before) = own.split_last().unwrap();
        assert_eq!(end["finish_reason"], text["finish_reason"]);
        assert!(
            before
                .iter()
                .all(|choice| choice["finish_reason"].is_null())
        );
    }
    let model = server.get("/v1/models/tuned").expect(200).json();
    assert_eq!(
        (&model["id"], &model["parent"]),
        (&json!("tuned"), &json!("model"))
    );
}

#[test]
fn what_is_drawn_is_drawn_again_by_its_seed() {
    let scratch = trained();
    let server = served(&scratch, &[]);
    let draw = [
        "--temperature",
        "0.9",
        "--top-k",
        "50",
        "--seed",
        "7",
        "--n",
        "3",
    ];
    let expected = generated(
        &scratch,
        "tuned",
        PROMPTS[0],
        &[
            draw.as_slice(),
            &["--max-new-tokens", "12", "--logprobs", "2"],
        ]
        .concat(),
    );
    let texts: Vec<&Value> = expected.iter().map(|row| &row["text"]).collect();
    assert_ne!(texts[0], texts[1]);
    let mut body = json!({"model": "tuned", "prompt": PROMPTS[0], "temperature": 0.9, "top_k": 50, "seed": 7, "n": 3,
                          "best_of": 3, "max_tokens": 12, "logprobs": 2, "echo": null, "stream": null, "stop": null});
    let reply = complete(&server, &body);
    let choices = reply["choices"].as_array().unwrap();
    assert_eq!(
        choices
            .iter()
            .map(|choice| &choice["text"])
            .collect::<Vec<_>>(),
        texts
    );
    for (choice, row) in choices.iter().zip(&expected) {
        let (found, known) = (&choice["logprobs"], &row["logprobs"]);
        assert_eq!(found["tokens"], known["tokens"]);
        assert_eq!(found["text_offset"], known["text_offset"]);
        assert_eq!(found["top_logprobs"][0].as_object().unwrap().len(), 2);
        let numbers = |of: &Value| -> Vec<f64> {
            { of["token_logprobs"].as_array().unwrap().iter() }
                .map(|one| one.as_f64().unwrap())
                .collect()
        };
        let (found, known) = (numbers(found), numbers(known));
        assert!(
            found.iter().zip(&known).all(|(a, b)| (a - b).abs() < 1e-4),
            "{found:?} {known:?}"
        );
    }
    // One prompt counts once, whatever n is.
    let one = complete(
        &server,
        &greedy("tuned", PROMPTS[0], json!({"max_tokens": 1})),
    );
    assert_eq!(
        reply["usage"]["prompt_tokens"],
        one["usage"]["prompt_tokens"]
    );
    body["seed"] = json!(8);
    let other = complete(&server, &body);
    // Text number 0 of seed 8 is number 1 of seed 7.
    assert_eq!(other["choices"][0]["text"], *texts[1]);

    // A stop, the prompt before the text, and tokens in place of a prompt.
    let whole = complete(
        &server,
        &greedy("tuned", PROMPTS[0], json!({"max_tokens": 20})),
    );
    let whole = whole["choices"][0]["text"].as_str().unwrap();
    let letters = |pair: &&[u8]| pair.iter().all(u8::is_ascii_lowercase);
    let middle = whole.as_bytes().windows(2).find(letters).unwrap();
    let middle = std::str::from_utf8(middle).unwrap();
    let stopped = greedy(
        "tuned",
        PROMPTS[0],
        json!({"max_tokens": 20, "stop": ["never said", middle]}),
    );
    let stopped = complete(&server, &stopped);
    let cut = &whole[..whole.find(middle).unwrap()];
    assert_eq!(stopped["choices"][0]["text"], cut);
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let echoed = complete(
        &server,
        &greedy("tuned", PROMPTS[0], json!({"max_tokens": 20, "echo": true})),
    );
    let echoed = echoed["choices"][0]["text"].as_str().unwrap();
    assert_eq!(echoed, format!("{}{whole}", PROMPTS[0]));
    let file = scratch.read("model/tokenizer.json");
    let vocabulary = serde_json::from_str::<Value>(&file).unwrap()["model"]["vocab"].clone();
    let ids: Vec<&Value> = vocabulary
        .as_object()
        .unwrap()
        .values()
        .skip(20)
        .take(3)
        .collect();
    let of_tokens = complete(
        &server,
        &greedy("model", json!([ids, ids]), json!({"max_tokens": 5})),
    );
    assert_eq!(of_tokens["usage"]["prompt_tokens"], 6);
    assert_eq!(
        of_tokens["choices"][0]["text"],
        of_tokens["choices"][1]["text"]
    );
}

#[test]
fn what_cannot_be_written_is_refused_with_a_message_that_clients_show() {
    let scratch = trained();
    let server = served(&scratch, &["--max-tokens", "30"]);
    let ask = |more: Value| server.post("/v1/completions", &greedy("tuned", PROMPTS[0], more));
    let reply = ask(json!({"model": "none"})).expect(404);
    let error = &reply.json()["error"];
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("choose one of model, tuned")
    );
    assert_eq!(
        (&error["type"], &error["param"], &error["code"]),
        (&json!("NotFound"), &Value::Null, &json!(404))
    );
    let length = reply
        .header("content-length")
        .unwrap()
        .parse::<usize>()
        .unwrap();
    assert_eq!(length, reply.text.len());
    server
        .get("/v1/models/none")
        .refuses(404, "choose one of model, tuned");
    // Other routes answer as text-embeddings-inference does.
    let other = server
        .post("/classify", &json!({"model": "none", "input": "a"}))
        .expect(404);
    assert!(other.json()["error"].is_string());

    ask(json!({"max_tokens": 0})).refuses(400, "may be 1 to 30");
    ask(json!({"max_tokens": 31})).refuses(400, "may be 1 to 30");
    ask(json!({"n": 0})).refuses(400, "an n of at least 1");
    ask(json!({"prompt": []})).refuses(400, "give a prompt");
    ask(json!({"temperature": -1})).refuses(400, "temperature");
    ask(json!({"top_p": 0, "temperature": 1})).refuses(400, "top");
    ask(json!({"stop": ["a", ""]})).refuses(400, "empty text");
    ask(json!({"logprobs": 21})).refuses(400, "20 at most");
    ask(json!({"logprobs": 1, "echo": true})).refuses(400, "leave out \"echo\"");
    ask(json!({"stream_options": {"include_usage": true}})).refuses(400, "set \"stream\"");
    ask(json!({"messages": []})).refuses(400, "messages");
    for field in ["presence_penalty", "frequency_penalty", "best_of"] {
        ask(json!({field: 2})).refuses(400, field);
    }
    ask(json!({"suffix": "a"})).refuses(400, "suffix");
    ask(json!({"logit_bias": {"5": 1}})).refuses(400, "logit_bias");
    ask(json!({"n": 9})).refuses(413, "more than 8 texts");
    let long = "film ".repeat(200);
    ask(json!({"prompt": long})).expect(413);
    // Of a stream too, by the status.
    ask(json!({"prompt": long, "stream": true})).expect(413);
    ask(json!({"prompt": [4_000_000]})).expect(422);
    // And it goes on.
    ask(json!({"max_tokens": 2, "presence_penalty": 0})).expect(200);

    let encoder = Scratch::new();
    encoder.tune(&[]).assert().success();
    let server = Server::start(&encoder, &["--adapter", "mood=out/adapter"]);
    let body = json!({"model": "mood", "prompt": "a"});
    server
        .post("/v1/completions", &body)
        .refuses(422, "writes no texts");
}
