//! `[retention]`: the age and size limits of delivered alerts, which `events show` can answer for
//! until then.

use std::time::Duration;

use super::quantity::{GIB, HOUR, MIB};
use super::raw::Table;

/// Long enough to answer for last month.
pub const AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Some millions of alerts, on the smallest disk that a machine has today.
pub const SIZE: u64 = 4 * GIB as u64;

/// 30 days at a million events a day.
pub const IDENTITIES: u64 = 8 * GIB as u64;

/// The meaning of `[retention]`. Undelivered alerts are never removed, whatever their age and size:
/// neither pending ones, nor dead letters, nor failed requests of authentic senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The time a delivered alert and its request are kept. Default [`AGE`].
    pub age: Duration,
    /// The number of bytes that all of it may take. Content goes for it, the oldest first, and
    /// identities never. Default [`SIZE`].
    pub size: u64,
    /// The number of bytes that identities may take. Default [`IDENTITIES`].
    pub identities: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: AGE,
            size: SIZE,
            identities: IDENTITIES,
        }
    }
}

/// Reads `[retention]`.
pub(super) fn read(mut table: Table<'_>) -> Option<Retention> {
    let age = table.optional("age", AGE, |value| {
        value.duration(&(HOUR..=HOUR * 24 * 3650))
    });
    let size = table.optional("size", SIZE, |value| {
        value
            .size(&(16 * MIB..=1024 * 1024 * GIB))
            .map(|size| size as u64)
    });
    let identities = table.optional("identities", IDENTITIES, |value| {
        value
            .size(&(MIB..=1024 * 1024 * GIB))
            .map(|identities| identities as u64)
    });
    table.finish();
    Some(Retention {
        age: age?,
        size: size?,
        identities: identities?,
    })
}
