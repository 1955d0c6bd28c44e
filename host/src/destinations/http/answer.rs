//! The parts of judging an answer that every HTTP kind shares.

use std::time::{Duration, SystemTime};

use hyper::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{StatusCode, Uri};
use serde::Deserialize;

use crate::alert::Outcome;
use crate::destinations::kind::LONGEST_RETRY_AFTER;
use crate::mask::Mask;

/// The most of an answer that is read. A longer one costs its connection, not memory.
pub(crate) const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// The most characters of the service's own words in a reason.
const SAID_MAX_CHARS: usize = 200;
/// The most characters of a field that a receipt keeps.
const FIELD_MAX_CHARS: usize = 128;

/// An answer, as much as was read of it.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) mask: &'a Mask,
}

/// Returns the meaning of a status before a kind adds its own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// 2xx, but for a web page.
    Accepted,
    /// 408, 429 and 5xx: not now.
    Retry,
    /// 401 to 404, and a redirect or another status that no service answers a POST with: the
    /// operator has to fix something. So is a web page with 2xx: it is of a proxy, or of another
    /// service.
    Blocked,
    /// Any other: this one alert.
    Rejected,
}

impl Answer<'_> {
    /// Returns what the answer means by itself.
    pub(crate) fn judged(&self) -> Judged {
        match self.status.as_u16() {
            200..=299 if self.is_page() => Judged::Blocked,
            200..=299 => Judged::Accepted,
            408 | 429 | 500.. => Judged::Retry,
            401..=404 | ..=399 => Judged::Blocked,
            _ => Judged::Rejected,
        }
    }

    /// Returns whether the answer is a web page, or other markup. Services answer JSON, a word or
    /// nothing. Their `Content-Type` tells nothing: Slack's `ok` is `text/html`.
    fn is_page(&self) -> bool {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf");
        body.unwrap_or(self.body)
            .trim_ascii_start()
            .starts_with(b"<")
    }

    /// Returns whether these words stand in the answer.
    pub(crate) fn contains(&self, words: &str) -> bool {
        self.body
            .windows(words.len())
            .any(|window| window == words.as_bytes())
    }

    /// Returns the service's clock.
    pub(crate) fn date(&self) -> Option<SystemTime> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        httpdate::parse_http_date(date.trim()).ok()
    }

    /// Returns a field of the answer as a receipt keeps it: one bounded line without secrets.
    pub(crate) fn excerpt(&self, field: &str) -> String {
        self.mask.excerpt(field.as_bytes(), FIELD_MAX_CHARS)
    }

    /// Returns the outcome of an answer of `service` that asks for patience.
    pub(crate) fn retry(&self, service: &str) -> Outcome {
        #[expect(
            clippy::disallowed_methods,
            reason = "`Retry-After` may be a date, in an answer without a date of its own"
        )]
        let now = SystemTime::now();
        Outcome::Retry {
            why: self.said(service),
            retry_after: retry_after(self.headers, now),
        }
    }

    /// Returns the outcome of an answer that the operator has to do something about: `fix` says
    /// what.
    pub(crate) fn blocked(&self, service: &str, fix: &str) -> Outcome {
        if self.status.is_redirection() || self.status.is_informational() {
            let to = self
                .headers
                .get(LOCATION)
                .map_or_else(String::new, |to| place(to.as_bytes(), self.mask));
            let said = Self { body: &[], ..*self }.said(service);
            return Outcome::Blocked {
                why: format!("{said}: redirects{to} are not followed; check the url"),
            };
        }
        if self.status.is_success() {
            let page = "this is a web page and no answer of it, so nothing counts as delivered; check the url, and any \
                        proxy before it";
            return Outcome::Blocked {
                why: format!("{}: {page}", self.said(service)),
            };
        }
        Outcome::Blocked {
            why: format!("{}: {fix}", self.said(service)),
        }
    }

    /// Returns the outcome of an answer that says that this alert will never be taken.
    pub(crate) fn rejected(&self, service: &str) -> Outcome {
        Outcome::Rejected {
            why: self.said(service),
        }
    }

    /// Returns a line such as "ITOC360 answered 400 Bad Request (Invalid payload)".
    fn said(&self, service: &str) -> String {
        /// The usual shapes of an error in JSON.
        #[derive(Deserialize)]
        struct Error {
            #[serde(alias = "message")]
            error: String,
        }
        let words = match serde_json::from_slice(self.body) {
            Ok(Error { error }) => self.mask.excerpt(error.as_bytes(), SAID_MAX_CHARS),
            Err(_) => self.mask.excerpt(self.body, SAID_MAX_CHARS),
        };
        let reason = self
            .status
            .canonical_reason()
            .map(|reason| format!(" {reason}"))
            .unwrap_or_default();
        let words = if words.is_empty() {
            words
        } else {
            format!(" ({words})")
        };
        format!("{service} answered {}{reason}{words}", self.status.as_u16())
    }
}

/// Returns where a redirect points, without its query, which may carry a credential.
fn place(location: &[u8], mask: &Mask) -> String {
    match Uri::try_from(location) {
        Ok(uri) => {
            let port = uri.port().map(|port| format!(":{port}"));
            let origin = match (uri.scheme_str(), uri.host()) {
                (Some(scheme), Some(host)) => {
                    format!("{scheme}://{host}{}", port.unwrap_or_default())
                }
                _ => String::new(),
            };
            format!(
                " to {}",
                mask.excerpt(format!("{origin}{}", uri.path()).as_bytes(), SAID_MAX_CHARS)
            )
        }
        Err(_) => String::new(),
    }
}

/// Reads seconds or a date (RFC 9110, 10.2.3) as a wait. A date is counted from the `Date` of the
/// answer, because this machine's clock may differ; only where there is none, from `now`. One in
/// the past asks for no wait.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let value = text(RETRY_AFTER)?;
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value
            .parse()
            .map_or(LONGEST_RETRY_AFTER, Duration::from_secs)
    } else {
        let made = text(DATE)
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .unwrap_or(now);
        httpdate::parse_http_date(value)
            .ok()?
            .duration_since(made)
            .unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn web_page_is_no_delivery_whatever_its_status_says() {
        let judged = |status: u16, body: &str| {
            Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: &HeaderMap::new(),
                body: body.as_bytes(),
                mask: &Mask::new([""; 0]),
            }
            .judged()
        };
        for page in [
            "<html>Down for maintenance</html>",
            "\u{feff}\r\n <!DOCTYPE html>",
            "<?xml version=\"1.0\"?><error/>",
        ] {
            for (status, expected) in [
                (200, Judged::Blocked),
                (202, Judged::Blocked),
                (400, Judged::Rejected),
                (503, Judged::Retry),
            ] {
                assert_eq!(judged(status, page), expected, "{status} {page}");
            }
        }
        for words in ["", "ok", "{\"status\":\"success\"}", "a < b"] {
            assert_eq!(judged(202, words), Judged::Accepted, "{words}");
        }
    }

    #[test]
    fn redirect_is_told_with_its_port_and_without_credentials() {
        let place = |to: &str| place(to.as_bytes(), &Mask::new([""; 0]));
        let to = place("http://user:pass@127.0.0.1:21002/other?token=x");
        assert_eq!(to, " to http://127.0.0.1:21002/other");
        assert_eq!(place("https://[::1]/a"), " to https://[::1]/a");
        assert_eq!(place("/login?x"), " to /login");
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, expected) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(3600)),
            ("86400", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:00 GMT", Some(3600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(
                retry_after(&headers, now),
                expected.map(Duration::from_secs),
                "{value:?}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn retry_after_date_is_counted_from_the_answers_date() {
        let asks = |date: &'static str, now: &str| {
            let retry = HeaderValue::from_static("Sun, 06 Nov 1994 08:50:07 GMT");
            let headers = HeaderMap::from_iter([
                (RETRY_AFTER, retry),
                (DATE, HeaderValue::from_static(date)),
            ]);
            retry_after(&headers, httpdate::parse_http_date(now).unwrap())
                .unwrap()
                .as_secs()
        };
        for machine in [
            "Sat, 05 Nov 1994 08:49:37 GMT",
            "Mon, 07 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(asks("Sun, 06 Nov 1994 08:49:37 GMT", machine), 30);
        }
        assert_eq!(asks("yesterday", "Sun, 06 Nov 1994 08:49:57 GMT"), 10);
    }
}
