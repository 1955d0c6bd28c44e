//! ITOC360: an alert on its wire, and the meaning of each of its answers.
//!
//! [`format`](mod@format) turns an alert into a body. The body carries the alert's fingerprint, and
//! ITOC360 updates the open alert of a fingerprint that it knows instead of opening another.

pub mod format;
mod receipt;
#[cfg(test)]
mod tests;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Uri};

use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::kind::NotUsable;
use crate::alert::{Alert, Outcome, Receipt};
pub use crate::config::Format;

/// The service, as reasons name it.
const SERVICE: &str = "ITOC360";

/// A source in ITOC360, as a place to send to.
pub(crate) struct Itoc360 {
    endpoint: Endpoint,
    format: Format,
}

impl Itoc360 {
    /// Returns the source of this token, which takes bodies of this format.
    pub(crate) fn new(url: Uri, token: &str, format: Format) -> Result<Self, NotUsable> {
        Ok(Self {
            endpoint: Endpoint::new(url, &[token]).authorized("Bearer", token)?,
            format,
        })
    }
}

impl HttpKind for Itoc360 {
    const GIVES_RECEIPTS: bool = true;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        format::body(self.format, alert)
            .ok_or_else(|| "it is sent requests as they came, and no alerts".to_owned())
    }

    fn takes_original(&self) -> bool {
        self.format == Format::Original
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        match (answer.judged(), answer.status.as_u16()) {
            (Judged::Accepted, _) => {
                Outcome::Accepted(receipt::read(answer.body, &self.endpoint.mask))
            }
            (Judged::Retry, _) => answer.retry(SERVICE),
            (Judged::Rejected, _) => answer.rejected(SERVICE),
            (Judged::Blocked, status) => answer.blocked(SERVICE, fix(status)),
        }
    }

    fn harmless(&self) -> Option<Request<Full<Bytes>>> {
        // The sender's own source may take anything for an event.
        (self.format != Format::Original).then(|| self.endpoint.post("{}"))
    }

    /// The token is looked at first, and an event without anything in it is none.
    fn judge_harmless(&self, answer: &Answer<'_>) -> Outcome {
        match self.judge(answer) {
            Outcome::Rejected { .. } => Outcome::Accepted(Receipt::default()),
            outcome => outcome,
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
