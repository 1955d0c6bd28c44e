//! The sender of a request, as far as the gateway knows it: its address, and what proved it.
//!
//! It stands beside the content and is evicted with it. No secret is in it: a secret is named by
//! its place in the settings.

use std::fmt::Write;
use std::time::Duration;

use plugin_sdk::contract::Proved;
use serde::{Deserialize, Serialize};

use super::add_members;

/// The address and the proof of a sender.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The address that the request came from; absent where it came through a Unix socket, and the
    /// proxy names no client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The number of the source's token that the request showed, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<usize>,
    /// The scheme by which the gateway proved it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The place of the proving secret in the source's settings: a JSON Pointer (RFC 6901).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The account or key that this secret is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// True if nothing but the plugin can tell who it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plugin: bool,
    /// The time that it had waited when its request was written, in microseconds. The sync and the
    /// answer came after that. Absent where the request came by the spool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_us: Option<u64>,
}

impl Sender {
    /// Returns it as JSON, as it is stored.
    pub fn stored(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Returns a stored sender with the time that it has waited. The writer does it for each request,
    /// and reads nothing for it.
    pub(super) fn with_wait(stored: &str, waited: Duration) -> String {
        let mut json = stored.to_owned();
        add_members(
            &mut json,
            &format!("{{\"waited_us\":{}}}", waited.as_micros()),
        );
        json
    }

    /// Returns what proved it, in words.
    pub fn proof(&self) -> String {
        let mut words = Vec::new();
        if let Some(secret) = &self.secret {
            let by = self.by.as_deref().unwrap_or("proof");
            words.push(format!("{by}, by {}", self.named(secret)));
        }
        match self.token {
            Some(1) => words.push("the source's token".to_owned()),
            Some(number) => words.push(format!("the source's token number {number}")),
            None => {}
        }
        if self.plugin {
            words.push("checked by the plugin".to_owned());
        }
        match words.is_empty() {
            true => "none that the gateway knows of".to_owned(),
            false => words.join("; and "),
        }
    }

    /// Returns the proof as plugins read it, without what identifies it.
    pub fn proved(&self) -> Option<Proved> {
        Some(Proved {
            secret: self.secret.clone()?,
            account: self.account.clone(),
            proof: None,
        })
    }

    /// Returns a secret by its setting, its place in a list of several, and its account.
    fn named(&self, pointer: &str) -> String {
        let mut parts = pointer.split('/').skip(1);
        let mut name = parts.next().unwrap_or_default().to_owned();
        if self.account.is_some() {
            parts.next();
        }
        if let Some(Ok(place)) = parts.next().map(str::parse::<usize>) {
            let _ = write!(name, " number {}", place + 1);
        }
        if let Some(account) = &self.account {
            let _ = write!(name, " of {account}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proof_is_named_by_place_and_account() {
        let by = |secret: &str, account: Option<&str>| Sender {
            by: Some("signature in the header x-sig".to_owned()),
            secret: Some(secret.to_owned()),
            account: account.map(str::to_owned),
            ..Sender::default()
        };
        let token = |number| Sender {
            token: Some(number),
            ..Sender::default()
        };
        let both = Sender {
            token: Some(2),
            ..by("/secret", None)
        };
        let by_plugin = Sender {
            plugin: true,
            ..Sender::default()
        };
        for (sender, words) in [
            (
                by("/secret", None),
                "signature in the header x-sig, by secret",
            ),
            (
                by("/secret/1", None),
                "signature in the header x-sig, by secret number 2",
            ),
            (
                by("/auth/two~1~0/0", Some("two/~")),
                "signature in the header x-sig, by auth number 1 of two/~",
            ),
            (
                by("/auth/AC1", Some("AC1")),
                "signature in the header x-sig, by auth of AC1",
            ),
            (token(1), "the source's token"),
            (
                both,
                "signature in the header x-sig, by secret; and the source's token number 2",
            ),
            (by_plugin, "checked by the plugin"),
            (Sender::default(), "none that the gateway knows of"),
        ] {
            assert_eq!(sender.proof(), words);
        }
    }

    #[test]
    fn wait_stands_in_the_stored_text_as_in_the_sender() {
        let known = Sender {
            client: Some("192.0.2.1".to_owned()),
            plugin: true,
            ..Sender::default()
        };
        for sender in [known, Sender::default()] {
            let stored = Sender::with_wait(&sender.stored().unwrap(), Duration::from_millis(3));
            let read: Sender = serde_json::from_str(&stored).unwrap();
            let waited_us = Some(3000);
            assert_eq!(
                read,
                Sender {
                    waited_us,
                    ..sender
                }
            );
        }
    }

    #[test]
    fn proof_of_a_masked_request_is_what_was_stored() {
        let stored = r#"{"secret":"/auth/AC1","account":"AC1"}"#;
        let sender: Sender = serde_json::from_str(stored).unwrap();
        let proved = sender.proved().unwrap();
        assert_eq!(
            (&*proved.secret, proved.account.as_deref()),
            ("/auth/AC1", Some("AC1"))
        );
        assert_eq!(Sender::default().proved(), None);
    }
}
