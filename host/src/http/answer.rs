//! Answers: with any body, with JSON, and the one shape of every error.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The answer to a request.
pub type Answer = Response<Full<Bytes>>;

/// An answer with a body of a media type.
pub fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Only maps with keys that are no strings fail to serialise, and no answer has one.
    answer(
        status,
        "application/json",
        serde_json::to_vec(body).unwrap_or_default(),
    )
}

/// An error as RFC 9457 describes it. `request` is the id under which the operator finds it in the
/// log.
pub fn problem(status: StatusCode, detail: &str, request: Option<&str>) -> Answer {
    #[derive(Serialize)]
    struct Problem<'a> {
        title: &'a str,
        status: u16,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<&'a str>,
    }
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem {
        title,
        status: status.as_u16(),
        detail,
        request,
    };
    answer(
        status,
        "application/problem+json",
        serde_json::to_vec(&problem).unwrap_or_default(),
    )
}
