//! The trait that every kind of destination implements, and the result of an attempt.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use crate::alert::{Alert, Outcome};
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

    /// Reaches the service without an alert, once.
    fn probe(&self) -> Probing<'_>;
}

/// An attempt under way.
pub(crate) type Sending<'a> = Pin<Box<dyn Future<Output = Sent> + Send + 'a>>;

/// A probe under way.
pub(crate) type Probing<'a> = Pin<Box<dyn Future<Output = Probe> + Send + 'a>>;

/// The result of reaching a service without an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it shows; or the reason why no alert would be taken.
    pub shown: Result<Shown, String>,
    /// The service's clock, where its answer tells.
    pub date: Option<SystemTime>,
    /// From the start to the end of the answer.
    pub duration: Duration,
}

/// What a service shows by its answer to a harmless request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// It takes the credential.
    Credential,
    /// It answered with this status, and nothing harmless shows more.
    Reached(u16),
    /// It is reached, and asks for no credential.
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
}

impl Sent {
    /// Returns the result of an attempt with an alert that cannot be rendered.
    pub(crate) fn unsent(why: String) -> Self {
        Self {
            outcome: Outcome::Rejected { why },
            status: None,
            duration: Duration::ZERO,
            answer_excerpt: String::new(),
            lacks_receipt: false,
        }
    }

    /// Returns the result of an attempt that no answer came to.
    pub(crate) fn unanswered(why: String, duration: Duration) -> Self {
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
