//! A scheme as an operator writes it into a source's settings: by a vendor's name, or as a table.

use crate::contract::{Algorithm, Encoding, Scheme, Signed, TimeIn};

impl Scheme {
    /// Returns the scheme of this name, such as `github` or `bearer`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "github" => Self::github(),
            "slack" => Self::Slack,
            "stripe" => Self::Stripe,
            "standard-webhooks" => Self::StandardWebhooks,
            "bearer" => Self::Bearer,
            "pagerduty" => Self::pagerduty(),
            "grafana" => Self::grafana(),
            "sendgrid" => Self::sendgrid(),
            "discord" => Self::discord(),
            _ => return None,
        })
    }

    /// Returns the scheme of a table with these fields: `{ basic = "user" }`, `{ header = "x-token" }`,
    /// or `{ hmac = "x-signature", prefix = "sha256=" }`.
    pub fn of_fields(text: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if let Some(user) = text("basic") {
            return Some(Self::Basic { user });
        }
        if let Some(header) = text("header") {
            return Some(Self::Header {
                header: header.to_ascii_lowercase(),
            });
        }
        let mut signed = Signed::new(&text("hmac").or_else(|| text("signature"))?);
        signed.prefix = text("prefix").unwrap_or_default();
        signed.algorithm = match text("algorithm").as_deref() {
            Some("sha1") => Algorithm::Sha1,
            Some("sha512") => Algorithm::Sha512,
            Some("ed25519") => Algorithm::Ed25519,
            Some("ecdsa-p256") => Algorithm::EcdsaP256,
            Some("rsa-sha256") => Algorithm::RsaSha256,
            _ => Algorithm::Sha256,
        };
        if text("encoding").as_deref() == Some("base64") {
            signed.encoding = Encoding::Base64;
        }
        if let Some(over) = text("over") {
            signed.over = over;
        }
        signed.time = match (text("time"), text("time_field")) {
            (Some(header), _) => Some(TimeIn::Header(header.to_ascii_lowercase())),
            (None, Some(field)) => Some(TimeIn::Field(field)),
            (None, None) => None,
        };
        Some(Self::Signed(signed))
    }
}
