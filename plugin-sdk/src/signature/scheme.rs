//! The ways in which senders commonly prove who they are.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::contract::Request;

use super::timestamped::{self, SLACK, STANDARD_WEBHOOKS, STRIPE};
use super::{Proof, basic, bearer, credentials, hmac_sha1, hmac_sha256, over_url, same};

/// How a sender proves itself by a secret that it shares with the operator.
///
/// Each scheme can [`verify`](Scheme::verify) a proof and make one ([`sign`](Scheme::sign)), so that tests need no
/// recorded secrets; and [`of`](Scheme::of) recognises it in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer <secret>`.
    Bearer,
    /// `Authorization: Basic`, with this user, and the secret as the password (RFC 7617).
    Basic {
        /// The user.
        user: String,
    },
    /// A header holds an HMAC of the body: GitHub, and most senders that sign at all.
    Body {
        /// The header, in lower case.
        header: String,
        /// What stands before the digest in the header, such as `sha256=`.
        prefix: String,
        /// Which HMAC.
        algorithm: Algorithm,
        /// How the digest is spelled.
        encoding: Encoding,
    },
    /// Slack's: a header with an HMAC of the time and the body.
    Slack,
    /// Stripe's: a header with the time, and an HMAC of the time and the body.
    Stripe,
    /// That of the Standard Webhooks specification: headers with an id and the time, and an HMAC of them and the body.
    StandardWebhooks,
    /// Twilio's: an HMAC of the URL and the form's fields, or of the URL with the body's hash in it; see [`over_url`].
    Twilio,
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
}

/// How a digest is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hex; senders write lower case, and upper case is taken as well.
    Hex,
    /// Base64 (RFC 4648, standard alphabet, padded).
    Base64,
}

impl Scheme {
    /// GitHub's: `X-Hub-Signature-256: sha256=<hex>`.
    pub fn github() -> Self {
        Self::Body {
            header: "x-hub-signature-256".to_owned(),
            prefix: "sha256=".to_owned(),
            algorithm: Algorithm::Sha256,
            encoding: Encoding::Hex,
        }
    }

    /// The scheme that a request uses, by its headers. An HMAC of the body is recognised in GitHub's form alone.
    pub fn of(request: &Request) -> Option<Self> {
        let has = |header: &str| request.header(header).is_some();
        if has(over_url::HEADER) {
            return Some(Self::Twilio);
        }
        for (header, scheme) in [
            (SLACK, Self::Slack),
            (STRIPE, Self::Stripe),
            (STANDARD_WEBHOOKS, Self::StandardWebhooks),
            ("x-hub-signature-256", Self::github()),
        ] {
            if has(header) {
                return Some(scheme);
            }
        }
        if credentials(request, "bearer").is_some() {
            return Some(Self::Bearer);
        }
        let user = STANDARD.decode(credentials(request, "basic")?).ok()?;
        let user = String::from_utf8(user.split(|&byte| byte == b':').next()?.to_vec()).ok()?;
        Some(Self::Basic { user })
    }

    /// Whether the request carries the proof that only who has the secret can make.
    pub fn verify(&self, request: &Request, secret: &str) -> Proof {
        match self {
            Self::Bearer => bearer(request, secret),
            Self::Basic { user } => basic(request, user, secret),
            Self::Body { header, prefix, algorithm, encoding } => {
                let Some(given) = request.header(header) else { return Proof::Missing };
                let Some(given) = given.trim().strip_prefix(prefix.as_str()) else { return Proof::Wrong };
                let right = digest(request, secret, *algorithm, *encoding);
                Proof::of(match encoding {
                    Encoding::Hex => same(&given.to_ascii_lowercase(), &right),
                    Encoding::Base64 => same(given, &right),
                })
            }
            Self::Slack => timestamped::slack(request, secret),
            Self::Stripe => timestamped::stripe(request, secret),
            Self::StandardWebhooks => timestamped::standard_webhooks(request, secret),
            Self::Twilio => {
                let Some(given) = request.header(over_url::HEADER) else { return Proof::Missing };
                let body = request.body.bytes();
                let form = over_url::form(request, &body);
                over_url::SignedText::of(request, form.as_ref())
                    .map_or(Proof::Wrong, |text| Proof::of(text.is_signed(given, secret)))
            }
        }
    }

    /// As [`Scheme::verify`] for several secrets, of which any may have been used: while one is being rotated.
    pub fn verify_any<'a>(&self, request: &Request, secrets: impl IntoIterator<Item = &'a str>) -> Proof {
        let mut proof = Proof::Missing;
        for secret in secrets {
            match self.verify(request, secret) {
                Proof::Good => return Proof::Good,
                // A stale proof was made with this secret, which says more than that another did not make it.
                Proof::Wrong if proof == Proof::Stale => {}
                other => proof = other,
            }
        }
        proof
    }

    /// Puts the proof into the request, as the sender would at the time of receipt; what it carried before is replaced.
    /// A JSON body under Twilio's scheme needs `bodySHA256` in the URL first.
    pub fn sign(&self, request: &mut Request, secret: &str) {
        match self {
            Self::Bearer => request.set_header("authorization", &format!("Bearer {secret}")),
            Self::Basic { user } => {
                let credentials = STANDARD.encode(format!("{user}:{secret}"));
                request.set_header("authorization", &format!("Basic {credentials}"));
            }
            Self::Body { header, prefix, algorithm, encoding } => {
                let digest = digest(request, secret, *algorithm, *encoding);
                request.set_header(header, &format!("{prefix}{digest}"));
            }
            Self::Slack => timestamped::sign_slack(request, secret),
            Self::Stripe => timestamped::sign_stripe(request, secret),
            Self::StandardWebhooks => timestamped::sign_standard_webhooks(request, secret),
            Self::Twilio => {
                let body = request.body.bytes().into_owned();
                let form = over_url::form(request, &body);
                let signature = over_url::SignedText::of(request, form.as_ref()).map(|text| text.sign(secret));
                // Twilio signs nothing else, so there is a signature that can only be wrong.
                request.set_header(over_url::HEADER, &signature.unwrap_or_default());
            }
        }
    }
}

fn digest(request: &Request, secret: &str, algorithm: Algorithm, encoding: Encoding) -> String {
    let (key, body) = (secret.as_bytes(), request.body.bytes());
    match (algorithm, encoding) {
        (Algorithm::Sha1, Encoding::Hex) => hmac_sha1(key, &[&body]).hex(),
        (Algorithm::Sha1, Encoding::Base64) => hmac_sha1(key, &[&body]).base64(),
        (Algorithm::Sha256, Encoding::Hex) => hmac_sha256(key, &[&body]).hex(),
        (Algorithm::Sha256, Encoding::Base64) => hmac_sha256(key, &[&body]).base64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn every_scheme() -> [Scheme; 9] {
        let body = |algorithm, encoding| Scheme::Body {
            header: "x-signature".to_owned(),
            prefix: String::new(),
            algorithm,
            encoding,
        };
        [
            Scheme::Bearer,
            Scheme::Basic { user: "us".to_owned() },
            Scheme::github(),
            body(Algorithm::Sha1, Encoding::Base64),
            body(Algorithm::Sha256, Encoding::Base64),
            Scheme::Slack,
            Scheme::Stripe,
            Scheme::StandardWebhooks,
            Scheme::Twilio,
        ]
    }

    fn request(body: &str) -> Request {
        testing::post("https://a.example/in/x").body(body).build()
    }

    #[test]
    fn what_a_scheme_signs_it_verifies_and_nothing_else() {
        for scheme in every_scheme() {
            let mut signed = request("a=1&b=2");
            assert_eq!(scheme.verify(&signed, "s3cret"), Proof::Missing, "{scheme:?}");
            scheme.sign(&mut signed, "s3cret");
            assert_eq!(scheme.verify(&signed, "s3cret"), Proof::Good, "{scheme:?}");
            assert_eq!(scheme.verify(&signed, "another"), Proof::Wrong, "{scheme:?}");
            assert_eq!(scheme.verify_any(&signed, ["another", "s3cret", "third"]), Proof::Good, "{scheme:?}");
            assert_eq!(scheme.verify_any(&signed, ["another", "third"]), Proof::Wrong, "{scheme:?}");
            let covers_the_body = !matches!(scheme, Scheme::Bearer | Scheme::Basic { .. });
            signed.body = request("a=1&b=3").body;
            assert_eq!(scheme.verify(&signed, "s3cret").is_good(), !covers_the_body, "{scheme:?}");
            scheme.sign(&mut signed, "s3cret");
            assert_eq!(scheme.verify(&signed, "s3cret"), Proof::Good, "signed anew: {scheme:?}");
        }
    }

    #[test]
    fn a_scheme_is_recognised_by_its_headers() {
        for scheme in every_scheme() {
            let mut signed = request("a=1");
            scheme.sign(&mut signed, "s3cret");
            let general = matches!(&scheme, Scheme::Body { header, .. } if header == "x-signature");
            assert_eq!(Scheme::of(&signed), (!general).then_some(scheme));
        }
        assert_eq!(Scheme::of(&request("a=1")), None);
    }

    #[test]
    fn a_recorded_proof_is_stale_after_five_minutes_and_before_its_time() {
        for scheme in [Scheme::Slack, Scheme::Stripe, Scheme::StandardWebhooks] {
            for (received, proof) in [
                ("2026-01-01T00:05:00.999Z", Proof::Good),
                ("2026-01-01T00:05:01Z", Proof::Stale),
                ("2025-12-31T23:54:59Z", Proof::Stale),
                ("nonsense", Proof::Stale),
            ] {
                let mut signed = request("a=1");
                scheme.sign(&mut signed, "s3cret");
                received.clone_into(&mut signed.received_at);
                assert_eq!(scheme.verify(&signed, "s3cret"), proof, "{scheme:?} {received}");
                assert_eq!(scheme.verify_any(&signed, ["s3cret", "another"]), proof, "{scheme:?} {received}");
                assert_eq!(scheme.verify(&signed, "another"), Proof::Wrong, "{scheme:?} {received}");
            }
        }
    }

    /// GitHub, "Validating webhook deliveries".
    #[test]
    fn githubs_published_example_is_good() {
        let digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        for digest in [digest.to_owned(), digest.to_uppercase()] {
            let request = testing::post("https://a.example/in/x")
                .header("X-Hub-Signature-256", &format!("sha256={digest}"))
                .body("Hello, World!")
                .build();
            assert_eq!(Scheme::github().verify(&request, "It's a Secret to Everybody"), Proof::Good);
        }
    }

    /// Slack, "Verifying requests from Slack".
    #[test]
    fn slacks_published_example_is_good() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
            &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
            &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
            &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let mut request = testing::post("https://a.example/in/x")
            .header("X-Slack-Request-Timestamp", "1531420618")
            .header("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")
            .body(body)
            .build();
        "2018-07-12T18:36:58Z".clone_into(&mut request.received_at);
        assert_eq!(Scheme::Slack.verify(&request, "8f742231b10e8888abcd99yyyzzz85a5"), Proof::Good);
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_published_example_of_standard_webhooks_is_good() {
        let mut request = testing::post("https://a.example/in/x")
            .header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
            .header("webhook-timestamp", "1614265330")
            .header("webhook-signature", "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
            .body(r#"{"test": 2432232314}"#)
            .build();
        "2021-02-25T15:02:10Z".clone_into(&mut request.received_at);
        assert_eq!(Scheme::StandardWebhooks.verify(&request, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Proof::Good);
    }

    #[test]
    fn malformed_proofs_are_wrong() {
        for (scheme, headers) in [
            (Scheme::Slack, [("x-slack-signature", "v0=zz"), ("x-slack-request-timestamp", "soon")]),
            (Scheme::Stripe, [("stripe-signature", "v1=00"), ("x", "")]),
            (Scheme::Stripe, [("stripe-signature", "t=,v1=,=,t"), ("x", "")]),
            (Scheme::github(), [("x-hub-signature-256", "sha1=00"), ("x", "")]),
            (Scheme::github(), [("x-hub-signature-256", "sha256=é"), ("x", "")]),
            (Scheme::Twilio, [("x-twilio-signature", ""), ("content-type", "application/json")]),
        ] {
            let request = headers
                .into_iter()
                .fold(testing::post("https://a.example/"), |request, (name, value)| request.header(name, value));
            assert_eq!(scheme.verify(&request.build(), "s3cret"), Proof::Wrong, "{scheme:?}");
        }
    }
}
