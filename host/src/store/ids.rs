//! The numbers and hashes by which rows are found.
//!
//! The alerts of request `seq` have the ids from `seq * 1024`, and the deliveries of alert `id`
//! those from `id * 16`: ids are in the order of acceptance, and what hangs on a row is a range
//! that needs no index of its own.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The most alerts that one request may carry; the distance between the ids of two requests' first
/// alerts.
pub const ALERTS_PER_REQUEST: usize = 1024;

/// The most destinations that one alert may have; the distance between the ids of two alerts' first
/// deliveries.
pub const DELIVERIES_PER_ALERT: usize = crate::config::DELIVERIES_PER_ALERT;

/// An event id of more bytes than this is kept as its hash.
const LONG_EVENT_ID: usize = 64;

/// The first and the last id that the alerts of request `seq` can have.
pub fn alert_ids(seq: i64) -> [i64; 2] {
    range(seq, ALERTS_PER_REQUEST as i64)
}

/// The first and the last id that the deliveries of an alert can have.
pub fn delivery_ids(alert: i64) -> [i64; 2] {
    range(alert, DELIVERIES_PER_ALERT as i64)
}

/// The first and the last id that the deliveries of request `seq` can have.
pub fn deliveries_of(seq: i64) -> [i64; 2] {
    let [first, last] = alert_ids(seq);
    [delivery_ids(first)[0], delivery_ids(last)[1]]
}

fn range(number: i64, each: i64) -> [i64; 2] {
    // Somebody may have written any number into the file by hand.
    let first = number.saturating_mul(each);
    [first, first.saturating_add(each - 1)]
}

/// The bytes under which a request's id is stored: 16 of a UUID; an id of another shape stays as it
/// is.
pub fn request_id(text: &str) -> Vec<u8> {
    text.parse::<Uuid>().map_or_else(
        |_| text.as_bytes().to_vec(),
        |uuid| uuid.as_bytes().to_vec(),
    )
}

/// The text of a stored request id.
pub fn request_id_text(bytes: &[u8]) -> String {
    Uuid::from_slice(bytes).map_or_else(
        |_| String::from_utf8_lossy(bytes).into_owned(),
        |uuid| uuid.to_string(),
    )
}

/// The hash under which something is known again: 128 bits, as nobody finds two inputs with the
/// same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity(pub [u8; 16]);

impl Identity {
    /// The identity of an event of a source.
    pub fn of_event(source: &str, event_id: &str) -> Self {
        Self::of(b"event", source, event_id.as_bytes())
    }

    /// The identity of what proved the sender of a request to a source.
    pub fn of_proof(source: &str, proof: &[u8]) -> Self {
        Self::of(b"proof", source, proof)
    }

    fn of(kind: &[u8], source: &str, what: &[u8]) -> Self {
        let mut digest = Sha256::new();
        for part in [kind, source.as_bytes()] {
            // Neither holds a zero byte, so that no two inputs are spelt alike.
            digest.update(part);
            digest.update([0]);
        }
        digest.update(what);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest.finalize()[..16]);
        Self(hash)
    }
}

/// An event id as `alerts.event_id` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StoredEventId {
    /// As it is.
    Text(String),
    /// Its identity, where it is long.
    Hash(Identity),
}

impl StoredEventId {
    /// Shortens an event id of a source where it is long.
    pub fn new(source: &str, event_id: &str) -> Self {
        if event_id.len() <= LONG_EVENT_ID {
            Self::Text(event_id.to_owned())
        } else {
            Self::Hash(Identity::of_event(source, event_id))
        }
    }

    /// The text, or a stand-in for it where only the hash is known.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Hash(Identity(hash)) => hash.iter().fold("sha256:".to_owned(), |text, byte| {
                text + &format!("{byte:02x}")
            }),
        }
    }

    /// The identity of the event.
    pub fn identity(&self, source: &str) -> Identity {
        match self {
            Self::Text(text) => Identity::of_event(source, text),
            Self::Hash(identity) => *identity,
        }
    }
}

impl rusqlite::ToSql for StoredEventId {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Hash(Identity(hash)) => Ok(hash.as_slice().into()),
        }
    }
}

impl rusqlite::types::FromSql for StoredEventId {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        match value {
            rusqlite::types::ValueRef::Blob(blob) => match blob.try_into() {
                Ok(hash) => Ok(Self::Hash(Identity(hash))),
                Err(_) => Err(rusqlite::types::FromSqlError::InvalidType),
            },
            // Lossy where somebody wrote into the file by hand; a list must not end there.
            rusqlite::types::ValueRef::Text(text) => {
                Ok(Self::Text(String::from_utf8_lossy(text).into_owned()))
            }
            _ => Err(rusqlite::types::FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_come_back_as_they_were() {
        let uuid = Uuid::now_v7().to_string();
        assert_eq!(
            (request_id(&uuid).len(), request_id_text(&request_id(&uuid))),
            (16, uuid)
        );
        assert_eq!(request_id_text(&request_id("request-1")), "request-1");
    }

    #[test]
    fn identities_differ_by_kind_source_and_text() {
        let all = [
            Identity::of_event("a", "b"),
            Identity::of_proof("a", b"b"),
            Identity::of_event("ab", ""),
            Identity::of_event("", "ab"),
            Identity::of_event("a", "c"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one), "{index}");
        }
    }

    #[test]
    fn long_event_ids_are_kept_by_their_hash() {
        let short = "x".repeat(LONG_EVENT_ID);
        let long = "x".repeat(LONG_EVENT_ID + 1);
        assert_eq!(StoredEventId::new("a", &short).shown(), short);
        let stored = StoredEventId::new("a", &long);
        assert_eq!(
            (stored.shown().len(), stored.identity("a")),
            (7 + 32, Identity::of_event("a", &long))
        );
    }

    #[test]
    fn absurd_numbers_have_ranges() {
        assert_eq!(alert_ids(i64::MAX)[1], i64::MAX);
        assert_eq!(deliveries_of(1), [1024 * 16, 1024 * 32 - 1]);
        assert!(deliveries_of(i64::MIN)[0] == i64::MIN);
    }
}
