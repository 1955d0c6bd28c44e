//! ITOC360: an alert on its wire, and the meaning of each of its answers.
//!
//! [`format`](mod@format) turns an alert into a body. The body carries the alert's fingerprint, and ITOC360 updates the open
//! alert of a fingerprint that it knows instead of opening another.

pub mod format;
mod receipt;
#[cfg(test)]
mod tests;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};

use super::NotUsable;
use super::http::{self, Answer, HttpKind, Judged};
use crate::alert::{Alert, Outcome};
pub use crate::config::Format;
use crate::mask::Mask;

/// The service, as reasons name it.
const SERVICE: &str = "ITOC360";

/// A source in ITOC360, as a place to send to.
pub(crate) struct Itoc360 {
    url: Uri,
    headers: HeaderMap,
    mask: Mask,
    format: Format,
}

impl Itoc360 {
    /// Returns the source of this token, which takes bodies of this format.
    pub(crate) fn new(url: Uri, token: &str, format: Format) -> Result<Self, NotUsable> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotUsable::Token);
        }
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| NotUsable::Token)?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(http::USER_AGENT)),
        ]);
        Ok(Self { url, headers, mask: Mask::new([token]), format })
    }
}

impl HttpKind for Itoc360 {
    fn url(&self) -> &Uri {
        &self.url
    }

    fn mask(&self) -> &Mask {
        &self.mask
    }

    fn render(&self, alert: &Alert) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(format::body(self.format, alert)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        match (answer.judged(), answer.status.as_u16()) {
            (Judged::Accepted, _) => Outcome::Accepted(receipt::read(answer.body, &self.mask)),
            (Judged::Retry, _) => answer.retry(SERVICE),
            (Judged::Rejected, _) => answer.rejected(SERVICE),
            (Judged::Blocked, status) => answer.blocked(SERVICE, fix(status)),
        }
    }
}

/// Returns what the operator can do about a status that blocks every alert.
fn fix(status: u16) -> &'static str {
    match status {
        401 => "the token is wrong or was revoked; copy it anew from the source in ITOC360",
        402 => {
            "the ITOC360 subscription is inactive, and events sent now would be dropped there; renew it, meanwhile \
             they wait here"
        }
        403 => "the token may not post events; check the source in ITOC360 and its token",
        _ => "ITOC360 knows no source with this token; check the token, then the url",
    }
}
