//! The address of an admin listener, as a person writes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::Uri;

/// Returns the address that paths of the API are joined to.
///
/// # Errors
/// What is wrong with it. The text itself is not repeated where it may hold a credential.
pub fn base(text: &str) -> Result<String, String> {
    let example = "write it as in https://gateway.example.com:9090";
    let text = text.trim().trim_end_matches('/');
    let text = text.strip_suffix("/api/v1").unwrap_or(text);
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        return Err(format!("--remote: the address has no scheme; {example}"));
    };
    let Ok(uri) = with_scheme.parse::<Uri>() else {
        return Err(format!("--remote: this is no URL; {example}"));
    };
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(
            "--remote: leave the credential out of the URL; a token is named by --token-file or \
             ALERT_GATEWAY_TOKEN"
                .to_owned(),
        );
    }
    match (uri.scheme_str(), uri.host(), uri.query()) {
        (Some("http" | "https"), Some(host), None) if !host.is_empty() => Ok(with_scheme),
        (Some("http" | "https"), Some(_), Some(_)) => Err(format!(
            "--remote: the address of a listener has no query; {example}"
        )),
        _ => Err(format!(
            "--remote: this is no URL of http or https; {example}"
        )),
    }
}

/// Returns the address by which this machine reaches a listener of its own.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_read_and_a_credential_in_it_never_repeated() {
        for (text, expected) in [
            ("https://gw.example.com:9090", "https://gw.example.com:9090"),
            ("http://127.0.0.1:9090/", "http://127.0.0.1:9090"),
            ("https://gw.example.com/api/v1/", "https://gw.example.com"),
            (
                "https://p.example.com/gateway/",
                "https://p.example.com/gateway",
            ),
        ] {
            assert_eq!(base(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "gw.example.com:9090",
            "ftp://gw.example.com",
            "https://",
            "https://user:canary@gw.example.com",
            "https://gw.example.com/?token=canary",
            "https://a b",
        ] {
            let why = base(wrong).unwrap_err();
            assert!(
                why.starts_with("--remote: ") && !why.contains("canary"),
                "{why}"
            );
        }
    }
}
