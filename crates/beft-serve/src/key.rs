//! The key that requests bring.

use std::path::Path;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ServeError;

/// Characters of a key at least: fewer can be guessed.
const SHORTEST: usize = 16;

/// The digest of the key, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Key(Option<[u8; 32]>);

impl Key {
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, ServeError> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let text = std::fs::read_to_string(path).map_err(|source| ServeError::Read {
            path: path.to_owned(),
            source,
        })?;
        let key = text.trim();
        match key.len() < SHORTEST || key.contains(char::is_whitespace) {
            true => Err(ServeError::NoKey(path.to_owned())),
            false => Ok(Self(Some(Sha256::digest(key).into()))),
        }
    }

    /// Whether a request may be answered: it brings the key as a bearer token, or as the password of any user.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(known) = &self.0 else { return true };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(given)
            .unwrap_or_default();
        // Digests are as long as one another, whatever was sent, and are compared in constant time.
        let given: [u8; 32] = Sha256::digest(given).into();
        known.ct_eq(&given).into()
    }
}

fn given(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        return Some(decoded.split_once(':')?.1.to_owned());
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn the_key_is_a_bearer_token_or_a_password() {
        let key = Key(Some(Sha256::digest("0123456789abcdef").into()));
        assert!(key.admits(&headers("Bearer 0123456789abcdef")));
        assert!(key.admits(&headers("bearer  0123456789abcdef")));
        let basic = STANDARD.encode("anyone:0123456789abcdef");
        assert!(key.admits(&headers(&format!("Basic {basic}"))));
        for wrong in [
            "Bearer 0123456789abcdeF",
            "Bearer",
            "0123456789abcdef",
            "Basic !",
            "Bearer ",
        ] {
            assert!(!key.admits(&headers(wrong)), "{wrong}");
        }
        assert!(!key.admits(&HeaderMap::new()));
        assert!(Key(None).admits(&HeaderMap::new()));
    }
}
