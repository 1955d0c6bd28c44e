//! The identity of a member of a notification.
//!
//! Alertmanager repeats a whole group whenever anything in it changes, and every `repeat_interval`.
//! So the same firing comes many times. Two parts of it stay the same: the fingerprint (a hash of
//! the labels), which is the key, and the start time. Where repeats are to be dropped, these two
//! are the event; otherwise the time of receipt belongs to it.

use std::collections::BTreeMap;

use plugin_sdk::contract::Status;
use plugin_sdk::json::Object;
use plugin_sdk::signature::sha256;
use serde_json::value::RawValue;

use crate::settings::Repeats;

/// Alertmanager's and Grafana's fingerprints have 16.
const MAX_FINGERPRINT: usize = 64;

/// The host takes 256.
const MAX_EVENT_ID: usize = 200;

/// The identity of a member.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The same for a firing however often it is repeated, and for its end.
    pub event_id: String,
    /// The same for all that ever happens to a set of labels.
    pub key: String,
}

/// A point in time as it was written; `None` where it is absent, or Go's zero, which stands for no
/// time.
pub fn time(fields: &Object<'_>, name: &str) -> Option<String> {
    fields
        .text(name)
        .filter(|time| !time.starts_with("0001-01-01"))
}

/// The identity of a member. Where it lacks a time, `received_at` takes its place: then a repeat
/// adds to the open alert instead of being dropped, and a new firing is not taken for an old one.
pub fn of(
    member: &RawValue,
    fields: &Object<'_>,
    labels: &Object<'_>,
    status: Status,
    repeats: Repeats,
    received_at: &str,
) -> Identity {
    let key = key(member, fields, labels);
    let start = time(fields, "startsAt");
    let start = start.as_deref().unwrap_or(received_at);
    let event_id = match (status, repeats) {
        (Status::Trigger, Repeats::Drop) => format!("{key}/firing/{start}"),
        (Status::Trigger, Repeats::Send) => {
            // Two notifications of one moment that say something else of a firing are two.
            let said = fnv1a(member.get().as_bytes());
            format!("{key}/firing/{start}/{received_at}/{said:016x}")
        }
        (Status::Resolve, _) => {
            format!(
                "{key}/resolved/{start}/{}",
                time(fields, "endsAt").as_deref().unwrap_or(received_at)
            )
        }
    };
    if event_id.len() <= MAX_EVENT_ID {
        return Identity { event_id, key };
    }
    Identity {
        event_id: format!("sha256:{}", sha256(event_id.as_bytes()).hex()),
        key,
    }
}

/// The fingerprint. Old versions of Alertmanager send none: then the hash of the labels, sorted,
/// and where there are no labels either, that of the member itself.
fn key(member: &RawValue, fields: &Object<'_>, labels: &Object<'_>) -> String {
    let plausible = |print: &str| {
        print.len() <= MAX_FINGERPRINT && print.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if let Some(fingerprint) = fields.text("fingerprint").filter(|print| plausible(print)) {
        return fingerprint;
    }
    if labels.names().next().is_none() {
        return format!("sha256:{}", sha256(member.get().as_bytes()).hex());
    }
    // One by one: `collect` sorts first, and that code is larger than all of this module.
    let mut sorted = BTreeMap::new();
    for (name, value) in labels.members() {
        sorted.insert(name.to_owned(), value.to_owned());
    }
    let mut bytes = Vec::new();
    for (name, value) in sorted {
        // A byte that no text holds, so that no two sets of labels are spelled alike.
        for part in [name.as_bytes(), &[0xff], value.as_bytes(), &[0xff]] {
            bytes.extend_from_slice(part);
        }
    }
    format!("labels:{}", sha256(&bytes).hex())
}

/// The hash FNV-1a of 64 bits. It tells apart what one sender, which is proved, says of
/// one firing in one millisecond, and costs a sixth of a SHA-256: that was a tenth of the plugin.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED_AT: &str = "2026-01-01T00:00:00.000Z";

    fn identity(json: &str, status: Status) -> Identity {
        let member: &RawValue = serde_json::from_str(json).unwrap();
        let fields = Object::read(json);
        of(
            member,
            &fields,
            &fields.object("labels"),
            status,
            Repeats::Drop,
            RECEIVED_AT,
        )
    }

    fn firing(json: &str) -> Identity {
        identity(json, Status::Trigger)
    }

    #[test]
    fn hash_is_the_one_of_the_standard() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn new_firing_is_another_event_of_the_same_key() {
        let first = firing(
            r#"{"fingerprint":"f1","startsAt":"2026-01-01T01:00:00Z","endsAt":"0001-01-01T00:00:00Z"}"#,
        );
        let repeat = firing(
            r#"{"startsAt":"2026-01-01T01:00:00Z","fingerprint":"f1","annotations":{"value":"7"}}"#,
        );
        let again = firing(r#"{"fingerprint":"f1","startsAt":"2026-01-01T02:00:00Z"}"#);
        assert_eq!(first, repeat);
        assert_eq!(first.event_id, "f1/firing/2026-01-01T01:00:00Z");
        assert!(again.event_id != first.event_id && again.key == first.key);
    }

    #[test]
    fn an_end_is_an_event_of_the_same_key_and_each_end_is_its_own() {
        let ended = |at: &str| {
            let json = format!(
                r#"{{"fingerprint":"f1","startsAt":"2026-01-01T01:00:00Z","endsAt":"{at}"}}"#
            );
            identity(&json, Status::Resolve)
        };
        assert_eq!(ended("2026-01-01T01:05:00Z").key, "f1");
        assert_eq!(ended("2026-01-01T01:05:00Z"), ended("2026-01-01T01:05:00Z"));
        assert_ne!(ended("2026-01-01T01:05:00Z"), ended("2026-01-01T01:06:00Z"));
    }

    #[test]
    fn the_time_of_receipt_stands_for_a_time_that_is_not_there() {
        for none in [
            r#"{"fingerprint":"f1"}"#,
            r#"{"fingerprint":"f1","startsAt":"0001-01-01T00:00:00Z"}"#,
        ] {
            assert_eq!(firing(none).event_id, format!("f1/firing/{RECEIVED_AT}"));
        }
        let ended = identity(
            r#"{"fingerprint":"f1","startsAt":"2026-01-01T01:00:00Z"}"#,
            Status::Resolve,
        );
        assert_eq!(
            ended.event_id,
            format!("f1/resolved/2026-01-01T01:00:00Z/{RECEIVED_AT}")
        );
    }

    #[test]
    fn without_a_fingerprint_the_labels_are_the_key_in_any_order() {
        let one = firing(r#"{"labels":{"a":"1","b":"2"}}"#);
        assert_eq!(
            one.key,
            firing(r#"{"fingerprint":"","labels":{"b":"2","a":"1"}}"#).key
        );
        assert!(
            one.key.starts_with("labels:") && one.key.len() == 71,
            "{}",
            one.key
        );
        for other in [
            r#"{"labels":{"a":"1"}}"#,
            r#"{"labels":{"a":"1b","":"2"}}"#,
            r#"{"labels":{"a":"2","b":"1"}}"#,
        ] {
            assert_ne!(one.key, firing(other).key, "{other}");
        }
    }

    #[test]
    fn an_id_is_never_too_long_for_the_host() {
        let long = "9".repeat(5_000);
        let found = firing(&format!(
            r#"{{"fingerprint":"{long}","startsAt":"{long}","labels":{{"a":"{long}"}}}}"#
        ));
        assert!(
            found.event_id.len() <= MAX_EVENT_ID && found.key.len() <= MAX_EVENT_ID,
            "{found:?}"
        );
        assert_ne!(found, firing(r#"{"labels":{"a":"b"}}"#));
    }

    #[test]
    fn what_has_no_labels_is_known_by_its_hash() {
        assert_eq!(firing("1").key, firing("1").key);
        assert_ne!(firing("1").key, firing("2").key);
    }
}
