//! Endings of requests, and the answers to their senders: the only place that turns an ending into
//! HTTP.

use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use plugin_sdk::contract::{self, Alert, Rejection, RejectionKind};
use serde::Serialize;

use super::admission::NoRoom;
use crate::http::{self, BodyError};
use crate::sources::{ReadError, Source};
use crate::store::StoreError;

/// The time a sender may take for its body.
pub const BODY_TIME: Duration = Duration::from_secs(10);

/// The `Retry-After` where the store is busy, in seconds.
const RETRY_BUSY: u64 = 1;
/// The `Retry-After` where the disk is full or fails, in seconds.
const RETRY_DISK: u64 = 30;

/// The ending of a request.
#[derive(Debug)]
pub enum Ending {
    /// Its alerts are on disk.
    Accepted {
        /// The number of those that are new.
        accepted: usize,
        /// The number of duplicates.
        duplicates: usize,
    },
    /// Genuine, and nobody needs to know: why.
    Ignored(String),
    /// The plugin failed, and the request waits on disk to be read again.
    Kept,
    /// The plugin dictates the answer.
    Replied(Box<http::Answer>),
    /// The plugin does not take it.
    Rejected(Rejection),
    /// No source has this address.
    NoSource,
    /// The request comes from a network that is not among the source's `clients`.
    ForeignClient,
    /// The source wants a token, and there is none.
    NoToken,
    /// The token is not the source's.
    WrongToken,
    /// Its method is none that the source takes.
    Method,
    /// Its path and query are too long.
    UriTooLong,
    /// The plugin failed, nothing has proved the sender, and the source keeps as many such requests
    /// as it may.
    QuotaUsedUp,
    /// The source's rate is used up for so many seconds.
    RateLimited(u64),
    /// There is no room for it at present.
    NoRoom(NoRoom),
    /// Its body was not taken.
    Body(BodyError),
    /// The key that proves its sender cannot be got at present: why.
    NoKey(String),
    /// Too many wait to be read.
    Busy(ReadError),
    /// The request cannot be kept.
    Store(StoreError),
}

/// The answer to a sender whose request was taken.
#[derive(Serialize)]
struct Taken<'a> {
    request: &'a str,
    accepted: usize,
    duplicates: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
}

/// The alerts of a plugin's answer; or, where it is not one that brings alerts, how its request
/// ends.
///
/// # Errors
/// The ending.
pub fn alerts_of(answer: contract::Answer) -> Result<Vec<Alert>, Ending> {
    match answer {
        contract::Answer::Alerts(alerts) if alerts.is_empty() => {
            Err(Ending::Ignored("there is no event in it".to_owned()))
        }
        contract::Answer::Alerts(alerts) => Ok(alerts.list),
        contract::Answer::Ignored { reason } => Err(Ending::Ignored(reason)),
        contract::Answer::Rejected(rejection) => Err(Ending::Rejected(rejection)),
        contract::Answer::Reply {
            status,
            headers,
            body,
        } => Err(reply(status, &headers, body.bytes().into_owned().into())),
    }
}

impl Ending {
    /// The words for metrics of the requests to one source.
    pub const OUTCOMES: [&str; 19] = [
        "accepted",
        "ignored",
        "kept",
        "replied",
        "malformed",
        "unauthenticated",
        "forbidden",
        "foreign_client",
        "method",
        "uri_too_long",
        "quota_used_up",
        "rate_limited",
        "over_share",
        "overloaded",
        "too_large",
        "too_slow",
        "broken",
        "busy",
        "unavailable",
    ];

    /// The word for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Ignored(_) => "ignored",
            Self::Kept => "kept",
            Self::Replied(_) => "replied",
            Self::Rejected(Rejection {
                kind: RejectionKind::Malformed,
                ..
            }) => "malformed",
            Self::Rejected(Rejection {
                kind: RejectionKind::Unauthenticated,
                ..
            })
            | Self::NoToken => "unauthenticated",
            Self::Rejected(Rejection {
                kind: RejectionKind::Forbidden,
                ..
            })
            | Self::WrongToken => "forbidden",
            Self::NoSource => "unknown_source",
            Self::ForeignClient => "foreign_client",
            Self::Method => "method",
            Self::UriTooLong => "uri_too_long",
            Self::QuotaUsedUp => "quota_used_up",
            Self::RateLimited(_) => "rate_limited",
            Self::NoRoom(NoRoom::Share) => "over_share",
            Self::NoRoom(NoRoom::Whole) => "overloaded",
            Self::Body(BodyError::TooLarge) => "too_large",
            Self::Body(BodyError::TooSlow) => "too_slow",
            Self::Body(BodyError::Broken) => "broken",
            Self::Busy(_) => "busy",
            Self::NoKey(_) | Self::Store(_) => "unavailable",
        }
    }

    /// Returns whether a request that ended so shows that the source's sender is alive. `proved`
    /// says whether the sender was proved before the plugin was called. Where the plugin failed, it
    /// may not have looked at the sender; and the network proves nothing, as a webhook service
    /// sends for all its customers from the same.
    pub fn shows_the_sender(&self, proved: bool) -> bool {
        match self {
            Self::Accepted { .. } | Self::Ignored(_) | Self::Replied(_) => true,
            Self::Kept => proved,
            _ => false,
        }
    }

    /// Returns whether a request that ended so was refused for its shape: a sender that proved
    /// itself sends what the source is not set up for, and events are lost until the operator
    /// changes that.
    pub fn is_refused_for_its_shape(&self) -> bool {
        matches!(
            self,
            Self::Method
                | Self::UriTooLong
                | Self::Body(BodyError::TooLarge)
                | Self::Rejected(Rejection {
                    kind: RejectionKind::Malformed,
                    ..
                })
        )
    }

    /// The answer to the sender of the request `id`.
    pub fn into_answer(self, id: &str, source: Option<&Source>) -> http::Answer {
        let problem = |status, detail: &str| http::problem(status, detail, Some(id));
        let with = |mut answer: http::Answer, name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.headers_mut().insert(name, value);
            }
            answer
        };
        match self {
            Self::Accepted {
                accepted,
                duplicates,
            } => http::json(
                StatusCode::OK,
                &Taken {
                    request: id,
                    accepted,
                    duplicates,
                    ignored: None,
                },
            ),
            Self::Ignored(reason) => http::json(
                StatusCode::OK,
                &Taken {
                    request: id,
                    accepted: 0,
                    duplicates: 0,
                    ignored: Some(reason),
                },
            ),
            Self::Kept => http::json(
                StatusCode::ACCEPTED,
                &serde_json::json!({ "request": id, "kept": "it could not be read, and is kept to be read again" }),
            ),
            Self::Replied(answer) => *answer,
            Self::Rejected(Rejection {
                kind,
                reason,
                challenge,
                ..
            }) => match kind {
                RejectionKind::Malformed => problem(StatusCode::BAD_REQUEST, &reason),
                RejectionKind::Forbidden => problem(StatusCode::FORBIDDEN, &reason),
                RejectionKind::Unauthenticated => {
                    // Where no scheme of HTTP's fits, the plugin's name stands for its own: a 401
                    // must have one.
                    let own = || {
                        source
                            .map_or("Bearer", |source| source.plugin.name())
                            .to_owned()
                    };
                    let challenge = challenge.unwrap_or_else(own);
                    with(
                        problem(StatusCode::UNAUTHORIZED, &reason),
                        WWW_AUTHENTICATE,
                        &challenge,
                    )
                }
            },
            Self::NoSource => problem(
                StatusCode::NOT_FOUND,
                "no source has this address; senders post to /in/<source>, with a name from the configuration",
            ),
            Self::ForeignClient => problem(
                StatusCode::FORBIDDEN,
                "this source takes requests from certain networks only, and this one came from another; whoever runs the \
                 gateway finds the address in its log, under the id of this request",
            ),
            Self::NoToken => {
                let detail = "this source takes requests with a token only: Authorization: Bearer <token>, or ?token=";
                with(
                    problem(StatusCode::UNAUTHORIZED, detail),
                    WWW_AUTHENTICATE,
                    "Bearer",
                )
            }
            Self::WrongToken => problem(StatusCode::FORBIDDEN, "the token is not this source's"),
            Self::Method => {
                let detail = "this address takes webhooks by POST; it is alive, and there is nothing here to look at";
                let allowed = source.map(|source| source.methods().collect::<Vec<_>>().join(", "));
                with(
                    problem(StatusCode::METHOD_NOT_ALLOWED, detail),
                    ALLOW,
                    &allowed.unwrap_or_default(),
                )
            }
            Self::UriTooLong => problem(
                StatusCode::URI_TOO_LONG,
                "the path and the query are longer than 8 KiB",
            ),
            Self::QuotaUsedUp => {
                let detail = "the request could not be read, and no more such requests are kept at present, so it was not \
                    accepted; send it again later";
                with(
                    problem(StatusCode::SERVICE_UNAVAILABLE, detail),
                    RETRY_AFTER,
                    &RETRY_DISK.to_string(),
                )
            }
            Self::RateLimited(wait) => {
                let detail =
                    "this source's rate is used up, so it was not accepted; send it again later";
                with(
                    problem(StatusCode::TOO_MANY_REQUESTS, detail),
                    RETRY_AFTER,
                    &wait.to_string(),
                )
            }
            Self::NoRoom(NoRoom::Share) => {
                let detail = "too many requests of this source are under way, so it was not accepted; send it again";
                with(
                    problem(StatusCode::TOO_MANY_REQUESTS, detail),
                    RETRY_AFTER,
                    &RETRY_BUSY.to_string(),
                )
            }
            Self::NoRoom(NoRoom::Whole) => {
                let detail =
                    "too many requests are under way, so it was not accepted; send it again";
                with(
                    problem(StatusCode::SERVICE_UNAVAILABLE, detail),
                    RETRY_AFTER,
                    &RETRY_BUSY.to_string(),
                )
            }
            Self::Body(BodyError::TooLarge) => {
                let limit = source.map_or(0, |source| source.limits().body);
                problem(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    &format!("the body is larger than {limit} bytes"),
                )
            }
            Self::Body(BodyError::TooSlow) => {
                let detail = format!("the body did not arrive within {} s", BODY_TIME.as_secs());
                problem(StatusCode::REQUEST_TIMEOUT, &detail)
            }
            Self::Body(BodyError::Broken) => problem(
                StatusCode::BAD_REQUEST,
                "the body ended early or was malformed",
            ),
            Self::Busy(_) => {
                let detail = "too many requests of this source wait to be read, so it was not accepted; send it again";
                with(
                    problem(StatusCode::TOO_MANY_REQUESTS, detail),
                    RETRY_AFTER,
                    &RETRY_BUSY.to_string(),
                )
            }
            Self::NoKey(_) => {
                let detail = "the key that proves the sender cannot be had at present, so it was not accepted; send it \
                    again later";
                with(
                    problem(StatusCode::SERVICE_UNAVAILABLE, detail),
                    RETRY_AFTER,
                    &RETRY_DISK.to_string(),
                )
            }
            Self::Store(error) => {
                let wait = if matches!(error, StoreError::Busy) {
                    RETRY_BUSY
                } else {
                    RETRY_DISK
                };
                let detail = "the request cannot be kept at present, so it was not accepted; send it again later";
                with(
                    problem(StatusCode::SERVICE_UNAVAILABLE, detail),
                    RETRY_AFTER,
                    &wait.to_string(),
                )
            }
        }
    }
}

impl From<BodyError> for Ending {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<NoRoom> for Ending {
    fn from(why: NoRoom) -> Self {
        Self::NoRoom(why)
    }
}

/// A reply that the plugin dictates; its status and headers were checked where its answer was.
pub(super) fn reply(status: u16, headers: &[(String, String)], body: Bytes) -> Ending {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut answer = http::answer(status, "text/plain; charset=utf-8", body);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    Ending::Replied(Box::new(answer))
}
