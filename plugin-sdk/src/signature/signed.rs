//! Signatures in a header, over a text that a template makes of the request. Some vendors' own
//! schemes are of this kind.
//!
//! Sources: GitHub, "Validating webhook deliveries"; Slack, "Verifying requests from Slack";
//! Stripe, "Resolve webhook signature verification errors"; the Standard Webhooks specification and
//! its libraries; PagerDuty, "Verifying signatures"; Grafana, "Configure webhook notifications";
//! SendGrid, "Event Webhook Security Features"; Discord, "Setting up an endpoint".

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::contract::{Algorithm, Encoding, ProofIdentity, Request, Scheme, Signed, TimeIn};
use crate::time;

use super::{Proof, View, hex, hmac, same, sha256_of};

/// Base64 with padding or without.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// More signatures in one header are none of a sender's, and each costs a comparison.
const MAX_SIGNATURES: usize = 8;

/// The largest difference between the sender's clock and the time of receipt, in seconds. All
/// vendors name five minutes.
pub const TOLERANCE_SECONDS: i64 = 300;

const SVIX: [&str; 3] = ["svix-signature", "svix-id", "svix-timestamp"];
const STANDARD_WEBHOOKS: [&str; 3] = ["webhook-signature", "webhook-id", "webhook-timestamp"];

/// The headers by which a vendor's own scheme is recognised.
pub(super) const MARKS: [(&str, Scheme); 4] = [
    ("x-slack-signature", Scheme::Slack),
    ("stripe-signature", Scheme::Stripe),
    (STANDARD_WEBHOOKS[0], Scheme::StandardWebhooks),
    (SVIX[0], Scheme::StandardWebhooks),
];

impl Scheme {
    /// GitHub's: `X-Hub-Signature-256: sha256=<hex>`.
    pub fn github() -> Self {
        Self::Signed(Signed {
            prefix: "sha256=".to_owned(),
            ..Signed::new("x-hub-signature-256")
        })
    }

    /// PagerDuty's: `X-PagerDuty-Signature: v1=<hex>,v1=<hex>`.
    pub fn pagerduty() -> Self {
        Self::Signed(Signed {
            prefix: "v1=".to_owned(),
            ..Signed::new("x-pagerduty-signature")
        })
    }

    /// Grafana's with a timestamp header: an HMAC of `<time>:<body>`.
    pub fn grafana() -> Self {
        Self::Signed(Signed {
            over: "{time}:{body}".to_owned(),
            time: Some(TimeIn::Header(
                "x-grafana-alerting-signature-timestamp".to_owned(),
            )),
            ..Signed::new("x-grafana-alerting-signature")
        })
    }

    /// SendGrid's event webhook: ECDSA by SendGrid's public key.
    pub fn sendgrid() -> Self {
        Self::Signed(Signed {
            algorithm: Algorithm::EcdsaP256,
            encoding: Encoding::Base64,
            over: "{time}{body}".to_owned(),
            time: Some(TimeIn::Header(
                "x-twilio-email-event-webhook-timestamp".to_owned(),
            )),
            ..Signed::new("x-twilio-email-event-webhook-signature")
        })
    }

    /// Discord's: Ed25519 by the application's public key.
    pub fn discord() -> Self {
        Self::Signed(Signed {
            algorithm: Algorithm::Ed25519,
            over: "{time}{body}".to_owned(),
            time: Some(TimeIn::Header("x-signature-timestamp".to_owned())),
            ..Signed::new("x-signature-ed25519")
        })
    }

    /// The signature that this scheme is, as this request carries it. `None` for a scheme that is
    /// none.
    pub(super) fn signed(&self, view: &View<'_>) -> Option<Cow<'_, Signed>> {
        let preset = |header: &str, prefix: &str, over: &str, time| {
            Cow::Owned(Signed {
                prefix: prefix.to_owned(),
                over: over.to_owned(),
                time: Some(time),
                ..Signed::new(header)
            })
        };
        Some(match self {
            Self::Signed(signed) => Cow::Borrowed(signed),
            Self::Slack => {
                let time = TimeIn::Header("x-slack-request-timestamp".to_owned());
                preset("x-slack-signature", "v0=", "v0:{time}:{body}", time)
            }
            Self::Stripe => preset(
                "stripe-signature",
                "v1=",
                "{time}.{body}",
                TimeIn::Field("t".to_owned()),
            ),
            Self::StandardWebhooks => {
                let is_svix =
                    view.header(STANDARD_WEBHOOKS[0]).is_none() && view.header(SVIX[0]).is_some();
                let [signature, id, time] = if is_svix { SVIX } else { STANDARD_WEBHOOKS };
                let over = format!("{{header:{id}}}.{{time}}.{{body}}");
                let mut signed = preset(signature, "v1,", &over, TimeIn::Header(time.to_owned()));
                signed.to_mut().encoding = Encoding::Base64;
                signed
            }
            _ => return None,
        })
    }

    /// The keys that a secret may mean. Standard Webhooks has three spellings: base64 behind
    /// `whsec_`, base64 alone, and the key itself. One with nothing behind the prefix is taken as
    /// it is: anybody can sign with an empty key.
    pub(super) fn keys<'s>(&self, secret: &'s str) -> Vec<Cow<'s, [u8]>> {
        let mut keys = vec![Cow::Borrowed(secret.as_bytes())];
        if matches!(self, Self::StandardWebhooks) {
            let coded = secret.strip_prefix("whsec_").unwrap_or(secret);
            let key = LENIENT.decode(coded).ok().filter(|key| !key.is_empty());
            keys.extend(key.map(Cow::Owned));
        }
        keys
    }
}

/// Checks a signature with keys of which any may have made it.
pub(super) fn verify(
    signed: &Signed,
    view: &View<'_>,
    keys: &[Cow<'_, [u8]>],
) -> (Proof, Option<ProofIdentity>) {
    let given: Vec<&str> = view.header_all(&signed.header).collect();
    if given.is_empty() {
        return (Proof::Missing, None);
    }
    let time = match &signed.time {
        None => None,
        Some(TimeIn::Header(name)) => match view.header(name) {
            Some(time) => Some(time.trim()),
            None => return (Proof::Missing, None),
        },
        Some(TimeIn::Field(name)) => match given.iter().find_map(|given| field(given, name)) {
            Some(time) => Some(time),
            None => return (Proof::Wrong, None),
        },
    };
    let Some(text) = text(signed, view, time) else {
        return (Proof::Missing, None);
    };
    // What cannot be a signature costs no HMAC.
    let given = given
        .iter()
        .flat_map(|given| signatures(given, &signed.prefix));
    let given: Vec<&str> = given
        .map(|given| unlabelled(given, signed))
        .filter(|given| is_plausible(signed, given))
        .take(MAX_SIGNATURES)
        .collect();
    if !keys.iter().any(|key| is_signed(signed, &text, key, &given)) {
        return (Proof::Wrong, None);
    }
    let id = format!("sha256:{}", sha256_of(&text).hex());
    // A right signature proves that the time is the sender's own; only then is it looked at.
    let Some(time) = time else {
        return (
            Proof::Good,
            Some(ProofIdentity {
                id,
                expires_at: None,
            }),
        );
    };
    let tolerance = i64::from(signed.tolerance);
    match (
        time::any(time).and_then(|time| time::seconds(&time)),
        time::seconds(view.received_at),
    ) {
        (Some(sent), Some(received)) if received.abs_diff(sent) <= tolerance.unsigned_abs() => {
            let expires_at = time::of_seconds(sent.saturating_add(tolerance + 1));
            (Proof::Good, Some(ProofIdentity { id, expires_at }))
        }
        _ => (Proof::Stale, None),
    }
}

fn is_signed(signed: &Signed, text: &[Cow<'_, [u8]>], key: &[u8], given: &[&str]) -> bool {
    if given.is_empty() {
        return false;
    }
    match hmac(signed.algorithm, key, text) {
        Some(digest) => given.iter().any(|given| match signed.encoding {
            Encoding::Hex => same(&given.to_ascii_lowercase(), &hex(&digest)),
            Encoding::Base64 => same(
                &plain_base64(given),
                &plain_base64(&LENIENT.encode(&digest)),
            ),
        }),
        None => given.iter().any(|given| {
            decode(signed.encoding, given)
                .is_some_and(|given| public_key(signed.algorithm, key, text, &given))
        }),
    }
}

#[cfg(all(not(target_family = "wasm"), feature = "public-keys"))]
fn public_key(algorithm: Algorithm, key: &[u8], text: &[Cow<'_, [u8]>], given: &[u8]) -> bool {
    super::public_key::verify(algorithm, key, &text.concat(), given)
}

/// The host checks public keys, so that no plugin carries them.
#[cfg(not(all(not(target_family = "wasm"), feature = "public-keys")))]
fn public_key(_: Algorithm, _: &[u8], _: &[Cow<'_, [u8]>], _: &[u8]) -> bool {
    false
}

/// In the standard alphabet, without padding.
fn plain_base64(text: &str) -> String {
    text.trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/")
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 => LENIENT.decode(plain_base64(text)).ok(),
        Encoding::Hex => {
            let digits: Vec<u8> = text
                .bytes()
                .map(|byte| char::from(byte).to_digit(16).unwrap_or(16) as u8)
                .collect();
            let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(|digit| *digit < 16);
            is_hex.then(|| {
                digits
                    .chunks_exact(2)
                    .map(|pair| pair[0] << 4 | pair[1])
                    .collect()
            })
        }
    }
}

/// Returns whether a text has the length of a signature.
fn is_plausible(signed: &Signed, given: &str) -> bool {
    let bytes = match signed.algorithm {
        Algorithm::Sha1 => 20..=20,
        Algorithm::Sha256 => 32..=32,
        Algorithm::Sha512 | Algorithm::Ed25519 => 64..=64,
        Algorithm::EcdsaP256 => 8..=72,
        Algorithm::RsaSha256 => 256..=1024,
    };
    match signed.encoding {
        Encoding::Hex => given.len().is_multiple_of(2) && bytes.contains(&(given.len() / 2)),
        Encoding::Base64 => bytes.contains(&(given.trim_end_matches('=').len() * 3 / 4)),
    }
}

/// Returns the signatures in a header: each begins behind a prefix at the start or after a comma, a
/// semicolon or a space, and ends before the next of these.
fn signatures<'a>(header: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    const SEPARATORS: [char; 4] = [',', ';', ' ', '\t'];
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        loop {
            let here = rest?.trim_start_matches(SEPARATORS);
            if here.is_empty() {
                return None;
            }
            let after = here
                .split_at_checked(prefix.len())
                .filter(|(start, _)| start.eq_ignore_ascii_case(prefix))
                .map(|(_, after)| after);
            let from = after.unwrap_or(here);
            let end = from.find(SEPARATORS).unwrap_or(from.len());
            rest = Some(&from[end..]);
            if after.is_some() {
                return Some(&from[..end]);
            }
        }
    })
}

/// The signature without the name of its algorithm (`sha256=`), which many senders write before it
/// and the settings need not name.
fn unlabelled<'g>(given: &'g str, signed: &Signed) -> &'g str {
    let label = given.split_once('=').filter(|(label, value)| {
        let is_label = label.len() < 16 && label.contains(|c: char| c.is_ascii_digit());
        signed.prefix.is_empty() && is_label && is_plausible(signed, value)
    });
    label.map_or(given, |(_, value)| value)
}

/// The value of a field in a header such as `t=1700000000,v1=…`.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = header
        .split([',', ';', ' '])
        .filter_map(|field| field.trim().split_once('='));
    fields
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.trim())
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Literal(&'t str),
    Place(&'t str),
}

fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((place, after)) = rest
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
        {
            rest = after;
            return Some(Piece::Place(place));
        }
        let end = rest
            .char_indices()
            .skip(1)
            .find(|(_, char)| *char == '{')
            .map_or(rest.len(), |(end, _)| end);
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

/// The text that is signed, in parts. `None` where the request lacks one.
fn text<'a>(
    signed: &'a Signed,
    view: &'a View<'_>,
    time: Option<&'a str>,
) -> Option<Vec<Cow<'a, [u8]>>> {
    let url = || view.url.split('#').next().unwrap_or_default();
    let part = |piece| {
        Some(match piece {
            Piece::Literal(text) => text.as_bytes(),
            Piece::Place("body") => &*view.body,
            Piece::Place("time") => time?.as_bytes(),
            Piece::Place("url") => url().as_bytes(),
            Piece::Place("path") => {
                let (_, after) = url().split_once("://")?;
                after
                    .find('/')
                    .map_or("/", |start| &after[start..])
                    .as_bytes()
            }
            Piece::Place("method") => view.method.as_bytes(),
            Piece::Place(place) => view
                .header(place.strip_prefix("header:")?)?
                .trim()
                .as_bytes(),
        })
    };
    // Headers are Latin-1 in the contract; a signature over one beyond ASCII is over its bytes,
    // which no vendor has.
    pieces(&signed.over)
        .map(|piece| part(piece).map(Cow::Borrowed))
        .collect()
}

impl Signed {
    /// Returns the flaw of this signature's template, for a plugin's `check`: an unknown place, a
    /// missing time, a body that is not covered.
    pub fn flaw(&self) -> Option<String> {
        let mut covers_body = false;
        for piece in pieces(&self.over) {
            match piece {
                Piece::Place("body") => covers_body = true,
                Piece::Place("time") if self.time.is_none() => {
                    return Some(
                        "{time} is signed, and nothing says where the time stands".to_owned(),
                    );
                }
                Piece::Place("time" | "url" | "path" | "method") | Piece::Literal(_) => {}
                Piece::Place(place)
                    if place
                        .strip_prefix("header:")
                        .is_some_and(|name| !name.is_empty()) => {}
                Piece::Place(place) => {
                    return Some(format!(
                        "{{{place}}} is no part of a request: it may be {{body}}, {{time}}, {{url}}, {{path}}, {{method}} \
                         or {{header:NAME}}"
                    ));
                }
            }
        }
        (!covers_body)
            .then(|| "the signature does not cover the {body}, so anybody may change it".to_owned())
    }
}

/// Puts a signature into the request, made with the secret at the time of receipt. Public keys
/// cannot sign.
pub(super) fn sign(scheme: &Scheme, request: &mut Request, secret: &str) {
    let (signed, time) = {
        let view = View::from(&*request);
        let Some(signed) = scheme.signed(&view) else {
            return;
        };
        (
            signed.into_owned(),
            time::seconds(view.received_at)
                .unwrap_or_default()
                .to_string(),
        )
    };
    if let Some(TimeIn::Header(name)) = &signed.time {
        request.set_header(name, &time);
    }
    // Keeps the id that the request has.
    for piece in pieces(&signed.over) {
        if let Piece::Place(place) = piece
            && let Some(name) = place.strip_prefix("header:")
            && request.header(name).is_none()
        {
            request.set_header(name, "msg_test");
        }
    }
    let keys = scheme.keys(secret);
    let Some(key) = keys.last() else { return };
    let view = View::from(&*request);
    let Some(digest) =
        text(&signed, &view, Some(&time)).and_then(|text| hmac(signed.algorithm, key, &text))
    else {
        return;
    };
    let digest = match signed.encoding {
        Encoding::Hex => hex(&digest),
        Encoding::Base64 => base64::engine::general_purpose::STANDARD.encode(digest),
    };
    let signature = match &signed.time {
        Some(TimeIn::Field(name)) => format!("{name}={time},{}{digest}", signed.prefix),
        _ => format!("{}{digest}", signed.prefix),
    };
    request.set_header(&signed.header, &signature);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_of_a_header_is_found() {
        for (header, prefix, found) in [
            ("v1=aa,v1=bb", "v1=", &["aa", "bb"][..]),
            ("t=1, v1=aa ,v0=cc v1=bb", "v1=", &["aa", "bb"]),
            ("v1,AA= v1a,BB v1,CC", "v1,", &["AA=", "CC"]),
            ("sha256=aa", "sha256=", &["aa"]),
            ("SHA256=aa,ä", "sha256=", &["aa"]),
            ("aa bb;cc", "", &["aa", "bb", "cc"]),
            (",, ", "", &[]),
            ("xv1=aa", "v1=", &[]),
        ] {
            assert_eq!(
                signatures(header, prefix).collect::<Vec<_>>(),
                found,
                "{header}"
            );
        }
    }

    #[test]
    fn name_of_the_algorithm_may_stand_before_a_signature() {
        let hex = "0".repeat(64);
        let base64 = format!("{}=", "A".repeat(43));
        for (encoding, digits) in [(Encoding::Hex, &hex), (Encoding::Base64, &base64)] {
            let signed = Signed {
                encoding,
                ..Signed::new("x")
            };
            for label in ["", "sha256=", "HMAC-SHA256="] {
                assert_eq!(unlabelled(&format!("{label}{digits}"), &signed), digits);
            }
            let prefixed = Signed {
                prefix: "v1=".to_owned(),
                ..signed
            };
            let other = format!("v0={digits}");
            assert_eq!(unlabelled(&other, &prefixed), other);
        }
    }

    #[test]
    fn template_is_cut_at_its_places() {
        use Piece::{Literal, Place};
        assert_eq!(
            pieces("v0:{time}:{header:x-id}{body}").collect::<Vec<_>>(),
            [
                Literal("v0:"),
                Place("time"),
                Literal(":"),
                Place("header:x-id"),
                Place("body")
            ]
        );
        assert_eq!(pieces("{open").collect::<Vec<_>>(), [Literal("{open")]);
        assert_eq!(
            pieces("ä{{body}").collect::<Vec<_>>(),
            [Literal("ä"), Place("{body")]
        );
    }

    #[test]
    fn flaws_of_a_template_are_told() {
        let flaw = |over: &str, time: Option<&str>| {
            let time = time.map(|name| TimeIn::Header(name.to_owned()));
            Signed {
                over: over.to_owned(),
                time,
                ..Signed::new("x")
            }
            .flaw()
        };
        assert_eq!(flaw("{body}", None), None);
        assert_eq!(
            flaw("{method}{url}{path}{header:x}{time}{body}", Some("t")),
            None
        );
        assert!(
            flaw("{time}{body}", None)
                .unwrap()
                .contains("where the time stands")
        );
        assert!(flaw("{bdy}", None).unwrap().starts_with("{bdy} is no part"));
        assert!(flaw("{url}", None).unwrap().contains("does not cover"));
    }
}
