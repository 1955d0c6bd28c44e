//! An endpoint: where requests of one destination go, with the headers that all of them carry.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};

use crate::destinations::kind::NotUsable;
use crate::mask::Mask;

/// The `User-Agent` of every request.
pub const AGENT: &str = concat!("alert-gateway/", env!("CARGO_PKG_VERSION"));

/// The target of requests, and the headers that all of them carry.
pub(crate) struct Endpoint {
    pub(crate) url: Uri,
    pub(crate) mask: Mask,
    headers: HeaderMap,
}

impl Endpoint {
    /// Returns an endpoint for JSON. Each of `secrets` is masked wherever it comes back.
    pub(crate) fn new(url: Uri, secrets: &[&str]) -> Self {
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
        ]);
        Self {
            url,
            mask: Mask::new(secrets.iter().copied()),
            headers,
        }
    }

    /// Returns an endpoint whose URL is a secret itself, as that of an incoming webhook: its path
    /// and query are masked.
    pub(crate) fn secret(url: &str) -> Result<Self, NotUsable> {
        let uri: Uri = url.parse().map_err(|_| NotUsable::Url)?;
        let path = uri.path().trim_matches('/').to_owned();
        let query = uri.query().unwrap_or_default().to_owned();
        // Of the query each value as well: an answer may quote the signature alone.
        let values = form_urlencoded::parse(query.as_bytes())
            .map(|(_, value)| value.into_owned())
            .collect::<Vec<_>>();
        let long = values
            .iter()
            .map(String::as_str)
            .filter(|value| value.len() >= 16);
        let secrets: Vec<_> = [url, &path, &query].into_iter().chain(long).collect();
        Ok(Self::new(uri.clone(), &secrets))
    }

    /// Adds the header `Authorization`, for a token of visible ASCII characters.
    pub(crate) fn authorized(self, scheme: &str, token: &str) -> Result<Self, NotUsable> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotUsable::Token);
        }
        let value =
            HeaderValue::try_from(format!("{scheme} {token}")).map_err(|_| NotUsable::Token)?;
        Ok(self.with(AUTHORIZATION, value))
    }

    /// Adds a header that may be a secret, in place of another of its name.
    pub(crate) fn with(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(name != CONTENT_TYPE && name != USER_AGENT);
        self.headers.insert(name, value);
        self
    }

    /// Returns the request that posts `body`.
    pub(crate) fn post(&self, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
