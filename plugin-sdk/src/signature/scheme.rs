//! The common methods of proof of senders.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::contract::{ProofIdentity, Request, Scheme};

use super::{Proof, View, over_url, same, signed};

impl Scheme {
    /// The scheme that a request uses, by its headers. A signature of the body is recognised in
    /// GitHub's form alone.
    pub fn of(request: &Request) -> Option<Self> {
        let view = View::from(request);
        if view.header(over_url::HEADER).is_some() {
            let is_shared = over_url::SharedKey::of(&view).is_some();
            return Some(if is_shared {
                Self::TwilioSharedKey
            } else {
                Self::Twilio
            });
        }
        if let Some((_, scheme)) = signed::MARKS
            .into_iter()
            .find(|(mark, _)| view.header(mark).is_some())
        {
            return Some(scheme);
        }
        if view.header("x-hub-signature-256").is_some() {
            return Some(Self::github());
        }
        if view.credentials("bearer").is_some() {
            return Some(Self::Bearer);
        }
        let user = STANDARD.decode(view.credentials("basic")?).ok()?;
        let user = String::from_utf8(user.split(|&byte| byte == b':').next()?.to_vec()).ok()?;
        Some(Self::Basic { user })
    }

    /// Returns whether the request carries the proof that only the owner of the secret can make.
    pub fn verify(&self, request: &Request, secret: &str) -> Proof {
        self.check(&View::from(request), secret).0
    }

    /// As [`Scheme::verify`] for several secrets, of which any may have been used: while one is
    /// being rotated.
    pub fn verify_any<'a>(
        &self,
        request: &Request,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Proof {
        let view = View::from(request);
        let mut proof = Proof::Missing;
        for secret in secrets {
            match self.check(&view, secret).0 {
                Proof::Good => return Proof::Good,
                // A stale proof was made with this secret, which says more than that another did
                // not make it.
                Proof::Wrong if proof == Proof::Stale => {}
                other => proof = other,
            }
        }
        proof
    }

    /// As [`Scheme::check`] for a token, a login or a secret in a header alone: any other scheme
    /// counts as missing. A plugin that checks by this carries no code of the others.
    pub fn check_shown(&self, view: &View<'_>, secret: &str) -> (Proof, Option<ProofIdentity>) {
        let shown = |given: Option<&str>, expected: &str| {
            (
                given.map_or(Proof::Missing, |given| Proof::of(same(given, expected))),
                None,
            )
        };
        let login = |login: &str| {
            let given = view.credentials("basic");
            let proof = given.map_or(Proof::Missing, |given| {
                Proof::of(super::is_login(given, login))
            });
            (proof, None)
        };
        match self {
            Self::Bearer => shown(view.credentials("bearer"), secret),
            Self::Basic { user } => login(&format!("{user}:{secret}")),
            Self::Login => login(secret),
            Self::Header { header } => shown(view.header(header), secret),
            _ => (Proof::Missing, None),
        }
    }

    /// As [`Scheme::verify`]; and what tells a good proof from every other, where the scheme signs
    /// anything.
    pub fn check(&self, view: &View<'_>, secret: &str) -> (Proof, Option<ProofIdentity>) {
        match self {
            Self::Bearer | Self::Basic { .. } | Self::Login | Self::Header { .. } => {
                self.check_shown(view, secret)
            }
            #[cfg(all(not(target_family = "wasm"), feature = "public-keys"))]
            Self::AwsSns => super::sns::verify(view, secret),
            // The host checks public keys, so that no plugin carries them.
            #[cfg(not(all(not(target_family = "wasm"), feature = "public-keys")))]
            Self::AwsSns => (Proof::Wrong, None),
            Self::Twilio | Self::TwilioSharedKey => {
                let Some(given) = view.header(over_url::HEADER) else {
                    return (Proof::Missing, None);
                };
                let shared = over_url::SharedKey::of(view);
                if shared.is_some() != matches!(self, Self::TwilioSharedKey) {
                    return (Proof::Missing, None);
                }
                let Ok(algorithm) = shared.map_or(Ok(over_url::DEFAULT), |key| key.algorithm())
                else {
                    return (Proof::Wrong, None);
                };
                let form = over_url::form(view);
                let signed = over_url::SignedText::of(view, form.as_ref()).ok();
                match signed.and_then(|text| text.identity(given, algorithm, secret)) {
                    Some(identity) => (Proof::Good, Some(identity)),
                    None => (Proof::Wrong, None),
                }
            }
            Self::Signed(_) | Self::Slack | Self::Stripe | Self::StandardWebhooks => {
                match self.signed(view) {
                    Some(signed) => signed::verify(&signed, view, &self.keys(secret)),
                    None => (Proof::Wrong, None),
                }
            }
        }
    }

    /// Puts the proof into the request, as the sender would at the time of receipt; what it carried
    /// before is replaced. A JSON body under Twilio's schemes needs `bodySHA256` in the URL first.
    /// A public key signs nothing.
    pub fn sign(&self, request: &mut Request, secret: &str) {
        let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
        match self {
            Self::Bearer => request.set_header("authorization", &format!("Bearer {secret}")),
            Self::Basic { user } => {
                request.set_header("authorization", &basic(&format!("{user}:{secret}")))
            }
            Self::Login => request.set_header("authorization", &basic(secret)),
            Self::Header { header } => request.set_header(header, secret),
            Self::Twilio | Self::TwilioSharedKey => {
                match (
                    self,
                    over_url::SharedKey::of(&View::from(&*request)).is_some(),
                ) {
                    (Self::TwilioSharedKey, false) => {
                        let key = "key=webhooks_sharedkey_test,algorithm=HMAC_SHA256";
                        request.set_header(over_url::SETTINGS_HEADER, key);
                    }
                    (Self::Twilio, true) => {
                        request.headers.retain(|(name, _)| {
                            !name.eq_ignore_ascii_case(over_url::SETTINGS_HEADER)
                        });
                    }
                    _ => {}
                }
                let view = View::from(&*request);
                let algorithm = over_url::SharedKey::of(&view).and_then(|key| key.algorithm().ok());
                let form = over_url::form(&view);
                let text = over_url::SignedText::of(&view, form.as_ref());
                let signature =
                    text.map(|text| text.sign(algorithm.unwrap_or(over_url::DEFAULT), secret));
                // Twilio signs nothing else, so there is a signature that can only be wrong.
                request.set_header(over_url::HEADER, &signature.unwrap_or_default());
            }
            Self::Signed(_) | Self::Slack | Self::Stripe | Self::StandardWebhooks => {
                signed::sign(self, request, secret);
            }
            // Only Amazon can.
            Self::AwsSns => {}
        }
    }

    /// The value of `WWW-Authenticate` that asks for this proof, where HTTP has a scheme for it.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Bearer => Some("Bearer realm=\"alert-gateway\""),
            Self::Basic { .. } | Self::Login => {
                Some("Basic realm=\"alert-gateway\", charset=\"UTF-8\"")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Algorithm, Encoding, Signed};
    use crate::testing;

    fn every_scheme() -> [Scheme; 15] {
        let body = |algorithm, encoding| {
            Scheme::Signed(Signed {
                algorithm,
                encoding,
                ..Signed::new("x-signature")
            })
        };
        [
            Scheme::Bearer,
            Scheme::Basic {
                user: "us".to_owned(),
            },
            Scheme::github(),
            body(Algorithm::Sha1, Encoding::Base64),
            body(Algorithm::Sha256, Encoding::Base64),
            body(Algorithm::Sha512, Encoding::Hex),
            Scheme::Signed(Signed {
                over: "{method} {path} {url} {body}".to_owned(),
                ..Signed::new("x-signature")
            }),
            Scheme::Header {
                header: "x-token".to_owned(),
            },
            Scheme::pagerduty(),
            Scheme::grafana(),
            Scheme::Slack,
            Scheme::Stripe,
            Scheme::StandardWebhooks,
            Scheme::Twilio,
            Scheme::TwilioSharedKey,
        ]
    }

    fn request(body: &str) -> Request {
        testing::post("https://a.example/in/x").body(body).build()
    }

    #[test]
    fn what_a_scheme_signs_it_verifies_and_nothing_else() {
        for scheme in every_scheme() {
            let mut signed = request("a=1&b=2");
            assert_eq!(
                scheme.verify(&signed, "s3cret"),
                Proof::Missing,
                "{scheme:?}"
            );
            scheme.sign(&mut signed, "s3cret");
            assert_eq!(scheme.verify(&signed, "s3cret"), Proof::Good, "{scheme:?}");
            assert_eq!(
                scheme.verify(&signed, "another"),
                Proof::Wrong,
                "{scheme:?}"
            );
            assert_eq!(
                scheme.verify_any(&signed, ["another", "s3cret", "third"]),
                Proof::Good,
                "{scheme:?}"
            );
            assert_eq!(
                scheme.verify_any(&signed, ["another", "third"]),
                Proof::Wrong,
                "{scheme:?}"
            );
            let covers_the_body = !matches!(
                scheme,
                Scheme::Bearer | Scheme::Basic { .. } | Scheme::Header { .. }
            );
            signed.body = request("a=1&b=3").body;
            assert_eq!(
                scheme.verify(&signed, "s3cret").is_good(),
                !covers_the_body,
                "{scheme:?}"
            );
            scheme.sign(&mut signed, "s3cret");
            assert_eq!(
                scheme.verify(&signed, "s3cret"),
                Proof::Good,
                "signed anew: {scheme:?}"
            );
        }
    }

    #[test]
    fn login_may_be_sent_in_latin1() {
        for (login, given, is_good) in [
            ("zoë:größe", &b"zo\xeb:gr\xf6\xdfe"[..], true),
            ("zoë:größe", "zoë:größe".as_bytes(), true),
            ("zoë:größe", b"zo\xeb:grosse", false),
            ("zoë:€", b"zo\xeb:\x80", false),
        ] {
            let value = format!("Basic {}", STANDARD.encode(given));
            let request = testing::post("https://a.example/in/x")
                .header("authorization", &value)
                .build();
            let (user, password) = login.split_once(':').unwrap();
            let user = user.to_owned();
            for (scheme, secret) in [(Scheme::Login, login), (Scheme::Basic { user }, password)] {
                assert_eq!(
                    scheme.verify(&request, secret).is_good(),
                    is_good,
                    "{login}"
                );
            }
        }
    }

    #[test]
    fn a_scheme_is_recognised_by_its_headers() {
        for scheme in every_scheme() {
            let mut signed = request("a=1");
            scheme.sign(&mut signed, "s3cret");
            let general = match &scheme {
                Scheme::Signed(_) => scheme != Scheme::github(),
                scheme => matches!(scheme, Scheme::Header { .. }),
            };
            assert_eq!(Scheme::of(&signed), (!general).then_some(scheme));
        }
        assert_eq!(Scheme::of(&request("a=1")), None);
    }

    #[test]
    fn recorded_proof_is_stale_before_and_after_its_time() {
        for scheme in [
            Scheme::Slack,
            Scheme::Stripe,
            Scheme::StandardWebhooks,
            Scheme::grafana(),
        ] {
            for (received, proof) in [
                ("2026-01-01T00:05:00.999Z", Proof::Good),
                ("2026-01-01T00:05:01Z", Proof::Stale),
                ("2025-12-31T23:54:59Z", Proof::Stale),
                ("nonsense", Proof::Stale),
            ] {
                let mut signed = request("a=1");
                scheme.sign(&mut signed, "s3cret");
                received.clone_into(&mut signed.received_at);
                assert_eq!(
                    scheme.verify(&signed, "s3cret"),
                    proof,
                    "{scheme:?} {received}"
                );
                assert_eq!(
                    scheme.verify_any(&signed, ["s3cret", "another"]),
                    proof,
                    "{scheme:?} {received}"
                );
                assert_eq!(
                    scheme.verify(&signed, "another"),
                    Proof::Wrong,
                    "{scheme:?} {received}"
                );
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
            assert_eq!(
                Scheme::github().verify(&request, "It's a Secret to Everybody"),
                Proof::Good
            );
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
            .header(
                "X-Slack-Signature",
                "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            )
            .body(body)
            .build();
        "2018-07-12T18:36:58Z".clone_into(&mut request.received_at);
        assert_eq!(
            Scheme::Slack.verify(&request, "8f742231b10e8888abcd99yyyzzz85a5"),
            Proof::Good
        );
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_published_example_of_standard_webhooks_is_good() {
        let mut request = testing::post("https://a.example/in/x")
            .header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
            .header("webhook-timestamp", "1614265330")
            .header(
                "webhook-signature",
                "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            )
            .body(r#"{"test": 2432232314}"#)
            .build();
        "2021-02-25T15:02:10Z".clone_into(&mut request.received_at);
        assert_eq!(
            Scheme::StandardWebhooks.verify(&request, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            Proof::Good
        );
    }

    #[test]
    fn malformed_proofs_are_wrong() {
        for (scheme, headers) in [
            (
                Scheme::Slack,
                [
                    ("x-slack-signature", "v0=zz"),
                    ("x-slack-request-timestamp", "soon"),
                ],
            ),
            (Scheme::Stripe, [("stripe-signature", "v1=00"), ("x", "")]),
            (
                Scheme::Stripe,
                [("stripe-signature", "t=,v1=,=,t"), ("x", "")],
            ),
            (
                Scheme::github(),
                [("x-hub-signature-256", "sha1=00"), ("x", "")],
            ),
            (
                Scheme::github(),
                [("x-hub-signature-256", "sha256=é"), ("x", "")],
            ),
            (
                Scheme::Twilio,
                [
                    ("x-twilio-signature", ""),
                    ("content-type", "application/json"),
                ],
            ),
        ] {
            let request = headers.into_iter().fold(
                testing::post("https://a.example/"),
                |request, (name, value)| request.header(name, value),
            );
            assert_eq!(
                scheme.verify(&request.build(), "s3cret"),
                Proof::Wrong,
                "{scheme:?}"
            );
        }
    }

    #[test]
    fn any_of_several_signatures_in_one_header_counts() {
        let mut signed = request("{}");
        Scheme::pagerduty().sign(&mut signed, "s3cret");
        let right = signed.header("x-pagerduty-signature").unwrap().to_owned();
        let wrong = format!("v1={}", "0".repeat(64));
        for given in [
            format!("{wrong},{right}"),
            format!("{right}, {wrong}"),
            format!("{wrong} {right}"),
        ] {
            signed.set_header("x-pagerduty-signature", &given);
            assert_eq!(
                Scheme::pagerduty().verify(&signed, "s3cret"),
                Proof::Good,
                "{given}"
            );
        }
        signed.set_header("x-pagerduty-signature", &[&*wrong; 8].join(","));
        signed
            .headers
            .push(("x-pagerduty-signature".to_owned(), right));
        assert_eq!(
            Scheme::pagerduty().verify(&signed, "s3cret"),
            Proof::Wrong,
            "beyond the eighth"
        );
    }

    #[test]
    fn standard_webhooks_secret_has_three_spellings() {
        let coded = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let mut signed = testing::post("https://a.example/in/x")
            .header("webhook-id", "m1")
            .body("{}")
            .build();
        Scheme::StandardWebhooks.sign(&mut signed, &format!("whsec_{coded}"));
        for secret in [coded.to_owned(), format!("whsec_{coded}")] {
            assert_eq!(
                Scheme::StandardWebhooks.verify(&signed, &secret),
                Proof::Good,
                "{secret}"
            );
        }
        Scheme::StandardWebhooks.sign(&mut signed, "a key, not base64");
        assert_eq!(
            Scheme::StandardWebhooks.verify(&signed, "a key, not base64"),
            Proof::Good
        );
    }

    #[test]
    fn svix_names_mean_the_same() {
        let mut signed = request("{}");
        Scheme::StandardWebhooks.sign(&mut signed, "s3cret-s3cret");
        for (name, _) in &mut signed.headers {
            *name = name.replace("webhook-", "svix-");
        }
        assert_eq!(Scheme::of(&signed), Some(Scheme::StandardWebhooks));
        assert_eq!(
            Scheme::StandardWebhooks.verify(&signed, "s3cret-s3cret"),
            Proof::Good
        );
    }

    #[test]
    fn secret_with_nothing_behind_its_prefix_is_no_empty_key() {
        let mut signed = request("{}");
        Scheme::StandardWebhooks.sign(&mut signed, "whsec_");
        assert_eq!(
            Scheme::StandardWebhooks.verify(&signed, "whsec_"),
            Proof::Good
        );
        let time = signed.header("webhook-timestamp").unwrap().to_owned();
        let forged = super::super::hmac_sha256(b"", &[b"msg_test.", time.as_bytes(), b".", b"{}"]);
        signed.set_header("webhook-signature", &format!("v1,{}", forged.base64()));
        assert_eq!(
            Scheme::StandardWebhooks.verify(&signed, "whsec_"),
            Proof::Wrong
        );
    }

    #[test]
    fn identity_is_of_the_signed_text_and_expires_with_its_time() {
        let identity =
            |scheme: &Scheme, request: &Request| scheme.check(&View::from(request), "s3cret").1;
        let mut signed = request("{}");
        for scheme in [
            Scheme::github(),
            Scheme::Slack,
            Scheme::Twilio,
            Scheme::TwilioSharedKey,
        ] {
            scheme.sign(&mut signed, "s3cret");
            let id = identity(&scheme, &signed).unwrap();
            signed
                .headers
                .push(("x-unsigned".to_owned(), "1".to_owned()));
            assert_eq!(identity(&scheme, &signed).unwrap(), id, "{scheme:?}");
            let expires = (scheme == Scheme::Slack).then_some("2026-01-01T00:05:01Z");
            assert_eq!(id.expires_at.as_deref(), expires, "{scheme:?}");
        }
        Scheme::Bearer.sign(&mut signed, "s3cret");
        assert_eq!(identity(&Scheme::Bearer, &signed), None);
    }

    #[cfg(feature = "public-keys")]
    #[test]
    fn public_keys_prove_what_their_owner_signed() {
        use ring::signature::{
            ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        };
        let random = ring::rand::SystemRandom::new();
        let received = "1767225600";
        let message = format!("{received}{{}}");

        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let signature = super::super::hex(key.sign(message.as_bytes()).as_ref());
        let mut discord = request("{}");
        discord.set_header("x-signature-timestamp", received);
        discord.set_header("x-signature-ed25519", &signature);
        let public = super::super::hex(key.public_key().as_ref());
        assert_eq!(Scheme::discord().verify(&discord, &public), Proof::Good);
        discord.body = request("[]").body;
        assert_eq!(Scheme::discord().verify(&discord, &public), Proof::Wrong);
        assert_eq!(Scheme::discord().verify(&discord, "no key"), Proof::Wrong);

        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let mut sendgrid = request("{}");
        let signature = key.sign(&random, message.as_bytes()).unwrap();
        sendgrid.set_header("x-twilio-email-event-webhook-timestamp", received);
        sendgrid.set_header(
            "x-twilio-email-event-webhook-signature",
            &STANDARD.encode(signature.as_ref()),
        );
        assert_eq!(
            Scheme::sendgrid().verify(&sendgrid, &STANDARD.encode(key.public_key().as_ref())),
            Proof::Good
        );
        sendgrid.body = request("[]").body;
        assert_eq!(
            Scheme::sendgrid().verify(&sendgrid, &STANDARD.encode(key.public_key().as_ref())),
            Proof::Wrong
        );
    }

    /// SendGrid's own example, from its libraries' tests.
    #[cfg(feature = "public-keys")]
    #[test]
    fn sendgrids_published_example_is_good() {
        let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINX\
            vVpiglSI8eNEc6wEA3F+g==";
        let body = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\
            \"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\
            \"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\
            \"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";
        let mut request = testing::post("https://a.example/in/x")
            .header("x-twilio-email-event-webhook-timestamp", "1600112502")
            .header(
                "x-twilio-email-event-webhook-signature",
                "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
            )
            .body(body)
            .build();
        "2020-09-14T19:41:42Z".clone_into(&mut request.received_at);
        assert_eq!(Scheme::sendgrid().verify(&request, key), Proof::Good);
    }
}
