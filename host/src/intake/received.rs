//! Incoming requests: a request that may be read by its source's plugin, or the reason why it may
//! not.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Bytes, Incoming};
use hyper::header::{EXPECT, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use plugin_sdk::contract::{Answer, ProofIdentity, Proved, Rejection};
use plugin_sdk::signature::View;
use serde_json::value::RawValue;

use super::admission::{self, Charge, Member, NoRoom};
use super::ending::{BODY_TIME, Ending};
use super::fetch::Fetcher;
use super::rate::Pace;
use super::route;
use crate::clock::wall_ms;
use crate::config::{Limits, Rate};
use crate::http::{self, BodyError, Client};
use crate::sources::token::{self, Mask};
use crate::sources::{Proven, ReadError, Source};
use crate::spans::Below;
use crate::store::Sender;

/// The longest path and query. Proxies and libraries take 8 KiB and less, so no sender relies on
/// more.
const URL_BYTES: usize = 8 * 1024;

/// The bytes of a larger body than a source takes that are read all the same, where they show
/// whether its sender is one that the operator waits for: as many as are discarded otherwise.
const PROOF_BYTES: usize = http::DISCARD_BYTES;

/// A request before it is read.
#[derive(Debug)]
pub struct Received {
    /// The id under which its sender and the operator know it.
    pub id: String,
    /// The time of receipt, in milliseconds since 1970.
    pub at_ms: i64,
    /// The method.
    pub method: Method,
    /// The URL, as the sender knows it.
    pub url: String,
    /// As the contract has them: `[[name, value], …]`.
    pub headers: Box<RawValue>,
    /// All of it.
    pub body: Vec<u8>,
    /// True if its sender is proved, by the source's token or by a proof that the plugin declares.
    pub proved: bool,
    /// That proof.
    pub proof: Option<Proved>,
    /// Its identity among the requests to all sources, where it has one.
    pub among_all: Option<ProofIdentity>,
    /// Its sender, as the store keeps it.
    pub sender: Sender,
    /// The time since when the sender waits.
    pub began: Instant,
    /// True if an operator's test sent it.
    pub is_test: bool,
    /// The place of its span's parts.
    pub(super) below: Below,
    /// The memory charged for it while it is held.
    pub(super) charge: Charge,
}

/// The checks of a request before its body is read, beside the token.
#[derive(Debug)]
pub struct Gate {
    share: Member,
    pace: Option<(Rate, Arc<Pace>)>,
}

impl Gate {
    /// For a source with these limits, which shares the room with others.
    pub fn new(share: Member, limits: &Limits) -> Self {
        Self {
            share,
            pace: limits.rate.map(|rate| (rate, Arc::new(Pace::new(rate)))),
        }
    }

    /// For the same source when it has these limits: with the same share, and where the rate is the
    /// same, what is left of it.
    pub(super) fn with(&self, limits: &Limits) -> Self {
        let new = Self::new(self.share.clone(), limits);
        let same = self
            .pace
            .as_ref()
            .filter(|(rate, _)| Some(*rate) == limits.rate);
        Self {
            pace: same.cloned().or(new.pace),
            ..new
        }
    }

    /// Lets a request in whose body has so many bytes, as far as that is known. Room is asked for
    /// first: what finds none does not count towards the rate.
    fn pass(&self, body: usize) -> Result<Charge, Ending> {
        let charge = self.share.admit(body)?;
        self.pace
            .as_ref()
            .map_or(Ok(()), |(_, pace)| pace.step())
            .map_err(Ending::RateLimited)?;
        Ok(charge)
    }
}

/// A request that may not come in.
#[derive(Debug)]
pub struct Refusal {
    /// Its ending.
    pub ending: Ending,
    /// True if its sender is one that the operator waits for: it showed the source's token, or where
    /// it is refused for its shape, its head or its signature proves it.
    pub proved: bool,
    /// The head of the request.
    pub head: Box<Parts>,
    /// The body, where it was read.
    pub body: Option<Vec<u8>>,
}

/// Takes in all of a request of `client` for `source`, whose path has `suffix` behind the source's
/// name. `fetcher` gets the key of its sender, where the plugin declares where that is.
///
/// # Errors
/// How it ends, where it may not come in: its method or its URL is none that the source takes, it
/// comes from a network that is not the source's, shows no token or a wrong one, is more than there
/// is room for or than the rate allows, or its body is too large, too slow or broken.
pub async fn receive(
    id: &str,
    source: &Source,
    gate: &Gate,
    fetcher: &Fetcher,
    suffix: &str,
    client: Client,
    request: Request<Incoming>,
) -> Result<Received, Refusal> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let token = Token::of(source, &head);
    let proved = matches!(token, Token::Right(_));
    // Of a request that is refused before its body is read.
    let proved_by_head = |head: &Parts, ending: &Ending| {
        let is_proved = || {
            let url = route::public_url(&source.url, suffix, head.uri.query());
            source.is_proved_by_head(&view("", head, &url, &[]))
        };
        proved || (token == Token::None && ending.is_refused_for_its_shape() && is_proved())
    };
    // A signature over the body.
    let is_signed = token == Token::None && source.demands_proof() && !source.fetches_key();
    let is_proved_by = |head: &Parts, body: &[u8]| {
        let url = route::public_url(&source.url, suffix, head.uri.query());
        let proof = verify(source, None, wall_ms(), head, &url, body);
        is_signed && matches!(proof, Ok(Some(_)))
    };
    let mut charge = match enter(source, gate, &head, token, client, http::announced(&body)) {
        Ok(charge) => charge,
        Err(ending) => {
            let mut proved = proved_by_head(&head, &ending);
            // One that asked first whether to write learns of it from the answer alone.
            if !head.headers.contains_key(EXPECT) {
                if !proved && is_signed && ending.is_refused_for_its_shape() {
                    let body = read_to_prove(source, gate, body).await;
                    proved = body.is_ok_and(|body| is_proved_by(&head, &body));
                } else {
                    // A sender that is still writing learns of it only if somebody reads.
                    http::discard(body);
                }
            }
            return Err(Refusal {
                proved,
                ending,
                head: Box::new(head),
                body: None,
            });
        }
    };
    let limit = source.limits().body;
    let most = if is_signed {
        limit.max(PROOF_BYTES)
    } else {
        limit
    };
    let room = |bytes| match charge.cover(admission::cost(bytes)) {
        Err(_) if bytes > limit => Err(Ending::Body(BodyError::TooLarge)),
        charged => charged.map_err(Ending::NoRoom),
    };
    let body = http::read_body(body, most, BODY_TIME, room).await;
    let body = match body {
        Ok(body) if body.len() > limit => {
            return Err(Refusal {
                proved: proved || is_proved_by(&head, &body),
                ending: Ending::Body(BodyError::TooLarge),
                head: Box::new(head),
                body: None,
            });
        }
        Ok(body) => body,
        Err(ending) => {
            return Err(Refusal {
                proved: proved_by_head(&head, &ending),
                ending,
                head: Box::new(head),
                body: None,
            });
        }
    };
    let at_ms = wall_ms();
    let url = route::public_url(&source.url, suffix, head.uri.query());
    let key = match source.fetches_key() {
        true => fetcher.key(source, &body).await.map_err(Ending::NoKey),
        false => Ok(None),
    };
    let proof = key.and_then(|key| {
        let proof = verify(source, key.as_deref(), at_ms, &head, &url, &body);
        if let (Ok(Some(_)), Some(key)) = (&proof, &key) {
            fetcher.has_proved(key);
        }
        proof.map_err(Ending::Rejected)
    });
    let proof = match proof {
        Ok(proof) => proof,
        Err(ending) => {
            return Err(Refusal {
                ending,
                proved,
                head: Box::new(head),
                body: Some(body),
            });
        }
    };
    let sender = sender(source, client, token, proof.as_ref());
    let (proof, among_all) = match proof {
        Some(proven) => (Some(proven.proved), proven.among_all),
        None => (None, None),
    };
    // Compared already. From here on nothing that is kept, logged or handed on has it.
    let mask = &source.mask;
    let query = head.uri.query().map(|query| mask.clean_query(query));
    let suffix = mask.clean(suffix.as_bytes());
    Ok(Received {
        id: id.to_owned(),
        at_ms,
        url: route::public_url(
            &source.url,
            &String::from_utf8_lossy(&suffix),
            query.as_deref(),
        ),
        headers: headers_json(&head.headers, mask),
        body: match mask.clean(&body) {
            Cow::Borrowed(_) => body,
            Cow::Owned(cleaned) => cleaned,
        },
        method: head.method,
        proved: proved || proof.is_some(),
        proof,
        among_all,
        sender,
        began,
        is_test: false,
        below: head.extensions.get().cloned().unwrap_or_default(),
        charge,
    })
}

/// Reads the body of a request that is refused whatever is in it. It counts towards the room and the
/// rate of its source, as one that is taken.
async fn read_to_prove(source: &Source, gate: &Gate, body: Incoming) -> Result<Vec<u8>, Ending> {
    let most = source.limits().body.max(PROOF_BYTES);
    let announced = usize::try_from(http::announced(&body)).unwrap_or(usize::MAX);
    let admitted = if announced > most {
        Err(Ending::Body(BodyError::TooLarge))
    } else {
        gate.pass(announced)
    };
    let mut charge = match admitted {
        Ok(charge) => charge,
        Err(ending) => {
            http::discard(body);
            return Err(ending);
        }
    };
    let room = |bytes| charge.cover(admission::cost(bytes)).map_err(Ending::NoRoom);
    http::read_body(body, most, BODY_TIME, room).await
}

/// Checks the proof of the sender that the source's plugin declares, before the plugin is called. A
/// forged request costs the host one HMAC. `key` is one that was fetched.
fn verify(
    source: &Source,
    key: Option<&str>,
    at_ms: i64,
    head: &Parts,
    url: &str,
    body: &[u8],
) -> Result<Option<Proven>, Rejection> {
    if !source.demands_proof() {
        return Ok(None);
    }
    let received_at = crate::clock::rfc3339(at_ms);
    let view = view(&received_at, head, url, body);
    match source.fetches_key() {
        true => source.verify_by_key(key, &view),
        false => source.verify(&view),
    }
}

/// Returns the sender of a request, as the store keeps it.
fn sender(source: &Source, client: Client, token: Token, proof: Option<&Proven>) -> Sender {
    Sender {
        client: client.address.map(|address| address.to_string()),
        token: match token {
            Token::Right(number) => Some(number),
            Token::None | Token::Missing | Token::Wrong => None,
        },
        by: proof.map(|proven| proven.by.clone()),
        secret: proof.map(|proven| proven.proved.secret.clone()),
        account: proof.and_then(|proven| proven.proved.account.clone()),
        // No source is loaded that has neither a token nor a plugin that proves its senders.
        plugin: proof.is_none() && source.configured.tokens.is_empty(),
        waited_us: None,
    }
}

/// A request as its proof is checked.
fn view<'a>(received_at: &'a str, head: &'a Parts, url: &'a str, body: &'a [u8]) -> View<'a> {
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), latin1(value)));
    View {
        received_at,
        method: head.method.as_str(),
        url,
        headers: headers.collect(),
        body: Cow::Borrowed(body),
    }
}

/// Returns the value of a header as text; bytes above 0x7f are read as Latin-1.
pub(super) fn latin1(value: &HeaderValue) -> Cow<'_, str> {
    value.to_str().map_or_else(
        |_| {
            value
                .as_bytes()
                .iter()
                .map(|byte| char::from(*byte))
                .collect()
        },
        Cow::Borrowed,
    )
}

/// The token that a request shows, compared with its source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// The source has none.
    None,
    Missing,
    Wrong,
    /// The one with this number, from 1.
    Right(usize),
}

impl Token {
    fn of(source: &Source, head: &Parts) -> Self {
        if source.configured.tokens.is_empty() {
            return Self::None;
        }
        let shown = token::shown(&head.uri, &head.headers);
        let mut tokens = source.configured.tokens.iter();
        let known = tokens.position(|known| shown.iter().any(|shown| known.matches(shown)));
        match (shown.is_empty(), known) {
            (true, _) => Self::Missing,
            (false, Some(place)) => Self::Right(place + 1),
            (false, None) => Self::Wrong,
        }
    }
}

/// Decides all that is decided before a byte of the body is read, in the order in which it costs
/// the gateway, and the sender whose request it is not: network and token before room and rate, so
/// that strangers to these use up neither.
fn enter(
    source: &Source,
    gate: &Gate,
    head: &Parts,
    token: Token,
    client: Client,
    announced: u64,
) -> Result<Charge, Ending> {
    if head
        .uri
        .path_and_query()
        .is_some_and(|url| url.as_str().len() > URL_BYTES)
    {
        return Err(Ending::UriTooLong);
    }
    if !source.takes(&head.method) {
        return Err(Ending::Method);
    }
    if !source.configured.clients.is_empty()
        && !client
            .address
            .is_some_and(|address| source.configured.clients.contains(address))
    {
        return Err(Ending::ForeignClient);
    }
    match token {
        Token::None | Token::Right(_) => {}
        Token::Missing => return Err(Ending::NoToken),
        Token::Wrong => return Err(Ending::WrongToken),
    }
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > source.limits().body {
        return Err(Ending::Body(BodyError::TooLarge));
    }
    gate.pass(announced)
}

impl Received {
    /// Returns the answer of the source's plugin to it.
    ///
    /// # Errors
    /// Where the plugin fails, or is busy for too long.
    pub async fn read(&self, source: &Source) -> Result<Answer, ReadError> {
        let Self {
            at_ms,
            method,
            url,
            headers,
            body,
            proof,
            ..
        } = self;
        source
            .read(
                &crate::clock::rfc3339(*at_ms),
                method.as_str(),
                url,
                headers,
                body,
                proof.as_ref(),
            )
            .await
    }

    /// The body of the reply to it, which is charged in its place until its sender has read that.
    ///
    /// # Errors
    /// Where there is no room for it.
    pub(super) fn reply(mut self, body: Vec<u8>) -> Result<Bytes, NoRoom> {
        self.charge.cover(admission::REQUEST + body.len())?;
        Ok(self.charge.on(body))
    }
}

/// Returns JSON `[[name, value], …]`, in order, duplicates kept; bytes above 0x7f are read as
/// Latin-1.
fn headers_json(headers: &HeaderMap, mask: &Mask) -> Box<RawValue> {
    let latin1 = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
    };
    let name = |name: &HeaderName| latin1(&mask.clean(name.as_str().as_bytes()));
    let value = |value: &HeaderValue| latin1(&mask.clean_header(value.as_bytes()));
    let pairs: Vec<(String, String)> = headers
        .iter()
        .map(|(of, found)| (name(of), value(found)))
        .collect();
    serde_json::value::to_raw_value(&pairs).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn headers_keep_their_order_their_duplicates_and_every_byte() {
        let mut headers = HeaderMap::new();
        headers.append("b", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        headers.append("b", HeaderValue::from_static("2"));
        let json = headers_json(&headers, &Mask::default());
        assert_eq!(json.get(), r#"[["b","1"],["b","2"],["a","café"]]"#);
    }

    #[test]
    fn headers_are_kept_without_the_token() {
        let mut headers = HeaderMap::new();
        headers.append(
            "referer",
            HeaderValue::from_static("https://a.example/?token=canary-5b1f&x=1"),
        );
        headers.append(
            "authorization",
            HeaderValue::from_static("Bearer canary-5b1f"),
        );
        let json = headers_json(&headers, &Mask::new(&[Secret::new("canary-5b1f")]));
        assert!(!json.get().contains("canary"), "{}", json.get());
        assert_eq!(json.get().matches("sha256-").count(), 2, "{}", json.get());
    }
}
