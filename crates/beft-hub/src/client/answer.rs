use ureq::Body;
use ureq::http::{HeaderMap, Response};

use crate::HubError;
use crate::name::is_plain;
use crate::url::{joined, shown};

/// What the hub says of a file before it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) etag: String,
    pub(crate) size: Option<u64>,
}

/// The headers that matter, gathered over redirects: the hub's own answer comes first and has the
/// `X-Linked` ones, the file's last answer has the others.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) linked_etag: Option<String>,
    linked_size: Option<u64>,
    etag: Option<String>,
    size: Option<u64>,
}

impl Headers {
    pub(super) fn read(&mut self, headers: &HeaderMap, is_last: bool) {
        let etag = |key| text(headers, key).map(plain_etag);
        let number = |key| text(headers, key).and_then(|n| n.parse().ok());
        self.linked_etag = self.linked_etag.take().or_else(|| etag("x-linked-etag"));
        self.linked_size = self.linked_size.or_else(|| number("x-linked-size"));
        if is_last {
            self.etag = etag("etag");
            self.size = number("content-length");
        }
    }

    pub(super) fn finish(self, url: &str) -> Result<FileHead, HubError> {
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

pub(super) fn text<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    headers.get(key)?.to_str().ok()
}

/// Where a redirect leads.
pub(super) fn redirect(url: &str, response: &Response<Body>) -> Result<Option<String>, HubError> {
    if !response.status().is_redirection() {
        return Ok(None);
    }
    let location = text(response.headers(), "location")
        .and_then(|location| joined(url, location))
        .ok_or_else(|| answer(url, "the answer is a redirect that leads nowhere"))?;
    Ok(Some(location))
}

pub(super) fn answer(url: &str, reason: impl Into<String>) -> HubError {
    HubError::Answer {
        url: shown(url),
        reason: reason.into(),
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
}
