mod answer;
mod retry;

use std::time::Duration;

use hf_hub::api::RepoInfo;
use hf_hub::{Repo, RepoType};
use ureq::http::Response;
use ureq::{Agent, Body};

pub(crate) use self::answer::FileHead;
use self::answer::{Headers, answer, redirect, text};
use self::retry::failed;
pub(crate) use self::retry::{Failed, Patience, Retries};
use crate::HubError;
use crate::name::{RepoName, is_plain};
use crate::url::{origin, percent_encoded, shown};

const MAX_REDIRECTS: u32 = 10;
const MAX_CONNECT: Duration = Duration::from_secs(10);
const MAX_INFO_BYTES: u64 = 64 << 20;

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
        Retries::new(self.patience)
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

fn too_many_redirects(url: &str) -> HubError {
    answer(url, format!("more than {MAX_REDIRECTS} redirects"))
}
