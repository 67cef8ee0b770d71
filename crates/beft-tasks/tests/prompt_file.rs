//! Prompt tasks described by the user.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use beft_tasks::{Candidates, LabelledTask, Metric, PromptKind, PromptTask, Split, Task};

const TOP: &str = "name = 'reviews'\nlabel = 'stars'\nlabels = ['bad', 'good']\n";

/// The example in the documentation.
fn documented() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/prompt/file.rs");
    let source = fs::read_to_string(source).unwrap();
    let lines = source
        .lines()
        .map(|line| line.trim().trim_start_matches("///"));
    let toml = lines.skip_while(|line| line.trim() != "```toml").skip(1);
    let toml: Vec<_> = toml.take_while(|line| line.trim() != "```").collect();
    toml.join("\n")
}

fn task(toml: &str) -> Result<PromptTask, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("task.toml");
    fs::write(&path, toml).unwrap();
    let task = PromptTask::resolve(path.to_str().unwrap());
    task.map_err(|error| {
        let text = error.to_string();
        text.replace(&path.display().to_string(), "task.toml")
    })
}

#[test]
fn the_documented_file_is_a_task() {
    let task = task(&documented()).unwrap();
    assert_eq!(
        (task.name.as_str(), task.kind()),
        ("reviews", PromptKind::Classification)
    );
    let built_in = PromptTask::named("sst2").unwrap();
    assert_eq!(task.defaults, built_in.defaults);
    assert_eq!((task.dev_size, task.max_new_tokens), (1000, 50));
    assert_eq!(task.metrics, [Metric::Accuracy]);
    let texts = [" terrible", " great"].map(str::to_owned).to_vec();
    assert_eq!(task.candidates, Candidates::Classes(texts));

    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("train.csv"),
        "stars,body\ngood,Fun.\n0,Dull.\n",
    )
    .unwrap();
    let set = task.load(dir.path(), Split::Train).unwrap();
    assert_eq!(set.labels, ["bad", "good"]);
    let said: Vec<_> = set.examples.iter().map(|e| e.demonstration()).collect();
    assert_eq!(said, ["Fun. It was great", "Dull. It was terrible"]);
}

#[test]
fn one_file_is_for_both_kinds_of_model() {
    let toml = format!(
        "{TOP}text = 'body'\nmetrics = ['macro_f1']\n[prompt]\ntemplate = '{{body}} It was'\n\
         candidates = [' bad', ' good']\nepochs = 2\n"
    );
    let prompt = task(&toml).unwrap();
    assert_eq!(prompt.metrics, [Metric::MacroF1]);
    assert_eq!(prompt.defaults.epochs, 2);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("task.toml");
    fs::write(&path, toml).unwrap();
    let encoder = LabelledTask::from_toml(&path).unwrap();
    assert_eq!(encoder.text_columns.names(), ["body"]);
    assert_eq!(encoder.defaults.epochs, 16);
}

#[test]
fn choices_lists_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let load = |toml: &str, content: &str| {
        let task = task(&format!("name = 'mine'\n{toml}")).unwrap();
        fs::write(dir.path().join("train.jsonl"), content).unwrap();
        task.load(dir.path(), Split::Train).unwrap()
    };
    let choices = load(
        "labels = ['A', 'B']\n[prompt]\ntemplate = '{q}'\ncandidates = [' {c.a}', ' {c.b}']\n",
        "{\"q\": \"1+1?\", \"c\": {\"a\": 2, \"b\": 3}, \"label\": \"A\"}\n",
    );
    assert!(choices.labels.is_empty());
    assert_eq!(choices.examples[0].candidates, [" 2", " 3"]);
    assert_eq!(choices.examples[0].right, [0]);

    let lists = load(
        "no_label = '?'\n[prompt]\ntemplate = '{ctx}'\ncandidates = ' {endings|midsentence}'\n",
        "{\"ctx\": \"He\", \"endings\": [\"Ran.\", \"Sat.\", \"Hid.\"], \"label\": [1, 2]}\n\
         {\"ctx\": \"He\", \"endings\": [\"Ran.\"], \"label\": \"?\"}\n",
    );
    assert_eq!(lists.examples[0].candidates, [" ran.", " sat.", " hid."]);
    assert_eq!(lists.examples[0].right, [1, 2]);
    assert_eq!(lists.skipped, [2]);

    let toml = "[prompt]\ntemplate = '{{{q}}}'\nanswer = '{answer}'\nmax_new_tokens = 9\n";
    let answers = load(
        toml,
        "{\"q\": \"?\", \"answer\": [\"x\", \"y\"]}\n{\"q\": \"?\", \"answer\": 5}",
    );
    assert_eq!(answers.examples[0].answers, ["x", "y"]);
    assert_eq!(answers.examples[1].demonstration(), "{?} 5\n");
    let generating = task(&format!("name = 'a'\n{toml}")).unwrap();
    assert_eq!(generating.metrics, [Metric::TokenF1, Metric::ExactMatch]);
    assert_eq!(generating.max_new_tokens, 9);
}

#[test]
fn a_file_without_a_header_line() {
    let toml = "name = 'a'\nlabels = ['n', 'y']\nlabel = 'is'\ncolumns = ['is', 'said']\n\
                skip_malformed = true\n[prompt]\ntemplate = '{said}?'\ncandidates = ['No', 'Yes']\n";
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("all.tsv", "y\tSo\nz\nn\tOr\n"),
        ("all.csv", "y,So\nz\nn,\"Or\"\n"),
        ("semicolons.csv", "y;So\nz\nn;Or\n"),
        ("named.csv", "said,is\nSo,y\nOr\nOr,n\n"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        let set = task(toml).unwrap().load_file(&path).unwrap();
        let said: Vec<_> = set.examples.iter().map(|e| e.demonstration()).collect();
        assert_eq!(said, ["So?Yes", "Or?No"], "{name}");
        assert_eq!(set.skipped.len(), 1, "{name}");
    }
}

#[test]
fn a_task_comes_back_from_its_definition() {
    let answer =
        "name = 'a'\n[prompt]\ntemplate = ''\nanswer = '{text}'\nmetrics = ['log_likelihood']\n";
    let each = "name = 'a'\n[prompt]\ntemplate = '{{x}} {q: a=b}'\ncandidates = ' {ends|trim}'\n";
    for toml in [documented(), answer.to_owned(), each.to_owned()] {
        let task = Task::from(task(&toml).unwrap());
        assert!(!task.is_built_in());
        assert_eq!(Task::from_definition(&task.definition()).unwrap(), task);
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    const PROMPT: &str = "[prompt]\ntemplate = '{body} It was'\n";
    const CANDIDATES: &str = "candidates = [' terrible', ' great']\n";
    for (toml, expected) in [
        (TOP.to_owned(), ":1: there is no [prompt] table: add one"),
        (format!("{TOP}{PROMPT}"), ":4: what may follow is missing"),
        (
            format!("{TOP}[prompt]\ntemplate = '{{body It was'\n{CANDIDATES}"),
            ":5: `{` opens behind `` and never closes",
        ),
        (
            format!("{TOP}[prompt]\ntemplate = 'It was'\n{CANDIDATES}"),
            ":5: `template` names no column",
        ),
        (
            format!("{TOP}[prompt]\ntemplate = '{{body|loud}}'\n{CANDIDATES}"),
            ":5: unknown change `loud` in `{body|loud}`: expected one of trim, lower",
        ),
        (
            format!("{TOP}{PROMPT}candidates = ['a', 'b', 'c']\n"),
            ":3: there are 2 labels, but 3 candidates",
        ),
        (
            format!("{TOP}{PROMPT}candidates = ['a', 'a']\n"),
            ":6: candidate `a` is there twice",
        ),
        (
            "name = 'a'\nbalanced = true\n[prompt]\ntemplate = '{b}'\nanswer = '{c}'\n".to_owned(),
            ":2: `balanced` is for tasks with classes",
        ),
        (
            "name = 'a'\nlabel = 'c'\n[prompt]\ntemplate = '{b}'\nanswer = '{c}'\n".to_owned(),
            ":2: `label` is not read where answers are generated",
        ),
        (
            format!("{TOP}{PROMPT}candidates = ['a', '}}']\n"),
            ":6: `}` behind `` closes nothing",
        ),
        (
            format!("{TOP}{PROMPT}candidates = 'a'\n"),
            ":6: a single candidate names no column",
        ),
        (
            format!("name = 'a'\n{PROMPT}{CANDIDATES}"),
            ":2: candidates without columns need `labels`",
        ),
        (
            format!("{TOP}{PROMPT}{CANDIDATES}answer = '{{a}}'\n"),
            ":7: `answer` and `candidates` exclude each other",
        ),
        (
            format!("{TOP}{PROMPT}{CANDIDATES}metrics = ['token_f1']\n"),
            ":7: metric `token_f1` does not fit",
        ),
        (
            format!("{TOP}{PROMPT}{CANDIDATES}learning_rate = 0\n"),
            ":7: `learning_rate` must be more than 0",
        ),
        (
            format!("{TOP}{PROMPT}{CANDIDATES}colour = 1\n"),
            ":7: unknown field `colour`",
        ),
        (
            format!("name = 'copa'\n{PROMPT}{CANDIDATES}"),
            ":1: `copa` is a built-in prompt task",
        ),
    ] {
        let error = task(&toml).unwrap_err();
        assert!(
            error.starts_with(&format!("task.toml{expected}")),
            "{toml}{error}"
        );
    }
}
