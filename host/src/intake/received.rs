//! What comes in: a request that may be read by its source's plugin, or the reason why it may not.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{EXPECT, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Request, Uri};
use plugin_sdk::contract::Answer;
use serde_json::value::RawValue;

use super::admission::{self, Charge, Member, NoRoom};
use super::rate::Pace;
use super::{Ending, route};
use crate::clock::wall_ms;
use crate::config::{Limits, Rate};
use crate::http::{self, BodyError, Client};
use crate::sources::{ReadError, Source};

/// How long a sender may take for its body.
pub const BODY_TIME: Duration = Duration::from_secs(10);

/// What came in, before it is read.
#[derive(Debug)]
pub struct Received {
    /// The id under which its sender and the operator know it.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// How.
    pub method: Method,
    /// Where to, as the sender knows it.
    pub url: String,
    /// As the contract has them: `[[name, value], …]`.
    pub headers: Box<RawValue>,
    /// All of it.
    pub body: Vec<u8>,
    /// What it is charged while it is held.
    pub(super) charge: Charge,
}

/// What a request has to pass before its body is read, beside the token.
#[derive(Debug)]
pub struct Gate {
    share: Member,
    pace: Option<(Rate, Arc<Pace>)>,
}

impl Gate {
    /// For a source with these limits, which shares the room with others.
    pub fn new(share: Member, limits: &Limits) -> Self {
        Self { share, pace: limits.rate.map(|rate| (rate, Arc::new(Pace::new(rate)))) }
    }

    /// For the same source when it has these limits: with the same share, and where the rate is the same, what is left of it.
    pub(super) fn with(&self, limits: &Limits) -> Self {
        let new = Self::new(self.share.clone(), limits);
        let same = self.pace.as_ref().filter(|(rate, _)| Some(*rate) == limits.rate);
        Self { pace: same.cloned().or(new.pace), ..new }
    }

    /// Lets a request in whose body has so many bytes, as far as that is known. Room is asked for first: what finds none
    /// does not count towards the rate.
    fn pass(&self, body: usize) -> Result<Charge, Ending> {
        let charge = self.share.admit(body)?;
        self.pace.as_ref().map_or(Ok(()), |(_, pace)| pace.step()).map_err(Ending::RateLimited)?;
        Ok(charge)
    }
}

/// Takes in all of a request of `client` for `source`, whose path has `suffix` behind the source's name.
///
/// # Errors
/// How it ends, where it may not come in: it is no POST, comes from a network that is not the source's, shows no token or
/// a wrong one, is more than there is room for or than the rate allows, or its body is too large, too slow or broken.
pub async fn receive(
    id: &str,
    source: &Source,
    gate: &Gate,
    suffix: &str,
    client: Client,
    request: Request<Incoming>,
) -> Result<Received, Ending> {
    let (head, body) = request.into_parts();
    let mut charge = match enter(source, gate, &head, client, http::announced(&body)) {
        Ok(charge) => charge,
        Err(ending) => {
            // A sender that is still writing learns of it only if somebody reads; one that asked first whether to write, from
            // the answer alone.
            if !head.headers.contains_key(EXPECT) {
                http::discard(body);
            }
            return Err(ending);
        }
    };
    let room = |bytes| charge.cover(admission::cost(bytes)).map_err(Ending::NoRoom);
    let body = http::read_body(body, source.limits.body, BODY_TIME, room).await?;
    Ok(Received {
        id: id.to_owned(),
        at_ms: wall_ms(),
        method: head.method,
        url: route::public_url(&source.url, suffix, head.uri.query()),
        headers: headers_json(&head.headers),
        body,
        charge,
    })
}

/// All that is decided before a byte of the body is read, in the order in which it costs the gateway, and the sender whose
/// request it is not: network and token before room and rate, so that strangers to these use up neither.
fn enter(source: &Source, gate: &Gate, head: &Parts, client: Client, announced: u64) -> Result<Charge, Ending> {
    if head.method != Method::POST {
        return Err(Ending::Method);
    }
    if !source.clients.is_empty() && !source.clients.contains(client.address) {
        return Err(Ending::ForeignClient);
    }
    if !source.tokens.is_empty() {
        let shown = tokens(&head.uri, &head.headers);
        let is_known = |token: &Cow<'_, str>| source.tokens.iter().any(|known| known.matches(token.as_bytes()));
        if shown.is_empty() {
            return Err(Ending::NoToken);
        } else if !shown.iter().any(is_known) {
            return Err(Ending::WrongToken);
        }
    }
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > source.limits.body {
        return Err(Ending::Body(BodyError::TooLarge));
    }
    gate.pass(announced)
}

impl Received {
    /// What the source's plugin makes of it.
    ///
    /// # Errors
    /// Where the plugin fails, or is busy for too long.
    pub async fn read(&self, source: &Source) -> Result<Answer, ReadError> {
        let Self { at_ms, method, url, headers, body, .. } = self;
        source.read(&crate::store::rfc3339(*at_ms), method.as_str(), url, headers, body).await
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

/// The credentials that a sender shows: the header's may be meant for the plugin, and then the query's is for the gateway.
fn tokens<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Vec<Cow<'a, str>> {
    let bearer = http::bearer(headers).map(Cow::from);
    let query = uri.query().unwrap_or_default();
    let token = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token);
    bearer.into_iter().chain(token).collect()
}

/// JSON `[[name, value], …]`, in order, duplicates kept; bytes above 0x7f are read as Latin-1.
fn headers_json(headers: &HeaderMap) -> Box<RawValue> {
    let pairs: Vec<(&str, Cow<'_, str>)> = headers
        .iter()
        .map(|(name, value)| {
            let value = match value.to_str() {
                Ok(text) => text.into(),
                Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            };
            (name.as_str(), value)
        })
        .collect();
    serde_json::value::to_raw_value(&pairs).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    fn shown(uri: &str, authorization: Option<&'static str>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        }
        tokens(&uri.parse().unwrap(), &headers).into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_in_the_query() {
        assert_eq!(shown("/in/a", Some("Bearer t")), ["t"]);
        assert_eq!(shown("/in/a", Some("bearer  t")), ["t"]);
        assert_eq!(shown("/in/a?x=1&token=a%2Fb", None), ["a/b"]);
        assert_eq!(shown("/in/a?token=query", Some("Basic dTpw")), ["query"]);
        // The one may be the plugin's, and the other the gateway's.
        assert_eq!(shown("/in/a?token=query", Some("Bearer head")), ["head", "query"]);
        for nothing in [("/in/a", None), ("/in/a?tokens=t", None), ("/in/a", Some("Basic dTpw")), ("/in/a", Some("t"))]
        {
            assert_eq!(shown(nothing.0, nothing.1), [""; 0], "{nothing:?}");
        }
    }

    #[test]
    fn headers_keep_their_order_their_duplicates_and_every_byte() {
        let mut headers = HeaderMap::new();
        headers.append("b", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        headers.append("b", HeaderValue::from_static("2"));
        assert_eq!(headers_json(&headers).get(), r#"[["b","1"],["b","2"],["a","café"]]"#);
    }
}
