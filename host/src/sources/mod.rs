//! Sources: each joins the operator's settings with the plugin that they name.

mod case;
pub mod fetched;
mod limits;
mod load;
mod plugins;
mod request;
mod request_mask;
mod sample;
pub mod schema;
mod stored;
mod summary;
pub mod token;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Method;
use plugin_sdk::body::decode;
use plugin_sdk::contract::{
    Answer, Content, Demand, Fetch, ProofIdentity, Proved, Purpose, Rejection, Scheme,
};
use plugin_sdk::signature::{Met, Verifier, View, hmac_sha256};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::config::{self, Config, Limits};
use crate::credential::texts;
use alert_gateway_sandbox::{CallError, CallLimits, Plugin};
use token::Mask;

pub use case::{Case, CaseMaker, NotACase, Recorded, STAND_IN, case_name};
pub use limits::{LARGEST_ASKED_MEMORY, extended as extended_limits};
pub use load::{Loaded, examine, load};
pub use request::{Body, Request};
pub use request_mask::RequestMask;
pub use sample::{NoSample, Sample};
pub use summary::Summary;

/// The number of calls of one source that run at once. A call runs on a thread that answers
/// senders, and a healthy one takes some 20 µs without a pause, so more would gain nothing. The
/// limit also leaves time slices to others where a source's plugin loops.
pub const CALLS: usize = 2;
/// The time a request waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// A source, ready to read requests.
#[derive(Debug)]
pub struct Source {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The URL for its senders: `<public_url>/in/<name>`.
    pub url: String,
    /// The destination of internal alerts about it; its own go to all that are configured.
    pub destination: Arc<str>,
    /// The plugin that reads its requests.
    pub plugin: Plugin,
    /// The operator's configuration, with the limits in force.
    pub configured: config::Source,
    /// Removes its tokens from what is handed on.
    pub mask: Mask,
    request_mask: Arc<RequestMask>,
    verifier: Verifier,
    demands: Vec<Demand>,
    calls: Semaphore,
}

/// A proof of a sender that the gateway has checked.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The proof, as the plugin reads it.
    pub proved: Proved,
    /// Its scheme, in words; empty where it was checked before.
    pub by: String,
    /// Its identity among the requests to all sources, where the source's name is in the signed text.
    pub among_all: Option<ProofIdentity>,
}

impl Proven {
    /// `settings` are those that have the secret.
    fn of(met: Met<'_>, settings: &Value) -> Self {
        let secret = settings.pointer(&met.proved.secret).and_then(Value::as_str);
        let identity = met
            .proved
            .proof
            .as_ref()
            .filter(|_| names_source(met.scheme));
        // Sources with other secrets have other senders, whose requests repeat none of these.
        let among_all = identity
            .zip(secret)
            .map(|(identity, secret)| ProofIdentity {
                id: hmac_sha256(secret.as_bytes(), &[identity.id.as_bytes()]).hex(),
                expires_at: identity.expires_at.clone(),
            });
        Self {
            by: met.scheme.proof(),
            proved: met.proved,
            among_all,
        }
    }

    /// A proof that was checked when its request came in, and whose identity is not known.
    fn checked_before(proved: Proved) -> Self {
        Self {
            proved,
            by: String::new(),
            among_all: None,
        }
    }
}

/// Returns whether the name of the source is in the text that this scheme signs, as a part of the URL.
fn names_source(scheme: &Scheme) -> bool {
    match scheme {
        Scheme::Twilio | Scheme::TwilioSharedKey => true,
        Scheme::Signed(signed) => {
            let mut parts = ["{url}", "{path}"].iter();
            parts.any(|part| signed.over.contains(part))
        }
        _ => false,
    }
}

/// The reason why a request could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The plugin failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Too many requests of this source wait for the plugin.
    #[error("the plugin was busy with other requests of this source for {} s", TURN.as_secs())]
    Busy,
    /// The headers of a stored request are damaged.
    #[error("the kept headers are not JSON")]
    Headers,
    /// A stored request was masked before it was stored, and its sender cannot prove itself by what
    /// is left.
    #[error(
        "it was redacted before it was stored, so the proof of its sender cannot be checked: {0}"
    )]
    Redacted(String),
}

impl ReadError {
    /// Returns whether the only trouble is that too much is asked for at once.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy | Self::Call(CallError::Busy { .. }))
    }

    /// The word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Call(error) => error.kind(),
            Self::Busy => "busy",
            Self::Headers => "headers",
            Self::Redacted(_) => "redacted",
        }
    }

    /// The advice to the plugin's author.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Call(error) => error.advice(),
            Self::Busy => "Nothing: too much was asked for at once.",
            Self::Redacted(_) => "Nothing: the operator has the request redacted.",
            Self::Headers => "Nothing: the store is damaged; see `alert-gateway store check`.",
        }
    }
}

impl Source {
    fn new(
        config: &Config,
        source: &config::Source,
        plugin: Plugin,
        limits: Limits,
        proof: &[Demand],
    ) -> Self {
        Self {
            name: source.name.as_str().into(),
            url: source.url(&config.gateway.public_url),
            destination: source.destination().into(),
            mask: Mask::new(&source.tokens),
            request_mask: Arc::new(RequestMask::of(source, plugin.description())),
            plugin,
            verifier: Verifier::new(proof, source.settings.json().get()),
            demands: proof.to_vec(),
            configured: config::Source {
                limits,
                ..source.clone()
            },
            calls: Semaphore::new(CALLS),
        }
    }

    /// Returns what the operator set for the plugin.
    pub fn settings(&self) -> &config::Settings {
        &self.configured.settings
    }

    /// Returns the secrets of its sender: its tokens, and the settings that its plugin calls secrets.
    pub fn secrets(&self) -> Vec<String> {
        let tokens = self.configured.tokens.iter();
        let mut found: Vec<_> = tokens.map(|token| token.expose().to_owned()).collect();
        for secret in &self.plugin.description().secrets {
            texts(self.settings().value().get(secret), &mut found);
        }
        found
    }

    /// Returns what a request and a plugin call may use.
    pub fn limits(&self) -> &Limits {
        &self.configured.limits
    }

    /// Returns whether requests of this method reach the plugin.
    pub fn takes(&self, method: &Method) -> bool {
        self.methods().any(|taken| taken == method.as_str())
    }

    /// The methods that reach the plugin: PUT and PATCH are read like POST, and others where it
    /// declares them.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        const USUAL: [&str; 3] = ["POST", "PUT", "PATCH"];
        let declared = self.plugin.description().methods.iter().map(String::as_str);
        USUAL
            .into_iter()
            .chain(declared.filter(|method| !USUAL.contains(method)))
    }

    /// Returns whether the host checks the proof of the sender, by the demands that the plugin
    /// declares.
    pub fn demands_proof(&self) -> bool {
        !self.verifier.is_empty() || self.fetches_key()
    }

    /// Returns whether the key that proves the sender is fetched: the settings turn that on, and
    /// have none of their own.
    pub fn fetches_key(&self) -> bool {
        self.fetches(Purpose::Key).next().is_some()
    }

    /// Returns the declared fetches that the settings turn on.
    pub fn fetches(&self, purpose: Purpose) -> impl Iterator<Item = &Fetch> {
        let settings = self.settings().value();
        let declared = self.plugin.description().fetch.iter();
        declared.filter(move |fetch| {
            fetch.purpose == purpose
                && settings.get(&fetch.setting) == Some(&Value::Bool(true))
                && (purpose != Purpose::Key || settings.get(&fetch.secret).is_none())
        })
    }

    /// Returns the proof that a fetched key would give, unchecked; `None` where none is fetched.
    pub fn unchecked_proof(&self) -> Option<Proved> {
        let fetch = self.fetches(Purpose::Key).next()?;
        Some(Proved {
            secret: format!("/{}", fetch.secret),
            account: None,
            proof: None,
        })
    }

    /// Checks the proof of a sender by a key that was fetched. Without one, nothing proves
    /// it.
    ///
    /// # Errors
    /// Why the sender is refused.
    pub fn verify_by_key(
        &self,
        key: Option<&str>,
        request: &View<'_>,
    ) -> Result<Option<Proven>, Rejection> {
        let mut settings = self.settings().value().clone();
        for fetch in self.fetches(Purpose::Key) {
            settings[&fetch.secret] = Value::from(key.unwrap_or_default());
        }
        let verifier = Verifier::new(&self.demands, &settings.to_string());
        let met = verifier.meet(request)?;
        Ok(met.map(|met| Proven::of(met, &settings)))
    }

    /// Checks the proof of a request's sender. `None` where only the plugin can tell.
    ///
    /// # Errors
    /// Why the sender is refused.
    pub fn verify(&self, request: &View<'_>) -> Result<Option<Proven>, Rejection> {
        let met = self.verifier.meet(request)?;
        Ok(met.map(|met| Proven::of(met, self.settings().value())))
    }

    /// Returns whether the head of a request proves its sender without the body.
    pub fn is_proved_by_head(&self, request: &View<'_>) -> bool {
        self.verifier.is_met_by_head(request)
    }

    /// Returns what the plugin makes of a request. The source adds its name and settings to the
    /// parts that are given.
    ///
    /// # Errors
    /// Where the plugin fails, or is busy for too long. The request can be read again later.
    pub async fn read(
        &self,
        received_at: &str,
        method: &str,
        url: &str,
        headers: &RawValue,
        body: &[u8],
        proved: Option<&Proved>,
    ) -> Result<Answer, ReadError> {
        // First, so that what waits is not held twice.
        let turn = tokio::time::timeout(TURN, self.calls.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(ReadError::Busy);
        };
        let request = Request {
            source: &self.name,
            received_at,
            method,
            url,
            headers,
            body: Body::new(body),
            content: content(headers, body, self.limits().body).map(|content| self.hide(content)),
            proved,
            settings: self.configured.settings.json(),
        };
        // Nothing in it can fail to become JSON.
        let request = serde_json::to_vec(&request).unwrap_or_default();
        Ok(self
            .plugin
            .read(&self.name, &request, &call_limits(self.limits()))
            .await?)
    }
}

impl Source {
    /// Returns a decoded body without the source's tokens: in the body as it was sent they cannot
    /// be found.
    fn hide(&self, content: Content) -> Content {
        match content {
            Content::Text(text) => match self.mask.clean(text.as_bytes()) {
                Cow::Borrowed(_) => Content::Text(text),
                // Only ASCII was replaced by ASCII.
                Cow::Owned(clean) => Content::Text(String::from_utf8_lossy(&clean).into_owned()),
            },
            Content::Base64(text) => {
                let bytes = STANDARD.decode(&text).unwrap_or_default();
                match self.mask.clean(&bytes) {
                    Cow::Borrowed(_) => Content::Base64(text),
                    Cow::Owned(clean) => Content::Base64(STANDARD.encode(clean)),
                }
            }
            unreadable => unreadable,
        }
    }
}

/// Returns the body for reading, where it differs from the body as sent. Nearly every body is
/// plainly fit to be read, and then the headers are not looked into.
fn content(headers: &RawValue, body: &[u8], limit: usize) -> Option<Content> {
    let is_coded = headers.get().contains("\"content-encoding\"");
    if !decode::may_differ(is_coded, body) {
        return None;
    }
    let headers: Vec<(String, String)> = serde_json::from_str(headers.get()).unwrap_or_default();
    let all = |name: &str| {
        let named = headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| &**value);
        let named: Vec<&str> = named.collect();
        (!named.is_empty()).then(|| named.join(", "))
    };
    decode::content(
        all("content-encoding").as_deref(),
        all("content-type").as_deref(),
        body,
        limit,
    )
}

/// The limits of a call, of all the limits of a source.
pub fn call_limits(limits: &Limits) -> CallLimits {
    CallLimits {
        time: limits.time,
        memory: limits.memory,
        output: limits.output,
    }
}
