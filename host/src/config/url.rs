//! URLs: the one that senders see, kept byte for byte because signatures are made over it, and
//! those of destinations.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

use super::raw::Value;

/// The gateway's URL for senders: an absolute `http` or `https` URL, as written but for slashes at
/// its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Box<str>);

impl PublicUrl {
    /// Returns the URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its path, which a reverse proxy may pass on to the gateway or strip; empty where
    /// there is none.
    pub fn path(&self) -> &str {
        let authority = self.0.find("://").map_or(0, |scheme| scheme + 3);
        self.0[authority..]
            .find('/')
            .map_or("", |path| &self.0[authority + path..])
    }
}

impl PublicUrl {
    /// Returns the stand-in for an unreadable URL, while the rest is judged.
    pub(super) fn unknown() -> Self {
        Self("https://unknown.invalid".into())
    }

    /// Returns its host, without a port.
    pub fn host(&self) -> Option<String> {
        let url: Uri = self.0.parse().ok()?;
        Some(url.host()?.trim_matches(['[', ']']).to_owned())
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value<'_> {
    /// Returns the gateway's own URL. A path in front of `/in/<source>` is allowed. `speaks_tls`
    /// says whether the gateway itself speaks TLS, so that there is nothing to be reached by plain
    /// http.
    pub(super) fn public_url(&self, speaks_tls: bool) -> Option<PublicUrl> {
        let text = self.text("https://alerts.example.com")?;
        let url = self.url(
            text,
            "write it as senders see it, like \"https://alerts.example.com\"",
        )?;
        if speaks_tls && url.scheme_str() == Some("http") {
            let help = "senders must use https there, and signatures are made over what they use; write https";
            self.warning(
                format!("{} is plain http, and listen has tls", self.label),
                help,
            );
        } else if in_the_clear(&url) {
            let help = "senders' requests can be read and changed on the way; put https in front of the gateway";
            self.warning(format!("{} is plain http", self.label), help);
        }
        Some(PublicUrl(text.trim_end_matches('/').into()))
    }

    /// Returns an absolute `http` or `https` URL with nothing in it that is a secret. The URL is
    /// not shown: it may hold one.
    pub(super) fn url(&self, text: &str, help: &str) -> Option<Uri> {
        match parse(text) {
            Ok(url) => Some(url),
            Err(why) => {
                self.problem(format!("{} {why}", self.label), help);
                None
            }
        }
    }
}

/// Parses a URL; the error is its mistake, to follow its name.
fn parse(text: &str) -> Result<Uri, &'static str> {
    if text.contains('#') {
        return Err("has a fragment (#…), which is never sent");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a space or a letter that is not ASCII");
    }
    let url: Uri = text.parse().map_err(|_| "is not a URL")?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("does not begin with https:// or http://");
    }
    if url.query().is_some() {
        return Err("has a query (?…)");
    }
    let authority = url.authority().ok_or("names no host")?;
    if authority.as_str().contains('@') {
        return Err("holds a user name or password, which logs would show");
    }
    if authority.host().is_empty() {
        return Err("names no host");
    }
    // `Uri` takes any text after the colon for a port.
    let port = authority
        .as_str()
        .strip_prefix(authority.host())
        .unwrap_or_default();
    if !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("has a port that is none");
    }
    Ok(url)
}

/// Returns true if others can read it on the way: plain http, and not within this machine.
pub fn in_the_clear(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    url.scheme_str() == Some("http") && !local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_none_are_told_apart() {
        for (text, why) in [
            ("", "is not a URL"),
            ("/events", "does not begin with https:// or http://"),
            (
                "alerts.example.com",
                "does not begin with https:// or http://",
            ),
            ("ftp://a", "does not begin with https:// or http://"),
            ("https://", "is not a URL"),
            ("https://a/?", "has a query (?…)"),
            ("https://a/#x", "has a fragment (#…), which is never sent"),
            (
                "https://bücher.example",
                "has a space or a letter that is not ASCII",
            ),
            ("https://a b", "has a space or a letter that is not ASCII"),
            (
                "https://u:p@a",
                "holds a user name or password, which logs would show",
            ),
            ("https://:80", "names no host"),
            ("https://a:0", "has a port that is none"),
            ("https://a:70000", "has a port that is none"),
            ("https://a:", "has a port that is none"),
        ] {
            assert_eq!(parse(text).err(), Some(why), "{text}");
        }
    }

    #[test]
    fn plain_http_is_safe_within_the_machine_only() {
        for (text, clear) in [
            ("http://a.example", true),
            ("http://10.0.0.1:80/x", true),
            ("https://a.example", false),
            ("http://localhost:8080", false),
            ("http://127.0.0.53", false),
            ("http://[::1]:80", false),
        ] {
            assert_eq!(
                parse(text).map(|url| in_the_clear(&url)),
                Ok(clear),
                "{text}"
            );
        }
    }
}
