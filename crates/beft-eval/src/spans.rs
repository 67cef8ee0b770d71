//! From scores of tokens to the best answer, as transformers' `utils_qa.py` chooses it.

use std::cmp::Ordering;

use beft_core::Answerable;

/// What a model says of the tokens of one window of a context.
#[derive(Clone, Copy, Debug)]
pub struct WindowScores<'a> {
    /// For each token the characters of the context that it stands for, the first and the one behind the last; `None` for
    /// the question and special tokens.
    pub offsets: &'a [Option<(usize, usize)>],
    /// For each token how well it begins the answer, and how well it ends it.
    pub scores: &'a [[f32; 2]],
}

/// The best answer to a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanChoice {
    /// Its characters in the context, the first and the one behind the last; `None` where no tokens can be one.
    pub span: Option<(usize, usize)>,
    /// Its probability among the best answers.
    pub probability: f32,
    /// Where a question may have no answer: the score of that less the score of the best answer.
    pub no_answer: Option<f32>,
    /// Where a question may have no answer: the probability of that among the best answers.
    pub no_answer_probability: Option<f32>,
}

/// Starts and ends that are combined, and answers that share the probability (`n_best_size`).
const BEST: usize = 20;
/// Tokens of an answer at most (`max_answer_length`).
const LONGEST: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    span: (usize, usize),
    score: f32,
}

impl Candidate {
    fn is_empty(&self) -> bool {
        self.span.0 >= self.span.1
    }
}

/// The best answer over all windows of a question: of the 20 best starts and ends of each window the pair with the highest
/// sum that is at most 30 tokens long (`postprocess_qa_predictions`). That there is none has the score of the first
/// token, the least over windows.
pub fn best_span(windows: &[WindowScores<'_>], answerable: Answerable) -> SpanChoice {
    let mut found = Vec::new();
    let mut null: Option<Candidate> = None;
    for window in windows {
        let Some([start, end]) = window.scores.first() else {
            continue;
        };
        let score = start + end;
        if null.is_none_or(|null| null.score > score) {
            null = Some(Candidate {
                span: (0, 0),
                score,
            });
        }
        candidates(window, &mut found);
    }
    let null = null.filter(|_| answerable == Answerable::Sometimes);
    found.extend(null);
    found.sort_by(|a, b| descending(a.score, b.score));
    found.truncate(BEST);
    if let Some(null) = null
        && !found.iter().any(|candidate| candidate.span == null.span)
    {
        found.push(null);
    }
    // Of a question that may have no answer an empty one says that; of others it is an answer.
    let best = found
        .iter()
        .position(|candidate| null.is_none() || !candidate.is_empty());
    let probabilities = probabilities(&found);
    let null_at = null.and_then(|null| found.iter().position(|c| c.span == null.span));
    let nothing =
        |candidate: &Candidate| null.is_none() && found.len() == 1 && candidate.is_empty();
    let best = best.filter(|best| !nothing(&found[*best]));
    SpanChoice {
        span: best.map(|best| found[best].span),
        probability: best.map_or(0.0, |best| probabilities[best]),
        no_answer: null.map(|null| null.score - best.map_or(0.0, |best| found[best].score)),
        no_answer_probability: null_at.map(|at| probabilities[at]),
    }
}

/// The higher score first; 0 and -0 are equal, as in Python.
fn descending(a: f32, b: f32) -> Ordering {
    (b + 0.0).total_cmp(&(a + 0.0))
}

/// Adds the possible answers of a window.
fn candidates(window: &WindowScores<'_>, found: &mut Vec<Candidate>) {
    let best = |part: usize| {
        let mut order: Vec<usize> = (0..window.scores.len()).collect();
        order.sort_by(|a, b| descending(window.scores[*a][part], window.scores[*b][part]));
        order.truncate(BEST);
        order
    };
    let ends = best(1);
    for start in best(0) {
        for end in &ends {
            if *end < start || end - start + 1 > LONGEST {
                continue;
            }
            if let (Some((from, _)), Some((_, to))) = (window.offsets[start], window.offsets[*end])
            {
                found.push(Candidate {
                    span: (from, to),
                    score: window.scores[start][0] + window.scores[*end][1],
                });
            }
        }
    }
}

fn probabilities(candidates: &[Candidate]) -> Vec<f32> {
    let scores: Vec<f32> = candidates.iter().map(|candidate| candidate.score).collect();
    crate::softmax(&scores)
}

/// The difference of scores up to which a question is answered that may have no answer, so that most is
/// gained (`find_best_thresh` of `evaluate-v2.0.py`). Where it is best never to answer, it is below all of them.
///
/// `differences` are [`SpanChoice::no_answer`]; `gains` say what it gives to answer each question: the worth of the best
/// answer, or -1 where the right answer is none. Both are equally long.
pub fn best_no_answer_threshold(differences: &[f32], gains: &[f64]) -> f32 {
    let mut order: Vec<usize> = (0..differences.len()).collect();
    order.sort_by(|a, b| differences[*a].total_cmp(&differences[*b]));
    let never = order
        .first()
        .map_or(0.0, |first| differences[*first].next_down());
    let (mut sum, mut best, mut threshold) = (0.0, 0.0, never);
    for (at, index) in order.iter().copied().enumerate() {
        sum += gains[index];
        // Equal differences are answered together.
        let next = order.get(at + 1).map(|next| differences[*next]);
        if sum > best && next != Some(differences[index]) {
            (best, threshold) = (sum, differences[index]);
        }
    }
    threshold
}
