use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The checksum that an ETag of the hub is: SHA-256 for large files, git's hash for the others.
pub(crate) enum Digest {
    Sha256(Sha256),
    Git(Sha1),
    /// An ETag of another kind says nothing of the content, so only the size is compared.
    Unknown,
}

impl Digest {
    /// `size` is needed for git's hash, which starts with it.
    pub(crate) fn of_etag(etag: &str, size: Option<u64>) -> Self {
        let hex = etag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match (etag.len(), size) {
            (64, _) if hex => Self::Sha256(Sha256::new()),
            (40, Some(size)) if hex => Self::Git(Sha1::new_with_prefix(format!("blob {size}\0"))),
            _ => Self::Unknown,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sha) => sha.update(bytes),
            Self::Git(sha) => sha.update(bytes),
            Self::Unknown => {}
        }
    }

    pub(crate) fn finish(self) -> Option<String> {
        match self {
            Self::Sha256(sha) => Some(format!("{:x}", sha.finalize())),
            Self::Git(sha) => Some(format!("{:x}", sha.finalize())),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // `printf 'hello\n' | sha256sum` and `printf 'hello\n' | git hash-object --stdin`.
        for etag in [
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ] {
            let mut digest = Digest::of_etag(etag, Some(6));
            digest.update(b"hel");
            digest.update(b"lo\n");
            assert_eq!(digest.finish().as_deref(), Some(etag));
        }
        for (etag, size) in [
            ("ce013625030ba8dba906f756967f9e9ca394464a", None),
            ("d41d8cd98f00b204e9800998ecf8427e-12", Some(6)),
            ("", Some(6)),
        ] {
            assert!(Digest::of_etag(etag, size).finish().is_none());
        }
    }
}
