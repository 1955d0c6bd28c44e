//! The settings of every plugin for Twilio: the signing keys, further demands, and the greatest age
//! of a request.

use plugin_sdk::contract::{Rejection, Request};
use plugin_sdk::time;

use crate::rejection;

/// The greatest age of a signed time, as `10m`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(transparent)]
pub struct MaxAge(String);

impl MaxAge {
    /// The schema lets nothing through that is no number and unit.
    fn seconds(&self) -> Option<i64> {
        let (number, unit) = self.0.split_at_checked(self.0.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(unit)
    }

    /// Lets a request in whose signed time is no older. One without a readable time is refused as
    /// well: a recorded request can be cut in a way that hides its time.
    ///
    /// # Errors
    /// The rejection that sender and operator read.
    pub fn admit(&self, request: &Request, signed_time: Option<&str>) -> Result<(), Rejection> {
        let sent = signed_time
            .and_then(time::any)
            .and_then(|time| time::seconds(&time));
        let is_young = match (sent, time::seconds(&request.received_at), self.seconds()) {
            (Some(sent), Some(received), Some(most)) => received.saturating_sub(sent) <= most,
            _ => false,
        };
        if is_young {
            Ok(())
        } else {
            Err(rejection::too_old(signed_time, &self.0))
        }
    }
}

/// A plugin's schema, with the properties that all have in place of `{twilio}`. Their limits bound
/// the work of a forged signature. `more` ends the description of `auth_token`.
pub fn settings_schema(schema: &str, more: &str) -> String {
    let properties = include_str!("settings.schema.json").replace("{more}", more);
    // The braces around them make the file JSON by itself.
    let properties = properties
        .trim()
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
        .unwrap_or_default();
    schema.replace("{twilio}", properties.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::testing;

    #[test]
    fn properties_are_put_into_a_plugins_own() {
        let schema = settings_schema(r#"{"properties": {{twilio}, "own": {}}}"#, " More.");
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "auth_token",
                "basic",
                "bearer_token",
                "max_age",
                "own",
                "shared_keys"
            ]
        );
        let description = properties["auth_token"]["description"].as_str().unwrap();
        assert!(
            description.ends_with("signs with its own. More."),
            "{description}"
        );
        assert!(
            crate::signature::secrets()
                .iter()
                .all(|secret| properties.contains_key(secret))
        );
    }

    #[test]
    fn age_is_that_of_the_signed_time() {
        let request = testing::post("https://a.example/")
            .received_at("2026-01-01T00:10:00.000Z")
            .build();
        let age = |text: &str| MaxAge(text.to_owned());
        assert!(
            age("600s")
                .admit(&request, Some("2026-01-01T00:00:00Z"))
                .is_ok()
        );
        assert!(
            age("10m")
                .admit(&request, Some("Thu, 01 Jan 2026 00:00:00 +0000"))
                .is_ok()
        );
        assert!(
            age("1h")
                .admit(&request, Some("2026-01-01T00:20:00Z"))
                .is_ok(),
            "a clock that is ahead"
        );
        for time in [Some("2025-12-31T23:59:59Z"), Some("soon"), None] {
            assert!(age("10m").admit(&request, time).is_err(), "{time:?}");
        }
        for odd in ["", "m", "10", "10w", "99999999999999999999d"] {
            assert!(
                age(odd)
                    .admit(&request, Some("2026-01-01T00:10:00Z"))
                    .is_err(),
                "{odd:?}"
            );
        }
    }
}
