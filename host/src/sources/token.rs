//! The source's token: where a request shows it, and its removal from everything that is handed on.
//!
//! A token that was compared has done its work. The plugin does not need it, and a request that
//! waits on disk must not carry it, so every spelling of it is replaced by [a hash](Mask::new)
//! before either sees the request: in the URL, in each header (proxies copy the URL into
//! `X-Original-URI`, `Referer` and others) and in the body.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hyper::Uri;
use hyper::header::HeaderMap;
use percent_encoding::percent_decode_str;
use plugin_sdk::signature::sha256;

use crate::config::Secret;
use crate::http;
use crate::mask::{Escaped, begins_escape, escape};

/// A token of fewer bytes is replaced only where it was compared: within other text it may be a
/// word of that.
const LEAST_BYTES: usize = 8;
/// An escape within an escape within an escape is read, and no further.
const DEEPEST: usize = 3;
/// The hexadecimal digits of the hash that stands for a token: enough to tell tokens apart in a
/// log.
const HASH_DIGITS: usize = 16;

/// Returns the credentials that a request shows for its source. The header's may be meant for the
/// plugin, and then the query's is for the gateway. The query's is returned as it was sent and
/// decoded, because senders encode `+` and `/` or do not.
pub fn shown<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Vec<Cow<'a, [u8]>> {
    let bearer = http::bearer(headers).map(|token| Cow::from(token.as_bytes()));
    let pairs = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let token = pairs
        .filter(|(name, _)| percent_decode_str(name).eq(*b"token"))
        .map(|(_, token)| token)
        .next();
    let spellings = token.into_iter().flat_map(|token| {
        let decoded = Cow::from(percent_decode_str(token));
        let sent = (*decoded != *token.as_bytes()).then(|| Cow::from(token.as_bytes()));
        [Some(decoded), sent].into_iter().flatten()
    });
    bearer.into_iter().chain(spellings).collect()
}

/// Replaces the tokens of one source.
#[derive(Debug, Default)]
pub struct Mask(Vec<Token>);

struct Token {
    secret: Secret,
    /// The part of its base64 that is the same whatever follows it, for each number of bytes before
    /// it modulo 3.
    base64: [Secret; 3],
    hash: String,
}

impl Mask {
    /// The mask of these tokens, each of which is replaced by `sha256-` and the beginning of its
    /// SHA-256.
    pub fn new(tokens: &[Secret]) -> Self {
        Self(tokens.iter().map(Token::new).collect())
    }

    /// Returns these bytes without a token.
    pub fn clean<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut cleaned = Cow::Borrowed(bytes);
        for token in self
            .0
            .iter()
            .filter(|token| token.secret.expose().len() >= LEAST_BYTES)
        {
            if let Some(without) = token.replaced(&cleaned) {
                cleaned = Cow::Owned(without);
            }
        }
        cleaned
    }

    /// Returns a text with the tokens in place of their hashes, as it was before [`Mask::clean`]
    /// where that found them in their own spelling. For a proof over a request that was kept.
    pub fn restore(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, token| {
            text.replace(&token.hash, token.secret.expose())
        })
    }

    /// Returns the value of a header without a token.
    pub fn clean_header<'a>(&self, value: &'a [u8]) -> Cow<'a, [u8]> {
        let shown = value
            .iter()
            .position(|byte| *byte == b' ')
            .map(|at| value.split_at(at + 1));
        match shown.and_then(|(scheme, shown)| Some((scheme, self.hash_of(shown.trim_ascii())?))) {
            Some((scheme, hash)) => Cow::Owned([scheme, hash.as_bytes()].concat()),
            None => self.clean(value),
        }
    }

    /// Returns a query without a token.
    pub fn clean_query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        let is_short = |token: &Token| token.secret.expose().len() < LEAST_BYTES;
        let mut query = Cow::Borrowed(query);
        if self.0.iter().any(is_short) {
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, value)) => {
                    let decoded = Cow::from(percent_decode_str(value));
                    let hash = self
                        .hash_of(&decoded)
                        .or_else(|| self.hash_of(value.as_bytes()));
                    hash.map_or_else(|| pair.to_owned(), |hash| format!("{name}={hash}"))
                }
                None => pair.to_owned(),
            });
            query = Cow::Owned(pairs.collect::<Vec<_>>().join("&"));
        }
        match self.clean(query.as_bytes()) {
            Cow::Borrowed(_) => query,
            // Only ASCII was replaced by ASCII.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    fn hash_of(&self, shown: &[u8]) -> Option<&str> {
        self.0
            .iter()
            .find(|token| token.secret.matches(shown))
            .map(|token| &*token.hash)
    }
}

impl Token {
    fn new(secret: &Secret) -> Self {
        let text = secret.expose().as_bytes();
        let hash = format!("sha256-{}", &sha256(text).hex()[..HASH_DIGITS]);
        let base64 = [0, 1, 2].map(|before| {
            let encoded = STANDARD_NO_PAD.encode([&[0; 2][..before], text].concat());
            let first = (8 * before).div_ceil(6);
            let end = 8 * (before + text.len()) / 6;
            Secret::new(&encoded[first..end])
        });
        Self {
            secret: secret.clone(),
            base64,
            hash,
        }
    }

    /// Returns these bytes with the hash in place of each spelling of the token; `None` where there
    /// is none.
    fn replaced(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut without = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        while at < bytes.len() {
            match self.spelled(&bytes[at..]) {
                Some(length) => {
                    without.extend_from_slice(&bytes[copied..at]);
                    without.extend_from_slice(self.hash.as_bytes());
                    at += length;
                    copied = at;
                }
                None => at += 1,
            }
        }
        (copied > 0).then(|| [&without[..], &bytes[copied..]].concat())
    }

    /// Returns the length of the spelling of the token with which these bytes begin.
    fn spelled(&self, bytes: &[u8]) -> Option<usize> {
        let begins = Beginning::of(bytes)?;
        let text = self.secret.expose().as_bytes();
        begins
            .spells(text, |found, known| found == known)
            .or_else(|| {
                self.base64
                    .iter()
                    .find_map(|part| begins.spells(part.expose().as_bytes(), same_digit))
            })
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hash)
    }
}

/// The beginning of a text, with its first byte for each number of times that it is decoded.
struct Beginning<'a> {
    bytes: &'a [u8],
    first: [u8; DEEPEST + 1],
}

impl<'a> Beginning<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let first = match begins_escape(first) {
            true => std::array::from_fn(|depth| unit(bytes, depth).map_or(first, |(_, byte)| byte)),
            false => [first; DEEPEST + 1],
        };
        Some(Self { bytes, first })
    }

    /// Returns the length of the spelling of a text with which the bytes begin: plain, or with
    /// escapes, also within others.
    fn spells(&self, text: &[u8], same: fn(u8, u8) -> bool) -> Option<usize> {
        let begins = |depth: &usize| same(self.first[*depth], text[0]);
        (0..=DEEPEST).filter(begins).find_map(|depth| {
            text.iter().try_fold(0, |at, known| {
                let (length, found) = unit(&self.bytes[at..], depth)?;
                same(found, *known).then_some(at + length)
            })
        })
    }
}

/// Returns whether a digit of base64 is the same in the standard or the URL's alphabet.
fn same_digit(found: u8, known: u8) -> bool {
    match known {
        b'+' => matches!(found, b'+' | b'-'),
        b'/' => matches!(found, b'/' | b'_'),
        known => found == known,
    }
}

/// Returns the first byte of a text that was decoded so many times, and its length before that.
fn unit(text: &[u8], depth: usize) -> Option<(usize, u8)> {
    let Some(below) = depth.checked_sub(1) else {
        return text.first().map(|byte| (1, *byte));
    };
    let (length, first) = unit(text, below)?;
    if !begins_escape(first) {
        return Some((length, first));
    }
    let mut end = 0;
    let read = escape(|| {
        let (length, byte) = match end {
            0 => (length, first),
            _ => unit(&text[end..], below)?,
        };
        end += length;
        Some(byte)
    });
    let byte = read.and_then(|read| match read {
        Escaped::Byte(byte) => Some(byte),
        // A token is spelled by the characters of ASCII.
        Escaped::Char(char) => u8::try_from(char).ok().filter(u8::is_ascii),
    });
    Some(byte.map_or((length, first), |byte| (end, byte)))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use hyper::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    const TOKEN: &str = "c4n/ary+\"t0ken&>~";

    fn texts(uri: &str, authorization: Option<&'static str>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let uri = uri.parse().unwrap();
        shown(&uri, &headers)
            .into_iter()
            .map(|token| String::from_utf8_lossy(&token).into_owned())
            .collect()
    }

    #[test]
    fn token_is_shown_as_bearer_or_in_the_query() {
        assert_eq!(texts("/in/a", Some("Bearer t")), ["t"]);
        assert_eq!(texts("/in/a", Some("bearer  t")), ["t"]);
        assert_eq!(texts("/in/a?x=1&token=t", None), ["t"]);
        assert_eq!(texts("/in/a?token=query", Some("Basic dTpw")), ["query"]);
        // The one may be the plugin's, and the other the gateway's.
        assert_eq!(
            texts("/in/a?token=query", Some("Bearer head")),
            ["head", "query"]
        );
        for nothing in [
            ("/in/a", None),
            ("/in/a?tokens=t", None),
            ("/in/a", Some("Basic dTpw")),
            ("/in/a", Some("t")),
        ] {
            assert_eq!(texts(nothing.0, nothing.1), [""; 0], "{nothing:?}");
        }
    }

    #[test]
    fn token_of_the_query_is_returned_as_sent_and_decoded() {
        assert_eq!(texts("/in/a?x=1&token=a%2Fb", None), ["a/b", "a%2Fb"]);
        assert_eq!(texts("/in/a?token=a+b/c", None), ["a+b/c"]);
        assert_eq!(
            texts("/in/a?token=a%2Bb%2fc%3D", None),
            ["a+b/c=", "a%2Bb%2fc%3D"]
        );
        assert_eq!(texts("/in/a?t%6Fken=x", None), ["x"]);
    }

    fn cleaned(text: &str) -> String {
        let mask = Mask::new(&[Secret::new(TOKEN), Secret::new("short")]);
        String::from_utf8(mask.clean(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn every_spelling_of_a_token_is_replaced() {
        let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let twice: String = TOKEN.bytes().map(|byte| format!("%25{byte:02X}")).collect();
        let thrice: String = TOKEN
            .bytes()
            .map(|byte| format!("%2525{byte:02X}"))
            .collect();
        let unicode: String = TOKEN
            .bytes()
            .map(|byte| format!("\\u00{byte:02X}"))
            .collect();
        let escaped_html: String = TOKEN
            .bytes()
            .map(|byte| format!("\\u0026#x{byte:x};"))
            .collect();
        let html: String = TOKEN.bytes().map(|byte| format!("&#{byte};")).collect();
        let hash = format!("sha256-{}", &sha256(TOKEN.as_bytes()).hex()[..16]);
        for spelling in [
            TOKEN,
            "c4n%2Fary%2B%22t0ken%26%3E~",
            "c4n\\/ary+\\\"t0ken&>~",
            "c4n/ary+&quot;t0ken&amp;&gt;~",
            "c4n&#x2f;ary+&#34;t0ken&amp;>~",
            "c4n&sol;ary&plus;&quot;t0ken&amp;&gt;~",
            "c4n&#00047;ary+&#x00022;t0ken&AMP;&GT;~",
            "c4n\\x2fary\\x2B\\x22t0ken&>~",
            "c4n%u002fary%u002B%u0022t0ken&>~",
            "c4n\\\\/ary+\\\\\\\"t0ken\\\\u0026>~",
            "c4n%26%23x2f%3Bary%2B%26quot%3Bt0ken%26amp%3B%3E~",
            &percent,
            &twice,
            &thrice,
            &unicode,
            &html,
            &escaped_html,
        ] {
            assert_eq!(
                cleaned(&format!("<{spelling}>{spelling}")),
                format!("<{hash}>{hash}"),
                "{spelling}"
            );
        }
        for before in ["", "a", "ab", "user:"] {
            for (name, encoded) in [
                ("standard", STANDARD.encode(format!("{before}{TOKEN}:x"))),
                ("URL", URL_SAFE.encode(format!("{before}{TOKEN}:x"))),
            ] {
                let escaped = encoded.replace('+', "%2B").replace('/', "%2f");
                assert!(cleaned(&encoded).contains(&hash), "{name}: {before}");
                assert!(cleaned(&escaped).contains(&hash), "{name}: {before}");
            }
        }
    }

    #[test]
    fn text_without_the_token_stays_as_it_is() {
        for text in [
            "",
            "c4n/ary+\"t0ken&>",
            "%",
            "%2",
            "\\u00",
            "&#",
            "&#x2f",
            "a short text",
            "c4n/ary+&quot;t0ken&am",
        ] {
            assert_eq!(cleaned(text), text);
        }
        let mask = Mask::new(&[]);
        assert!(matches!(mask.clean(TOKEN.as_bytes()), Cow::Borrowed(_)));
    }

    #[test]
    fn short_token_is_replaced_where_it_was_compared() {
        let mask = Mask::new(&[Secret::new("short")]);
        let hash = format!("sha256-{}", &sha256(b"short").hex()[..16]);
        assert_eq!(
            mask.clean_query("a=shortly&token=short&b=s%68ort"),
            format!("a=shortly&token={hash}&b={hash}")
        );
        assert_eq!(
            &*mask.clean_header(b"Bearer short"),
            format!("Bearer {hash}").as_bytes()
        );
        assert_eq!(&*mask.clean_header(b"a shortly"), b"a shortly");
    }
}
