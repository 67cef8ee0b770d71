//! The keys of a task file that describes questions about a context.

use toml::Spanned;

use crate::TaskKind;
use crate::task_checks::wrong;
use crate::task_file::{Names, TaskFile, Wrong};

impl TaskFile {
    /// The file with the columns of its questions as those of texts, pairs and labels, or an error about keys of
    /// another kind of task.
    pub(crate) fn with_questions(mut self) -> Result<Self, Wrong> {
        let own = [
            ("question", &self.question),
            ("context", &self.context),
            ("answers", &self.answers),
        ];
        if self.kind != TaskKind::QuestionAnswering {
            for (key, value) in own {
                if let Some(value) = value {
                    return wrong(value, only_questions(key));
                }
            }
            return match &self.answerable {
                Some(value) => wrong(value, only_questions("answerable")),
                None => Ok(self),
            };
        }
        let others = [
            ("text", "question", self.text.as_ref().map(Spanned::span)),
            (
                "text_alternatives",
                "question",
                self.text_alternatives.as_ref().map(Spanned::span),
            ),
            ("pair", "context", self.pair.as_ref().map(Spanned::span)),
            (
                "pair_alternatives",
                "context",
                self.pair_alternatives.as_ref().map(Spanned::span),
            ),
            ("label", "answers", self.label.as_ref().map(Spanned::span)),
            (
                "pair_required",
                "context",
                self.pair_required.as_ref().map(Spanned::span),
            ),
        ];
        for (key, instead, span) in others {
            if let Some(span) = span {
                let message = format!("a task of questions has no `{key}`: write `{instead}`");
                return Err((span, message));
            }
        }
        let column = |key: &str, given: Option<Spanned<Names>>| {
            given.or_else(|| Some(Spanned::new(0..0, Names::One(key.to_owned()))))
        };
        self.text = column("question", self.question.take());
        self.pair = column("context", self.context.take());
        self.label = column("answers", self.answers.take());
        Ok(self)
    }
}

fn only_questions(key: &str) -> String {
    format!("`{key}` is for tasks of `kind = \"question_answering\"`: remove it")
}
