//! Declared fetches: what the host gets from the sender's own servers, on behalf of a plugin.
//!
//! A plugin reaches nothing by itself. Where a sender publishes the key of its signatures, or wants
//! an address opened to confirm a subscription, the plugin says where such addresses lead and where
//! a request holds them; the host does the rest. The operator's settings turn it on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An address that the host may get, which stands in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// The use of what is got.
    pub purpose: Purpose,
    /// The pattern of the address: `https://sns.*.amazonaws.com/Service-*.pem`. `*` stands for one
    /// or more letters, digits and dashes of one part of the host, and behind the host for any
    /// character but `/`, `?`, `&` and `#`. No other address is got.
    pub url: String,
    /// The place of the address in the request's JSON body, as a JSON Pointer.
    pub at: String,
    /// The name of the top-level setting that turns it on: `true`.
    pub setting: String,
    /// The name of the top-level setting in whose place the key stands, for [`Purpose::Key`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// Texts that the body must have, by JSON Pointer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, String>,
}

/// The use of what is got from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A key or a certificate in PEM, which proves the sender in the place of a secret. It is
    /// cached.
    Key,
    /// A confirmation that the sender asks for. It is got once the sender is proved, and the
    /// request then needs nobody; where it cannot be got, the plugin's alerts stand.
    Confirmation,
}

impl Fetch {
    /// Returns whether an address fits the pattern.
    pub fn matches(&self, url: &str) -> bool {
        let (Some(pattern), Some(url)) = (split(&self.url), split(url)) else {
            return false;
        };
        pattern[0] == url[0]
            && fits(pattern[1].as_bytes(), url[1].as_bytes(), is_of_host)
            && fits(pattern[2].as_bytes(), url[2].as_bytes(), is_of_path)
    }

    /// Returns the flaw of the pattern.
    pub fn flaw(&self) -> Option<&'static str> {
        let Some([scheme, host, _]) = split(&self.url) else {
            return Some("is no address: write it as in \"https://keys.example.com/*.pem\"");
        };
        if is_loopback(host) && !host.contains('*') {
            return None;
        }
        if scheme != "https" {
            return Some("is not https");
        }
        // The domain is fixed, so that nobody registers one that fits.
        let domain = host.rsplit('.').take(2).collect::<Vec<_>>();
        let is_fixed = domain.len() == 2 && !domain.concat().contains('*') && !host.contains('@');
        (!is_fixed).then_some("leaves the domain open: `*` stands for a part before it")
    }
}

/// Returns the scheme, the host and what follows it.
fn split(url: &str) -> Option<[&str; 3]> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#'])?;
    let (host, path) = rest.split_at(end);
    (!host.is_empty()).then_some([scheme, host, path])
}

/// Returns whether a host is this machine, by its address.
fn is_loopback(host: &str) -> bool {
    let port = ["127.0.0.1", "[::1]"]
        .into_iter()
        .find_map(|name| host.strip_prefix(name));
    port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'&' | b'#' | b'\\')
}

/// Follows every way through the pattern at once, so that no pattern takes long.
fn fits(pattern: &[u8], text: &[u8], is_of: fn(u8) -> bool) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    for byte in text {
        let mut next = vec![false; reached.len()];
        for at in (0..reached.len()).filter(|at| reached[*at]) {
            let goes_on = at > 0 && pattern[at - 1] == b'*' && is_of(*byte);
            next[at] |= goes_on;
            if let Some(expected) = pattern.get(at) {
                next[at + 1] |= match expected {
                    b'*' => is_of(*byte),
                    expected => expected == byte,
                };
            }
        }
        reached = next;
    }
    reached[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(url: &str) -> Fetch {
        Fetch {
            purpose: Purpose::Key,
            url: url.to_owned(),
            at: "/url".to_owned(),
            setting: "fetch".to_owned(),
            secret: "key".to_owned(),
            when: BTreeMap::new(),
        }
    }

    #[test]
    fn pattern_fits_addresses_of_its_kind_alone() {
        let key = fetch("https://sns.*.amazonaws.com/Service-*.pem");
        for url in [
            "https://sns.eu-central-1.amazonaws.com/Service-0a.pem",
            "https://sns.us-west-2.amazonaws.com/Service-a.b.pem",
        ] {
            assert!(key.matches(url), "{url}");
        }
        for url in [
            "http://sns.eu-central-1.amazonaws.com/Service-0a.pem",
            "https://sns..amazonaws.com/Service-0a.pem",
            "https://sns.a.b.amazonaws.com/Service-0a.pem",
            "https://sns.a@evil.amazonaws.com/Service-0a.pem",
            "https://sns.evil.example/.amazonaws.com/Service-0a.pem",
            "https://sns.eu.amazonaws.com.evil.example/Service-0a.pem",
            "https://sns.eu.amazonaws.com:444/Service-0a.pem",
            "https://sns.eu.amazonaws.com/Service-.pem",
            "https://sns.eu.amazonaws.com/Service-a/../../b.pem",
            "https://sns.eu.amazonaws.com/Service-a?b=.pem",
            "https://sns.eu.amazonaws.com/Service-a#.pem",
            "https://sns.eu.amazonaws.com/Service-a\\b.pem",
            "https://sns.eu.amazonaws.com/Service-a b.pem",
            "https://sns.eu.amazonaws.com",
            "sns.eu.amazonaws.com/Service-a.pem",
            "",
        ] {
            assert!(!key.matches(url), "{url}");
        }
        let confirmation = fetch("https://sns.*.example.com/?Action=Confirm&Topic=*&Token=*");
        assert!(
            confirmation
                .matches("https://sns.eu.example.com/?Action=Confirm&Topic=arn:aws:sns:x&Token=2f")
        );
        assert!(
            !confirmation
                .matches("https://sns.eu.example.com/?Action=Confirm&Topic=x&Token=2f&Action=Drop")
        );
    }

    #[test]
    fn pattern_names_its_domain() {
        for url in [
            "https://keys.example.com/*",
            "https://*.example.com/x",
            "http://127.0.0.1:8080/*",
            "http://[::1]/*",
        ] {
            assert_eq!(fetch(url).flaw(), None, "{url}");
        }
        for url in [
            "",
            "/x",
            "https://example.com",
            "http://example.com/*",
            "https://*.com/x",
            "https://*/x",
            "https://sns.*/x",
            "https://user@example.com/x",
            "http://localhost.example/*",
            "http://127.0.0.1:*/",
        ] {
            assert!(fetch(url).flaw().is_some(), "{url}");
        }
    }
}
