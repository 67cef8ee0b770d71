use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;

/// What a path keeps as it is, beside letters and digits.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where a `Location` header leads from `url`. Nothing but HTTP is followed.
pub(crate) fn joined(url: &str, location: &str) -> Option<String> {
    let target = if let Some(rest) = location.strip_prefix("//") {
        format!("{}://{rest}", url.split("://").next()?)
    } else if location.starts_with('/') {
        format!("{}{location}", origin(url)?)
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let path = url.split(['?', '#']).next()?;
        format!("{}/{location}", path.rsplit_once('/')?.0)
    };
    origin(&target).map(|_| target)
}

/// `scheme://host:port` of an HTTP address.
pub(crate) fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let host = uri.host()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(default);
    Some(format!("{scheme}://{host}:{port}"))
}

/// Without the query, which may hold a signature.
pub(crate) fn shown(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
}

pub(crate) fn percent_encoded(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (url, expected) in [
            ("https://Hub.example/a?b", Some("https://hub.example:443")),
            ("http://127.0.0.1:8080/x", Some("http://127.0.0.1:8080")),
            (
                "https://user@hub.example:444",
                Some("https://hub.example:444"),
            ),
            ("ftp://hub.example", None),
            ("hub.example", None),
            ("/x", None),
            ("", None),
        ] {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn redirects_are_joined() {
        let base = "https://hub.example/org/name?x=/y";
        for (location, expected) in [
            ("/a/b", Some("https://hub.example:443/a/b")),
            (
                "/a?next=http://b/c",
                Some("https://hub.example:443/a?next=http://b/c"),
            ),
            ("other", Some("https://hub.example/org/other")),
            ("//cdn.example/a", Some("https://cdn.example/a")),
            (
                "http://cdn.example/a?sig=1",
                Some("http://cdn.example/a?sig=1"),
            ),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(joined(base, location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(percent_encoded("a b/ü#?.csv"), "a%20b/%C3%BC%23%3F.csv");
        assert_eq!(shown("http://h/a?signature=secret"), "http://h/a");
    }
}
