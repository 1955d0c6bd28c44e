//! Amazon SNS: an RSA signature by Amazon over fields of the body, which stands in the body.
//!
//! Source: "Verifying the signatures of Amazon SNS messages" of its developer guide. Only version 2
//! is taken, which is over SHA-256: version 1 is over SHA-1.

use base64::Engine as _;
use serde::Deserialize;

use crate::contract::{Algorithm, ProofIdentity};

use super::signed::LENIENT;
use super::{Proof, View, public_key, sha256_of};

/// A message of SNS, as far as it is signed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    r#type: String,
    message_id: String,
    message: String,
    subject: Option<String>,
    timestamp: String,
    topic_arn: String,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    signature: String,
    signature_version: String,
}

impl Message {
    /// Returns the signed text: names and values, each on a line, in the order of their names.
    fn signed(&self) -> String {
        let is_notification = self.r#type == "Notification";
        let subject = self.subject.as_ref().filter(|_| is_notification);
        let subscribe_url = self.subscribe_url.as_ref().filter(|_| !is_notification);
        let token = self.token.as_ref().filter(|_| !is_notification);
        let fields = [
            ("Message", Some(&self.message)),
            ("MessageId", Some(&self.message_id)),
            ("Subject", subject),
            ("SubscribeURL", subscribe_url),
            ("Timestamp", Some(&self.timestamp)),
            ("Token", token),
            ("TopicArn", Some(&self.topic_arn)),
            ("Type", Some(&self.r#type)),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}\n{}\n", value?)))
            .collect()
    }
}

/// Checks a message by Amazon's certificate or its public key, in PEM.
pub(super) fn verify(view: &View<'_>, key: &str) -> (Proof, Option<ProofIdentity>) {
    let Ok(message) = serde_json::from_slice::<Message>(&view.body) else {
        return (Proof::Missing, None);
    };
    let Ok(signature) = LENIENT.decode(message.signature.as_bytes()) else {
        return (Proof::Wrong, None);
    };
    let signed = message.signed();
    let is_good = message.signature_version == "2"
        && public_key::verify(
            Algorithm::RsaSha256,
            key.as_bytes(),
            signed.as_bytes(),
            &signature,
        );
    if !is_good {
        return (Proof::Wrong, None);
    }
    // The signature is one of many that fit the text, so the text is what is unique.
    let id = format!("sha256:{}", sha256_of(&[signed.as_bytes()]).hex());
    (
        Proof::Good,
        Some(ProofIdentity {
            id,
            expires_at: None,
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Scheme;
    use crate::testing;

    const CERTIFICATE: &str = include_str!("sns/certificate.pem");
    const KEY: &str = include_str!("sns/key.pem");
    const NOTIFICATION: &str = include_str!("sns/notification.json");
    const SUBSCRIPTION: &str = include_str!("sns/subscription.json");

    fn proof(body: &str, key: &str) -> Proof {
        let request = testing::post("https://a.example/in/x").body(body).build();
        Scheme::AwsSns.verify(&request, key)
    }

    #[test]
    fn signed_message_is_good_by_certificate_and_by_key() {
        for body in [NOTIFICATION, SUBSCRIPTION] {
            assert_eq!(proof(body, CERTIFICATE), Proof::Good, "{body}");
            assert_eq!(proof(body, KEY), Proof::Good, "{body}");
            assert_eq!(proof(body, "-----BEGIN CERTIFICATE-----"), Proof::Wrong);
        }
    }

    #[test]
    fn changed_message_is_wrong() {
        for (was, is) in [
            ("Shop is down", "Shop is up"),
            ("ALARM: shop", "OK: shop"),
            (":alarms", ":others"),
            ("\"Notification\"", "\"SubscriptionConfirmation\""),
            ("\"SignatureVersion\": \"2\"", "\"SignatureVersion\": \"1\""),
            ("2025-12-31", "2026-12-31"),
        ] {
            let changed = NOTIFICATION.replace(was, is);
            assert_ne!(changed, NOTIFICATION);
            assert_eq!(proof(&changed, CERTIFICATE), Proof::Wrong, "{is}");
        }
        assert_eq!(proof("{}", CERTIFICATE), Proof::Missing);
        assert_eq!(proof("not JSON", CERTIFICATE), Proof::Missing);
    }

    #[test]
    fn member_that_nobody_signs_changes_no_identity() {
        let identity = |body: &str| {
            let request = testing::post("https://a.example/in/x").body(body).build();
            Scheme::AwsSns.check(&View::from(&request), KEY).1
        };
        let more = NOTIFICATION.replacen('{', "{\"More\": 1, ", 1);
        assert!(identity(NOTIFICATION).is_some());
        assert_eq!(identity(&more), identity(NOTIFICATION));
    }
}
