//! Admission of requests, and the answers to the others.

use crate::contract::{Rejection, RejectionKind, Request, Scheme};
use crate::url::masked;

use super::{Proof, View};

/// Long enough for every URL that senders take.
const MAX_URL_CHARS: usize = 500;

impl Scheme {
    /// Admits a request signed with any of the secrets. There are several while one is being
    /// rotated.
    ///
    /// # Errors
    /// The rejection for everyone else. It holds no secret.
    pub fn admit<'a>(
        &self,
        request: &Request,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Rejection> {
        match self.verify_any(request, secrets) {
            Proof::Good => Ok(()),
            proof => Err(self.rejection(proof, &View::from(request))),
        }
    }

    /// The rejection of a request whose proof is missing, wrong or stale.
    pub(super) fn rejection(&self, proof: Proof, view: &View<'_>) -> Rejection {
        let expected = self.proof();
        match proof {
            Proof::Missing => Rejection {
                challenge: self.challenge().map(str::to_owned),
                ..Rejection::new(
                    RejectionKind::Unauthenticated,
                    format!("there is no {expected}"),
                    "Either something other than the sender calls this URL, or the sender is not set up to prove \
                     itself, or a proxy in front of the gateway drops the header.",
                )
            },
            Proof::Stale => Rejection::new(
                RejectionKind::Forbidden,
                format!(
                    "the {expected} was made more than {} before or after it was received",
                    self.tolerance()
                ),
                "Compare the clocks of sender and gateway. If they agree, the request was held up on its way, or \
                 somebody has recorded it and sends it again.",
            ),
            Proof::Wrong | Proof::Good => Rejection::new(
                RejectionKind::Forbidden,
                format!("the {expected} is not this source's"),
                self.causes(view),
            ),
        }
    }

    fn tolerance(&self) -> String {
        match self {
            Self::Signed(signed) if signed.tolerance != 300 => {
                format!("{} seconds", signed.tolerance)
            }
            _ => "five minutes".to_owned(),
        }
    }

    /// Returns its proof in words: "signature in the header x-hub-signature-256".
    pub fn proof(&self) -> String {
        match self {
            Self::Bearer => "bearer token (Authorization: Bearer)".to_owned(),
            Self::Basic { .. } | Self::Login => "user and password (Authorization: Basic)".to_owned(),
            Self::Header { header } => format!("secret in the header {header}"),
            Self::Signed(signed) => format!("signature in the header {}", signed.header),
            Self::Slack => "signature in the headers X-Slack-Signature and X-Slack-Request-Timestamp".to_owned(),
            Self::Stripe => "signature in the header Stripe-Signature".to_owned(),
            Self::StandardWebhooks => {
                "signature in the headers webhook-id, webhook-timestamp and webhook-signature (or the same with svix-)"
                    .to_owned()
            }
            Self::Twilio | Self::TwilioSharedKey => "signature in the header X-Twilio-Signature".to_owned(),
            Self::AwsSns => "message of Amazon SNS with a signature of version 2".to_owned(),
        }
    }

    /// Returns the usual fault of a wrong one.
    fn causes(&self, view: &View<'_>) -> String {
        match self {
            Self::Bearer | Self::Basic { .. } | Self::Login | Self::Header { .. } => {
                "Compare what is set at the sender with this source's settings. While one is being rotated, list the old \
                 and the new one."
                    .to_owned()
            }
            Self::Twilio | Self::TwilioSharedKey => format!(
                "The signature was checked over {}, with and without the standard port. Compare that with the URL at \
                 the sender, to the letter, and the secret.",
                crate::text::line(&masked(view.url), MAX_URL_CHARS)
            ),
            _ => "Usual causes: (1) the secret is another one than at the sender, or was rotated: list the old and the \
                  new one while rotating; (2) a proxy in front of the gateway changes the body, as by re-encoding or \
                  decompressing it; (3) the sender signs in another form than this source's settings say."
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn all_but_the_sender_hear_what_is_missing_wrong_or_stale() {
        let request = || testing::post("https://u:pw@a.example/in/x?token=t0ken").body("a=1");
        for (scheme, secrets, kind, said) in [
            (
                Scheme::Bearer,
                &["s3cret"][..],
                RejectionKind::Unauthenticated,
                "there is no bearer token",
            ),
            (
                Scheme::Slack,
                &["s3cret"],
                RejectionKind::Unauthenticated,
                "no signature in the headers X-Slack-Signature",
            ),
        ] {
            let rejection = scheme
                .admit(&request().build(), secrets.iter().copied())
                .unwrap_err();
            assert_eq!(rejection.kind, kind);
            assert!(rejection.reason.contains(said), "{}", rejection.reason);
        }
        for scheme in [
            Scheme::Basic { user: "us".into() },
            Scheme::github(),
            Scheme::Stripe,
            Scheme::Twilio,
        ] {
            let signed = request().signed(&scheme, "s3cret");
            assert_eq!(
                scheme.admit(&signed.clone().build(), ["old", "s3cret"]),
                Ok(())
            );
            let rejection = scheme.admit(&signed.build(), ["an0ther"]).unwrap_err();
            assert_eq!(rejection.kind, RejectionKind::Forbidden);
            let said = format!("{rejection:?}");
            assert!(said.contains("is not this source's"), "{said}");
            assert!(
                ["s3cret", "an0ther", "t0ken", "pw"]
                    .iter()
                    .all(|secret| !said.contains(secret)),
                "{said}"
            );
        }
        let late = request()
            .signed(&Scheme::Stripe, "s3cret")
            .received_at("2026-01-01T01:00:00Z")
            .build();
        let rejection = Scheme::Stripe.admit(&late, ["s3cret"]).unwrap_err();
        assert!(
            rejection.kind == RejectionKind::Forbidden && rejection.reason.contains("five minutes")
        );
    }
}
