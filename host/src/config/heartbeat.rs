//! `heartbeat` in `[gateway]`: where the gateway says that it is alive, so that its own death is
//! noticed by another.

use std::time::Duration;

use super::destination::secret_url;
use super::quantity::HOUR;
use super::raw::{Table, Value};
use super::secret::Secret;

/// The interval of pings.
pub const EVERY: Duration = Duration::from_secs(60);
/// The age of the oldest alert that waits, beyond which no ping is sent: longer than most outages
/// of a destination, which tells of itself.
pub const OLDEST: Duration = Duration::from_secs(15 * 60);

/// The heartbeat that the gateway sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The URL that is asked by GET. It is a credential.
    pub url: Secret,
    /// The interval. Default a minute.
    pub every: Duration,
    /// No ping is sent while an alert waits longer. Default 15 minutes.
    pub oldest: Duration,
}

/// Reads the table.
pub(super) fn read(value: &Value<'_>) -> Option<Heartbeat> {
    let name = value.label.clone();
    let entries = value.table(&name)?;
    let mut table = Table::new(name, value.span.clone(), Some(entries), value.reading);
    let url = table.required("url", "url = { env = \"HEARTBEAT_URL\" }", |value| {
        secret_url(&value)
    });
    let every = table.optional("every", EVERY, |value| {
        value.duration(&(Duration::from_secs(1)..=24 * HOUR))
    });
    let oldest = table.optional("oldest", OLDEST, |value| {
        value.duration(&(Duration::from_secs(1)..=24 * HOUR))
    });
    table.finish();
    Some(Heartbeat {
        url: url?,
        every: every?,
        oldest: oldest?,
    })
}
