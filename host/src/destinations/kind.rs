//! The trait that every kind of destination implements, and the result of an attempt.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;

use crate::alert::{Alert, Outcome, Receipt};
use crate::clock::LONGEST_WAIT;

/// The longest wait that a `Retry-After` can ask for: beyond it the header says more about its
/// sender than about when to try again.
pub const LONGEST_RETRY_AFTER: Duration = LONGEST_WAIT;

/// The most characters of [`Sent::answer_excerpt`].
pub const EXCERPT_MAX_CHARS: usize = 512;

/// One kind of destination: renders an alert, sends it once, and judges the answer.
pub(crate) trait Kind: fmt::Debug + Send + Sync {
    /// Returns the message for an alert as people may see it, without secrets.
    fn preview(&self, alert: &Alert) -> String;

    /// Sends an alert, once.
    fn send<'a>(&'a self, alert: &'a Alert) -> Sending<'a>;

    /// Returns whether requests of senders are sent as they came, in place of alerts.
    fn takes_original(&self) -> bool {
        false
    }

    /// Sends a sender's request as it came, once, where [`Kind::takes_original`].
    fn send_original<'a>(&'a self, _original: &'a Original) -> Sending<'a> {
        Box::pin(async { Sent::unsent("it takes alerts alone".to_owned()) })
    }

    /// Reaches the service without an alert, once.
    fn probe(&self) -> Probing<'_>;
}

/// A sender's request, as far as it is sent on: no credential is part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The `Content-Type` of the sender.
    pub content_type: Option<String>,
    /// The `Content-Encoding` of the body.
    pub content_encoding: Option<String>,
    /// The bytes.
    pub body: Bytes,
}

/// An attempt under way.
pub(crate) type Sending<'a> = Pin<Box<dyn Future<Output = Sent> + Send + 'a>>;

/// A probe under way.
pub(crate) type Probing<'a> = Pin<Box<dyn Future<Output = Probe> + Send + 'a>>;

/// The result of reaching a service without an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The answer's meaning; or the reason why no alert would be taken.
    pub shown: Result<Shown, String>,
    /// The service's clock, where its answer tells.
    pub date: Option<SystemTime>,
    /// From the start to the end of the answer.
    pub duration: Duration,
}

/// The meaning of a service's answer to a harmless request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The credential is taken.
    Credential,
    /// An answer came, with this status, and nothing harmless shows more.
    Reached(u16),
    /// An answer came, and no credential is asked for.
    Open,
}

/// The result of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The meaning of the answer, or of its absence.
    pub outcome: Outcome,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// From the start of the attempt to the end of the answer.
    pub duration: Duration,
    /// The beginning of the answer, as one line without secrets: at most [`EXCERPT_MAX_CHARS`]
    /// characters. Empty where the receipt says it all.
    pub answer_excerpt: String,
    /// Set where the service gives receipts, and its accepting answer held none.
    pub lacks_receipt: bool,
    /// The recipients who were refused, each with the reason, where others have the alert.
    pub left_out: Option<String>,
}

impl Sent {
    /// Returns the result of an attempt with an alert that cannot be rendered.
    pub fn unsent(why: String) -> Self {
        Self {
            outcome: Outcome::Rejected { why },
            status: None,
            duration: Duration::ZERO,
            answer_excerpt: String::new(),
            lacks_receipt: false,
            left_out: None,
        }
    }

    /// Returns the result for an alert that a destination of originals is not meant to get.
    pub fn not_meant() -> Self {
        Self {
            outcome: Outcome::Accepted(Receipt {
                id: "not sent: it is no request of a sender".to_owned(),
                ..Receipt::default()
            }),
            ..Self::unsent(String::new())
        }
    }

    /// Returns the result of an attempt that no answer came to.
    pub fn unanswered(why: String, duration: Duration) -> Self {
        let outcome = Outcome::Retry {
            why,
            retry_after: None,
        };
        Self {
            outcome,
            status: None,
            duration,
            answer_excerpt: String::new(),
            lacks_receipt: false,
            left_out: None,
        }
    }
}

/// The reason why nothing can be sent to a destination as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUsable {
    /// The URL is relative, or of another scheme.
    #[error("the url must start with https:// or http:// and name a host")]
    Url,
    /// The token is empty, or holds a character that cannot stand in a header, such as a line
    /// break.
    #[error("the token must not be empty, and must be of visible ASCII characters only")]
    Token,
    /// The secret of a webhook's signature is none.
    #[error("the secret must be whsec_ and the base64 of at least 16 bytes")]
    Secret,
    /// A header that cannot be sent.
    #[error(
        "the header {0:?} cannot be sent: its name or value holds a character that no header has"
    )]
    Header(String),
    /// A body that is no template.
    #[error("the body is no template: {0}")]
    Template(String),
    /// The host is an address that `egress = "public"` forbids.
    #[error("the url names a private address, and `egress = \"public\"` forbids those")]
    Private,
    /// A proxy where none can be used.
    #[error("mail goes through no proxy: leave out `proxy`")]
    SmtpProxy,
    /// The host of a mail server is no name.
    #[error("the host in the url is no name of a server")]
    Host,
    /// The proxy is none, or of another scheme.
    #[error("the proxy must be http://host:port")]
    Proxy,
    /// A file of certificates or a key that cannot be used.
    #[error("{} cannot be used: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault that was found.
        why: String,
    },
}
