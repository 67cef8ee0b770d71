use std::thread;
use std::time::Duration;

use hf_hub::api::RepoInfo;
use hf_hub::{Repo, RepoType};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use crate::HubError;
use crate::name::{RepoName, is_plain};
use crate::url::{joined, origin, percent_encoded, shown};

const MAX_REDIRECTS: u32 = 10;
const MAX_PAUSE: Duration = Duration::from_secs(60);
const MAX_CONNECT: Duration = Duration::from_secs(10);
const MAX_INFO_BYTES: u64 = 64 << 20;

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

/// What the hub says of a file before it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) etag: String,
    pub(crate) size: Option<u64>,
}

/// A hub, reached over HTTP.
pub(crate) struct Client {
    agent: Agent,
    endpoint: String,
    origin: String,
    token: Option<String>,
    patience: Patience,
}

impl Client {
    pub(crate) fn new(
        endpoint: &str,
        token: Option<&str>,
        patience: Patience,
    ) -> Result<Self, HubError> {
        let origin = origin(endpoint).ok_or_else(|| HubError::BadEndpoint {
            endpoint: endpoint.to_owned(),
        })?;
        let agent = Agent::config_builder()
            .user_agent(concat!("beft/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // Followed here: the token must not go to another host, and the headers of the hub's
            // own answer are needed.
            .max_redirects(0)
            .timeout_connect(Some(patience.timeout.min(MAX_CONNECT)))
            .timeout_recv_response(Some(patience.timeout))
            .timeout_per_read(Some(patience.timeout))
            .build()
            .into();
        Ok(Self {
            agent,
            endpoint: endpoint.to_owned(),
            origin,
            token: token.map(str::to_owned),
            patience,
        })
    }

    /// The commit and files of the revision.
    pub(crate) fn info(&self, kind: RepoType, name: &RepoName) -> Result<RepoInfo, HubError> {
        let repo = Repo::with_revision(name.id.clone(), kind, name.revision.clone());
        let url = format!("{}/api/{}", self.endpoint, repo.api_url());
        self.retrying(|| {
            let (url, mut response) = self.get(name, None, &url, 0)?;
            let text = response
                .body_mut()
                .with_config()
                .limit(MAX_INFO_BYTES)
                .read_to_vec()
                .map_err(|e| failed(&url, e))?;
            let info: RepoInfo = serde_json::from_slice(&text)
                .map_err(|e| answer(&url, format!("the answer is no repository: {e}")))?;
            if !is_plain(&info.sha) {
                return Err(answer(&url, format!("`{}` is no commit hash", info.sha)).into());
            }
            Ok(info)
        })
    }

    /// The address of a file.
    pub(crate) fn url(&self, kind: RepoType, name: &RepoName, commit: &str, file: &str) -> String {
        let repo = Repo::with_revision(name.id.clone(), kind, commit.to_owned());
        format!(
            "{}/{}/resolve/{}/{}",
            self.endpoint,
            repo.url(),
            repo.url_revision(),
            percent_encoded(file)
        )
    }

    /// The ETag and size of a file.
    pub(crate) fn head(
        &self,
        name: &RepoName,
        file: &str,
        url: &str,
    ) -> Result<FileHead, HubError> {
        self.retrying(|| {
            let mut url = url.to_owned();
            let mut found = Headers::default();
            for _ in 0..=MAX_REDIRECTS {
                let response = self.hop(true, &url, 0)?;
                self.check(name, Some(file), &url, &response)?;
                let next = redirect(&url, &response)?;
                found.read(response.headers(), next.is_none());
                match next {
                    // A large file is elsewhere, and the hub has said what it is.
                    Some(next) if found.linked_etag.is_some() && !self.is_own(&next) => {}
                    Some(next) => {
                        url = next;
                        continue;
                    }
                    None => {}
                }
                return Ok(found.finish(&url)?);
            }
            Err(too_many_redirects(&url).into())
        })
    }

    /// Asks once for the bytes from `from` on, following redirects. Returns the last address too.
    pub(crate) fn get(
        &self,
        name: &RepoName,
        file: Option<&str>,
        url: &str,
        from: u64,
    ) -> Result<(String, Response<Body>), Failed> {
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.hop(false, &url, from)?;
            self.check(name, file, &url, &response)?;
            match redirect(&url, &response)? {
                Some(next) => url = next,
                None => return Ok((url, response)),
            }
        }
        Err(too_many_redirects(&url).into())
    }

    pub(crate) fn retrying<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Failed>,
    ) -> Result<T, HubError> {
        let mut retries = self.retries();
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => retries.after(failure)?,
            }
        }
    }

    pub(crate) const fn retries(&self) -> Retries {
        Retries {
            patience: self.patience,
            failures: 0,
        }
    }

    fn hop(&self, head: bool, url: &str, from: u64) -> Result<Response<Body>, Failed> {
        let request = if head {
            self.agent.head(url)
        } else {
            self.agent.get(url)
        };
        // Compressed, a file would have another size and could not be resumed.
        let mut request = request.header("Accept-Encoding", "identity");
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        if let Some(token) = &self.token
            && self.is_own(url)
        {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|e| failed(url, e))
    }

    fn check(
        &self,
        name: &RepoName,
        file: Option<&str>,
        url: &str,
        response: &Response<Body>,
    ) -> Result<(), Failed> {
        let status = response.status().as_u16();
        let header = |key| text(response.headers(), key);
        // Addresses on other hosts are signed for a while. A refusal there calls for a new one.
        let expired = matches!(status, 400 | 401 | 403 | 410)
            && !self.is_own(url)
            && header("x-error-code").is_none();
        let passing = expired || matches!(status, 408 | 425 | 429 | 500..);
        match status {
            200..=399 | 416 => Ok(()),
            _ if passing => Err(Failed::Passing {
                url: shown(url),
                reason: format!("HTTP {status}"),
                pause: header("retry-after")
                    .and_then(|seconds| seconds.parse().ok())
                    .map(Duration::from_secs),
            }),
            401 | 403 => Err(Failed::Final(HubError::Denied {
                name: name.to_string(),
                status,
                token: self.token.is_some(),
            })),
            404 => Err(Failed::Final(match (file, header("x-error-code")) {
                (Some(file), None | Some("EntryNotFound")) => HubError::NoFile {
                    name: name.to_string(),
                    file: file.to_owned(),
                },
                _ => HubError::NoRepository {
                    name: name.to_string(),
                    endpoint: self.endpoint.clone(),
                },
            })),
            _ => Err(answer(url, format!("HTTP {status}")).into()),
        }
    }

    fn is_own(&self, url: &str) -> bool {
        origin(url).as_ref() == Some(&self.origin)
    }
}

/// Counts failures and pauses between them.
pub(crate) struct Retries {
    patience: Patience,
    failures: u32,
}

impl Retries {
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

/// The headers that matter, gathered over redirects: the hub's own answer comes first and has the
/// `X-Linked` ones, the file's last answer has the others.
#[derive(Default)]
struct Headers {
    linked_etag: Option<String>,
    linked_size: Option<u64>,
    etag: Option<String>,
    size: Option<u64>,
}

impl Headers {
    fn read(&mut self, headers: &HeaderMap, is_last: bool) {
        let etag = |key| text(headers, key).map(plain_etag);
        let number = |key| text(headers, key).and_then(|n| n.parse().ok());
        self.linked_etag = self.linked_etag.take().or_else(|| etag("x-linked-etag"));
        self.linked_size = self.linked_size.or_else(|| number("x-linked-size"));
        if is_last {
            self.etag = etag("etag");
            self.size = number("content-length");
        }
    }

    fn finish(self, url: &str) -> Result<FileHead, HubError> {
        let etag = self
            .linked_etag
            .or(self.etag)
            .filter(|etag| is_plain(etag))
            .ok_or_else(|| answer(url, "the answer has no ETag, which names the content"))?;
        Ok(FileHead {
            etag,
            size: self.linked_size.or(self.size),
        })
    }
}

/// `W/"abc"` and `"abc"` are `abc`.
fn plain_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn text<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    headers.get(key)?.to_str().ok()
}

/// Where a redirect leads.
fn redirect(url: &str, response: &Response<Body>) -> Result<Option<String>, HubError> {
    if !response.status().is_redirection() {
        return Ok(None);
    }
    let location = text(response.headers(), "location")
        .and_then(|location| joined(url, location))
        .ok_or_else(|| answer(url, "the answer is a redirect that leads nowhere"))?;
    Ok(Some(location))
}

fn answer(url: &str, reason: impl Into<String>) -> HubError {
    HubError::Answer {
        url: shown(url),
        reason: reason.into(),
    }
}

fn too_many_redirects(url: &str) -> HubError {
    answer(url, format!("more than {MAX_REDIRECTS} redirects"))
}

fn failed(url: &str, error: ureq::Error) -> Failed {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_without_decoration() {
        for etag in ["abc", "\"abc\"", "W/\"abc\""] {
            assert_eq!(plain_etag(etag), "abc");
        }
    }

    #[test]
    fn gives_up_at_last() {
        let mut retries = Retries {
            patience: Patience {
                attempts: 3,
                pause: Duration::ZERO,
                timeout: Duration::ZERO,
            },
            failures: 0,
        };
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
