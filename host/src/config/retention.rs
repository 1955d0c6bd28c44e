//! `[retention]`: how much of what was delivered is kept, so that `events show` can answer for it.

use std::time::Duration;

use super::quantity::{GIB, HOUR, MIB};
use super::raw::Table;
use super::reading::Reading;

/// Long enough to answer for last month.
pub const AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Some millions of alerts, on the smallest disk that a machine has today.
pub const SIZE: u64 = 4 * GIB as u64;

/// What `[retention]` means. What was not delivered is never removed, whatever its age and size: neither what waits, nor
/// what is set aside, nor what a plugin failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// How long a delivered alert and its request are kept. Default [`AGE`].
    pub age: Duration,
    /// How many bytes all of it may take; the oldest go first. What was delivered keeps half of it. Default [`SIZE`].
    pub size: u64,
}

/// Reads `[retention]`.
pub(super) fn read(mut table: Table<'_>, reading: &mut Reading) -> Option<Retention> {
    let age = table.optional("age", AGE, |value| value.duration(&(HOUR..=HOUR * 24 * 3650), reading));
    let size = table
        .optional("size", SIZE, |value| value.size(&(16 * MIB..=1024 * 1024 * GIB), reading).map(|size| size as u64));
    table.finish(reading);
    Some(Retention { age: age?, size: size? })
}
