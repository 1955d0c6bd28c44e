//! Refusals of the API: a status, and what to do (RFC 9457).

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};

use crate::http::{self, Answer, BodyError};
use crate::store::StoreError;

/// The reason why a request of the API or of a page is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// The fault, and what would be right.
    pub detail: String,
    /// The methods that the address takes, where this one is none of them.
    allow: Option<&'static str>,
}

impl Problem {
    /// A problem with this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            allow: None,
        }
    }

    /// The request is wrong.
    pub fn wrong(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What is asked for is not there.
    pub fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The caller may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// What is asked for was done meanwhile, or never needed.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// The address takes other methods.
    pub fn method(allow: &'static str) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            detail: format!("this address takes {allow}"),
            allow: Some(allow),
        }
    }

    /// The answer that says so.
    pub fn into_answer(self) -> Answer {
        let mut answer = http::problem(self.status, &self.detail, None);
        if let Some(allow) = self.allow {
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allow));
        }
        if matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        answer
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than 64 KiB",
            ),
            BodyError::TooSlow => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            ),
            BodyError::Broken => Self::wrong("the body ended early or was malformed"),
        }
    }
}
