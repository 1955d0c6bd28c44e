//! `[limits]` for all sources and `[sources.<name>.limits]` for one: what a request and a plugin
//! call may use.

use std::time::Duration;

use super::quantity::{GIB, KIB, MIB, Rate};
use super::raw::Table;

/// The limits that the operator wrote, for all sources or for one: a plugin may ask for larger ones
/// in place of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// See [`Limits`]; so for all fields.
    pub body: bool,
    /// See there.
    pub time: bool,
    /// See there.
    pub memory: bool,
    /// See there.
    pub output: bool,
}

/// The limits of one request and of the plugin that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: usize,
    /// The longest that a plugin may take for one request.
    pub time: Duration,
    /// The most memory that a plugin may have, in bytes.
    pub memory: usize,
    /// The most that a plugin may answer, in bytes.
    pub output: usize,
    /// The number of requests that are taken in a time; `None` for any number.
    pub rate: Option<Rate>,
    /// The limits that were written.
    pub written: Written,
}

impl Default for Limits {
    /// Each is some hundred times the need of a webhook; beyond that something is wrong. There is
    /// no rate: the gateway cannot know the number of a sender's events, and it refuses an excess
    /// without one.
    fn default() -> Self {
        Self {
            body: 256 * KIB,
            time: Duration::from_millis(100),
            memory: 16 * MIB,
            output: MIB,
            rate: None,
            written: Written::default(),
        }
    }
}

/// Reads a table of limits; what it does not name is as in `inherited`.
pub(super) fn read(mut table: Table<'_>, inherited: Limits) -> Option<Limits> {
    let mut written = inherited.written;
    for (key, _) in table.entries() {
        match key.get_ref().as_ref() {
            "body" => written.body = true,
            "time" => written.time = true,
            "memory" => written.memory = true,
            "output" => written.output = true,
            _ => {}
        }
    }
    let transfer = KIB..=64 * MIB;
    let body = table.optional("body", inherited.body, |value| value.size(&transfer));
    // Below 10 ms a busy machine fails calls that are not at fault; beyond 30 s every sender has
    // gone.
    let time = table.optional("time", inherited.time, |value| {
        value.duration(&(Duration::from_millis(10)..=Duration::from_secs(30)))
    });
    let memory = table.optional("memory", inherited.memory, |value| value.size(&(MIB..=GIB)));
    let output = table.optional("output", inherited.output, |value| value.size(&transfer));
    let rate = table.optional("rate", inherited.rate, |value| value.rate());
    table.finish();
    Some(Limits {
        body: body?,
        time: time?,
        memory: memory?,
        output: output?,
        rate: rate?,
        written,
    })
}
