//! How long requests took.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::asked::Said;

/// How a request ended, and when.
pub(super) struct Answer {
    said: Said,
    took: Duration,
}

impl Answer {
    /// One that is there now.
    pub(super) fn since(begun: Instant, said: Said) -> Self {
        Self {
            said,
            took: begun.elapsed(),
        }
    }
}

/// How the requests of a run ended.
#[derive(Default)]
pub(super) struct Times {
    /// Milliseconds of those that were answered.
    millis: Vec<f64>,
    refused: usize,
    failed: Vec<String>,
    seconds: f64,
}

impl Times {
    pub(super) fn add(&mut self, answer: Answer) {
        match answer.said {
            Said::Answer(_) => self.millis.push(answer.took.as_secs_f64() * 1e3),
            Said::Refused => self.refused += 1,
            Said::Failed(why) => self.failed.push(why),
        }
    }

    /// The run is over, after so long.
    pub(super) fn ended(&mut self, took: Duration) {
        self.seconds = took.as_secs_f64();
    }

    pub(super) fn report(mut self) -> Value {
        self.millis.sort_by(f64::total_cmp);
        json!({
            "seconds": self.seconds,
            "answered": self.millis.len(),
            "refused": self.refused,
            "errors": self.failed.len(),
            "first_error": self.failed.first(),
            "per_second": self.millis.len() as f64 / self.seconds,
            "p50_ms": quantile(&self.millis, 0.5),
            "p90_ms": quantile(&self.millis, 0.9),
            "p99_ms": quantile(&self.millis, 0.99),
        })
    }
}

/// The least of sorted numbers that so large a share does not exceed.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numbers_that_occurred() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&sorted, 0.5), Some(50.0));
        assert_eq!(quantile(&sorted, 0.99), Some(99.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
