//! Declarative proof: how a sender proves itself, said so that the host can check it before it
//! calls the plugin.
//!
//! A forged request then costs the host one HMAC and no sandbox. The host looks up the secrets
//! itself: a [`Way`] names the setting that holds them.

use serde::{Deserialize, Serialize};

/// A proof that a request must carry, in any of several ways.
///
/// A way counts only where its setting is set. A demand of which no way counts is not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The ways; one of them must prove the request.
    pub any: Vec<Way>,
    /// The place at the sender where the operator enters the secret, for the log line of a refusal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// A scheme, and the setting that holds its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The way in which the secret proves the sender.
    pub scheme: Scheme,
    /// The name of the top-level setting that holds the secrets: a text; a list of texts (while one
    /// is being rotated, each counts); or a table from the name of an account or a key to either.
    /// For [`Scheme::Login`], `{ user, password }` or a list of them.
    pub secret: String,
}

impl Way {
    /// A way by this scheme, with the secrets of this setting.
    pub fn new(scheme: Scheme, secret: &str) -> Self {
        Self {
            scheme,
            secret: secret.to_owned(),
        }
    }
}

impl Demand {
    /// A demand that one of these ways meets.
    pub fn any(ways: impl IntoIterator<Item = Way>) -> Self {
        Self {
            any: ways.into_iter().collect(),
            help: String::new(),
        }
    }

    /// The same demand, with the place at the sender where the operator enters the secret.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: help.into(),
            ..self
        }
    }
}

/// A sender's method of proof: by a secret shared with the operator, or by a key of its own.
///
/// Each scheme can [`verify`](Scheme::verify) a proof and (but for public keys) make one
/// ([`sign`](Scheme::sign)), so that tests need no recorded secrets; and [`of`](Scheme::of)
/// recognises it in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `Authorization: Bearer <secret>`.
    Bearer,
    /// `Authorization: Basic`, with this user, and the secret as the password (RFC 7617).
    Basic {
        /// The user.
        user: String,
    },
    /// `Authorization: Basic`, where the secret is both: `<user>:<password>`.
    Login,
    /// The secret itself, in this header.
    Header {
        /// The header, in lower case.
        header: String,
    },
    /// A signature in a header: GitHub, Grafana, PagerDuty, SendGrid, Discord, and most senders
    /// that sign at all.
    Signed(Signed),
    /// Slack's: a header with an HMAC of the time and the body.
    Slack,
    /// Stripe's: a header with the time, and an HMAC of the time and the body.
    Stripe,
    /// Standard Webhooks' (the specification by Svix): headers with an id and the time, and an HMAC
    /// of them and the body.
    StandardWebhooks,
    /// Twilio's by the account's auth token: an HMAC of the URL and the form's fields, or of the
    /// URL with the body's hash in it; see [`over_url`](crate::signature::over_url).
    Twilio,
    /// The same by one of Twilio's shared keys, which a header of the request names.
    TwilioSharedKey,
    /// Amazon SNS's: a signature (version 2) in the body, over fields of the body; the secret is
    /// Amazon's certificate or its public key, in PEM.
    AwsSns,
}

/// A signature in a header, over a text that a template makes of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The header, in lower case. It may hold several signatures with commas or spaces between; any
    /// of them counts.
    pub header: String,
    /// The prefix of a signature, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// The kind of signature.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Its encoding.
    #[serde(default)]
    pub encoding: Encoding,
    /// The text that is signed: `{body}`, `{time}`, `{url}`, `{path}`, `{method}` and
    /// `{header:NAME}` stand for what the request has there; all else is itself. Where nothing of
    /// it covers the body, the signature proves no body.
    #[serde(default = "over_body")]
    pub over: String,
    /// The place of the signed time. With one, a proof is stale after [`Signed::tolerance`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeIn>,
    /// The largest difference between the sender's clock and the time of receipt, in seconds.
    #[serde(default = "tolerance")]
    pub tolerance: u32,
}

fn over_body() -> String {
    "{body}".to_owned()
}

fn tolerance() -> u32 {
    300
}

impl Signed {
    /// An HMAC-SHA256 of the body in this header, in hex. The other fields are public.
    pub fn new(header: &str) -> Self {
        Self {
            header: header.to_ascii_lowercase(),
            prefix: String::new(),
            algorithm: Algorithm::Sha256,
            encoding: Encoding::Hex,
            over: over_body(),
            time: None,
            tolerance: tolerance(),
        }
    }
}

/// The place where the time of a signature stands: seconds or milliseconds since 1970, or RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeIn {
    /// In this header.
    Header(String),
    /// In the signature's own header, as a field of this name: `t` in `t=1700000000,v1=…`.
    Field(String),
}

/// The algorithm of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    #[default]
    Sha256,
    /// HMAC-SHA512.
    Sha512,
    /// Ed25519; the secret is the sender's public key, in hex, base64 or PEM (Discord).
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signature in ASN.1; the secret is the sender's public key, in
    /// base64 or PEM (SendGrid).
    EcdsaP256,
    /// RSA PKCS #1 v1.5 with SHA-256; the secret is the sender's public key, in base64 or PEM.
    RsaSha256,
}

/// The encoding of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Hex; senders write lower case, and upper case is taken as well.
    #[default]
    Hex,
    /// Base64 (RFC 4648, standard alphabet, padded).
    Base64,
}
