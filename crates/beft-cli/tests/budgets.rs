//! Scores of heads, budgets, and what scores say of the outcome.

#![allow(clippy::unwrap_used)]

mod common;

use common::{COMPARE, DATA, Scratch, refused, run};
use serde_json::Value;

fn json(scratch: &Scratch, file: &str) -> Value {
    serde_json::from_str(&scratch.read(file)).unwrap()
}

/// What `rank` chooses can be trained, and no other value changes.
#[test]
fn a_budget_is_spent_and_trained() {
    let scratch = Scratch::new();
    let rank = |more: &[&str]| {
        let all = [&["rank"], &DATA[..], &["--out", "out"], more].concat();
        run(&scratch, &all);
        json(&scratch, "out/ranking.json")
    };
    let sites = rank(&["--before", "--budget", "100", "--parts", "sites"]);
    let budget = &sites["budget"];
    assert_eq!(
        (&budget["scorer"], &budget["budget"]),
        (&"slope".into(), &100.into())
    );
    // Biases of 32 and 64 values: 96 are the most that fit.
    assert_eq!(budget["values"], 96);
    let chosen = budget["chosen"].as_array().unwrap();
    let scores: Vec<f64> = chosen
        .iter()
        .map(|part| part["score_per_value"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(!scratch.path("out/heads_slope_v.svg").exists());

    let heads = rank(&["--before", "--budget", "40", "--heads", "--parts", "heads"]);
    let terms = heads["budget"]["terms"].as_str().unwrap();
    assert!(heads["budget"]["values"].as_u64().unwrap() <= 40);
    assert!(scratch.read("out/heads_slope_v.svg").contains("v h1"));
    // The scores of the heads of a bias add up to its own: it is a sum.
    let whole = heads["ranking"]["slope"].as_array().unwrap();
    let v = whole.iter().find(|row| row["term"] == "v").unwrap();
    let of_heads = heads["heads"]["slope"]["v"].as_array().unwrap();
    let sum: f64 = of_heads.iter().map(|head| head[2].as_f64().unwrap()).sum();
    assert!((sum / v["layers"][2].as_f64().unwrap() - 1.0).abs() < 1e-6);

    scratch.tune(&["--terms", terms]).assert().success();
    let trained = &json(&scratch, "out/results.json")["modes"][0];
    assert_eq!(trained["mode"], terms);
    // The head: a matrix of 32 x 3 and 3 biases; and the pooler's bias.
    let values = heads["budget"]["values"].as_u64().unwrap();
    assert_eq!(trained["trainable"].as_u64().unwrap(), values + 99 + 32);
    let all = [
        &["eval", "--adapter", "out/adapter", "--data", "data"][..],
        &["--out", "eval.json"],
    ];
    run(&scratch, &all.concat());
    assert_eq!(json(&scratch, "eval.json")["metrics"], trained["metrics"]);
    // Another ranking in the same folder leaves no picture of this one.
    rank(&["--scorer", "random"]);
    let pictures: Vec<String> = { scratch.list("out").into_iter() }
        .filter(|name| name.ends_with(".svg"))
        .collect();
    assert_eq!(pictures, ["heatmap_random.svg"]);
}

#[test]
fn run_spends_a_budget_instead_of_picking_a_term() {
    let scratch = Scratch::new();
    let args = [
        "run", "--epochs", "1", "--budget", "64", "--parts", "sites", "--scorer", "fisher",
        "--out", "out",
    ];
    let all = [&args[..], &DATA[..]].concat();
    run(&scratch, &all);
    let results = json(&scratch, "out/results.json");
    assert_eq!(results["budget"]["terms"], results["picked"]);
    assert_eq!(results["modes"].as_array().unwrap().len(), 6);
    assert!(
        scratch
            .read("out/report.md")
            .contains("What the budget was spent on")
    );
    assert!(
        scratch
            .read("out/adapter/beft.json")
            .contains(results["picked"].as_str().unwrap())
    );
    // Finished; and another budget is another run.
    let again = [&all[..], &["--resume"]].concat();
    let (_, said) = run(&scratch, &again);
    assert!(said.contains("finished"), "{said}");
    let other = [
        "run", "--epochs", "1", "--budget", "96", "--parts", "sites", "--scorer", "fisher",
        "--out", "out", "--resume",
    ];
    refused(&scratch, &[&other[..], &DATA[..]].concat(), "budget");
    let small = ["run", "--epochs", "1", "--budget", "3", "--out", "small"];
    refused(&scratch, &[&small[..], &DATA[..]].concat(), "too small");
}

/// A budget that comes to one of the candidates is not trained again.
#[test]
fn a_budget_can_be_one_of_the_candidates() {
    let scratch = Scratch::new();
    let args = [
        "run", "--epochs", "1", "--budget", "96", "--scorer", "fisher", "--out", "out",
    ];
    let terms = ["--terms", "q,v,m1,ln1,m3,ln2"];
    let all = [&args[..], &DATA[..], &terms].concat();
    run(&scratch, &all);
    let results = json(&scratch, "out/results.json");
    // All biases, the head, and the six.
    assert_eq!(results["modes"].as_array().unwrap().len(), 8);
    assert_eq!(results["budget"]["trained_alone"], false);
    let (_, said) = run(&scratch, &[&all[..], &["--resume"]].concat());
    assert!(said.contains("finished"), "{said}");
}

/// Terms, sites and budgets are compared; the report says how scores agree with what came of them.
#[test]
fn scores_are_compared_with_outcomes() {
    let scratch = Scratch::new();
    let more = [
        "--epochs",
        "1",
        "--out",
        "out",
        "--mode",
        "terms",
        "--mode",
        "all",
        "--mode",
        "budget:64:snr:sites",
        "--mode",
        "budget:16:l2:heads",
        "--mode",
        "v@0",
        "--mode",
        "v@1",
        "--mode",
        "v@2",
        "--seeds",
        "0,1",
    ];
    let args = [&COMPARE[..], &more].concat();
    run(&scratch, &args);
    let group = &json(&scratch, "out/compare.json")["groups"][0];
    let of = |items: &str| -> Vec<&Value> {
        let all = group["agreements"].as_array().unwrap();
        all.iter().filter(|a| a["items"] == items).collect()
    };
    assert_eq!((of("terms").len(), of("sites").len()), (9, 9));
    let fisher = of("terms")
        .into_iter()
        .find(|a| a["scorer"] == "fisher")
        .unwrap();
    assert_eq!(fisher["points"].as_array().unwrap().len(), 8);
    let modes = group["modes"].as_array().unwrap();
    let budget = modes
        .iter()
        .find(|m| m["mode"] == "budget:64:snr:sites")
        .unwrap();
    assert_eq!(budget["trained"], 64 + 99 + 32);
    let report = scratch.read("out/compare.md");
    for part in [
        "what training each term alone brings",
        "scores_model_text_low_terms.svg",
        "budget:16:l2:heads, seed 1",
    ] {
        assert!(report.contains(part), "`{part}` is not in: {report}");
    }
    let before = scratch.tables("out");
    run(&scratch, &args);
    assert_eq!(scratch.tables("out"), before);
}

/// Options and modes that would do nothing, or cannot be, are refused with what to do.
#[test]
fn what_does_nothing_is_refused() {
    let scratch = Scratch::new();
    let compare = [&COMPARE[..], &["--epochs", "1", "--out", "out"]].concat();
    for (more, part) in [
        (&["--mode", "v", "--scorer", "beft"][..], "add the mode all"),
        (&["--head"], "head is for decoders"),
        (&["--objective", "text"], "objective is for decoders"),
        (&["--mode", "budget:0:fisher"], "budget:2304:fisher"),
        (&["--mode", "v", "--mode", "V"], "the modes name v twice"),
        (&["--seeds", "0,1,0"], "the seeds name 0 twice"),
        (
            &["--train-size", "4000"],
            "4000 training examples do not fit data/train.tsv",
        ),
        (
            &["--mode", "final_norm"],
            "model: the model has no bias `final_norm`",
        ),
        (&["--mode", "v@1.h9"], "heads of v"),
    ] {
        refused(&scratch, &[&compare[..], more].concat(), part);
        assert!(!scratch.path("out").exists(), "{more:?}");
    }
    let plan = |settings: &str| {
        format!(
            "models = [\"model\"]\nmodes = [\"ia3\"]\n[[tasks]]\ntask = \"text\"\ndata = \"data\"\n{settings}"
        )
    };
    scratch.write(
        "twice.toml",
        &plan("[mode.ia3]\nlr = 1e-2\n[mode.IA3]\nlr = 1e-3\n"),
    );
    let twice = ["compare", "--file", "twice.toml", "--out", "out"];
    refused(&scratch, &twice, "settings name ia3 twice");
    let with = |command: &'static str, more: &[&'static str]| {
        [&[command], &DATA[..], more, &["--out", "out"]].concat()
    };
    for (args, part) in [
        (
            with("rank", &["--before", "--epochs", "2"]),
            "--epochs is for a training",
        ),
        (
            with("tune", &["--micro-batch", "64"]),
            "--micro-batch 64 is more",
        ),
        (
            with("tune", &["--evaluate", "last", "--patience", "2"]),
            "train several and evaluate each, or each Nth",
        ),
        (
            with("tune", &["--epochs", "1", "--keep", "best"]),
            "train several and evaluate each, or each Nth",
        ),
        (with("tune", &["--terms", "q,q"]), "names `q` twice"),
        (
            with("tune", &["--terms", "budget:96:fisher"]),
            "`beft rank --budget` says which terms",
        ),
        (
            with("tune", &["--terms", "budget:96"]),
            "write budget:NUMBER:SCORER",
        ),
        (
            with("tune", &["--terms", "lora-v-r1", "--lora-rank", "4"]),
            "leave --lora-rank 4 out",
        ),
        (
            with("tune", &["--terms", "final_norm"]),
            "it has embeddings, pooler: name one of them",
        ),
        (
            with("tune", &["--terms", "lora-v", "--lora-alpha", "0"]),
            "other than 0",
        ),
        (with("rank", &["--terms", "pooler"]), "outside the layers"),
        (with("tune", &["--terms", "m3@0.h1"]), "divided among heads"),
        (with("run", &["--terms", "q,v,q"]), "names q twice"),
    ] {
        refused(&scratch, &args, part);
    }
    // Too small for anything, or for what is named: refused before any training.
    for (more, part) in [
        (
            &["--budget", "10"][..],
            "the smallest part that can be trained has 96",
        ),
        (&["--budget", "7", "--parts", "heads"], "too small"),
        (
            &["--budget", "96", "--terms", "v@0-1"],
            "names single layers",
        ),
        (
            &["--budget", "96", "--terms", "k"],
            "nothing to spend a budget on",
        ),
        (&["--terms", "v@1.h1"], "names heads"),
        (&["--heads", "--terms", "m1"], "--heads scores the heads"),
        (&["--limit", "3"], "rank evaluates nothing"),
        (
            &["--before", "--batch-size", "4"],
            "--batch-size is for a training",
        ),
    ] {
        let args = [&["rank", "--out", "out"], &DATA[..], more].concat();
        refused(&scratch, &args, part);
        assert!(!scratch.path("out/ranking.json").exists());
    }
    let small = [&compare[..], &["--mode", "budget:10:slope"]].concat();
    refused(&scratch, &small, "too small");
    let sample = ["sample", "--task", "text", "--data", "data", "--balanced"];
    refused(&scratch, &sample, "leave them out");
    let plan = ["plan", "--model", "model", "--predicted", "4"];
    refused(&scratch, &plan, "leave --predicted out");
    scratch.write("lines.txt", "good\n");
    let embed = [
        "embed",
        "--model",
        "model",
        "--data",
        "lines.txt",
        "--text",
        "a",
    ];
    refused(&scratch, &embed, "lines of text have none");
    refused(
        &scratch,
        &["demo", "--tickets", "t.csv", "--epochs", "3"],
        "--tickets",
    );
}
