//! The one place that turns an answer of ITOC360 into an outcome.

use std::time::{Duration, SystemTime};

use hyper::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{StatusCode, Uri};
use serde::Deserialize;

use super::mask::Mask;
use super::outcome::{LONGEST_RETRY_AFTER, Outcome};
use super::receipt;

/// The most characters of ITOC360's own words in a `why`.
const SAID_MAX_CHARS: usize = 200;

/// What an answer with this status, these headers and (as much as was read of) this body means.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], mask: &Mask) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Accepted(receipt::read(body, mask)),
        408 | 429 | 500.. => {
            Outcome::Later { why: said(status, body, mask), retry_after: retry_after(headers, SystemTime::now()) }
        }
        401 => {
            blocked(status, body, mask, "the token is wrong or was revoked; copy it anew from the source in ITOC360")
        }
        402 => blocked(
            status,
            body,
            mask,
            "the ITOC360 subscription is inactive, and events sent now would be dropped there; renew it, meanwhile \
             they wait here",
        ),
        403 => blocked(status, body, mask, "the token may not post events; check the source in ITOC360 and its token"),
        404 => blocked(status, body, mask, "ITOC360 knows no source with this token; check the token, then the url"),
        ..=399 => {
            let to = headers.get(LOCATION).map_or_else(String::new, |to| place(to.as_bytes(), mask));
            blocked(status, &[], mask, &format!("redirects{to} are not followed; check the url"))
        }
        _ => Outcome::Refused { why: said(status, body, mask) },
    }
}

fn blocked(status: StatusCode, body: &[u8], mask: &Mask, mend: &str) -> Outcome {
    Outcome::Blocked { why: format!("{}: {mend}", said(status, body, mask)) }
}

/// "ITOC360 answered 400 Bad Request (Invalid payload)".
fn said(status: StatusCode, body: &[u8], mask: &Mask) -> String {
    /// Both shapes of an error that ITOC360 documents.
    #[derive(Deserialize)]
    struct Error {
        #[serde(alias = "message")]
        error: String,
    }
    let words = match serde_json::from_slice(body) {
        Ok(Error { error }) => mask.excerpt(error.as_bytes(), SAID_MAX_CHARS),
        Err(_) => mask.excerpt(body, SAID_MAX_CHARS),
    };
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    let words = if words.is_empty() { words } else { format!(" ({words})") };
    format!("ITOC360 answered {}{reason}{words}", status.as_u16())
}

/// Where a redirect points, without its query, which may carry a credential.
fn place(location: &[u8], mask: &Mask) -> String {
    match Uri::try_from(location) {
        Ok(uri) => {
            let origin = match (uri.scheme_str(), uri.authority()) {
                (Some(scheme), Some(_)) => format!("{scheme}://{}", uri.host().unwrap_or_default()),
                _ => String::new(),
            };
            format!(" to {}", mask.excerpt(format!("{origin}{}", uri.path()).as_bytes(), SAID_MAX_CHARS))
        }
        Err(_) => String::new(),
    }
}

/// Seconds or a date (RFC 9110, 10.2.3), as a wait. A date is counted from when the answer says that it was made, as
/// this machine's clock may be another; only where it does not say, from `now`. One in the past asks for no wait.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let value = text(RETRY_AFTER)?;
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse().map_or(LONGEST_RETRY_AFTER, Duration::from_secs)
    } else {
        let made = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        httpdate::parse_http_date(value).ok()?.duration_since(made).unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn judged(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Outcome {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        judge(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), &Mask::new("s3cret"))
    }

    #[test]
    fn every_status_has_one_outcome() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => "accepted",
                408 | 429 | 500..=999 => "later",
                401..=404 | 100..=199 | 300..=399 => "blocked",
                _ => "refused",
            };
            assert_eq!(judged(status, &[], "").as_str(), expected, "{status}");
        }
    }

    #[test]
    fn a_why_says_what_itoc360_said_and_what_to_mend() {
        let why = |status, body| match judged(status, &[], body) {
            Outcome::Blocked { why } | Outcome::Refused { why } | Outcome::Later { why, .. } => why,
            Outcome::Accepted(_) => panic!("{status} was accepted"),
        };
        assert_eq!(why(400, r#"{"error":"Invalid payload"}"#), "ITOC360 answered 400 Bad Request (Invalid payload)");
        assert_eq!(why(503, r#"{"message":"down"}"#), "ITOC360 answered 503 Service Unavailable (down)");
        assert_eq!(why(599, ""), "ITOC360 answered 599");
        assert!(why(401, "").contains("token is wrong"));
        assert!(why(402, "").contains("subscription is inactive"));
        assert!(why(404, "").contains("check the token"));
        assert_eq!(why(400, "no s3cret\nhere"), "ITOC360 answered 400 Bad Request (no *** here)");
        assert!(why(400, &"x".repeat(70_000)).len() < 300);
    }

    #[test]
    fn a_redirect_names_where_to_but_not_its_query() {
        let Outcome::Blocked { why } = judged(308, &[("location", "https://u:p@new.example/s3cret?token=abc")], "")
        else {
            panic!("a redirect must block");
        };
        let expected = "ITOC360 answered 308 Permanent Redirect: redirects to https://new.example/*** are not \
                        followed; check the url";
        assert_eq!(why, expected);
        assert_eq!(judged(302, &[("location", "::")], "").as_str(), "blocked");
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
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_date_to_retry_after_is_counted_from_the_date_of_the_answer() {
        let asks = |date: &'static str, now: &str| {
            let retry = HeaderValue::from_static("Sun, 06 Nov 1994 08:50:07 GMT");
            let headers = HeaderMap::from_iter([(RETRY_AFTER, retry), (DATE, HeaderValue::from_static(date))]);
            retry_after(&headers, httpdate::parse_http_date(now).unwrap()).unwrap().as_secs()
        };
        for machine in ["Sat, 05 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"] {
            assert_eq!(asks("Sun, 06 Nov 1994 08:49:37 GMT", machine), 30);
        }
        assert_eq!(asks("yesterday", "Sun, 06 Nov 1994 08:49:57 GMT"), 10);
    }
}
