//! Which bias term matters: importance scores from the biases before and after fine-tuning.
//!
//! * [`Scorer`]: computes one number per layer and term from two snapshots; [`Beft`] is the paper's
//!   score (BEFT, arXiv 2509.15974); [`Magnitude`], [`Angle`] and [`L2`] are its competitors.
//! * [`ScorerKind`]: all scores by name, with what each needs.
//! * [`Scores`]: those numbers, the mean of each term over the layers, the ranking and the
//!   recommended term, the best of q, k and v.
//! * [`spend`]: the parts of the biases that a [`Budget`] of so many values is spent on.
//! * [`Note`]: what a reader must know about a number, such as an undefined angle.
//! * [`RankedTerm`]: the form in which a ranking is written to JSON.
//!
//! Scores that need gradients are functions of [`GradientMoments`](beft_core::GradientMoments), which training computes.
//!
//! ```
//! use beft_core::{BiasSite, BiasSnapshot, BiasTerm::{K, Q, V}};
//! use beft_score::{Beft, Scorer};
//!
//! # fn main() -> Result<(), beft_score::ScoreError> {
//! let (q, k, v) = (BiasSite::new(0, Q), BiasSite::new(0, K), BiasSite::new(0, V));
//! let before = BiasSnapshot::from_iter([
//!     (q, vec![1.0, 2.0]),
//!     (k, vec![0.5, 0.5]),
//!     (v, vec![1.0, 0.0]),
//! ]);
//! let mut after = before.clone();
//! after.insert(q, vec![1.0, 1.0]); // 1 - 3/5
//! after.insert(v, vec![1.0, 3.0]); // 1 - 1/10
//!
//! let scores = Beft.score(&before, &after)?;
//! assert_eq!(scores.value(v), Some(0.9));
//! assert_eq!(scores.term_mean(K), Some(0.0));
//! assert_eq!(scores.recommended(), Some(V));
//! # Ok(())
//! # }
//! ```

mod budget;
mod note;
mod scorer;
mod scorers;
mod scores;

pub use budget::{Budget, BudgetError, Candidate, Part, Parts, Spent, spend};
pub use note::Note;
pub use scorer::{ScoreError, Scorer};
pub use scorers::*;
pub use scores::{Cell, RankedTerm, Scores};
