//! The rules of RFC 9112 (3.2) for the host that a request names.

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, Version};

/// Returns what is wrong with the host of a request; `None` where it follows the rules.
///
/// A proxy in front may route by one `Host` and a server behind it by another, so a request that
/// leaves room for two readings is answered 400 by every server.
pub fn flaw<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        // HTTP/1.0 has none, and HTTP/2 names the host in `:authority`.
        (None, _) if request.version() == Version::HTTP_11 => {
            Some("the request has no Host header")
        }
        (None, _) => None,
        (Some(_), Some(_)) => Some("the request has more than one Host header"),
        (Some(host), None) if is_host(host.as_bytes()) => None,
        (Some(_), None) => Some("the Host header is not a host and a port"),
    }
}

/// Returns whether these bytes are a host with or without a port.
fn is_host(bytes: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(bytes) else {
        return false;
    };
    // With user information the text does not begin with the host.
    let Some(rest) = authority.as_str().strip_prefix(authority.host()) else {
        return false;
    };
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    !authority.host().is_empty() && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, hosts: &[&str]) -> Request<()> {
        let mut request = Request::post("/in/a").version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn one_valid_host_is_taken() {
        for host in [
            "a",
            "a.example:8080",
            "127.0.0.1",
            "[::1]:443",
            "a.example:",
            "A_b-c.example",
        ] {
            assert_eq!(flaw(&request(Version::HTTP_11, &[host])), None, "{host}");
        }
    }

    #[test]
    fn missing_host_is_refused_in_http_1_1_only() {
        assert!(flaw(&request(Version::HTTP_11, &[])).is_some());
        assert_eq!(flaw(&request(Version::HTTP_10, &[])), None);
        assert_eq!(flaw(&request(Version::HTTP_2, &[])), None);
    }

    #[test]
    fn second_host_is_refused_in_every_version() {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert!(flaw(&request(version, &["a", "a"])).is_some());
        }
    }

    #[test]
    fn invalid_host_is_refused() {
        for host in [
            "",
            "a b",
            "a/b",
            "a@b",
            "user@a.example",
            "a:b",
            "a:99999",
            "a:80:80",
            "[::1",
            "a\tb",
            ":80",
            "a,b c",
        ] {
            assert!(
                flaw(&request(Version::HTTP_11, &[host])).is_some(),
                "{host:?}"
            );
        }
    }
}
