//! Texts that are generated together are what each of them is alone.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use beft_checkpoint::ModelDir;
use beft_core::Encoding;
use beft_decoder::{
    DecoderForCausalLM, Finish, GenerateOptions, Generating, NewToken, Request, RequestError,
    RowId, Sampling,
};
use beft_nn::{
    Batch, BiasModel, BiasSet, Padding, ParamPath, Precision, param_shapes, stack_biases,
};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const MODELS: [&str; 5] = [
    "opt-tiny",
    "opt-post-tiny",
    "llama-tiny",
    "gptj-tiny",
    "gpt2-tiny",
];

fn load(name: &str) -> DecoderForCausalLM {
    let dir = ModelDir::open(&beft_fixtures::model(name)).unwrap();
    let files = dir.tensors().unwrap();
    let loaded = DecoderForCausalLM::load(&dir, &files, Precision::F32, &Device::flex());
    loaded.unwrap().0
}

/// Random values for all biases that `wanted` names, large enough to change the text.
fn biases(
    model: &DecoderForCausalLM,
    seed: u64,
    wanted: impl Fn(&ParamPath) -> bool,
) -> Arc<BiasSet> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let layout = model.bias_layout();
    let shapes = param_shapes(model).into_iter();
    let own = shapes.filter(|(path, _)| {
        (path.term().is_some() || layout.outer(path).is_some()) && wanted(path)
    });
    let values = own.map(|(path, shape)| {
        let values: Vec<f32> = (0..shape[0]).map(|_| rng.random_range(-0.5..0.5)).collect();
        let data = TensorData::new(values, shape);
        (path, Tensor::from_data(data, &Device::flex()))
    });
    Arc::new(values.collect())
}

fn random(seed: u64) -> Sampling {
    Sampling::new(1.5, Some(40), 0.95, seed).unwrap()
}

fn requests(model: &DecoderForCausalLM) -> Vec<Request> {
    let all = biases(model, 1, |_| true);
    let some = biases(model, 2, |path| {
        path.term().is_some_and(|term| term.to_string() == "v")
    });
    let of = |prompt: &[u32], new: usize, sampling, biases| Request {
        prompt: prompt.to_vec(),
        options: GenerateOptions {
            max_new_tokens: new,
            sampling,
            ..GenerateOptions::default()
        },
        biases,
    };
    let mut penalty = of(&[4, 5, 4], 9, Sampling::Greedy, None);
    penalty.options.repetition_penalty = 1.8;
    vec![
        of(&[3, 9, 5, 7, 2, 8, 6], 12, Sampling::Greedy, None),
        of(&[3], 5, Sampling::Greedy, Some(all.clone())),
        of(&[7, 7, 2], 14, random(5), Some(some.clone())),
        penalty,
        of(&[8, 3, 3, 3, 9, 9, 2, 11, 12], 7, random(5), Some(all)),
        of(&[5, 6, 7, 8], 10, Sampling::Greedy, Some(some)),
        of(&[5, 6, 7, 8], 10, random(6), None),
    ]
}

/// The text of a request by itself, on a model that has its biases.
fn alone(model: &DecoderForCausalLM, request: &Request) -> Vec<u32> {
    let model = match &request.biases {
        Some(set) => stack_biases(model.clone(), &[set]),
        None => model.clone(),
    };
    let prompt = std::slice::from_ref(&request.prompt);
    model
        .generate(prompt, &request.options, |_, _| ())
        .remove(0)
}

#[test]
fn company_changes_no_text() {
    for name in MODELS {
        let model = load(name);
        let requests = requests(&model);
        let mut generating = Generating::new(model.clone());
        let mut texts: BTreeMap<RowId, Vec<u32>> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut taken_out = None;
        for step in 0.. {
            // Two at first, then one every other step; the last are alone.
            let joining = match step {
                0 => 2,
                _ => usize::from(step % 2 == 1),
            };
            for request in requests.iter().skip(rows.len()).take(joining) {
                rows.push(generating.join(request.clone()).unwrap());
            }
            if step == 4 {
                generating.leave(rows[0]);
                taken_out = Some(rows[0]);
            }
            let tokens = generating.step();
            let count = tokens.len();
            let finished = tokens.iter().filter(|token| token.finish.is_some()).count();
            assert_eq!(generating.len(), count - finished);
            for NewToken { row, token, .. } in tokens {
                assert!(step < 4 || Some(row) != taken_out);
                texts.entry(row).or_default().push(token.unwrap());
            }
            if generating.is_empty() && rows.len() == requests.len() {
                break;
            }
        }
        for (row, request) in rows.iter().zip(&requests) {
            let mut expected = alone(&model, request);
            if Some(*row) == taken_out {
                expected.truncate(4);
            }
            assert_eq!(texts[row], expected, "{name}: {row:?}");
        }
        // The biases do something.
        assert_ne!(
            texts[&rows[5]],
            alone(
                &model,
                &Request {
                    biases: None,
                    ..requests[5].clone()
                }
            )
        );
    }
}

#[test]
fn a_prefix_is_in_front_of_every_text() {
    let model = load("llama-tiny").with_prefix(3, 7);
    let requests = requests(&model);
    let mut generating = Generating::new(model.clone());
    let rows: Vec<RowId> = requests
        .iter()
        .map(|request| generating.join(request.clone()).unwrap())
        .collect();
    let mut texts: BTreeMap<RowId, Vec<u32>> = BTreeMap::new();
    while !generating.is_empty() {
        for NewToken { row, token, .. } in generating.step() {
            texts.entry(row).or_default().extend(token);
        }
    }
    for (row, request) in rows.iter().zip(&requests) {
        assert_eq!(texts[row], alone(&model, request), "{row:?}");
    }
}

/// The keys and values of a shared beginning are those that each input would compute.
#[test]
fn a_prompt_that_all_share_is_read_once() {
    for name in MODELS.into_iter().chain(["llama-yarn-tiny", "qwen2-tiny"]) {
        let model = load(name).with_prefix(2, 5);
        let shared = [3u32, 14, 15, 9, 2, 6];
        let (rest, branches) = ([5u32, 3], [&[8u32, 9, 7][..], &[9, 3]]);
        let candidates = || branches.iter().map(|ids| (*ids, ids.len()));
        let scores = |model: &DecoderForCausalLM, prompt: &[u32], from: usize| {
            let encoding = Encoding::with_branches(prompt, candidates());
            let batch = Batch::new([&encoding], Padding::Packed, &Device::flex());
            let scores = model.forward_all(&batch);
            let vocab = scores.dims()[1];
            let values: Vec<f32> = scores.into_data().try_to_vec::<f32>().unwrap();
            values[from * vocab..].to_vec()
        };
        let whole = scores(&model, &[&shared[..], &rest].concat(), shared.len());
        let with_prompt = model.with_prompt(&shared);
        assert_eq!(with_prompt.prefix_len(), 2 + shared.len());
        let apart = scores(&with_prompt, &rest, 0);
        assert_eq!(whole.len(), apart.len(), "{name}");
        let largest = whole.iter().zip(&apart).map(|(a, b)| (a - b).abs());
        let largest = largest.fold(0.0f32, f32::max);
        assert!(largest < 1e-5, "{name}: {largest}");
    }
}

#[test]
fn texts_end_by_a_token_or_by_their_length() {
    let model = load("opt-tiny");
    let options = GenerateOptions {
        max_new_tokens: 4,
        logprobs: Some(2),
        ..GenerateOptions::default()
    };
    let prompt = vec![5, 6];
    let text = model.generate(std::slice::from_ref(&prompt), &options, |_, _| ());
    let mut generating = Generating::new(model.clone());
    let request = |stop: Vec<u32>| Request {
        prompt: prompt.clone(),
        options: GenerateOptions {
            stop,
            ..options.clone()
        },
        biases: None,
    };
    let long = generating.join(request(Vec::new())).unwrap();
    let short = generating.join(request(vec![text[0][0]])).unwrap();
    let tokens = generating.step();
    let [first, second] = tokens.as_slice() else {
        panic!("{tokens:?}")
    };
    assert_eq!((first.row, second.row), (long, short));
    assert_eq!((second.token, second.finish), (None, Some(Finish::Stop)));
    let logprobs = first.logprobs.as_ref().unwrap();
    assert_eq!(logprobs.top.len(), 2);
    assert_eq!(logprobs.top[0], (text[0][0], logprobs.logprob));
    let last = std::iter::from_fn(|| generating.step().pop())
        .last()
        .unwrap();
    assert_eq!(
        (last.token, last.finish),
        (Some(text[0][3]), Some(Finish::Length))
    );
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let model = load("gpt2-tiny");
    let mut generating = Generating::new(model.clone());
    let good = Request {
        prompt: vec![1, 2],
        options: GenerateOptions {
            max_new_tokens: 1000,
            ..GenerateOptions::default()
        },
        biases: None,
    };
    let refused = |generating: &mut Generating, request| generating.join(request).unwrap_err();
    let empty = Request {
        prompt: Vec::new(),
        ..good.clone()
    };
    assert_eq!(refused(&mut generating, empty), RequestError::Empty);
    let none = Request {
        options: GenerateOptions::default(),
        ..good.clone()
    };
    assert_eq!(refused(&mut generating, none), RequestError::NoTokens);
    let unknown = Request {
        prompt: vec![1, 9999],
        ..good.clone()
    };
    let error = refused(&mut generating, unknown).to_string();
    assert!(error.contains("9999"), "{error}");
    let long = Request {
        prompt: vec![1; 1000],
        ..good.clone()
    };
    let error = refused(&mut generating, long);
    let RequestError::TooLong { longest, .. } = error else {
        panic!("{error}")
    };
    let set = BiasSet::from([(
        "decoder.layers.0.norm1_gamma".into(),
        Tensor::zeros([32], &Device::flex()),
    )]);
    let foreign = Request {
        biases: Some(Arc::new(set)),
        ..good.clone()
    };
    let error = refused(&mut generating, foreign).to_string();
    assert!(error.contains("norm1_gamma"), "{error}");
    // It goes on to the last position, and the token behind that needs none.
    generating.join(good).unwrap();
    let mut count = 0;
    while !generating.is_empty() {
        count += generating.step().len();
    }
    assert_eq!(count, longest + 1 - 2);
}
