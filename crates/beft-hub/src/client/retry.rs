use std::thread;
use std::time::Duration;

use super::answer::answer;
use crate::HubError;
use crate::url::shown;

const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How a [`Client`] meets failures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How often something is tried before it fails.
    pub(crate) attempts: u32,
    /// The pause before the second attempt; it doubles with each further one.
    pub(crate) pause: Duration,
    /// How long to wait for a connection, an answer, or the next bytes.
    pub(crate) timeout: Duration,
}

/// What one attempt failed with.
pub(crate) enum Failed {
    /// It may go better next time.
    Passing {
        url: String,
        reason: String,
        /// What the server wants to be left alone for.
        pause: Option<Duration>,
    },
    Final(HubError),
}

impl Failed {
    pub(crate) fn passing(url: &str, reason: impl Into<String>) -> Self {
        Self::Passing {
            url: shown(url),
            reason: reason.into(),
            pause: None,
        }
    }
}

impl From<HubError> for Failed {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

/// What a request failed with.
pub(super) fn failed(url: &str, error: ureq::Error) -> Failed {
    use ureq::Error as E;
    match error {
        E::Io(ref e) if e.kind() == std::io::ErrorKind::InvalidData => {
            Failed::Final(answer(url, error.to_string()))
        }
        E::Io(_)
        | E::Timeout(_)
        | E::HostNotFound
        | E::ConnectionFailed
        | E::Protocol(_)
        | E::BodyStalled => Failed::passing(url, error.to_string()),
        _ => Failed::Final(answer(url, error.to_string())),
    }
}

/// Counts failures and pauses between them.
pub(crate) struct Retries {
    patience: Patience,
    failures: u32,
}

impl Retries {
    pub(super) const fn new(patience: Patience) -> Self {
        Self {
            patience,
            failures: 0,
        }
    }

    /// Starts counting anew, after some progress.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Pauses before the next attempt, or gives up.
    pub(crate) fn after(&mut self, failure: Failed) -> Result<(), HubError> {
        let (url, reason, pause) = match failure {
            Failed::Final(error) => return Err(error),
            Failed::Passing { url, reason, pause } => (url, reason, pause),
        };
        self.failures += 1;
        if self.failures >= self.patience.attempts {
            return Err(HubError::Connection {
                url,
                attempts: self.failures,
                reason,
            });
        }
        let doubled = 2u32.saturating_pow(self.failures - 1);
        let own = self.patience.pause.saturating_mul(doubled);
        thread::sleep(own.max(pause.unwrap_or_default()).min(MAX_PAUSE));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_at_last() {
        let mut retries = Retries::new(Patience {
            attempts: 3,
            pause: Duration::ZERO,
            timeout: Duration::ZERO,
        });
        let fail = || Failed::passing("http://h/a?b", "cut");
        retries.after(fail()).unwrap();
        retries.after(fail()).unwrap();
        retries.reset();
        retries.after(fail()).unwrap();
        retries.after(fail()).unwrap();
        let error = retries.after(fail()).unwrap_err().to_string();
        assert!(
            error.starts_with("http://h/a cannot be read after 3 attempts: cut"),
            "{error}"
        );
    }
}
