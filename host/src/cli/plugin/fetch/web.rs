//! GET over the Internet, with limits on everything: the size of an answer, the time of each step
//! and of the whole, and the number of redirects.
//!
//! A redirect goes on to https alone, and to another host only where that host is of the Internet:
//! a server may not send the gateway's machine to its own network. The same holds for the server of
//! tokens that a registry of the Internet names. A credential stays with the host that it was meant
//! for.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::header::{LOCATION, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Network, is_in_the_clear};
use crate::destinations::http::{
    AGENT, Pool, describe, is_private_literal, is_proxied, is_public, pool,
};

/// The most redirects that are followed.
const REDIRECTS: usize = 5;
/// The time that a server may take for the head of an answer, and for each piece of its body.
const STEP: Duration = Duration::from_secs(30);
/// The time of one answer in all.
const WHOLE: Duration = Duration::from_secs(600);

/// A client, with the connections that it keeps.
#[derive(Default)]
pub struct Web {
    pools: HashMap<(String, bool), Box<dyn Pool>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The URL that answered, after redirects.
    pub url: Uri,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body of an answer 200.
    ///
    /// # Errors
    /// It is another one.
    pub fn content(self) -> anyhow::Result<Vec<u8>> {
        let Self { url, status, .. } = &self;
        // The query of a redirect's URL may be a credential.
        ensure!(
            *status == StatusCode::OK,
            "{}{} answered {status}",
            origin(url),
            url.path()
        );
        Ok(self.body)
    }
}

/// Reads a URL.
///
/// # Errors
/// It is none that can be fetched.
pub fn parse_url(text: &str) -> anyhow::Result<Uri> {
    let url: Uri = text.parse().map_err(|_| anyhow!("{text} is not a URL"))?;
    ensure!(
        url.host().is_some() && matches!(url.scheme_str(), Some("https" | "http")),
        "{text} is no https URL"
    );
    ensure!(!is_in_the_clear(&url), "{text} is plain http: write https");
    Ok(url)
}

impl Web {
    /// Gets a URL with these headers; an answer's body may have `limit` bytes.
    ///
    /// # Errors
    /// There is no answer, it is too large, or a redirect leads where it may not.
    pub async fn get(
        &mut self,
        url: &Uri,
        headers: &[(HeaderName, HeaderValue)],
        limit: u64,
    ) -> anyhow::Result<Answer> {
        self.follow(url, false, headers, limit).await
    }

    /// Gets a URL that another server names.
    ///
    /// # Errors
    /// As [`Web::get`]; or it is plain http, or of a private network which that server is not of.
    pub async fn get_named(
        &mut self,
        by: &Uri,
        url: &Uri,
        headers: &[(HeaderName, HeaderValue)],
        limit: u64,
    ) -> anyhow::Result<Answer> {
        ensure!(
            url.scheme_str() == Some("https") || by.scheme_str() == Some("http"),
            "{} is asked by https, and names {} by plain http",
            shown(by),
            shown(url)
        );
        let public = origin(by) != origin(url) && !is_inside(by).await;
        self.follow(url, public, headers, limit).await
    }

    async fn follow(
        &mut self,
        url: &Uri,
        public: bool,
        headers: &[(HeaderName, HeaderValue)],
        limit: u64,
    ) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + WHOLE;
        let mut at = url.clone();
        for _ in 0..=REDIRECTS {
            let is_same = origin(&at) == origin(url);
            let sent = headers
                .iter()
                .filter(|(name, _)| is_same || *name != AUTHORIZATION);
            let asked = self.once(&at, sent, public || !is_same, limit);
            let answer = timeout_at(deadline, asked)
                .await
                .map_err(|_| anyhow!("{} took longer than {WHOLE:?}", shown(&at)))??;
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let to = answer.headers.get(LOCATION);
            let to = to.and_then(|to| to.to_str().ok());
            let to = to.with_context(|| format!("{} redirects to nowhere", shown(&at)))?;
            at = joined(&at, to).with_context(|| format!("of a redirect by {}", shown(&at)))?;
        }
        bail!("{} redirects more than {REDIRECTS} times", shown(url))
    }

    /// Gets a URL once. `public` says that only a host of the Internet may be asked.
    async fn once(
        &mut self,
        url: &Uri,
        headers: impl Iterator<Item = &(HeaderName, HeaderValue)>,
        public: bool,
        limit: u64,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = url.clone();
        let all = request.headers_mut();
        all.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        all.extend(headers.cloned());
        let host = shown(url);
        let response = timeout(STEP, self.pool(url, public)?.request(request))
            .await
            .map_err(|_| anyhow!("no answer from {host} within {STEP:?}"))?
            .map_err(|error| anyhow!(describe(&error, &host)))?;
        let (head, mut body) = response.into_parts();
        let too_large = || anyhow!("{host} answers with more than {limit} bytes");
        let announced = head.headers.get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        ensure!(announced.is_none_or(|length| length <= limit), too_large());
        let mut bytes = Vec::new();
        loop {
            let frame = timeout(STEP, body.frame())
                .await
                .map_err(|_| anyhow!("{host} sent nothing for {STEP:?}"))?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| anyhow!("{host} broke off: {error}"))?;
            if let Some(data) = frame.data_ref() {
                ensure!((bytes.len() + data.len()) as u64 <= limit, too_large());
                bytes.extend_from_slice(data);
            }
        }
        Ok(Answer {
            url: url.clone(),
            status: head.status,
            headers: head.headers,
            body: bytes,
        })
    }

    fn pool(&mut self, url: &Uri, public: bool) -> anyhow::Result<&dyn Pool> {
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        if public {
            let refusal = "a redirect leads to a private address, or a server of tokens has one, and only the first URL may have one";
            ensure!(!is_private_literal(host), "{host}: {refusal}");
        }
        // A proxy resolves names by itself, and is asked by a name of its own.
        let network = Network {
            public_only: public && !is_proxied(url),
            ..Network::default()
        };
        let key = (origin(url), public);
        if !self.pools.contains_key(&key) {
            self.pools.insert(key.clone(), pool(url, 1, &network)?);
        }
        let pool = self.pools.get(&key).context("a pool was just made")?;
        Ok(pool.as_ref())
    }
}

/// Returns whether a server is of this machine or of a private network.
async fn is_inside(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((host, url.port_u16().unwrap_or(443))).await;
    found.is_ok_and(|mut all| all.any(|address| !is_public(address.ip())))
}

/// Returns scheme, host and port.
fn origin(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}", url.scheme_str().unwrap_or_default()).to_ascii_lowercase()
}

/// Returns the host and port, which hold no secret.
fn shown(url: &Uri) -> String {
    url.authority().map(ToString::to_string).unwrap_or_default()
}

/// Returns the URL that a `Location` names.
fn joined(at: &Uri, to: &str) -> anyhow::Result<Uri> {
    if to.starts_with('/') && !to.starts_with("//") {
        return parse_url(&format!("{}{to}", origin(at)));
    }
    let url = parse_url(to)?;
    ensure!(
        url.scheme_str() == Some("https") || origin(&url) == origin(at),
        "{} is asked by https, and {} is not",
        shown(at),
        shown(&url)
    );
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_stays_on_https_or_with_its_host() {
        let at: Uri = "https://a.example/x".parse().unwrap();
        let local: Uri = "http://127.0.0.1:5000/x".parse().unwrap();
        for (at, to, expected) in [
            (&at, "/y?z", Some("https://a.example/y?z")),
            (&at, "https://b.example/y", Some("https://b.example/y")),
            (&at, "http://b.example/y", None),
            (&at, "http://127.0.0.1/y", None),
            (&at, "//b.example/y", None),
            (&at, "file:///etc/passwd", None),
            (&local, "/y", Some("http://127.0.0.1:5000/y")),
            (
                &local,
                "http://127.0.0.1:5000/z",
                Some("http://127.0.0.1:5000/z"),
            ),
            (&local, "http://127.0.0.1:5001/z", None),
        ] {
            let found = joined(at, to).ok().map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{to}");
        }
    }

    #[tokio::test]
    async fn server_of_the_internet_names_none_of_this_network() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let by = uri("https://192.88.99.1/v2/");
        for (named, part) in [
            ("http://127.0.0.1:9/token", "plain http"),
            ("https://127.0.0.1:9/token", "private address"),
            ("https://[::1]:9/token", "private address"),
            ("https://localhost:9/token", "forbids"),
        ] {
            let told = Web::default().get_named(&by, &uri(named), &[], 9).await;
            let told = format!("{:#}", told.unwrap_err());
            assert!(told.contains(part), "{named}: {told}");
        }
        assert!(is_inside(&uri("https://10.0.0.1/")).await);
        assert!(!is_inside(&by).await);
    }
}
